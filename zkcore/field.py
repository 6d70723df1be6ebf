"""Elements of the prime fields Fp and Fr of BN254 as Numba value types, one at a time.

Inside a kernel a field element is a value like any number: ``a * b + c``, ``-a``, ``a == b``. The types are ``fp`` and
``fr``, one class with another modulus. An element x is held as a 256-bit integer congruent to x 2^256 (Montgomery 1985)
below *twice* the modulus, which spares multiplication its last subtraction: for operands below 2p, 4p < 2^256 makes the
reduced product less than 2p again. What :func:`store` writes to memory is below the modulus, so that equal elements are
equal bytes.

Addition, subtraction, multiplication, selection and Fermat inversion run without branches or memory accesses that
depend on the values (as far as the compiler keeps it so); :func:`inverse` is therefore fit for secrets.

Arrays of elements are ``uint64[..., 4]``, least significant limb first, in C order; :func:`load` and :func:`store`
count elements, whatever the shape. Two forms occur: canonical (the integer itself; what leaves a module) and Montgomery
(what the kernels work on).
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, overload, register_model, type_callable
from numpy.typing import NDArray

from zkcore.bn254 import P, R
from zkcore.errors import OutOfRange
from zkcore.kernel import inner, intrinsic, kernel
from zkcore.limbs import LIMBS, from_limbs, to_limbs

WORD, DOUBLE, NUMBER = ir.IntType(64), ir.IntType(128), ir.IntType(256)
MONTGOMERY = 1 << 256


class FieldType(types.Type):
    """Numba type of an element of the integers modulo a prime of 254 bits."""

    def __init__(self, name: str, modulus: int) -> None:
        if not 1 << 253 < modulus < 1 << 254:
            raise ValueError("the modulus must have 254 bits")
        self.modulus = modulus
        super().__init__(name=name)

    @property
    def key(self) -> tuple[str, int]:
        return self.name, self.modulus

    def encode(self, value: int) -> int:
        """Montgomery form of an integer."""
        return value * MONTGOMERY % self.modulus


fp = FieldType("fp", P)
fr = FieldType("fr", R)


@register_model(FieldType)
class _FieldModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: FieldType) -> None:
        super().__init__(dmm, fe_type, NUMBER)


# Machine code. Each function appends instructions to a builder; `field` knows the modulus.


def _words(builder: Any, number: Any) -> list[Any]:
    return [builder.trunc(builder.lshr(number, NUMBER(64 * i)), WORD) for i in range(LIMBS)]


def _joined(builder: Any, words: list[Any]) -> Any:
    number = builder.zext(words[0], NUMBER)
    for i, word in enumerate(words[1:], 1):
        number = builder.or_(number, builder.shl(builder.zext(word, NUMBER), NUMBER(64 * i)))
    return number


def _subtract_if_not_less(builder: Any, number: Any, bound: int) -> Any:
    pair = builder.usub_with_overflow(number, NUMBER(bound))
    return builder.select(builder.extract_value(pair, 1), number, builder.extract_value(pair, 0))


def _add(builder: Any, field: FieldType, a: Any, b: Any) -> Any:
    return _subtract_if_not_less(builder, builder.add(a, b), 2 * field.modulus)


def _subtract(builder: Any, field: FieldType, a: Any, b: Any) -> Any:
    pair = builder.usub_with_overflow(a, b)
    correction = builder.select(builder.extract_value(pair, 1), NUMBER(2 * field.modulus), NUMBER(0))
    return builder.add(builder.extract_value(pair, 0), correction)


def _canonical(builder: Any, field: FieldType, a: Any) -> Any:
    return _subtract_if_not_less(builder, a, field.modulus)


def _multiply(builder: Any, field: FieldType, a: Any, b: Any) -> Any:
    """Call of the field's one multiplication; a shared body keeps large kernels within the instruction cache."""
    module, name = builder.module, f"zkcore_{field.name}_multiply"
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(NUMBER, [NUMBER, NUMBER]), name)
        function.linkage = "linkonce_odr"
        function.calling_convention = "swiftcc"  # the one convention that returns four words in registers
        for attribute in ("noinline", "nounwind"):
            function.attributes.add(attribute)
        body = ir.IRBuilder(function.append_basic_block())
        body.ret(_montgomery_product(body, field, *function.args))
    return builder.call(function, [a, b], cconv="swiftcc")


