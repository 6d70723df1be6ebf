"""Numbers as multiples of 1 / scale."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homomorphic.fixed_point import scaled
from zkcore.errors import OutOfRange

scales = st.integers(1, 10**9)


@given(st.lists(st.integers(-(2**100), 2**100)), scales)
def test_multiples_are_exact(numbers: list[int], scale: int) -> None:
    assert scaled([Fraction(number, scale) for number in numbers], scale) == numbers
    assert scaled(numbers, scale) == [number * scale for number in numbers]


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), scales)
def test_arrays_of_integers(numbers: list[int], scale: int) -> None:
    result = scaled(np.array(numbers, np.int64), scale)
    assert list(map(int, result)) == [number * scale for number in numbers]


@given(st.lists(st.floats(-1e6, 1e6)), st.integers(2, 10**6))
def test_floating_point_numbers_become_the_nearest_multiple(numbers: list[float], scale: int) -> None:
    for number, multiple in zip(numbers, scaled(numbers, scale), strict=True):
        assert abs(Fraction(number) * scale - int(multiple)) <= Fraction(1, 2)
    # an array is rounded after one product of floating-point numbers, so that a tie may fall either way
    for number, multiple in zip(numbers, scaled(np.array(numbers), scale), strict=True):
        assert abs(Fraction(number) * scale - int(multiple)) <= Fraction(1, 2) + Fraction(1, 1000)


@given(st.fractions(max_denominator=1000), scales)
def test_what_is_no_multiple_is_refused(number: Fraction, scale: int) -> None:
    if scale % number.denominator:
        with pytest.raises(OutOfRange, match=r"values\[0\]"):
            scaled([number], scale)
    else:
        assert scaled([number], scale) == [number * scale]


def test_decimals() -> None:
    assert scaled([Decimal("0.07"), Decimal("-1E+3"), Decimal("12.50")], 100) == [7, -100000, 1250]
