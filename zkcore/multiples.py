"""Many multiples of one point of G1 or G2, from a table of its multiples.

A scalar's signed digits pick one table entry a window (Brickell, Gordon, McCurley and Wilson 1992); the sums of many
scalars advance together, so that the additions are batched affine ones (:mod:`zkcore.affine`). Not constant-time.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore import affine
from zkcore.affine_batch import BATCH, PADDING, ROOM, add_batch
from zkcore.field import fp_zero
from zkcore.groups import Group, g1
from zkcore.kernel import inner, kernel
from zkcore.msm import SCALAR_BITS, signed_digits
from zkcore.tasks import Task
from zkcore.tower import fp2_zero

Rows = NDArray[np.uint64]

_WIDTH = 9
_WINDOWS = SCALAR_BITS // _WIDTH + 1


@inner
def _fill(like: Any, table: Any, width: Any) -> Any:
    """Multiples 1 to 2^(width - 1) of 2^(width k) times the base in block k; the base is point 0 of ``table``.

    Within a block, points m + 1 to 2 m are points 1 to m plus point m.
    """
    half = 1 << (width - 1)
    p, q, place = np.empty(half, np.int64), np.empty(half, np.int64), np.empty(half, np.int64)
    work = np.empty((half, table.shape[2]), np.uint64)
    for block in range(0, table.shape[0], half):
        for step in range(width if block + half < table.shape[0] else width - 1):
            known = 1 << step
            count = known if known < half else 1  # twice the last point of a block begins the next
            for k in range(count):
                p[k], q[k] = (block + known - count + k) << 1, (block + known - 1) << 1
                place[k] = block + known + k
            affine.add_batch(like, table, p, table, q, table, place, 0, count, work)


@inner
def _multiply(like: Any, table: Any, width: Any, digits: Any, out: Any) -> Any:
    half = 1 << (width - 1)
    size = min(BATCH, out.shape[0]) + PADDING
    p, q, place = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    work = np.empty((size, ROOM * table.shape[2]), np.uint64)
    out[:] = 0
    for begin in range(0, out.shape[0], BATCH):
        end = min(begin + BATCH, out.shape[0])
        for window in range(digits.shape[0]):
            pending = 0
            for i in range(begin, end):
                digit = np.int64(digits[window, i])
                if digit != 0:
                    p[pending], place[pending] = i << 1, i
                    q[pending] = (window * half + abs(digit) - 1) << 1 | (digit < 0)
                    pending += 1
            add_batch(like, out, p, table, q, out, place, 0, pending, work)


@kernel
def _fill_g1(table: Any, width: Any) -> Any:
    _fill(fp_zero(), table, width)


@kernel
def _fill_g2(table: Any, width: Any) -> Any:
    _fill(fp2_zero(), table, width)


@kernel
def _multiply_g1(table: Any, width: Any, digits: Any, out: Any) -> Any:
    _multiply(fp_zero(), table, width, digits, out)


@kernel
def _multiply_g2(table: Any, width: Any, digits: Any, out: Any) -> Any:
    _multiply(fp2_zero(), table, width, digits, out)


class FixedBase:
    """A point of G1 or G2 with a table of its multiples: 0.5 MiB in G1, 0.9 MiB in G2."""

    def __init__(self, group: Group[Any], base: Any) -> None:
        self._group = group
        words = 4 * group.coordinates
        self._table = np.zeros((_WINDOWS << (_WIDTH - 1), 2, words), np.uint64)
        self._table[0] = group.encode([base]).reshape(2, words)
        (_fill_g1 if group is g1 else _fill_g2)(self._table, _WIDTH)

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
        (_multiply_g1 if self._group is g1 else _multiply_g2)(self._table, _WIDTH, digits, rows)

    def tasks(self, scalars: Rows, out: Rows, size: int = 1 << 12) -> list[Task]:
        """:meth:`multiply` cut into calls of at most ``size`` scalars, for a pool of threads."""

        def task(begin: int) -> Task:
            return lambda: self.multiply(scalars[begin : begin + size], out[begin : begin + size])

        return [task(begin) for begin in range(0, len(scalars), size)]
