"""Fp12 with the six coefficients of one element in lanes: one pairing at the speed of AVX-512.

An element is a_0 + a_1 w + ... + a_5 w^5 over Fp2, w^6 = xi = 9 + i; lane j of a pair of lane numbers (real and
imaginary parts, :mod:`zkcore.field_lanes`) holds a_j, and what the last two lanes hold has no meaning. The tower's
parts are the even and the odd coefficients, so that nothing but the order of coefficients differs from
:mod:`zkcore.tower`, which does eight elements at once where this does one.

A product is a sum of six products by lanes, a_j times b turned by j lanes with xi for what wraps around, reduced once
(lazy reduction, Aranha et al. 2011). A square of the cyclotomic subgroup (Granger and Scott 2010) is such a sum of two.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import register_model

from zkcore.bn254 import P
from zkcore.field import fp
from zkcore.field_lanes import LIMBS, WIDTH, fp_lanes
from zkcore.fp2_lanes import fp2_lanes, sum_of_products, with_sum
from zkcore.kernel import intrinsic, merged
from zkcore.number import NumberModel, NumberType, is_words, shared
from zkcore.tower import FROBENIUS, fp2, fp2_inverse

DEGREE = 6
_PLACES = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2))
"""Where the tower keeps the coefficient of w^j."""

_base = fp_lanes
_WORD, _INDEX = ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_WORD, WIDTH)
PARTS = types.UniTuple(types.UniTuple(fp2, 3), 2)
"""Numba type of one element as the tower has it."""


def _by_lanes(lanes: Sequence[int]) -> Any:
    return ir.Constant(ir.VectorType(_INDEX, WIDTH), [*lanes, *[0] * (WIDTH - len(lanes))])


def _each_limb(builder: Any, operation: Any, *numbers: Any) -> Any:
    out = numbers[0].type(ir.Undefined)
    for i in range(LIMBS):
        out = builder.insert_value(out, operation(*(builder.extract_value(number, i) for number in numbers)), i)
    return out


def _permuted(builder: Any, a: Sequence[Any], lanes: Sequence[int], b: Sequence[Any] | None = None) -> list[Any]:
    """Lane k of each number is lane ``lanes[k]`` of ``a`` or, from 8 on, of ``b``."""
    mask = _by_lanes(lanes)
    return [
        _each_limb(builder, lambda x, y: builder.shuffle_vector(x, y, mask), first, second)
        for first, second in zip(a, a if b is None else b, strict=True)
    ]


def _turned(builder: Any, a: list[Any], by_xi: list[Any], power: int) -> list[Any]:
    """a w^power, from a and xi a."""
    lanes = [(k - power) if k >= power else WIDTH + DEGREE + k - power for k in range(DEGREE)]
    return _permuted(builder, a, lanes, by_xi) if power else a


class Fp12LanesType(NumberType):
    """Numba type of one element of Fp12, its coefficients in lanes."""

    llvm = fp2_lanes.llvm
    size = 2 * LIMBS * WIDTH

    def __init__(self) -> None:
        super().__init__(name="fp12_lanes")

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        return fp2_lanes.add(builder, a, b)

    def subtract(self, builder: Any, a: Any, b: Any) -> Any:
        return fp2_lanes.subtract(builder, a, b)

    def _shared(self, builder: Any, name: str, arguments: list[Any], body: Any) -> Any:
        return shared(builder, f"zkcore_{self.name}_{name}", self.llvm, arguments, body)

    def multiply(self, builder: Any, a: Any, b: Any) -> Any:
        def body(inside: Any, left: Any, right: Any) -> Any:
            x, y = with_sum(inside, left), with_sum(inside, right)
            by_xi = with_sum(inside, fp2_lanes.times_xi(inside, right))
            terms = [(_permuted(inside, x, [j] * DEGREE), _turned(inside, y, by_xi, j)) for j in range(DEGREE)]
            return sum_of_products(inside, terms)

        return self._shared(builder, "multiply", [a, b], body)

    def square(self, builder: Any, a: Any) -> Any:
        """Four products in every lane, for a_i a_j and a_j a_i are one."""

        def body(inside: Any, number: Any) -> Any:
            x, by_xi = with_sum(inside, number), with_sum(inside, fp2_lanes.times_xi(inside, number))
            doubled = [_base.loose_sum(inside, part, part) for part in x]
            # Which coefficients make that of w^k; from 8 on those of xi a.
            once = (([0, 0, 1, 0, 2, 0], [0, 1, 1, 3, 2, 5]), ([3, 0, 4, 0, 5, 0], [11, 1, 12, 3, 13, 5]))
            twice = (([1, 2, 0, 1, 0, 1], [13, 13, 2, 2, 4, 4]), ([2, 3, 3, 4, 1, 2], [12, 12, 13, 13, 3, 3]))
            terms = [
                (_permuted(inside, source, left), _permuted(inside, x, right, by_xi))
                for source, pairs in ((x, once), (doubled, twice))
                for left, right in pairs
            ]
            return sum_of_products(inside, terms)

        return self._shared(builder, "square", [a], body)

    def _mixed(self, builder: Any, even: Any, odd: Any) -> Any:
        lanes = [k if k % 2 == 0 else WIDTH + k for k in range(WIDTH)]
        parts = _permuted(builder, fp2_lanes.split(builder, even), lanes, fp2_lanes.split(builder, odd))
        return fp2_lanes.join(builder, *parts)

    def conjugate(self, builder: Any, a: Any) -> Any:
        """a^(p^6)."""
        return self._mixed(builder, a, fp2_lanes.subtract(builder, fp2_lanes.constant(0), a))

    def frobenius(self, builder: Any, a: Any, power: int) -> Any:
        """a^(p^power), for power from 1 to 3."""
        factors = [self.base_constant(column) for column in zip(*FROBENIUS[power - 1], strict=True)]
        turned = fp2_lanes.conjugate(builder, a) if power % 2 else a
        return fp2_lanes.multiply(builder, turned, fp2_lanes.llvm(factors))

    @staticmethod
    def base_constant(values: Sequence[int]) -> Any:
        """A lane number constant with these values, 0 in lanes that are left."""
        lanes = [_base.limbs(value) for value in [*values, *[0] * (WIDTH - len(values))]]
        return _base.llvm([_VECTOR(list(limb)) for limb in zip(*lanes, strict=True)])

    def cyclotomic_square(self, builder: Any, a: Any) -> Any:
        """a^2 for a of order dividing p^4 - p^2 + 1: three squares over Fp4, of a_j + a_(j + 3) y, y^2 = xi."""

        def body(inside: Any, number: Any) -> Any:
            x = with_sum(inside, number)
            by_xi = with_sum(inside, fp2_lanes.times_xi(inside, number))
            terms = [
                (_permuted(inside, x, [0, 2, 1, 0, 2, 1]), _permuted(inside, x, [0, 13, 1, 3, 2, 4], by_xi)),
                (_permuted(inside, x, [3, 5, 4, 3, 5, 4]), _permuted(inside, x, [11, 10, 12, 0, 13, 1], by_xi)),
            ]
            squares = sum_of_products(inside, terms, 3)
            opposite = fp2_lanes.subtract(inside, fp2_lanes.constant(0), number)
            signed = self._mixed(inside, opposite, number)
            return fp2_lanes.add(inside, squares, fp2_lanes.add(inside, signed, signed))

        return self._shared(builder, "cyclotomic_square", [a], body)

    def equal(self, builder: Any, a: Any, b: Any) -> Any:
        bits = fp2_lanes.equal(builder, a, b)
        lanes = bits.type((1 << DEGREE) - 1)
        return builder.icmp_unsigned("==", builder.and_(bits, lanes), lanes)

    def times_line(self, builder: Any, a: Any, line: Any, factors: Any, general: bool) -> Any:
        """a times a line whose coefficients, parts one after another in lanes, are ``line`` times ``factors``.

        A general line is c_0 + c_1 w + c_2 w^3, any other 2^-8 + c_0 w + c_1 w^3.
        """

        def body(inside: Any, number: Any, left: Any, right: Any) -> Any:
            parts = _base.reduce(inside, _base.wide(inside, left, right))
            swapped = _permuted(inside, [parts], [1, 0, 3, 2, 5, 4])[0]
            both = _base.loose_sum(inside, parts, swapped)
            x, by_xi = with_sum(inside, number), with_sum(inside, fp2_lanes.times_xi(inside, number))
            terms = []
            for k, power in enumerate((0, 1, 3) if general else (1, 3)):
                coefficient = [
                    _permuted(inside, [source], [lane] * WIDTH)[0]
                    for source, lane in ((parts, 2 * k), (parts, 2 * k + 1), (both, 2 * k))
                ]
                terms.append((coefficient, _turned(inside, x, by_xi, power)))
            return sum_of_products(inside, terms, unit=None if general else number)

        return self._shared(builder, "times_line" if general else "times_fixed_line", [a, line, factors], body)


register_model(Fp12LanesType)(NumberModel)
fp12_lanes = Fp12LanesType()


# Lane numbers from words of single elements, and back.


def _words_of(builder: Any, number: Any) -> list[Any]:
    return [builder.trunc(builder.lshr(number, number.type(64 * i)), _WORD) for i in range(4)]


def _vector(builder: Any, elements: Sequence[Any]) -> Any:
    vector = _VECTOR(None)
    for lane, element in enumerate(elements):
        vector = builder.insert_element(vector, element, _INDEX(lane))
    return vector


def _from_singles(builder: Any, numbers: Sequence[Any]) -> Any:
    """Single elements of Fp in lanes as they are: below 2p, of Montgomery's factor 2^256."""
    columns = zip(*(_words_of(builder, number) for number in numbers), strict=True)
    return _base.from_words(builder, [_vector(builder, column) for column in columns])


