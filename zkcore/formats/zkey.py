"""Proving keys ``.zkey`` for Groth16, version 1, as snarkjs 0.7 writes and reads them.

Points are affine, coordinates in Montgomery form (times 2^256), little-endian, zeros for the neutral element.

| section | content |
| --- | --- |
| 1 | protocol: 1 for Groth16 |
| 2 | size and value of both primes, numbers of wires and public inputs, size of the domain, alpha, beta, gamma, delta |
| 3 | ``ic`` |
| 4 | entries of A and B: matrix, row, wire, value times 2^512 mod R |
| 5 to 9 | A, B in G1, B in G2, C, H |
| 10 | digest of the circuit and contributions of the ceremony |

The contributions are read but not verified here, see :mod:`zkcore.groth16.ceremony`. Points of G2 are checked to be on
the curve, those of the verifying key and of contributions to lie in the subgroup too. For those of B that would take
many times as long as reading, so :func:`check_subgroup` does it where a key is verified, and :func:`convert` where it
becomes a file of :mod:`zkcore.formats.mapped_key`; one that lies outside makes proofs that do not verify, which the
prover keeps back.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import P, R
from zkcore.errors import Malformed, OutOfRange, PointAtInfinity, WrongLength
from zkcore.field import enter_rows, fr, leave_rows
from zkcore.formats import mapped_key
from zkcore.formats.iden3 import (
    Chunk,
    Content,
    Section,
    array_content,
    field_to_bytes,
    read_sections,
    required,
    row_blocks,
    section_chunks,
)
from zkcore.groth16.ceremony import Beacon, Contribution, Contributions
from zkcore.groth16.first_key import HASH_BYTES
from zkcore.groth16.keys import VerifyingKey
from zkcore.groth16.proving_key import LARGEST_DOMAIN_BITS, POINTS, KeyHead, KeySize, ProvingKey, check_points
from zkcore.groups import Group, g1, g2
from zkcore.limbs import below
from zkcore.r1cs import R1CS, SparseMatrix

_VERSION, _GROTH16 = 1, 1
_B2, _G2_BYTES = 7, 128
"""The section of B in G2, and a point's size there."""
_BLOCK = 1 << 13
"""Points that are converted at a time."""
_ENTRY = np.dtype([("matrix", "<u4"), ("row", "<u4"), ("wire", "<u4"), ("value", "<u8", 4)])
_NO_CONTRIBUTIONS = Contributions(bytes(HASH_BYTES))
_FIRST_ORDER = (1, 2, 4, 3, 9, 8, 5, 6, 7, 10)
"""In which order snarkjs writes the first keys of a ceremony; all others go by their numbers."""
_NAME, _ITERATIONS, _BEACON = 1, 2, 3
_PERSON, _PUBLIC = 0, 1

Rows = NDArray[np.uint64]


def _points(section: Section, group: Group[Any], count: int) -> Rows:
    """The next ``count`` points, each on its curve."""
    start = section.part
    rows = section.elements((count, 2) if group is g1 else (count, 2, 2), P)
    check_points(start, rows)
    return rows


def _matrices(section: Section, n_wires: int, size: int) -> list[SparseMatrix]:
    count = section.integer(4)
    start = section.part
    entries = np.frombuffer(section.take(count * _ENTRY.itemsize), _ENTRY)
    section.end()
    for name, bound in (("matrix", 2), ("row", size), ("wire", n_wires)):
        if (entries[name] >= bound).any():
            raise OutOfRange(start, f"an entry names a {name} that there is not")
    if not below(entries["value"], R):
        raise OutOfRange(start, "a coefficient is not below the field's modulus")
    matrices = []
    for number in range(2):
        chosen = entries[entries["matrix"] == number]
        chosen = chosen[np.argsort(chosen["row"], kind="stable")]
        rows = int(chosen["row"].max(initial=0)) + 1
        coefficient = np.array(chosen["value"], np.uint64, order="C")
        leave_rows(fr, coefficient)
        leave_rows(fr, coefficient)
        row_start = np.searchsorted(chosen["row"], np.arange(rows + 1)).astype(np.int64)
        matrices.append(SparseMatrix(row_start, chosen["wire"].astype(np.int64), coefficient))
    return matrices


def _contribution(section: Section) -> Contribution:
    start = section.part
    delta, base, product = g1.decode(_points(section, g1, 3))
    place, rows = section.part, _points(section, g2, 1)
    g2.check_rows(rows, part=place)
    (product_g2,) = g2.decode(rows)
    transcript, kind, length = bytes(section.take(HASH_BYTES)), section.integer(4), section.integer(4)
    parameters = Section(f"{start}, parameters", section.take(length), 0)
    found: dict[int, bytes] = {}
    while parameters.left:
        number = parameters.integer(1)
        if not max(found, default=0) < number <= _BEACON:
            raise Malformed(start, f"its parameter of type {number} is unknown, or not in order")
        found[number] = bytes(parameters.take(1 if number == _ITERATIONS else parameters.integer(1)))
    if (
        kind not in (_PERSON, _PUBLIC)
        or (kind == _PUBLIC) != (_BEACON in found)
        or (_ITERATIONS in found) != (_BEACON in found)
    ):
        raise Malformed(start, "it is neither a person's contribution nor a beacon's")
    beacon = Beacon(found[_BEACON], found[_ITERATIONS][0]) if kind == _PUBLIC else None
    try:
        name = found.get(_NAME, b"").decode()
    except UnicodeDecodeError:
        raise Malformed(start, "its name is not UTF-8") from None
    if None in (delta, base, product, product_g2):
        raise PointAtInfinity(start, "the neutral element has no use in a contribution")
    return Contribution(delta, base, product, product_g2, transcript, name, beacon)


