"""Safe primes and the sieve, against gmpy2 and trial division."""

import gmpy2
import numpy as np
import pytest

from homomorphic import primes


def test_primes_below_are_the_primes() -> None:
    assert primes.primes_below(2000).tolist() == [n for n in range(2000) if gmpy2.is_prime(n)]


@pytest.mark.parametrize("base", [5, 10**30 + 1, 2**1535 + 11])
def test_sieve_keeps_exactly_what_no_small_prime_divides(base: int) -> None:
    base += 5 - base % 6
    window, bound = 400, 1000
    kept = set(primes._survivors(base, window, bound).tolist())
    small = [q for q in primes.primes_below(bound).tolist() if q > 3]
    for k in range(window):
        a = base + 6 * k
        divided = any(a % q == 0 or (2 * a + 1) % q == 0 for q in small)
        assert (k in kept) == (not divided)


def test_remainders() -> None:
    moduli = primes.primes_below(1 << 12)
    value = 3**2000
    assert primes._remainders(value, moduli).tolist() == [value % int(q) for q in moduli]


@pytest.mark.parametrize("bits", [64, 65, 128, 256])
def test_safe_prime(bits: int) -> None:
    calls: list[tuple[int, int]] = []
    p = primes.safe_prime(bits, lambda tested, expected: calls.append((tested, expected)))
    assert p.bit_length() == bits
    assert p >> (bits - 2) == 3
    assert gmpy2.is_prime(p, 50)
    assert gmpy2.is_prime(p // 2, 50)
    assert calls[-1][0] >= 1
    assert calls[-1][1] == primes.expected_tests(bits)


def test_safe_primes_differ() -> None:
    assert len({primes.safe_prime(64) for _ in range(8)}) == 8


def test_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        primes.safe_prime(63)


def test_blum_prime() -> None:
    p = primes.blum_prime(256)
    assert p.bit_length() == 256
    assert p % 4 == 3
    assert gmpy2.is_prime(p, 50)


def test_expected_tests_is_near_the_density_of_safe_primes() -> None:
    """The sieve leaves what Mertens' theorem says, so the forecast of the progress bar is honest."""
    base = 5 + 6 * 10**40
    window = 1 << 14
    left = len(primes._survivors(base, window, 1 << 12)) / window
    # Of a = 5 (mod 6) no prime below 5 divides a or 2a + 1; every other prime q leaves 1 - 2/q.
    small = primes.primes_below(1 << 12)[2:].astype(np.float64)
    assert left == pytest.approx(float(np.prod(1 - 2 / small)), rel=0.05)
