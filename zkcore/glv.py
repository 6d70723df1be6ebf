"""Half-length scalars in G1 and G2 by an endomorphism (Gallant, Lambert and Vanstone 2001).

On y^2 = x^3 + b the map (x, y) -> (beta x, y), with beta^3 = 1, multiplies every point of the group of order r by a
lambda with lambda^3 = 1 modulo r. So k P = k1 P + k2 (lambda P) for every pair with k1 + k2 lambda = k modulo r; such
pairs for k = 0 form a lattice, and taking the point of the lattice next to (k, 0) away from it leaves a pair of numbers
of half the length.

With t the trace and 4 p = t^2 + 3 f^2, where f = 6 u^2 + 4 u + 1 for this family (Barreto and Naehrig 2005), t / f is a
square root of -3 modulo p, and since 4 r = (t - 2)^2 + 3 f^2, (t - 2) / f is one modulo r: the cube roots of unity are
(-1 +- those) / 2. In the ring of the cube roots of unity the lattice is the ideal of an element of norm r, whose
products with roots of unity are the shortest vectors; two of them are the basis.

Only for points of the group of order r: elsewhere on the twist the map is no multiplication by lambda.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from zkcore.bn254 import P, R, U
from zkcore.curve import curve_constant
from zkcore.kernel import inner, intrinsic
from zkcore.number import is_words

_T, _F = 6 * U**2 + 1, 6 * U**2 + 4 * U + 1

BETA = (-1 - _T * pow(_F, -1, P)) * pow(2, -1, P) % P
LAMBDA = (-1 - (_T - 2) * pow(_F, -1, R)) * pow(2, -1, R) % R
"""The map of G1 by BETA multiplies by LAMBDA; in G2 the map by the square of BETA does."""

BASIS = ((2 * U + 1, -(6 * U**2 + 2 * U)), (6 * U**2 + 4 * U + 1, 2 * U + 1))
"""Two short vectors of the lattice, of determinant R."""

HALF_BITS = 127
"""Halves have at most so many bits: coefficients are right to 5/8, and halves reach 5/8 of the sum of two entries."""

_SHIFT = 256
_FACTORS = tuple((2 * (abs(second) << _SHIFT) + R) // (2 * R) for _, second in reversed(BASIS))
"""k times these over 2^256 are the coefficients of (k, 0) by the basis (Cramer's rule), to 1/8 for k below 2^254."""

_HALF, _WHOLE, _WIDE = ir.IntType(128), ir.IntType(256), ir.IntType(384)

beta = curve_constant(BETA, (BETA * BETA % P, 0))


@intrinsic
def _halves(typingctx: Any, scalars: Any, index: Any) -> Any:
    """Both halves of ``scalars[index]``, each two words of two's complement."""
    if not is_words(scalars):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, row = arguments
        data = context.make_array(scalars)(context, builder, array).data
        place = builder.gep(data, [builder.mul(row, ir.IntType(64)(4))])
        scalar = builder.load(builder.bitcast(place, _WHOLE.as_pointer()), align=8)
        wide = builder.zext(scalar, _WIDE)
        first, second = builder.trunc(scalar, _HALF), _HALF(0)
        for factor, vector in zip(_FACTORS, BASIS, strict=True):
            rounded = builder.add(builder.mul(wide, _WIDE(factor)), _WIDE(1 << (_SHIFT - 1)))
            times = builder.trunc(builder.lshr(rounded, _WIDE(_SHIFT)), _HALF)
            first = builder.sub(first, builder.mul(times, _HALF(vector[0] % (1 << 128))))
            second = builder.sub(second, builder.mul(times, _HALF(vector[1] % (1 << 128))))
        words = []
        for half in (first, second):
            words += [builder.trunc(half, ir.IntType(64)), builder.trunc(builder.lshr(half, _HALF(64)), ir.IntType(64))]
        return context.make_tuple(builder, signature.return_type, words)

    return types.UniTuple(types.uint64, 4)(scalars, types.intp), emit


@inner
def _absolute(low: Any, high: Any) -> Any:
    """Words of a number's absolute value, and whether it is negative."""
    if high >> np.uint64(63):
        low, high = ~low + np.uint64(1), ~high + np.uint64(low == np.uint64(0))
        return low, high, True
    return low, high, False


@inner
def split(scalars: Any, index: Any) -> Any:
    """Words and sign of k1, then of k2, with k1 + k2 LAMBDA = ``scalars[index]``, which is below 2^254, modulo R.

    What is short, or short when R is taken off, is k1 with k2 = 0.
    """
    low1, high1, low2, high2 = _halves(scalars, index)
    return _absolute(low1, high1), _absolute(low2, high2)
