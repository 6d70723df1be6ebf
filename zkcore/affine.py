"""Batches of affine additions that share one inversion (Montgomery's trick): six products a sum instead of eleven.

What multi-scalar and fixed-base multiplication spend their time on. Points are rows ``uint64[n, 2, words]`` of
Montgomery form, ``words`` 4 for G1 and 8 for G2; all zeros is the neutral element. A reference to a point is
``index << 1 | negated``.

Every case is right (equal points, opposite points, the neutral element), by branches: not for secrets that an attacker
could time.
"""

from typing import Any

import numpy as np

from zkcore.curve import reciprocal
from zkcore.kernel import inner
from zkcore.number import load, one, square, store

BATCH = 512
"""Sums that share an inversion, which then costs less than a tenth; what they touch stays in fast memory."""

ROOM = 1
"""Words of working memory for each word of a coordinate and each sum."""

_LEFT, _RIGHT, _NEUTRAL, _DOUBLE, _SUM = 0, 1, 2, 3, 4


@inner
def is_neutral_row(points: Any, index: Any) -> Any:
    """Whether point ``index`` is the neutral element; no other point of odd order has y = 0."""
    found = np.uint64(0)
    for k in range(points.shape[2]):
        found |= points[index, 1, k]
    return found == np.uint64(0)


@inner
def _same_words(left: Any, i: Any, right: Any, j: Any, coordinate: Any) -> Any:
    difference = np.uint64(0)
    for k in range(left.shape[2]):
        difference |= left[i, coordinate, k] ^ right[j, coordinate, k]
    return difference == np.uint64(0)


@inner
def _case(left: Any, p: Any, right: Any, q: Any) -> Any:
    i, j = p >> 1, q >> 1
    if is_neutral_row(left, i):
        return _RIGHT
    if is_neutral_row(right, j):
        return _LEFT
    if not _same_words(left, i, right, j, 0):
        return _SUM
    if _same_words(left, i, right, j, 1) == ((p & 1) == (q & 1)):
        return _DOUBLE
    return _NEUTRAL


@inner
def load_point(like: Any, points: Any, reference: Any) -> Any:
    """The affine point that ``reference`` names."""
    x, y = load(like, points, reference & -2), load(like, points, reference | 1)
    return (x, -y) if reference & 1 else (x, y)


@inner
def copy_point(like: Any, points: Any, reference: Any, out: Any, index: Any) -> Any:
    x, y = load_point(like, points, reference)
    store(out, 2 * index, x)
    store(out, 2 * index + 1, y)


@inner
def add_batch(
    like: Any, left: Any, p: Any, right: Any, q: Any, out: Any, place: Any, begin: Any, end: Any, work: Any
) -> Any:
    """``out[place[k]] = left[p[k]] + right[q[k]]`` for every k from ``begin`` to ``end``.

    ``out`` may be ``left`` or ``right`` where no sum of the batch reads what another one writes. ``work`` is
    ``uint64[end - begin or more, words]``.
    """
    product = one(like)
    for k in range(begin, end):
        store(work, k - begin, product)
        case = _case(left, p[k], right, q[k])
        if case == _SUM:
            product = product * (load(like, right, q[k] & -2) - load(like, left, p[k] & -2))
        elif case == _DOUBLE:
            y = load_point(like, left, p[k])[1]
            product = product * (y + y)
    inverted = reciprocal(product)
    for k in range(end - 1, begin - 1, -1):
        case = _case(left, p[k], right, q[k])
        if case >= _DOUBLE:
            x1, y1 = load_point(like, left, p[k])
            x2, y2 = load_point(like, right, q[k])
            if case == _SUM:
                run, rise = x2 - x1, y2 - y1
            else:
                xx = square(x1)
                run, rise = y1 + y1, xx + xx + xx
            slope = rise * (inverted * load(like, work, k - begin))
            inverted = inverted * run
            x = square(slope) - x1 - x2
            store(out, 2 * place[k], x)
            store(out, 2 * place[k] + 1, slope * (x1 - x) - y1)
        elif case == _LEFT:
            copy_point(like, left, p[k], out, place[k])
        elif case == _RIGHT:
            copy_point(like, right, q[k], out, place[k])
        else:
            for word in range(out.shape[2]):
                out[place[k], 0, word] = np.uint64(0)
                out[place[k], 1, word] = np.uint64(0)
