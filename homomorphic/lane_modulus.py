"""Arithmetic modulo n^2 on eight numbers at a time: AVX-512 IFMA's side of :mod:`homomorphic.modular`."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from homomorphic import crt_kernels
from homomorphic import modular_kernels as kernels
from homomorphic.modular_kernels import FIXED_WINDOW
from homomorphic.row_total import limbs_for, limbs_of, modulus_words
from homomorphic.rows import Bytes, Words, exponent_words, from_rows, to_rows, words_of
from zkcore.registers import LANES, LIMB_BITS, aligned

_FIXED_BLOCKS = 64
"""Blocks that stay in the cache while a window of a fixed base's table is read."""

_PIECE = 1024
"""Most blocks that are worked on at a time."""

_DOT_BLOCKS = 8
"""Blocks that share the squarings of a dot product; their tables fit the second-level cache."""


def in_threads(work: Callable[[int, int], Any], blocks: int, threads: int) -> list[Any]:
    """``work(first, last)`` on the blocks, piece by piece in as many threads.

    Pieces bound the memory that work takes besides its result, and the time until an interrupt is seen.
    """
    threads = max(1, min(threads, blocks))
    pieces = threads * -(-blocks // (threads * _PIECE))
    borders = [blocks * i // pieces for i in range(pieces + 1)]
    if threads == 1:
        return [work(first, last) for first, last in itertools.pairwise(borders)]
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

    def enter(self, rows: Bytes, threads: int = 1) -> Words:
        """A column of integers of any size, taken modulo n^2."""
        out = self._empty(-(-len(rows) // LANES))

        def work(first: int, last: int) -> None:
            self._enter(out[first:last], rows[first * LANES : last * LANES])

        in_threads(work, len(out), threads)
        return self._pad(out, len(rows))

    def _enter(self, out: Words, rows: Bytes) -> None:
        # Digits below R n, so that reducing one gives less than 2n.
        digit = self.limbs + (self.n.bit_length() - 1) // LIMB_BITS
        digits = -(-rows.shape[1] * 8 // (LIMB_BITS * digit))
        if digits == 1:
            self._spread(rows, out)
            kernels.reduce_rows(out, out, self._t(), self.words, self.limbs)
            self._multiply(out, out, self.constant(self.r**2))
            return
        blocks = len(out)
        wide = aligned(blocks, digits * digit, LANES)
        self._spread(rows, wide)
        reduced, raw = self._empty(blocks), self._empty(blocks)
        for k in range(digits):
            raw[:, :digit] = wide[:, k * digit : (k + 1) * digit]
            kernels.reduce_rows(reduced, raw, self._t(), self.words, self.limbs)
            # Reducing divided by R: multiply by R and by the digit's place.
            self._multiply(reduced, reduced, self.constant((self.r**2 << (LIMB_BITS * digit * k)) % self.n**2))
            kernels.add_rows(out, out, reduced, self.limbs)

    def reduced(self, plain: Words) -> Words:
        """Numbers below R n, ``uint64[blocks, 2 limbs, 8]``, as pairs divided by R."""
        out = self._empty(len(plain))
        kernels.reduce_rows(out, plain, self._t(), self.words, self.limbs)
        return out

    def ones(self, blocks: int) -> Words:
        """A column of 1."""
        return self._repeated(self.one, blocks)

    def _spread(self, rows: Bytes, out: Words) -> None:
        words = words_of(rows)
        room = max(words.shape[1], out.shape[1] * LIMB_BITS // 64 + 1)
        kernels.spread(words, out, out.shape[1], self._scratch(room + 1))

    def enter_plaintexts(self, rows: Bytes) -> Words:
        """A column of 1 + m n for integers m below 2n."""
        digits = aligned(-(-len(rows) // LANES), self.limbs, LANES)
        self._spread(rows, digits)
        return self._pad(self._one_plus(digits), len(rows))

    def leave(self, column: Words, count: int, width: int, threads: int = 1) -> Bytes:
        """The integers below n^2 of the first ``count`` rows."""
        out = np.empty((count, -(-width // 8)), np.uint64)

        def work(first: int, last: int) -> None:
            plain = self.canonical(column[first:last])
            kernels.join_rows(plain, self._t(), self.words, self.limbs)
            kernels.collect(plain, out[first * LANES : last * LANES], 2 * self.limbs, self._scratch(out.shape[1]))

        in_threads(work, len(column), threads)
        return out.view(np.uint8)[:, -width:]

    def canonical(self, column: Words) -> Words:
        """Pairs below n, not in Montgomery form."""
        out = self._empty(len(column))
        kernels.leave_rows(out, column, self._t(), self.words, self.limbs)
        return out

    def plain(self, column: Words) -> Words:
        """The integers below n^2 as limbs, ``uint64[blocks, 2 limbs, 8]``."""
        out = self.canonical(column)
        kernels.join_rows(out, self._t(), self.words, self.limbs)
        return out

    def multiply(self, a: Words, b: Words, threads: int = 1) -> Words:
        """Products row by row; ``b`` may be a :meth:`constant`."""
        out = self._empty(len(a))

        def work(first: int, last: int) -> None:
            self._multiply(out[first:last], a[first:last], b if len(b) == 1 else b[first:last])

        in_threads(work, len(out), threads)
        return out

    def _multiply(self, out: Words, a: Words, b: Words) -> None:
        kernels.multiply_rows(out, a, b, 0 if len(b) == 1 else 1, self._t(), self.words, self.limbs)

    def total(self, column: Words, threads: int = 1) -> Words:
        """The product of all rows, in every row of one block."""

        def work(first: int, last: int) -> Words:
            out = self._empty(1)
            kernels.total_rows(out, column[first:last], self._t(), self.words, self.limbs)
            return out

        return self._fold(in_threads(work, len(column), threads))

    def _fold(self, parts: list[Words]) -> Words:
        """The product of all lanes of blocks, in every lane of one."""
        out, *others = parts
        for other in others:
            self._multiply(out, out, other)
        kernels.fold_rows(out, self._empty(1), self._t(), self.words, self.limbs)
        return out

    def totals(self, column: Words, order: NDArray[np.int64], starts: NDArray[np.int64], threads: int = 1) -> Words:
        """Row g is the product of the rows ``order[starts[g]:starts[g + 1]]``."""
        groups = len(starts) - 1
        out = self._empty(groups)

        def work(first: int, last: int) -> None:
            state = self.one, self._empty(1), self._t(), self.words, self.limbs
            kernels.total_groups(out[first:last], column, order, starts[first : last + 1], *state)

        in_threads(work, groups, threads)
        return self.take(out, LANES * np.arange(groups, dtype=np.int64))

    def inverses(self, column: Words) -> Words:
        """The inverse of every row, all of which are units; a few inversions serve all."""
        prefixes, t = self._empty(len(column)), self._t()
        crt_kernels.prefix_products(prefixes, column, t, self.words, self.limbs)
        width = -(-2 * self.n.bit_length() // 8)
        products = from_rows(self.leave(prefixes[-1:], LANES, width))
        last = self.enter(to_rows([gmpy2.invert(value, mpz(self.n) ** 2) for value in products], width))
        out = self._empty(len(column))
        crt_kernels.inverses(out, column, prefixes, last, t, self.words, self.limbs)
        return out

    def choose(self, chosen: NDArray[np.bool_], a: Words, b: Words) -> Words:
        """Rows of ``a`` where ``chosen``, of ``b`` elsewhere."""
        masks = aligned(len(a), LANES)
        masks.reshape(-1)[: len(chosen)] = np.where(chosen, np.uint64(2**64 - 1), np.uint64(0))
        out = self._empty(len(b))
        out[:] = b
        crt_kernels.choose_rows(out, masks, a)
        return out

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

    def power(self, column: Words, exponents: Bytes, bits: int, threads: int = 1) -> Words:
        """Each row to its own secret exponent below ``2^bits``, ``uint8[n, width]``; a single one serves all rows."""
        words = exponent_words(exponents)
        if len(words) == 1:
            words = np.ascontiguousarray(np.broadcast_to(words, (len(column) * LANES, words.shape[1])))
        reading = 0.4 / self.limbs  # an entry of the table, in products: 2 limbs registers, 5 limbs^2 multiplications
        window = min(range(1, 7), key=lambda w: (1 << w) + -(-bits // w) * (1 + reading * (1 << w)))
        size, out = 2 * self.limbs, self._empty(len(column))

        def work(first: int, last: int) -> None:
            room = self._scratch(size << window), self._scratch(2 * size), aligned(LANES), self._scratch(self.limbs)
            state = *room, self._t(), self.words, self.limbs
            rows = words[first * LANES : last * LANES]
            kernels.power_rows(out[first:last], column[first:last], rows, bits, window, self.one, *state)

        in_threads(work, len(column), threads)
        return out

    def dot(self, column: Words, exponents: Bytes, bits: int, threads: int = 1) -> Words:
        """The product of all rows, each to its own secret exponent below ``2^bits``; as :meth:`total`."""
        words, size = exponent_words(exponents), 2 * self.limbs
        reading = 0.4 / self.limbs  # as for power
        window = min(range(1, 5), key=lambda w: (1 << w) + -(-bits // w) * (1 + w / _DOT_BLOCKS + reading * (1 << w)))

        def work(first: int, last: int) -> Words:
            out = self._empty(1)
            out[:] = self.one
            room = self._scratch(_DOT_BLOCKS * size << window), self._scratch(2 * size), aligned(LANES)
            state = *room, self._scratch(self.limbs), self._t(), self.words, self.limbs
            for at in range(first, last, _DOT_BLOCKS):
                end = min(at + _DOT_BLOCKS, last)
                rows = words[at * LANES : end * LANES]
                kernels.dot_rows(out, column[at:end], rows, bits, window, self.one, *state)
            return out

        return self._fold(in_threads(work, len(column), threads))

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
        """Table for :meth:`fixed_power` of a unit up to exponents of ``bits``, ``uint64[windows, 16, 2 limbs, 8]``.

        An entry u (1 + d n) is held as u in Montgomery form, below 2n, and d below n; eight entries to a register.
        """
        windows = 2 * -(-bits // (2 * FIXED_WINDOW))
        n_squared, power = mpz(self.n) ** 2, mpz(base)
        bases, width = [], -(-2 * self.n.bit_length() // 8)
        for _ in range(windows):
            bases.append(power)
            power = gmpy2.powmod(power, 1 << FIXED_WINDOW, n_squared)
        first = self.enter(to_rows(bases, width))
        first_inverse = self.enter(to_rows([gmpy2.invert(value, n_squared) for value in bases], width))
        table = aligned(windows, (1 << FIXED_WINDOW) // LANES, 2 * self.limbs, LANES)
        entry = inverse = self._repeated(self.one, len(first))
        for e in range(1 << FIXED_WINDOW):
            entries = self._entries(entry, inverse).transpose(0, 2, 1).reshape(-1, 2 * self.limbs)
            table[:, e // LANES, :, e % LANES] = entries[:windows]
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

    def fixed_power(self, column: Words, table: Words, exponents: Bytes, threads: int = 1) -> Words:
        """Rows times base ** exponent, for secret exponents ``uint8[n, width]``, one a row."""
        out = self._empty(len(column))
        words = np.pad(exponent_words(exponents), ((0, 0), (0, 1)))  # the last window may begin past the last word
        over, multiple = limbs_of(self.r % self.n, self.limbs), limbs_of(-(-self.r // self.n) * self.n, self.limbs + 1)

        def work(first: int, last: int) -> None:
            room = self._scratch(8 * self.limbs), aligned(LANES), self._scratch(2 * self.limbs), self._t()
            for at in range(first, last, _FIXED_BLOCKS):
                end = min(at + _FIXED_BLOCKS, last)
                sums = aligned(-(-(end - at) // 4) * 4, self.limbs, LANES)
                rows, state = words[at * LANES : end * LANES], (*room, self.words, self.limbs)
                kernels.fixed_power_rows(out[at:end], sums, rows, table, over, multiple, *state)
                self._multiply(out[at:end], out[at:end], self.constant(self.r))
                self._multiply(out[at:end], out[at:end], column[at:end])
                self._multiply(out[at:end], out[at:end], self._one_plus(sums[: end - at]))

        in_threads(work, len(out), threads)
        return out

    def _one_plus(self, digits: Words) -> Words:
        """A column of 1 + m n, from the limbs of the m, ``uint64[blocks, limbs, 8]``."""
        raw = self._empty(len(digits))
        raw[:, 0] = 1
        raw[:, self.limbs :] = digits
        return self.multiply(raw, self.constant(self.r))
