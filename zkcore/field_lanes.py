"""Eight elements of Fp at a time, one in each 64-bit lane of AVX-512 registers, with the IFMA multiply-add.

An element is held in five limbs of 52 bits, congruent to x 2^260 (Gueron and Krasnov 2016 for the radix). Between
operations limbs are below 2^52 and values below 5/3 of the modulus p. A sum or difference is brought back there by its
top limb, which tells the value but for 2^208: eight multiples of p in a table, one of them taken off. A product takes
operands up to 5p and gives less than 5p/3 without a last subtraction, because 2^260 is 84 p.

What :func:`zkcore.number.store` writes of lanes is private to kernels; :func:`scatter` writes canonical integers.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable

from zkcore.bn254 import P
from zkcore.field import FieldType
from zkcore.kernel import intrinsic
from zkcore.number import NumberModel, NumberType, is_words, shared, zero_of

RADIX, LIMBS, WIDTH = 52, 5, 8
MONTGOMERY = 1 << RADIX * LIMBS
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, WIDTH)
_NUMBER = ir.ArrayType(_VECTOR, LIMBS)
_MASK = (1 << RADIX) - 1


def _splat(value: int) -> Any:
    return _VECTOR([value % (1 << 64)] * WIDTH)


def _limbs(value: int, count: int = LIMBS) -> list[Any]:
    """Constants of a number's limbs; the last takes what is left."""
    return [_splat(value >> RADIX * i & _MASK) for i in range(count - 1)] + [_splat(value >> RADIX * (count - 1))]


def _signed_limbs(value: int) -> list[int]:
    """Limbs of the size of a number, all with its sign."""
    size = [abs(value) >> RADIX * i & _MASK for i in range(LIMBS - 1)] + [abs(value) >> RADIX * (LIMBS - 1)]
    return [-limb for limb in size] if value < 0 else size


def _intrinsic(builder: Any, name: str, returns: Any, arguments: list[Any]) -> Any:
    function = builder.module.globals.get(name)
    return function or ir.Function(builder.module, ir.FunctionType(returns, arguments), name)


def _multiply_add(builder: Any, half: str, total: Any, x: Any, y: Any) -> Any:
    """total plus the low ("l") or high ("h") 52 bits of the product of the low 52 bits of x and y."""
    function = _intrinsic(builder, f"llvm.x86.avx512.vpmadd52{half}.uq.512", _VECTOR, [_VECTOR] * 3)
    return builder.call(function, [total, x, y])


def _unpack(builder: Any, number: Any) -> list[Any]:
    return [builder.extract_value(number, i) for i in range(number.type.count)]


def _pack(builder: Any, limbs: list[Any]) -> Any:
    number = ir.ArrayType(_VECTOR, len(limbs))(ir.Undefined)
    for i, limb in enumerate(limbs):
        number = builder.insert_value(number, limb, i)
    return number


def _carried(builder: Any, limbs: list[Any]) -> list[Any]:
    """Limbs below 2^52 but the last, of a number that is not negative; limbs may be signed."""
    out, carry = [], None
    for i, limb in enumerate(limbs):
        total = limb if carry is None else builder.add(limb, carry)
        if i < len(limbs) - 1:
            carry = builder.ashr(total, _splat(RADIX))
            total = builder.and_(total, _splat(_MASK))
        out.append(total)
    return out


def _each(operation: Callable[..., Any], *numbers: list[Any]) -> list[Any]:
    return [operation(*parts) for parts in zip(*numbers, strict=True)]


class LaneMaskType(types.Type):
    """Numba type of eight yes-or-no answers, a lane each."""

    def __init__(self) -> None:
        super().__init__(name="lane_mask")


lane_mask = LaneMaskType()
_BITS = ir.VectorType(ir.IntType(1), WIDTH)


@register_model(LaneMaskType)
class _LaneMaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, ir.IntType(WIDTH))


def _to_bits(builder: Any, mask: Any) -> Any:
    return builder.bitcast(mask, _BITS)


def _from_bits(builder: Any, bits: Any) -> Any:
    return builder.bitcast(bits, ir.IntType(WIDTH))


