"""Running products modulo n^2 of integers in rows that never make a column, and need no Numba when they run.

:class:`LaneRowTotal` runs the machine code of :mod:`homomorphic.row_kernels`, :class:`PlainRowTotal` GMP; results are
the same. Everything multiplied is public.
"""

import ctypes

import gmpy2
import numpy as np
from gmpy2 import mpz

from homomorphic.rows import Bytes, Words, from_rows, words_of
from zkcore.cpu import BACKEND
from zkcore.machine_code import load
from zkcore.registers import LANES, LIMB_BITS, LIMB_MASK, aligned


def limbs_for(n: int) -> int:
    """How many limbs numbers modulo n take: even, and R so far above n that sums of a few need no reduction."""
    return 2 * -(-(n.bit_length() + 16) // (2 * LIMB_BITS))


def limbs_of(value: int | mpz, limbs: int) -> Words:
    """Limbs of one integer, ``uint64[limbs]``."""
    return np.array([int(value) >> (LIMB_BITS * j) & LIMB_MASK for j in range(limbs)], np.uint64)


def modulus_words(n: int, limbs: int) -> Words:
    """The limbs of n, then -1/n modulo 2^52, ``uint64[limbs + 1]``."""
    inverse = -pow(n, -1, 1 << LIMB_BITS) % (1 << LIMB_BITS)
    return np.append(limbs_of(n, limbs), np.uint64(inverse))


class LaneRowTotal:
    """In lanes, for an odd n of 64 to 8,000 bits. To be made in one thread at a time, as it may load machine code."""

    def __init__(self, n: int) -> None:
        self._n, self._square, limbs = n, mpz(n) ** 2, limbs_for(n)
        self._limbs, self._r = limbs, mpz(1) << (LIMB_BITS * limbs)
        self._total = aligned(2 * limbs, LANES)
        self._total[0] = 1
        constants = limbs_of(self._square, 2 * limbs), modulus_words(n, limbs), limbs_of(self._r % n, limbs)
        scratch = (aligned(registers, LANES) for registers in (2 * limbs, 4 * limbs, 2 * limbs, 2 * limbs + 2))
        self._memory = (*constants, *scratch)
        self._blocks = self._missing = 0
        self._multiply = load("homomorphic.row_kernels", "multiply_rows")

    def add(self, rows: Bytes) -> bool:
        """Multiply by rows; False, after which the product is spoilt, if one is 0, 1, or not below n^2."""
        if rows.shape[1] * 8 > 2 * LIMB_BITS * self._limbs:
            raise ValueError("the rows are wider than numbers below n^2")
        words = words_of(rows)
        self._blocks += -(-len(rows) // LANES)
        self._missing += -len(rows) % LANES
        sizes = np.array([self._limbs, words.shape[1]], np.uint64)
        arrays = (words, self._total, sizes, *self._memory)
        return self._multiply(*(array.ctypes.data_as(ctypes.c_void_p) for array in arrays), len(words)) == 0

    def value(self) -> mpz:
        """The product."""
        square, limbs = self._square, self._limbs
        low, high = (
            [sum(mpz(limb) << (LIMB_BITS * j) for j, limb in enumerate(lane)) for lane in part.T.tolist()]
            for part in (self._total[:limbs], self._total[limbs:])
        )
        # every number came divided by R^2, and 2 stands where the last block has no number
        result = gmpy2.powmod(self._r, 2 * self._blocks * LANES, square) * gmpy2.powmod(2, -self._missing, square)
        r_inverse = gmpy2.invert(self._r, square)
        for x0, x1 in zip(low, high, strict=True):
            result = result * (x0 - x1 * r_inverse * self._n) % square
        return result


class PlainRowTotal:
    """With GMP."""

    def __init__(self, n: int) -> None:
        self._square, self._product = mpz(n) ** 2, mpz(1)

    def add(self, rows: Bytes) -> bool:
        """As :meth:`LaneRowTotal.add`."""
        square, product = self._square, self._product
        for value in map(mpz, from_rows(rows)):
            if not 1 < value < square:
                return False
            product = product * value % square
        self._product = product
        return True

    def value(self) -> mpz:
        """The product."""
        return self._product


def row_total(n: int) -> LaneRowTotal | PlainRowTotal:
    """The one that this processor runs."""
    return LaneRowTotal(n) if BACKEND == "avx512ifma" else PlainRowTotal(n)
