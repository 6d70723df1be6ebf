"""A kernel that computes a circuit's witness by replaying how each wire follows from earlier ones.

A *step* makes one wire, or a run of wires, from linear combinations of earlier wires, or holds the wires to a
constraint. Coefficients are canonical and wires in Montgomery form, so that a dot product is canonical, and one
product brings it into Montgomery form.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore import edwards, poseidon
from zkcore.bn254 import R
from zkcore.field import (
    constant,
    fr_load,
    fr_zero,
    from_montgomery,
    inverse,
    invert_rows,
    is_zero,
    one,
    select,
    store,
    to_montgomery,
)
from zkcore.kernel import inner, kernel

PRODUCT, ASSERTION, BITS, QUOTIENT, IS_ZERO, POSEIDON, CHORDS = range(7)
"""Kinds of steps.

A step is int64[5]: kind, row of A, B and C, row of the hints, first wire, number. ``PRODUCT``: the wire is the row of A
times that of B. ``ASSERTION``: the row of A times that of B is that of C. ``BITS``: that number of wires are the lowest
bits of the canonical integer of the hint. ``QUOTIENT``: the wire is the hint over the next one, 0 if that is 0.
``IS_ZERO``: the wire is 1 if the hint is 0, else 0. ``POSEIDON``: the wires are the powers that
:func:`zkcore.poseidon.permute` writes down, but the first three, for that number of inputs, the hints from this one on.
``CHORDS``: the hints from this one on are u and v of points of Baby Jubjub in Montgomery form, one point more than the
number; for each addition to the first of them three wires are the slope of the chord, and u and v of the sum; they are
zeros from the first addition on that is of points with the same u.
"""

MONTGOMERY_A = 2 * (edwards.A + edwards.D) * pow(edwards.A - edwards.D, -1, R) % R
MONTGOMERY_B = 4 * pow(edwards.A - edwards.D, -1, R) % R
"""B v^2 = u^3 + A u^2 + u is Baby Jubjub (Bernstein et al. 2008, theorem 3.2)."""
_a, _b = constant(MONTGOMERY_A), constant(MONTGOMERY_B)


@cache
def poseidon_tables(widths: frozenset[int]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The tables of Poseidon for some widths in one array, and int64[widths, 5], where those of each width begin."""
    starts = np.zeros((poseidon.LARGEST_INPUT + 2, 5), np.int64)
    parts, size = [np.empty((0, 4), np.uint64)], 0
    for width in sorted(widths):
        tables = poseidon.tables(width)
        starts[width] = size + np.cumsum([0, *map(len, tables)])
        parts += tables
        size = starts[width, -1]
    return np.concatenate(parts), starts


@inner
def _dot(matrix: Any, row: Any, wires: Any) -> Any:
    row_start, column, coefficient = matrix
    total = fr_zero()
    for entry in range(row_start[row], row_start[row + 1]):
        total = total + fr_load(coefficient, entry) * fr_load(wires, column[entry])
    return to_montgomery(total)


@inner
def _powers(hints: Any, row: Any, count: Any, constants: Any, starts: Any, wires: Any, first: Any) -> Any:
    at = starts[count + 1]
    tables = constants[at[0] : at[1]], constants[at[1] : at[2]], constants[at[2] : at[3]], constants[at[3] : at[4]]
    state = np.empty((count + 1, 4), np.uint64)
    powers = np.empty((3 * (tables[0].shape[0] + tables[2].shape[0]), 4), np.uint64)
    store(state, 0, fr_zero())
    for i in range(count):
        store(state, i + 1, _dot(hints, row + i, wires))
    poseidon.permute(state, tables, powers, 0)
    wires[first : first + len(powers) - 3] = powers[3:]


@inner
def _chords(hints: Any, row: Any, count: Any, wires: Any, first: Any) -> Any:
    """Sums are kept with a common denominator until all are known, so that one inversion serves them all."""
    denominators = np.empty((count, 4), np.uint64)
    scratch = np.empty((count, 4), np.uint64)
    u, v, z = _dot(hints, row, wires), _dot(hints, row + 1, wires), one(fr_zero())
    for k in range(count):
        next_u, next_v = _dot(hints, row + 2 * k + 2, wires), _dot(hints, row + 2 * k + 3, wires)
        run, rise = next_u * z - u, next_v * z - v
        square_of_run = run * run
        across = _b(u) * rise * rise * z - (_a(u) * z + u + next_u * z) * square_of_run
        scale = square_of_run * z
        denominator = run * scale
        u = run * across
        v = rise * (next_u * scale - across) - next_v * denominator
        store(wires, first + 3 * k, rise * scale)
        store(wires, first + 3 * k + 1, u)
        store(wires, first + 3 * k + 2, v)
        store(denominators, k, denominator)
        z = denominator
    invert_rows(fr_zero(), denominators, scratch)
    for k in range(count):
        for wire in range(first + 3 * k, first + 3 * k + 3):
            store(wires, wire, fr_load(wires, wire) * fr_load(denominators, k))


@kernel
def replay(steps: Any, a: Any, b: Any, c: Any, hints: Any, constants: Any, starts: Any, wires: Any) -> Any:
    """Fill in the wires that follow from the inputs; tells the first constraint that they violate, -1 if none.

    Parameters
    ----------
    steps
        int64[n, 5].
    a, b, c, hints
        Sparse matrices as (row_start, column, coefficient), coefficients canonical.
    constants, starts
        Of :func:`poseidon_tables`.
    wires
        uint64[n_wires, 4], Montgomery form, inputs filled in.
    """
    for step in range(len(steps)):
        kind, row, hint = steps[step, 0], steps[step, 1], steps[step, 2]
        first, count = steps[step, 3], steps[step, 4]
        if kind == PRODUCT:
            store(wires, first, _dot(a, row, wires) * _dot(b, row, wires))
        elif kind == ASSERTION:
            if not is_zero(_dot(a, row, wires) * _dot(b, row, wires) - _dot(c, row, wires)):
                return row
        elif kind == BITS:
            value = np.empty((1, 4), np.uint64)
            store(value, 0, from_montgomery(_dot(hints, hint, wires)))
            for bit in range(count):
                is_set = (value[0, bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1) == np.uint64(1)
                store(wires, first + bit, select(is_set, one(fr_zero()), fr_zero()))
        elif kind == QUOTIENT:
            # The inverse of 0 by Fermat is 0.
            store(wires, first, _dot(hints, hint, wires) * inverse(_dot(hints, hint + 1, wires)))
        elif kind == IS_ZERO:
            store(wires, first, select(is_zero(_dot(hints, hint, wires)), one(fr_zero()), fr_zero()))
        elif kind == POSEIDON:
            _powers(hints, hint, count, constants, starts, wires, first)
        else:
            _chords(hints, hint, count, wires, first)
    return -1
