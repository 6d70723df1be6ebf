"""Eight elements at a time against one at a time: every operation, on random numbers and where representations end."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore.bn254 import P
from zkcore.cpu import BACKEND
from zkcore.field import fp_zero, inverse
from zkcore.field_lanes import WIDTH, fp_lanes_zero, gather, mask_bits, mask_from_bits, scatter
from zkcore.kernel import inner, kernel
from zkcore.limbs import from_limbs, to_limbs
from zkcore.number import lanes_of, load, one, select, square, store, zero
from zkcore.tower import imaginary_part, pair, real_part, times_xi

pytestmark = pytest.mark.skipif(BACKEND != "avx512ifma", reason="the processor has no such lanes")

RESULTS = 14
EDGES = [
    0,
    1,
    2,
    P - 1,
    P - 2,
    P // 2,
    P // 2 + 1,
    *(1 << k for k in (52, 64, 208, 253)),
    *((1 << k) - 1 for k in (52, 208, 253)),
]
ELEMENTS = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))


@inner
def _operations(like, rows, scratch, out):
    width = lanes_of(like)
    a, b = gather(like, rows, 0, 1), gather(like, rows, width, 1)
    scatter(out, 0, 1, a + b)
    scatter(out, width, 1, a - b)
    scatter(out, 2 * width, 1, a * b)
    scatter(out, 3 * width, 1, -a)
    scatter(out, 4 * width, 1, square(a))
    scatter(out, 5 * width, 1, inverse(a))
    scatter(out, 6 * width, 1, select(a == b, one(a), zero(a)))
    scatter(out, 7 * width, 1, select(a != b, (a + a + a) * (b - a) - a * b + a, b))
    xi = times_xi(pair(a, b))
    scatter(out, 8 * width, 1, real_part(xi))
    scatter(out, 9 * width, 1, imaginary_part(xi))
    product = pair(a, b) * pair(b, a) + square(pair(a, a - b)) - pair(b, b)
    scatter(out, 10 * width, 1, real_part(product))
    scatter(out, 11 * width, 1, imaginary_part(product))
    store(scratch, 1, a - b - b - b)
    scatter(out, 12 * width, 1, load(like, scratch, 1))
    chain = a
    for _ in range(25):
        chain = chain + chain + b
    scatter(out, 13 * width, 1, chain)
    return mask_bits(a == b)


@kernel
def _in_lanes(rows, scratch, out):
    return _operations(fp_lanes_zero(), rows, scratch, out)


@kernel
def _one_by_one(rows, scratch, out):
    return _operations(fp_zero(), rows, scratch, out)


def check(a: list[int], b: list[int]) -> None:
    scratch = np.empty((2, 40), dtype=np.uint64)
    lanes, single = np.empty((RESULTS, WIDTH, 4), dtype=np.uint64), np.empty((RESULTS, 4), dtype=np.uint64)
    bits = _in_lanes(to_limbs(a + b), scratch, lanes)
    for lane in range(WIDTH):
        equal = _one_by_one(to_limbs([a[lane], b[lane]]), scratch, single)
        assert from_limbs(lanes[:, lane]) == from_limbs(single)
        assert bits >> lane & 1 == equal == (a[lane] == b[lane])


def test_one_by_one_agrees_with_integers() -> None:
    scratch, out = np.empty((2, 40), dtype=np.uint64), np.empty((RESULTS, 4), dtype=np.uint64)
    for a in EDGES:
        for b in EDGES:
            _one_by_one(to_limbs([a, b]), scratch, out)
            results = from_limbs(out)
            assert results[:6] == [n % P for n in (a + b, a - b, a * b, -a, a * a, pow(a, P - 2, P))]
            assert results[8:10] == [(9 * a - b) % P, (a + 9 * b) % P]
            assert results[12] == (a - 3 * b) % P


@given(st.lists(ELEMENTS, min_size=WIDTH, max_size=WIDTH), st.lists(ELEMENTS, min_size=WIDTH, max_size=WIDTH))
@settings(deadline=None, max_examples=300)
def test_lanes_agree(a: list[int], b: list[int]) -> None:
    check(a, b)


@given(st.lists(ELEMENTS, min_size=WIDTH, max_size=WIDTH), st.integers(-3, 3))
@settings(deadline=None, max_examples=200)
def test_lanes_agree_where_sums_and_differences_are_almost_nothing(a: list[int], shift: int) -> None:
    check(a, [(shift - x) % P for x in a])
    check(a, [(x + shift) % P for x in a])


@kernel
def _walk(rows, out, steps):
    a, b = gather(fp_lanes_zero(), rows, 0, 1), gather(fp_lanes_zero(), rows, 8, 1)
    for _ in range(steps):
        a, b = a * b + a - b, (a + a + b) * (b - a) - a
    scatter(out, 0, 1, a)
    scatter(out, 8, 1, b)


def test_long_chains_stay_in_range() -> None:
    numbers = random.Random(3)
    a, b = ([numbers.randrange(P) for _ in range(WIDTH)] for _ in range(2))
    out = np.empty((2 * WIDTH, 4), dtype=np.uint64)
    _walk(to_limbs(a + b), out, 1000)
    for _ in range(1000):
        a, b = (
            [(x * y + x - y) % P for x, y in zip(a, b, strict=True)],
            [((2 * x + y) * (y - x) - x) % P for x, y in zip(a, b, strict=True)],
        )
    assert from_limbs(out) == a + b


@kernel
def _masks(bits, other):
    like = fp_lanes_zero()
    a, b = mask_from_bits(like, bits), mask_from_bits(like, other)
    return mask_bits(a & b), mask_bits(a | b), mask_bits(a == b)


@given(st.integers(0, 255), st.integers(0, 255))
@settings(deadline=None)
def test_masks(a: int, b: int) -> None:
    assert _masks(a, b) == (a & b, a | b, ~(a ^ b) & 255)
