"""Transforms against evaluation by Horner's rule, and their laws."""

import secrets

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore.bn254 import R
from zkcore.errors import WrongLength
from zkcore.field import decode, encode, fr, fr_load, store
from zkcore.ntt import NON_RESIDUE, TWO_ADICITY, Domain, domain, domain_bytes, root_of_unity

elements = st.one_of(st.sampled_from([0, 1, R - 1]), st.integers(0, R - 1))


def evaluate(coefficients: list[int], x: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % R
    return value


def test_roots_of_unity() -> None:
    assert (TWO_ADICITY, NON_RESIDUE) == (28, 5)
    assert root_of_unity(28) == 19103219067921713944291392827692070036145651957329286315305642004821462161904
    for bits in range(1, 29):
        assert pow(root_of_unity(bits), 1 << (bits - 1), R) == R - 1
    for bits in (-1, 29):
        with pytest.raises(WrongLength):
            root_of_unity(bits)


@pytest.mark.parametrize("bits", range(7))
def test_the_definition(bits: int) -> None:
    roots = Domain(bits)
    coefficients = [secrets.randbelow(R) for _ in range(1 << bits)]
    values = [evaluate(coefficients, pow(roots.root, i, R)) for i in range(1 << bits)]
    shift = root_of_unity(bits + 1)
    on_coset = [evaluate(coefficients, shift * pow(roots.root, i, R)) for i in range(1 << bits)]
    rows = encode(fr, coefficients)
    roots.evaluate(rows)
    assert decode(fr, rows) == values
    moved = rows.copy()
    roots.shift_to_coset(moved)
    assert decode(fr, moved) == on_coset
    roots.interpolate(rows)
    assert decode(fr, rows) == coefficients


@given(st.lists(elements, min_size=8, max_size=8), st.lists(elements, min_size=8, max_size=8), elements)
@settings(deadline=None, max_examples=25)
def test_linear(left: list[int], right: list[int], factor: int) -> None:
    combined = encode(fr, [(a + factor * b) % R for a, b in zip(left, right, strict=True)])
    parts = encode(fr, left), encode(fr, right)
    for rows in (combined, *parts):
        domain(3).evaluate(rows)
    a, b = (decode(fr, rows) for rows in parts)
    assert decode(fr, combined) == [(x + factor * y) % R for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("bits", [13, 14, 15])
def test_sizes_beyond_a_block(bits: int) -> None:
    """There and back, and one value of the transform by Horner's rule."""
    roots = domain(bits)
    rows = np.frombuffer(bytearray(secrets.token_bytes(32 << bits)), np.uint64).reshape(-1, 4).copy()
    rows[:, 3] >>= np.uint64(3)
    coefficients, original = decode(fr, rows), rows.copy()
    roots.evaluate(rows)
    for index in (1, (1 << bits) - 3):
        assert decode(fr, rows[index]) == [evaluate(coefficients, pow(roots.root, index, R))]
    moved = rows.copy()
    roots.shift_to_coset(moved)
    point = root_of_unity(bits + 1) * pow(roots.root, 5, R)
    assert decode(fr, moved[5]) == [evaluate(coefficients, point)]
    roots.interpolate(rows)
    assert (rows == original).all()


@numba.njit
def horner(rows, at, out):
    x, value = fr_load(at, 0), fr_load(rows, rows.shape[0] - 1)
    for i in range(rows.shape[0] - 2, -1, -1):
        value = value * x + fr_load(rows, i)
    store(out, 0, value)


@pytest.mark.slow
def test_four_million_elements() -> None:
    """There and back, and values at random places by Horner's rule, on the domain and on its coset."""
    bits = 22
    roots, places = Domain(bits), [secrets.randbelow(1 << bits) for _ in range(3)]
    rows = np.frombuffer(bytearray(secrets.token_bytes(32 << bits)), np.uint64).reshape(-1, 4)
    rows[:, 3] >>= np.uint64(3)
    coefficients, out = rows.copy(), np.empty((1, 4), np.uint64)

    def values(shift: int) -> list[int]:
        found = []
        for place in places:
            horner(coefficients, encode(fr, [shift * pow(roots.root, place, R) % R]), out)
            found += decode(fr, out)
        return found

    roots.evaluate(rows)
    assert decode(fr, rows[places]) == values(1)
    moved = rows.copy()
    roots.shift_to_coset(moved)
    assert decode(fr, moved[places]) == values(root_of_unity(bits + 1))
    del moved
    roots.interpolate(rows)
    assert (rows == coefficients).all()


@pytest.mark.parametrize("bits", [0, 1, 5, 12])
def test_memory_is_known_beforehand(bits: int) -> None:
    roots = Domain(bits)
    roots.shift_to_coset(np.zeros((1 << bits, 4), np.uint64))
    held = sum(array.nbytes for array in (*roots._forward, *roots._backward, roots._scale, roots._coset))
    assert held <= domain_bytes(bits) <= held + 1024
    assert domain_bytes(28) < 20 << 30


def test_other_sizes_are_refused() -> None:
    for transform in (domain(3).evaluate, domain(3).interpolate, domain(3).shift_to_coset):
        with pytest.raises(WrongLength):
            transform(np.zeros((4, 4), np.uint64))
    with pytest.raises(WrongLength):
        Domain(29)
