"""Proving keys of Groth16: what they hold, and their own file format.

The points are laid out as snarkjs lays them out in a ``.zkey``: matrix A carries one more row for wire 0 and for each
public input, so that no two public inputs share a polynomial; gamma is 1; H holds the Lagrange basis of the domain
of twice the size at its odd points, over delta (Groth 2016, section 3.2, without a division by the vanishing
polynomial). A proving key is public, but a damaged one leaks through bad proofs: the format carries a checksum, and
every proof is verified before it is returned.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import prod
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.affine import is_neutral_row
from zkcore.bn254 import P, R
from zkcore.curve import load_affine, on_curve
from zkcore.errors import Malformed, NotOnCurve, OutOfRange, WrongLength
from zkcore.field import fp_zero
from zkcore.groth16.keys import VerifyingKey
from zkcore.groth16.verifier import PreparedVerifyingKey
from zkcore.groups import g2
from zkcore.kernel import inner, kernel
from zkcore.limbs import below
from zkcore.ntt import TWO_ADICITY
from zkcore.r1cs import SparseMatrix
from zkcore.tower import fp2_zero

Rows = NDArray[np.uint64]

_MAGIC = b"zkshare/groth16/"
FILE_VERSION = 2
_HEADER = Struct("<16sI32s8Q")
LARGEST_DOMAIN_BITS = TWO_ADICITY - 1
"""The points of H come from the domain of twice the size."""
_ALIGNMENT = 64
"""Where arrays begin in the file is a multiple of this many bytes, so that they can be used where they lie."""
_UNKNOWN = bytes(32)
_POINTS = ("constants", "points_a", "points_b", "points_b2", "points_c", "points_h")


@inner
def _first_off_curve(like: Any, points: Any) -> Any:
    for i in range(points.shape[0]):
        if not is_neutral_row(points, i) and not on_curve(load_affine(like, points, i)):
            return i
    return -1


@kernel
def _first_off_curve_g1(points: Any) -> Any:
    return _first_off_curve(fp_zero(), points)


@kernel
def _first_off_curve_g2(points: Any) -> Any:
    return _first_off_curve(fp2_zero(), points)


@dataclass(frozen=True, eq=False)
class ProvingKey:
    """A proving key. Points are affine in Montgomery form, zeros for the neutral element.

    Attributes
    ----------
    r1cs_digest
        Digest of the constraint system that the key belongs to; None where that is not known.
    n_public, n_wires
        As in the constraint system.
    domain_bits
        The domain has ``2^domain_bits`` points, no fewer than there are rows.
    a, b
        Matrices A, with its additional rows, and B.
    verifying_key
        The key that verifies what this one proves.
    constants
        uint64[2, 2, 4]: beta and delta in G1.
    points_a, points_b
        uint64[n_wires, 2, 4]: A_j(tau) and B_j(tau) in G1.
    points_b2
        uint64[n_wires, 2, 2, 4]: B_j(tau) in G2.
    points_c
        uint64[n_wires - n_public - 1, 2, 4]: (beta A_j + alpha B_j + C_j)(tau) / delta for the private wires.
    points_h
        uint64[2^domain_bits, 2, 4].
    """

    r1cs_digest: bytes | None
    n_public: int
    n_wires: int
    domain_bits: int
    a: SparseMatrix
    b: SparseMatrix
    verifying_key: VerifyingKey
    constants: Rows
    points_a: Rows
    points_b: Rows
    points_b2: Rows
    points_c: Rows
    points_h: Rows

    @cached_property
    def prepared_verifying_key(self) -> PreparedVerifyingKey:
        """The verifying key, prepared once."""
        return self.verifying_key.prepare()

    def to_bytes(self) -> bytes:
        """The key in a format of its own: versioned, with a SHA-256 checksum at the end.

        Raises
        ------
        NotInSubgroup
            The key came from a file that says no digest of its circuit, and a point of B in G2 lies outside the
            subgroup. That takes 50 microseconds a point, once: too long for every time such a file is read.
        """
        if self.r1cs_digest is None:
            g2.check_rows(self.points_b2, part="proving_key.points_b2")
        verifying_key = self.verifying_key.to_bytes()
        sizes = [self.n_public, self.n_wires, self.domain_bits, len(verifying_key)]
        for matrix in (self.a, self.b):
            sizes += [len(matrix.row_start) - 1, len(matrix.column)]
        parts = [_HEADER.pack(_MAGIC, FILE_VERSION, self.r1cs_digest or _UNKNOWN, *sizes), verifying_key]
        parts.append(bytes(-(_HEADER.size + len(verifying_key)) % _ALIGNMENT))
        arrays = [
            *(getattr(matrix, name) for matrix in (self.a, self.b) for name in ("row_start", "column", "coefficient")),
            *(getattr(self, name) for name in _POINTS),
        ]
        parts += [np.ascontiguousarray(array).tobytes() for array in arrays]
        content = b"".join(parts)
        return content + sha256(content).digest()

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> "ProvingKey":
        """Read what :meth:`to_bytes` wrote.

        The arrays are those of ``data`` where it can be written to, for instance a private memory map of a file, and
        copies otherwise.

        Raises
        ------
        Malformed, WrongLength
            Another format or version, a wrong checksum or length, or a matrix that is not one.
        OutOfRange, NotOnCurve
            A coefficient, index or coordinate is outside its domain; a point is not on its curve. That points lie in
            the subgroup is left to the checksum, except for the verifying key's, which are checked.
        """
        data = memoryview(data).cast("B")
        if len(data) < _HEADER.size + 32 or data[:16] != _MAGIC:
            raise Malformed("proving_key", "this is not a proving key of zkshare")
        _, version, digest, n_public, n_wires, domain_bits, key_length, *matrix_sizes = _HEADER.unpack_from(data)
        if version != FILE_VERSION:
            raise Malformed("proving_key.version", f"version {version} is not {FILE_VERSION}, the one known here")
        if sha256(data[:-32]).digest() != data[-32:]:
            raise Malformed("proving_key.checksum", "the content does not have the checksum written behind it")
        size = 1 << min(domain_bits, LARGEST_DOMAIN_BITS)
        if not n_public < n_wires or max(matrix_sizes[::2]) > size or domain_bits > LARGEST_DOMAIN_BITS:
            raise OutOfRange("proving_key.header", "the sizes contradict each other")
        shapes: list[tuple[int, ...]] = []
        for rows, count in zip(matrix_sizes[::2], matrix_sizes[1::2], strict=True):
            shapes += [(rows + 1,), (count,), (count, 4)]
        shapes += [(2, 2, 4), (n_wires, 2, 4), (n_wires, 2, 4), (n_wires, 2, 2, 4), (n_wires - n_public - 1, 2, 4)]
        shapes.append((size, 2, 4))
        end = _HEADER.size + key_length
        start = end + -end % _ALIGNMENT
        if len(data) != start + 8 * sum(map(prod, shapes)) + 32:
            raise WrongLength("proving_key", "the file is shorter or longer than its header says")
        verifying_key = VerifyingKey.from_bytes(bytes(data[_HEADER.size : end]))
        if len(verifying_key.ic) != n_public + 1:
            raise WrongLength("proving_key.verifying_key", "the verifying key has another number of public inputs")
        if any(data[end:start]):
            raise Malformed("proving_key.padding", "it must be zeros")
        arrays = _arrays(data, start, shapes)
        matrices = []
        for name in "ab":
            row_start, column, coefficient = next(arrays), next(arrays), next(arrays)
            matrix = SparseMatrix(row_start.view(np.int64), column.view(np.int64), coefficient)
            _check_matrix(f"proving_key.{name}", matrix, n_wires)
            matrices.append(matrix)
        a, b = matrices
        points = list(arrays)
        for name, array in zip(_POINTS, points, strict=True):
            check_points(f"proving_key.{name}", array)
        return cls(None if digest == _UNKNOWN else digest, n_public, n_wires, domain_bits, a, b, verifying_key, *points)


def _arrays(data: memoryview, start: int, shapes: list[tuple[int, ...]]) -> Iterator[Rows]:
    for shape in shapes:
        count = prod(shape)
        rows: Rows = np.frombuffer(data, "<u8", count, start).reshape(shape)
        # Kernels are compiled for arrays that can be written; none writes to a key.
        yield rows if rows.flags.writeable else rows.copy()
        start += 8 * count


def _check_matrix(part: str, matrix: SparseMatrix, n_wires: int) -> None:
    starts = matrix.row_start
    if starts[0] != 0 or starts[-1] != len(matrix.column) or (np.diff(starts) < 0).any():
        raise Malformed(part, "the rows do not follow each other")
    if ((matrix.column < 0) | (matrix.column >= n_wires)).any():
        raise OutOfRange(part, "an entry names a wire that there is not")
    if not below(matrix.coefficient, R):
        raise OutOfRange(part, "a coefficient is not below the scalar field's modulus")


def check_points(part: str, points: Rows) -> None:
    if not below(points.reshape(-1, 4), P):
        raise OutOfRange(part, "a coordinate is not below the field's modulus")
    failed = (_first_off_curve_g1 if points.ndim == 3 else _first_off_curve_g2)(points.reshape(len(points), 2, -1))
    if failed >= 0:
        raise NotOnCurve(f"{part}[{failed}]", "the point does not satisfy the curve's equation")
