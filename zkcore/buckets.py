"""The last step of a window of Pippenger's method: 1 B_1 + 2 B_2 + ... + n B_n of its buckets, by suffix sums.

In lanes, each of the eight takes a stretch of n / 8 buckets; with T_i the sum for the stretch as if it were the first
and S_i the plain sum of its buckets, the whole is sum of T_i plus n / 8 times the sum of i S_i.

Bucket b holds the point ``start[b]`` of ``points``, or none if ``start[b + 1]`` is the same.
"""

from typing import Any

import numpy as np

from zkcore.affine import is_neutral_row
from zkcore.bn254 import P
from zkcore.cpu import BACKEND
from zkcore.curve import add, add_affine, choose, double, load_affine, load_projective, neutral
from zkcore.field_lanes import WIDTH, mask_from_bits
from zkcore.kernel import inner
from zkcore.lane_points import lanes_of, load_points, store_points
from zkcore.number import constant

_sixteenth = constant(pow(16, -1, P))


@inner
def _sum_one_by_one(like: Any, points: Any, start: Any, first: Any, buckets: Any) -> Any:
    """The sum for the ``buckets`` buckets from ``first`` on, a projective point."""
    running = total = neutral(like)
    highest = first + buckets - 1
    while highest >= first and start[highest + 1] == start[highest]:
        highest -= 1
    for b in range(highest, first - 1, -1):
        if start[b + 1] > start[b]:
            running = add_affine(running, load_affine(like, points, start[b]))
        total = add(total, running)
    return total


@inner
def _store_lanes(like: Any, p: Any, out: Any) -> Any:
    """Eight projective points, each multiplied by 16 in all three coordinates, which is the same point."""
    places = np.empty(2 * WIDTH, np.int64)
    for i in range(2 * WIDTH):
        places[i] = i
    none = mask_from_bits(p[0], np.uint64(0))
    pairs = np.empty((2 * WIDTH, 2, out.shape[2]), np.uint64)
    store_points(pairs, places, 0, p[0], p[1], none)
    store_points(pairs, places, WIDTH, p[2], p[2], none)
    for lane in range(WIDTH):
        for word in range(out.shape[2]):
            out[lane, 0, word], out[lane, 1, word] = pairs[lane, 0, word], pairs[lane, 1, word]
            out[lane, 2, word] = pairs[WIDTH + lane, 0, word]


@inner
def _sum_in_lanes(like: Any, points: Any, start: Any, first: Any, buckets: Any) -> Any:
    """As :func:`_sum_one_by_one`, for a multiple of eight buckets."""
    wide = lanes_of(like)
    running = total = neutral(wide)
    stretch = buckets // WIDTH
    references = np.empty(WIDTH, np.int64)
    for step in range(stretch - 1, -1, -1):
        empty = np.uint64(0)
        for lane in range(WIDTH):
            b = first + lane * stretch + step
            references[lane] = 0
            if start[b + 1] > start[b] and not is_neutral_row(points, start[b]):
                references[lane] = start[b] << 1
            else:
                empty |= np.uint64(1) << np.uint64(lane)
        x, y = load_points(wide, points, references, 0)  # both over 16, as the third coordinate then is
        running = choose(mask_from_bits(wide, empty), running, add(running, (x, y, _sixteenth(x))))
        total = add(total, running)
    words = points.shape[2]
    sums, totals = np.empty((WIDTH, 3, words), np.uint64), np.empty((WIDTH, 3, words), np.uint64)
    _store_lanes(like, running, sums)
    _store_lanes(like, total, totals)
    suffix = whole = neutral(like)
    for lane in range(WIDTH - 1, 0, -1):
        suffix = add(suffix, load_projective(like, sums, lane))
        whole = add(whole, suffix)
    while stretch > 1:
        whole = double(whole)
        stretch >>= 1
    for lane in range(WIDTH):
        whole = add(whole, load_projective(like, totals, lane))
    return whole


sum_buckets, BUCKET_COST = (_sum_in_lanes, 3) if BACKEND == "avx512ifma" else (_sum_one_by_one, 4)
"""The sum for a power of two of buckets, eight or more, and what a bucket costs in it, in batched additions."""
