"""The tower and the pairing against py-ecc's polynomial arithmetic, and by the laws of fields and of a pairing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import SMALL_ORDER, to_oracle
from py_ecc.bn128 import FQ12, pairing

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R, U
from zkcore.errors import NotInSubgroup, PointAtInfinity, WrongLength
from zkcore.field import decode, encode, fp
from zkcore.groups import g1, g2
from zkcore.kernel import kernel
from zkcore.number import load
from zkcore.pairing import (
    LINES,
    fixed_lines,
    load_fp12,
    pairing_product,
    pairing_product_is_one,
    signed_digits,
    store_fp12,
)
from zkcore.tower import (
    FROBENIUS,
    XI,
    cyclotomic_square,
    fp2_power,
    fp2_zero,
    fp12_conjugate,
    fp12_equal,
    fp12_frobenius,
    fp12_frobenius_2,
    fp12_frobenius_3,
    fp12_inverse,
    fp12_multiply,
    fp12_multiply_by_line,
    fp12_one,
    fp12_square,
)

ELEMENTS = st.lists(st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1)), min_size=12, max_size=12)
SCALARS = st.one_of(st.sampled_from([0, 1, R - 1]), st.integers(0, R - 1))
POWER = 2 * U * (6 * U * U + 3 * U + 1)
"""What the final exponentiation of Fuentes-Castaneda et al. has more than the reduced pairing."""


def to_py_ecc(numbers: list[int]) -> FQ12:
    """Coefficients of 1, v, v^2, w, vw, v^2 w over Fp2 as a polynomial in w, with v = w^2 and i = w^6 - 9."""
    polynomial = [0] * 12
    for place, exponent in enumerate((0, 2, 4, 1, 3, 5)):
        real, imaginary = numbers[2 * place : 2 * place + 2]
        polynomial[exponent] += real - 9 * imaginary
        polynomial[exponent + 6] += imaginary
    return FQ12([number % P for number in polynomial])


@kernel
def _operations(rows, out):
    like = fp2_zero()
    a, b = load_fp12(like, rows, 0), load_fp12(like, rows, 1)
    store_fp12(out, 0, fp12_multiply(a, b))
    store_fp12(out, 1, fp12_square(a))
    store_fp12(out, 2, fp12_inverse(a))
    store_fp12(out, 3, fp12_conjugate(a))
    store_fp12(out, 4, fp12_frobenius(a))
    store_fp12(out, 5, fp12_frobenius_2(a))
    store_fp12(out, 6, fp12_frobenius_3(a))
    store_fp12(out, 7, fp12_multiply_by_line(a, load(like, rows, 6), load(like, rows, 7)))
    easy = fp12_multiply(fp12_conjugate(a), fp12_inverse(a))
    easy = fp12_multiply(fp12_frobenius_2(easy), easy)
    store_fp12(out, 8, fp12_square(easy))
    store_fp12(out, 9, cyclotomic_square(easy))
    return fp12_equal(a, b), fp12_equal(a, fp12_one(like))


@given(ELEMENTS, ELEMENTS)
@settings(deadline=None, max_examples=4)
def test_tower_agrees_with_polynomials(a: list[int], b: list[int]) -> None:
    out = np.empty((10, 12, 4), dtype=np.uint64)
    equal, is_one = _operations(encode(fp, a + b), out)
    assert (equal, is_one) == (a == b, a == [1] + [0] * 11)
    results = [decode(fp, row) for row in out]
    x, y = to_py_ecc(a), to_py_ecc(b)
    line = to_py_ecc([1, *[0] * 5, *b[:4], 0, 0])
    assert [to_py_ecc(result) for result in results[:3]] == [x * y, x * x, x.inv() if any(a) else FQ12.zero()]
    assert to_py_ecc(results[7]) == x * line
    assert to_py_ecc(results[4]) == x**P
    assert to_py_ecc(results[5]) == x ** (P * P)
    assert to_py_ecc(results[6]) == (x ** (P * P)) ** P
    assert results[8] == results[9]
    assert results[3] == a[:6] + [-number % P for number in a[6:]]


def test_frobenius_constants_are_what_they_say() -> None:
    for k in (1, 2, 3):
        assert FROBENIUS[k - 1] == [fp2_power(XI, j * (P**k - 1) // 6) for j in range(6)]


@pytest.mark.parametrize("width", [2, 3, 4, 5])
@given(number=st.integers(0, 1 << 80))
@settings(max_examples=40)
def test_signed_digits(width: int, number: int) -> None:
    digits = signed_digits(number, width)
    assert sum(digit << i for i, digit in enumerate(reversed(digits))) == number
    assert all(digit == 0 or (digit % 2 and abs(digit) < 1 << width - 1) for digit in digits)
    for i, digit in enumerate(digits):
        assert not digit or not any(digits[i + 1 : i + width])


def test_agrees_with_py_ecc() -> None:
    p, q = g1.multiply(G1_GENERATOR, 1234567), g2.multiply(G2_GENERATOR, 7654321)
    assert to_py_ecc(pairing_product([p], [q])) == pairing(to_oracle(q), to_oracle(p)) ** POWER
    assert POWER % R != 0


@given(SCALARS, SCALARS)
@settings(deadline=None, max_examples=20)
def test_bilinear(a: int, b: int) -> None:
    p, q = g1.multiply(G1_GENERATOR, a), g2.multiply(G2_GENERATOR, b)
    assert pairing_product([p], [q]) == pairing_product([g1.multiply(G1_GENERATOR, a * b)], [G2_GENERATOR])
    assert pairing_product([p, g1.multiply(p, b)], [q, g2.negate(G2_GENERATOR)]) == [1] + [0] * 11
    assert pairing_product_is_one([p], [q]) is (a * b % R == 0)


def test_not_degenerate_and_of_the_right_order() -> None:
    value = to_py_ecc(pairing_product([G1_GENERATOR], [G2_GENERATOR]))
    assert value != FQ12.one()
    assert value**R == FQ12.one()


def test_neutral_elements_and_the_empty_product_give_one() -> None:
    for firsts, seconds in [([], []), ([None], [G2_GENERATOR]), ([G1_GENERATOR], [None]), ([None], [None])]:
        assert pairing_product_is_one(firsts, seconds)
    with pytest.raises(WrongLength):
        pairing_product([G1_GENERATOR], [])


def test_lines_are_of_points_of_the_subgroup_only() -> None:
    assert fixed_lines([G2_GENERATOR, g2.negate(G2_GENERATOR)]).shape == (2, LINES, 2, 2, 4)
    with pytest.raises(PointAtInfinity):
        fixed_lines([None])
    with pytest.raises(NotInSubgroup):
        fixed_lines([SMALL_ORDER])
