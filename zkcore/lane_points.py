"""Points of G1 and G2 between memory and lanes, eight at a time from any eight places.

Memory holds affine points in Montgomery form by 2^256, lanes work in Montgomery form by 2^260. What is loaded here is
not multiplied by 16: in lanes it stands for coordinates over 16, and whoever computes with it takes that into account.
References to points are those of :mod:`zkcore.affine`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from zkcore.field import fp
from zkcore.field_lanes import WIDTH, LaneFieldType, fp_lanes, lane_mask
from zkcore.kernel import intrinsic
from zkcore.number import NumberType, is_words
from zkcore.tower import Fp2Type, fp2_over

_WORD, _INDEX = ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_WORD, WIDTH)
_MASK = ir.IntType(WIDTH)


@intrinsic
def lanes_of(typingctx: Any, like: Any) -> Any:
    """Zero in lanes over the field of ``like``, fp or its extension."""
    wide = fp_lanes if like == fp else fp2_over(fp_lanes) if like == fp2_over(fp) else None
    if wide is None:
        return None
    return wide(like), lambda context, builder, signature, arguments: wide.constant(0)


def _parts(builder: Any, number: Any, value: Any) -> list[Any]:
    return list(number.split(builder, value)) if isinstance(number, Fp2Type) else [value]


def _base(number: Any) -> Any:
    return number.base if isinstance(number, Fp2Type) else number


def transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Rows of eight words turned to columns, by rounds of exchanges; its own inverse.

    Four rows are two blocks of four columns side by side, each turned by itself.
    """
    rows = list(rows)
    for step in (1, 2, 4)[: len(rows).bit_length() - 1]:
        low = [j if not j & step else WIDTH + j - step for j in range(WIDTH)]
        high = [j + step if not j & step else WIDTH + j for j in range(WIDTH)]
        low_mask, high_mask = (ir.Constant(ir.VectorType(_INDEX, WIDTH), mask) for mask in (low, high))
        for i in range(len(rows)):
            if not i & step:
                a, b = rows[i], rows[i + step]
                rows[i] = builder.shuffle_vector(a, b, low_mask)
                rows[i + step] = builder.shuffle_vector(a, b, high_mask)
    return rows


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _references(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    place = _address(context, builder, array_type, array, at)
    return builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=8)


def _reference(context: Any, builder: Any, array_type: Any, array: Any, at: Any, lane: int) -> Any:
    """One of the eight, loaded by itself: taking it out of the register costs more."""
    return builder.load(_address(context, builder, array_type, array, builder.add(at, _WORD(lane))))


def _is_references(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.int64 and array.layout == "C"


@intrinsic
def load_points(typingctx: Any, like: Any, points: Any, references: Any, at: Any) -> Any:
    """x and y of the points that ``references[at]`` to ``references[at + 7]`` name, one a lane."""
    if not (isinstance(_base(like), LaneFieldType) and is_words(points) and _is_references(references)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, names, first = arguments
        named = _references(context, builder, references, names, first)
        blocks = len(_parts(builder, like, like.constant(0)))
        parts = []
        for block in range(blocks):
            rows = []
            for lane in range(WIDTH):
                index = builder.ashr(_reference(context, builder, references, names, first, lane), _WORD(1))
                word = builder.add(builder.mul(index, _WORD(8 * blocks)), _WORD(8 * block))
                place = _address(context, builder, points, array, word)
                rows.append(builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=8))
            columns = transposed(builder, rows)
            parts += [_base(like).from_words(builder, columns[:4]), _base(like).from_words(builder, columns[4:])]
        x, y = parts if blocks == 1 else (like.join(builder, *parts[:2]), like.join(builder, *parts[2:]))
        odd = builder.icmp_unsigned("!=", builder.and_(named, _VECTOR([1] * WIDTH)), _VECTOR([0] * WIDTH))
        opposite = [_base(like).negative(builder, part) for part in _parts(builder, like, y)]
        negative = opposite[0] if blocks == 1 else like.join(builder, *opposite)
        y = like.choose(builder, builder.bitcast(odd, _MASK), negative, y)
        return context.make_tuple(builder, signature.return_type, [x, y])

    return types.UniTuple(like, 2)(like, points, references, types.intp), emit


@intrinsic
def prefetch_points(typingctx: Any, like: Any, points: Any, references: Any, at: Any) -> Any:
    """Ask memory for the points that ``references[at]`` to ``references[at + 7]`` name, to be loaded as ``like``."""
    if not (isinstance(_base(like), LaneFieldType) and is_words(points) and _is_references(references)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, names, first = arguments
        blocks = len(_parts(builder, like, like.constant(0)))
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature_ = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        fetch = cgutils.get_or_insert_function(builder.module, signature_, "llvm.prefetch.p0i8")
        for lane in range(WIDTH):
            index = builder.ashr(_reference(context, builder, references, names, first, lane), _WORD(1))
            row = builder.mul(index, _WORD(8 * blocks))
            for word in (*range(0, 8 * blocks, 8), 8 * blocks - 1):  # the last, as rows may begin within a line
                place = _address(context, builder, points, array, builder.add(row, _WORD(word)))
                builder.call(fetch, [builder.bitcast(place, byte), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(like, points, references, types.intp), emit


@intrinsic
def store_points(typingctx: Any, points: Any, places: Any, at: Any, x: Any, y: Any, skip: Any) -> Any:
    """Write lane i's point as point ``places[at + i]``, except in the lanes of the mask ``skip``."""
    if not (isinstance(_base(x), LaneFieldType) and x == y and is_words(points) and _is_references(places)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, names, first, x_value, y_value, skipped = arguments
        numbers = [*_parts(builder, x, x_value), *_parts(builder, y, y_value)]
        blocks = len(numbers) // 2
        nowhere = cgutils.alloca_once(builder, _VECTOR)
        for block in range(blocks):
            left, right = (_base(x).to_words(builder, number) for number in numbers[2 * block : 2 * block + 2])
            for lane, row in enumerate(transposed(builder, [*left, *right])):
                index = _reference(context, builder, places, names, first, lane)
                word = builder.add(builder.mul(index, _WORD(8 * blocks)), _WORD(8 * block))
                place = builder.bitcast(_address(context, builder, points, array, word), _VECTOR.as_pointer())
                bit = builder.trunc(builder.lshr(skipped, _MASK(lane)), ir.IntType(1))
                builder.store(row, builder.select(bit, nowhere, place), align=8)
        return context.get_dummy_value()

    return types.void(points, places, types.intp, x, y, lane_mask), emit


@intrinsic
def same_limbs(typingctx: Any, a: Any, b: Any) -> Any:
    """In which lanes two numbers, both as loaded from memory, are the same."""
    if not (isinstance(a, NumberType) and a == b and isinstance(_base(a), LaneFieldType)):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        differing = _VECTOR([0] * WIDTH)
        for left, right in zip(*(_parts(builder, a, value) for value in arguments), strict=True):
            for limb in range(left.type.count):
                pair = builder.extract_value(left, limb), builder.extract_value(right, limb)
                differing = builder.or_(differing, builder.xor(*pair))
        return builder.bitcast(builder.icmp_unsigned("==", differing, _VECTOR([0] * WIDTH)), _MASK)

    return lane_mask(a, b), emit
