"""The groups G1 and G2 of BN254, written once for both and for every kind of number.

A projective point is a tuple (X, Y, Z) with x = X / Z, y = Y / Z; the neutral element is (0, 1, 0). The formulas are
the complete ones of Renes, Costello and Batina 2016 (algorithms 7 to 9, a = 0): right for every pair of points of a
curve of odd order, which both y^2 = x^3 + 3 over Fp and its twist over Fp2 are, and without a branch, so that they
serve lanes and secrets alike. An affine point is a pair (x, y); (0, 0), which is on neither curve, stands for the
neutral element.

Arrays of points are in Montgomery form: G1 affine ``uint64[n, 2, 4]``, projective ``[n, 3, 4]``; G2 ``[n, 2, 2, 4]``
and ``[n, 3, 2, 4]``.

:func:`multiply` does the same work for every scalar of one width; that and the formulas are fit for secrets.
"""

from typing import Any

import numpy as np
from numba.extending import overload

from zkcore.bn254 import P, U
from zkcore.field import inverse
from zkcore.kernel import inner, intrinsic, merged
from zkcore.number import NumberType, constant, is_zero, load, one, select, square, store, zero
from zkcore.tower import FROBENIUS, XI, Fp2Type, conjugate, fp2_inverse, fp2_power

G1Point = tuple[int, int] | None
"""Affine point of G1, None for the neutral element."""
G2Point = tuple[tuple[int, int], tuple[int, int]] | None
"""Affine point of G2, coordinates ``(x0, x1)`` meaning x0 + x1 i, None for the neutral element."""

B1 = 3
B2: tuple[int, int] = tuple(3 * part % P for part in fp2_power(XI, P * P - 2))  # type: ignore[assignment]
"""The curves are y^2 = x^3 + B1 over Fp and y^2 = x^3 + B2, B2 = 3 / (9 + i), over Fp2."""


def curve_constant(over_fp: int, over_fp2: tuple[int, int]) -> Any:
    """A function of kernels that gives one constant or the other, by the field of its argument."""

    @intrinsic
    def number(typingctx: Any, like: Any) -> Any:
        if isinstance(like, NumberType):
            value = like.constant(over_fp2 if isinstance(like, Fp2Type) else over_fp)
            return like(like), lambda context, builder, signature, arguments: value
        return None

    return number


curve_b = curve_constant(B1, B2)


@intrinsic
def times_3b(typingctx: Any, a: Any) -> Any:
    """a times three times the constant of the curve of its field: 9 over Fp, which takes no product."""
    if not isinstance(a, NumberType):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if isinstance(a, Fp2Type):
            return a.multiply(builder, a.constant((3 * B2[0] % P, 3 * B2[1] % P)), arguments[0])
        return a.nine_times(builder, arguments[0], a.constant(0), 1)

    return a(a), emit


def reciprocal(a: Any) -> Any:
    """1 / a, and 0 for 0, in Fp or Fp2."""
    raise NotImplementedError("only kernels can call this")


@overload(reciprocal)
def _reciprocal(a: Any) -> Any:
    if not isinstance(a, NumberType):
        return None
    invert = fp2_inverse if isinstance(a, Fp2Type) else inverse

    def implementation(a: Any) -> Any:
        return invert(a)

    return implementation


# Group law, in kernels.


@inner
def neutral(like: Any) -> Any:
    """The neutral element, for ``like`` a coordinate."""
    return zero(like), one(like), zero(like)


@inner
def is_neutral(point: Any) -> Any:
    return is_zero(point[2])


@inner
def negate(point: Any) -> Any:
    return point[0], -point[1], point[2]


@inner
def _complete(t0: Any, t1: Any, t2: Any, xy: Any, yz: Any, xz: Any) -> Any:
    """Sum from X1 X2, Y1 Y2, Z1 Z2, X1 Y2 + X2 Y1, Y1 Z2 + Y2 Z1 and X1 Z2 + X2 Z1."""
    bz, bxz = times_3b(t2), times_3b(xz)
    low, high, triple = t1 - bz, t1 + bz, t0 + t0 + t0
    return xy * low - yz * bxz, low * high + bxz * triple, high * yz + triple * xy


@inner
def add(p: Any, q: Any) -> Any:
    """Sum of two projective points."""
    t0, t1, t2 = p[0] * q[0], p[1] * q[1], p[2] * q[2]
    xy = (p[0] + p[1]) * (q[0] + q[1]) - t0 - t1
    yz = (p[1] + p[2]) * (q[1] + q[2]) - t1 - t2
    xz = (p[0] + p[2]) * (q[0] + q[2]) - t0 - t2
    return _complete(t0, t1, t2, xy, yz, xz)


@inner
def add_affine(p: Any, q: Any) -> Any:
    """Sum of a projective and an affine point."""
    t0, t1 = p[0] * q[0], p[1] * q[1]
    xy = (p[0] + p[1]) * (q[0] + q[1]) - t0 - t1
    total = _complete(t0, t1, p[2], xy, q[1] * p[2] + p[1], q[0] * p[2] + p[0])
    return choose(is_zero(q[1]), p, total)  # no point of odd order has y = 0


