"""Arithmetic modulo n^2 on many numbers at a time, eight to a register.

A number x modulo n^2 is held as a pair (x0, x1) with x = x0 + x1 n. Since n^2 = 0,

    (a0 + a1 n)(b0 + b1 n) = a0 b0 + (a0 b1 + a1 b0) n,

three products of half length instead of four. Montgomery's reduction (1985) of a0 b0 modulo n, with R = 2^(52 limbs),
finds m with a0 b0 + m n = r R, hence a b / R = r + ((a0 b1 + a1 b0 - m) / R mod n) n: two reductions of half length
instead of one of full length, and no number longer than n is ever multiplied. That is 5/8 of the work of a Montgomery
product modulo n^2, and 7/16 for a square.

Two classes do the same work with the same results: :class:`LaneModulus` on AVX-512 IFMA, :class:`PlainModulus` with GMP
one at a time. :func:`square_modulus` gives the one that this processor runs. Each has its own form of a *column* of
numbers, which only it may look into. Rows of bytes are big-endian integers of equal width, ``uint8[n, width]``.

Powers of :class:`LaneModulus` take the same steps and touch the same memory whatever bases and exponents are, below a
bound that the caller says. :class:`PlainModulus` takes GMP's ``mpn_sec_powm``, for which the same holds but for the
exponent's length in bits, which shows; and for a fixed base a table that is looked up by the digits of the exponent,
where the exponent may show in the processor's caches.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from homomorphic import modular_kernels as kernels
from homomorphic.multiexp import product_of_powers
from zkcore.cpu import BACKEND
from zkcore.lanes import LANES, LIMB_BITS, LIMB_MASK, aligned

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

FIXED_WINDOW = 6
"""Bits a window of a fixed base's table in lanes, where every entry is read."""

LOOKUP_WINDOW = 7
"""The same where entries are looked up."""

_CHUNK = 4096


def to_rows(values: Sequence[int], width: int) -> Bytes:
    """Big-endian rows ``uint8[n, width]`` of integers in ``[0, 2^(8 width))``."""
    return np.frombuffer(b"".join([int(value).to_bytes(width, "big") for value in values]), np.uint8).reshape(-1, width)


def from_rows(rows: Bytes) -> list[int]:
    """Integers of big-endian rows."""
    data, width = np.ascontiguousarray(rows).tobytes(), rows.shape[1]
    return [int.from_bytes(data[at : at + width], "big") for at in range(0, len(data), width)]


def _words_of(rows: Bytes) -> Words:
    """Rows as words in the same order in memory, padded in front to whole words."""
    missing = -rows.shape[1] % 8
    if missing:
        rows = np.pad(rows, ((0, 0), (missing, 0)))
    return np.ascontiguousarray(rows).view(np.uint64)


def _exponent_words(rows: Bytes) -> Words:
    """Exponents with the low word first."""
    return np.ascontiguousarray(_words_of(rows).byteswap()[:, ::-1])


