"""Random primes for Paillier keys: plain ones, and safe ones (p = 2p' + 1 with p' prime) by a sieve.

A safe prime of 1536 bits is one in 430,000 odd numbers, and a probable-prime test costs about a millisecond, so almost
every candidate must fall to a small factor first. One window of candidates a = 5 (mod 6) is sieved at once by every
prime up to :data:`SIEVE_BOUND` for both a and 2a + 1 (Wiener 2003, "Safe prime generation with a combined sieve").
Survivors are tested in random order, so that no candidate is preferred for the gap before it.

The tests are a Fermat test to base 2 and then :data:`MILLER_RABIN_ROUNDS` rounds of Miller-Rabin with random bases
(NIST FIPS 186-5, appendix B.3, asks for fewer at these lengths). Nothing here is constant-time: keys are made once,
on a machine that must be trusted with them.
"""

import secrets
from collections.abc import Callable
from functools import lru_cache

import gmpy2
import numpy as np
from numpy.typing import NDArray

SIEVE_BOUND = 1 << 22
WINDOW = 1 << 18
MILLER_RABIN_ROUNDS = 40
_LIMB = 32

Progress = Callable[[int, int], None]
"""Called with the candidates tested so far and the number that is tested on average; the first may pass the second."""


@lru_cache(maxsize=2)
def primes_below(bound: int) -> NDArray[np.int64]:
    """All primes below ``bound``, ascending, by the sieve of Eratosthenes."""
    is_prime = np.ones(bound, np.bool_)
    is_prime[:2] = False
    for p in range(2, int(bound**0.5) + 1):
        if is_prime[p]:
            is_prime[p * p :: p] = False
    return np.flatnonzero(is_prime).astype(np.int64)


def _remainders(value: int, moduli: NDArray[np.int64]) -> NDArray[np.int64]:
    """``value`` modulo each of ``moduli`` (all below 2^31), by Horner's rule on 32-bit limbs."""
    remainders = np.zeros(len(moduli), np.uint64)
    wide = moduli.astype(np.uint64)
    for shift in range((value.bit_length() // _LIMB) * _LIMB, -1, -_LIMB):
        remainders = ((remainders << np.uint64(_LIMB)) | np.uint64((value >> shift) & ((1 << _LIMB) - 1))) % wide
    return remainders.astype(np.int64)


def _inverses(value: int, moduli: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 / ``value`` modulo each of ``moduli``, primes that do not divide it, for ``value`` = 6.

    6 x = 1 + k q for the k in 1..5 that makes it divisible by 6; q = 1 or 5 (mod 6), and both are their own inverse.
    """
    assert value == 6
    k = (6 - moduli % 6) % 6  # q * q = 1 (mod 6), so k = -q solves 1 + k q = 0 (mod 6)
    return (1 + k * moduli) // 6


def _survivors(base: int, window: int, bound: int) -> NDArray[np.int64]:
    """Those k in [0, window) for which neither base + 6k nor 2 (base + 6k) + 1 has a prime factor in [5, bound)."""
    primes = primes_below(bound)[2:]
    alive = np.ones(window, np.bool_)
    inverse_of_6 = _inverses(6, primes)
    base_mod = _remainders(base, primes)
    # base + 6k = 0, and 2 (base + 6k) + 1 = 0, that is base + 6k = (q - 1) / 2
    for target in (np.zeros_like(primes), (primes - 1) // 2):
        start = (target - base_mod) % primes * inverse_of_6 % primes
        small = int(np.searchsorted(primes, window))
        for q, first in zip(primes[:small].tolist(), start[:small].tolist(), strict=True):
            alive[first::q] = False
        once = start[small:]
        alive[once[once < window]] = False
    return np.flatnonzero(alive)


def expected_tests(bits: int) -> int:
    """Candidates that :func:`safe_prime` tests on average: (ln 2^bits / (e^gamma ln bound))^2 by Mertens' theorem."""
    e_gamma = 1.7810724179901979
    per_factor = bits * np.log(2) / (e_gamma * np.log(min(SIEVE_BOUND, 1 << (bits // 3))))
    return max(1, round(float(per_factor) ** 2))


def _fermat(n: gmpy2.mpz) -> bool:
    return bool(gmpy2.powmod(2, n - 1, n) == 1)


def _is_prime(n: gmpy2.mpz) -> bool:
    return _fermat(n) and bool(gmpy2.is_prime(n, MILLER_RABIN_ROUNDS))


def safe_prime(bits: int, progress: Progress | None = None) -> int:
    """A random safe prime p = 2p' + 1 of exactly ``bits`` bits with its two highest bits set.

    The product of two such primes has exactly ``2 * bits`` bits. ``bits`` is at least 64.
    """
    if bits < 64:
        raise ValueError("safe primes shorter than 64 bits are not made")
    tested, expected = 0, expected_tests(bits)
    bound = min(SIEVE_BOUND, 1 << (bits // 3))
    while True:
        half = secrets.randbits(bits - 3) | 3 << (bits - 3)
        half += 5 - half % 6
        survivors = _survivors(half, WINDOW, bound).tolist()
        secrets.SystemRandom().shuffle(survivors)
        for k in survivors:
            candidate = gmpy2.mpz(half) + 6 * k
            tested += 1
            if progress is not None and tested % 16 == 0:
                progress(tested, expected)
            # Fermat for both before the many rounds for either.
            if (
                _fermat(candidate)
                and _fermat(2 * candidate + 1)
                and candidate.bit_length() == bits - 1
                and _is_prime(candidate)
                and _is_prime(2 * candidate + 1)
            ):
                if progress is not None:
                    progress(tested, expected)
                return int(2 * candidate + 1)


def blum_prime(bits: int) -> int:
    """A random prime p = 3 (mod 4) of exactly ``bits`` bits with its two highest bits set."""
    while True:
        candidate = gmpy2.mpz(secrets.randbits(bits) | 3 << (bits - 2) | 3)
        if gmpy2.is_prime(candidate, 1) and _is_prime(candidate):
            return int(candidate)
