"""Powers by secrets take as long for one exponent as for another.

What a clock can show: shortest processor times of interleaved runs with the lightest and the heaviest exponents.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest

from homomorphic.modular import LaneModulus, PlainModulus, to_rows
from homomorphic.paillier import power_of_secret
from zkcore.cpu import BACKEND

N = 2**1024 - 105
BITS = 512
LIGHT, HEAVY = 1, 2**BITS - 1
TOP = 1 << (BITS - 1)
"""Set in every exponent where GMP works, as its steps go by the exponent's length."""

pytestmark = pytest.mark.slow


def slope(operation: Callable[[int], Any]) -> float:
    """Shortest time for the heavy exponent over the shortest for the light one."""
    best = {LIGHT: float("inf"), HEAVY: float("inf")}
    for _ in range(60):
        for exponent in best:
            start = time.process_time()
            operation(exponent)
            best[exponent] = min(best[exponent], time.process_time() - start)
    return best[HEAVY] / best[LIGHT]


@pytest.mark.parametrize("kind", [PlainModulus, *([LaneModulus] if BACKEND == "avx512ifma" else [])])
def test_power(kind: Any) -> None:
    m = kind(N)
    column = m.enter(to_rows([secrets.randbelow(N * N) for _ in range(16)], 256))
    top = TOP if kind is PlainModulus else 0

    def power(exponent: int) -> None:
        m.power(column, to_rows([exponent | top] * 16, BITS // 8), BITS)

    assert slope(power) == pytest.approx(1, abs=0.1)


@pytest.mark.skipif(BACKEND != "avx512ifma", reason="constant-time in lanes only")
def test_power_of_a_fixed_base() -> None:
    m = LaneModulus(N)
    table = m.fixed_base(3, BITS)
    column = m.enter(to_rows([1] * 32, 256))
    assert slope(lambda exponent: m.fixed_power(column, table, to_rows([exponent] * 32, BITS // 8))) == pytest.approx(
        1, abs=0.1
    )


def test_power_of_a_secret() -> None:
    base = secrets.randbelow(N)

    def power(exponent: int) -> None:
        for _ in range(10):
            power_of_secret(base, exponent | TOP, N)

    assert slope(power) == pytest.approx(1, abs=0.1)


def test_the_clock_would_show_a_slope() -> None:
    """An ordinary power is quicker for a short exponent, and the measurement sees it."""
    base = secrets.randbelow(N)
    assert slope(lambda exponent: [pow(base, exponent, N) for _ in range(5)]) > 1.5
