"""Fp12 with its coefficients in lanes against the tower, on random numbers and where representations end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import fp12, fp12_lanes
from zkcore.bn254 import P
from zkcore.cpu import BACKEND
from zkcore.curve import store_affine
from zkcore.field import constant, decode, encode, fp, fp_zero
from zkcore.field_lanes import LIMBS, WIDTH, fp_lanes_zero, gather, scatter
from zkcore.fp12_lanes import from_lanes, to_lanes
from zkcore.kernel import inner, kernel
from zkcore.limbs import from_limbs, to_limbs
from zkcore.number import load, square
from zkcore.pairing import load_fp12, store_fp12
from zkcore.tower import (
    cyclotomic_square,
    fp2_zero,
    fp12_conjugate,
    fp12_equal,
    fp12_frobenius,
    fp12_frobenius_2,
    fp12_frobenius_3,
    fp12_inverse,
    fp12_multiply,
    fp12_square,
    imaginary_part,
    pair,
    real_part,
    scale,
)

pytestmark = pytest.mark.skipif(BACKEND != "avx512ifma", reason="the processor has no such lanes")

EDGES = [0, 1, P - 1, P // 2, 1 << 253, *((1 << k) - 1 for k in (52, 208, 253))]
NUMBERS = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
ELEMENTS = st.lists(NUMBERS, min_size=12, max_size=12)
RESULTS = 12

_unit = constant(1 << 8)


@inner
def _scaled(a):
    u = _unit(fp_zero())
    (a0, a1, a2), (a3, a4, a5) = a
    return (scale(a0, u), scale(a1, u), scale(a2, u)), (scale(a3, u), scale(a4, u), scale(a5, u))


@inner
def _easy(a):
    a = fp12_multiply(fp12_conjugate(a), fp12_inverse(a))
    return fp12_multiply(fp12_frobenius_2(a), a)


@kernel
def _in_lanes(rows, out, points):
    like = fp2_zero()
    a, b, easy = load_fp12(like, rows, 0), load_fp12(like, rows, 1), _easy(load_fp12(like, rows, 0))
    x, y, z = to_lanes(a), to_lanes(b), to_lanes(easy)
    line = load(like, rows, 6), load(like, rows, 7), load(like, rows, 8)
    store_fp12(out, 0, from_lanes(x))
    store_fp12(out, 1, from_lanes(x * y))
    store_fp12(out, 2, from_lanes(square(x)))
    store_fp12(out, 3, from_lanes(fp12_lanes.conjugate(x)))
    store_fp12(out, 4, from_lanes(fp12_lanes.frobenius(x)))
    store_fp12(out, 5, from_lanes(fp12_lanes.frobenius_2(x)))
    store_fp12(out, 6, from_lanes(fp12_lanes.frobenius_3(x)))
    store_fp12(out, 7, from_lanes(fp12_lanes.cyclotomic_square(z)))
    store_fp12(out, 8, _scaled(from_lanes(fp12.times_line(x, line, fp_zero(), points, 1))))
    store_fp12(out, 9, _scaled(from_lanes(fp12.times_fixed_line(x, rows, 4, fp_zero(), points, 1))))
    store_fp12(out, 11, from_lanes(fp12_lanes.inverse(x)))
    for _ in range(40):
        x = square(x * y + fp12_lanes.conjugate(x)) - y - y
    store_fp12(out, 10, from_lanes(x))
    return to_lanes(a) == y, fp12_lanes.conjugate(fp12_lanes.conjugate(y)) == y


@inner
def _sum(a, b):
    (a0, a1, a2), (a3, a4, a5) = a
    (b0, b1, b2), (b3, b4, b5) = b
    return (a0 + b0, a1 + b1, a2 + b2), (a3 + b3, a4 + b4, a5 + b5)


@kernel
def _by_the_tower(rows, out, points):
    like = fp2_zero()
    x, y, easy = load_fp12(like, rows, 0), load_fp12(like, rows, 1), _easy(load_fp12(like, rows, 0))
    line = load(like, rows, 6), load(like, rows, 7), load(like, rows, 8)
    store_fp12(out, 0, x)
    store_fp12(out, 1, fp12_multiply(x, y))
    store_fp12(out, 2, fp12_square(x))
    store_fp12(out, 3, fp12_conjugate(x))
    store_fp12(out, 4, fp12_frobenius(x))
    store_fp12(out, 5, fp12_frobenius_2(x))
    store_fp12(out, 6, fp12_frobenius_3(x))
    store_fp12(out, 7, cyclotomic_square(easy))
    store_fp12(out, 8, fp12.times_line(x, line, fp_zero(), points, 1))
    store_fp12(out, 9, fp12.times_fixed_line(x, rows, 4, fp_zero(), points, 1))
    store_fp12(out, 11, fp12_inverse(x))
    minus_y = _minus(y)
    for _ in range(40):
        x = _sum(_sum(fp12_square(_sum(fp12_multiply(x, y), fp12_conjugate(x))), minus_y), minus_y)
    store_fp12(out, 10, x)
    return fp12_equal(load_fp12(like, rows, 0), y), True


@inner
def _minus(a):
    (a0, a1, a2), (a3, a4, a5) = a
    return (-a0, -a1, -a2), (-a3, -a4, -a5)


@inner
def _gathered(rows, first):
    like = fp_lanes_zero()
    return pair(gather(like, rows, first, 24), gather(like, rows, first + 1, 24))


@kernel
def _line_of_eight(rows, work, out):
    """Row i of ``out``, ``uint64[8, 12, 4]``, from numbers 24i on of ``rows``: f, c0, c1, c2, x and y; canonical."""
    like = fp_lanes_zero()
    low = _gathered(rows, 0), _gathered(rows, 2), _gathered(rows, 4)
    high = _gathered(rows, 6), _gathered(rows, 8), _gathered(rows, 10)
    line = _gathered(rows, 12), _gathered(rows, 14), _gathered(rows, 16)
    store_affine(work, 0, (gather(like, rows, 18, 24), gather(like, rows, 19, 24)))
    low, high = fp12.times_line((low, high), line, like, work, 0)
    for i in range(3):
        scatter(out, 2 * i, 12, real_part(low[i]))
        scatter(out, 2 * i + 1, 12, imaginary_part(low[i]))
        scatter(out, 2 * i + 6, 12, real_part(high[i]))
        scatter(out, 2 * i + 7, 12, imaginary_part(high[i]))


@kernel
def _line_of_one(rows, out):
    """The same for one element, in Montgomery form."""
    like = fp2_zero()
    line = load(like, rows, 6), load(like, rows, 7), load(like, rows, 8)
    store_fp12(out, 0, fp12.times_line(load_fp12(like, rows, 0), line, fp_zero(), rows, 9))


@given(st.lists(st.lists(NUMBERS, min_size=24, max_size=24), min_size=WIDTH, max_size=WIDTH))
@settings(deadline=None, max_examples=50)
def test_lines_of_eight_elements_agree_with_those_of_one(numbers: list[list[int]]) -> None:
    work, out = np.empty((2, LIMBS * WIDTH), np.uint64), np.empty((WIDTH, 12, 4), np.uint64)
    _line_of_eight(to_limbs([number for row in numbers for number in row]), work, out)
    for row, line in zip(numbers, out, strict=True):
        one = np.empty((1, 12, 4), np.uint64)
        _line_of_one(encode(fp, row), one)
        assert from_limbs(line) == decode(fp, one)


@given(ELEMENTS, ELEMENTS, st.lists(NUMBERS, min_size=2, max_size=2))
@settings(deadline=None, max_examples=100)
def test_lanes_agree_with_the_tower(a: list[int], b: list[int], point: list[int]) -> None:
    rows, points = encode(fp, a + b), encode(fp, [0, 0, *point])
    here, there = (np.empty((RESULTS, 12, 4), dtype=np.uint64) for _ in range(2))
    assert _in_lanes(rows, here, points) == _by_the_tower(rows, there, points) == (a == b, True)
    for k in range(RESULTS):
        assert decode(fp, here[k]) == decode(fp, there[k]), k


@pytest.mark.parametrize("edge", EDGES)
def test_elements_made_of_one_number(edge: int) -> None:
    test_lanes_agree_with_the_tower.hypothesis.inner_test([edge] * 12, [edge] * 12, [edge] * 2)
    test_lanes_agree_with_the_tower.hypothesis.inner_test([edge] * 12, [P - 1] * 12, [P - 1] * 2)


def test_every_coefficient_decides_equality() -> None:
    rows, points = encode(fp, [7] * 24), encode(fp, [0] * 4)
    out = np.empty((RESULTS, 12, 4), dtype=np.uint64)
    assert _in_lanes(rows, out, points)[0]
    for place in range(12):
        changed = rows.copy()
        changed[place, 0] ^= np.uint64(1)
        assert not _in_lanes(changed, out, points)[0]
