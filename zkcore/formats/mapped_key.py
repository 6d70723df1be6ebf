"""Proving keys in a file of zkshare's own, whose arrays are used where they lie when the file is mapped into memory.

A section follows the other: its content, the SHA-256 of all of the file up to there, and zeros up to a multiple of 64
bytes. All numbers are little-endian.

| section | content |
| --- | --- |
| header | ``zkshare/groth16/``, version, digest of the circuit's constraint system (zeros if it is not known), sizes |
| verifying_key | as :meth:`zkcore.groth16.VerifyingKey.to_bytes` writes it |
| a.row_start, a.column, a.coefficient; those of b | :class:`zkcore.r1cs.SparseMatrix` |
| constants, points_a, points_b, points_b2, points_c, points_h | :class:`zkcore.groth16.ProvingKey` |

A proving key is public, but a damaged one leaks through bad proofs, hence the checksums; every proof is verified before
it is returned, too. Refusals name the section and the offset in the file.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from math import prod
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, WrongLength
from zkcore.formats.iden3 import Chunk, array_content
from zkcore.groth16.keys import VerifyingKey
from zkcore.groth16.proving_key import LARGEST_DOMAIN_BITS, POINTS, KeyHead, KeySize, ProvingKey, check_points
from zkcore.groups import g2
from zkcore.limbs import below
from zkcore.r1cs import SparseMatrix

Rows = NDArray[np.uint64]

MAGIC = b"zkshare/groth16/"
FILE_VERSION = 3
_KIND = "proving_key"
_HEADER = Struct("<16sI32s8Q")
_CHECKSUM_BYTES, _ALIGNMENT = 32, 64
_UNKNOWN = bytes(32)
_PARTS = ("row_start", "column", "coefficient")


def chunks(key: ProvingKey) -> Iterator[Chunk]:
    """The file of a proving key, one chunk after the other; arrays are not copied.

    Raises
    ------
    NotInSubgroup
        The key came from a file that says no digest of its circuit, and a point of B in G2 lies outside the subgroup.
        That takes 50 microseconds a point, once: too long for every time such a file is read.
    """
    if key.r1cs_digest is None:
        g2.check_rows(key.points_b2, part="proving_key.points_b2")
    return stream(key, ([getattr(key, name)] for name in POINTS))


def write(key: ProvingKey) -> bytes:
    """What :func:`chunks` yields, as a whole; raises as it does."""
    return b"".join(chunks(key))


def stream(head: KeyHead, points: Iterable[Iterable[Rows]]) -> Iterator[Chunk]:
    """The file of a key whose arrays of points come in blocks: constants, A, B, B in G2, C, H."""
    verifying_key = head.verifying_key.to_bytes()
    sizes = [head.n_public, head.n_wires, head.domain_bits, len(verifying_key)]
    for matrix in (head.a, head.b):
        sizes += [len(matrix.row_start) - 1, len(matrix.column)]
    header = _HEADER.pack(MAGIC, FILE_VERSION, head.r1cs_digest or _UNKNOWN, *sizes)
    matrices = ([getattr(matrix, name)] for matrix in (head.a, head.b) for name in _PARTS)
    arrays = (
        chain.from_iterable(array_content(block).chunks for block in blocks) for blocks in chain(matrices, points)
    )
    contents: Iterable[Iterable[Chunk]] = chain([[header], [verifying_key]], arrays)
    running, written = sha256(), 0
    for content in contents:
        for chunk in content:
            running.update(chunk)
            written += len(chunk)
            yield chunk
        end = running.digest() + bytes(-(written + _CHECKSUM_BYTES) % _ALIGNMENT)
        running.update(end)
        written += len(end)
        yield end


class _Reader:
    """Goes through the sections of a file, each checked against its checksum."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data, self._at, self._running = memoryview(data).cast("B"), 0, sha256()

    def section(self, name: str, size: int) -> tuple[str, memoryview]:
        """The next section's name and offset, for errors, and its content."""
        start, end = self._at, self._at + size
        part = f"{_KIND} section {name} at byte {start}"
        checksum = end + _CHECKSUM_BYTES
        self._at = checksum + -checksum % _ALIGNMENT
        if len(self._data) < self._at:
            raise WrongLength(part, "the file ends within this section")
        self._running.update(self._data[start:end])
        if self._running.digest() != self._data[end:checksum]:
            raise Malformed(part, "this section does not have the checksum written behind it")
        self._running.update(self._data[end : self._at])
        if any(self._data[checksum : self._at]):
            raise Malformed(f"{_KIND} section {name} at byte {checksum}", "zeros must follow the checksum")
        return part, self._data[start:end]

    def array(self, name: str, shape: tuple[int, ...]) -> tuple[str, Rows]:
        """The same for an array: where it lies if it can be written to, a copy otherwise."""
        part, content = self.section(name, 8 * prod(shape))
        rows: Rows = np.frombuffer(content, "<u8").reshape(shape)
        # Kernels are compiled for arrays that can be written; none writes to a key.
        return part, rows if rows.flags.writeable else rows.copy()

    def end(self) -> None:
        """Check that nothing follows."""
        if self._at != len(self._data):
            raise WrongLength(f"{_KIND} at byte {self._at}", "the file goes on behind its last section")


