"""Numbers as multiples of 1 / scale: what :class:`homomorphic.column.CiphertextColumn` encrypts.

A number x is carried as the integer x scale. Integers, fractions and decimals must be multiples of 1 / scale, and are
refused otherwise; binary floating-point numbers, which hardly ever are, become the nearest multiple (half to even).
"""

import operator
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import OutOfRange

Integers = Sequence[int] | NDArray[np.integer[Any]]
Numbers = Integers | Sequence[int | float | Fraction | Decimal] | NDArray[np.floating[Any]]

_EXACT = 1 << 53
"""Floating-point numbers below this tell neighbouring integers apart."""


def scaled(values: Numbers, scale: int, part: str = "values") -> list[int] | NDArray[np.int64] | NDArray[np.uint64]:
    """The integers x scale; arrays stay arrays if that fits 64 bits.

    Raises
    ------
    OutOfRange
        A scale below 1; a number that is no multiple of 1 / scale, not finite, or a float where the scale is 1 or too
        large for its multiples to be told apart.
    """
    if scale < 1:
        raise OutOfRange("scale", "is below 1")
    if isinstance(values, np.ndarray) and values.ndim == 1:
        if np.issubdtype(values.dtype, np.floating):
            return _scaled_floats(values, scale, part)
        if np.issubdtype(values.dtype, np.integer):
            kind: Any = np.uint64 if np.issubdtype(values.dtype, np.unsignedinteger) else np.int64
            limit = np.iinfo(kind).max // scale
            if scale == 1 or not len(values) or (values.max() <= limit and values.min() >= -limit):
                return values.astype(kind) * kind(scale)
            return [value * scale for value in values.tolist()]
    return [_scaled_one(value, scale, f"{part}[{i}]") for i, value in enumerate(values)]


def _scaled_floats(values: NDArray[Any], scale: int, part: str) -> NDArray[np.int64]:
    wide = values.astype(np.float64) * scale
    wrong = ~(np.abs(wide) < _EXACT) if scale > 1 else np.ones(len(values), np.bool_)
    if wrong.any():
        index = int(np.argmax(wrong))
        _scaled_one(float(values[index]), scale, f"{part}[{index}]")
    return np.rint(wide).astype(np.int64)


def _scaled_one(value: Any, scale: int, part: str) -> int:
    if isinstance(value, float | np.floating):
        if scale == 1:
            raise OutOfRange(part, "is a floating-point number, which needs a scale above 1")
        if not abs(float(value) * scale) < _EXACT:
            raise OutOfRange(part, f"is not finite or too large to be rounded to a multiple of 1/{scale}")
        return round(Fraction(float(value)) * scale)
    if isinstance(value, Fraction | Decimal):
        if isinstance(value, Decimal) and not value.is_finite():
            raise OutOfRange(part, "is not finite")
        product = Fraction(value) * scale
        if product.denominator != 1:
            raise OutOfRange(part, f"is not a multiple of 1/{scale}")
        return product.numerator
    return operator.index(value) * scale
