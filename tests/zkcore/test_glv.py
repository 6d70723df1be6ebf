"""Halved scalars: the endomorphism against py-ecc, the halves by their law and their length."""

import secrets

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import bn128

from zkcore.bn254 import P, R, U
from zkcore.glv import BASIS, BETA, HALF_BITS, LAMBDA, split
from zkcore.limbs import to_limbs

EDGES = [0, 1, 2, R - 1, R - 2, R, R + 1, LAMBDA, R - LAMBDA, LAMBDA + 1, 1 << 64, 1 << 127, (1 << 127) - 1, R // 2]
EDGES += [(1 << 254) - 1, 1 << 253, LAMBDA * LAMBDA % R, *(abs(x) for vector in BASIS for x in vector)]


@numba.njit
def halves_of(scalars, out):
    for i in range(scalars.shape[0]):
        for k, half in enumerate(split(scalars, i)):
            out[i, k, 0], out[i, k, 1], out[i, k, 2] = half


def halves(numbers: list[int]) -> list[list[int]]:
    out = np.empty((len(numbers), 2, 3), np.uint64)
    halves_of(to_limbs(numbers), out)
    return [[(-1) ** negative * (low | high << 64) for low, high, negative in row] for row in out.tolist()]


def test_roots_of_unity() -> None:
    assert (BETA * BETA + BETA + 1) % P == 0
    assert (LAMBDA * LAMBDA + LAMBDA + 1) % R == 0
    assert LAMBDA == 36 * U**3 + 18 * U**2 + 6 * U + 1


@pytest.mark.parametrize(("generator", "beta"), [(bn128.G1, BETA), (bn128.G2, BETA * BETA % P)])
def test_the_map_multiplies_by_lambda(generator, beta: int) -> None:
    point = bn128.multiply(generator, 1 + secrets.randbelow(R - 1))
    assert bn128.multiply(point, LAMBDA) == (point[0] * beta, point[1])


def test_the_basis() -> None:
    """Of the lattice of pairs that stand for 0, and all of it: its determinant is R."""
    (a, b), (c, d) = BASIS
    assert (a + b * LAMBDA) % R == (c + d * LAMBDA) % R == 0
    assert a * d - b * c == R
    assert 5 * (a + c) <= 8 << HALF_BITS
    assert 5 * (abs(b) + abs(d)) <= 8 << HALF_BITS


def test_edges() -> None:
    for number, (first, second) in zip(EDGES, halves(EDGES), strict=True):
        assert (first + second * LAMBDA - number) % R == 0
        assert max(abs(first), abs(second)) < 1 << HALF_BITS


@given(st.lists(st.one_of(st.integers(0, (1 << 254) - 1), st.integers(0, R - 1)), min_size=1, max_size=20))
@settings(deadline=None, max_examples=100)
def test_halves(numbers: list[int]) -> None:
    for number, (first, second) in zip(numbers, halves(numbers), strict=True):
        assert (first + second * LAMBDA - number) % R == 0
        assert max(abs(first), abs(second)) < 1 << HALF_BITS


@given(st.integers(-(1 << 120), 1 << 120))
@settings(deadline=None, max_examples=100)
def test_what_is_short_stays_whole(number: int) -> None:
    assert halves([number % R]) == [[number, 0]]
