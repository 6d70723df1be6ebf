"""The group law of Baby Jubjub in kernels, on projective points (X, Y, Z) with x = X / Z, y = Y / Z.

Bernstein, Birkner, Joye, Lange and Peters 2008, "Twisted Edwards curves", section 6. Addition is complete, points
outside the prime subgroup included; nothing here branches on a value.

Arrays in Montgomery form: affine ``uint64[n, 2, 4]``, projective ``uint64[n, 3, 4]``.
"""

from typing import Any

import numpy as np

from zkcore.field import constant, fr_load, fr_zero, one, select, square, store, zero
from zkcore.kernel import inner

A = 168700
D = 168696
"""The curve is A x^2 + y^2 = 1 + D x^2 y^2 (ERC-2494)."""
_a, _d = constant(A), constant(D)

WINDOW = 4
"""Bits of a scalar that one table look-up takes care of in multiplications that hide the scalar."""


@inner
def identity() -> Any:
    return zero(fr_zero()), one(fr_zero()), one(fr_zero())


@inner
def _sum(x: Any, y: Any, cross: Any, zz: Any) -> Any:
    """The sum from X1 X2, Y1 Y2, (X1 + Y1)(X2 + Y2) and Z1 Z2."""
    b = square(zz)
    e = _d(zz) * (x * y)
    f, g = b - e, b + e
    return zz * f * (cross - x - y), zz * g * (y - _a(zz) * x), f * g


@inner
def add(p: Any, q: Any) -> Any:
    """Sum of two projective points."""
    return _sum(p[0] * q[0], p[1] * q[1], (p[0] + p[1]) * (q[0] + q[1]), p[2] * q[2])


@inner
def add_affine(p: Any, q: Any) -> Any:
    """Sum of a projective and an affine point."""
    return _sum(p[0] * q[0], p[1] * q[1], (p[0] + p[1]) * (q[0] + q[1]), p[2])


@inner
def double(p: Any) -> Any:
    xx, yy, zz = square(p[0]), square(p[1]), square(p[2])
    e = _a(xx) * xx
    f = e + yy
    j = f - zz - zz
    return (square(p[0] + p[1]) - xx - yy) * j, f * (e - yy), f * j


@inner
def load_projective(rows: Any, i: Any) -> Any:
    return fr_load(rows, 3 * i), fr_load(rows, 3 * i + 1), fr_load(rows, 3 * i + 2)


@inner
def store_projective(rows: Any, i: Any, point: Any) -> Any:
    store(rows, 3 * i, point[0])
    store(rows, 3 * i + 1, point[1])
    store(rows, 3 * i + 2, point[2])


@inner
def load_affine(rows: Any, i: Any) -> Any:
    return fr_load(rows, 2 * i), fr_load(rows, 2 * i + 1)


@inner
def window_of(scalar: Any, place: Any) -> Any:
    """Digit ``place`` of a scalar of four words in base 2^WINDOW."""
    per_word = 64 // WINDOW
    return (scalar[place // per_word] >> np.uint64(WINDOW * (place % per_word))) & np.uint64((1 << WINDOW) - 1)


@inner
def pick_projective(table: Any, digit: Any) -> Any:
    """Entry ``digit`` of a table of 2^WINDOW points, all of which are read."""
    x, y, z = load_projective(table, 0)
    for k in range(1, 1 << WINDOW):
        chosen = digit == np.uint64(k)
        other = load_projective(table, k)
        x, y, z = select(chosen, other[0], x), select(chosen, other[1], y), select(chosen, other[2], z)
    return x, y, z


@inner
def pick_affine(table: Any, first: Any, digit: Any) -> Any:
    """Entry ``first + digit`` of a table of affine points; the 2^WINDOW entries from ``first`` on are all read."""
    x, y = load_affine(table, first)
    for k in range(1, 1 << WINDOW):
        chosen = digit == np.uint64(k)
        other = load_affine(table, first + k)
        x, y = select(chosen, other[0], x), select(chosen, other[1], y)
    return x, y