def _header(reader: _Reader, data: memoryview) -> tuple[bytes | None, list[int]]:
    """The constraint system's digest, and the sizes."""
    start = f"{_KIND} at byte 0"
    if len(data) < _HEADER.size:
        raise WrongLength(start, "the file ends within its header")
    magic, version, digest, *sizes = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Malformed(start, "this is not a proving key of zkshare")
    if version != FILE_VERSION:
        why = f"version {version} is not {FILE_VERSION}, the one known here: convert or make the key again"
        raise Malformed(f"{_KIND} at byte {len(MAGIC)}", why)
    part, _ = reader.section("header", _HEADER.size)
    n_public, n_wires, domain_bits, _, *matrix_sizes = sizes
    size = 1 << min(domain_bits, LARGEST_DOMAIN_BITS)
    if not n_public < n_wires or max(matrix_sizes[::2]) > size or domain_bits > LARGEST_DOMAIN_BITS:
        raise OutOfRange(part, "the sizes contradict each other")
    return None if digest == _UNKNOWN else digest, sizes


def read_size(data: bytes | bytearray | memoryview) -> tuple[KeySize, bytes | None]:
    """How large the key in a file is, and the digest of its constraint system; raises as :func:`read`.

    Of the file only the header is read.
    """
    view = memoryview(data).cast("B")
    digest, (n_public, n_wires, domain_bits, _, _, in_a, _, in_b) = _header(_Reader(view), view)
    return KeySize(n_public, n_wires, domain_bits, in_a + in_b), digest


def read(data: bytes | bytearray | memoryview) -> ProvingKey:
    """The key in a file.

    The arrays are those of ``data`` where it can be written to, for instance a private memory map of a file, and copies
    otherwise.

    Raises
    ------
    Malformed, WrongLength
        Another format or version, a wrong checksum or length, or a matrix that is not one.
    OutOfRange, NotOnCurve
        A coefficient, index or coordinate is outside its domain; a point is not on its curve. That points lie in
        the subgroup is left to the checksum, except for the verifying key's, which are checked.
    PointAtInfinity, NotInSubgroup
        As :meth:`zkcore.groth16.VerifyingKey.from_bytes`.
    """
    view = memoryview(data).cast("B")
    reader = _Reader(view)
    digest, sizes = _header(reader, view)
    n_public, n_wires, domain_bits, key_length, *matrix_sizes = sizes
    part, content = reader.section("verifying_key", key_length)
    verifying_key = VerifyingKey.from_bytes(bytes(content), part=part)
    if len(verifying_key.ic) != n_public + 1:
        raise WrongLength(part, "the verifying key has another number of public inputs")
    a, b = (
        _matrix(reader, name, rows, count, n_wires)
        for name, rows, count in zip("ab", matrix_sizes[::2], matrix_sizes[1::2], strict=True)
    )
    counts = 2, n_wires, n_wires, n_wires, n_wires - n_public - 1, 1 << domain_bits
    points = []
    for name, count in zip(POINTS, counts, strict=True):
        part, rows = reader.array(name, (count, 2, 2, 4) if name == "points_b2" else (count, 2, 4))
        check_points(part, rows)
        points.append(rows)
    reader.end()
    return ProvingKey(digest, n_public, n_wires, domain_bits, a, b, verifying_key, *points)


def _matrix(reader: _Reader, name: str, rows: int, count: int, n_wires: int) -> SparseMatrix:
    """The next matrix."""
    arrays: list[Any] = []
    for piece, shape in zip(_PARTS, ((rows + 1,), (count,), (count, 4)), strict=True):
        part, array = reader.array(f"{name}.{piece}", shape)
        arrays.append(array)
        if piece == "coefficient":
            if not below(array, R):
                raise OutOfRange(part, "a coefficient is not below the scalar field's modulus")
            continue
        numbers = arrays[-1] = array.view(np.int64)
        if piece == "row_start" and (numbers[0] != 0 or numbers[-1] != count or (np.diff(numbers) < 0).any()):
            raise Malformed(part, "the rows do not follow each other")
        if piece == "column" and ((numbers < 0) | (numbers >= n_wires)).any():
            raise OutOfRange(part, "an entry names a wire that there is not")
    return SparseMatrix(*arrays)
