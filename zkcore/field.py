"""Elements of the prime fields Fp and Fr of BN254 as Numba value types, one at a time.

The types are ``fp`` and ``fr``, one class with another modulus. An element x is held as a 256-bit integer congruent to
x 2^256 (Montgomery 1985) below *twice* the modulus, which spares multiplication its last subtraction: for operands
below 2p, 4p < 2^256 makes the reduced product less than 2p again. What :func:`store` writes to memory is below the
modulus, so that equal elements are equal bytes.

Addition, subtraction, multiplication, selection and Fermat inversion run without branches or memory accesses that
depend on the values (as far as the compiler keeps it so); :func:`inverse` is therefore fit for secrets.

Arrays of elements are ``uint64[..., 4]``, least significant limb first, in C order; :func:`load` and :func:`store`
count elements, whatever the shape. Two forms occur: canonical (the integer itself; what leaves a module) and Montgomery
(what the kernels work on).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload, register_model
from numpy.typing import NDArray

from zkcore.bn254 import P, R
from zkcore.errors import OutOfRange
from zkcore.kernel import inner, intrinsic, kernel
from zkcore.limbs import LIMBS, from_limbs, to_limbs
from zkcore.number import (
    NumberModel,
    NumberType,
    constant,
    is_zero,
    load,
    one,
    select,
    shared,
    square,
    store,
    zero,
    zero_of,
)

__all__ = [
    "FieldType",
    "constant",
    "decode",
    "encode",
    "enter_rows",
    "fp",
    "fp_load",
    "fp_zero",
    "fr",
    "fr_load",
    "fr_zero",
    "from_montgomery",
    "from_word",
    "inverse",
    "invert_rows",
    "is_zero",
    "leave_rows",
    "load",
    "one",
    "power",
    "select",
    "square",
    "store",
    "to_montgomery",
    "zero",
]

WORD, DOUBLE, NUMBER, WIDE = (ir.IntType(width) for width in (64, 128, 256, 512))
MONTGOMERY = 1 << 256


class FieldType(NumberType):
    """Numba type of an element of the integers modulo a prime of 254 bits."""

    llvm = NUMBER
    size = LIMBS

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

    def constant(self, value: int) -> Any:
        return NUMBER(self.encode(value))

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        return subtract_if_not_less(builder, builder.add(a, b), 2 * self.modulus)

    def subtract(self, builder: Any, a: Any, b: Any) -> Any:
        pair = builder.usub_with_overflow(a, b)
        correction = builder.select(builder.extract_value(pair, 1), NUMBER(2 * self.modulus), NUMBER(0))
        return builder.add(builder.extract_value(pair, 0), correction)

    def multiply(self, builder: Any, a: Any, b: Any) -> Any:
        def body(inside: Any, left: Any, right: Any) -> Any:
            return montgomery_product(inside, self.modulus, left, right)

        return shared(builder, f"zkcore_{self.name}_multiply", NUMBER, [a, b], body)

    # Products that are not yet reduced, for sums of products (lazy reduction; Aranha et al. 2011). Bounds, in a
    # modulus p with 4p < 2^256: operands of `wide` below 4p and 2p give less than 8p^2; `reduce` takes less than
    # 8p^2 < 2^256 * 1.52 p to less than 2.52 p, and a subtraction brings that below 2p again.

    def loose_sum(self, builder: Any, a: Any, b: Any) -> Any:
        """a + b below 4p, fit only to be an operand of :meth:`wide`."""
        return builder.add(a, b)

    def wide(self, builder: Any, a: Any, b: Any) -> Any:
        return wide_product(builder, a, b)

    def wide_difference(self, builder: Any, a: Any, b: Any) -> Any:
        """a - b for a known to be no less than b."""
        return builder.sub(a, b)

    def wide_offset(self, builder: Any, a: Any) -> Any:
        """a + 4p^2, from which any product of two operands below 2p can be taken."""
        return builder.add(a, WIDE(4 * self.modulus**2))

    def reduce(self, builder: Any, a: Any) -> Any:
        return subtract_if_not_less(builder, wide_reduction(builder, self.modulus, a), 2 * self.modulus)

    def equal(self, builder: Any, a: Any, b: Any) -> Any:
        return builder.icmp_unsigned("==", self.canonical(builder, a), self.canonical(builder, b))

    def canonical(self, builder: Any, a: Any) -> Any:
        return subtract_if_not_less(builder, a, self.modulus)

    def enter(self, builder: Any, words: list[Any]) -> Any:
        """A canonical number, given as words, in Montgomery form."""
        return self.multiply(builder, _joined(builder, words), self.constant(MONTGOMERY))

    def leave(self, builder: Any, a: Any) -> list[Any]:
        """Words of the canonical number."""
        return _words(builder, self.canonical(builder, self.multiply(builder, a, NUMBER(1))))


register_model(FieldType)(NumberModel)
fp = FieldType("fp", P)
fr = FieldType("fr", R)


# Machine code of products. Every function appends instructions to a builder.


def subtract_if_not_less(builder: Any, number: Any, bound: int) -> Any:
    pair = builder.usub_with_overflow(number, NUMBER(bound))
    return builder.select(builder.extract_value(pair, 1), number, builder.extract_value(pair, 0))


def _words(builder: Any, number: Any) -> list[Any]:
    return [builder.trunc(builder.lshr(number, number.type(64 * i)), WORD) for i in range(number.type.width // 64)]


def _joined(builder: Any, words: list[Any]) -> Any:
    whole = ir.IntType(64 * len(words))
    number = builder.zext(words[0], whole)
    for i, word in enumerate(words[1:], 1):
        number = builder.or_(number, builder.shl(builder.zext(word, whole), whole(64 * i)))
    return number


def _product(builder: Any, x: Any, y: Any, *addends: Any) -> tuple[Any, Any]:
    """Low and high word of x y plus at most two words, which can't overflow."""
    double = builder.mul(builder.zext(x, DOUBLE), builder.zext(y, DOUBLE))
    for word in addends:
        double = builder.add(double, builder.zext(word, DOUBLE))
    return builder.trunc(double, WORD), builder.trunc(builder.lshr(double, DOUBLE(64)), WORD)


