"""Arithmetic modulo n^2 on many numbers at a time, eight to a register.

A number x modulo n^2 is held as a pair (x0, x1) with x = x0 + x1 n. Since n^2 = 0,

    (a0 + a1 n)(b0 + b1 n) = a0 b0 + (a0 b1 + a1 b0) n,

three products of half length instead of four. Montgomery's reduction (1985) of a0 b0 modulo n, with R = 2^(52 limbs),
finds m with a0 b0 + m n = r R, hence a b / R = r + ((a0 b1 + a1 b0 - m) / R mod n) n: two reductions of half length
instead of one of full length, and no number longer than n is ever multiplied. That is 5/8 of the work of a Montgomery
product modulo n^2, and 7/16 for a square.

Two classes do the same work with the same results: :class:`LaneModulus` on AVX-512 IFMA, :class:`PlainModulus` with GMP
one at a time. :func:`square_modulus` gives the one that this processor runs. Each has its own form of a *column* of
numbers, which only it may look into. Rows of bytes are those of :mod:`homomorphic.rows`.

Powers of :class:`LaneModulus` take the same steps and touch the same memory whatever bases and exponents are, below a
bound that the caller says. :class:`PlainModulus` takes GMP's ``mpn_sec_powm``, for which the same holds but for the
exponent's length in bits, which shows; and for a fixed base a table that is looked up by the digits of the exponent,
where the exponent may show in the processor's caches.
"""

from typing import Any

from homomorphic.factors import LaneFactors, PlainFactors
from homomorphic.lane_modulus import LaneModulus
from homomorphic.plain_modulus import PlainModulus
from homomorphic.rows import Bytes, Words, from_rows, to_rows
from zkcore.cpu import BACKEND

__all__ = [
    "Bytes",
    "LaneFactors",
    "LaneModulus",
    "PlainFactors",
    "PlainModulus",
    "Words",
    "from_rows",
    "prime_factors",
    "square_modulus",
    "to_rows",
]


def prime_factors(p: int, q: int, h: int, randomness_bits: int) -> Any:
    """A :class:`LaneFactors` or :class:`PlainFactors` likewise."""
    return (LaneFactors if BACKEND == "avx512ifma" else PlainFactors)(p, q, h, randomness_bits)


def square_modulus(n: int) -> Any:
    """A :class:`LaneModulus` where the processor has AVX-512 IFMA, else a :class:`PlainModulus`."""
    return LaneModulus(n) if BACKEND == "avx512ifma" else PlainModulus(n)
