"""Sums of products in Fp2 in eight lanes, reduced once (lazy reduction, Aranha et al. 2011).

Where a product of Fp6 or Fp12 has six coefficients of one form, so many sums take no more multiply-adds than products
by Karatsuba's way with a reduction each, and hardly an addition.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from zkcore.field_lanes import LIMBS, RADIX, fp_lanes
from zkcore.kernel import intrinsic
from zkcore.tower import fp2_over

fp2_lanes = fp2_over(fp_lanes)
UNIT_BITS = RADIX * LIMBS - 8
"""2^-8 in Montgomery form is 2 to this power."""

_OPERAND = ir.ArrayType(fp_lanes.llvm, 3)


def with_sum(builder: Any, a: Any) -> list[Any]:
    """Real part, imaginary part and their sum: the operands of a product by Karatsuba's way."""
    real, imaginary = fp2_lanes.split(builder, a)
    return [real, imaginary, fp_lanes.loose_sum(builder, real, imaginary)]


def sum_of_products(
    builder: Any, terms: Sequence[tuple[list[Any], list[Any]]], times: int = 1, unit: Any = None
) -> Any:
    """``times`` the sum of products of pairs of :func:`with_sum`, plus the ``unit`` over 2^8, if there is one.

    At most six products of parts below 5p/3 are summed, ``times`` counted, so that what is reduced is below
    (18 + 17 + 1) p^2.
    """
    totals = []
    for part in range(3):
        total = None
        for x, y in terms:
            total = fp_lanes.wide(builder, x[part], y[part], total)
        totals.append(total)
    low, high, cross = totals
    real = fp_lanes.wide_difference(builder, low, high)
    imaginary = fp_lanes.wide_difference(builder, fp_lanes.wide_difference(builder, cross, low), high)
    if times > 1:
        real, imaginary = fp_lanes.wide_times(builder, real, times), fp_lanes.wide_times(builder, imaginary, times)
    if unit is not None:
        x, y = fp2_lanes.split(builder, unit)
        real, imaginary = (
            fp_lanes.wide_shifted(builder, total, number, UNIT_BITS) for total, number in ((real, x), (imaginary, y))
        )
    real = fp_lanes.wide_offset(builder, real, 18)
    return fp2_lanes.join(builder, fp_lanes.reduce(builder, real), fp_lanes.reduce(builder, imaginary))


# Fp12 as the tower has it, eight elements in lanes.

_FP6 = types.UniTuple(fp2_lanes, 3)
PARTS = types.UniTuple(_FP6, 2)
_PLACES = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2))


def _sum_of_three(builder: Any) -> Any:
    """A function that writes x0 y0 + x1 y1 + x2 y2, from pointers to the x and to all y, each with its sum."""
    name = f"zkcore_{fp2_lanes.name}_sum_of_three"
    function = builder.module.globals.get(name)
    if function is None:
        pointer = _OPERAND.as_pointer()
        function = ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), [fp2_lanes.llvm.as_pointer(), *[pointer] * 4]), name
        )
        function.linkage = "linkonce_odr"
        for attribute in ("noinline", "nounwind"):
            function.attributes.add(attribute)
        inside = ir.IRBuilder(function.append_basic_block())
        out, *factors, others = function.args
        terms = []
        for i, place in enumerate(factors):
            left, right = inside.load(place), inside.load(inside.gep(others, [ir.IntType(32)(i)]))
            terms.append(
                ([inside.extract_value(left, k) for k in range(3)], [inside.extract_value(right, k) for k in range(3)])
            )
        inside.store(sum_of_products(inside, terms), out)
        inside.ret_void()
    return function


@intrinsic
def times_line(typingctx: Any, f: Any, line: Any) -> Any:
    """f (c0 + c1 w + c2 w^3) for eight elements of Fp12."""
    if f != PARTS or line != _FP6:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def kept(number: Any, place: Any) -> Any:
            whole = _OPERAND(ir.Undefined)
            for k, part in enumerate(with_sum(builder, number)):
                whole = builder.insert_value(whole, part, k)
            builder.store(whole, place)
            return place

        def room(count: int = 1) -> Any:
            return cgutils.alloca_once(builder, _OPERAND, size=ir.IntType(64)(count))

        function, line_room, result = _sum_of_three(builder), room(3), cgutils.alloca_once(builder, fp2_lanes.llvm)
        for i in range(3):
            kept(builder.extract_value(arguments[1], i), builder.gep(line_room, [ir.IntType(32)(i)]))
        numbers = [builder.extract_value(arguments[0], place) for place in _PLACES]
        plain = [kept(number, room()) for number in numbers]
        by_xi = {i - 6: kept(fp2_lanes.times_xi(builder, numbers[i]), room()) for i in (3, 4, 5)}
        out = context.get_value_type(PARTS)(ir.Undefined)
        for k, place in enumerate(_PLACES):
            factors = [plain[i] if i >= 0 else by_xi[i] for i in (k, k - 1, k - 3)]
            builder.call(function, [result, *factors, line_room])
            out = builder.insert_value(out, builder.load(result), place)
        return out

    return PARTS(f, line), emit
