"""Sparse matrices while they are written, a row at a time or many shifted rows at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import OutOfRange
from zkcore.limbs import to_limbs
from zkcore.r1cs import SparseMatrix

Terms = dict[int, int]
"""Coefficients by wire; wire 0 is the constant 1."""


class Shiftable(NamedTuple):
    """Rows whose wires, but the constant's, are counted from a place that is yet to be chosen.

    Attributes
    ----------
    length
        int64[rows], entries of each row.
    column
        int64[entries], the wire less the place; -1 is the constant.
    coefficient
        uint64[entries, 4], canonical limbs.
    """

    length: NDArray[np.int64]
    column: NDArray[np.int64]
    coefficient: NDArray[np.uint64]


class Rows:
    """Rows of a sparse matrix under construction."""

    def __init__(self) -> None:
        self._written: list[Shiftable] = []
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

    def append_shifted(self, rows: Shiftable, place: int) -> None:
        """Add rows with their wires counted from ``place``."""
        self._settle()
        column = np.where(rows.column < 0, 0, rows.column + place)
        self._written.append(rows._replace(column=column))
        self._count += len(rows.length)

    def shiftable(self, first: int, place: int) -> Shiftable:
        """The rows from number ``first`` on, with their wires counted from ``place``.

        Raises
        ------
        OutOfRange
            If one of them has a wire, other than the constant, before ``place``.
        """
        matrix = self.finish()
        start = matrix.row_start[first]
        column = matrix.column[start:]
        if ((column > 0) & (column < place)).any():
            raise OutOfRange("place", "a row that is to be shifted has an earlier wire")
        shifted = np.where(column == 0, -1, column - place)
        return Shiftable(np.diff(matrix.row_start[first:]), shifted, matrix.coefficient[start:])

    def finish(self) -> SparseMatrix:
        """The matrix of all rows."""
        self._settle()
        length, column, coefficient = (np.concatenate(parts) for parts in zip(*self._written, strict=True))
        return SparseMatrix(np.concatenate([np.zeros(1, np.int64), np.cumsum(length)]), column, coefficient)

    def _settle(self) -> None:
        """Turn the rows that were added one at a time into arrays."""
        self._written.append(
            Shiftable(np.array(self._length, np.int64), np.array(self._column, np.int64), to_limbs(self._coefficient))
        )
        self._length, self._column, self._coefficient = [], [], []
