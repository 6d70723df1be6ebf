"""Sums of multiples on Baby Jubjub against additions one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import babyjubjub
from zkcore.babyjubjub import GENERATOR, IDENTITY, ORDER, add, multiply
from zkcore.babyjubjub_msm import multi_multiply
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength

ORDER_TWO = (0, R - 1)
scalars = st.one_of(st.sampled_from([0, 1, 2, ORDER - 1, ORDER, 8 * ORDER, 2**256 - 1]), st.integers(0, 2**256 - 1))
points = st.one_of(
    st.sampled_from([IDENTITY, ORDER_TWO, GENERATOR, add(GENERATOR, ORDER_TWO)]),
    st.integers(1, 1000).map(lambda k: multiply(GENERATOR, k)),
)


@given(st.lists(st.tuples(points, scalars), max_size=6))
@settings(deadline=None, max_examples=40)
def test_sum_of_multiples(pairs: list[tuple[babyjubjub.Point, int]]) -> None:
    expected = IDENTITY
    for point, scalar in pairs:
        expected = add(expected, multiply(point, scalar))
    assert multi_multiply([point for point, _ in pairs], [scalar for _, scalar in pairs]) == expected


def test_many_points() -> None:
    """sum of k (k G) over k < 500, for which the windows are wide."""
    multiples = [IDENTITY]
    for _ in range(499):
        multiples.append(add(multiples[-1], GENERATOR))
    assert multi_multiply(multiples, list(range(500))) == multiply(GENERATOR, sum(k * k for k in range(500)))
    wide = [(k * 3**150) % ORDER for k in range(500)]
    expected = multiply(GENERATOR, sum(k * scalar for k, scalar in enumerate(wide)))
    assert multi_multiply(multiples, wide) == expected


def test_refusals() -> None:
    with pytest.raises(WrongLength):
        multi_multiply([GENERATOR], [])
    for scalar in (-1, 2**256):
        with pytest.raises(OutOfRange):
            multi_multiply([GENERATOR], [scalar])
    with pytest.raises(OutOfRange):
        multi_multiply([(R, 1)], [1])
    assert multi_multiply([], []) == IDENTITY
