"""Rank-1 constraint systems over the scalar field of BN254: (A w) * (B w) = C w, row by row.

Wire 0 is the constant 1, wires 1 to ``n_public`` are the public inputs, the others are private, as circom orders them.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength
from zkcore.field import enter_rows, fr, fr_load, fr_zero, store, to_montgomery
from zkcore.kernel import inner, kernel
from zkcore.limbs import below, to_limbs


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

    def multiply(self, vector: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
        """Write the product of each row with ``vector`` to the first rows of ``out``, both in Montgomery form."""
        _multiply(self.row_start, self.column, self.coefficient, vector, out)


@inner
def _row(row_start: Any, column: Any, coefficient: Any, vector: Any, i: Any) -> Any:
    """Product of row i with a vector in Montgomery form; coefficients are not, which divides it by 2^256."""
    total = fr_zero()
    for k in range(row_start[i], row_start[i + 1]):
        total = total + fr_load(coefficient, k) * fr_load(vector, column[k])
    return total


@kernel
def _multiply(row_start: Any, column: Any, coefficient: Any, vector: Any, out: Any) -> Any:
    for i in range(row_start.shape[0] - 1):
        store(out, i, to_montgomery(_row(row_start, column, coefficient, vector, i)))


@kernel
def _first_difference(left: Any, right: Any, product: Any) -> Any:
    """Least i for which ``left[i] right[i] = product[i]`` does not hold, -1 if there is none."""
    for i in range(product.shape[0]):
        if fr_load(left, i) * fr_load(right, i) != fr_load(product, i):
            return i
    return -1


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

    def check(self, witness: NDArray[np.uint64]) -> int | None:
        """Index of the first constraint that ``witness`` violates, None if it satisfies them all.

        Parameters
        ----------
        witness
            Canonical values of all wires, ``uint64[n_wires, 4]``.

        Raises
        ------
        WrongLength, OutOfRange
            The witness has another shape; a value is not below the modulus, or wire 0 is not 1.
        """
        wires = encode_witness(witness, self.n_wires)
        products = [np.empty((self.n_constraints, 4), np.uint64) for _ in range(3)]
        for matrix, product in zip((self.a, self.b, self.c), products, strict=True):
            matrix.multiply(wires, product)
        violated = _first_difference(*products)
        return None if violated < 0 else int(violated)

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


def encode_witness(witness: NDArray[np.uint64], n_wires: int) -> NDArray[np.uint64]:
    """A witness in Montgomery form, after what every user of one checks.

    Raises
    ------
    WrongLength
        It is not ``uint64[n_wires, 4]``.
    OutOfRange
        A value is not below the modulus, or wire 0 is not 1.
    """
    if witness.shape != (n_wires, 4) or witness.dtype != np.uint64:
        raise WrongLength("witness", f"the circuit takes uint64[{n_wires}, 4], not {witness.dtype}{witness.shape}")
    if not below(witness, R):
        raise OutOfRange("witness", "a value is not below the field's modulus")
    if (witness[0] != to_limbs([1])[0]).any():
        raise OutOfRange("witness[0]", "wire 0 is the constant 1")
    wires = np.array(witness, order="C")
    enter_rows(fr, wires)
    return wires
