"""Kernels of :mod:`homomorphic.modular` over columns of pairs: conversions, products, powers, tables.

`rows`, `out`: ``uint64[blocks, 2 limbs, 8]``. Scratch `t` and `modulus` are those of :mod:`homomorphic.pairs`. Except
where a function says that exponents are public, time and memory accesses depend on sizes only.
"""

from typing import Any

import numpy as np

from homomorphic.pairs import canonical, copy, multiply, reduce, square
from homomorphic.positive_pairs import accumulate_low, enter, multiply_by, to_halves
from homomorphic.turning import limb_at, limbs_of_rows, rows_of_limbs
from zkcore.kernel import inner, kernel
from zkcore.lanes import (
    add_high,
    add_low,
    broadcast,
    carry,
    low_bits,
    pick_by_bit,
    pick_of_sixteen,
    replace_where_equal,
    u64x8,
)
from zkcore.number import constant, load, store, zero_of
from zkcore.registers import LANES

_zero = zero_of(u64x8)
_one = constant(1)

FIXED_WINDOW = 7
"""Bits a window of a fixed base's table."""


@kernel
def spread(words: Any, blocks: Any, limbs: Any, turned: Any) -> Any:
    """Big-endian rows ``uint64[n, width]`` as they lie in memory to limbs ``uint64[ceil(n / 8), limbs, 8]``.

    ``turned`` is room for ``width`` registers and enough zeros to fill the limbs. Lanes without a row get 0.
    """
    for block in range(blocks.shape[0]):
        limbs_of_rows(turned, words, LANES * block, np.uint64(0))
        for j in range(limbs):
            store(blocks, block * limbs + j, limb_at(turned, j))


@kernel
def collect(blocks: Any, words: Any, limbs: Any, turned: Any) -> Any:
    """The inverse of :func:`spread`, from the first ``limbs`` of every block.

    ``turned`` is room for ``width`` registers.
    """
    for block in range(blocks.shape[0]):
        rows_of_limbs(words, LANES * block, blocks, block * blocks.shape[1], limbs, turned)


