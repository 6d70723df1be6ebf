"""Kernels of :mod:`homomorphic.modular`: pairs modulo n^2 in lanes, eight numbers a block.

The numbers' form and the mathematics are told there. `t` is scratch of 4 limbs registers: the accumulators of the x0
part, 2 limbs long, then those of the x1 part. `modulus` is ``uint64[limbs + 1]``: the limbs of n, then -1/n modulo
2^52. Positions in flat arrays count registers. An accumulator takes at most 6 limbs + 2 products of 52 bits, so it
stays below 2^62 for limbs up to 160. Time and memory accesses depend on sizes only, never on the numbers.
"""

from typing import Any

import numpy as np

from zkcore.kernel import inner, kernel
from zkcore.lanes import (
    LANES,
    LIMB_BITS,
    LIMB_MASK,
    add_high,
    add_low,
    both,
    broadcast,
    carry,
    low_bits,
    replace_where_equal,
    sign,
    u64x8,
)
from zkcore.number import constant, load, store, zero_of

_zero = zero_of(u64x8)
_mask = constant(LIMB_MASK)
_one = constant(1)


@inner
def _clear(t: Any, limbs: Any) -> Any:
    for j in range(4 * limbs):
        store(t, j, _zero())


@inner
def _accumulate(t: Any, a: Any, a_at: Any, b: Any, b_at: Any, limbs: Any) -> Any:
    """t = (a0 b0, a0 b1 + a1 b0), two limbs of b at a time, since memory is slower than multiplication."""
    _clear(t, limbs)
    for i in range(0, limbs, 2):
        b0, b1 = load(_zero(), b, b_at + i), load(_zero(), b, b_at + limbs + i)
        c0, c1 = load(_zero(), b, b_at + i + 1), load(_zero(), b, b_at + limbs + i + 1)
        p0 = p1 = q0 = q1 = _zero()  # the limb of a before, and the one before that
        for j in range(limbs):
            a0, a1 = load(_zero(), a, a_at + j), load(_zero(), a, a_at + limbs + j)
            x = add_high(add_low(load(_zero(), t, i + j), a0, b0), p0, b0)
            store(t, i + j, add_high(add_low(x, p0, c0), q0, c0))
            y = add_high(add_low(load(_zero(), t, 2 * limbs + i + j), a0, b1), p0, b1)
            z = add_high(add_low(_zero(), a1, b0), p1, b0)
            y = add_high(add_low(y, p0, c1), q0, c1)
            z = add_high(add_low(z, p1, c0), q1, c0)
            store(t, 2 * limbs + i + j, y + z)
            p0, p1, q0, q1 = a0, a1, p0, p1
        at = i + limbs
        store(t, at, add_high(add_low(add_high(_zero(), p0, b0), p0, c0), q0, c0))
        store(t, at + 1, add_high(_zero(), p0, c0))
        y = add_high(add_low(add_high(_zero(), p0, b1), p0, c1), q0, c1)
        z = add_high(add_low(add_high(_zero(), p1, b0), p1, c0), q1, c0)
        store(t, 2 * limbs + at, y + z)
        store(t, 2 * limbs + at + 1, add_high(add_high(_zero(), p0, c1), p1, c0))


@inner
def _accumulate_short(t: Any, a: Any, a_at: Any, b: Any, b_at: Any, limbs: Any) -> Any:
    """t = (a0 b0, a1 b0), for a factor whose second part is 0."""
    _clear(t, limbs)
    for i in range(0, limbs, 2):
        b0, c0 = load(_zero(), b, b_at + i), load(_zero(), b, b_at + i + 1)
        p0 = p1 = q0 = q1 = _zero()
        for j in range(limbs):
            a0, a1 = load(_zero(), a, a_at + j), load(_zero(), a, a_at + limbs + j)
            x = add_high(add_low(load(_zero(), t, i + j), a0, b0), p0, b0)
            store(t, i + j, add_high(add_low(x, p0, c0), q0, c0))
            y = add_high(add_low(load(_zero(), t, 2 * limbs + i + j), a1, b0), p1, b0)
            store(t, 2 * limbs + i + j, add_high(add_low(y, p1, c0), q1, c0))
            p0, p1, q0, q1 = a0, a1, p0, p1
        at = i + limbs
        store(t, at, add_high(add_low(add_high(_zero(), p0, b0), p0, c0), q0, c0))
        store(t, at + 1, add_high(_zero(), p0, c0))
        store(t, 2 * limbs + at, add_high(add_low(add_high(_zero(), p1, b0), p1, c0), q1, c0))
        store(t, 2 * limbs + at + 1, add_high(_zero(), p1, c0))


