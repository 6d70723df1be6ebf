"""Columns of field elements between memory and lanes, eight neighbours at a time.

Memory holds elements in Montgomery form by 2^256, lanes work in Montgomery form by 2^260. What is loaded here is not
multiplied by 16: in lanes it stands for the element over 16, which sums keep, and products with a factor that is whole.
"""

from typing import Any

from llvmlite import ir
from numba import types

from zkcore.bn254 import R
from zkcore.field_lanes import WIDTH, LaneFieldType
from zkcore.kernel import intrinsic
from zkcore.lane_points import transposed
from zkcore.number import is_words, zero_of

_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, WIDTH)
_ROW_WORDS = 4

fr_lanes = LaneFieldType("fr_lanes", R)
fr_lanes_zero = zero_of(fr_lanes)


def _vector(context: Any, builder: Any, array_type: Any, array: Any, row: Any, number: int) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    word = builder.add(builder.mul(row, _WORD(_ROW_WORDS)), _WORD(WIDTH * number))
    return builder.bitcast(builder.gep(data, [word]), _VECTOR.as_pointer())


@intrinsic
def load_rows(typingctx: Any, like: Any, rows: Any, first: Any) -> Any:
    """Elements ``first`` to ``first + 7``, in an order of lanes that :func:`store_rows` undoes."""
    if not (isinstance(like, LaneFieldType) and is_words(rows)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, row = arguments
        places = [_vector(context, builder, rows, array, row, number) for number in range(_ROW_WORDS)]
        return like.from_words(builder, transposed(builder, [builder.load(place, align=8) for place in places]))

    return like(like, rows, types.intp), emit


@intrinsic
def store_rows(typingctx: Any, rows: Any, first: Any, number: Any) -> Any:
    """Write what :func:`load_rows` reads."""
    if not (isinstance(number, LaneFieldType) and is_words(rows)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, row, value = arguments
        for part, words in enumerate(transposed(builder, number.to_words(builder, value))):
            builder.store(words, _vector(context, builder, rows, array, row, part), align=8)
        return context.get_dummy_value()

    return types.void(rows, types.intp, number), emit


@intrinsic
def load_everywhere(typingctx: Any, like: Any, rows: Any, index: Any) -> Any:
    """Element ``index`` in every lane."""
    if not (isinstance(like, LaneFieldType) and is_words(rows)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, row = arguments
        data = context.make_array(rows)(context, builder, array).data
        words = []
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        for i in range(_ROW_WORDS):
            word = builder.load(builder.gep(data, [builder.add(builder.mul(row, _WORD(_ROW_WORDS)), _WORD(i))]))
            first = builder.insert_element(_VECTOR(ir.Undefined), word, ir.IntType(32)(0))
            words.append(builder.shuffle_vector(first, _VECTOR(ir.Undefined), zeros))
        return like.from_words(builder, words)

    return like(like, rows, types.intp), emit
