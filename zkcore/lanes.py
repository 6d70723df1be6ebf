"""Eight 64-bit lanes as one Numba value type, ``u64x8``: one AVX-512 register.

Wide numbers are held in radix 2^52, limb by limb, so that a limb of eight numbers fills a register and the
multiply-add instructions of AVX-512 IFMA (Gueron and Krasnov 2016, "Accelerating big integer arithmetic using Intel
IFMA extensions") work on eight independent numbers at once. They multiply the low 52 bits of their factors and add
the low or high 52 bits of the product to a 64-bit lane, so that thousands of products may be added before a carry
must move on.

Only where :data:`zkcore.cpu.BACKEND` is ``avx512ifma`` do kernels with these types run. None of the operations takes a
time or touches memory that depends on the values.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import register_model

from zkcore.kernel import intrinsic
from zkcore.number import NumberModel, NumberType
from zkcore.registers import LANES, LIMB_BITS, LIMB_MASK

_VECTOR = ir.VectorType(ir.IntType(64), LANES)


class LanesType(NumberType):
    """Numba type of eight unsigned 64-bit integers that wrap around; ``+`` and ``-`` work lane by lane."""

    llvm = _VECTOR
    size = LANES

    def constant(self, value: int) -> Any:
        return ir.Constant(_VECTOR, [value] * LANES)

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        return builder.add(a, b)

    def subtract(self, builder: Any, a: Any, b: Any) -> Any:
        return builder.sub(a, b)

    def canonical(self, builder: Any, a: Any) -> Any:
        return a


u64x8 = LanesType("u64x8")
register_model(LanesType)(NumberModel)


def _declared(builder: Any, name: str, returns: Any, arguments: list[Any]) -> Any:
    """An intrinsic function of LLVM."""
    function = builder.module.globals.get(name)
    return function or ir.Function(builder.module, ir.FunctionType(returns, arguments), name)


def _multiply_add(half: str) -> Any:
    name = f"llvm.x86.avx512.vpmadd52{half}.uq.512"

    @intrinsic
    def multiply_add(typingctx: Any, total: Any, a: Any, b: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.call(_declared(builder, name, _VECTOR, [_VECTOR] * 3), arguments)

        return u64x8(u64x8, u64x8, u64x8), emit

    return multiply_add


add_low = _multiply_add("l")
"""``add_low(total, a, b)``: ``total`` plus the low 52 bits of the product of the low 52 bits of a and b."""

add_high = _multiply_add("h")
"""``add_high(total, a, b)``: ``total`` plus bits 52 to 103 of that product."""


@intrinsic
def low_bits(typingctx: Any, a: Any) -> Any:
    """The low 52 bits of each lane."""
    return u64x8(u64x8), lambda context, builder, signature, arguments: builder.and_(
        arguments[0], u64x8.constant(LIMB_MASK)
    )


@intrinsic
def carry(typingctx: Any, a: Any) -> Any:
    """Each lane, taken as a signed number, divided by 2^52 and rounded down."""
    return u64x8(u64x8), lambda context, builder, signature, arguments: builder.ashr(
        arguments[0], u64x8.constant(LIMB_BITS)
    )


@intrinsic
def limb_of_words(typingctx: Any, low: Any, high: Any, shift: Any) -> Any:
    """Bits ``shift`` to ``shift + 51`` of each lane's two words; ``shift`` is below 64."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = _declared(builder, "llvm.fshr.v8i64", _VECTOR, [_VECTOR] * 3)
        both_words = builder.call(function, [arguments[1], arguments[0], _splat(builder, arguments[2])])
        return builder.and_(both_words, u64x8.constant(LIMB_MASK))

    return u64x8(u64x8, u64x8, types.uint64), emit


@intrinsic
def word_of_limbs(typingctx: Any, low: Any, middle: Any, high: Any, shift: Any) -> Any:
    """Bits ``shift`` to ``shift + 63`` of each lane's three limbs; ``shift`` is below 52."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second, third, bits = arguments
        at = [builder.sub(bits.type(LIMB_BITS * k), bits) for k in (1, 2)]
        far = builder.shl(third, _splat(builder, builder.and_(at[1], bits.type(63))))
        reaches = builder.icmp_unsigned("<", at[1], bits.type(64))
        near = builder.or_(builder.lshr(first, _splat(builder, bits)), builder.shl(second, _splat(builder, at[0])))
        return builder.or_(near, builder.select(reaches, far, u64x8.constant(0)))

    return u64x8(u64x8, u64x8, u64x8, types.uint64), emit


@intrinsic
def sign(typingctx: Any, a: Any) -> Any:
    """All ones in the lanes that are negative as signed numbers, 0 in the others."""
    return u64x8(u64x8), lambda context, builder, signature, arguments: builder.ashr(arguments[0], u64x8.constant(63))


@intrinsic
def both(typingctx: Any, a: Any, b: Any) -> Any:
    """Bitwise and."""
    return u64x8(u64x8, u64x8), lambda context, builder, signature, arguments: builder.and_(*arguments)


@intrinsic
def broadcast(typingctx: Any, array: Any, index: Any) -> Any:
    """Word ``index`` of a ``uint64`` array in every lane."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint64 and array.layout == "C"):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(array)(context, builder, arguments[0]).data
        return _splat(builder, builder.load(builder.gep(data, [arguments[1]])))

    return u64x8(array, types.intp), emit


