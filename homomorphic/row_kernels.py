"""The product modulo n^2 of numbers as they lie in memory, big-endian, without a form of their own in between.

A number x of at most 2 limbs is split by one Montgomery reduction: with m = -x / n modulo R and x + m n = x0 R,

    x / R = x0 - (m / R) n.

So pairs are held here as (a0, A) for a0 - (A / R) n, and a product of two, divided by R, is again one: where
a0 x0 + m' n = r R,

    (a0 - (A / R) n) (x0 - (m / R) n) / R = r - (C / R) n  with  C = m' + (a0 m + A x0) / R modulo n.

Beside the two reductions and three products of half length of a product in :mod:`homomorphic.pairs`, a number costs one
reduction to enter. All values are positive, A and C below R, a0 and x0 below 2n. Rows are public: what is done depends
on how many there are, and ends at a number that lies out of range. The machine code is kept and called by
:mod:`zkcore.machine_code`.
"""

from typing import Any

import numpy as np
from numba import carray, types

from homomorphic.pairs import accumulate
from homomorphic.turning import limb_at, limbs_of_rows
from zkcore.kernel import alone, inner
from zkcore.lanes import (
    add_high,
    add_low,
    both,
    broadcast,
    carry,
    low_bits,
    prefetch,
    sign,
    u64x8,
)
from zkcore.number import constant, load, store, zero_of
from zkcore.registers import LANES

_zero = zero_of(u64x8)
_one = constant(1)

LINE = 8
"""Words that come from memory together."""

_WORDS = types.CPointer(types.uint64)
SIGNATURE = (*[_WORDS] * 10, types.int64)


@inner
def _outside(raw: Any, bound: Any, limbs: Any) -> Any:
    """Negative in lanes whose number is 0, 1, or not below ``bound``."""
    borrow = rest = _zero()
    for j in range(limbs):
        x = load(_zero(), raw, j)
        borrow = carry(x - broadcast(bound, j) + borrow)
        rest = rest + (x if j else x - both(x, _one(_zero())))
    return (_zero() - _one(_zero()) - sign(borrow)) + sign(rest - _one(_zero()))


@inner
def _enter(x: Any, raw: Any, modulus: Any, words: Any, next_at: Any, limbs: Any) -> Any:
    """x = (x0, m), ``uint64[2 limbs, 8]``, from the number in ``raw``, which is used up; two limbs at a time.

    Meanwhile the eight rows of ``words`` from word ``next_at`` come from memory, four lines at a time.
    """
    inverse, n0, n1 = broadcast(modulus, limbs), broadcast(modulus, 0), broadcast(modulus, 1)
    for i in range(0, limbs, 2):
        for line in range(4):
            prefetch(words, next_at + LINE * (2 * i + line))
        y = load(_zero(), raw, i)
        m = low_bits(add_low(_zero(), y, inverse))
        y = load(_zero(), raw, i + 1) + carry(add_low(y, m, n0))
        y = add_high(add_low(y, m, n1), m, n0)
        r = low_bits(add_low(_zero(), y, inverse))
        store(x, limbs + i, m)
        store(x, limbs + i + 1, r)
        store(raw, i + 2, load(_zero(), raw, i + 2) + carry(add_low(y, r, n0)))
        p, q = n1, n0
        for j in range(2, limbs):
            n = broadcast(modulus, j)
            y = add_high(add_low(load(_zero(), raw, i + j), m, n), m, p)
            store(raw, i + j, add_high(add_low(y, r, p), r, q))
            p, q = n, p
        at = i + limbs
        y = add_high(load(_zero(), raw, at), m, p)
        store(raw, at, add_high(add_low(y, r, p), r, q))
        store(raw, at + 1, add_high(load(_zero(), raw, at + 1), r, p))
    rest = _zero()
    for j in range(limbs):
        y = load(_zero(), raw, limbs + j) + rest
        store(x, j, low_bits(y))
        rest = carry(y)


