"""The precompiled contracts against go-ethereum's published vectors, py-ecc and the EIPs' rules on malformed input."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import SMALL_ORDER, TWIST, from_oracle
from py_ecc.bn128 import G1, add, multiply

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R
from zkcore.errors import NotInSubgroup, NotOnCurve, OutOfRange, WrongLength
from zkcore.formats.evm import ecadd, ecmul, ecpairing
from zkcore.formats.points import g1_from_bytes, g1_to_bytes, g2_from_bytes, g2_to_bytes
from zkcore.groups import g1

VECTORS = Path(__file__).parent.parent / "vectors" / "go-ethereum"
CASES = [
    pytest.param(function, bytes.fromhex(case["Input"]), bytes.fromhex(case["Expected"]), id=f"{name}-{case['Name']}")
    for name, function in (("eip196-add", ecadd), ("eip196-mul", ecmul), ("eip197-pairing", ecpairing))
    for case in json.loads((VECTORS / f"{name}.json").read_text())
]
SCALARS = st.one_of(st.sampled_from([0, 1, 2, R - 1, R, R + 1, P, (1 << 256) - 1]), st.integers(0, (1 << 256) - 1))
ONE, NO = (1).to_bytes(32, "big"), bytes(32)


@pytest.mark.parametrize(("function", "data", "expected"), CASES)
def test_published_vectors(function, data: bytes, expected: bytes) -> None:
    assert function(data) == expected


@given(SCALARS, SCALARS)
@settings(deadline=None, max_examples=25)
def test_agree_with_py_ecc(a: int, b: int) -> None:
    p, q = multiply(G1, a % R), multiply(G1, b % R)
    left, right = g1_to_bytes(from_oracle(p)), g1_to_bytes(from_oracle(q))
    assert ecadd(left + right) == g1_to_bytes(from_oracle(add(p, q)))
    assert ecmul(left + b.to_bytes(32, "big")) == g1_to_bytes(from_oracle(multiply(p, b % R)))


@given(st.binary(max_size=40), st.integers(0, 128))
@settings(deadline=None, max_examples=30)
def test_short_input_is_followed_by_zeros_and_long_input_cut(tail: bytes, length: int) -> None:
    whole = g1_to_bytes(G1_GENERATOR) + g1_to_bytes(g1.multiply(G1_GENERATOR, 9))
    assert ecadd(whole + tail) == ecadd(whole)
    assert ecmul(whole[:96] + tail) == ecmul(whole[:96])
    scalar = whole[:64] + whole[64:length]
    assert ecmul(scalar) == ecmul(scalar.ljust(96, b"\0"))
    assert ecadd(whole[:64]) == whole[:64]
    assert ecmul(b"") == ecadd(b"") == bytes(64)


def test_malformed_points_fail() -> None:
    good = g1_to_bytes(G1_GENERATOR)
    plus = (1 + P).to_bytes(32, "big") + good[32:]
    off = (1).to_bytes(32, "big") * 2
    for wrong, check in [(plus, OutOfRange), (off, NotOnCurve), (b"\xff" * 64, OutOfRange), (good[:32], NotOnCurve)]:
        for function, data in [(ecadd, wrong), (ecmul, wrong)]:
            with pytest.raises(check):
                function(data)
        if len(wrong) == 64:
            with pytest.raises(check):
                ecadd(good + wrong)
            with pytest.raises(check):
                ecpairing(wrong + g2_to_bytes(G2_GENERATOR))


def test_malformed_pairs_fail() -> None:
    first, second = g1_to_bytes(G1_GENERATOR), g2_to_bytes(G2_GENERATOR)
    for length in [1, 64, 191, 193, 383]:
        with pytest.raises(WrongLength):
            ecpairing(((first + second) * 2)[:length])
    for point in [*TWIST, SMALL_ORDER]:
        for other in [first, bytes(64)]:
            with pytest.raises(NotInSubgroup):
                ecpairing(first + second + other + g2_to_bytes(point))
    (x0, x1), y = G2_GENERATOR
    with pytest.raises(OutOfRange):
        ecpairing(first + g2_to_bytes(((x0 + P, x1), y)))
    with pytest.raises(NotOnCurve):
        ecpairing(first + g2_to_bytes(((x1, x0), y)))


def test_neutral_elements_pair_to_one() -> None:
    first, second = g1_to_bytes(G1_GENERATOR), g2_to_bytes(G2_GENERATOR)
    assert ecpairing(bytes(64) + second) == ecpairing(first + bytes(128)) == ecpairing(bytes(192)) == ONE
    assert ecpairing(first + second + bytes(192)) == NO


@given(SCALARS, SCALARS)
@settings(deadline=None, max_examples=15)
def test_pairing_check_is_bilinear(a: int, b: int) -> None:
    second = g2_to_bytes(G2_GENERATOR)
    points = [g1.multiply(G1_GENERATOR, number) for number in (a, b, -(a + b))]
    assert ecpairing(b"".join(g1_to_bytes(point) + second for point in points)) == ONE


def test_points_round_trip_and_lengths_are_exact() -> None:
    for point in [None, G1_GENERATOR]:
        assert g1_from_bytes(g1_to_bytes(point), "p") == point
    for point in [None, G2_GENERATOR]:
        assert g2_from_bytes(g2_to_bytes(point), "p") == point
    for function, length in [(g1_from_bytes, 63), (g1_from_bytes, 65), (g2_from_bytes, 64)]:
        with pytest.raises(WrongLength):
            function(bytes(length), "p")
