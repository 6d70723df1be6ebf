"""Powers of tau ``.ptau``, version 1, as snarkjs 0.7 writes them: the first phase of a ceremony, for any circuit.

Points are affine, coordinates in Montgomery form (times 2^256), little-endian, zeros for the neutral element. For a
file of power p, with n = 2^p:

| section | content |
| --- | --- |
| 1 | size and value of the base field's prime, p, and the power of the ceremony it was cut from |
| 2 | tau^i in G1, i < 2n - 1 |
| 3 | tau^i in G2, i < n |
| 4, 5 | alpha tau^i and beta tau^i in G1, i < n |
| 6 | beta in G2 |
| 7 | contributions, kept but not read here |
| 12 to 15 | the sums of sections 2, 3, 4, 5 with Lagrange's polynomials of the domains of 1, 2, 4, ... n points |

The sums follow one another, those of the smallest domain first; of section 2 there are also those of 2n points, with
zero in the place of the power that the section lacks. Sections 12 to 15 are there once a file is prepared for phase 2
(``snarkjs powersoftau prepare phase2``). Whether the points are powers of one tau is checked by whoever uses them
(:mod:`zkcore.groth16.ceremony`); that nobody knows tau is the first phase's own question.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import P
from zkcore.errors import Malformed, OutOfRange, WrongLength
from zkcore.formats.iden3 import Chunk, Content, field_to_bytes, read_sections, required, section_chunks
from zkcore.groth16.proving_key import LARGEST_DOMAIN_BITS
from zkcore.groups import Group, g1, g2

_VERSION = 1
_POWERS: dict[int, Group[Any]] = {2: g1, 3: g2, 4: g1, 5: g1}
_LAGRANGE: dict[int, int] = {2: 12, 3: 13, 4: 14, 5: 15}
_CONTRIBUTIONS = 7
TAU_G1, TAU_G2, ALPHA_TAU_G1, BETA_TAU_G1 = _POWERS

Rows = NDArray[np.uint64]


@dataclass(frozen=True)
class PowersOfTau:
    """What a file holds; points are read when they are asked for.

    Attributes
    ----------
    power
        p: constraint systems of up to 2^p rows can be served.
    ceremony_power
        The power of the ceremony that the file was cut from.
    behind_tau_g1
        The 64 bytes of the file that follow section 2; snarkjs takes them for one more point in a digest, and so must
        whoever wants the same digest.
    content
        Each section's bytes, and where they lie in the file.
    """

    power: int
    ceremony_power: int
    behind_tau_g1: bytes
    content: dict[int, tuple[memoryview, int]] = field(repr=False)

    @property
    def is_prepared(self) -> bool:
        """Whether the sums with Lagrange's polynomials are there."""
        return _LAGRANGE[TAU_G1] in self.content

    def powers(self, section: int, count: int) -> Rows:
        """The first ``count`` points of a section of powers, ``uint64[count, 2, 4]`` or ``[count, 2, 2, 4]``.

        Raises
        ------
        OutOfRange, NotOnCurve, NotInSubgroup
            A point is none of its group.
        """
        return self._points(section, _POWERS[section], 0, count)

    def lagrange(self, section: int, bits: int) -> Rows:
        """The sums of a section of powers with Lagrange's polynomials of 2^bits points.

        Raises
        ------
        Malformed
            The file is not prepared for phase 2.
        OutOfRange, NotOnCurve, NotInSubgroup
            A point is none of its group.
        """
        if not self.is_prepared:
            raise Malformed("ptau", "it is not prepared; run `snarkjs powersoftau prepare phase2` on it first")
        return self._points(_LAGRANGE[section], _POWERS[section], (1 << bits) - 1, 1 << bits)

    def beta_g2(self) -> Rows:
        """beta in G2, ``uint64[1, 2, 2, 4]``."""
        return self._points(6, g2, 0, 1)

    def _points(self, section: int, group: Group[Any], first: int, count: int) -> Rows:
        content, offset = self.content[section]
        size = _point_bytes(section)
        part = f"ptau section {section} at byte {offset + first * size}"
        data = content[first * size : (first + count) * size]
        if len(data) != count * size:
            raise WrongLength(part, f"points {first} to {first + count} are not there")
        rows = np.frombuffer(data, "<u8").astype(np.uint64)
        rows = rows.reshape((count, 2, 4) if group is g1 else (count, 2, 2, 4))
        group.check_rows(rows, part=part)
        return rows


def _counts(power: int, prepared: bool) -> dict[int, int]:
    """How many points each section has."""
    counts = {2: (2 << power) - 1, 3: 1 << power, 4: 1 << power, 5: 1 << power, 6: 1}
    if prepared:
        counts |= {12: (4 << power) - 1, 13: (2 << power) - 1, 14: (2 << power) - 1, 15: (2 << power) - 1}
    return counts


def _point_bytes(section: int) -> int:
    return 128 if section in (3, 6, 13) else 64


def read(data: bytes | memoryview) -> PowersOfTau:
    """A file's header, and where its points lie.

    Raises
    ------
    Malformed, WrongLength, OutOfRange
        The file is not such a file, belongs to another curve, or contradicts itself; the part names the section and
        the offset.
    """
    sections = read_sections(data, "ptau", _VERSION, (*range(1, 8), *_LAGRANGE.values()))
    header = required(sections, 1, "ptau")
    header.field(P)
    start = header.part
    power, ceremony_power = header.integer(4), header.integer(4)
    header.end()
    if not 1 <= power <= min(ceremony_power, LARGEST_DOMAIN_BITS + 1):
        raise OutOfRange(start, f"the power {power} is not from 1 to {min(ceremony_power, LARGEST_DOMAIN_BITS + 1)}")
    content: dict[int, tuple[memoryview, int]] = {}
    for number, count in _counts(power, any(number in sections for number in _LAGRANGE.values())).items():
        section = required(sections, number, "ptau")
        size = count * _point_bytes(number)
        if section.left != size:
            raise WrongLength(section.part, f"{section.left} bytes are not the {size} of {count} points")
        at = section.at
        content[number] = section.take(size), at
        if number == TAU_G1:
            behind = bytes(memoryview(data).cast("B")[section.at : section.at + 64])
    if _CONTRIBUTIONS in sections:
        section = sections[_CONTRIBUTIONS]
        at = section.at
        content[_CONTRIBUTIONS] = section.take(section.left), at
    return PowersOfTau(power, ceremony_power, behind, content)


def chunks(powers: PowersOfTau, power: int) -> Iterator[Chunk]:
    """The file of the powers for systems of up to 2^power rows, cut from those of a larger file, chunk by chunk.

    Its points are not looked at. The same as ``snarkjs powersoftau truncate``, byte for byte.

    Raises
    ------
    OutOfRange
        The powers do not reach so far.
    """
    if not 1 <= power <= powers.power:
        raise OutOfRange("power", f"the powers serve 2^1 to 2^{powers.power} rows")
    header = field_to_bytes(P) + pack("<II", power, powers.ceremony_power)
    sections: dict[int, bytes | Content] = {1: header}
    for number, (data, _) in sorted(powers.content.items()):
        count = _counts(power, powers.is_prepared).get(number)
        part = data if count is None else data[: count * _point_bytes(number)]
        sections[number] = Content(len(part), (part,))
    return section_chunks("ptau", _VERSION, sections)
