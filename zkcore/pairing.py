"""The optimal ate pairing of BN254 (Vercauteren 2010), written once for every kind of number.

Miller's loop runs over the non-adjacent form of 6u + 2, on the twist, in homogeneous coordinates (Costello, Lange and
Naehrig 2010; Aranha et al. 2011); a point of G2 that is known beforehand has its lines kept in affine form, so that a
line is 1 + (b0 + b1 v) w and costs ten products of Fp2. Fp12 has two forms, see :mod:`zkcore.fp12`. The final
exponentiation follows Fuentes-Castaneda, Knapp and Rodriguez-Henriquez 2011 and so gives the 2u(6u^2 + 3u + 1)-th power
of the reduced ate pairing: as good a pairing, equal to 1 for the same inputs.

The loop ends with the point [6u + 2]Q + psi(Q) - psi^2(Q), which is -psi^3(Q) precisely for Q in the subgroup of prime
order (:func:`miller` says so, and a test computes why), so that a verifier pays nothing for that check.

Security is about 100 bits (see :mod:`zkcore.bn254`). Nothing here is meant for secret points.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore import fp12
from zkcore.bn254 import U
from zkcore.curve import (
    G1Point,
    G2Point,
    endomorphism,
    load_affine,
    load_projective,
    store_projective,
    times_3b,
)
from zkcore.errors import WrongLength
from zkcore.field import decode, encode, fp, fp_zero
from zkcore.groups import g1, g2
from zkcore.kernel import inner, kernel, merged
from zkcore.number import constant, load, one, square, store, zero
from zkcore.tower import (
    fp2_inverse,
    fp2_zero,
    fp12_equal,
    fp12_one,
    pair,
)

Rows = NDArray[np.uint64]


def signed_digits(number: int, width: int) -> list[int]:
    """Non-adjacent form of a window width, most significant digit first: odd digits below 2^(width - 1) and zeros."""
    digits = []
    while number:
        digit = 0
        if number & 1:
            digit = number & (1 << width) - 1
            if digit >> width - 1:
                digit -= 1 << width
        digits.append(digit)
        number = number - digit >> 1
    return digits[::-1]


def _schedule() -> NDArray[np.int64]:
    """Steps of the loop: 0 doubles the point, 1 and -1 add and subtract Q, 2 adds psi(Q), 3 subtracts psi^2(Q)."""
    steps = []
    for digit in signed_digits(6 * U + 2, 2)[1:]:
        steps += [0, digit] if digit else [0]
    return np.array([*steps, 2, 3], dtype=np.int64)


_DOUBLE, _LAST = 0, 3
_STEPS = _schedule()
_SEED_DIGITS = np.array(signed_digits(U, 4), dtype=np.int64)
assert _SEED_DIGITS[0] == 1
LINES = len(_STEPS)
"""Lines of one loop, one a step."""

_half = constant((fp.modulus + 1) // 2)


# Lines. A line through points of the twist, at P = (x, y) of G1, is c0 y + c1 x w + c2 w^3.


@merged
def _double_step(t: Any) -> Any:
    """2T, and the tangent at T."""
    x, y, z = t
    half = _half(x)
    a = x * y * half
    b, c = square(y), square(z)
    e = times_3b(c)
    f = e + e + e
    g = (b + f) * half
    h = square(y + z) - b - c
    ee, xx = square(e), square(x)
    return (a * (b - f), square(g) - ee - ee - ee, b * h), (-h, xx + xx + xx, e - b)


@merged
def _add_step(t: Any, q: Any) -> Any:
    """T + Q for an affine Q, and the line through both. T = Q, -Q or 0 gives Z = 0 from there on."""
    x, y, z = t
    theta, lam = y - q[1] * z, x - q[0] * z
    d = square(lam)
    e, f, g = lam * d, z * square(theta), x * d
    h = e + f - g - g
    return (lam * h, theta * (g - h) - e * y, z * e), (lam, -theta, theta * q[0] - lam * q[1])


@inner
def line_argument(p: Any, reciprocal_of_y: Any) -> Any:
    """(-X / Y, Z / Y) of a projective point of G1; (0, 0), which makes every line 1, for the neutral element."""
    return -(p[0] * reciprocal_of_y), p[2] * reciprocal_of_y


@inner
def _affine_endomorphism(q: Any) -> Any:
    image = endomorphism((q[0], q[1], one(q[0])))
    return image[0], image[1]


@inner
def _added(q: Any, kind: Any) -> Any:
    """What a step of the schedule adds, for the affine point Q."""
    image = q
    for _ in range(kind - 1):
        image = _affine_endomorphism(image)
    return image[0], -image[1] if kind == -1 or kind == _LAST else image[1]


@merged
def miller(like: Any, firsts: Any, seconds: Any, work: Any, lines: Any, points: Any) -> Any:
    """Product of Miller's loops of pairs (P, Q), in ``firsts`` and ``seconds``, and of pairs with fixed points of G2.

    It is in its fastest form (see :mod:`zkcore.fp12`), and right up to a factor in Fp, which the final exponentiation
    removes.
    ``like`` is in Fp. The first pairs are affine points in memory as :func:`zkcore.number.store` leaves them, none of
    them neutral, those of G2 on the twist; ``work`` is room for as many projective points of G2, and afterwards tells
    :func:`ends_in_subgroup` which of them were in the subgroup. If one was not, the product is of no use. ``lines`` are
    the fixed points' lines ``uint64[m, LINES, 2, 2, 4]`` and ``points`` their arguments, see :func:`line_argument`.
    All other arrays have two dimensions, so that there is one machine code for every caller.
    """
    start = fp12_one(pair(like, like))
    f, extended = fp12.fastest(start), start[0][0]
    for i in range(firsts.shape[0]):
        q = load_affine(extended, seconds, i)
        store_projective(work, i, (q[0], q[1], one(q[0])))
    for position in range(_STEPS.size):
        kind = _STEPS[position]
        if kind == _DOUBLE:
            f = fp12.square(f)
        for i in range(firsts.shape[0]):
            t = load_projective(extended, work, i)
            if kind == _DOUBLE:
                t, line = _double_step(t)
            else:
                t, line = _add_step(t, _added(load_affine(extended, seconds, i), kind))
            store_projective(work, i, t)
            f = fp12.times_line(f, line, like, firsts, i)
        for i in range(lines.shape[0]):
            f = fp12.times_fixed_line(f, lines, i * lines.shape[1] + position, like, points, i)
    return f


@merged
def ends_in_subgroup(q: Any, t: Any) -> Any:
    """Whether q, on the twist, is in the subgroup of prime order; t is where Miller's loop took it.

    t = [6u + 2]Q + psi(Q) - psi^2(Q), and that is -psi^3(Q) for the points of the subgroup alone, as in
    :func:`zkcore.curve.in_subgroup`. On its way the loop meets no special case for a point of prime order, and any
    other point that meets one ends with Z = 0.
    """
    end = _affine_endomorphism(_affine_endomorphism(_affine_endomorphism(q)))
    return (t[0] == t[2] * end[0]) & (t[1] == -(t[2] * end[1])) & (t[2] != zero(t[2]))


# Lines of fixed points, in affine form: slope and offset of 1 + (slope (-x / y) + offset (1 / y) v) w.


@merged
def _affine_step(lines: Any, position: Any, t: Any, q: Any, doubles: Any) -> Any:
    """T + Q in affine form, Q being T itself where it ``doubles``; the line goes to ``lines``."""
    xx = square(t[0])
    rise, run = (xx + xx + xx, t[1] + t[1]) if doubles else (t[1] - q[1], t[0] - q[0])
    slope = rise * fp2_inverse(run)
    store(lines, 2 * position, slope)
    store(lines, 2 * position + 1, slope * t[0] - t[1])
    x = square(slope) - t[0] - q[0]
    return x, slope * (t[0] - x) - t[1]


@kernel
def _fixed_lines(rows: Any, lines: Any) -> Any:
    q = load_affine(fp2_zero(), rows, 0)
    t = q
    for position in range(_STEPS.size):
        doubles = _STEPS[position] == _DOUBLE
        t = _affine_step(lines, position, t, t if doubles else _added(q, _STEPS[position]), doubles)


def fixed_lines(points: Sequence[G2Point]) -> Rows:
    """Lines ``uint64[m, LINES, 2, 2, 4]`` of points of G2, none of them neutral."""
    for i, point in enumerate(points):
        g2.check(point, part=f"points[{i}]")
    lines = np.empty((len(points), LINES, 2, 2, 4), dtype=np.uint64)
    for rows, out in zip(g2.encode(points), lines, strict=True):
        _fixed_lines(rows, out)
    return lines


# Final exponentiation.


@inner
def _to_the_seed(a: Any) -> Any:
    """a^u for a in the cyclotomic subgroup, where conjugation inverts."""
    a2 = fp12.cyclotomic_square(a)
    a3 = fp12.multiply(a2, a)
    a5 = fp12.multiply(a3, a2)
    a7 = fp12.multiply(a5, a2)
    result = a  # the first digit is 1
    for digit in _SEED_DIGITS[1:]:
        result = fp12.cyclotomic_square(result)
        if digit:
            size = abs(digit)
            factor = a if size == 1 else a3 if size == 3 else a5 if size == 5 else a7
            result = fp12.multiply(result, factor if digit > 0 else fp12.conjugate(factor))
    return result


@merged
def final_exponentiation(f: Any) -> Any:
    """f to the power (p^12 - 1) / r, times 2u(6u^2 + 3u + 1)."""
    f = fp12.multiply(fp12.conjugate(f), fp12.inverse(f))
    a = fp12.multiply(fp12.frobenius_2(f), f)
    # Now a^-1 is the conjugate. Names of the form m<k> hold a^(-k): m_u is a^(-u), m_2u its square, and so on.
    m_2u = fp12.cyclotomic_square(fp12.conjugate(_to_the_seed(a)))
    m_6u = fp12.multiply(fp12.cyclotomic_square(m_2u), m_2u)
    p_6uu = fp12.conjugate(_to_the_seed(m_6u))
    p_12uuu = _to_the_seed(fp12.cyclotomic_square(p_6uu))
    common = fp12.multiply(fp12.multiply(p_12uuu, p_6uu), fp12.conjugate(m_6u))
    first = fp12.multiply(common, m_2u)
    result = fp12.multiply(fp12.multiply(common, p_6uu), a)
    result = fp12.multiply(result, fp12.frobenius(first))
    result = fp12.multiply(result, fp12.frobenius_2(common))
    return fp12.multiply(result, fp12.frobenius_3(fp12.multiply(fp12.conjugate(a), first)))


@inner
def load_fp12(like: Any, rows: Any, index: Any) -> Any:
    """Element number ``index`` of ``uint64[..., 12, 4]``, coefficients of 1, v, v^2, w, vw, v^2 w; ``like`` in Fp2."""
    at = 6 * index
    low = load(like, rows, at), load(like, rows, at + 1), load(like, rows, at + 2)
    return low, (load(like, rows, at + 3), load(like, rows, at + 4), load(like, rows, at + 5))


@inner
def store_fp12(rows: Any, index: Any, a: Any) -> Any:
    at = 6 * index
    store(rows, at, a[0][0])
    store(rows, at + 1, a[0][1])
    store(rows, at + 2, a[0][2])
    store(rows, at + 3, a[1][0])
    store(rows, at + 4, a[1][1])
    store(rows, at + 5, a[1][2])


# Products of pairings.


DIFFERENT, EQUAL, OUTSIDE = range(3)


@kernel
def compare(firsts: Any, seconds: Any, work: Any, lines: Any, points: Any, target: Any, out: Any) -> Any:
    """Whether a product of pairings, which goes to ``out``, is ``target``; arguments as those of :func:`miller`.

    The answer is OUTSIDE, and there is no product, if a point of ``seconds`` is outside of the subgroup. One kernel for
    whoever needs pairings, so that it is compiled once.
    """
    f = miller(fp_zero(), firsts, seconds, work, lines, points)
    for i in range(seconds.shape[0]):
        if not ends_in_subgroup(load_affine(fp2_zero(), seconds, i), load_projective(fp2_zero(), work, i)):
            return OUTSIDE
    product = fp12.parts(final_exponentiation(f))
    store_fp12(out, 0, product)
    return EQUAL if fp12_equal(product, load_fp12(fp2_zero(), target, 0)) else DIFFERENT


NOTHING_FIXED = np.empty((0, LINES, 2, 2, 4), dtype=np.uint64), np.empty((0, 8), dtype=np.uint64)
"""Lines and arguments where there are no fixed points."""

_ONE = encode(fp, [1, *[0] * 11]).reshape(1, 12, 4)


def product_of_pairings(firsts: Sequence[G1Point], seconds: Sequence[G2Point]) -> tuple[bool, Rows]:
    """Whether the product of the pairings e(firsts[i], seconds[i]) is 1, and the product ``uint64[1, 12, 4]``.

    Raises
    ------
    WrongLength
        The two sequences differ in length.
    OutOfRange, NotOnCurve, NotInSubgroup
        As :meth:`zkcore.groups.Group.encode`; the neutral element is allowed, and contributes 1.
    """
    if len(firsts) != len(seconds):
        raise WrongLength("seconds", "there must be as many points of G2 as of G1")
    p, q = g1.encode(firsts, part="firsts"), g2.encode(seconds, part="seconds")
    useful = [i for i, pair in enumerate(zip(firsts, seconds, strict=True)) if None not in pair]
    p, q = p[useful], q[useful]
    out, work = np.empty((1, 12, 4), dtype=np.uint64), np.empty((6 * len(useful), 4), dtype=np.uint64)
    outcome = compare(p.reshape(-1, 8), q.reshape(-1, 16), work, *NOTHING_FIXED, _ONE, out)
    return outcome == EQUAL, out


def pairing_product(firsts: Sequence[G1Point], seconds: Sequence[G2Point]) -> list[int]:
    """Product of the pairings e(firsts[i], seconds[i]): twelve integers, coefficients of 1, i, v, iv, v^2, ... i v^2 w.

    Raises
    ------
    WrongLength, OutOfRange, NotOnCurve, NotInSubgroup
        As :func:`product_of_pairings`.
    """
    return decode(fp, product_of_pairings(firsts, seconds)[1])


def pairing_product_is_one(firsts: Sequence[G1Point], seconds: Sequence[G2Point]) -> bool:
    """Whether the product of the pairings e(firsts[i], seconds[i]) is 1; refuses as :func:`pairing_product`."""
    return product_of_pairings(firsts, seconds)[0]