@intrinsic
def to_lanes(typingctx: Any, a: Any) -> Any:
    """An element of Fp12 as the tower has it, in lanes."""
    if a != PARTS:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        coefficients = [builder.extract_value(arguments[0], place) for place in _PLACES]
        parts = []
        for position in range(2):
            singles = [builder.extract_value(number, position) for number in coefficients]
            # From Montgomery's factor 2^256 to 2^260.
            parts.append(_base.multiply(builder, _from_singles(builder, singles), _base.constant(16)))
        return fp2_lanes.join(builder, *parts)

    return fp12_lanes(a), emit


def _single(builder: Any, words: Sequence[Any], lane: int) -> Any:
    """The element of Fp of one lane, from vectors of words."""
    single = fp.llvm(0)
    for i, word in enumerate(words):
        element = builder.zext(builder.extract_element(word, _INDEX(lane)), fp.llvm)
        single = builder.or_(single, builder.shl(element, fp.llvm(64 * i)))
    return fp.multiply(builder, single, fp.constant(pow(16, -1, P)))


@intrinsic
def from_lanes(typingctx: Any, a: Any) -> Any:
    """An element of Fp12 as the tower has it, the inverse of :func:`to_lanes`."""
    if a != fp12_lanes:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out = context.get_value_type(PARTS)(ir.Undefined)
        for position, part in enumerate(fp2_lanes.split(builder, arguments[0])):
            words = _base.to_words(builder, part)
            for j, place in enumerate(_PLACES):
                out = builder.insert_value(out, _single(builder, words, j), (*place, position))
        return out

    return PARTS(a), emit