@intrinsic
def replace_where_equal(typingctx: Any, keys: Any, key: Any, new: Any, old: Any) -> Any:
    """``new`` in the lanes whose entry of ``keys`` equals the integer ``key``, ``old`` in the others."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        equal = builder.icmp_unsigned("==", arguments[0], _splat(builder, arguments[1]))
        return builder.select(equal, *arguments[2:])

    return u64x8(u64x8, types.uint64, u64x8, u64x8), emit


def _splat(builder: Any, word: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), word, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


@intrinsic
def pick_of_sixteen(typingctx: Any, low: Any, high: Any, keys: Any) -> Any:
    """In each lane the word of ``low`` and ``high``, 16 in all, that the low four bits of its key number."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = _declared(builder, "llvm.x86.avx512.vpermi2var.q.512", _VECTOR, [_VECTOR] * 3)
        return builder.call(function, [arguments[0], arguments[2], arguments[1]])

    return u64x8(u64x8, u64x8, u64x8), emit


@intrinsic
def pick_by_bit(typingctx: Any, unset: Any, set_: Any, keys: Any, bit: Any) -> Any:
    """In each lane ``set_`` where this bit of its key is 1, else ``unset``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = ir.Constant(ir.IntType(64), 1)
        looked_at = builder.and_(arguments[2], _splat(builder, builder.shl(one, arguments[3])))
        return builder.select(builder.icmp_unsigned("!=", looked_at, u64x8.constant(0)), arguments[1], arguments[0])

    return u64x8(u64x8, u64x8, u64x8, types.uint64), emit


@intrinsic
def turn_rows(typingctx: Any, out: Any, out_at: Any, words: Any, at: Any, stride: Any) -> Any:
    """Eight big-endian words of eight rows to eight registers: a row to a lane, the last word first.

    Register ``out_at + k`` gets, in lane l, word ``at + l * stride + 7 - k`` of ``words`` with its bytes reversed.
    """
    for array in (out, words):
        if not (isinstance(array, types.Array) and array.dtype == types.uint64 and array.layout == "C"):
            return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, to_at, source, source_at, step = arguments
        swap = _declared(builder, "llvm.bswap.v8i64", _VECTOR, [_VECTOR])
        data = context.make_array(words)(context, builder, source).data
        registers = []
        for lane in range(LANES):
            place = builder.gep(data, [builder.add(source_at, builder.mul(step, step.type(lane)))])
            row = builder.load(builder.bitcast(place, _VECTOR.as_pointer()))
            row.align = 8
            registers.append(builder.call(swap, [row]))
        _transpose(builder, registers)
        data = context.make_array(out)(context, builder, to).data
        for k in range(LANES):
            place = builder.gep(data, [builder.mul(builder.add(to_at, to_at.type(k)), to_at.type(LANES))])
            kept = builder.store(registers[LANES - 1 - k], builder.bitcast(place, _VECTOR.as_pointer()))
            kept.align = 8
        return context.get_dummy_value()

    return types.void(out, types.intp, words, types.intp, types.intp), emit


def _transpose(builder: Any, registers: list[Any]) -> None:
    """Eight registers as eight rows of words, transposed in place."""
    for distance in (1, 2, 4):  # exchange blocks off the diagonal, twice as large each time
        for i in range(LANES):
            if not i & distance:
                pair = registers[i], registers[i + distance]
                low = [k if not k & distance else LANES + k - distance for k in range(LANES)]
                high = [k + distance if not k & distance else LANES + k for k in range(LANES)]
                registers[i], registers[i + distance] = (
                    builder.shuffle_vector(*pair, ir.Constant(ir.VectorType(ir.IntType(32), LANES), picks))
                    for picks in (low, high)
                )


@intrinsic
def turn_back(typingctx: Any, words: Any, at: Any, stride: Any, turned: Any, turned_at: Any) -> Any:
    """The inverse of :func:`turn_rows`: eight registers to eight words of each of eight rows."""
    for array in (words, turned):
        if not (isinstance(array, types.Array) and array.dtype == types.uint64 and array.layout == "C"):
            return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, to_at, step, source, source_at = arguments
        swap = _declared(builder, "llvm.bswap.v8i64", _VECTOR, [_VECTOR])
        data = context.make_array(turned)(context, builder, source).data
        registers = []
        for k in range(LANES):
            last = builder.add(source_at, source_at.type(LANES - 1 - k))
            place = builder.gep(data, [builder.mul(last, last.type(LANES))])
            register = builder.load(builder.bitcast(place, _VECTOR.as_pointer()))
            register.align = 8
            registers.append(register)
        _transpose(builder, registers)
        data = context.make_array(words)(context, builder, to).data
        for lane in range(LANES):
            place = builder.gep(data, [builder.add(to_at, builder.mul(step, step.type(lane)))])
            kept = builder.store(builder.call(swap, [registers[lane]]), builder.bitcast(place, _VECTOR.as_pointer()))
            kept.align = 8
        return context.get_dummy_value()

    return types.void(words, types.intp, types.intp, turned, types.intp), emit


@intrinsic
def prefetch(typingctx: Any, words: Any, at: Any) -> Any:
    """Begin to bring word ``at`` of an array, which may lie past its end, from memory."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(words)(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        function = _declared(builder, "llvm.prefetch.p0", ir.VoidType(), [place.type, i32, i32, i32])
        builder.call(function, [place, i32(0), i32(2), i32(1)])  # to read, into the second-level cache, data
        return context.get_dummy_value()

    return types.void(words, types.intp), emit
