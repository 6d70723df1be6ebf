"""Kernels of batch verification: weighted sums and Miller loops of several proofs, in eight lanes where there are any.

What is computed, and why it is sound, is in :mod:`zkcore.groth16.batch`. Proofs come as rows ``uint64[n, 8, 4]`` of
canonical coordinates a.x a.y b.x0 b.x1 b.y0 b.y1 c.x c.y, n a multiple of the number of lanes; weights as rows
``uint64[n, 2]``: digit i has bit i and bit 32 + i of the first word, together k, and bit i and bit 32 + i of the
second, ``odd`` and ``upper``. For k < 3 it is lambda^k or, if ``upper``, (1 - lambda) lambda^k, negative if ``odd``.
For k = 3 it is 0, or 2, 2 lambda, 2 lambda^2 for ``odd`` alone, ``upper`` alone, both. An outcome is a row
``uint64[15, 4]``, canonical: an element of Fp12, then a projective point of G1.
"""

from typing import Any

import numpy as np

from zkcore import fp12
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
from zkcore.kernel import inner, kernel, merged
from zkcore.number import constant, is_zero, lanes_of, load, one, select, store, zero
from zkcore.pairing import ends_in_subgroup, final_exponentiation, line_argument, miller
from zkcore.tower import fp2_zero, fp12_equal, fp12_multiply, fp12_one, imaginary_part, pair, real_part

DIGITS = 32
"""Digits of a weight."""

BETA = 18 * U**3 + 18 * U**2 + 9 * U + 1
LAMBDA = 36 * U**3 + 18 * U**2 + 6 * U + 1
"""Cube roots of 1 modulo p and r: LAMBDA (x, y) = (BETA x, y) on G1."""

_beta, _beta_squared = constant(BETA), constant(BETA**2)
_lambda, _lambda_squared = constant(LAMBDA), constant(LAMBDA**2)


# Sums with weights, of one or eight points at a time.


@inner
def _bits(like: Any, weights: Any, first: Any, half: Any, position: Any) -> Any:
    """Bit ``position`` of word ``half`` of the weights of the items in the lanes, from item ``first`` on."""
    bits = np.uint64(0)
    for lane in range(lanes_of(like)):
        bits |= ((weights[first + lane, half] >> np.uint64(position)) & np.uint64(1)) << np.uint64(lane)
    return bits


@inner
def _digit_point(like: Any, points: Any, index: Any, weights: Any, first: Any, step: Any) -> Any:
    """Digit ``step`` of the weights of the items from ``first`` on, times the points of :func:`_multiples`."""
    low, high = _bits(like, weights, first, 0, step), _bits(like, weights, first, 0, DIGITS + step)
    odd, upper = _bits(like, weights, first, 1, step), _bits(like, weights, first, 1, DIGITS + step)
    special = low & high
    none, doubled = special & ~(odd | upper), special & (odd | upper)
    once = (low & ~high) | (special & upper & ~odd)
    twice = (high & ~low) | (special & upper & odd)
    is_double, is_third = mask_from_bits(like, doubled), mask_from_bits(like, upper & ~special)
    count = points.shape[0] // 3
    x, y = load_affine(like, points, index)
    second, third = load_affine(like, points, count + index), load_affine(like, points, 2 * count + index)
    x = select(is_third, third[0], select(is_double, second[0], x))
    y = select(is_third, third[1], select(is_double, second[1], y))
    turn = select(mask_from_bits(like, once), _beta(x), select(mask_from_bits(like, twice), _beta_squared(x), one(x)))
    y = select(mask_from_bits(like, odd & ~special), -y, y)
    absent = mask_from_bits(like, none)
    return select(absent, zero(x), x * turn), select(absent, zero(y), y)


@inner
def _weigh(points: Any, begin: Any, like: Any, weights: Any, first: Any, count: Any) -> Any:
    """Sum of ``count`` points in every lane, those from ``begin`` on of the ``points`` of :func:`_multiples`.

    The weights are those of the items from ``first`` on.
    """
    total = neutral(like)
    for step in range(DIGITS - 1, -1, -1):
        total = double(double(total))
        for i in range(count):
            at = first + i * lanes_of(like)
            total = add_affine(total, _digit_point(like, points, begin + i, weights, at, step))
    return total


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


@merged
def _multiples(like: Any, points: Any, work: Any) -> Any:
    """Behind the first third of the ``points``, points P, put a third of 2P and one of (1 - lambda) P.

    ``work`` has room for eight numbers for every P.
    """
    count = points.shape[0] // 3
    for i in range(count):
        x, y = load_affine(like, points, i)
        p = x, y, one(x)
        store_projective(work, i, double(p))
        store_projective(work, count + i, add_affine(p, (x * _beta(x), -y)))
    _make_affine(like, work, 2 * count, points[count:])


# Kernels. Items are rows ``uint64[n, 8, 4]`` of proofs' coordinates, canonical, n a multiple of the lanes.


