"""Rank-1 constraint systems over the scalar field of BN254: (A w) * (B w) = C w, row by row.

Wire 0 is the constant 1, wires 1 to ``n_public`` are the public inputs, the others are private, as circom orders them.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A sparse matrix by rows.

    Attributes
    ----------
    row_start
        int64[rows + 1]; the entries of row i are those from ``row_start[i]`` to ``row_start[i + 1]``.
    column
        int64[entries], the wire of each entry.
    coefficient
        uint64[entries, 4], canonical little-endian limbs below the modulus.
    """

    row_start: NDArray[np.int64]
    column: NDArray[np.int64]
    coefficient: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class R1CS:
    """A constraint system with ``n_public`` public inputs and ``n_wires`` wires in all."""

    n_public: int
    n_wires: int
    a: SparseMatrix
    b: SparseMatrix
    c: SparseMatrix

    @property
    def n_constraints(self) -> int:
        """Number of rows."""
        return len(self.a.row_start) - 1

    @cached_property
    def _digest(self) -> bytes:
        digest = sha256(b"zkshare r1cs v1\x00")
        for number in (self.n_public, self.n_wires, self.n_constraints):
            digest.update(number.to_bytes(8, "little"))
        for matrix in (self.a, self.b, self.c):
            for array, kind in ((matrix.row_start, "<i8"), (matrix.column, "<i8"), (matrix.coefficient, "<u8")):
                digest.update(array.shape[0].to_bytes(8, "little"))
                digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        return digest.digest()

    def digest(self) -> bytes:
        """SHA-256 over the whole system (32 bytes); two systems with the same digest have the same keys."""
        return self._digest
