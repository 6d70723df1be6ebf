"""What the factors of the modulus make quicker, for the key's owner: decryption, and the masks of encryption.

Modulo N^2 = p^2 q^2 a power is found modulo p^2 and q^2, where products cost a quarter, and put together by the Chinese
remainder theorem in Garner's form (Garner 1959): x = x_p + P ((x_q - x_p) / P mod Q) for P, Q = p, q or p^2, q^2. A
plaintext modulo p is found from c^(p - 1) = 1 + L p modulo p^2 (Paillier 1999, section 7).

In lanes time and memory accesses depend on sizes only, whatever the ciphertexts, plaintexts and randomness; with GMP
exponents show as :mod:`homomorphic.modular` says, and putting together is not constant-time.
"""

from functools import cached_property
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from homomorphic import crt_kernels
from homomorphic import modular_kernels as kernels
from homomorphic.lane_modulus import LaneModulus, in_threads
from homomorphic.plain_modulus import PlainModulus
from homomorphic.row_total import limbs_of
from homomorphic.rows import Bytes, Words, from_rows, to_rows
from homomorphic.secret import Secret
from zkcore.registers import LANES, aligned

Signed = tuple[Bytes, NDArray[np.bool_]]
"""Magnitudes, big-endian ``uint8[n, width]``, and which numbers are negative, ``bool[n]``."""


