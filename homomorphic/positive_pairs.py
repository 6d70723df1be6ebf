"""Pairs of another form than :mod:`homomorphic.pairs`, in which numbers enter and multiply with fewer reductions.

A number x below R n is split by one Montgomery reduction: with m = -x / n modulo R and x + m n = x0 R,

    x / R = x0 - (m / R) n.

So pairs are held here as (a0, A) for a0 - (A / R) n, and a product of two, divided by R, is again one: where
a0 x0 + m' n = r R,

    (a0 - (A / R) n) (x0 - (m / R) n) / R = r - (C / R) n  with  C = m' + (a0 m + A x0) / R modulo n.

All values are positive, A and C below R, a0 and x0 below 2n. Scratch `t` and `modulus` are those of
:mod:`homomorphic.pairs`. Time and memory accesses depend on sizes only.
"""

from typing import Any

from homomorphic.pairs import accumulate
from zkcore.kernel import inner
from zkcore.lanes import add_high, add_low, both, broadcast, carry, low_bits, u64x8
from zkcore.number import load, store, zero_of

_zero = zero_of(u64x8)


@inner
def enter(x: Any, raw: Any, modulus: Any, limbs: Any) -> Any:
    """x = (x0, m), ``uint64[2 limbs, 8]``, from a number below R n, ``raw``, which is used up; two limbs at a time."""
    inverse, n0, n1 = broadcast(modulus, limbs), broadcast(modulus, 0), broadcast(modulus, 1)
    for i in range(0, limbs, 2):
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
def reduce_apart(t: Any, modulus: Any, limbs: Any) -> Any:
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
def normalize(out: Any, at: Any, t: Any, limbs: Any) -> Any:
    """out = (r, C) without the carry out of C, which is returned, from what :func:`reduce_apart` leaves."""
    rest0 = rest1 = _zero()
    for j in range(limbs):
        x = load(_zero(), t, limbs + j) + rest0
        store(out, at + j, low_bits(x))
        rest0 = carry(x)
        y = load(_zero(), t, 3 * limbs + j) + load(_zero(), t, j) + rest1
        store(out, at + limbs + j, low_bits(y))
        rest1 = carry(y)
    return rest1


@inner
def add_where(out: Any, at: Any, full: Any, over: Any, limbs: Any) -> Any:
    """Add R modulo n, ``over``, to C where the carry ``full`` is 1 and not 0."""
    rest = _zero()
    for j in range(limbs):
        y = load(_zero(), out, at + limbs + j) + both(_zero() - full, broadcast(over, j)) + rest
        store(out, at + limbs + j, low_bits(y))
        rest = carry(y)


@inner
def multiply_by(out: Any, at: Any, x: Any, t: Any, modulus: Any, over: Any, limbs: Any) -> Any:
    """The block of ``out`` times x divided by R; ``over`` is R modulo n."""
    accumulate(t, out, at, x, 0, limbs)
    reduce_apart(t, modulus, limbs)
    add_where(out, at, normalize(out, at, t, limbs), over, limbs)


@inner
def accumulate_low(raw: Any, a: Any, a_at: Any, b: Any, b_at: Any, limbs: Any) -> Any:
    """raw = a b for plain numbers of ``limbs`` limbs, limbs not normalized; two limbs of b at a time."""
    for j in range(2 * limbs):
        store(raw, j, _zero())
    for i in range(0, limbs, 2):
        b0, c0 = load(_zero(), b, b_at + i), load(_zero(), b, b_at + i + 1)
        p = q = _zero()
        for j in range(limbs):
            a0 = load(_zero(), a, a_at + j)
            x = add_high(add_low(load(_zero(), raw, i + j), a0, b0), p, b0)
            store(raw, i + j, add_high(add_low(x, p, c0), q, c0))
            p, q = a0, p
        at = i + limbs
        store(raw, at, add_high(add_low(add_high(_zero(), p, b0), p, c0), q, c0))
        store(raw, at + 1, add_high(_zero(), p, c0))


@inner
def to_halves(t: Any, a: Any, at: Any, multiple: Any, limbs: Any) -> Any:
    """t = (a0 R, c n - A), which :func:`homomorphic.pairs.reduce` makes a pair; ``multiple`` is c n, at least R."""
    borrow = _zero()
    for j in range(limbs):
        store(t, j, _zero())
        store(t, limbs + j, load(_zero(), a, at + j))
        y = broadcast(multiple, j) - load(_zero(), a, at + limbs + j) + borrow
        store(t, 2 * limbs + j, low_bits(y))
        borrow = carry(y)
        store(t, 3 * limbs + j, _zero())
    store(t, 3 * limbs, broadcast(multiple, limbs) + borrow)
