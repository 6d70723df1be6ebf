"""Kernels over a constraint system: its witness by replaying how each wire follows from earlier ones, and its check.

A *step* makes one wire, or a run of wires, from linear combinations of earlier wires. A product is described by the
constraint that says so; the other steps have a linear combination of their own.
"""

from typing import Any

import numpy as np

from zkcore.field import (
    fr_load,
    fr_zero,
    from_montgomery,
    inverse,
    is_zero,
    one,
    select,
    store,
)
from zkcore.kernel import inner, kernel

PRODUCT, PRODUCT_LESS, BITS, QUOTIENT, EQUALS = range(5)


@inner
def _dot(row_start: Any, column: Any, coefficient: Any, row: Any, wires: Any) -> Any:
    total = fr_zero()
    for entry in range(row_start[row], row_start[row + 1]):
        total = total + fr_load(coefficient, entry) * fr_load(wires, column[entry])
    return total


@kernel
def replay(steps: Any, a: Any, b: Any, hints: Any, wires: Any, scratch: Any) -> Any:
    """Fill in the wires that follow from the inputs.

    Parameters
    ----------
    steps
        int64[n, 4]: kind, row, first wire, number. ``PRODUCT``: the wire is row ``row`` of A times that of B.
        ``PRODUCT_LESS``: the same, less the row of ``hints`` that the number names. ``BITS``: that number of wires are
        the lowest bits of the canonical integer of row ``row`` of ``hints``. ``QUOTIENT``: the wire is row ``row`` of
        ``hints`` over the next row, 0 if that is 0. ``EQUALS``: the wire is 1 if row ``row`` of ``hints`` is 0, else 0.
    a, b, hints
        Sparse matrices as (row_start, column, coefficient), coefficients in Montgomery form.
    wires
        uint64[n_wires, 4], Montgomery form, inputs filled in.
    scratch
        uint64[1, 4].
    """
    for step in range(len(steps)):
        kind, row, first, count = steps[step, 0], steps[step, 1], steps[step, 2], steps[step, 3]
        if kind == PRODUCT:
            left = _dot(a[0], a[1], a[2], row, wires)
            store(wires, first, left * _dot(b[0], b[1], b[2], row, wires))
        elif kind == PRODUCT_LESS:
            product = _dot(a[0], a[1], a[2], row, wires) * _dot(b[0], b[1], b[2], row, wires)
            store(wires, first, product - _dot(hints[0], hints[1], hints[2], count, wires))
        elif kind == BITS:
            value = _dot(hints[0], hints[1], hints[2], row, wires)
            store(scratch, 0, from_montgomery(value))
            for bit in range(count):
                is_set = (scratch[0, bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1)
                store(wires, first + bit, select(is_set == np.uint64(1), one(value), fr_zero()))
        elif kind == QUOTIENT:
            numerator = _dot(hints[0], hints[1], hints[2], row, wires)
            # The inverse of 0 by Fermat is 0.
            store(wires, first, numerator * inverse(_dot(hints[0], hints[1], hints[2], row + 1, wires)))
        else:
            value = _dot(hints[0], hints[1], hints[2], row, wires)
            store(wires, first, select(is_zero(value), one(value), fr_zero()))


@kernel
def first_violated(a: Any, b: Any, c: Any, wires: Any) -> Any:
    """Index of the first constraint that the wires (Montgomery form) violate, or -1."""
    for row in range(len(a[0]) - 1):
        product = _dot(a[0], a[1], a[2], row, wires) * _dot(b[0], b[1], b[2], row, wires)
        if not is_zero(product - _dot(c[0], c[1], c[2], row, wires)):
            return row
    return -1
