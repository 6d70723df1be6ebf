"""Kernels of batch verification: weighted sums and Miller loops of several proofs, in eight lanes where there are any.

What is computed, and why it is sound, is in :mod:`zkcore.groth16.batch`. Proofs come as rows ``uint64[n, 8, 4]`` of
canonical coordinates a.x a.y b.x0 b.x1 b.y0 b.y1 c.x c.y, n a multiple of the number of lanes; weights as rows
``uint64[n, 2]`` whose bit i of both words is digit i, 0 to 3 for 0, 1, lambda, lambda^2. An outcome is a row
``uint64[15, 4]``, canonical: an element of Fp12, then a projective point of G1.
"""

from typing import Any

import numpy as np

from zkcore.bn254 import U
from zkcore.cpu import BACKEND
from zkcore.curve import (
    add,
    add_affine,
    double,
    load_affine,
    load_projective,
    neutral,
    on_curve,
    reciprocal,
    store_affine,
    store_projective,
)
from zkcore.field import fp_zero, fr_zero, from_montgomery, from_word
from zkcore.field_lanes import fp_lanes_zero, gather, mask_bits, mask_from_bits, scatter
from zkcore.fixed_base import add_fixed_base
from zkcore.kernel import inner, kernel
from zkcore.number import constant, is_zero, lanes_of, load, one, select, store, zero
from zkcore.pairing import ends_in_subgroup, final_exponentiation, line_argument, miller
from zkcore.tower import fp2_zero, fp12_equal, fp12_multiply, fp12_one, imaginary_part, pair, real_part

DIGITS = 64
"""Digits of a weight."""

BETA = 18 * U**3 + 18 * U**2 + 9 * U + 1
LAMBDA = 36 * U**3 + 18 * U**2 + 6 * U + 1
"""Cube roots of 1 modulo p and r: LAMBDA (x, y) = (BETA x, y) on G1."""

_beta, _beta_squared = constant(BETA), constant(BETA**2)
_lambda, _lambda_squared = constant(LAMBDA), constant(LAMBDA**2)


# Sums with weights, of one or eight points at a time.


@inner
def _digit(like: Any, weights: Any, first: Any, half: Any, step: Any) -> Any:
    """A mask: bit ``step`` of word ``half`` of the weights of the items in the lanes, from item ``first`` on."""
    bits = np.uint64(0)
    for lane in range(lanes_of(like)):
        bits |= ((weights[first + lane, half] >> np.uint64(step)) & np.uint64(1)) << np.uint64(lane)
    return mask_from_bits(like, bits)


@inner
def _digit_point(point: Any, low: Any, high: Any) -> Any:
    """The point times the digit with bits ``low`` and ``high``: 0, 1, lambda, lambda^2."""
    x, y = point
    none = zero(x)
    turned = select(low, x * _beta_squared(x), x * _beta(x))
    x = select(high, turned, select(low, x, none))
    return x, select(high, y, select(low, y, none))


@inner
def _weigh(points: Any, like: Any, weights: Any, first: Any, count: Any) -> Any:
    """Sum of ``count`` points in every lane, ``points`` in order, with the weights of the items from ``first`` on."""
    total = neutral(like)
    for step in range(DIGITS - 1, -1, -1):
        total = double(total)
        for i in range(count):
            at = first + i * lanes_of(like)
            low, high = _digit(like, weights, at, 0, step), _digit(like, weights, at, 1, step)
            total = add_affine(total, _digit_point(load_affine(like, points, i), low, high))
    return total


# Kernels. Items are rows ``uint64[n, 8, 4]`` of proofs' coordinates, canonical, n a multiple of the lanes.


@inner
def _gather_proof(like: Any, proofs: Any, first: Any) -> Any:
    at = 8 * first
    x = pair(gather(like, proofs, at + 2, 8), gather(like, proofs, at + 3, 8))
    y = pair(gather(like, proofs, at + 4, 8), gather(like, proofs, at + 5, 8))
    a = gather(like, proofs, at, 8), gather(like, proofs, at + 1, 8)
    return a, (x, y), (gather(like, proofs, at + 6, 8), gather(like, proofs, at + 7, 8))


@inner
def _on_curves(like: Any, proofs: Any, sound: Any) -> Any:
    """For every group of items, a word in ``sound`` whose bits tell which have all points on their curves."""
    for group in range(sound.shape[0]):
        a, b, c = _gather_proof(like, proofs, group * lanes_of(like))
        sound[group] = mask_bits(on_curve(a) & on_curve(b) & on_curve(c))


