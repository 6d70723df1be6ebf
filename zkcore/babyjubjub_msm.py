"""Sums of many multiples on Baby Jubjub: scalar_1 P_1 + ... + scalar_n P_n.

Pippenger's bucket method (Bernstein, Doumen, Lange and Oosterwijk 2012, section 4) with complete addition
(:mod:`zkcore.edwards`), so that no pair of points needs a case of its own. Not constant-time: for verifiers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zkcore.babyjubjub import IDENTITY, Point
from zkcore.edwards import add, add_affine, double, identity, load_affine, load_projective, store_projective
from zkcore.errors import WrongLength
from zkcore.field import decode, encode, fr, inverse, store
from zkcore.kernel import inner, kernel
from zkcore.limbs import to_limbs

_WIDEST_WINDOW = 12


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
    total = identity()
    for position in range((bits - 1) // window * window, -1, -window):
        for _ in range(window):
            total = double(total)
        for digit in range(len(buckets)):
            store_projective(buckets, digit, identity())
        highest = 0
        for i in range(len(points)):
            digit = _digit(scalars[i], position, window)
            if digit:
                highest = max(highest, digit)
                added = add_affine(load_projective(buckets, digit), load_affine(points, i))
                store_projective(buckets, digit, added)
        running = subtotal = identity()
        for digit in range(highest, 0, -1):  # sum of digit * bucket as a sum of suffix sums
            running = add(running, load_projective(buckets, digit))
            subtotal = add(subtotal, running)
        total = add(total, subtotal)
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
