"""Batched affine additions as one kernel for each group, in lanes or one at a time as the processor can.

Compiling an addition takes long, so everything that adds affine points in bulk calls these two kernels. Where they are
in lanes, the results are the same bit for bit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.affine import copy_point
from zkcore.cpu import BACKEND
from zkcore.field import fp_zero
from zkcore.kernel import inner, kernel
from zkcore.tower import fp2_zero

if BACKEND == "avx512ifma":
    from zkcore.affine_lanes import BATCH, ROOM, add_batch
else:
    from zkcore.affine import BATCH, ROOM, add_batch

Points = NDArray[np.uint64]
References = NDArray[np.int64]

PADDING = 7
"""How many entries beyond the last sum the arrays of references and places have."""


_LINE = 64
"""Bytes of a line of the cache."""


@inner
def _add(like: Any, left: Any, p: Any, right: Any, q: Any, out: Any, place: Any, count: Any, work: Any) -> Any:
    for first in range(0, count, BATCH):
        add_batch(like, left, p, right, q, out, place, first, min(first + BATCH, count), work)


@kernel
def _add_g1(left: Any, p: Any, right: Any, q: Any, out: Any, place: Any, count: Any, work: Any) -> Any:
    _add(fp_zero(), left, p, right, q, out, place, count, work)


@kernel
def _add_g2(left: Any, p: Any, right: Any, q: Any, out: Any, place: Any, count: Any, work: Any) -> Any:
    _add(fp2_zero(), left, p, right, q, out, place, count, work)


@kernel
def _copy_g1(points: Any, references: Any, out: Any, place: Any, count: Any) -> Any:
    for k in range(count):
        copy_point(fp_zero(), points, references[k], out, place[k])


@kernel
def _copy_g2(points: Any, references: Any, out: Any, place: Any, count: Any) -> Any:
    for k in range(count):
        copy_point(fp2_zero(), points, references[k], out, place[k])


def aligned_points(count: int, words: int) -> Points:
    """Room for ``count`` points, of which none shares a line of the processor's cache with another one."""
    room = np.empty(2 * words * count + _LINE // 8, np.uint64)
    first = -room.ctypes.data % _LINE // 8
    return room[first : first + 2 * words * count].reshape(count, 2, words)


def work_shape(count: int, words: int) -> tuple[int, int]:
    """The shape of the memory in which :func:`add_points` works for up to ``count`` sums."""
    return min(count, BATCH) + PADDING, ROOM * words


def add_points(
    left: Points, p: References, right: Points, q: References, out: Points, place: References, count: int, work: Points
) -> None:
    """``out[place[k]] = left[p[k]] + right[q[k]]`` for every k below ``count``.

    Points are ``uint64[n, 2, 4]`` or, of G2, ``uint64[n, 2, 8]``; for references see :mod:`zkcore.affine`. ``out`` may
    be one of the others where no sum reads what another one writes. ``p``, ``q`` and ``place`` have room for
    :data:`PADDING` more entries; ``work`` is uint64 of :func:`work_shape`, and left as it happens to be.
    """
    (_add_g1 if left.shape[2] == 4 else _add_g2)(left, p, right, q, out, place, count, work)


def copy_points(points: Points, references: References, out: Points, place: References, count: int) -> None:
    """``out[place[k]] = points[references[k]]`` for every k below ``count``."""
    (_copy_g1 if points.shape[2] == 4 else _copy_g2)(points, references, out, place, count)
