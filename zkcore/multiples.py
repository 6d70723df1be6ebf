"""Many multiples of one point of G1 or G2, from a table of its multiples.

A scalar's signed digits pick one table entry a window (Brickell, Gordon, McCurley and Wilson 1992); the sums of many
scalars advance together, so that the additions are batched affine ones (:mod:`zkcore.affine`). Not constant-time.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.affine_batch import PADDING, add_points, work_shape
from zkcore.groups import Group
from zkcore.kernel import kernel
from zkcore.msm import SCALAR_BITS, signed_digits
from zkcore.tasks import Task

Rows = NDArray[np.uint64]

_WIDTH = 9
_WINDOWS = SCALAR_BITS // _WIDTH + 1
_TOGETHER = 1 << 12
"""Sums that advance together: their points, 256 KiB in G1, stay in fast memory."""


def _fill(table: Rows) -> None:
    """Multiples 1 to 2^(width - 1) of 2^(width k) times the base in block k; the base is point 0 of ``table``.

    Within a block, points m + 1 to 2 m are points 1 to m plus point m.
    """
    half = 1 << (_WIDTH - 1)
    p, q, place = (np.zeros(half + PADDING, np.int64) for _ in range(3))
    work = np.empty(work_shape(half, table.shape[2]), np.uint64)
    for block in range(0, len(table), half):
        for step in range(_WIDTH if block + half < len(table) else _WIDTH - 1):
            known = 1 << step
            count = known if known < half else 1  # twice the last point of a block begins the next
            p[:count] = np.arange(block + known - count, block + known) << 1
            q[:count] = (block + known - 1) << 1
            place[:count] = np.arange(block + known, block + known + count)
            add_points(table, p, table, q, table, place, count, work)


@kernel
def _choose(digits: Any, first: Any, p: Any, q: Any, place: Any) -> Any:
    """References to the running totals whose digit is not 0, and to the entries of a table that the digits pick."""
    count = 0
    for i in range(digits.shape[0]):
        digit = np.int64(digits[i])
        if digit != 0:
            p[count], place[count] = i << 1, i
            q[count] = (first + abs(digit) - 1) << 1 | (digit < 0)
            count += 1
    return count


class FixedBase:
    """A point of G1 or G2 with a table of its multiples: 0.5 MiB in G1, 0.9 MiB in G2."""

    def __init__(self, group: Group[Any], base: Any) -> None:
        self._group = group
        words = 4 * group.coordinates
        self._table = np.zeros((_WINDOWS << (_WIDTH - 1), 2, words), np.uint64)
        self._table[0] = group.encode([base]).reshape(2, words)
        _fill(self._table)

    def multiply(self, scalars: Rows, out: Rows) -> None:
        """Write each scalar's multiple, affine in Montgomery form, to ``out``.

        Parameters
        ----------
        scalars
            Canonical, ``uint64[n, 4]``, below 2^254.
        out
            ``uint64[n, 2, 4]`` in G1, ``uint64[n, 2, 2, 4]`` in G2, in C order.
        """
        digits = np.empty((_WINDOWS, len(scalars)), np.int16)
        signed_digits(scalars, _WIDTH, digits)
        rows = out.reshape(len(scalars), 2, self._table.shape[2])
        rows[:] = 0
        work = np.empty(work_shape(min(len(rows), _TOGETHER), rows.shape[2]), np.uint64)
        for begin in range(0, len(rows), _TOGETHER):
            part = rows[begin : begin + _TOGETHER]
            p, q, place = (np.empty(len(part) + PADDING, np.int64) for _ in range(3))
            for window, row in enumerate(digits):
                count = _choose(row[begin : begin + _TOGETHER], window << (_WIDTH - 1), p, q, place)
                add_points(part, p, self._table, q, part, place, count, work)

    def tasks(self, scalars: Rows, out: Rows, size: int = _TOGETHER) -> list[Task]:
        """:meth:`multiply` cut into calls of at most ``size`` scalars, for a pool of threads."""

        def task(begin: int) -> Task:
            return lambda: self.multiply(scalars[begin : begin + size], out[begin : begin + size])

        return [task(begin) for begin in range(0, len(scalars), size)]