@inner
def _scatter_fp2(rows: Any, place: Any, a: Any) -> Any:
    scatter(rows, place, 15, real_part(a))
    scatter(rows, place + 1, 15, imaginary_part(a))


@inner
def _scatter_outcome(out: Any, f: Any, point: Any) -> Any:
    """An element of Fp12 and a projective point of G1 in every row ``[15, 4]`` of ``out``, canonical."""
    low, high = f
    _scatter_fp2(out, 0, low[0])
    _scatter_fp2(out, 2, low[1])
    _scatter_fp2(out, 4, low[2])
    _scatter_fp2(out, 6, high[0])
    _scatter_fp2(out, 8, high[1])
    _scatter_fp2(out, 10, high[2])
    scatter(out, 12, 15, point[0])
    scatter(out, 13, 15, point[1])
    scatter(out, 14, 15, point[2])


@inner
def _make_affine(like: Any, work: Any, count: Any, out: Any) -> Any:
    """Affine forms of ``count`` projective points in ``work``, by one inversion (Montgomery's trick); (0, 0) for 0.

    ``work`` has room for a number more for every point.
    """
    product = one(like)
    for i in range(count):
        store(work, 3 * count + i, product)
        z = load_projective(like, work, i)[2]
        product = product * select(is_zero(z), one(like), z)
    reciprocal_of_rest = reciprocal(product)
    for i in range(count - 1, -1, -1):
        x, y, z = load_projective(like, work, i)
        neutral_here = is_zero(z)
        factor = select(neutral_here, zero(like), reciprocal_of_rest * load(like, work, 3 * count + i))
        reciprocal_of_rest = reciprocal_of_rest * select(neutral_here, one(like), z)
        store_affine(out, i, (x * factor, y * factor))


@inner
def _accumulate(
    like: Any, proofs: Any, weights: Any, g1_work: Any, g2_work: Any, t_work: Any, lines: Any, points: Any, out: Any
) -> Any:
    """For every lane the product of its items' weighted Miller loops, and the weighted sum of their points C.

    They go to ``out``, a row for each lane. ``g1_work``, ``g2_work`` and ``t_work`` are room for twice as many points
    of G1 as there are items in a lane, and as many affine and projective points of G2.
    """
    count, width = g2_work.shape[0], lanes_of(like)
    for i in range(count):
        a, b, c = _gather_proof(like, proofs, i * width)
        store_affine(g1_work, i, a)
        store_affine(g2_work, i, b)
        store_affine(g1_work, count + i, c)
    for i in range(count):  # the room for points of G2 takes those of G1 until the loop begins
        store_projective(t_work, i, _weigh(g1_work[i : i + 1], like, weights, i * width, 1))
    _make_affine(like, t_work, count, g1_work)
    f = miller(like, g1_work[:count], g2_work, t_work, lines, points)
    _scatter_outcome(out, f, _weigh(g1_work[count:], like, weights, 0, count))


@inner
def _keep_members(like: Any, g2_work: Any, t_work: Any, sound: Any) -> Any:
    """For every group of items, clear in its word in ``sound`` the bits of those whose B is not in the subgroup."""
    extended = pair(like, like)
    for i in range(sound.shape[0]):
        q, t = load_affine(extended, g2_work, i), load_projective(extended, t_work, i)
        sound[i] &= mask_bits(ends_in_subgroup(q, t))


@inner
def _sum_scalars(weights: Any, publics: Any, out: Any) -> Any:
    """Sums over the items of the weight, and of the weight times every public input; canonical."""
    like = fr_zero()
    for j in range(out.shape[0]):
        store(out, j, like)
    for i in range(weights.shape[0]):
        low, high = weights[i, 0], weights[i, 1]
        first, second, third = low & ~high, high & ~low, low & high
        weight = from_word(like, first) + from_word(like, second) * _lambda(like)
        weight += from_word(like, third) * _lambda_squared(like)
        store(out, 0, load(like, out, 0) + weight)
        for j in range(publics.shape[1]):
            number = gather(like, publics, i * publics.shape[1] + j, 1)
            store(out, j + 1, load(like, out, j + 1) + weight * number)
    for j in range(out.shape[0]):
        store(out, j, from_montgomery(load(like, out, j)))