def _montgomery_product(builder: Any, field: FieldType, a: Any, b: Any) -> Any:
    """a b / 2^256 mod the modulus, interleaved by words (Koc, Acar and Kaliski 1996, coarsely integrated).

    Partial sums stay below 2^256 times a word because the modulus leaves two bits free, so a row needs no extra word.
    """

    def product(x: Any, y: Any) -> Any:
        return builder.mul(builder.zext(x, DOUBLE), builder.zext(y, DOUBLE))

    def plus(double: Any, *words: Any) -> Any:
        for word in words:
            double = builder.add(double, builder.zext(word, DOUBLE))
        return double

    def low(double: Any) -> Any:
        return builder.trunc(double, WORD)

    def high(double: Any) -> Any:
        return builder.trunc(builder.lshr(double, DOUBLE(64)), WORD)

    modulus = [WORD(field.modulus >> 64 * i & (1 << 64) - 1) for i in range(LIMBS)]
    factor = WORD(-pow(field.modulus, -1, 1 << 64) % (1 << 64))
    left, right = _words(builder, a), _words(builder, b)
    total = [WORD(0)] * LIMBS
    for word in right:
        carry = WORD(0)
        for j in range(LIMBS):
            double = plus(product(left[j], word), total[j], carry)
            total[j], carry = low(double), high(double)
        multiple = builder.mul(total[0], factor)
        reduced = high(plus(product(multiple, modulus[0]), total[0]))
        for j in range(1, LIMBS):
            double = plus(product(multiple, modulus[j]), total[j], reduced)
            total[j - 1], reduced = low(double), high(double)
        total[LIMBS - 1] = builder.add(carry, reduced)
    return _joined(builder, total)


# Operators.


def _same_field(*arguments: Any) -> bool:
    return isinstance(arguments[0], FieldType) and all(argument == arguments[0] for argument in arguments)


def _bind(symbol: Any, emit: Callable[..., Any]) -> None:
    @type_callable(symbol)
    def typed(context: Any) -> Any:
        return lambda a, b: a if _same_field(a, b) else None

    @lower_builtin(symbol, FieldType, FieldType)
    def lowered(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emit(builder, signature.return_type, *arguments)


for _symbols, _emit in (
    ((operator.add, operator.iadd), _add),
    ((operator.sub, operator.isub), _subtract),
    ((operator.mul, operator.imul), _multiply),
):
    for _symbol in _symbols:
        _bind(_symbol, _emit)


@type_callable(operator.neg)
def _type_negate(context: Any) -> Any:
    return lambda a: a if isinstance(a, FieldType) else None


@lower_builtin(operator.neg, FieldType)
def _negate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _subtract(builder, signature.return_type, NUMBER(0), arguments[0])


def _bind_comparison(symbol: Any, predicate: str) -> None:
    @type_callable(symbol)
    def typed(context: Any) -> Any:
        return lambda a, b: types.boolean if _same_field(a, b) else None

    @lower_builtin(symbol, FieldType, FieldType)
    def lowered(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b = (_canonical(builder, signature.args[0], argument) for argument in arguments)
        return builder.icmp_unsigned(predicate, a, b)


_bind_comparison(operator.eq, "==")
_bind_comparison(operator.ne, "!=")


# Functions of kernels.


def constant(value: int) -> Any:
    """A function for kernels: ``c(like)`` is the integer ``value`` as an element of the field of ``like``."""

    @intrinsic
    def element(typingctx: Any, like: Any) -> Any:
        if isinstance(like, FieldType):
            return like(like), lambda context, builder, signature, arguments: NUMBER(like.encode(value))
        return None

    return element


zero = constant(0)
one = constant(1)


def _zero_of(field: FieldType) -> Any:
    @intrinsic
    def element(typingctx: Any) -> Any:
        return field(), lambda context, builder, signature, arguments: NUMBER(0)

    return element


fp_zero, fr_zero = _zero_of(fp), _zero_of(fr)


def _element_address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, NUMBER.as_pointer()), [index])


