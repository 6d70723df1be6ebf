"""G1 and G2 against py-ecc, by the laws of a group, on every special case, and with points that must be refused."""

from math import gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import COFACTOR, SMALL_ORDER, TWIST, from_oracle, to_oracle
from py_ecc.bn128 import FQ2, b2
from py_ecc.bn128 import add as oracle_add
from py_ecc.bn128 import multiply as oracle_multiply

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R, U
from zkcore.curve import B2
from zkcore.errors import NotInSubgroup, NotOnCurve, OutOfRange, PointAtInfinity, WrongLength
from zkcore.field import encode, fp
from zkcore.groups import g1, g2

GROUPS = [(g1, G1_GENERATOR), (g2, G2_GENERATOR)]
NAMES = ["g1", "g2"]
SCALARS = st.one_of(st.sampled_from([0, 1, 2, R - 1, R - 2, 1 << 128]), st.integers(0, R - 1))


def test_constants_follow_from_the_definition() -> None:
    assert FQ2(B2) == b2
    assert (P.bit_length(), R.bit_length(), P % 4, U % 2) == (254, 254, 3, 1)
    g1.check(G1_GENERATOR, part="generator")
    g2.check(G2_GENERATOR, part="generator")


@pytest.mark.parametrize(("group", "generator"), GROUPS, ids=NAMES)
@given(a=SCALARS, b=SCALARS)
@settings(deadline=None, max_examples=25)
def test_agrees_with_py_ecc(group, generator, a: int, b: int) -> None:
    p, q = group.multiply_each([generator, generator], [a, b])
    assert to_oracle(p) == oracle_multiply(to_oracle(generator), a)
    assert to_oracle(group.add(p, q)) == oracle_add(to_oracle(p), to_oracle(q))


@pytest.mark.parametrize(("group", "generator"), GROUPS, ids=NAMES)
@given(a=SCALARS, b=SCALARS, c=SCALARS)
@settings(deadline=None, max_examples=40)
def test_laws_of_a_group(group, generator, a: int, b: int, c: int) -> None:
    p, q, s = group.multiply_each([generator] * 3, [a, b, c])
    assert group.add(group.add(p, q), s) == group.add(p, group.add(q, s))
    assert group.add(p, q) == group.add(q, p) == group.multiply(generator, a + b)
    assert group.add(p, None) == group.add(None, p) == p
    assert group.add(p, group.negate(p)) is None
    assert group.add(p, p) == group.multiply(p, 2)
    assert group.multiply(p, b) == group.multiply(generator, a * b)


@pytest.mark.parametrize(("group", "generator"), GROUPS, ids=NAMES)
def test_special_cases(group, generator) -> None:
    assert group.multiply(generator, R) is None
    assert group.multiply(None, 7) is None
    assert group.multiply(generator, R - 1) == group.negate(generator)
    assert group.add(None, None) is None
    assert group.negate(None) is None
    assert group.multiply_each([], []) == []
    with pytest.raises(WrongLength):
        group.multiply_each([generator], [])


@pytest.mark.parametrize(("group", "generator"), GROUPS, ids=NAMES)
def test_normalises_many_with_neutral_elements_among_them(group, generator) -> None:
    numbers = [0, 1, 5, 0, R - 1, 0]
    points = group.multiply_each([generator] * len(numbers), numbers)
    affine = group.encode(points)
    projective = np.zeros((len(points), 3, *affine.shape[2:]), dtype=np.uint64)
    one = encode(fp, [1])[0]
    projective[:, :2] = affine
    projective[:, 2].reshape(len(points), -1)[:, :4] = one
    for i, point in enumerate(points):
        if point is None:
            projective[i] = 0
            projective[i, 1].reshape(-1)[:4] = one
    assert group.decode(group.normalise(projective)) == points


@pytest.mark.parametrize(("group", "generator"), GROUPS, ids=NAMES)
def test_refuses_what_is_no_point(group, generator) -> None:
    x, y = generator
    zero, one, big = (0, 1, P) if group is g1 else ((0, 0), (1, 0), (0, P))
    for wrong, check in [
        ((x, one), NotOnCurve),
        ((zero, zero), NotOnCurve),
        ((y, x), NotOnCurve),
        ((big, y), OutOfRange),
    ]:
        with pytest.raises(check) as refusal:
            group.check(wrong, part="proof.point")
        assert refusal.value.part == "proof.point"
    with pytest.raises(PointAtInfinity):
        group.check(None, part="proof.point")
    with pytest.raises(NotOnCurve) as refusal:
        group.encode([generator, None, (x, one)], part="ic")
    assert refusal.value.part == "ic[2]"


def test_coordinates_plus_the_modulus_are_refused() -> None:
    (x, y), ((x0, x1), (y0, y1)) = G1_GENERATOR, G2_GENERATOR
    for point in [(x + P, y), (x, y + P), (x - P, y)]:
        with pytest.raises(OutOfRange):
            g1.check(point, part="a")
    for point in [
        ((x0 + P, x1), (y0, y1)),
        ((x0, x1 + P), (y0, y1)),
        ((x0, x1), (y0 + P, y1)),
        ((x0, x1), (y0, y1 + P)),
    ]:
        with pytest.raises(OutOfRange):
            g2.check(point, part="b")


@pytest.mark.parametrize("criterion", [(U + 1, U, U, -2 * U), (6 * U + 2, 1, -1, 1)], ids=["check", "miller"])
def test_criterion_of_the_subgroup_is_sufficient(criterion: tuple[int, ...]) -> None:
    """psi^2 = t psi - p on the twist; the criterion's norm there shares only r with the order r (2p - r)."""
    trace = P + 1 - R
    coefficients = list(criterion)
    while len(coefficients) > 2:
        top = coefficients.pop()
        coefficients[-1] += trace * top
        coefficients[-2] -= P * top
    a, b = coefficients
    norm = a * a + a * b * trace + b * b * P
    assert gcd(norm, R * COFACTOR) == R
    assert sum(coefficient * P**power for power, coefficient in enumerate(criterion)) % R == 0


def test_points_outside_the_subgroup_are_refused() -> None:
    assert COFACTOR % 10069 == 0
    for point in [*TWIST, SMALL_ORDER]:
        assert oracle_multiply(to_oracle(point), R) is not None
        with pytest.raises(NotInSubgroup):
            g2.check(point, part="b")


@given(st.integers(1, R - 1), st.sampled_from([*TWIST, SMALL_ORDER]))
@settings(deadline=None, max_examples=10)
def test_subgroup_check_agrees_with_multiplication_by_the_order(scalar: int, outside) -> None:
    inside = g2.multiply(G2_GENERATOR, scalar)
    g2.check(inside, part="b")
    mixed = from_oracle(oracle_add(to_oracle(inside), to_oracle(outside)))
    with pytest.raises(NotInSubgroup):
        g2.check(mixed, part="b")
    cleared = from_oracle(oracle_multiply(to_oracle(mixed), COFACTOR))
    g2.check(cleared, part="b")