class LaneFactors(Secret):
    """In lanes, for different primes ``p`` and ``q`` of equal length."""

    def __init__(self, p: int, q: int, h: int, randomness_bits: int) -> None:
        self._p, self._q, self._n = mpz(p), mpz(q), mpz(p) * q
        self._of_p, self._of_q = LaneModulus(p), LaneModulus(q)
        self._h, self._randomness_bits = h, randomness_bits
        self._limbs = self._of_p.limbs
        self._width = 8 * -(-self._n.bit_length() // 64)

    def decrypt(self, rows: Bytes, threads: int) -> Signed:
        """The plaintexts of ciphertexts, from (-N/2, N/2), in rows a whole number of words wide."""
        magnitudes = np.empty((len(rows), self._width // 8), np.uint64)
        negative = np.empty(len(rows), np.bool_)

        def work(first: int, last: int) -> None:
            some = slice(first * LANES, last * LANES)
            plain, masks = self._decrypt(rows[some])
            kernels.collect(plain, magnitudes[some], 2 * self._limbs, aligned(magnitudes.shape[1], LANES))
            negative[some] = masks.reshape(-1)[: len(negative[some])] != 0

        in_threads(work, -(-len(rows) // LANES), threads)
        return magnitudes.view(np.uint8), negative

    def _decrypt(self, rows: Bytes) -> tuple[Words, Words]:
        """Magnitudes as limbs, and masks of the negative ones."""
        m_p, m_q, limbs = self._of_p, self._of_q, self._limbs
        # (1 + N)^(p - 1) = 1 - q p modulo p^2, so that L / -q is the plaintext
        x_p = _scaled(m_p, _quotients(m_p, rows), gmpy2.invert(-self._q, self._p))
        x_q = _scaled(m_q, _quotients(m_q, rows), gmpy2.invert(-self._p, self._q))
        low, inverse = _remainders(m_p, x_p), gmpy2.invert(self._p, self._q)
        high = _scaled(m_q, _remainders(m_q, x_q), inverse)
        kernels.add_rows(high, high, _scaled(m_q, low, -inverse % self._q), limbs)
        joined, masks = _joined(low, _remainders(m_q, high), self._p, limbs), aligned(len(low), LANES)
        half, whole = (limbs_of(value, 2 * limbs) for value in (self._n // 2, self._n))
        crt_kernels.centre_rows(joined, masks, half, whole, 2 * limbs)
        return joined, masks

    @cached_property
    def _tables(self) -> tuple[Words, Words]:
        """Powers of h modulo p^2 and q^2."""
        p_squared, q_squared = self._p**2, self._q**2
        bits = self._randomness_bits
        return self._of_p.fixed_base(self._h % p_squared, bits), self._of_q.fixed_base(self._h % q_squared, bits)

    def masks(self, exponents: Bytes, width: int, threads: int) -> Bytes:
        """h to secret exponents ``uint8[n, ...]`` modulo N^2, ``uint8[n, width]``."""
        out = np.empty((len(exponents), -(-width // 8)), np.uint64)
        tables = self._tables

        def work(first: int, last: int) -> None:
            some = slice(first * LANES, last * LANES)
            masks = self._masks(exponents[some], tables)
            kernels.collect(masks, out[some], 4 * self._limbs, aligned(out.shape[1], LANES))

        in_threads(work, -(-len(exponents) // LANES), threads)
        return out.view(np.uint8)[:, -width:]

    def _masks(self, exponents: Bytes, tables: tuple[Words, Words]) -> Words:
        m_p, m_q, limbs = self._of_p, self._of_q, self._limbs
        blocks = -(-len(exponents) // LANES)
        x_p, x_q = (
            modulus.fixed_power(modulus.ones(blocks), table, exponents)
            for modulus, table in zip((m_p, m_q), tables, strict=True)
        )
        low = m_p.plain(x_p)
        inverse = gmpy2.invert(self._p**2, self._q**2)
        high = m_q.multiply(x_q, m_q.constant(int(inverse)))
        kernels.add_rows(high, high, _scaled_plain(m_q, low, -inverse), limbs)
        return _joined(low, m_q.plain(high), self._p**2, 2 * limbs)


def _quotients(modulus: LaneModulus, rows: Bytes) -> Words:
    """The L of c^(p - 1) = 1 + L p, plain."""
    exponent = modulus.n - 1
    bits = exponent.bit_length()
    powers = modulus.power(modulus.enter(rows), to_rows([exponent], -(-bits // 8)), bits)
    return modulus.canonical(powers)[:, modulus.limbs :]


def _remainders(modulus: LaneModulus, column: Words) -> Words:
    """The numbers of a column modulo n, plain."""
    return modulus.canonical(column)[:, : modulus.limbs].copy()


def _scaled(modulus: LaneModulus, plain: Words, factor: mpz) -> Words:
    """Numbers below 2n, ``uint64[blocks, limbs, 8]``, times a factor modulo n, as a column."""
    raw = aligned(len(plain), 2 * modulus.limbs, LANES)
    raw[:, : modulus.limbs] = plain
    return modulus.multiply(raw, modulus.constant(int(factor * modulus.r % modulus.n**2)))


def _scaled_plain(modulus: LaneModulus, plain: Words, factor: mpz) -> Words:
    """Numbers of 2 limbs limbs, below R n, times a factor modulo n^2, as a column."""
    raw = modulus.reduced(plain)
    return modulus.multiply(raw, modulus.constant(int(factor * modulus.r**2 % modulus.n**2)))


def _joined(low: Words, high: Words, modulus: mpz, limbs: int) -> Words:
    """low + high m, ``uint64[blocks, 2 limbs, 8]``."""
    out = aligned(len(low), 2 * limbs, LANES)
    crt_kernels.join_parts(out, low, high, aligned(2 * limbs, LANES), limbs_of(modulus, limbs), limbs)
    return out


class PlainFactors(Secret):
    """With GMP."""

    def __init__(self, p: int, q: int, h: int, randomness_bits: int) -> None:
        self._p, self._q, self._n = mpz(p), mpz(q), mpz(p) * q
        self._h, self._randomness_bits = h, randomness_bits
        self._of_p, self._of_q = PlainModulus(p), PlainModulus(q)

    def decrypt(self, rows: Bytes, threads: int) -> Signed:
        """As :meth:`LaneFactors.decrypt`."""
        ciphertexts = [mpz(value) for value in from_rows(rows)]
        x_p, x_q = (
            [
                (gmpy2.powmod_sec(c, prime - 1, prime**2) - 1) // prime * gmpy2.invert(-other, prime) % prime
                for c in ciphertexts
            ]
            for prime, other in ((self._p, self._q), (self._q, self._p))
        )
        inverse, half = gmpy2.invert(self._p, self._q), self._n // 2
        values = [a + (b - a) * inverse % self._q * self._p for a, b in zip(x_p, x_q, strict=True)]
        width = 8 * -(-self._n.bit_length() // 64)
        magnitudes = to_rows([self._n - value if value > half else value for value in values], width)
        return magnitudes, np.array([value > half for value in values])

    @cached_property
    def _tables(self) -> tuple[Any, Any]:
        bits = self._randomness_bits
        return self._of_p.fixed_base(self._h % self._p**2, bits), self._of_q.fixed_base(self._h % self._q**2, bits)

    def masks(self, exponents: Bytes, width: int, threads: int) -> Bytes:
        """As :meth:`LaneFactors.masks`."""
        ones = [mpz(1)] * len(exponents)
        x_p, x_q = (
            modulus.fixed_power(ones, table, exponents)
            for modulus, table in zip((self._of_p, self._of_q), self._tables, strict=True)
        )
        p_squared, q_squared = self._p**2, self._q**2
        inverse = gmpy2.invert(p_squared, q_squared)
        return to_rows([a + (b - a) * inverse % q_squared * p_squared for a, b in zip(x_p, x_q, strict=True)], width)
