"""Work with secrets takes as long for one secret as for another: no slope of the time against the secret.

What a clock can show: shortest processor times of interleaved runs with the lightest and the heaviest secrets. Noise
lengthens some runs, and whether it spares the shortest of one kind only differs from attempt to attempt; a dependence
on the secret is there in every attempt. So an operation fails if every attempt shows a slope.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from homomorphic.column import CiphertextColumn
from homomorphic.modular import LaneFactors, LaneModulus, PlainModulus, to_rows
from homomorphic.paillier import power_of_secret
from tests.homomorphic.conftest import keypair
from zkcore.cpu import BACKEND

N = 2**1024 - 105
BITS = 512
LIGHT, HEAVY = 1, 2**BITS - 1
TOP = 1 << (BITS - 1)
"""Set in every exponent where GMP works, as its steps go by the exponent's length."""

ATTEMPTS, RUNS, TOLERANCE = 5, 25, 0.08

pytestmark = pytest.mark.slow
lanes_only = pytest.mark.skipif(BACKEND != "avx512ifma", reason="constant-time in lanes only")


def slope(operation: Callable[[Any], Any], light: Any, heavy: Any) -> float:
    """Shortest time for the heavy secret over the shortest for the light one, less 1: that of the flattest attempt."""
    operation(light)
    operation(heavy)
    flattest = float("inf")
    for _ in range(ATTEMPTS):
        best = [float("inf"), float("inf")]
        for run in range(2 * RUNS):
            which = (run + run // 2) % 2  # light heavy heavy light ...: neither follows the other only
            start = time.thread_time()
            operation((light, heavy)[which])
            best[which] = min(best[which], time.thread_time() - start)
        flattest = min(flattest, best[1] / best[0] - 1, key=abs)
        if abs(flattest) < TOLERANCE:
            break
    return flattest


def is_flat(operation: Callable[[Any], Any], light: Any, heavy: Any) -> bool:
    return abs(slope(operation, light, heavy)) < TOLERANCE


@pytest.mark.parametrize("kind", [PlainModulus, *([LaneModulus] if BACKEND == "avx512ifma" else [])])
def test_power(kind: Any) -> None:
    m = kind(N)
    column = m.enter(to_rows([secrets.randbelow(N * N) for _ in range(16)], 256))
    top = TOP if kind is PlainModulus else 0
    light, heavy = ([to_rows([exponent | top] * 16, BITS // 8)] for exponent in (LIGHT, HEAVY))
    assert is_flat(lambda exponents: m.power(column, exponents[0], BITS), light, heavy)


@lanes_only
def test_power_of_a_fixed_base() -> None:
    m = LaneModulus(N)
    table = m.fixed_base(3, BITS)
    column = m.enter(to_rows([1] * 64, 256))
    light, heavy = (to_rows([exponent] * 64, BITS // 8) for exponent in (LIGHT, HEAVY))
    assert is_flat(lambda exponents: m.fixed_power(column, table, exponents), light, heavy)


@lanes_only
def test_dot_product() -> None:
    m = LaneModulus(N)
    column = m.enter(to_rows([secrets.randbelow(N * N) for _ in range(64)], 256))
    light, heavy = (to_rows([factor] * 64, 8) for factor in (0, 2**64 - 1))
    assert is_flat(lambda factors: m.dot(column, factors, 64), light, heavy)


@lanes_only
def test_the_owners_decryption_and_encryption() -> None:
    key = keypair(512)
    factors = LaneFactors(key.p, key.q, key.public_key.h, key.public_key.randomness_bits)
    width = key.public_key.ciphertext_bytes
    zero, large, negative = (
        CiphertextColumn.encrypt(key.public_key, [value] * 128).to_rows()
        for value in (0, key.public_key.n // 2, -(key.public_key.n // 2))
    )
    assert is_flat(lambda rows: factors.decrypt(rows, 1), zero, large)
    assert is_flat(lambda rows: factors.decrypt(rows, 1), zero, negative)
    light, heavy = (to_rows([exponent] * 128, 32) for exponent in (0, 2**256 - 1))
    assert is_flat(lambda exponents: factors.masks(exponents, width, 1), light, heavy)


@lanes_only
def test_columns_of_secret_numbers() -> None:
    key = keypair(512).public_key
    low, high = np.full(512, -(2**63), np.int64), np.full(512, -1, np.int64)
    assert is_flat(lambda values: CiphertextColumn.encrypt(key, values), low, high)
    column = CiphertextColumn.encrypt(key, np.zeros(512, np.int64))
    # one factor of either sign and full length in both, as the longest and whether any is negative show
    few, many = np.zeros(512, np.int64), np.full(512, -(2**63) + 1, np.int64)
    few[0], many[-1] = -(2**63) + 1, 0
    assert is_flat(lambda factors: column * factors, few, many)
    assert is_flat(lambda factors: column @ factors, few, many)


def test_power_of_a_secret() -> None:
    base = secrets.randbelow(N)
    assert is_flat(lambda e: [power_of_secret(base, e, N) for _ in range(10)], LIGHT | TOP, HEAVY)


def test_the_clock_would_show_a_slope() -> None:
    """An ordinary power is quicker for a light exponent, and every attempt sees it."""
    base = secrets.randbelow(N)
    assert slope(lambda exponent: [pow(base, exponent, N) for _ in range(5)], LIGHT, HEAVY) > 0.5

    # and for few ones among as many bits: square and multiply
    def naive(exponent: int) -> None:
        result = 1
        for bit in bin(exponent)[2:]:
            result = result * result % N
            if bit == "1":
                result = result * base % N

    assert slope(naive, TOP, HEAVY) > 0.3