def _contribution_bytes(contribution: Contribution) -> bytes:
    name, beacon = contribution.name.encode(), contribution.beacon
    parameters = bytes([_NAME, len(name)]) + name if name else b""
    if beacon is not None:
        parameters += bytes([_ITERATIONS, beacon.iterations, _BEACON, len(beacon.value)]) + beacon.value
    points = g1.encode([contribution.delta, contribution.base, contribution.product]).tobytes()
    points += g2.encode([contribution.product_g2]).tobytes()
    kind = _PERSON if beacon is None else _PUBLIC
    return points + contribution.transcript + pack("<II", kind, len(parameters)) + parameters


def read_contributions(data: bytes | memoryview) -> Contributions:
    """The circuit's digest and the contributions of the ceremony; raises as :func:`read`."""
    section = required(read_sections(data, "zkey", _VERSION, range(1, 11)), 10, "zkey")
    digest, count = bytes(section.take(HASH_BYTES)), section.integer(4)
    if count > section.left:
        raise WrongLength(section.part, f"{count} contributions do not fit")
    contributions = tuple(_contribution(section) for _ in range(count))
    section.end()
    return Contributions(digest, contributions)


def _sections(data: bytes | memoryview) -> dict[int, Section]:
    """All sections, the first of which says that the key is one for Groth16."""
    sections = read_sections(data, "zkey", _VERSION, range(1, 11))
    found = {number: required(sections, number, "zkey") for number in range(1, 11)}
    protocol = found[1].part
    if found[1].integer(4) != _GROTH16:
        raise Malformed(protocol, "this is not a key for Groth16")
    found[1].end()
    return found


def _sizes(header: Section) -> tuple[int, int, int]:
    """Numbers of wires and public inputs, and the binary logarithm of the domain's size."""
    header.field(P)
    header.field(R)
    start = header.part
    n_wires, n_public, size = (header.integer(4) for _ in range(3))
    bits = size.bit_length() - 1
    if not n_public < n_wires or size != 1 << max(bits, 0) or bits > LARGEST_DOMAIN_BITS:
        raise OutOfRange(start, "the sizes contradict each other")
    return n_wires, n_public, bits


def read_size(data: bytes | memoryview) -> tuple[KeySize, None]:
    """How large the key is, and no digest, for the file says none; raises as :func:`read`.

    Of the file only the headers are read.
    """
    found = _sections(data)
    n_wires, n_public, bits = _sizes(found[2])
    return KeySize(n_public, n_wires, bits, found[4].integer(4)), None


def _head(found: dict[int, Section]) -> tuple[KeyHead, Rows]:
    """Sections 2 to 4: what is not points, and beta and delta in G1."""
    header = found[2]
    n_wires, n_public, bits = _sizes(header)
    alpha, beta1 = _points(header, g1, 1), _points(header, g1, 1)
    beta, gamma = _points(header, g2, 1), _points(header, g2, 1)
    delta1, delta = _points(header, g1, 1), _points(header, g2, 1)
    header.end()
    ic = _points(found[3], g1, n_public + 1)
    found[3].end()
    a, b = _matrices(found[4], n_wires, 1 << bits)
    verifying_key = VerifyingKey(
        g1.decode(alpha)[0], g2.decode(beta)[0], g2.decode(gamma)[0], g2.decode(delta)[0], tuple(g1.decode(ic))
    )
    return KeyHead(None, n_public, n_wires, bits, a, b, verifying_key), np.concatenate([beta1, delta1])


def _counts(head: KeyHead) -> tuple[tuple[int, Group[Any], int], ...]:
    """The sections of points: their groups, and how many points they must hold."""
    n_wires, n_private = head.n_wires, head.n_wires - head.n_public - 1
    return (5, g1, n_wires), (6, g1, n_wires), (_B2, g2, n_wires), (8, g1, n_private), (9, g1, 1 << head.domain_bits)


def read(data: bytes | memoryview) -> ProvingKey:
    """The proving key, with its verifying key. The file does not say the digest of a constraint system.

    Raises
    ------
    Malformed, WrongLength, OutOfRange, NotOnCurve, NotInSubgroup, PointAtInfinity
        The file is not such a file, belongs to another proof system or curve, or contradicts itself; the part names
        the section and the offset.
    """
    found = _sections(data)
    head, constants = _head(found)
    points = [constants]
    for number, group, count in _counts(head):
        points.append(_points(found[number], group, count))
        found[number].end()
    parts: dict[str, Any] = {**vars(head), **dict(zip(POINTS, points, strict=True))}
    return ProvingKey(**parts)


