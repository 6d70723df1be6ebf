"""Kernels of the ceremony: sums of points for every wire, and all points times one number, eight at a time in lanes.

Points are affine in Montgomery form. The number that multiplies is a contributor's secret: the work is the same for
every number of 256 bits, but which multiple is read from memory depends on it, so this is not constant-time.
"""

from typing import Any

import numpy as np

from zkcore.cpu import BACKEND
from zkcore.curve import (
    add,
    add_affine,
    double,
    load_affine,
    load_projective,
    neutral,
    projective,
    reciprocal,
    store_projective,
)
from zkcore.field import fp_zero
from zkcore.field_lanes import fp_lanes_zero, gather, scatter
from zkcore.kernel import inner, kernel
from zkcore.number import is_zero, lanes_of, load, one, select, store, zero
from zkcore.tower import fp2_zero

WINDOW = 4
"""Bits of the number that are looked up together."""


@inner
def _bit(words: Any, index: Any, position: Any) -> Any:
    return (words[index, position >> 6] >> np.uint64(position & 63)) & np.uint64(1)


@inner
def _length(words: Any, index: Any) -> Any:
    """Bits of a number of four words."""
    for position in range(255, -1, -1):
        if _bit(words, index, position):
            return position + 1
    return 0


@inner
def _combine(like: Any, points: Any, starts: Any, rows: Any, sizes: Any, negative: Any, first: Any, out: Any) -> Any:
    """For every wire from ``first`` on the sum of its entries' points, each times the entry's size and sign.

    All public; entries of one wire share their doublings (Straus 1964).
    """
    for i in range(out.shape[0]):
        begin, end = starts[first + i], starts[first + i + 1]
        longest = 0
        for entry in range(begin, end):
            longest = max(longest, _length(sizes, entry))
        total = neutral(like)
        for position in range(longest - 1, -1, -1):
            total = double(total)
            for entry in range(begin, end):
                if _bit(sizes, entry, position):
                    x, y = load_affine(like, points, rows[entry])
                    total = add_affine(total, (x, -y if negative[entry] else y))
        store_projective(out, i, total)


@kernel
def combine_g1(points: Any, starts: Any, rows: Any, sizes: Any, negative: Any, first: Any, out: Any) -> Any:
    _combine(fp_zero(), points, starts, rows, sizes, negative, first, out)


@kernel
def combine_g2(points: Any, starts: Any, rows: Any, sizes: Any, negative: Any, first: Any, out: Any) -> Any:
    _combine(fp2_zero(), points, starts, rows, sizes, negative, first, out)


@inner
def _scale(like: Any, points: Any, digits: Any, table: Any, work: Any, prefix: Any) -> Any:
    """Points ``uint64[n, 2, 4]``, canonical, n a multiple of the lanes, times the number of these digits, in place."""
    width = lanes_of(like)
    groups = points.shape[0] // width
    for group in range(groups):
        at = 2 * group * width
        point = projective((gather(like, points, at, 2), gather(like, points, at + 1, 2)))
        multiple = neutral(like)
        for i in range(1 << WINDOW):
            store_projective(table, i, multiple)
            multiple = add(multiple, point)
        total = neutral(like)
        for digit in digits:
            for _ in range(WINDOW):
                total = double(total)
            total = add(total, load_projective(like, table, digit))
        store_projective(work, group, total)
    product = one(like)  # one inversion for all (Montgomery's trick), in every lane by itself
    for group in range(groups):
        z = load(like, work, 3 * group + 2)
        store(prefix, group, product)
        product = product * select(is_zero(z), one(z), z)
    inverted = reciprocal(product)
    for group in range(groups - 1, -1, -1):
        x, y, z = load_projective(like, work, group)
        factor = inverted * load(like, prefix, group)
        inverted = inverted * select(is_zero(z), one(z), z)
        at = 2 * group * width
        scatter(points, at, 2, x * factor)
        scatter(points, at + 1, 2, select(is_zero(z), zero(z), y * factor))


_like = fp_lanes_zero if BACKEND == "avx512ifma" else fp_zero


@kernel
def scale_g1(points: Any, digits: Any, table: Any, work: Any, prefix: Any) -> Any:
    _scale(_like(), points, digits, table, work, prefix)