_like = fp_lanes_zero if BACKEND == "avx512ifma" else fp_zero


@kernel
def run(
    proofs: Any,
    publics: Any,
    weights: Any,
    g1_work: Any,
    g2_work: Any,
    t_work: Any,
    lanes: Any,
    lines: Any,
    points: Any,
    sound: Any,
    outcomes: Any,
    sums: Any,
) -> Any:
    """Check the items, and for every chunk whose items are all sound find outcomes and sums of scalars.

    A chunk has as many groups of one item a lane as ``g2_work`` has rows, the last perhaps fewer. ``sound`` has a word
    for every group, whose bits tell which items have all points on their curves and, if so for all of the chunk, B in
    the subgroup. ``outcomes`` are ``uint64[m, 15, 4]`` and ``sums`` ``uint64[m, n_public + 1, 4]`` of
    :func:`_sum_scalars`, where m is the number of chunks or, if each has one group only, may be that of the items:
    each then has an outcome of its own. ``lanes`` is room ``uint64[lanes, 15, 4]``.
    """
    like = _like()
    width = lanes_of(like)
    size, count = g2_work.shape[0], sound.shape[0]
    chunks = (count + size - 1) // size
    each = outcomes.shape[0] // chunks
    for chunk in range(chunks):
        first, last = chunk * size, min((chunk + 1) * size, count)
        rows, good = proofs[first * width : last * width], sound[first:last]
        _on_curves(like, rows, good)
        all_good = True
        for word in good:
            all_good &= word == np.uint64((1 << width) - 1)
        if not all_good:
            continue
        n = last - first
        drawn, second_work, ends = weights[first * width : last * width], g2_work[:n], t_work[:n]
        _accumulate(like, rows, drawn, g1_work[: 2 * n], second_work, ends, lines, points, lanes)
        _keep_members(like, second_work, ends, good)
        items, members = n * width // each, width // each
        for k in range(each):
            at, start = chunk * each + k, first * width + k * items
            _fold(lanes[k * members : (k + 1) * members], outcomes[at : at + 1])
            _sum_scalars(weights[start : start + items], publics[start : start + items], sums[at])


@inner
def _product(parts: Any) -> Any:
    """Product of outcomes' elements of Fp12 and sum of their points, of rows ``uint64[n, 15, 4]``."""
    f = fp12_one(fp2_zero())
    total = neutral(fp_zero())
    for i in range(parts.shape[0]):
        f = fp12_multiply(f, _gather_fp12(parts, 15 * i))
        total = add(total, _gather_point(parts, 15 * i + 12))
    return f, total


@inner
def _fold(parts: Any, out: Any) -> Any:
    f, total = _product(parts)
    _scatter_outcome(out, f, total)


@inner
def _gather_fp2(rows: Any, place: Any) -> Any:
    return pair(gather(fp_zero(), rows, place, 1), gather(fp_zero(), rows, place + 1, 1))


@inner
def _gather_point(rows: Any, place: Any) -> Any:
    like = fp_zero()
    return gather(like, rows, place, 1), gather(like, rows, place + 1, 1), gather(like, rows, place + 2, 1)


@inner
def _gather_fp12(rows: Any, place: Any) -> Any:
    low = _gather_fp2(rows, place), _gather_fp2(rows, place + 2), _gather_fp2(rows, place + 4)
    return low, (_gather_fp2(rows, place + 6), _gather_fp2(rows, place + 8), _gather_fp2(rows, place + 10))


@inner
def _store_argument(points: Any, index: Any, p: Any) -> Any:
    store_affine(points, index, line_argument(p, reciprocal(p[1])))


@kernel
def holds(parts: Any, scalars: Any, tables: Any, lines: Any, no_g1: Any, no_g2: Any, no_t: Any, points: Any) -> Any:
    """Whether the equation holds for all outcomes; ``tables`` are of alpha and the ``ic`` points, in this order."""
    like = fp_zero()
    product, total = _product(parts)
    _store_argument(points, 0, add_fixed_base(neutral(like), tables[1:], scalars))
    _store_argument(points, 1, total)
    _store_argument(points, 2, add_fixed_base(neutral(like), tables[:1], scalars[:1]))
    f = fp12_multiply(product, miller(like, no_g1, no_g2, no_t, lines, points))
    return fp12_equal(final_exponentiation(f), fp12_one(fp2_zero()))