@inner
def double(p: Any) -> Any:
    x, y, z = p
    yy, yz = square(y), y * z
    t = times_3b(square(z))
    eight = yy + yy
    eight = eight + eight
    eight = eight + eight
    low = yy - (t + t + t)
    product = low * (x * y)
    return product + product, t * eight + low * (yy + t), yz * eight


@inner
def choose(condition: Any, p: Any, q: Any) -> Any:
    """``p`` where ``condition`` holds, else ``q``, without a branch."""
    return select(condition, p[0], q[0]), select(condition, p[1], q[1]), select(condition, p[2], q[2])


@inner
def same_point(p: Any, q: Any) -> Any:
    """Whether two projective points are equal."""
    same = (p[0] * q[2] == q[0] * p[2]) & (p[1] * q[2] == q[1] * p[2])
    return same & (is_neutral(p) == is_neutral(q))


@inner
def projective(a: Any) -> Any:
    """The projective point of an affine one."""
    return choose(is_zero(a[1]), neutral(a[0]), (a[0], a[1], one(a[0])))


@inner
def affine(p: Any) -> Any:
    """The affine point of a projective one; costs an inversion."""
    factor = reciprocal(p[2])
    return p[0] * factor, p[1] * factor


@inner
def on_curve(a: Any) -> Any:
    """Whether an affine pair satisfies the curve's equation; (0, 0) does not."""
    return square(a[1]) == square(a[0]) * a[0] + curve_b(a[0])


@inner
def multiply(p: Any, scalar: Any, bits: Any) -> Any:
    """``p`` times the low ``bits`` bits of ``scalar``, an array of words: double and always add, then select."""
    result = neutral(p[0])
    for position in range(bits - 1, -1, -1):
        result = double(result)
        bit = (scalar[position >> 6] >> np.uint64(position & 63)) & np.uint64(1)
        result = choose(bit != np.uint64(0), add(result, p), result)
    return result


@inner
def load_affine(like: Any, rows: Any, index: Any) -> Any:
    """Affine point number ``index``; ``like`` is a coordinate."""
    return load(like, rows, 2 * index), load(like, rows, 2 * index + 1)


@inner
def store_affine(rows: Any, index: Any, a: Any) -> Any:
    store(rows, 2 * index, a[0])
    store(rows, 2 * index + 1, a[1])


@inner
def load_projective(like: Any, rows: Any, index: Any) -> Any:
    return load(like, rows, 3 * index), load(like, rows, 3 * index + 1), load(like, rows, 3 * index + 2)


@inner
def store_projective(rows: Any, index: Any, p: Any) -> Any:
    store(rows, 3 * index, p[0])
    store(rows, 3 * index + 1, p[1])
    store(rows, 3 * index + 2, p[2])


@merged
def normalise(like: Any, points: Any, out: Any) -> Any:
    """Affine form ``out`` of the projective ``points``, with one inversion for all (Montgomery's trick).

    Takes a branch at the neutral element: not for secrets.
    """
    count = points.shape[0]
    product = one(like)
    for i in range(count):
        store(out, 2 * i, product)
        z = load(like, points, 3 * i + 2)
        if not is_zero(z):
            product = product * z
    inverted = reciprocal(product)
    for i in range(count - 1, -1, -1):
        x, y, z = load_projective(like, points, i)
        if is_zero(z):
            store_affine(out, i, (z, z))
        else:
            factor = inverted * load(like, out, 2 * i)
            inverted = inverted * z
            store_affine(out, i, (x * factor, y * factor))


# The subgroup of G2.

_psi_x, _psi_y = constant(FROBENIUS[0][2]), constant(FROBENIUS[0][3])
_SEED = np.array([int(digit) for digit in bin(U)[2:]], dtype=np.uint8)


@inner
def endomorphism(p: Any) -> Any:
    """Untwist, Frobenius, twist (Galbraith and Scott 2008); multiplies points of G2 by the base field's modulus."""
    return conjugate(p[0]) * _psi_x(p[0]), conjugate(p[1]) * _psi_y(p[1]), conjugate(p[2])


@merged
def multiply_by_seed(p: Any) -> Any:
    result = p
    for digit in _SEED[1:]:
        result = double(result)
        if digit:
            result = add(result, p)
    return result


@merged
def in_subgroup(p: Any) -> Any:
    """Whether a point of the twist has the prime order: [u + 1]Q + psi([u]Q) + psi^2([u]Q) = psi^3([2u]Q).

    El Housni, Guillevic and Piellard 2022, "Co-factor clearing and subgroup membership testing on pairing-friendly
    curves", section 5.2. The twist has r (2p - r) points, and psi^2 - t psi + p = 0 on all of them; the criterion's
    polynomial has a norm modulo this one whose greatest common divisor with r (2p - r) is r, which a test computes.
    """
    at_u = multiply_by_seed(p)
    once = endomorphism(at_u)
    twice = endomorphism(once)
    total = p
    for point in (at_u, once, twice):  # a loop, so that the machine code has one addition
        total = add(total, point)
    return same_point(total, endomorphism(double(twice)))