def _is_limbs(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.uint64 and array.layout == "C"


@intrinsic
def load(typingctx: Any, like: Any, array: Any, index: Any) -> Any:
    """Element number ``index`` of ``array``, in the field of ``like``; memory holds the Montgomery form."""
    if isinstance(like, FieldType) and _is_limbs(array) and isinstance(index, types.Integer):

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(_element_address(context, builder, array, *arguments[1:]), align=8)

        return like(like, array, types.intp), emit
    return None


@intrinsic
def store(typingctx: Any, array: Any, index: Any, element: Any) -> Any:
    """Write ``element``, in Montgomery form below the modulus, as element number ``index`` of ``array``."""
    if isinstance(element, FieldType) and _is_limbs(array) and isinstance(index, types.Integer):

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = _element_address(context, builder, array, *arguments[:2])
            builder.store(_canonical(builder, element, arguments[2]), place, align=8)
            return context.get_dummy_value()

        return types.void(array, types.intp, element), emit
    return None


@inner
def fp_load(array: Any, index: Any) -> Any:
    """Element number ``index`` of ``array``, in Fp."""
    return load(fp_zero(), array, index)


@inner
def fr_load(array: Any, index: Any) -> Any:
    """Element number ``index`` of ``array``, in Fr."""
    return load(fr_zero(), array, index)


@intrinsic
def select(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """``a`` where ``condition`` holds, else ``b``, without a branch."""
    if _same_field(a, b) and isinstance(condition, types.Boolean):
        return a(condition, a, b), lambda context, builder, signature, arguments: builder.select(*arguments)
    return None


@inner
def is_zero(a: Any) -> Any:
    return a == zero(a)


@inner
def square(a: Any) -> Any:
    return a * a


@intrinsic
def to_montgomery(typingctx: Any, a: Any) -> Any:
    """The element whose canonical integer was loaded as if it were in Montgomery form."""
    if isinstance(a, FieldType):

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _multiply(builder, a, arguments[0], NUMBER(a.encode(MONTGOMERY)))

        return a(a), emit
    return None


@intrinsic
def from_montgomery(typingctx: Any, a: Any) -> Any:
    """What to store so that memory holds the canonical integer of ``a``."""
    if isinstance(a, FieldType):
        return a(a), lambda context, builder, signature, arguments: _multiply(builder, a, arguments[0], NUMBER(1))
    return None


@inner
def power(a: Any, exponent: Any) -> Any:
    """``a`` to a public exponent ``uint64[4]``, whose bits decide what is done; those of ``a`` do not."""
    square_of_a = a * a
    powers = (one(a), a, square_of_a, square_of_a * a)
    result = one(a)
    for position in range(254, -1, -2):
        squared = result * result
        digit = np.intp((exponent[position >> 6] >> np.uint64(position & 63)) & np.uint64(3))
        result = squared * squared * powers[digit]
    return result


_INVERSION_EXPONENTS = {field: to_limbs([field.modulus - 2])[0] for field in (fp, fr)}


def inverse(a: Any) -> Any:
    """1 / a, and 0 for 0, as a^(p - 2) by Fermat: the same work for every ``a``."""
    raise NotImplementedError("only kernels can call this")


@overload(inverse)
def _inverse(a: Any) -> Any:
    exponent = _INVERSION_EXPONENTS.get(a)
    if exponent is None:
        return None

    def fermat(a: Any) -> Any:
        return power(a, exponent)

    return fermat


@inner
def invert_rows(like: Any, rows: Any, scratch: Any) -> Any:
    """Invert every element of ``rows`` in place with one inversion (Montgomery's trick); zeros stay zero.

    ``scratch`` is an array of the same size. Takes a branch where an element is zero: not for secrets.
    """
    count = rows.size // 4
    product = one(like)
    for i in range(count):
        store(scratch, i, product)
        element = load(like, rows, i)
        if not is_zero(element):
            product = product * element
    reciprocal = inverse(product)
    for i in range(count - 1, -1, -1):
        element = load(like, rows, i)
        if not is_zero(element):
            store(rows, i, reciprocal * load(like, scratch, i))
            reciprocal = reciprocal * element


@inner
def _convert_rows(like: Any, rows: Any, enter: Any) -> Any:
    for i in range(rows.size // 4):
        element = load(like, rows, i)
        store(rows, i, to_montgomery(element) if enter else from_montgomery(element))


@kernel
def _fp_convert(rows: Any, enter: Any) -> Any:
    _convert_rows(fp_zero(), rows, enter)


@kernel
def _fr_convert(rows: Any, enter: Any) -> Any:
    _convert_rows(fr_zero(), rows, enter)


# Python's side.


def encode(field: FieldType, values: list[int], *, part: str = "values") -> NDArray[np.uint64]:
    """Montgomery form, ``uint64[n, 4]``, of canonical integers.

    Raises
    ------
    OutOfRange
        An integer is negative or not below the field's modulus.
    """
    if any(not 0 <= value < field.modulus for value in values):
        raise OutOfRange(part, "an integer is negative or not below the field's modulus")
    rows = to_limbs(values)
    enter_rows(field, rows)
    return rows


def decode(field: FieldType, rows: NDArray[np.uint64]) -> list[int]:
    """Canonical integers of elements in Montgomery form, ``uint64[..., 4]``."""
    copy = np.array(rows, dtype=np.uint64, order="C")
    leave_rows(field, copy)
    return from_limbs(copy)


def enter_rows(field: FieldType, rows: NDArray[np.uint64]) -> None:
    """Turn canonical elements ``uint64[..., 4]`` into Montgomery form, in place; 256-bit integers are reduced."""
    (_fp_convert if field == fp else _fr_convert)(rows, True)


def leave_rows(field: FieldType, rows: NDArray[np.uint64]) -> None:
    """Turn elements ``uint64[..., 4]`` in Montgomery form into canonical integers, in place."""
    (_fp_convert if field == fp else _fr_convert)(rows, False)