@inner
def _reduce(t: Any, modulus: Any, limbs: Any) -> Any:
    """t = (m', r, -, (a0 m + A x0) / R) from t = (a0 x0, a0 m + A x0), limbs not normalized; two limbs at a time."""
    inverse, n0, n1 = broadcast(modulus, limbs), broadcast(modulus, 0), broadcast(modulus, 1)
    second = 2 * limbs
    for i in range(0, limbs, 2):
        x = load(_zero(), t, i)
        m = low_bits(add_low(_zero(), x, inverse))
        y = load(_zero(), t, second + i)
        k = low_bits(add_low(_zero(), y, inverse))
        x = load(_zero(), t, i + 1) + carry(add_low(x, m, n0))
        x = add_high(add_low(x, m, n1), m, n0)
        r = low_bits(add_low(_zero(), x, inverse))
        y = load(_zero(), t, second + i + 1) + carry(add_low(y, k, n0))
        y = add_high(add_low(y, k, n1), k, n0)
        s = low_bits(add_low(_zero(), y, inverse))
        store(t, i, m)
        store(t, i + 1, r)
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


@inner
def _normalize(out: Any, t: Any, limbs: Any) -> Any:
    """out = (r, C) without the carry out of C, which is returned, from what :func:`_reduce` leaves."""
    rest0 = rest1 = _zero()
    for j in range(limbs):
        x = load(_zero(), t, limbs + j) + rest0
        store(out, j, low_bits(x))
        rest0 = carry(x)
        y = load(_zero(), t, 3 * limbs + j) + load(_zero(), t, j) + rest1
        store(out, limbs + j, low_bits(y))
        rest1 = carry(y)
    return rest1


@inner
def _add_where(out: Any, full: Any, over: Any, limbs: Any) -> Any:
    """Add R modulo n, ``over``, to C where the carry ``full`` is 1 and not 0."""
    rest = _zero()
    for j in range(limbs):
        y = load(_zero(), out, limbs + j) + both(_zero() - full, broadcast(over, j)) + rest
        store(out, limbs + j, low_bits(y))
        rest = carry(y)


@alone
def multiply_rows(
    rows_at: Any,
    total_at: Any,
    sizes_at: Any,
    bound_at: Any,
    modulus_at: Any,
    over_at: Any,
    x_at: Any,
    t_at: Any,
    raw_at: Any,
    turned_at: Any,
    count: Any,
) -> Any:
    """Multiply ``total = (a0, A)``, ``uint64[2 limbs, 8]``, by rows, each into its lane and divided by R^2.

    The memory is that of :class:`homomorphic.row_total.LaneRowTotal`: rows ``uint64[count, width]`` of bytes as they
    lie, the total, what does not change (limbs and width, n^2, the modulus, R modulo n), and room. A lane without a row
    in the last eight is multiplied by 2. Gives 1, and leaves the total spoilt, where a row lies outside (1, n^2), else
    0.
    """
    sizes: Any = carray(sizes_at, (2,))
    limbs: Any = np.intp(sizes[0])
    width: Any = np.intp(sizes[1])
    words, total = carray(rows_at, (count, width)), carray(total_at, (2 * limbs, LANES))
    bound, modulus, over = carray(bound_at, (2 * limbs,)), carray(modulus_at, (limbs + 1,)), carray(over_at, (limbs,))
    x, t = carray(x_at, (2 * limbs, LANES)), carray(t_at, (4 * limbs, LANES))
    raw, turned = carray(raw_at, (2 * limbs, LANES)), carray(turned_at, (2 * limbs + 2, LANES))
    wrong = first = 0
    while first < count and not wrong:
        limbs_of_rows(turned, words, first, np.uint64(2))
        for j in range(2 * limbs):
            store(raw, j, limb_at(turned, j))
        store(x, 0, sign(_outside(raw, bound, 2 * limbs)))
        for lane in range(LANES):
            wrong |= x[0, lane]
        first += LANES
        _enter(x, raw, modulus, words, first * width, limbs)
        accumulate(t, total, 0, x, 0, limbs)
        _reduce(t, modulus, limbs)
        _add_where(total, _normalize(total, t, limbs), over, limbs)
    return 1 if wrong else 0