@inner
def _accumulate_square(t: Any, a: Any, a_at: Any, double: Any, limbs: Any) -> Any:
    """t = (a0^2, 2 a0 a1); ``double`` is scratch of ``limbs`` registers."""
    _clear(t, limbs)
    rest = _zero()
    for j in range(limbs):
        x = load(_zero(), a, a_at + j)
        rest = rest + x + x
        store(double, j, low_bits(rest))
        rest = carry(rest)
    for i in range(0, limbs, 2):
        b, c = load(_zero(), a, a_at + i), load(_zero(), a, a_at + i + 1)
        # products of different limbs of a0, once each
        store(t, 2 * i + 1, add_low(load(_zero(), t, 2 * i + 1), c, b))
        before, p, q = c, _zero(), _zero()
        for j in range(i + 2, limbs):
            a0 = load(_zero(), a, a_at + j)
            x = add_high(add_low(load(_zero(), t, i + j), a0, b), before, b)
            store(t, i + j, add_high(add_low(x, p, c), q, c))
            before, p, q = a0, a0, p
        at = i + limbs
        store(t, at, add_high(add_low(add_high(_zero(), before, b), p, c), q, c))
        store(t, at + 1, add_high(_zero(), p, c))
        # 2 a0 a1
        b, c = load(_zero(), a, a_at + limbs + i), load(_zero(), a, a_at + limbs + i + 1)
        p = q = _zero()
        for j in range(limbs):
            a0 = load(_zero(), double, j)
            y = add_high(add_low(load(_zero(), t, 2 * limbs + i + j), a0, b), p, b)
            store(t, 2 * limbs + i + j, add_high(add_low(y, p, c), q, c))
            p, q = a0, p
        at = 3 * limbs + i
        store(t, at, add_high(add_low(add_high(_zero(), p, b), p, c), q, c))
        store(t, at + 1, add_high(_zero(), p, c))
    for j in range(limbs):
        b = load(_zero(), a, a_at + j)
        x = load(_zero(), t, 2 * j)
        store(t, 2 * j, add_low(x + x, b, b))
        x = load(_zero(), t, 2 * j + 1)
        store(t, 2 * j + 1, add_high(x + x, b, b))


