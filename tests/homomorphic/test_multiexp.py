"""Products of powers against gmpy2."""

import gmpy2
from hypothesis import given
from hypothesis import strategies as st

from homomorphic.multiexp import product_of_powers

MODULUS = 2**255 - 19


@given(st.lists(st.tuples(st.integers(0, MODULUS - 1), st.integers(0, 2**300)), max_size=40))
def test_product_of_powers(pairs: list[tuple[int, int]]) -> None:
    expected = gmpy2.mpz(1)
    for base, exponent in pairs:
        expected = expected * gmpy2.powmod(base, exponent, MODULUS) % MODULUS
    assert product_of_powers([b for b, _ in pairs], [e for _, e in pairs], MODULUS) == expected


def test_edges() -> None:
    assert product_of_powers([], [], 7) == 1
    assert product_of_powers([3, 5], [0, 0], 7) == 1
    assert product_of_powers([3, 5], [1, 0], 7) == 3
    assert product_of_powers([0], [2], 7) == 0
