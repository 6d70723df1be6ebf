"""Baby Jubjub and Pedersen commitments against circomlib's values, the group's laws and plain integers."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import babyjubjub, pedersen
from zkcore.babyjubjub import COFACTOR, GENERATOR, IDENTITY, ORDER, A, D, FixedBases, Point, add, multiply, negate
from zkcore.bn254 import R
from zkcore.errors import Malformed, NotOnCurve, OutOfRange, WrongLength

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/circomlib/vectors.json").read_text())
FULL_GENERATOR = tuple(map(int, VECTORS["multiply"][-1]["point"]))
"""Generator of the whole curve, of order 8 l (ERC-2494)."""
ORDER_TWO = (0, R - 1)
EDGES = [0, 1, 2, 15, 16, 17, ORDER - 1, ORDER, ORDER + 1, COFACTOR * ORDER - 1, COFACTOR * ORDER, -1, -ORDER, 2**256]
scalars = st.one_of(st.sampled_from(EDGES), st.integers(0, ORDER - 1))
points = st.builds(
    lambda k, small: add(multiply(GENERATOR, k), small),
    st.integers(0, ORDER - 1),
    st.sampled_from([IDENTITY, ORDER_TWO, multiply(FULL_GENERATOR, ORDER)]),
)


def plain_add(p: Point, q: Point) -> Point:
    """The affine addition law as ERC-2494 writes it."""
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + y1 * x2) * pow(1 + t, -1, R) % R, (y1 * y2 - A * x1 * x2) * pow(1 - t, -1, R) % R


def plain_multiply(point: Point, scalar: int) -> Point:
    total = IDENTITY
    for bit in bin(scalar % (COFACTOR * ORDER))[2:]:
        total = plain_add(total, total)
        if bit == "1":
            total = plain_add(total, point)
    return total


def test_circomlib() -> None:
    for vector in VECTORS["multiply"]:
        point, result = tuple(map(int, vector["point"])), tuple(map(int, vector["result"]))
        assert multiply(point, int(vector["scalar"])) == result
        assert FixedBases([point]).combine([int(vector["scalar"])]) == result
    for vector in VECTORS["add"]:
        left, right, result = (tuple(map(int, vector[name])) for name in ("left", "right", "result"))
        assert add(left, right) == result


def test_parameters() -> None:
    assert pow(A, (R - 1) // 2, R) == 1
    assert pow(D, (R - 1) // 2, R) == R - 1
    assert multiply(FULL_GENERATOR, COFACTOR) == GENERATOR
    assert plain_multiply(GENERATOR, ORDER - 1) == negate(GENERATOR)


@given(points, scalars)
@settings(deadline=None, max_examples=40)
def test_multiplication(point: Point, scalar: int) -> None:
    expected = plain_multiply(point, scalar)
    assert multiply(point, scalar) == expected
    assert babyjubjub.on_curve(expected)


@given(points, points, points)
@settings(deadline=None, max_examples=25)
def test_laws(p: Point, q: Point, r: Point) -> None:
    assert add(p, q) == plain_add(p, q) == add(q, p)
    assert add(add(p, q), r) == add(p, add(q, r))
    assert add(p, IDENTITY) == p
    assert add(p, negate(p)) == IDENTITY


@given(st.lists(st.tuples(points, scalars), min_size=1, max_size=3))
@settings(deadline=None, max_examples=15)
def test_fixed_bases(terms: list[tuple[Point, int]]) -> None:
    expected = IDENTITY
    for point, scalar in terms:
        expected = plain_add(expected, plain_multiply(point, scalar))
    assert FixedBases([point for point, _ in terms]).combine([scalar for _, scalar in terms]) == expected


def test_fixed_bases_take_a_scalar_each() -> None:
    with pytest.raises(WrongLength):
        FixedBases([GENERATOR]).combine([1, 2])


def test_subgroup() -> None:
    assert babyjubjub.in_subgroup(GENERATOR)
    assert babyjubjub.in_subgroup(IDENTITY)
    for outside in (ORDER_TWO, FULL_GENERATOR, add(GENERATOR, ORDER_TWO)):
        assert babyjubjub.on_curve(outside)
        assert not babyjubjub.in_subgroup(outside)
    for nowhere in ((1, 1), (0, R + 1), (-1, 1), (0, 0)):
        assert not babyjubjub.on_curve(nowhere)


def test_bytes() -> None:
    for point in (GENERATOR, IDENTITY, ORDER_TWO):
        assert babyjubjub.from_bytes(babyjubjub.to_bytes(point)) == point
    data = babyjubjub.to_bytes(GENERATOR)
    for changed, check in [
        (data[:-1], Malformed),
        (data + b"\0", Malformed),
        (b"", Malformed),
        (data[:63] + bytes([data[63] ^ 1]), NotOnCurve),
        ((GENERATOR[0] + R).to_bytes(32, "big") + data[32:], OutOfRange),
        (bytes(32) + (R + 1).to_bytes(32, "big"), OutOfRange),
    ]:
        with pytest.raises(check) as refused:
            babyjubjub.from_bytes(changed, "a.part")
        assert refused.value.part == "a.part"


def test_hash_to_curve() -> None:
    seen = [babyjubjub.hash_to_curve(bytes([i])) for i in range(8)]
    assert len(set(seen)) == 8
    assert all(babyjubjub.on_curve(point) and babyjubjub.in_subgroup(point) for point in seen)
    assert IDENTITY not in seen
    assert seen[0] == babyjubjub.hash_to_curve(b"\0")


@given(scalars, scalars, scalars, scalars)
@settings(deadline=None, max_examples=25)
def test_commitments(v: int, s: int, w: int, t: int) -> None:
    committed = pedersen.commit(v, s)
    assert committed == plain_add(plain_multiply(pedersen.G, v), plain_multiply(pedersen.H, s))
    assert add(committed, pedersen.commit(w, t)) == pedersen.commit(v + w, s + t)


def test_generators_of_commitments_differ() -> None:
    assert pedersen.G == GENERATOR
    assert pedersen.H not in (pedersen.G, negate(pedersen.G), IDENTITY)
    assert babyjubjub.in_subgroup(pedersen.H)
