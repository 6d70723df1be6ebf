"""Sums and differences in lanes that are not settled, on operands as large as they may be."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zkcore.bn254 import P
from zkcore.cpu import BACKEND
from zkcore.field_lanes import MONTGOMERY, RADIX, WIDTH, fp_lanes_zero, scatter
from zkcore.kernel import kernel
from zkcore.lane_sums import four_products, loose_difference, minus_both
from zkcore.limbs import from_limbs
from zkcore.number import load
from zkcore.tower import imaginary_part, pair, real_part

pytestmark = pytest.mark.skipif(BACKEND != "avx512ifma", reason="the processor has no such lanes")

LARGEST = 5 * P // 3
operands = st.one_of(st.sampled_from([0, 1, P - 1, P, P + 1, LARGEST]), st.integers(0, LARGEST))
below = st.one_of(st.sampled_from([0, 1, P - 1, P]), st.integers(0, P))


@kernel
def _operations(raw, out):
    """On the five numbers as they lie in lanes; products bring the differences into range."""
    like = fp_lanes_zero()
    factor, a, b, c, d = (
        load(like, raw, 0),
        load(like, raw, 1),
        load(like, raw, 2),
        load(like, raw, 3),
        load(like, raw, 4),
    )
    scatter(out, 0, 1, loose_difference(a, b) * factor)
    scatter(out, 8, 1, minus_both(a, c, d))
    scatter(out, 16, 1, four_products(factor, a, b))
    wide = loose_difference(pair(a, b), pair(b, factor)) * pair(factor, a)
    scatter(out, 24, 1, real_part(wide))
    scatter(out, 32, 1, imaginary_part(wide))
    both = minus_both(pair(a, b), pair(c, d), pair(d, d))
    scatter(out, 40, 1, real_part(both))
    scatter(out, 48, 1, imaginary_part(both))
    wide = four_products(pair(factor, a), pair(a, b), pair(b, factor))
    scatter(out, 56, 1, real_part(wide))
    scatter(out, 64, 1, imaginary_part(wide))


@given(operands, operands, operands, below, below)
@example(LARGEST, LARGEST, 0, P, P)
@example(LARGEST, 0, LARGEST, P, P)
@settings(deadline=None, max_examples=200)
def test_against_integers(factor: int, a: int, b: int, c: int, d: int) -> None:
    """Lane i takes the operands with i less where that is not below zero, so that lanes differ."""
    numbers = [[max(value - lane, 0) for lane in range(WIDTH)] for value in (factor, a, b, c, d)]
    mask = (1 << RADIX) - 1
    raw = np.array([[[lane >> RADIX * i & mask for lane in each] for i in range(5)] for each in numbers], np.uint64)
    out = np.empty((9 * WIDTH, 4), np.uint64)
    _operations(raw.reshape(5, 5 * WIDTH), out)
    found = from_limbs(out)
    unit = pow(MONTGOMERY, -1, P)
    for lane in range(WIDTH):
        f, a, b, c, d = (each[lane] * unit for each in numbers)
        real, imaginary = (a - b) * f - (b - f) * a, (a - b) * a + (b - f) * f
        expected = [(a - b) * f, a - c - d, 4 * f * (a - b), real, imaginary, a - c - d, b - d - d]
        assert found[lane::WIDTH] == [value % P for value in (*expected, 4 * real, 4 * imaginary)]
