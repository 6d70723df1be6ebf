"""Fp12 with its coefficients in lanes against the tower, on random numbers and where representations end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import fp12, fp12_lanes
from zkcore.bn254 import P
from zkcore.cpu import BACKEND
from zkcore.field import constant, decode, encode, fp, fp_zero
from zkcore.fp12_lanes import from_lanes, to_lanes
from zkcore.kernel import inner, kernel
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
