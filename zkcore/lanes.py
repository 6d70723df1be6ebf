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

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import register_model
from numpy.typing import NDArray

from zkcore.kernel import intrinsic
from zkcore.number import NumberModel, NumberType

LANES = 8
LIMB_BITS = 52
LIMB_MASK = (1 << LIMB_BITS) - 1
_ALIGNMENT = 64

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


def _multiply_add(half: str) -> Any:
    name = f"llvm.x86.avx512.vpmadd52{half}.uq.512"

    @intrinsic
    def multiply_add(typingctx: Any, total: Any, a: Any, b: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            function = builder.module.globals.get(name)
            if function is None:
                function = ir.Function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), name)
            return builder.call(function, arguments)

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


def aligned(*shape: int) -> NDArray[np.uint64]:
    """Zeros ``uint64[shape]`` that begin at a multiple of 64 bytes, so that a register never straddles a cache line."""
    words = int(np.prod(shape))
    raw = np.zeros(words + _ALIGNMENT // 8, np.uint64)
    start = -raw.ctypes.data % _ALIGNMENT // 8
    return raw[start : start + words].reshape(shape)