@intrinsic
def _constant_part(typingctx: Any, a: Any) -> Any:
    """The coefficient of 1, in the tower's Fp2."""
    if a != fp12_lanes:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = fp2_lanes.split(builder, arguments[0])
        return fp2.join(builder, *(_single(builder, _base.to_words(builder, part), 0) for part in parts))

    return fp2(a), emit


@intrinsic
def _scale(typingctx: Any, a: Any, factor: Any) -> Any:
    """a times an element of the tower's Fp2."""
    if a != fp12_lanes or factor != fp2:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = [_from_singles(builder, [part] * WIDTH) for part in fp2.split(builder, arguments[1])]
        entered = [_base.multiply(builder, part, _base.constant(16)) for part in parts]
        return fp2_lanes.multiply(builder, arguments[0], fp2_lanes.join(builder, *entered))

    return a(a, factor), emit


def _of_one(operation: Any) -> Any:
    @intrinsic
    def function(typingctx: Any, a: Any) -> Any:
        if a != fp12_lanes:
            return None
        return a(a), lambda context, builder, signature, arguments: operation(builder, arguments[0])

    return function


conjugate = _of_one(fp12_lanes.conjugate)
cyclotomic_square = _of_one(fp12_lanes.cyclotomic_square)
frobenius = _of_one(lambda builder, a: fp12_lanes.frobenius(builder, a, 1))
frobenius_2 = _of_one(lambda builder, a: fp12_lanes.frobenius(builder, a, 2))
frobenius_3 = _of_one(lambda builder, a: fp12_lanes.frobenius(builder, a, 3))


