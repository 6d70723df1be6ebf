"""Integers as rows of limbs: both ways, and the comparison of whole columns with a bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkcore.bn254 import P, R
from zkcore.errors import OutOfRange
from zkcore.limbs import below, from_limbs, to_limbs

NUMBERS = st.lists(
    st.one_of(
        st.integers(0, (1 << 256) - 1),
        st.sampled_from([0, 1, P - 1, P, P + 1, R - 1, R, 1 << 64, (1 << 64) - 1, (1 << 256) - 1]),
    ),
    max_size=5,
)


@given(NUMBERS)
def test_limbs_and_back(numbers: list[int]) -> None:
    rows = to_limbs(numbers)
    assert rows.shape == (len(numbers), 4) and rows.dtype == np.uint64
    assert from_limbs(rows) == numbers


@given(NUMBERS, st.sampled_from([1, P, R, 1 << 192, (1 << 192) - 1, (1 << 256) - 1]))
def test_below_is_the_order_of_integers(numbers: list[int], bound: int) -> None:
    assert below(to_limbs(numbers), bound) is all(number < bound for number in numbers)


@pytest.mark.parametrize("number", [-1, 1 << 256])
def test_what_has_no_limbs_is_refused(number: int) -> None:
    with pytest.raises(OutOfRange):
        to_limbs([number], part="x")