@inner
def _reduce(out: Any, out_at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """out = (t0 + t1 n) / R modulo n^2, limbs normalized; two limbs at a time."""
    inverse, n0, n1 = broadcast(modulus, limbs), broadcast(modulus, 0), broadcast(modulus, 1)
    second = 2 * limbs
    # -m is taken as (R - 1 - m) + 1 - R: complemented limbs as they are found, 1 now, and 1 off the result for -R / R.
    store(t, second, load(_zero(), t, second) + _one(_zero()))
    for i in range(0, limbs, 2):
        x = load(_zero(), t, i)
        m = low_bits(add_low(_zero(), x, inverse))
        y = load(_zero(), t, second + i) + _mask(_zero()) - m
        k = low_bits(add_low(_zero(), y, inverse))
        x = load(_zero(), t, i + 1) + carry(add_low(x, m, n0))
        x = add_high(add_low(x, m, n1), m, n0)
        r = low_bits(add_low(_zero(), x, inverse))
        y = load(_zero(), t, second + i + 1) + carry(add_low(y, k, n0)) + _mask(_zero()) - r
        y = add_high(add_low(y, k, n1), k, n0)
        s = low_bits(add_low(_zero(), y, inverse))
        store(t, i + 2, load(_zero(), t, i + 2) + carry(add_low(x, r, n0)))
        store(t, second + i + 2, load(_zero(), t, second + i + 2) + carry(add_low(y, s, n0)))
        p, q = n1, n0
        for j in range(2, limbs):
            n = broadcast(modulus, j)
            x = add_high(add_low(load(_zero(), t, i + j), m, n), m, p)
            store(t, i + j, add_high(add_low(x, r, p), r, q))
            y = add_high(add_low(load(_zero(), t, second + i + j), k, n), k, p)
            store(t, second + i + j, add_high(add_low(y, s, p), s, q))
            p, q = n, p
        at = i + limbs
        x = add_high(load(_zero(), t, at), m, p)
        store(t, at, add_high(add_low(x, r, p), r, q))
        store(t, at + 1, add_high(load(_zero(), t, at + 1), r, p))
        y = add_high(load(_zero(), t, second + at), k, p)
        store(t, second + at, add_high(add_low(y, s, p), s, q))
        store(t, second + at + 1, add_high(load(_zero(), t, second + at + 1), s, p))
    carry0, carry1 = _zero(), _zero() - _one(_zero())
    for j in range(limbs):
        x = load(_zero(), t, limbs + j) + carry0
        store(out, out_at + j, low_bits(x))
        carry0 = carry(x)
        y = load(_zero(), t, 3 * limbs + j) + carry1
        store(out, out_at + limbs + j, low_bits(y))
        carry1 = carry(y)


@inner
def _multiply(out: Any, out_at: Any, a: Any, a_at: Any, b: Any, b_at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery product of two blocks; ``out`` may be one of them."""
    _accumulate(t, a, a_at, b, b_at, limbs)
    _reduce(out, out_at, t, modulus, limbs)


@inner
def _square(out: Any, out_at: Any, a: Any, a_at: Any, t: Any, double: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery square of a block; ``out`` may be ``a``."""
    _accumulate_square(t, a, a_at, double, limbs)
    _reduce(out, out_at, t, modulus, limbs)


@inner
def _copy(out: Any, out_at: Any, a: Any, a_at: Any, count: Any) -> Any:
    for j in range(count):
        store(out, out_at + j, load(_zero(), a, a_at + j))


@inner
def _subtract_once(out: Any, at: Any, modulus: Any, limbs: Any, scratch: Any) -> Any:
    """Take n off the number at ``at`` where it is not less; gives 1 in those lanes, 0 in the others."""
    borrow = _zero()
    for j in range(limbs):
        x = load(_zero(), out, at + j) - broadcast(modulus, j) + borrow
        store(scratch, j, low_bits(x))
        borrow = carry(x)
    less = sign(borrow)
    for j in range(limbs):
        x, y = load(_zero(), scratch, j), load(_zero(), out, at + j)
        store(out, at + j, x + both(less, y - x))
    return less + _one(_zero())


@inner
def _canonical(out: Any, at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Bring (x0, x1), not above n and n + 2, below n; x0 + x1 n stays the same modulo n^2."""
    rest = _subtract_once(out, at, modulus, limbs, t)
    for j in range(limbs):
        x = load(_zero(), out, at + limbs + j) + rest
        store(out, at + limbs + j, low_bits(x))
        rest = carry(x)
    _subtract_once(out, at + limbs, modulus, limbs, t)


@kernel
def spread(words: Any, blocks: Any, limbs: Any) -> Any:
    """Big-endian rows ``uint64[n, width]`` as they lie in memory to limbs ``uint64[ceil(n / 8), limbs, 8]``."""
    count, width = words.shape
    for block in range(blocks.shape[0]):
        first = LANES * block
        for j in range(limbs):
            bit = LIMB_BITS * j
            at, shift = bit >> 6, np.uint64(bit & 63)
            for lane in range(min(LANES, count - first)):
                value = np.uint64(0)
                if at < width:
                    value = _swapped(words[first + lane, width - 1 - at]) >> shift
                    if shift > np.uint64(64 - LIMB_BITS) and at + 1 < width:
                        value |= _swapped(words[first + lane, width - 2 - at]) << (np.uint64(64) - shift)
                blocks[block, j, lane] = value & np.uint64(LIMB_MASK)


@kernel
def collect(blocks: Any, words: Any, first: Any, limbs: Any) -> Any:
    """The inverse of :func:`spread`, from limbs ``first`` to ``first + limbs - 1`` of every block."""
    width = words.shape[1]
    for row in range(words.shape[0]):
        for at in range(width):
            bit = 64 * at
            j = bit // LIMB_BITS
            shift = bit - LIMB_BITS * j
            value = np.uint64(0)
            if j < limbs:
                value = blocks[row >> 3, first + j, row & 7] >> np.uint64(shift)
            filled = LIMB_BITS - shift
            while filled < 64:
                j += 1
                if j < limbs:
                    value |= blocks[row >> 3, first + j, row & 7] << np.uint64(filled)
                filled += LIMB_BITS
            words[row, width - 1 - at] = _swapped(value)


@inner
def _swapped(x: Any) -> Any:
    """The eight bytes of a word in reverse order."""
    ones, twos = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
    x = ((x >> np.uint64(8)) & ones) | ((x & ones) << np.uint64(8))
    x = ((x >> np.uint64(16)) & twos) | ((x & twos) << np.uint64(16))
    return (x >> np.uint64(32)) | (x << np.uint64(32))


@kernel
def reduce_rows(out: Any, wide: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """out = wide / R as pairs, for blocks of 2 limbs plain limbs."""
    for block in range(out.shape[0]):
        _copy(t, 0, wide, block * 2 * limbs, 2 * limbs)
        for j in range(2 * limbs, 4 * limbs):
            store(t, j, _zero())
        _reduce(out, block * 2 * limbs, t, modulus, limbs)


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
        _reduce(out, at, t, modulus, limbs)
        _canonical(out, at, t, modulus, limbs)


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
        _multiply(out, block * 2 * limbs, a, block * 2 * limbs, b, step * block * 2 * limbs, t, modulus, limbs)


@inner
def _fold(total: Any, spare: Any, at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """The product of the eight lanes of a block, in all of them."""
    for distance in (4, 2, 1):
        for j in range(2 * limbs):
            for lane in range(LANES):
                spare[0, j, lane] = total[at, j, lane ^ distance]
        _multiply(total, at * 2 * limbs, total, at * 2 * limbs, spare, 0, t, modulus, limbs)


@kernel
def total_rows(out: Any, rows: Any, spare: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery product of all lanes of all blocks, in every lane of ``out``, one block."""
    _copy(out, 0, rows, 0, 2 * limbs)
    for block in range(1, rows.shape[0]):
        _multiply(out, 0, out, 0, rows, block * 2 * limbs, t, modulus, limbs)
    _fold(out, spare, 0, t, modulus, limbs)


@kernel
def total_groups(
    out: Any, rows: Any, order: Any, starts: Any, one: Any, spare: Any, t: Any, modulus: Any, limbs: Any
) -> Any:
    """Montgomery products of rows ``order[starts[g]:starts[g + 1]]``, in every lane of block g of ``out``."""
    for group in range(out.shape[0]):
        at = group * 2 * limbs
        _copy(out, at, one, 0, 2 * limbs)
        for first in range(starts[group], starts[group + 1], LANES):
            _copy(spare, 0, one, 0, 2 * limbs)
            for lane in range(min(LANES, starts[group + 1] - first)):
                row = order[first + lane]
                for j in range(2 * limbs):
                    spare[0, j, lane] = rows[row >> 3, j, row & 7]
            _multiply(out, at, out, at, spare, 0, t, modulus, limbs)
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
        _copy(table, 0, one, 0, size)
        _copy(table, size, rows, at, size)
        for entry in range(2, 1 << window):
            if entry & 1:
                _multiply(table, entry * size, table, (entry - 1) * size, rows, at, t, modulus, limbs)
            else:
                _square(table, entry * size, table, (entry >> 1) * size, t, double, modulus, limbs)
        started = False
        for position in range((bits - 1) // window * window, -1, -window):
            if started:
                for _ in range(window):
                    _square(chosen, size, chosen, size, t, double, modulus, limbs)
            key = _digits(keys, exponents, block * LANES, position, window)
            for j in range(size):
                x = load(_zero(), table, j)
                for entry in range(1, 1 << window):
                    x = replace_where_equal(key, np.uint64(entry), load(_zero(), table, entry * size + j), x)
                store(chosen, j, x)
            if started:
                _multiply(chosen, size, chosen, size, chosen, 0, t, modulus, limbs)
            else:  # the first window multiplies 1
                _copy(chosen, size, chosen, 0, size)
            started = True
        _copy(out, at, chosen, size, size)


@inner
def _choose(chosen: Any, entries: Any, count: Any, first: Any, second: Any, size: Any) -> Any:
    """Entries of a table by the digits of two blocks, to the two halves of ``chosen``; every entry is read."""
    for j in range(0, size, 4):
        x0, x1, x2, x3 = _four(entries, j)
        y0, y1, y2, y3 = x0, x1, x2, x3
        for entry in range(1, count):
            z0, z1, z2, z3 = _four(entries, entry * size + j)
            key = np.uint64(entry)
            x0, x1 = replace_where_equal(first, key, z0, x0), replace_where_equal(first, key, z1, x1)
            x2, x3 = replace_where_equal(first, key, z2, x2), replace_where_equal(first, key, z3, x3)
            y0, y1 = replace_where_equal(second, key, z0, y0), replace_where_equal(second, key, z1, y1)
            y2, y3 = replace_where_equal(second, key, z2, y2), replace_where_equal(second, key, z3, y3)
        _store_four(chosen, j, x0, x1, x2, x3)
        _store_four(chosen, size + j, y0, y1, y2, y3)


@inner
def _four(words: Any, at: Any) -> Any:
    return broadcast(words, at), broadcast(words, at + 1), broadcast(words, at + 2), broadcast(words, at + 3)


@inner
def _store_four(out: Any, at: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    store(out, at, a)
    store(out, at + 1, b)
    store(out, at + 2, c)
    store(out, at + 3, d)


@inner
def _times_entry(
    out: Any, at: Any, sums: Any, sums_at: Any, chosen: Any, chosen_at: Any, t: Any, modulus: Any, limbs: Any
) -> Any:
    """Multiply a block by the u of an entry u (1 + d n), and add d to the block's sum."""
    _accumulate_short(t, out, at, chosen, chosen_at, limbs)
    _reduce(out, at, t, modulus, limbs)
    for j in range(limbs):
        d = load(_zero(), chosen, chosen_at + limbs + j)
        store(sums, sums_at + j, load(_zero(), sums, sums_at + j) + d)


@kernel
def fixed_power_rows(
    out: Any,
    sums: Any,
    exponents: Any,
    window: Any,
    table: Any,
    chosen: Any,
    keys: Any,
    t: Any,
    modulus: Any,
    limbs: Any,
) -> Any:
    """out (1 + sums n) *= base ** exponent, two blocks at a time, with sums ``uint64[blocks, limbs, 8]``.

    ``table[k, e]`` holds u and d of base ** (e 2^(window k)) = u (1 + d n). As n^2 = 0 the d only add up.
    """
    size = 2 * limbs
    for k in range(table.shape[0]):
        entries = table[k].reshape(table.shape[1] * size)
        for block in range(0, out.shape[0], 2):
            first = _digits(keys, exponents, block * LANES, k * window, window)
            second = _digits(keys, exponents, (block + 1) * LANES, k * window, window)
            _choose(chosen, entries, table.shape[1], first, second, size)
            _times_entry(out, block * size, sums, block * limbs, chosen, 0, t, modulus, limbs)
            if block + 1 < out.shape[0]:
                at = (block + 1) * limbs
                _times_entry(out, 2 * at, sums, at, chosen, size, t, modulus, limbs)
    for block in range(out.shape[0]):
        rest = _zero()
        for j in range(limbs):
            x = load(_zero(), sums, block * limbs + j) + rest
            store(sums, block * limbs + j, low_bits(x))
            rest = carry(x)


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
    _copy(out, 0, one, 0, size)
    for position in range((bits - 1) // window * window, -1, -window):
        for _ in range(window):
            _square(out, 0, out, 0, t, double, modulus, limbs)
        for digit in range(1 << window):
            _copy(buckets, digit * size, one, 0, size)
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
            _multiply(held, 0, held, 0, rows, block * size, t, modulus, limbs)
            for j in range(size):
                for lane in range(LANES):
                    buckets[np.intp(keys[lane]), j, lane] = held[0, j, lane]
        _copy(held, 0, one, 0, size)
        for digit in range(np.intp(highest), 0, -1):  # product of bucket ** digit as a product of suffix products
            _multiply(held, 0, held, 0, buckets, digit * size, t, modulus, limbs)
            _multiply(out, 0, out, 0, held, 0, t, modulus, limbs)
    _fold(out, held, 0, t, modulus, limbs)