@inner
def _gather_proof(like: Any, proofs: Any, first: Any) -> Any:
    at = 8 * first
    x = pair(gather(like, proofs, at + 2, 8), gather(like, proofs, at + 3, 8))
    y = pair(gather(like, proofs, at + 4, 8), gather(like, proofs, at + 5, 8))
    a = gather(like, proofs, at, 8), gather(like, proofs, at + 1, 8)
    return a, (x, y), (gather(like, proofs, at + 6, 8), gather(like, proofs, at + 7, 8))


@merged
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


@merged
def _accumulate(
    like: Any, proofs: Any, weights: Any, g1_work: Any, g2_work: Any, t_work: Any, lines: Any, points: Any, out: Any
) -> Any:
    """For every lane the product of its items' weighted Miller loops, and the weighted sum of their points C.

    They go to ``out``, a row for each lane. ``g1_work`` is room for six affine points of G1 for every item in a lane,
    ``g2_work`` for an affine point of G2, and ``t_work`` for sixteen numbers.
    """
    count, width = g2_work.shape[0], lanes_of(like)
    for i in range(count):
        a, b, c = _gather_proof(like, proofs, i * width)
        store_affine(g1_work, i, a)
        store_affine(g2_work, i, b)
        store_affine(g1_work, count + i, c)
    _multiples(like, g1_work, t_work)
    for i in range(count):
        store_projective(t_work, i, _weigh(g1_work, i, like, weights, i * width, 1))
    _make_affine(like, t_work, count, g1_work)
    f = miller(like, g1_work[:count], g2_work, t_work, lines, points)
    _scatter_outcome(out, f, _weigh(g1_work, count, like, weights, 0, count))


@merged
def _keep_members(like: Any, g2_work: Any, t_work: Any, sound: Any) -> Any:
    """For every group of items, clear in its word in ``sound`` the bits of those whose B is not in the subgroup."""
    extended = pair(like, like)
    for i in range(sound.shape[0]):
        q, t = load_affine(extended, g2_work, i), load_projective(extended, t_work, i)
        sound[i] &= mask_bits(ends_in_subgroup(q, t))


@inner
def _spread(bits: Any) -> Any:
    """The word whose bit 2i is bit i, i < 32."""
    bits &= np.uint64(0xFFFFFFFF)
    bits = (bits | bits << np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    bits = (bits | bits << np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    bits = (bits | bits << np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    bits = (bits | bits << np.uint64(2)) & np.uint64(0x3333333333333333)
    return (bits | bits << np.uint64(1)) & np.uint64(0x5555555555555555)


@inner
def _coefficient(like: Any, plus: Any, minus: Any, doubled: Any) -> Any:
    """Sum of 4^i times 1, -1 or 2 for the bits i of three words that are set."""
    return from_word(like, _spread(plus) | _spread(doubled) << np.uint64(1)) - from_word(like, _spread(minus))


@inner
def _weight(like: Any, first_word: Any, second_word: Any) -> Any:
    """A weight as an element of Fr, from its coefficients of 1, lambda and lambda^2."""
    shift = np.uint64(DIGITS)
    low, high, odd, upper = first_word, first_word >> shift, second_word, second_word >> shift
    special = low & high
    units = ~(low | high), low & ~high, high & ~low
    plus, minus = ~upper & ~odd, ~upper & odd
    third_plus, third_minus = upper & ~odd, upper & odd
    result = _coefficient(
        like,
        (units[0] & (plus | third_plus)) | (units[2] & third_minus),
        (units[0] & (minus | third_minus)) | (units[2] & third_plus),
        special & odd & ~upper,
    )
    second = _coefficient(
        like,
        (units[1] & (plus | third_plus)) | (units[0] & third_minus),
        (units[1] & (minus | third_minus)) | (units[0] & third_plus),
        special & upper & ~odd,
    )
    third = _coefficient(
        like,
        (units[2] & (plus | third_plus)) | (units[1] & third_minus),
        (units[2] & (minus | third_minus)) | (units[1] & third_plus),
        special & upper & odd,
    )
    return result + second * _lambda(like) + third * _lambda_squared(like)


@merged
def _sum_scalars(weights: Any, publics: Any, out: Any) -> Any:
    """Sums over the items of the weight, and of the weight times every public input; canonical."""
    like = fr_zero()
    for j in range(out.shape[0]):
        store(out, j, like)
    for i in range(weights.shape[0]):
        weight = _weight(like, weights[i, 0], weights[i, 1])
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
        _accumulate(like, rows, drawn, g1_work[: 6 * n], second_work, ends, lines, points, lanes)
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


@merged
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
    f = fp12.multiply(fp12.fastest(product), miller(like, no_g1, no_g2, no_t, lines, points))
    return fp12_equal(fp12.parts(final_exponentiation(f)), fp12_one(fp2_zero()))
