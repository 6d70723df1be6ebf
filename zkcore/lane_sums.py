"""Sums and differences in lanes that are not settled: good for one product, or for what settles them.

The bounds are those of :class:`zkcore.field_lanes.LaneFieldType`: a product of Fp may have less than 50p^2, one of Fp2
factors of less than 4p and 5p/3. Operands are below 5p/3 where nothing else is said.
"""

from collections.abc import Callable
from typing import Any

from zkcore.field_lanes import LaneFieldType
from zkcore.kernel import intrinsic
from zkcore.tower import Fp2Type


def _is_lanes(number: Any) -> bool:
    return isinstance(number.base if isinstance(number, Fp2Type) else number, LaneFieldType)


def _by_parts(number: Any, operation: str) -> Callable[..., Any]:
    """An operation of the field, for the field or for each part of its extension."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not isinstance(number, Fp2Type):
            return getattr(number, operation)(builder, *arguments)
        parts = zip(*(number.split(builder, value) for value in arguments), strict=True)
        return number.join(builder, *(getattr(number.base, operation)(builder, *part) for part in parts))

    return emit


@intrinsic
def loose_difference(typingctx: Any, a: Any, b: Any) -> Any:
    """a - b as a factor of one product, below 4p."""
    if a == b and _is_lanes(a):
        return a(a, b), _by_parts(a, "loose_difference")
    return None


@intrinsic
def minus_both(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a - b - c, where b and c are below p."""
    if a == b == c and _is_lanes(a):
        return a(a, b, c), _by_parts(a, "minus_both")
    return None


@intrinsic
def four_products(typingctx: Any, factor: Any, a: Any, b: Any) -> Any:
    """4 (a - b) times a factor."""
    if not (factor == a == b and _is_lanes(a)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scale, left, right = arguments
        if not isinstance(a, Fp2Type):
            return a.multiply(builder, scale, a.loose_difference(builder, left, right, 2))
        difference = _by_parts(a, "loose_difference")(context, builder, signature, [left, right])
        double = a.multiply(builder, scale, difference)
        for _ in range(2):
            double = a.add(builder, double, double)
        return double

    return a(factor, a, b), emit