@merged
def inverse(a: Any) -> Any:
    """1 / a, and 0 for 0: by the norm to Fp6, whose conjugates over Fp2 are powers by p^2."""
    norm = a * conjugate(a)
    once = frobenius_2(norm)
    others = once * frobenius_2(once)
    return _scale(conjugate(a) * others, fp2_inverse(_constant_part(norm * others)))


def _words_in_lanes(builder: Any, sources: Sequence[Any], lanes: Sequence[int]) -> Any:
    """Lane numbers, as they are, from vectors of the words of two elements each; ``lanes`` counts the elements."""
    first, second = sources
    words = []
    for i in range(4):
        mask = _by_lanes([4 * lane + i for lane in lanes])
        words.append(builder.shuffle_vector(first, second, mask))
    return _base.from_words(builder, words)


def _row_of_words(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Eight words, number ``index`` of the rows of so many in an array."""
    data = context.make_array(array_type)(context, builder, array).data
    place = builder.gep(data, [builder.mul(index, _WORD(WIDTH))])
    return builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=8)


@intrinsic
def times_line(typingctx: Any, a: Any, line: Any, firsts: Any, index: Any) -> Any:
    """a times c0 y + c1 x w + c2 w^3, over 2^8, for a ``line`` over the tower's Fp2 and point ``index`` of G1."""
    if a != fp12_lanes or line != types.UniTuple(fp2, 3) or not is_words(firsts):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, coefficients, array, place = arguments
        parts = [(k, position) for k in range(3) for position in range(2)]
        singles = [builder.extract_value(coefficients, part) for part in parts]
        point = _row_of_words(context, builder, firsts, array, place)
        unit = fp.encode(1)
        ones = _VECTOR([unit >> 64 * (i % 4) & (1 << 64) - 1 for i in range(WIDTH)])
        factors = _words_in_lanes(builder, (point, ones), [1, 1, 0, 0, 2, 2])
        return fp12_lanes.times_line(builder, number, _from_singles(builder, singles), factors, True)

    return a(a, line, firsts, types.intp), emit


@intrinsic
def times_fixed_line(typingctx: Any, a: Any, lines: Any, index: Any, points: Any, point: Any) -> Any:
    """a times line number ``index`` of fixed points of G2, at argument number ``point``; over 2^8."""
    if a != fp12_lanes or not is_words(lines) or not is_words(points):
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, array, place, argument_array, argument_place = arguments
        start = builder.mul(place, _WORD(2))
        rows = [_row_of_words(context, builder, lines, array, builder.add(start, _WORD(i))) for i in range(2)]
        argument = _row_of_words(context, builder, points, argument_array, argument_place)
        line = _words_in_lanes(builder, rows, [0, 1, 2, 3])
        factors = _words_in_lanes(builder, (argument, argument), [0, 0, 1, 1])
        return fp12_lanes.times_line(builder, number, line, factors, False)

    return a(a, lines, types.intp, points, types.intp), emit
