"""Numbers as Numba value types: what field elements, one at a time or in lanes, and towers over them have in common.

Inside a kernel such a number is a value like any other: ``a * b + c``, ``-a``, ``a == b``. A subclass of
:class:`NumberType` appends the machine instructions of its operations; everything above sees operators, so that tower,
curve and pairing are written once.

Arrays of numbers are ``uint64`` in C order. :func:`load` and :func:`store` count numbers, whatever the array's shape.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, type_callable

from zkcore.kernel import inner, intrinsic


class NumberType(types.Type):
    """Numba type of something with ``+ - *``: a field element, or a tower of them.

    A subclass says how a value lies in a register (``llvm``) and in memory (``size``, in 64-bit words), and appends
    the instructions of each operation to a builder. Kernels see operators only.
    """

    llvm: Any
    size: int
    lanes: int = 1
    """How many independent numbers a value holds."""
    mask: types.Type = types.boolean
    """What a comparison of two values gives."""

    def constant(self, value: Any) -> Any:
        raise NotImplementedError

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def subtract(self, builder: Any, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def multiply(self, builder: Any, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def square(self, builder: Any, a: Any) -> Any:
        return self.multiply(builder, a, a)

    def nine_times(self, builder: Any, a: Any, b: Any, sign: int) -> Any:
        """9a + b or, for a negative ``sign``, 9a - b."""
        eight = a
        for _ in range(3):
            eight = self.add(builder, eight, eight)
        combine = self.add if sign > 0 else self.subtract
        return combine(builder, self.add(builder, eight, a), b)

    def equal(self, builder: Any, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def choose(self, builder: Any, condition: Any, a: Any, b: Any) -> Any:
        return builder.select(condition, a, b)

    def canonical(self, builder: Any, a: Any) -> Any:
        """The one representative of a value that memory holds."""
        raise NotImplementedError


class NumberModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: NumberType) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


def shared(builder: Any, name: str, returns: Any, arguments: list[Any], body: Callable[..., Any]) -> Any:
    """Call of a function with one body in the whole kernel, which keeps large kernels within the instruction cache.

    ``body(builder, *arguments)`` appends the instructions and gives the value to return.
    """
    function = builder.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(returns, [argument.type for argument in arguments])
        function = ir.Function(builder.module, signature, name)
        function.linkage = "linkonce_odr"
        function.calling_convention = "swiftcc"  # the one convention that returns four words in registers
        for attribute in ("noinline", "nounwind"):
            function.attributes.add(attribute)
        inside = ir.IRBuilder(function.append_basic_block())
        inside.ret(body(inside, *function.args))
    return builder.call(function, arguments, cconv="swiftcc")


# Operators.


def _same_numbers(*arguments: Any) -> bool:
    return isinstance(arguments[0], NumberType) and all(argument == arguments[0] for argument in arguments)


def _bind(symbol: Any, operation: str) -> None:
    @type_callable(symbol)
    def typed(context: Any) -> Any:
        return lambda a, b: a if _same_numbers(a, b) else None

    @lower_builtin(symbol, NumberType, NumberType)
    def lowered(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(signature.return_type, operation)(builder, *arguments)


for _symbols, _operation in (
    ((operator.add, operator.iadd), "add"),
    ((operator.sub, operator.isub), "subtract"),
    ((operator.mul, operator.imul), "multiply"),
):
    for _symbol in _symbols:
        _bind(_symbol, _operation)


@type_callable(operator.neg)
def _type_negate(context: Any) -> Any:
    return lambda a: a if isinstance(a, NumberType) else None


@lower_builtin(operator.neg, NumberType)
def _negate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    number = signature.return_type
    return number.subtract(builder, number.constant(0), arguments[0])


@type_callable(operator.eq)
def _type_equal(context: Any) -> Any:
    return lambda a, b: a.mask if _same_numbers(a, b) else None


@lower_builtin(operator.eq, NumberType, NumberType)
def _equal(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return signature.args[0].equal(builder, *arguments)


@type_callable(operator.ne)
def _type_differ(context: Any) -> Any:
    return lambda a, b: a.mask if _same_numbers(a, b) else None


@lower_builtin(operator.ne, NumberType, NumberType)
def _differ(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.not_(signature.args[0].equal(builder, *arguments))


# Functions of kernels.


def constant(value: Any) -> Any:
    """A function for kernels: ``c(like)`` is ``value`` as a number of the type of ``like``.

    ``value`` is an integer, or a pair of them where the type is an extension of degree 2.
    """

    @intrinsic
    def number(typingctx: Any, like: Any) -> Any:
        if isinstance(like, NumberType):
            return like(like), lambda context, builder, signature, arguments: like.constant(value)
        return None

    return number


zero = constant(0)
one = constant(1)


def zero_of(number: NumberType) -> Any:
    """A function for kernels that takes nothing and gives the zero of a type."""

    @intrinsic
    def value(typingctx: Any) -> Any:
        return number(), lambda context, builder, signature, arguments: number.constant(0)

    return value


def _address(context: Any, builder: Any, number: NumberType, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    word = builder.gep(data, [builder.mul(index, index.type(number.size))])
    return builder.bitcast(word, number.llvm.as_pointer())


def is_words(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.uint64 and array.layout == "C"


@intrinsic
def load(typingctx: Any, like: Any, array: Any, index: Any) -> Any:
    """Number ``index`` of ``array``, of the type of ``like``; memory holds the Montgomery form."""
    if isinstance(like, NumberType) and is_words(array) and isinstance(index, types.Integer):

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(_address(context, builder, like, array, *arguments[1:]), align=8)

        return like(like, array, types.intp), emit
    return None


@intrinsic
def store(typingctx: Any, array: Any, index: Any, number: Any) -> Any:
    """Write ``number``, in Montgomery form below the modulus, as number ``index`` of ``array``."""
    if isinstance(number, NumberType) and is_words(array) and isinstance(index, types.Integer):

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = _address(context, builder, number, array, *arguments[:2])
            builder.store(number.canonical(builder, arguments[2]), place, align=8)
            return context.get_dummy_value()

        return types.void(array, types.intp, number), emit
    return None


@intrinsic
def select(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """``a`` where ``condition`` holds, else ``b``, without a branch."""
    if _same_numbers(a, b) and condition == a.mask:
        return a(condition, a, b), lambda context, builder, signature, arguments: a.choose(builder, *arguments)
    return None


@intrinsic
def square(typingctx: Any, a: Any) -> Any:
    if isinstance(a, NumberType):
        return a(a), lambda context, builder, signature, arguments: a.square(builder, *arguments)
    return None


@inner
def is_zero(a: Any) -> Any:
    return a == zero(a)


@intrinsic
def lanes_of(typingctx: Any, a: Any) -> Any:
    """How many independent numbers ``a`` holds."""
    if isinstance(a, NumberType):
        return types.intp(a), lambda context, builder, signature, arguments: ir.IntType(64)(a.lanes)
    return None