def _modulus_words(modulus: int) -> tuple[list[Any], Any]:
    """Words of the modulus, and -1 / modulus mod 2^64."""
    words = [WORD(modulus >> 64 * i & (1 << 64) - 1) for i in range(LIMBS)]
    return words, WORD(-pow(modulus, -1, 1 << 64) % (1 << 64))


def montgomery_product(builder: Any, modulus: int, a: Any, b: Any) -> Any:
    """a b / 2^256 mod the modulus, interleaved by words (Koc, Acar and Kaliski 1996, coarsely integrated).

    Partial sums stay below 2^256 times a word because the modulus leaves two bits free, so a row needs no extra word.
    """
    words, factor = _modulus_words(modulus)
    left, right = _words(builder, a), _words(builder, b)
    total = [WORD(0)] * LIMBS
    for word in right:
        carry = WORD(0)
        for j in range(LIMBS):
            total[j], carry = _product(builder, left[j], word, total[j], carry)
        multiple = builder.mul(total[0], factor)
        _, reduced = _product(builder, multiple, words[0], total[0])
        for j in range(1, LIMBS):
            total[j - 1], reduced = _product(builder, multiple, words[j], total[j], reduced)
        total[LIMBS - 1] = builder.add(carry, reduced)
    return _joined(builder, total)


def wide_product(builder: Any, a: Any, b: Any) -> Any:
    """a b in full, 512 bits."""
    left, right = _words(builder, a), _words(builder, b)
    total = [WORD(0)] * (2 * LIMBS)
    for i, word in enumerate(right):
        carry = WORD(0)
        for j in range(LIMBS):
            total[i + j], carry = _product(builder, left[j], word, total[i + j], carry)
        total[i + LIMBS] = carry
    return _joined(builder, total)


def wide_reduction(builder: Any, modulus: int, wide: Any) -> Any:
    """wide / 2^256 mod the modulus, below wide / 2^256 + modulus, for 512 bits below 2^256 (2^256 - modulus)."""
    words, factor = _modulus_words(modulus)
    total = _words(builder, wide)
    low, high = total[:LIMBS], _joined(builder, total[LIMBS:])
    for _ in range(LIMBS):
        multiple = builder.mul(low[0], factor)
        _, carry = _product(builder, multiple, words[0], low[0])
        for j in range(1, LIMBS):
            low[j - 1], carry = _product(builder, multiple, words[j], low[j], carry)
        low[LIMBS - 1] = carry
    return builder.add(_joined(builder, low), high)


# Functions of kernels.


fp_zero, fr_zero = zero_of(fp), zero_of(fr)


@inner
def fp_load(array: Any, index: Any) -> Any:
    """Element number ``index`` of ``array``, in Fp."""
    return load(fp_zero(), array, index)


@inner
def fr_load(array: Any, index: Any) -> Any:
    """Element number ``index`` of ``array``, in Fr."""
    return load(fr_zero(), array, index)


@intrinsic
def to_montgomery(typingctx: Any, a: Any) -> Any:
    """The element whose canonical integer was loaded as if it were in Montgomery form."""
    if isinstance(a, FieldType):

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return a.multiply(builder, arguments[0], a.constant(MONTGOMERY))

        return a(a), emit
    return None


@intrinsic
def from_word(typingctx: Any, like: Any, word: Any) -> Any:
    """An unsigned 64-bit integer as an element of the field of ``like``."""
    if isinstance(like, FieldType) and isinstance(word, types.Integer):

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return like.multiply(builder, builder.zext(arguments[1], NUMBER), like.constant(MONTGOMERY))

        return like(like, types.uint64), emit
    return None


@intrinsic
def from_montgomery(typingctx: Any, a: Any) -> Any:
    """What to store so that memory holds the canonical integer of ``a``."""
    if isinstance(a, FieldType):
        return a(a), lambda context, builder, signature, arguments: a.multiply(builder, arguments[0], NUMBER(1))
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


def inverse(a: Any) -> Any:
    """1 / a, and 0 for 0, as a^(p - 2) by Fermat: the same work for every ``a``."""
    raise NotImplementedError("only kernels can call this")


@overload(inverse)
def _inverse(a: Any) -> Any:
    modulus = getattr(a, "modulus", None)
    if modulus is None:
        return None
    exponent = to_limbs([modulus - 2])[0]

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
