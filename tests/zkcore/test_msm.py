"""Multi-scalar and fixed-base multiplication against py-ecc and single multiplications."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import from_oracle, to_oracle
from py_ecc import bn128

from zkcore import affine, affine_lanes, msm
from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, R
from zkcore.cpu import BACKEND
from zkcore.errors import NotOnCurve, OutOfRange, WrongLength
from zkcore.field import fp_zero
from zkcore.groups import g1, g2
from zkcore.limbs import from_limbs, to_limbs
from zkcore.msm import MultiScalarSum, multi_multiply_g1, multi_multiply_g2, signed_digits
from zkcore.multiples import FixedBase
from zkcore.tasks import run
from zkcore.tower import fp2_zero

GROUPS = {"g1": (g1, G1_GENERATOR, multi_multiply_g1), "g2": (g2, G2_GENERATOR, multi_multiply_g2)}
EDGES = [0, 1, 2, 3, R - 1, R - 2, R // 2, 1 << 128, (1 << 253) - 1, (1 << 64) - 1]
scalars = st.one_of(st.sampled_from(EDGES), st.integers(0, R - 1))
terms = st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, R - 1, R - 3, 77]), scalars), max_size=12)


@pytest.fixture(params=["g1", "g2"])
def case(request):
    return GROUPS[request.param]


@given(terms=terms)
@example(terms=[(1, 1), (1, (1 << 253) - 1)])  # a bucket whose points cancel
@settings(deadline=None, max_examples=25)
@pytest.mark.parametrize("name", ["g1", "g2"])
def test_few_terms_with_neutral_equal_and_opposite_points(name: str, terms) -> None:
    group, generator, multi_multiply = GROUPS[name]
    points = [group.multiply(generator, k) for k, _ in terms]
    expected = group.multiply(generator, sum(k * scalar for k, scalar in terms))
    assert multi_multiply(points, [scalar for _, scalar in terms]) == expected


def test_py_ecc(case) -> None:
    group, generator, multi_multiply = case
    points = [group.multiply(generator, secrets.randbelow(R)) for _ in range(5)]
    factors = [secrets.randbelow(R) for _ in points]
    total = None
    for point, factor in zip(points, factors, strict=True):
        total = bn128.add(total, bn128.multiply(to_oracle(point), factor))
    assert multi_multiply(points, factors) == from_oracle(total)


def test_many_terms(case) -> None:
    """Halved and whole, narrow windows and wide ones, with scalars as a witness has them: many 0, 1, and short."""
    group, generator, multi_multiply = case
    for count in (1, 2, 33, 700, msm._MOST_HALVED, msm._MOST_HALVED + 1):
        logs = [secrets.randbelow(R) for _ in range(count)]
        factors = [secrets.choice([0, 1, 1, R - 1, secrets.randbits(32), secrets.randbelow(R)]) for _ in logs]
        points = group.multiply_each([generator] * count, logs)
        expected = group.multiply(generator, sum(a * b for a, b in zip(logs, factors, strict=True)))
        assert multi_multiply(points, factors) == expected


@pytest.mark.parametrize("crowd", ["spread", "low", "high"])
def test_more_terms_than_are_summed_together(crowd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets are summed in several blocks: evenly filled, or nearly all points in the first or the last bucket."""
    count, width = 70_000, 12
    monkeypatch.setattr(msm, "_best_window", lambda lengths: width)
    factors = to_limbs([secrets.randbelow(R) for _ in range(count)])
    numbers = [secrets.randbelow(R) for _ in range(1000)]
    points = np.empty((len(numbers), 2, 4), np.uint64)
    FixedBase(g1, G1_GENERATOR).multiply(to_limbs(numbers), points)
    if crowd != "spread":
        digit = 1 if crowd == "low" else 1 << (width - 1)
        factors[1000:] = to_limbs([sum(digit << width * place for place in range(253 // width))])
    many = np.ascontiguousarray(np.resize(points, (count, 2, 4)))
    total = MultiScalarSum(g1, many, factors)
    run(total.tasks(), None)
    scalar = sum(a * b for a, b in zip(from_limbs(factors), numbers * (count // 1000), strict=True)) % R
    assert g1.decode(total.result()[np.newaxis])[0] == g1.multiply(G1_GENERATOR, scalar)


def test_one_point_many_times(case) -> None:
    group, generator, multi_multiply = case
    count = 1500
    assert multi_multiply([generator] * count, [1] * count) == group.multiply(generator, count)
    opposite = [generator, group.negate(generator)] * count
    assert multi_multiply(opposite, [R - 2] * len(opposite)) is None


def test_nothing(case) -> None:
    multi_multiply = case[2]
    assert multi_multiply([], []) is None
    assert multi_multiply([None, None], [5, 6]) is None
    assert multi_multiply([case[1]] * 3, [0, 0, 0]) is None


def test_threads_give_the_same(case) -> None:
    group, generator, multi_multiply = case
    points = group.multiply_each([generator] * 60, list(range(1, 61)))
    factors = [secrets.randbelow(R) for _ in points]
    with ThreadPoolExecutor(3) as executor:
        assert multi_multiply(points, factors, executor) == multi_multiply(points, factors)


@given(st.lists(st.one_of(scalars, st.integers(0, (1 << 254) - 1)), min_size=1, max_size=4), st.integers(2, 15))
@settings(deadline=None, max_examples=60)
def test_signed_digits(numbers: list[int], width: int) -> None:
    digits = np.empty((254 // width + 1, len(numbers)), np.int16)
    signed_digits(to_limbs(numbers), width, digits)
    assert abs(digits.astype(int)).max() <= 1 << (width - 1)
    for number, column in zip(numbers, digits.T, strict=True):
        assert sum(int(digit) << (width * place) for place, digit in enumerate(column)) == number


def test_refusals(case) -> None:
    _, generator, multi_multiply = case
    with pytest.raises(WrongLength):
        multi_multiply([generator], [1, 2])
    with pytest.raises(OutOfRange):
        multi_multiply([generator], [-1])
    with pytest.raises(ValueError, match="254 bits"):
        multi_multiply([generator], [1 << 254])
    x, y = generator
    with pytest.raises(NotOnCurve):
        multi_multiply([(y, x)], [1])


def test_order_of_tasks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msm, "_TASK_POINTS", 64)
    points = g1.encode(g1.multiply_each([G1_GENERATOR] * 20, list(range(1, 21))))
    factors = to_limbs([secrets.randbelow(R) for _ in range(20)])
    results = []
    for step in (1, -1):
        total = MultiScalarSum(g1, points, factors)
        (begin,) = total.tasks()
        windows = begin()
        assert len(windows) > 1
        run(windows[::step])
        results.append(total.result())
    assert (results[0] == results[1]).all()


def test_progress_rises_to_one() -> None:
    total = MultiScalarSum(g1, g1.encode([G1_GENERATOR]), to_limbs([R - 1]))
    told: list[float] = []
    run(total.tasks(), None, told.append)
    assert told[-1] == 1.0
    assert all(a < b for a, b in pairwise(told))


def test_multiples_of_one_point(case) -> None:
    group, generator, _ = case
    numbers = [*EDGES, *(secrets.randbelow(R) for _ in range(600))]
    base = group.multiply(generator, 5)
    out = np.empty((len(numbers), 2, 4) if group is g1 else (len(numbers), 2, 2, 4), np.uint64)
    FixedBase(group, base).multiply(to_limbs(numbers), out)
    assert group.decode(out) == group.multiply_each([base] * len(numbers), numbers)
    in_tasks = np.empty_like(out)
    run(FixedBase(group, base).tasks(to_limbs(numbers), in_tasks, 100))
    assert (in_tasks == out).all()


@pytest.mark.skipif(BACKEND != "avx512ifma", reason="this processor has no lanes")
@pytest.mark.parametrize("words", [4, 8])
def test_additions_in_lanes_equal_those_one_by_one(words: int) -> None:
    """Bit for bit, for every number of sums up to some groups, with neutral, equal and opposite points among them."""
    group, generator = (g1, G1_GENERATOR) if words == 4 else (g2, G2_GENERATOR)
    logs = [0, *(secrets.randbelow(R) for _ in range(20))]
    points = group.encode(group.multiply_each([generator] * len(logs), logs)).reshape(-1, 2, words)
    one_by_one, in_lanes = ADDITIONS[words]
    choose = np.random.default_rng(1)
    for count in [*range(18), 200]:
        p, q = choose.integers(0, 2 * len(logs), (2, count + 7))
        place = np.concatenate([choose.permutation(count), np.zeros(7, np.int64)])
        outs = np.zeros((2, count, 2, words), np.uint64)
        work = np.empty((count + 7, 2 * words), np.uint64)
        one_by_one(points, p, points, q, outs[0], place, 0, count, work)
        in_lanes(points, p, points, q, outs[1], place, 0, count, work)
        assert (outs[0] == outs[1]).all()


def kernels_of(add_batch, like):
    @numba.njit
    def add(left, p, right, q, out, place, begin, end, work):
        add_batch(like(), left, p, right, q, out, place, begin, end, work)

    return add


ADDITIONS = {
    4: (kernels_of(affine.add_batch, fp_zero), kernels_of(affine_lanes.add_batch, fp_zero)),
    8: (kernels_of(affine.add_batch, fp2_zero), kernels_of(affine_lanes.add_batch, fp2_zero)),
}