@kernel
def reduce_rows(out: Any, wide: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """out = wide / R as pairs, for blocks of 2 limbs plain limbs."""
    for block in range(out.shape[0]):
        copy(t, 0, wide, block * 2 * limbs, 2 * limbs)
        for j in range(2 * limbs, 4 * limbs):
            store(t, j, _zero())
        reduce(out, block * 2 * limbs, t, modulus, limbs)


@kernel
def leave_rows(out: Any, rows: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """out = (x0, x1) below n of every block, out of Montgomery form; ``out`` may be ``rows``."""
    for block in range(rows.shape[0]):
        at = block * 2 * limbs
        for j in range(limbs):
            store(t, j, load(_zero(), rows, at + j))
            store(t, limbs + j, _zero())
            store(t, 2 * limbs + j, load(_zero(), rows, at + limbs + j))
            store(t, 3 * limbs + j, _zero())
        reduce(out, at, t, modulus, limbs)
        canonical(out, at, t, modulus, limbs)


@kernel
def join_rows(rows: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """x0 + x1 n of every block, in place, as 2 limbs plain limbs."""
    for block in range(rows.shape[0]):
        at = block * 2 * limbs
        for j in range(2 * limbs):
            store(t, j, load(_zero(), rows, at + j) if j < limbs else _zero())
        for i in range(limbs):
            x1, before = load(_zero(), rows, at + limbs + i), _zero()
            for j in range(limbs):
                n = broadcast(modulus, j)
                store(t, i + j, add_high(add_low(load(_zero(), t, i + j), x1, n), x1, before))
                before = n
            store(t, i + limbs, add_high(load(_zero(), t, i + limbs), x1, before))
        rest = _zero()
        for j in range(2 * limbs):
            x = load(_zero(), t, j) + rest
            store(rows, at + j, low_bits(x))
            rest = carry(x)


@kernel
def add_rows(out: Any, a: Any, b: Any, limbs: Any) -> Any:
    for block in range(out.shape[0]):
        for part in range(2):
            rest = _zero()
            at = (2 * block + part) * limbs
            for j in range(limbs):
                x = load(_zero(), a, at + j) + load(_zero(), b, at + j) + rest
                store(out, at + j, low_bits(x))
                rest = carry(x)


@kernel
def multiply_rows(out: Any, a: Any, b: Any, step: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery products of blocks; ``step`` is 1, or 0 for one block ``b`` with every block of ``a``."""
    for block in range(out.shape[0]):
        multiply(out, block * 2 * limbs, a, block * 2 * limbs, b, step * block * 2 * limbs, t, modulus, limbs)


@inner
def _fold(total: Any, spare: Any, at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """The product of the eight lanes of a block, in all of them."""
    for distance in (4, 2, 1):
        for j in range(2 * limbs):
            for lane in range(LANES):
                spare[0, j, lane] = total[at, j, lane ^ distance]
        multiply(total, at * 2 * limbs, total, at * 2 * limbs, spare, 0, t, modulus, limbs)


@kernel
def total_rows(out: Any, rows: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery product of all blocks, lane by lane, in ``out``, one block."""
    copy(out, 0, rows, 0, 2 * limbs)
    for block in range(1, rows.shape[0]):
        multiply(out, 0, out, 0, rows, block * 2 * limbs, t, modulus, limbs)


@kernel
def fold_rows(out: Any, spare: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery product of the eight lanes of one block, in all of them."""
    _fold(out, spare, 0, t, modulus, limbs)


@kernel
def total_groups(
    out: Any, rows: Any, order: Any, starts: Any, one: Any, spare: Any, t: Any, modulus: Any, limbs: Any
) -> Any:
    """Montgomery products of rows ``order[starts[g]:starts[g + 1]]``, in every lane of block g of ``out``."""
    for group in range(out.shape[0]):
        at = group * 2 * limbs
        copy(out, at, one, 0, 2 * limbs)
        for first in range(starts[group], starts[group + 1], LANES):
            copy(spare, 0, one, 0, 2 * limbs)
            for lane in range(min(LANES, starts[group + 1] - first)):
                row = order[first + lane]
                for j in range(2 * limbs):
                    spare[0, j, lane] = rows[row >> 3, j, row & 7]
            multiply(out, at, out, at, spare, 0, t, modulus, limbs)
        _fold(out, spare, group, t, modulus, limbs)


@kernel
def take(out: Any, rows: Any, order: Any) -> Any:
    """Row i of ``out`` = row ``order[i]`` of ``rows``."""
    for i in range(len(order)):
        row = order[i]
        for j in range(rows.shape[1]):
            out[i >> 3, j, i & 7] = rows[row >> 3, j, row & 7]


@inner
def _digits(keys: Any, exponents: Any, first: Any, position: Any, window: Any) -> Any:
    """Bits ``position`` ... of the exponents of eight rows; ``exponents`` is ``uint64[n, words]``, low word first."""
    at, shift = position >> 6, np.uint64(position & 63)
    for lane in range(LANES):
        value = np.uint64(0)
        row = first + lane
        if row < exponents.shape[0]:
            value = exponents[row, at] >> shift
            if shift and at + 1 < exponents.shape[1]:
                value |= exponents[row, at + 1] << (np.uint64(64) - shift)
        keys[lane] = value & np.uint64((1 << window) - 1)
    return load(_zero(), keys, 0)


@kernel
def power_rows(
    out: Any,
    rows: Any,
    exponents: Any,
    bits: Any,
    window: Any,
    one: Any,
    table: Any,
    chosen: Any,
    keys: Any,
    double: Any,
    t: Any,
    modulus: Any,
    limbs: Any,
) -> Any:
    """Each row to its own exponent below 2^bits, by fixed windows; every entry of a window's table is read."""
    size = 2 * limbs
    for block in range(rows.shape[0]):
        at = block * size
        copy(table, 0, one, 0, size)
        copy(table, size, rows, at, size)
        for entry in range(2, 1 << window):
            if entry & 1:
                multiply(table, entry * size, table, (entry - 1) * size, rows, at, t, modulus, limbs)
            else:
                square(table, entry * size, table, (entry >> 1) * size, t, double, modulus, limbs)
        started = False
        for position in range((bits - 1) // window * window, -1, -window):
            if started:
                for _ in range(window):
                    square(chosen, size, chosen, size, t, double, modulus, limbs)
            key = _digits(keys, exponents, block * LANES, position, window)
            for j in range(size):
                x = load(_zero(), table, j)
                for entry in range(1, 1 << window):
                    x = replace_where_equal(key, np.uint64(entry), load(_zero(), table, entry * size + j), x)
                store(chosen, j, x)
            if started:
                multiply(chosen, size, chosen, size, chosen, 0, t, modulus, limbs)
            else:  # the first window multiplies 1
                copy(chosen, size, chosen, 0, size)
            started = True
        copy(out, at, chosen, size, size)


@kernel
def dot_rows(
    out: Any,
    rows: Any,
    exponents: Any,
    bits: Any,
    window: Any,
    one: Any,
    table: Any,
    chosen: Any,
    keys: Any,
    double: Any,
    t: Any,
    modulus: Any,
    limbs: Any,
) -> Any:
    """Multiply ``out``, one block, by every block of rows, each row to its own exponent below 2^bits (Straus 1964).

    All blocks share the squarings. ``table`` is ``uint64[blocks, 2^window, 2 limbs, 8]``, of which every entry of a row
    is read.
    """
    size, entries = 2 * limbs, 1 << window
    for block in range(rows.shape[0]):
        first = block * entries
        copy(table, first * size, one, 0, size)
        copy(table, (first + 1) * size, rows, block * size, size)
        for entry in range(2, entries):
            if entry & 1:
                multiply(
                    table,
                    (first + entry) * size,
                    table,
                    (first + entry - 1) * size,
                    rows,
                    block * size,
                    t,
                    modulus,
                    limbs,
                )
            else:
                square(table, (first + entry) * size, table, (first + (entry >> 1)) * size, t, double, modulus, limbs)
    copy(chosen, size, one, 0, size)
    for position in range((bits - 1) // window * window, -1, -window):
        for _ in range(window):
            square(chosen, size, chosen, size, t, double, modulus, limbs)
        for block in range(rows.shape[0]):
            key = _digits(keys, exponents, block * LANES, position, window)
            first = block * entries
            for j in range(size):
                x = load(_zero(), table, first * size + j)
                for entry in range(1, entries):
                    x = replace_where_equal(key, np.uint64(entry), load(_zero(), table, (first + entry) * size + j), x)
                store(chosen, j, x)
            multiply(chosen, size, chosen, size, chosen, 0, t, modulus, limbs)
    multiply(out, 0, out, 0, chosen, size, t, modulus, limbs)


@inner
def _choose(
    chosen: Any, at: Any, sums: Any, block: Any, entries: Any, exponents: Any, keys: Any, position: Any, limbs: Any
) -> Any:
    """Of 128 entries (u, d) those numbered by the digits of four blocks: u to ``chosen``, d added to ``sums``.

    ``entries`` is ``uint64[16, 2 limbs, 8]`` with eight entries to a register. All are read whatever the digits are.
    """
    first = _digits(keys, exponents, block * LANES, position, FIXED_WINDOW)
    second = _digits(keys, exponents, (block + 1) * LANES, position, FIXED_WINDOW)
    third = _digits(keys, exponents, (block + 2) * LANES, position, FIXED_WINDOW)
    fourth = _digits(keys, exponents, (block + 3) * LANES, position, FIXED_WINDOW)
    size = 2 * limbs
    for j in range(size):
        a, b, c, d = _four(entries, j, size)
        e, f, g, h = _four(entries, 4 * size + j, size)
        i, k, m, n = _four(entries, 8 * size + j, size)
        o, p, q, r = _four(entries, 12 * size + j, size)
        w = _pick(a, b, c, d, e, f, g, h, i, k, m, n, o, p, q, r, first)
        x = _pick(a, b, c, d, e, f, g, h, i, k, m, n, o, p, q, r, second)
        y = _pick(a, b, c, d, e, f, g, h, i, k, m, n, o, p, q, r, third)
        z = _pick(a, b, c, d, e, f, g, h, i, k, m, n, o, p, q, r, fourth)
        if j < limbs:
            store(chosen, at + j, w)
            store(chosen, at + limbs + j, x)
            store(chosen, at + 2 * limbs + j, y)
            store(chosen, at + 3 * limbs + j, z)
        else:
            to = block * limbs + j - limbs
            store(sums, to, load(_zero(), sums, to) + w)
            store(sums, to + limbs, load(_zero(), sums, to + limbs) + x)
            store(sums, to + 2 * limbs, load(_zero(), sums, to + 2 * limbs) + y)
            store(sums, to + 3 * limbs, load(_zero(), sums, to + 3 * limbs) + z)


@inner
def _four(entries: Any, at: Any, size: Any) -> Any:
    return (
        load(_zero(), entries, at),
        load(_zero(), entries, at + size),
        load(_zero(), entries, at + 2 * size),
        load(_zero(), entries, at + 3 * size),
    )


@inner
def _pick(
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    e: Any,
    f: Any,
    g: Any,
    h: Any,
    i: Any,
    k: Any,
    m: Any,
    n: Any,
    o: Any,
    p: Any,
    q: Any,
    r: Any,
    keys: Any,
) -> Any:
    """In each lane, of 128 words the one that its key numbers."""
    four, five, six = np.uint64(4), np.uint64(5), np.uint64(6)
    low = pick_by_bit(pick_of_sixteen(a, b, keys), pick_of_sixteen(c, d, keys), keys, four)
    high = pick_by_bit(pick_of_sixteen(e, f, keys), pick_of_sixteen(g, h, keys), keys, four)
    lower = pick_by_bit(low, high, keys, five)
    low = pick_by_bit(pick_of_sixteen(i, k, keys), pick_of_sixteen(m, n, keys), keys, four)
    high = pick_by_bit(pick_of_sixteen(o, p, keys), pick_of_sixteen(q, r, keys), keys, four)
    return pick_by_bit(lower, pick_by_bit(low, high, keys, five), keys, six)


@kernel
def fixed_power_rows(
    out: Any,
    sums: Any,
    exponents: Any,
    table: Any,
    over: Any,
    multiple: Any,
    chosen: Any,
    keys: Any,
    x: Any,
    t: Any,
    modulus: Any,
    limbs: Any,
) -> Any:
    """out (1 + sums n) = base ** exponent as pairs, not in Montgomery form; ``sums`` is ``uint64[blocks, limbs, 8]``.

    ``table[k, e >> 3, :, e & 7]`` holds u and d of R base ** (e 2^(7 k)) = u (1 + d n), for an even number of k. As
    n^2 = 0 the d only add up. The u of two windows are multiplied together first, which saves a reduction. ``sums`` are
    0 before, for a multiple of four blocks. ``over`` is R modulo n, ``multiple`` of n, above R, limbs + 1 long.
    """
    size = 2 * limbs
    for block in range(out.shape[0]):
        for j in range(size):
            store(out, block * size + j, _zero())
        store(out, block * size, _one(_zero()))
    for k in range(0, table.shape[0], 2):
        for block in range(0, out.shape[0], 4):
            _choose(chosen, 0, sums, block, table[k], exponents, keys, k * FIXED_WINDOW, limbs)
            _choose(chosen, 4 * limbs, sums, block, table[k + 1], exponents, keys, (k + 1) * FIXED_WINDOW, limbs)
            for at in range(block, min(block + 4, out.shape[0])):
                accumulate_low(t, chosen, (at - block) * limbs, chosen, (4 + at - block) * limbs, limbs)
                enter(x, t, modulus, limbs)
                multiply_by(out, at * size, x, t, modulus, over, limbs)
    for block in range(out.shape[0]):
        to_halves(t, out, block * size, multiple, limbs)
        reduce(out, block * size, t, modulus, limbs)
        rest = _zero()
        for j in range(limbs):
            y = load(_zero(), sums, block * limbs + j) + rest
            store(sums, block * limbs + j, low_bits(y))
            rest = carry(y)


@kernel
def product_of_powers(
    out: Any,
    rows: Any,
    exponents: Any,
    bits: Any,
    window: Any,
    one: Any,
    buckets: Any,
    held: Any,
    keys: Any,
    double: Any,
    t: Any,
    modulus: Any,
    limbs: Any,
) -> Any:
    """Product of all rows, each to its own public exponent, in every lane of ``out``, by buckets (Pippenger).

    Every lane has buckets of its own, ``uint64[2^window, 2 limbs, 8]``. What is done depends on the exponents.
    """
    size = 2 * limbs
    copy(out, 0, one, 0, size)
    for position in range((bits - 1) // window * window, -1, -window):
        for _ in range(window):
            square(out, 0, out, 0, t, double, modulus, limbs)
        for digit in range(1 << window):
            copy(buckets, digit * size, one, 0, size)
        highest = np.uint64(0)
        for block in range(rows.shape[0]):
            _digits(keys, exponents, block * LANES, position, window)
            most = keys.max()
            if most == 0:
                continue
            highest = max(highest, most)
            for j in range(size):
                for lane in range(LANES):
                    held[0, j, lane] = buckets[np.intp(keys[lane]), j, lane]
            multiply(held, 0, held, 0, rows, block * size, t, modulus, limbs)
            for j in range(size):
                for lane in range(LANES):
                    buckets[np.intp(keys[lane]), j, lane] = held[0, j, lane]
        copy(held, 0, one, 0, size)
        for digit in range(np.intp(highest), 0, -1):  # product of bucket ** digit as a product of suffix products
            multiply(held, 0, held, 0, buckets, digit * size, t, modulus, limbs)
            multiply(out, 0, out, 0, held, 0, t, modulus, limbs)
    _fold(out, held, 0, t, modulus, limbs)
