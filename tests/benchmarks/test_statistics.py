"""Medians, intervals, outliers, ratios, and exponents."""

import random

import pytest

from benchmarks import statistics


def test_summary_of_equal_samples() -> None:
    found = statistics.summary([2.0] * 9)
    assert (found.median, found.low, found.high, found.count, found.outliers) == (2.0, 2.0, 2.0, 9, 0)


def test_interval_covers_the_median_about_as_often_as_it_says() -> None:
    draw = random.Random(5)
    covered = 0
    for _ in range(100):
        found = statistics.summary([draw.lognormvariate(0, 0.3) for _ in range(30)])
        covered += found.low <= 1.0 <= found.high
    assert covered >= 85


def test_outliers_are_counted_and_kept() -> None:
    found = statistics.summary([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 9.0])
    assert found.outliers == 1 and found.count == 8


def test_ratio_decides_only_beyond_noise() -> None:
    draw = random.Random(6)
    noisy = [[draw.gauss(1, 0.1) for _ in range(30)] for _ in range(2)]
    assert not statistics.ratio(*noisy).decided
    half = statistics.ratio([x / 2 for x in noisy[0]], noisy[1])
    assert half.decided and 0.4 < half.low < half.value < half.high < 0.6


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5])
def test_growth_finds_the_exponent(exponent: float) -> None:
    sizes = [2.0**k for k in range(6, 12)]
    found = statistics.growth(sizes, [3e-6 * size**exponent for size in sizes])
    assert found is not None and found.sizes == 6
    assert found.exponent == pytest.approx(exponent, abs=1e-9) and found.factor == pytest.approx(3e-6)


def test_growth_needs_five_sizes() -> None:
    assert statistics.growth([1, 2, 4, 8], [1, 2, 4, 8]) is None
    assert statistics.growth([1, 2, 4, 8, 8], [1, 2, 4, 8, 8]) is None
