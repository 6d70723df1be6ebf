"""One multiplication of pairs modulo n^2 in lanes: the inner steps of :mod:`homomorphic.modular_kernels`.

The numbers' form and the mathematics are told in :mod:`homomorphic.modular`. `t` is scratch of 4 limbs registers: the
accumulators of the x0 part, 2 limbs long, then those of the x1 part. `modulus` is ``uint64[limbs + 1]``: the limbs of
n, then -1/n modulo 2^52. Positions in arrays count registers. An accumulator takes at most 6 limbs + 2 products of 52
bits, so it stays below 2^62 for limbs up to 160. Time and memory accesses depend on sizes only, never on the numbers.
"""

from typing import Any

from zkcore.kernel import inner
from zkcore.lanes import LIMB_MASK, add_high, add_low, both, broadcast, carry, low_bits, sign, u64x8
from zkcore.number import constant, load, store, zero_of

_zero = zero_of(u64x8)
_mask = constant(LIMB_MASK)
_one = constant(1)


@inner
def _clear(t: Any, limbs: Any) -> Any:
    for j in range(4 * limbs):
        store(t, j, _zero())


@inner
def accumulate(t: Any, a: Any, a_at: Any, b: Any, b_at: Any, limbs: Any) -> Any:
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
def reduce(out: Any, out_at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
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
def multiply(out: Any, out_at: Any, a: Any, a_at: Any, b: Any, b_at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery product of two blocks; ``out`` may be one of them."""
    accumulate(t, a, a_at, b, b_at, limbs)
    reduce(out, out_at, t, modulus, limbs)


@inner
def square(out: Any, out_at: Any, a: Any, a_at: Any, t: Any, double: Any, modulus: Any, limbs: Any) -> Any:
    """Montgomery square of a block; ``out`` may be ``a``."""
    _accumulate_square(t, a, a_at, double, limbs)
    reduce(out, out_at, t, modulus, limbs)


@inner
def copy(out: Any, out_at: Any, a: Any, a_at: Any, count: Any) -> Any:
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
def canonical(out: Any, at: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Bring (x0, x1), not above n and n + 2, below n; x0 + x1 n stays the same modulo n^2."""
    rest = _subtract_once(out, at, modulus, limbs, t)
    for j in range(limbs):
        x = load(_zero(), out, at + limbs + j) + rest
        store(out, at + limbs + j, low_bits(x))
        rest = carry(x)
    _subtract_once(out, at + limbs, modulus, limbs, t)