def convert(data: bytes | memoryview, system: R1CS, threads: int = 1) -> Iterator[Chunk]:
    """The key as a file of :mod:`zkcore.formats.mapped_key`, tied to its constraint system, one chunk after the other.

    Its points pass through memory a block at a time, and are checked to lie in their subgroup.

    Parameters
    ----------
    system
        The constraint system whose key it is.
    threads
        How many threads check points of G2.

    Raises
    ------
    WrongProvingKey
        It is not; see :meth:`zkcore.groth16.proving_key.KeyHead.check_circuit`.
    Malformed, WrongLength, OutOfRange, NotOnCurve, NotInSubgroup, PointAtInfinity
        As :func:`read`, for points while the chunks are taken.
    """
    found = _sections(data)
    head, constants = _head(found)
    head.check_circuit(system)
    points = (_blocks(found[number], group, count, threads) for number, group, count in _counts(head))
    return mapped_key.stream(replace(head, r1cs_digest=system.digest()), chain([[constants]], points))


def _blocks(section: Section, group: Group[Any], count: int, threads: int) -> Iterator[Rows]:
    """The points of a section, checked, some at a time."""
    for first in range(0, count, _BLOCK):
        start = section.part
        rows = _points(section, group, min(_BLOCK, count - first))
        if group is g2:
            g2.check_rows(rows, part=start, threads=threads)
        yield rows
    section.end()


def check_subgroup(data: bytes | memoryview, threads: int = 1) -> None:
    """Refuse a key of which a point of B in G2 is not in the subgroup of prime order.

    Raises
    ------
    Malformed, WrongLength, OutOfRange, NotOnCurve, NotInSubgroup
        The part names the section, its offset and the point's index.
    """
    section = required(read_sections(data, "zkey", _VERSION, range(1, 11)), _B2, "zkey")
    start, count = section.part, section.left // _G2_BYTES
    rows = section.elements((count, 2, 2), P)
    section.end()
    g2.check_rows(rows, part=start, threads=threads)


def chunks(key: ProvingKey, contributions: Contributions = _NO_CONTRIBUTIONS) -> Iterator[Chunk]:
    """The file of a proving key, with the contributions of its ceremony if it is from one, a chunk after the other."""
    vk = key.verifying_key
    beta1, delta1 = key.constants[:1], key.constants[1:]
    header = field_to_bytes(P) + field_to_bytes(R) + pack("<3I", key.n_wires, key.n_public, 1 << key.domain_bits)
    header += b"".join(
        rows.tobytes()
        for rows in (
            *(g1.encode([vk.alpha]), beta1, g2.encode([vk.beta]), g2.encode([vk.gamma])),
            *(delta1, g2.encode([vk.delta])),
        )
    )
    points = [key.points_a, key.points_b, key.points_b2, key.points_c, key.points_h]
    n_entries = len(key.a.column) + len(key.b.column)
    history = contributions.circuit_digest + pack("<I", len(contributions.contributions))
    sections: dict[int, bytes | Content] = {
        1: pack("<I", _GROTH16),
        2: header,
        3: array_content(g1.encode(vk.ic)),
        4: Content(4 + n_entries * _ENTRY.itemsize, chain([pack("<I", n_entries)], _entries(key))),
        **dict(enumerate(map(array_content, points), 5)),
        10: history + b"".join(map(_contribution_bytes, contributions.contributions)),
    }
    order = sections if contributions.contributions else _FIRST_ORDER
    return section_chunks("zkey", _VERSION, {number: sections[number] for number in order})


def _entries(key: ProvingKey) -> Iterator[Chunk]:
    """Section 4 without its count: by rows, and in a row those of A first."""
    matrices = (key.a, key.b)
    for first, end in row_blocks(max(len(matrix.row_start) - 1 for matrix in matrices)):
        parts = []
        for number, matrix in enumerate(matrices):
            row_start = matrix.row_start[first : end + 1]
            if len(row_start) < 2:
                continue
            chosen = slice(row_start[0], row_start[-1])
            coefficient = np.array(matrix.coefficient[chosen], order="C")
            enter_rows(fr, coefficient)
            enter_rows(fr, coefficient)
            part = np.empty(len(coefficient), _ENTRY)
            part["matrix"], part["wire"], part["value"] = number, matrix.column[chosen], coefficient
            part["row"] = np.repeat(np.arange(first, first + len(row_start) - 1), np.diff(row_start))
            parts.append(part)
        entries = np.concatenate(parts)
        yield entries[np.argsort(entries["row"], kind="stable")].tobytes()


def write(key: ProvingKey, contributions: Contributions = _NO_CONTRIBUTIONS) -> bytes:
    """What :func:`chunks` yields, as a whole."""
    return b"".join(chunks(key, contributions))
