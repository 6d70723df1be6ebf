"""Sums of many multiples on Baby Jubjub: scalar_1 P_1 + ... + scalar_n P_n.

Pippenger's bucket method (Bernstein, Doumen, Lange and Oosterwijk 2012, section 4) with the complete projective
addition of Bernstein, Birkner, Joye, Lange and Peters 2008 (section 6), so that no pair of points needs a case of its
own, points outside the prime subgroup included. Not constant-time: for verifiers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zkcore.babyjubjub import IDENTITY, A, D, Point
from zkcore.errors import WrongLength
from zkcore.field import constant, decode, encode, fr, fr_load, fr_zero, inverse, one, store, zero
from zkcore.kernel import inner, kernel
from zkcore.limbs import to_limbs

_a, _d = constant(A), constant(D)
_WIDEST_WINDOW = 12


@inner
def _add(p: Any, q: Any) -> Any:
    """Sum of two projective points (x, y, z)."""
    a = p[2] * q[2]
    b = a * a
    c, d = p[0] * q[0], p[1] * q[1]
    e = _d(a) * c * d
    f, g = b - e, b + e
    x = a * f * ((p[0] + p[1]) * (q[0] + q[1]) - c - d)
    y = a * g * (d - _a(a) * c)
    return x, y, f * g


@inner
def _load(rows: Any, i: Any) -> Any:
    return fr_load(rows, 3 * i), fr_load(rows, 3 * i + 1), fr_load(rows, 3 * i + 2)


@inner
def _store(rows: Any, i: Any, point: Any) -> Any:
    store(rows, 3 * i, point[0])
    store(rows, 3 * i + 1, point[1])
    store(rows, 3 * i + 2, point[2])


@inner
def _digit(scalar: Any, position: Any, window: Any) -> Any:
    """Bits ``position`` to ``position + window - 1`` of a scalar of four words."""
    word, shift = position >> 6, np.uint64(position & 63)
    value = scalar[word] >> shift
    if shift and word < 3:
        value |= scalar[word + 1] << (np.uint64(64) - shift)
    return np.intp(value & np.uint64((1 << window) - 1))


@kernel
def _multi_multiply(points: Any, scalars: Any, bits: Any, window: Any, buckets: Any, result: Any) -> Any:
    """``points`` Montgomery uint64[n, 2, 4]; ``buckets`` uint64[2^window, 3, 4]; ``result`` uint64[2, 4], affine."""
    nothing = zero(fr_zero()), one(fr_zero()), one(fr_zero())
    total = nothing
    for position in range((bits - 1) // window * window, -1, -window):
        for _ in range(window):
            total = _add(total, total)
        for digit in range(len(buckets)):
            _store(buckets, digit, nothing)
        highest = 0
        for i in range(len(points)):
            digit = _digit(scalars[i], position, window)
            if digit:
                highest = max(highest, digit)
                point = fr_load(points, 2 * i), fr_load(points, 2 * i + 1), one(fr_zero())
                _store(buckets, digit, _add(_load(buckets, digit), point))
        running = subtotal = nothing
        for digit in range(highest, 0, -1):  # sum of digit * bucket as a sum of suffix sums
            running = _add(running, _load(buckets, digit))
            subtotal = _add(subtotal, running)
        total = _add(total, subtotal)
    reciprocal = inverse(total[2])
    store(result, 0, total[0] * reciprocal)
    store(result, 1, total[1] * reciprocal)


def multi_multiply(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    """Sum of ``scalars[i]`` times ``points[i]``.

    Parameters
    ----------
    points
        Points of the curve, which is not checked.
    scalars
        Integers in ``[0, 2^256)``, as many.

    Raises
    ------
    WrongLength, OutOfRange
        Another number of scalars; a scalar outside its range, a coordinate that is not below the field's modulus.
    """
    if len(points) != len(scalars):
        raise WrongLength("scalars", f"{len(scalars)} scalars for {len(points)} points")
    bits = max((scalar.bit_length() for scalar in scalars), default=0)
    if bits == 0:
        return IDENTITY
    count = len(points)
    window = min(range(1, _WIDEST_WINDOW + 1), key=lambda w: -(-bits // w) * (count + (2 << w)))
    rows = encode(fr, [coordinate for point in points for coordinate in point], part="points")
    buckets = np.empty((1 << window, 3, 4), np.uint64)
    result = np.empty((2, 4), np.uint64)
    _multi_multiply(rows.reshape(count, 2, 4), to_limbs(scalars, part="scalars"), bits, window, buckets, result)
    x, y = decode(fr, result)
    return x, y