class LaneModulus:
    """Arithmetic modulo n^2 in lanes, for an odd n of 64 to 8,000 bits.

    A column is ``uint64[blocks, 2 limbs, 8]``: limbs of the x0 in radix 2^52, least significant first, then those of
    the x1, a row to a lane, in Montgomery form (x R) with x0 and x1 below 2n. Rows past the end hold 1.
    """

    def __init__(self, n: int) -> None:
        self.n = int(n)
        # an even number of limbs, and R so far above n that sums of a few numbers need no reduction
        self.limbs = 2 * -(-(self.n.bit_length() + 16) // (2 * LIMB_BITS))
        self.r = 1 << (LIMB_BITS * self.limbs)
        inverse = -pow(self.n, -1, 1 << LIMB_BITS) % (1 << LIMB_BITS)
        self._modulus = np.array([*self._limbs_of(self.n), inverse], np.uint64)
        self.one = self.constant(1)

    def _limbs_of(self, value: int) -> list[int]:
        return [value >> (LIMB_BITS * j) & LIMB_MASK for j in range(self.limbs)]

    def constant(self, value: int) -> Words:
        """A column to multiply every row of another by: one block with an integer modulo n^2 in every lane."""
        x1, x0 = divmod(value * self.r % self.n**2, self.n)
        block = aligned(1, 2 * self.limbs, LANES)
        block[0] = np.array(self._limbs_of(x0) + self._limbs_of(x1), np.uint64)[:, None]
        return block

    def _scratch(self, registers: int) -> Words:
        return aligned(registers, LANES)

    def _t(self) -> Words:
        return aligned(4 * self.limbs, LANES)

    def _empty(self, blocks: int) -> Words:
        return aligned(blocks, 2 * self.limbs, LANES)

    def _pad(self, column: Words, count: int) -> Words:
        if count % LANES:
            column[-1, :, count % LANES :] = self.one[0, :, count % LANES :]
        return column

    def enter(self, rows: Bytes) -> Words:
        """A column of integers of any size, taken modulo n^2."""
        words = _words_of(rows)
        blocks = -(-len(rows) // LANES)
        # Digits below R n, so that reducing one gives less than 2n.
        digit = self.limbs + (self.n.bit_length() - 1) // LIMB_BITS
        digits = -(-rows.shape[1] * 8 // (LIMB_BITS * digit))
        if digits == 1:
            return self._pad(self.multiply(self._reduced(words), self.constant(self.r**2)), len(rows))
        wide = aligned(blocks, digits * digit, LANES)
        kernels.spread(words, wide, digits * digit)
        total, reduced, raw = self._empty(blocks), self._empty(blocks), self._empty(blocks)
        for k in range(digits):
            raw[:, :digit] = wide[:, k * digit : (k + 1) * digit]
            kernels.reduce_rows(reduced, raw, self._t(), self._modulus, self.limbs)
            # Reducing divided by R: multiply by R and by the digit's place.
            part = self.multiply(reduced, self.constant((self.r**2 << (LIMB_BITS * digit * k)) % self.n**2))
            kernels.add_rows(total, total, part, self.limbs)
        return self._pad(total, len(rows))

    def _reduced(self, words: Words) -> Words:
        """Integers below R n as pairs, divided by R."""
        column = self._empty(-(-len(words) // LANES))
        kernels.spread(words, column, 2 * self.limbs)
        kernels.reduce_rows(column, column, self._t(), self._modulus, self.limbs)
        return column

    def total_of_rows(self, rows: Bytes) -> int:
        """The product of integers below n^2, without making a column of all of them."""
        result = mpz(1)
        for first in range(0, len(rows), _CHUNK):
            words = _words_of(rows[first : first + _CHUNK])
            column = self._reduced(words)
            count = len(column) * LANES
            if count > len(words):
                column[-1, :, len(words) % LANES :] = self._divided[0, :, :1]
            product = from_rows(self.leave(self.total(column), 1, -(-2 * self.n.bit_length() // 8)))[0]
            # Every factor came divided by R, every product and leaving too: 2 count powers of R, of `_divided` as well.
            result = result * product * gmpy2.powmod(self.r, 2 * count, self.n**2) % self.n**2
        return int(result)

    @cached_property
    def _divided(self) -> Words:
        """1 / R."""
        return self._reduced(_words_of(to_rows([1] * LANES, 8)))

    def enter_plaintexts(self, rows: Bytes) -> Words:
        """A column of 1 + m n for integers m below 2n."""
        digits = aligned(-(-len(rows) // LANES), self.limbs, LANES)
        kernels.spread(_words_of(rows), digits, self.limbs)
        return self._pad(self._one_plus(digits), len(rows))

    def leave(self, column: Words, count: int, width: int) -> Bytes:
        """The integers below n^2 of the first ``count`` rows."""
        plain = self._empty(len(column))
        kernels.leave_rows(plain, column, self._t(), self._modulus, self.limbs)
        kernels.join_rows(plain, self._t(), self._modulus, self.limbs)
        return self._collect(plain, count, width, 0, 2 * self.limbs)

    def leave_quotients(self, column: Words, count: int) -> list[int]:
        """The integers x1 below n of x = x0 + x1 n, the L function of Paillier where x0 = 1."""
        plain = self._empty(len(column))
        kernels.leave_rows(plain, column, self._t(), self._modulus, self.limbs)
        return from_rows(self._collect(plain, count, -(-self.n.bit_length() // 64) * 8, self.limbs, self.limbs))

    def _collect(self, plain: Words, count: int, width: int, first: int, limbs: int) -> Bytes:
        words = np.empty((count, -(-width // 8)), np.uint64)
        kernels.collect(plain, words, first, limbs)
        return words.view(np.uint8)[:, -width:]

    def multiply(self, a: Words, b: Words) -> Words:
        """Products row by row; ``b`` may be a :meth:`constant`."""
        out = self._empty(len(a))
        step = 0 if len(b) == 1 else 1
        kernels.multiply_rows(out, a, b, step, self._t(), self._modulus, self.limbs)
        return out

    def total(self, column: Words) -> Words:
        """The product of all rows, in every row of one block."""
        out = self._empty(1)
        kernels.total_rows(out, column, self._empty(1), self._t(), self._modulus, self.limbs)
        return out

    def totals(self, column: Words, order: NDArray[np.int64], starts: NDArray[np.int64]) -> Words:
        """Row g is the product of the rows ``order[starts[g]:starts[g + 1]]``."""
        groups = len(starts) - 1
        out = self._empty(groups)
        spare, t = self._empty(1), self._t()
        kernels.total_groups(out, column, order, starts, self.one, spare, t, self._modulus, self.limbs)
        return self.take(out, LANES * np.arange(groups, dtype=np.int64))

    def take(self, column: Words, order: NDArray[np.int64]) -> Words:
        """The rows ``order`` in that order."""
        out = self._empty(-(-len(order) // LANES))
        kernels.take(out, column, order)
        return self._pad(out, len(order))

    def join(self, columns: Sequence[tuple[Words, int]]) -> Words:
        """Columns with their numbers of rows, one after the other."""
        aligned_so_far = all(count % LANES == 0 for _, count in columns[:-1])
        out = self._empty(sum(len(column) for column, _ in columns))
        np.concatenate([column for column, _ in columns], out=out)
        if aligned_so_far:
            return out
        firsts = np.cumsum([0] + [len(column) for column, _ in columns]) * LANES
        rows = zip(firsts, columns, strict=False)
        return self.take(out, np.concatenate([np.arange(count) + first for first, (_, count) in rows]).astype(np.int64))

    def power(self, column: Words, exponents: Bytes, bits: int) -> Words:
        """Each row to its own secret exponent below ``2^bits``, ``uint8[n, width]``; a single one serves all rows."""
        count = len(column) * LANES
        words = _exponent_words(exponents)
        if len(words) == 1:
            words = np.ascontiguousarray(np.broadcast_to(words, (count, words.shape[1])))
        window = min(range(1, 7), key=lambda w: (1 << w) + -(-bits // w))
        size, out = 2 * self.limbs, self._empty(len(column))
        table, chosen = self._scratch(size << window), self._scratch(2 * size)
        keys, double = aligned(LANES), self._scratch(self.limbs)
        n, limbs = self._modulus, self.limbs
        kernels.power_rows(out, column, words, bits, window, self.one, table, chosen, keys, double, self._t(), n, limbs)
        return out

    def product_of_powers(self, column: Words, exponents: Bytes, bits: int) -> Words:
        """The product of all rows, each to its own public exponent below ``2^bits``; as :meth:`total`."""
        cost = [-(-bits // w) * (len(column) + (2 << w) + w) for w in range(1, 13)]
        window, size, out = 1 + cost.index(min(cost)), 2 * self.limbs, self._empty(1)
        buckets, held = aligned(1 << window, size, LANES), self._empty(1)
        keys, double, t = aligned(LANES), self._scratch(self.limbs), self._t()
        words, n, limbs = _exponent_words(exponents), self._modulus, self.limbs
        kernels.product_of_powers(out, column, words, bits, window, self.one, buckets, held, keys, double, t, n, limbs)
        return out

    def fixed_base(self, base: int, bits: int) -> Words:
        """Table for :meth:`fixed_power` of a unit up to exponents of ``bits``, ``uint64[windows, 2^w, 2 limbs]``.

        An entry u (1 + d n) is held as u in Montgomery form, below 2n, and d below n.
        """
        windows = -(-bits // FIXED_WINDOW)
        n_squared, power = mpz(self.n) ** 2, mpz(base)
        bases, width = [], -(-2 * self.n.bit_length() // 8)
        for _ in range(windows):
            bases.append(power)
            power = gmpy2.powmod(power, 1 << FIXED_WINDOW, n_squared)
        first = self.enter(to_rows(bases, width))
        first_inverse = self.enter(to_rows([gmpy2.invert(value, n_squared) for value in bases], width))
        table = np.empty((windows, 1 << FIXED_WINDOW, 2 * self.limbs), np.uint64)
        entry = inverse = self._repeated(self.one, len(first))
        for e in range(1 << FIXED_WINDOW):
            table[:, e] = self._entries(entry, inverse).transpose(0, 2, 1).reshape(-1, 2 * self.limbs)[:windows]
            entry, inverse = self.multiply(entry, first), self.multiply(inverse, first_inverse)
        return table

    def _repeated(self, block: Words, blocks: int) -> Words:
        out = self._empty(blocks)
        out[:] = block
        return out

    def _entries(self, column: Words, inverse: Words) -> Words:
        """(x0, x1) as (u, d) with x0 + x1 n = u (1 + d n): u = x0 and d = x1 / x0 modulo n."""
        seconds, firsts = self._empty(len(column)), self._empty(len(column))
        seconds[:, : self.limbs] = column[:, self.limbs :]
        firsts[:, : self.limbs] = inverse[:, : self.limbs]
        # x1 (R / x) / R and out of Montgomery form, where x0 is x R modulo n: x1 / x0
        quotients = self.multiply(seconds, firsts)
        kernels.leave_rows(quotients, quotients, self._t(), self._modulus, self.limbs)
        entries = column.copy()
        entries[:, self.limbs :] = quotients[:, : self.limbs]
        return entries

    def fixed_power(self, column: Words, table: Words, exponents: Bytes) -> Words:
        """Rows times base ** exponent, for secret exponents ``uint8[n, width]``, one a row."""
        out = self._repeated(column, len(column))
        sums = aligned(len(out), self.limbs, LANES)
        chosen, keys = self._scratch(4 * self.limbs), aligned(LANES)
        words = _exponent_words(exponents)
        t, n, limbs = self._t(), self._modulus, self.limbs
        for first in range(0, len(out), 16):  # so many blocks stay in the cache while a window's table is read
            some, rows = slice(first, first + 16), words[first * LANES : (first + 16) * LANES]
            kernels.fixed_power_rows(out[some], sums[some], rows, FIXED_WINDOW, table, chosen, keys, t, n, limbs)
        return self.multiply(out, self._one_plus(sums))

    def _one_plus(self, digits: Words) -> Words:
        """A column of 1 + m n, from the limbs of the m, ``uint64[blocks, limbs, 8]``."""
        raw = self._empty(len(digits))
        raw[:, 0] = 1
        raw[:, self.limbs :] = digits
        return self.multiply(raw, self.constant(self.r))


class PlainModulus:
    """Arithmetic modulo n^2 with GMP; a column is a list of ``mpz``, rows past the end do not exist."""

    def __init__(self, n: int) -> None:
        self.n = mpz(n)

    @cached_property
    def _square(self) -> mpz:
        return self.n * self.n

    def constant(self, value: int) -> list[mpz]:
        """As :meth:`LaneModulus.constant`."""
        return [value % self._square]

    def enter(self, rows: Bytes) -> list[mpz]:
        """As :meth:`LaneModulus.enter`."""
        return [mpz(value) % self._square for value in from_rows(rows)]

    def enter_plaintexts(self, rows: Bytes) -> list[mpz]:
        """As :meth:`LaneModulus.enter_plaintexts`."""
        return [(1 + value * self.n) % self._square for value in from_rows(rows)]

    def leave(self, column: list[mpz], count: int, width: int) -> Bytes:
        """As :meth:`LaneModulus.leave`."""
        return to_rows([int(value) for value in column[:count]], width)

    def leave_quotients(self, column: list[mpz], count: int) -> list[int]:
        """As :meth:`LaneModulus.leave_quotients`."""
        return [int(value // self.n) for value in column[:count]]

    def multiply(self, a: list[mpz], b: list[mpz]) -> list[mpz]:
        """As :meth:`LaneModulus.multiply`."""
        if len(b) == 1:
            return [x * b[0] % self._square for x in a]
        return [x * y % self._square for x, y in zip(a, b, strict=True)]

    def total(self, column: list[mpz]) -> list[mpz]:
        """As :meth:`LaneModulus.total`."""
        product = mpz(1)
        for value in column:
            product = product * value % self._square
        return [product]

    def total_of_rows(self, rows: Bytes) -> int:
        """As :meth:`LaneModulus.total_of_rows`."""
        return int(self.total([mpz(value) for value in from_rows(rows)])[0])

    def totals(self, column: list[mpz], order: NDArray[np.int64], starts: NDArray[np.int64]) -> list[mpz]:
        """As :meth:`LaneModulus.totals`."""
        rows = order.tolist()
        pairs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        return [self.total([column[row] for row in rows[first:last]])[0] for first, last in pairs]

    def take(self, column: list[mpz], order: NDArray[np.int64]) -> list[mpz]:
        """As :meth:`LaneModulus.take`."""
        return [column[row] for row in order.tolist()]

    def join(self, columns: Sequence[tuple[list[mpz], int]]) -> list[mpz]:
        """As :meth:`LaneModulus.join`."""
        return [value for column, _ in columns for value in column]

    def power(self, column: list[mpz], exponents: Bytes, bits: int) -> list[mpz]:
        """As :meth:`LaneModulus.power`."""
        powers = from_rows(exponents)
        powers = powers * len(column) if len(powers) == 1 else powers
        return [
            gmpy2.powmod_sec(value, exponent, self._square) if exponent else mpz(1)
            for value, exponent in zip(column, powers, strict=True)
        ]

    def product_of_powers(self, column: list[mpz], exponents: Bytes, bits: int) -> list[mpz]:
        """As :meth:`LaneModulus.product_of_powers`."""
        return [product_of_powers(column, from_rows(exponents), self._square)]

    def fixed_base(self, base: int, bits: int) -> list[list[tuple[mpz, mpz]]]:
        """As :meth:`LaneModulus.fixed_base`, with a pair (u, d) an entry."""
        table, power = [], mpz(base)
        for _ in range(-(-bits // LOOKUP_WINDOW)):
            entries, entry, inverse = [], mpz(1), mpz(1)
            inverse_of_power = gmpy2.invert(power, self.n)
            for _ in range(1 << LOOKUP_WINDOW):
                quotient, u = divmod(entry, self.n)
                entries.append((u, quotient * inverse % self.n))
                entry, inverse = entry * power % self._square, inverse * inverse_of_power % self.n
            table.append(entries)
            power = entry
        return table

    def fixed_power(self, column: list[mpz], table: list[list[tuple[mpz, mpz]]], exponents: Bytes) -> list[mpz]:
        """As :meth:`LaneModulus.fixed_power`, but not constant-time: entries are looked up."""
        out, square = [], self._square
        for product, exponent in zip(column, from_rows(exponents), strict=True):
            total = mpz(0)
            for k, entries in enumerate(table):
                u, d = entries[exponent >> (LOOKUP_WINDOW * k) & ((1 << LOOKUP_WINDOW) - 1)]
                product = product * u % square
                total += d
            out.append(product * (1 + total % self.n * self.n) % square)
        return out


def square_modulus(n: int) -> Any:
    """A :class:`LaneModulus` where the processor has AVX-512 IFMA, else a :class:`PlainModulus`."""
    return LaneModulus(n) if BACKEND == "avx512ifma" else PlainModulus(n)
