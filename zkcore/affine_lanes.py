"""Batches of affine additions (:mod:`zkcore.affine`), eight at a time in lanes; the results are the same.

Points come into lanes with their coordinates over 16 (:mod:`zkcore.lane_points`). The slope of a chord is not changed
by that, but its square must be divided by 16: with s the slope over 4, the sum has x3 = s^2 - x1 - x2 and
y3 = 4 s (x1 - x3) - y1, all coordinates over 16. The division by 4 is done once a batch, on the shared inverse.

Equal and opposite points and the neutral element are rare, and left to the additions one at a time.
"""

from typing import Any

import numpy as np
from numba.extending import overload

from zkcore import affine
from zkcore.bn254 import P
from zkcore.field import fp_zero, invert_rows
from zkcore.field_lanes import WIDTH, gather, mask_bits, mask_from_bits, scatter
from zkcore.kernel import inner
from zkcore.lane_points import lanes_of, load_points, prefetch_points, same_limbs, store_points
from zkcore.lane_sums import four_products, loose_difference, minus_both
from zkcore.number import constant, load, one, select, square, store, zero
from zkcore.tower import Fp2Type, conjugate, imaginary_part, real_part, scale

BATCH = 4096
"""Sums that share an inversion of eight lanes."""
ROOM = 2
"""Words of working memory for each word of a coordinate and each sum, enough for limbs of 52 bits."""

_AHEAD = 6
"""Groups of sums between asking memory for points and their use."""

_scaled_quarter = constant(pow(4 << 512, -1, P))


@inner
def _invert_lanes(a: Any) -> Any:
    """2^512 / a for each lane, none zero, with one inversion of a single element.

    It works on the canonical integers as if they were Montgomery forms, hence the factor.
    """
    rows, scratch = np.empty((WIDTH, 4), np.uint64), np.empty((WIDTH, 4), np.uint64)
    scatter(rows, 0, 1, a)
    invert_rows(fp_zero(), rows, scratch)
    return gather(a, rows, 0, 1)


def _scaled_reciprocal(a: Any) -> Any:
    """2^512 / a in Fp or Fp2, for each lane, none zero."""
    raise NotImplementedError("only kernels can call this")


@overload(_scaled_reciprocal)
def _scaled_reciprocal_in_kernels(a: Any) -> Any:
    def of_fp(a: Any) -> Any:
        return _invert_lanes(a)

    def of_fp2(a: Any) -> Any:
        x, y = real_part(a), imaginary_part(a)
        return scale(conjugate(a), _invert_lanes(x * x + y * y))

    return of_fp2 if isinstance(a, Fp2Type) else of_fp


@inner
def add_batch(
    like: Any, left: Any, p: Any, right: Any, q: Any, out: Any, place: Any, begin: Any, end: Any, work: Any
) -> Any:
    """As :func:`zkcore.affine.add_batch`; ``p``, ``q`` and ``place`` have room for seven more entries.

    ``work`` has :data:`ROOM` words for each word of a coordinate and each sum.
    """
    wide = lanes_of(like)
    groups = (end - begin + WIDTH - 1) // WIDTH
    for k in range(end, begin + WIDTH * groups):  # repeats the last sum, which does no harm
        p[k], q[k], place[k] = p[end - 1], q[end - 1], place[end - 1]
    flags = np.empty(groups, np.uint64)
    product = one(wide)
    rare = np.uint64(0)
    for group in range(groups):
        at = begin + WIDTH * group
        ahead = min(at + WIDTH * _AHEAD, begin + WIDTH * (groups - 1))
        prefetch_points(wide, left, p, ahead)
        prefetch_points(wide, right, q, ahead)
        store(work, group, product)
        x1, x2 = load_points(wide, left, p, at)[0], load_points(wide, right, q, at)[0]
        unfit = same_limbs(x1, x2) | same_limbs(x1, zero(x1)) | same_limbs(x2, zero(x1))
        flags[group] = mask_bits(unfit)
        rare |= flags[group]
        product = product * select(unfit, one(x1), loose_difference(x2, x1))
    if rare != np.uint64(0):
        _add_rare(like, left, p, right, q, out, place, begin, end, flags)
    inverted = _scaled_reciprocal(product) * _scaled_quarter(product)
    for group in range(groups - 1, -1, -1):
        at = begin + WIDTH * group
        unfit = mask_from_bits(wide, flags[group])
        x1, y1 = load_points(wide, left, p, at)
        x2, y2 = load_points(wide, right, q, at)
        slope = loose_difference(y2, y1) * (inverted * load(wide, work, group))
        inverted = inverted * select(unfit, one(x1), loose_difference(x2, x1))
        x = minus_both(square(slope), x1, x2)
        store_points(out, place, at, x, four_products(slope, x1, x) - y1, unfit)


@inner
def _add_rare(
    like: Any, left: Any, p: Any, right: Any, q: Any, out: Any, place: Any, begin: Any, end: Any, flags: Any
) -> Any:
    """The flagged sums, one at a time."""
    rare_p, rare_q, rare_place = np.empty_like(p), np.empty_like(p), np.empty_like(p)
    found = begin
    for k in range(begin, end):
        if (flags[(k - begin) // WIDTH] >> np.uint64((k - begin) % WIDTH)) & np.uint64(1):
            rare_p[found], rare_q[found], rare_place[found] = p[k], q[k], place[k]
            found += 1
    work = np.empty((found - begin, left.shape[2]), np.uint64)
    affine.add_batch(like, left, rare_p, right, rare_q, out, rare_place, begin, found, work)
