"""Arithmetic modulo n^2 on eight numbers at a time: AVX-512 IFMA's side of :mod:`homomorphic.modular`."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from homomorphic import modular_kernels as kernels
from homomorphic.row_total import limbs_for, limbs_of, modulus_words
from homomorphic.rows import Bytes, Words, exponent_words, from_rows, to_rows, words_of
from zkcore.registers import LANES, LIMB_BITS, aligned

FIXED_WINDOW = 6
"""Bits a window of a fixed base's table, where every entry is read."""


def in_threads(work: Callable[[int, int], Any], blocks: int, threads: int) -> list[Any]:
    """``work(first, last)`` on as many shares of the blocks as there are threads, each in one."""
    threads = max(1, min(threads, blocks))
    if threads == 1:
        return [work(0, blocks)]
    borders = [blocks * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, borders[:-1], borders[1:]))


class LaneModulus:
    """Arithmetic modulo n^2 in lanes, for an odd n of 64 to 8,000 bits.

    A column is ``uint64[blocks, 2 limbs, 8]``: limbs of the x0 in radix 2^52, least significant first, then those of
    the x1, a row to a lane, in Montgomery form (x R) with x0 and x1 below 2n. Rows past the end hold 1.
    """

    def __init__(self, n: int) -> None:
        self.n = int(n)
        self.limbs = limbs_for(self.n)
        self.r = 1 << (LIMB_BITS * self.limbs)
        self.words = modulus_words(self.n, self.limbs)
        self.one = self.constant(1)

    def constant(self, value: int) -> Words:
        """A column to multiply every row of another by: one block with an integer modulo n^2 in every lane."""
        x1, x0 = divmod(value * self.r % self.n**2, self.n)
        block = aligned(1, 2 * self.limbs, LANES)
        block[0] = np.concatenate([limbs_of(x0, self.limbs), limbs_of(x1, self.limbs)])[:, None]
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
        words = words_of(rows)
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
            kernels.reduce_rows(reduced, raw, self._t(), self.words, self.limbs)
            # Reducing divided by R: multiply by R and by the digit's place.
            part = self.multiply(reduced, self.constant((self.r**2 << (LIMB_BITS * digit * k)) % self.n**2))
            kernels.add_rows(total, total, part, self.limbs)
        return self._pad(total, len(rows))

    def _reduced(self, words: Words) -> Words:
        """Integers below R n as pairs, divided by R."""
        column = self._empty(-(-len(words) // LANES))
        kernels.spread(words, column, 2 * self.limbs)
        kernels.reduce_rows(column, column, self._t(), self.words, self.limbs)
        return column

    def enter_plaintexts(self, rows: Bytes) -> Words:
        """A column of 1 + m n for integers m below 2n."""
        digits = aligned(-(-len(rows) // LANES), self.limbs, LANES)
        kernels.spread(words_of(rows), digits, self.limbs)
        return self._pad(self._one_plus(digits), len(rows))

    def leave(self, column: Words, count: int, width: int) -> Bytes:
        """The integers below n^2 of the first ``count`` rows."""
        plain = self._empty(len(column))
        kernels.leave_rows(plain, column, self._t(), self.words, self.limbs)
        kernels.join_rows(plain, self._t(), self.words, self.limbs)
        return self._collect(plain, count, width, 0, 2 * self.limbs)

    def leave_quotients(self, column: Words, count: int) -> list[int]:
        """The integers x1 below n of x = x0 + x1 n, the L function of Paillier where x0 = 1."""
        plain = self._empty(len(column))
        kernels.leave_rows(plain, column, self._t(), self.words, self.limbs)
        return from_rows(self._collect(plain, count, -(-self.n.bit_length() // 64) * 8, self.limbs, self.limbs))

    def _collect(self, plain: Words, count: int, width: int, first: int, limbs: int) -> Bytes:
        words = np.empty((count, -(-width // 8)), np.uint64)
        kernels.collect(plain, words, first, limbs)
        return words.view(np.uint8)[:, -width:]

    def multiply(self, a: Words, b: Words) -> Words:
        """Products row by row; ``b`` may be a :meth:`constant`."""
        out = self._empty(len(a))
        step = 0 if len(b) == 1 else 1
        kernels.multiply_rows(out, a, b, step, self._t(), self.words, self.limbs)
        return out

    def total(self, column: Words) -> Words:
        """The product of all rows, in every row of one block."""
        out = self._empty(1)
        kernels.total_rows(out, column, self._empty(1), self._t(), self.words, self.limbs)
        return out

    def totals(self, column: Words, order: NDArray[np.int64], starts: NDArray[np.int64]) -> Words:
        """Row g is the product of the rows ``order[starts[g]:starts[g + 1]]``."""
        groups = len(starts) - 1
        out = self._empty(groups)
        spare, t = self._empty(1), self._t()
        kernels.total_groups(out, column, order, starts, self.one, spare, t, self.words, self.limbs)
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
        words = exponent_words(exponents)
        if len(words) == 1:
            words = np.ascontiguousarray(np.broadcast_to(words, (count, words.shape[1])))
        window = min(range(1, 7), key=lambda w: (1 << w) + -(-bits // w))
        size, out = 2 * self.limbs, self._empty(len(column))
        table, chosen = self._scratch(size << window), self._scratch(2 * size)
        keys, double = aligned(LANES), self._scratch(self.limbs)
        n, limbs = self.words, self.limbs
        kernels.power_rows(out, column, words, bits, window, self.one, table, chosen, keys, double, self._t(), n, limbs)
        return out

    def product_of_powers(self, column: Words, exponents: Bytes, bits: int) -> Words:
        """The product of all rows, each to its own public exponent below ``2^bits``; as :meth:`total`."""
        cost = [-(-bits // w) * (len(column) + (2 << w) + w) for w in range(1, 13)]
        window, size, out = 1 + cost.index(min(cost)), 2 * self.limbs, self._empty(1)
        buckets, held = aligned(1 << window, size, LANES), self._empty(1)
        keys, double, t = aligned(LANES), self._scratch(self.limbs), self._t()
        words, n, limbs = exponent_words(exponents), self.words, self.limbs
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
        kernels.leave_rows(quotients, quotients, self._t(), self.words, self.limbs)
        entries = column.copy()
        entries[:, self.limbs :] = quotients[:, : self.limbs]
        return entries

    def fixed_power(self, column: Words, table: Words, exponents: Bytes) -> Words:
        """Rows times base ** exponent, for secret exponents ``uint8[n, width]``, one a row."""
        out = self._repeated(column, len(column))
        sums = aligned(len(out), self.limbs, LANES)
        chosen, keys = self._scratch(4 * self.limbs), aligned(LANES)
        words = exponent_words(exponents)
        t, n, limbs = self._t(), self.words, self.limbs
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
