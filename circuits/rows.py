"""Sparse matrices while they are written, a row at a time or many at once."""

import numpy as np
from numpy.typing import NDArray

from zkcore.limbs import to_limbs
from zkcore.r1cs import SparseMatrix

Terms = dict[int, int]
"""Coefficients by wire; wire 0 is the constant 1."""


class Rows:
    """Rows of a sparse matrix under construction."""

    def __init__(self) -> None:
        self._written: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]] = []
        self._length: list[int] = []
        self._column: list[int] = []
        self._coefficient: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, terms: Terms) -> int:
        """Add a row and return its number."""
        self._length.append(len(terms))
        self._column.extend(terms.keys())
        self._coefficient.extend(terms.values())
        self._count += 1
        return self._count - 1

    def extend(self, matrix: SparseMatrix, wires: NDArray[np.int64]) -> None:
        """Add the rows of a matrix, with ``wires[w]`` in the place of wire w."""
        self._settle()
        self._written.append((np.diff(matrix.row_start), wires[matrix.column], matrix.coefficient))
        self._count += len(matrix.row_start) - 1

    def finish(self) -> SparseMatrix:
        """The matrix of all rows."""
        self._settle()
        length, column, coefficient = (np.concatenate(parts) for parts in zip(*self._written, strict=True))
        return SparseMatrix(np.concatenate([np.zeros(1, np.int64), np.cumsum(length)]), column, coefficient)

    def _settle(self) -> None:
        """Turn the rows that were added one at a time into arrays."""
        if self._length or not self._written:
            one_at_a_time = np.array(self._length, np.int64), np.array(self._column, np.int64)
            self._written.append((*one_at_a_time, to_limbs(self._coefficient)))
            self._length, self._column, self._coefficient = [], [], []