class LaneFieldType(NumberType):
    """Numba type of eight elements of a prime field of 254 bits."""

    llvm = _NUMBER
    size = LIMBS * WIDTH
    lanes = WIDTH
    mask = lane_mask

    def __init__(self, name: str, modulus: int) -> None:
        self.modulus = modulus
        super().__init__(name=name)

    @property
    def key(self) -> tuple[str, int]:
        return self.name, self.modulus

    def constant(self, value: int) -> Any:
        return _NUMBER(_limbs(value * MONTGOMERY % self.modulus))

    def limbs(self, value: int) -> list[int]:
        """Limbs of an integer in Montgomery form."""
        return _signed_limbs(value * MONTGOMERY % self.modulus)

    def _settled(self, builder: Any, total: list[Any], lowest: int) -> Any:
        """``total`` less the multiple of p that leaves at least 0 and less than 5p/3.

        The top limb lies in [2^45 k, 2^45 (k + 1)) for one of eight k from ``lowest`` on; the limbs below are sums and
        differences of two or three that are below 2^52, so that they add between -2^209 and 2^209. The multiple is
        floor((2^253 k - 2^209) / p), which leaves less than p + 2^253 + 2^210.
        """
        unit = 1 << RADIX * (LIMBS - 1)
        multiples = {k % WIDTH: ((k << 45) - 2) * unit // self.modulus for k in range(lowest, lowest + WIDTH)}
        parts = [_signed_limbs(-multiples[k] * self.modulus) for k in range(WIDTH)]
        place = builder.ashr(total[-1], _splat(45))
        permute = _intrinsic(builder, "llvm.x86.avx512.permvar.di.512", _VECTOR, [_VECTOR, _VECTOR])
        out = []
        for limb, column in zip(total, zip(*parts, strict=True), strict=True):
            table = _VECTOR([value % (1 << 64) for value in column])
            out.append(builder.add(limb, builder.call(permute, [table, place])))
        return _pack(builder, _carried(builder, out))

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        return self._settled(builder, _each(builder.add, _unpack(builder, a), _unpack(builder, b)), 0)

    def subtract(self, builder: Any, a: Any, b: Any) -> Any:
        return self._settled(builder, _each(builder.sub, _unpack(builder, a), _unpack(builder, b)), -4)

    def negative(self, builder: Any, a: Any) -> Any:
        """p - a, for a not above p."""
        return _pack(builder, _carried(builder, _each(builder.sub, _limbs(self.modulus), _unpack(builder, a))))

    def loose_difference(self, builder: Any, a: Any, b: Any, shift: int = 0) -> Any:
        """(a - b + 2p) 2^shift, above p/3 2^shift and below 11p/3 2^shift: a factor of one product."""
        total = _each(builder.sub, _unpack(builder, a), _unpack(builder, b))
        total = _each(builder.add, total, _limbs(2 * self.modulus))
        if shift:
            total = [builder.shl(limb, _splat(shift)) for limb in total]
        return _pack(builder, _carried(builder, total))

    def minus_both(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        """a - b - c, for b and c not above p."""
        total = _each(builder.sub, _unpack(builder, a), _unpack(builder, b))
        return self._settled(builder, _each(builder.sub, total, _unpack(builder, c)), -4)

    def nine_times(self, builder: Any, a: Any, b: Any, sign: int) -> Any:
        """9a + b or, for a negative ``sign``, 9a - b.

        The quotient by p is read from the top limb times 2^260 / p, and is right or too small by one.
        """
        scaled = [builder.add(builder.shl(limb, _splat(3)), limb) for limb in _unpack(builder, a)]
        combine = builder.add if sign > 0 else builder.sub
        total = _each(combine, scaled, _unpack(builder, b))
        if sign < 0:
            total = _each(builder.add, total, _limbs(2 * self.modulus))
        total = _carried(builder, total)
        ratio = (1 << RADIX * LIMBS + 16) // self.modulus
        quotient = _multiply_add(builder, "h", _splat(0), builder.lshr(total[-1], _splat(16)), _splat(ratio))
        for j, limb in enumerate(_limbs(self.modulus)):
            total[j] = builder.sub(total[j], _multiply_add(builder, "l", _splat(0), quotient, limb))
            if j + 1 < LIMBS:
                high = _multiply_add(builder, "h", _splat(0), quotient, limb)
                total[j + 1] = builder.sub(total[j + 1], high)
        return _pack(builder, _carried(builder, total))

    def multiply(self, builder: Any, a: Any, b: Any) -> Any:
        def body(inside: Any, left: Any, right: Any) -> Any:
            return self.reduce(inside, self.wide(inside, left, right))

        return shared(builder, f"zkcore_{self.name}_multiply", _NUMBER, [a, b], body)

    # Products that are not yet reduced, ten limbs that may be signed and longer than 52 bits; see FieldType. Operands
    # of `wide` may be up to 5p; `reduce` takes less than 50p^2 to less than 50/84 p + p < 5p/3.

    def loose_sum(self, builder: Any, a: Any, b: Any) -> Any:
        return _pack(builder, _carried(builder, _each(builder.add, _unpack(builder, a), _unpack(builder, b))))

    def wide(self, builder: Any, a: Any, b: Any, added: Any = None) -> Any:
        """a b, plus what is ``added``."""
        left, right = _unpack(builder, a), _unpack(builder, b)
        total = [_splat(0)] * (2 * LIMBS) if added is None else _unpack(builder, added)
        for i in range(LIMBS):
            for j in range(LIMBS):
                total[i + j] = _multiply_add(builder, "l", total[i + j], left[j], right[i])
                total[i + j + 1] = _multiply_add(builder, "h", total[i + j + 1], left[j], right[i])
        return _pack(builder, total)

    def wide_difference(self, builder: Any, a: Any, b: Any) -> Any:
        return _pack(builder, _each(builder.sub, _unpack(builder, a), _unpack(builder, b)))

    def wide_shifted(self, builder: Any, total: Any, a: Any, bits: int) -> Any:
        """``total`` plus a 2^bits, for ``bits`` less than a number's."""
        limbs = _unpack(builder, total)
        first, rest = divmod(bits, RADIX)
        for i, limb in enumerate(_unpack(builder, a), first):
            limbs[i] = _multiply_add(builder, "l", limbs[i], limb, _splat(1 << rest))
            limbs[i + 1] = _multiply_add(builder, "h", limbs[i + 1], limb, _splat(1 << rest))
        return _pack(builder, limbs)

    def wide_times(self, builder: Any, a: Any, factor: int) -> Any:
        return _pack(builder, [builder.mul(limb, _splat(factor)) for limb in _unpack(builder, a)])

    def wide_offset(self, builder: Any, a: Any, squares: int = 8) -> Any:
        """a + 8p^2, from which any product of two operands below 5p/3 can be taken; or so many p^2."""
        return _pack(builder, _each(builder.add, _unpack(builder, a), _limbs(squares * self.modulus**2, 2 * LIMBS)))

    def reduce(self, builder: Any, a: Any) -> Any:
        total = _unpack(builder, a)
        modulus, factor = _limbs(self.modulus), _splat(-pow(self.modulus, -1, 1 << RADIX) % (1 << RADIX))
        for i in range(LIMBS):
            multiple = _multiply_add(builder, "l", _splat(0), total[i], factor)
            # The lowest limb becomes a multiple of 2^52, so that the product need not be known to carry it on.
            carry = builder.ashr(builder.add(total[i], _splat(_MASK)), _splat(RADIX))
            for j in range(LIMBS):
                if j:
                    total[i + j] = _multiply_add(builder, "l", total[i + j], multiple, modulus[j])
                total[i + j + 1] = _multiply_add(builder, "h", total[i + j + 1], multiple, modulus[j])
            total[i + 1] = builder.add(total[i + 1], carry)
        return _pack(builder, _carried(builder, total[LIMBS:]))

    def reduced(self, builder: Any, a: Any) -> Any:
        """The representative below the modulus."""
        number = _unpack(builder, a)
        less = _carried(builder, _each(builder.sub, number, _limbs(self.modulus)))
        keep = builder.icmp_signed("<", less[-1], _splat(0))
        return _pack(builder, [builder.select(keep, x, y) for x, y in zip(number, less, strict=True)])

    def equal(self, builder: Any, a: Any, b: Any) -> Any:
        def body(inside: Any, left: Any, right: Any) -> Any:
            bits = None
            pairs = zip(
                _unpack(inside, self.reduced(inside, left)), _unpack(inside, self.reduced(inside, right)), strict=True
            )
            for x, y in pairs:
                same = inside.icmp_unsigned("==", x, y)
                bits = same if bits is None else inside.and_(bits, same)
            return _from_bits(inside, bits)

        return shared(builder, f"zkcore_{self.name}_equal", ir.IntType(WIDTH), [a, b], body)

    def choose(self, builder: Any, condition: Any, a: Any, b: Any) -> Any:
        bits = _to_bits(builder, condition)
        pairs = zip(_unpack(builder, a), _unpack(builder, b), strict=True)
        return _pack(builder, [builder.select(bits, x, y) for x, y in pairs])

    def canonical(self, builder: Any, a: Any) -> Any:
        return a

    def from_words(self, builder: Any, words: list[Any]) -> Any:
        """Eight numbers below the modulus, given as four vectors of 64-bit words, as they are."""
        limbs = [builder.and_(words[0], _splat(_MASK))]
        for i in range(1, LIMBS - 1):
            right = builder.lshr(words[i - 1], _splat(RADIX - 12 * (i - 1)))
            joined = builder.or_(right, builder.shl(words[i], _splat(12 * i)))
            limbs.append(builder.and_(joined, _splat(_MASK)))
        limbs.append(builder.lshr(words[3], _splat(16)))
        return _pack(builder, limbs)

    def to_words(self, builder: Any, a: Any) -> list[Any]:
        """Four vectors of words of the representatives below the modulus, as they are."""
        limbs = _unpack(builder, self.reduced(builder, a))
        words = []
        for i in range(LIMBS - 1):
            right = builder.lshr(limbs[i], _splat(12 * i))
            words.append(builder.or_(right, builder.shl(limbs[i + 1], _splat(RADIX - 12 * i))))
        return words

    def enter(self, builder: Any, words: list[Any]) -> Any:
        """Eight canonical numbers, given as four vectors of 64-bit words, in Montgomery form."""
        square = _NUMBER(_limbs(MONTGOMERY**2 % self.modulus))
        return self.multiply(builder, self.from_words(builder, words), square)

    def leave(self, builder: Any, a: Any) -> list[Any]:
        """Four vectors of words of the canonical numbers."""
        return self.to_words(builder, self.multiply(builder, a, _NUMBER(_limbs(1))))


register_model(LaneFieldType)(NumberModel)
fp_lanes = LaneFieldType("fp_lanes", P)
fp_lanes_zero = zero_of(fp_lanes)


# Masks in kernels.


def _bind(symbol: Any, emit: Any) -> None:
    @type_callable(symbol)
    def typed(context: Any) -> Any:
        return lambda a, b: lane_mask if a == b == lane_mask else None

    @lower_builtin(symbol, LaneMaskType, LaneMaskType)
    def lowered(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emit(builder, *arguments)


_bind(operator.and_, lambda builder, a, b: builder.and_(a, b))
_bind(operator.or_, lambda builder, a, b: builder.or_(a, b))
_bind(operator.eq, lambda builder, a, b: builder.not_(builder.xor(a, b)))


@intrinsic
def mask_bits(typingctx: Any, mask: Any) -> Any:
    """An integer whose bit i is lane i's answer; 0 or 1 for a single answer."""
    if mask == lane_mask or mask == types.boolean:
        return types.uint64(mask), lambda context, builder, signature, arguments: builder.zext(arguments[0], _WORD)
    return None


@intrinsic
def mask_from_bits(typingctx: Any, like: Any, bits: Any) -> Any:
    """The mask of the type of ``like`` whose answers are the bits of an integer, the inverse of :func:`mask_bits`."""
    if isinstance(like, NumberType) and isinstance(bits, types.Integer):
        width = ir.IntType(like.lanes)
        return like.mask(like, types.uint64), lambda context, builder, signature, arguments: builder.trunc(
            arguments[1], width
        )
    return None


# Canonical integers in memory, to numbers and back.


@intrinsic
def gather(typingctx: Any, like: Any, rows: Any, first: Any, stride: Any) -> Any:
    """A number of the type of ``like`` from canonical integers, four words each.

    Lane i takes the integer number ``first + i stride`` of ``rows``.
    """
    if not isinstance(like, (FieldType, LaneFieldType)) or not is_words(rows):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, start, step = arguments
        data = context.make_array(rows)(context, builder, array).data
        columns: list[list[Any]] = [[] for _ in range(4)]
        for lane in range(like.lanes):
            number = builder.add(start, builder.mul(step, _WORD(lane)))
            for i, column in enumerate(columns):
                place = builder.gep(data, [builder.add(builder.mul(number, _WORD(4)), _WORD(i))])
                column.append(builder.load(place, align=8))
        return like.enter(builder, [_join(builder, column) for column in columns])

    return like(like, rows, types.intp, types.intp), emit


@intrinsic
def scatter(typingctx: Any, rows: Any, first: Any, stride: Any, number: Any) -> Any:
    """Write the canonical integers of ``number``, the inverse of :func:`gather`."""
    if not isinstance(number, (FieldType, LaneFieldType)) or not is_words(rows):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, start, step, value = arguments
        data = context.make_array(rows)(context, builder, array).data
        words = number.leave(builder, value)
        for lane in range(number.lanes):
            place = builder.mul(builder.add(start, builder.mul(step, _WORD(lane))), _WORD(4))
            for i, word in enumerate(words):
                single = builder.extract_element(word, ir.Constant(ir.IntType(32), lane)) if number.lanes > 1 else word
                builder.store(single, builder.gep(data, [builder.add(place, _WORD(i))]), align=8)
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, number), emit


def _join(builder: Any, words: list[Any]) -> Any:
    if len(words) == 1:
        return words[0]
    vector = _VECTOR(ir.Undefined)
    for lane, word in enumerate(words):
        vector = builder.insert_element(vector, word, ir.Constant(ir.IntType(32), lane))
    return vector
