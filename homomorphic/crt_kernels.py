"""Kernels of :mod:`homomorphic.factors` and inverses: plain numbers in lanes, ``uint64[blocks, limbs, 8]``.

Time and memory accesses depend on sizes only, never on the numbers.
"""

from typing import Any

from homomorphic.pairs import copy, multiply
from zkcore.kernel import inner, kernel
from zkcore.lanes import add_high, add_low, both, broadcast, carry, low_bits, sign, u64x8
from zkcore.number import load, store, zero_of

_zero = zero_of(u64x8)


@kernel
def prefix_products(out: Any, rows: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Block b of ``out`` = the Montgomery product of blocks 0 to b of ``rows``, lane by lane."""
    size = 2 * limbs
    copy(out, 0, rows, 0, size)
    for block in range(1, rows.shape[0]):
        multiply(out, block * size, out, (block - 1) * size, rows, block * size, t, modulus, limbs)


@kernel
def inverses(out: Any, rows: Any, prefixes: Any, last: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """Inverses of all blocks from their prefix products and ``last``, the inverse of the last of those, used up.

    After Montgomery 1987, "Speeding the Pollard and elliptic curve methods of factorization", section 10.3.1.
    """
    size = 2 * limbs
    for block in range(rows.shape[0] - 1, 0, -1):
        multiply(out, block * size, last, 0, prefixes, (block - 1) * size, t, modulus, limbs)
        multiply(last, 0, last, 0, rows, block * size, t, modulus, limbs)
    copy(out, 0, last, 0, size)


@kernel
def choose_rows(out: Any, masks: Any, other: Any) -> Any:
    """Rows of ``out`` from ``other`` in the lanes whose ``masks``, ``uint64[blocks, 8]``, are all ones instead of 0."""
    size = out.shape[1]
    for block in range(out.shape[0]):
        mask = load(_zero(), masks, block)
        for j in range(size):
            x, y = load(_zero(), out, block * size + j), load(_zero(), other, block * size + j)
            store(out, block * size + j, x + both(mask, y - x))


@inner
def _difference_sign(rows: Any, at: Any, bound: Any, limbs: Any) -> Any:
    """All ones in the lanes where ``bound``, a limb a word, is less than the number at ``at``, 0 in the others."""
    borrow = _zero()
    for j in range(limbs):
        borrow = carry(broadcast(bound, j) - load(_zero(), rows, at + j) + borrow)
    return sign(borrow)


@kernel
def centre_rows(rows: Any, masks: Any, half: Any, modulus: Any, limbs: Any) -> Any:
    """x to n - x, and the mask of its lane to all ones, where x is above ``half``."""
    for block in range(rows.shape[0]):
        at = block * limbs
        above = _difference_sign(rows, at, half, limbs)
        store(masks, block, above)
        borrow = _zero()
        for j in range(limbs):
            x = load(_zero(), rows, at + j)
            y = broadcast(modulus, j) - x + borrow
            borrow = carry(y)
            store(rows, at + j, x + both(above, low_bits(y) - x))


@kernel
def join_parts(out: Any, low: Any, high: Any, t: Any, modulus: Any, limbs: Any) -> Any:
    """out = low + high m as plain numbers of 2 limbs limbs, for low and high of ``limbs`` limbs."""
    for block in range(out.shape[0]):
        at = block * limbs
        for j in range(2 * limbs):
            store(t, j, load(_zero(), low, at + j) if j < limbs else _zero())
        for i in range(limbs):
            x, before = load(_zero(), high, at + i), _zero()
            for j in range(limbs):
                m = broadcast(modulus, j)
                store(t, i + j, add_high(add_low(load(_zero(), t, i + j), x, m), x, before))
                before = m
            store(t, i + limbs, add_high(load(_zero(), t, i + limbs), x, before))
        rest = _zero()
        for j in range(2 * limbs):
            x = load(_zero(), t, j) + rest
            store(out, 2 * at + j, low_bits(x))
            rest = carry(x)
