"""The tower Fp2, Fp6, Fp12 over which BN254's pairing runs, written once for every kind of base number.

Fp2 = Fp[i] / (i^2 + 1), Fp6 = Fp2[v] / (v^3 - xi), Fp12 = Fp6[w] / (w^2 - v), with xi = 9 + i (EIP-197's extension,
Devegili, Scott and Dahab 2007 for the tower). An element of Fp2 is a number type of its own, with operators; elements
of Fp6 and Fp12 are tuples of three and two parts. Nothing here knows whether a base number is one element or several
in lanes. Products in Fp2 follow Karatsuba with one reduction for each part (lazy reduction, Aranha et al. 2011).

No function branches on a value. Names: ``fp6_multiply`` and so on; sparse products are named by what is sparse.
"""

from functools import cache
from typing import Any

from llvmlite import ir
from numba.extending import register_model

from zkcore.bn254 import P
from zkcore.field import fp, inverse
from zkcore.kernel import inner, intrinsic
from zkcore.number import NumberModel, NumberType, constant, one, shared, square, zero, zero_of

XI = (9, 1)
"""The non-residue 9 + i of Fp2 from which Fp6 and Fp12 are made."""


class Fp2Type(NumberType):
    """Numba type of a + b i over a base number type."""

    def __init__(self, base: Any) -> None:
        self.base = base
        self.llvm = ir.ArrayType(base.llvm, 2)
        self.size = 2 * base.size
        self.lanes, self.mask = base.lanes, base.mask
        super().__init__(name=f"{base.name}2")

    @property
    def key(self) -> Any:
        return self.name, self.base

    def split(self, builder: Any, a: Any) -> tuple[Any, Any]:
        return builder.extract_value(a, 0), builder.extract_value(a, 1)

    def join(self, builder: Any, real: Any, imaginary: Any) -> Any:
        return builder.insert_value(builder.insert_value(self.llvm(ir.Undefined), real, 0), imaginary, 1)

    def constant(self, value: Any) -> Any:
        real, imaginary = value if isinstance(value, tuple) else (value, 0)
        return self.llvm([self.base.constant(real), self.base.constant(imaginary)])

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        parts = zip(self.split(builder, a), self.split(builder, b), strict=True)
        return self.join(builder, *(self.base.add(builder, x, y) for x, y in parts))

    def subtract(self, builder: Any, a: Any, b: Any) -> Any:
        parts = zip(self.split(builder, a), self.split(builder, b), strict=True)
        return self.join(builder, *(self.base.subtract(builder, x, y) for x, y in parts))

    def multiply(self, builder: Any, a: Any, b: Any) -> Any:
        base = self.base

        def body(inside: Any, a0: Any, a1: Any, b0: Any, b1: Any) -> Any:
            low, high = base.wide(inside, a0, b0), base.wide(inside, a1, b1)
            cross = base.wide(inside, base.loose_sum(inside, a0, a1), base.loose_sum(inside, b0, b1))
            real = base.wide_difference(inside, base.wide_offset(inside, low), high)
            imaginary = base.wide_difference(inside, base.wide_difference(inside, cross, low), high)
            return self.join(inside, base.reduce(inside, real), base.reduce(inside, imaginary))

        arguments = [*self.split(builder, a), *self.split(builder, b)]
        return shared(builder, f"zkcore_{self.name}_multiply", self.llvm, arguments, body)

    def square(self, builder: Any, a: Any) -> Any:
        """(a0 + a1)(a0 - a1) + 2 a0 a1 i."""
        base = self.base

        def body(inside: Any, a0: Any, a1: Any) -> Any:
            real = base.wide(inside, base.loose_sum(inside, a0, a1), base.subtract(inside, a0, a1))
            imaginary = base.wide(inside, base.loose_sum(inside, a0, a0), a1)
            return self.join(inside, base.reduce(inside, real), base.reduce(inside, imaginary))

        return shared(builder, f"zkcore_{self.name}_square", self.llvm, list(self.split(builder, a)), body)

    def scale(self, builder: Any, a: Any, factor: Any) -> Any:
        """a times an element of the base field."""
        return self.join(builder, *(self.base.multiply(builder, x, factor) for x in self.split(builder, a)))

    def conjugate(self, builder: Any, a: Any) -> Any:
        real, imaginary = self.split(builder, a)
        return self.join(builder, real, self.base.subtract(builder, self.base.constant(0), imaginary))

    def times_xi(self, builder: Any, a: Any) -> Any:
        """(9 + i) a."""
        base = self.base

        def body(inside: Any, a0: Any, a1: Any) -> Any:
            return self.join(inside, base.nine_times(inside, a0, a1, -1), base.nine_times(inside, a1, a0, 1))

        return shared(builder, f"zkcore_{self.name}_times_xi", self.llvm, list(self.split(builder, a)), body)

    def equal(self, builder: Any, a: Any, b: Any) -> Any:
        parts = zip(self.split(builder, a), self.split(builder, b), strict=True)
        return builder.and_(*(self.base.equal(builder, x, y) for x, y in parts))

    def choose(self, builder: Any, condition: Any, a: Any, b: Any) -> Any:
        parts = zip(self.split(builder, a), self.split(builder, b), strict=True)
        return self.join(builder, *(self.base.choose(builder, condition, x, y) for x, y in parts))

    def canonical(self, builder: Any, a: Any) -> Any:
        return self.join(builder, *(self.base.canonical(builder, x) for x in self.split(builder, a)))


register_model(Fp2Type)(NumberModel)


@cache
def fp2_over(base: Any) -> Fp2Type:
    """The type of Fp2 over a base number type; one object for each base."""
    return Fp2Type(base)


fp2 = fp2_over(fp)
fp2_zero = zero_of(fp2)


# Fp2, beyond its operators.


@intrinsic
def pair(typingctx: Any, real: Any, imaginary: Any) -> Any:
    """real + imaginary i."""
    if isinstance(real, NumberType) and not isinstance(real, Fp2Type) and imaginary == real:
        extension = fp2_over(real)

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return extension.join(builder, *arguments)

        return extension(real, imaginary), emit
    return None


def _part(position: int) -> Any:
    @intrinsic
    def part(typingctx: Any, a: Any) -> Any:
        if isinstance(a, Fp2Type):
            return a.base(a), lambda context, builder, signature, arguments: builder.extract_value(
                arguments[0], position
            )
        return None

    return part


real_part, imaginary_part = _part(0), _part(1)


@intrinsic
def scale(typingctx: Any, a: Any, factor: Any) -> Any:
    """An element of Fp2 times one of its base field."""
    if isinstance(a, Fp2Type) and factor == a.base:
        return a(a, factor), lambda context, builder, signature, arguments: a.scale(builder, *arguments)
    return None


@intrinsic
def conjugate(typingctx: Any, a: Any) -> Any:
    if isinstance(a, Fp2Type):
        return a(a), lambda context, builder, signature, arguments: a.conjugate(builder, *arguments)
    return None


@intrinsic
def times_xi(typingctx: Any, a: Any) -> Any:
    if isinstance(a, Fp2Type):
        return a(a), lambda context, builder, signature, arguments: a.times_xi(builder, *arguments)
    return None


@inner
def fp2_inverse(a: Any) -> Any:
    """1 / a, and 0 for 0: the conjugate over the norm."""
    x, y = real_part(a), imaginary_part(a)
    return scale(conjugate(a), inverse(x * x + y * y))


# Fp6.


@inner
def fp6_add(a: Any, b: Any) -> Any:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@inner
def fp6_subtract(a: Any, b: Any) -> Any:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@inner
def fp6_negate(a: Any) -> Any:
    return -a[0], -a[1], -a[2]


@inner
def fp6_times_v(a: Any) -> Any:
    return times_xi(a[2]), a[0], a[1]


@inner
def fp6_multiply(a: Any, b: Any) -> Any:
    """Karatsuba on three parts: six products of Fp2."""
    a0, a1, a2 = a
    b0, b1, b2 = b
    t0, t1, t2 = a0 * b0, a1 * b1, a2 * b2
    return (
        t0 + times_xi((a1 + a2) * (b1 + b2) - t1 - t2),
        (a0 + a1) * (b0 + b1) - t0 - t1 + times_xi(t2),
        (a0 + a2) * (b0 + b2) - t0 - t2 + t1,
    )


@inner
def fp6_multiply_by_01(a: Any, b0: Any, b1: Any) -> Any:
    """a (b0 + b1 v): five products of Fp2."""
    a0, a1, a2 = a
    t0, t1 = a0 * b0, a1 * b1
    return t0 + times_xi(a2 * b1), (a0 + a1) * (b0 + b1) - t0 - t1, a2 * b0 + t1


@inner
def fp6_inverse(a: Any) -> Any:
    a0, a1, a2 = a
    c0 = square(a0) - times_xi(a1 * a2)
    c1 = times_xi(square(a2)) - a0 * a1
    c2 = square(a1) - a0 * a2
    reciprocal = fp2_inverse(a0 * c0 + times_xi(a2 * c1 + a1 * c2))
    return c0 * reciprocal, c1 * reciprocal, c2 * reciprocal


# Fp12.


@inner
def fp12_one(like: Any) -> Any:
    """1, for ``like`` in Fp2."""
    none = zero(like)
    return (one(like), none, none), (none, none, none)


@inner
def fp12_multiply(a: Any, b: Any) -> Any:
    t0, t1 = fp6_multiply(a[0], b[0]), fp6_multiply(a[1], b[1])
    cross = fp6_multiply(fp6_add(a[0], a[1]), fp6_add(b[0], b[1]))
    return fp6_add(t0, fp6_times_v(t1)), fp6_subtract(fp6_subtract(cross, t0), t1)


@inner
def fp12_square(a: Any) -> Any:
    """(a0 + a1)(a0 + v a1) - (1 + v) a0 a1 + 2 a0 a1 w: two products of Fp6."""
    product = fp6_multiply(a[0], a[1])
    cross = fp6_multiply(fp6_add(a[0], a[1]), fp6_add(a[0], fp6_times_v(a[1])))
    return fp6_subtract(fp6_subtract(cross, product), fp6_times_v(product)), fp6_add(product, product)


@inner
def fp12_conjugate(a: Any) -> Any:
    """a^(p^6); the inverse where a lies in the cyclotomic subgroup."""
    return a[0], fp6_negate(a[1])


@inner
def fp12_inverse(a: Any) -> Any:
    norm = fp6_subtract(fp6_multiply(a[0], a[0]), fp6_times_v(fp6_multiply(a[1], a[1])))
    reciprocal = fp6_inverse(norm)
    return fp6_multiply(a[0], reciprocal), fp6_negate(fp6_multiply(a[1], reciprocal))


@inner
def fp12_multiply_by_line(a: Any, b0: Any, b1: Any) -> Any:
    """a (1 + (b0 + b1 v) w), as a line of the pairing is after scaling: ten products of Fp2."""
    return (
        fp6_add(a[0], fp6_times_v(fp6_multiply_by_01(a[1], b0, b1))),
        fp6_add(a[1], fp6_multiply_by_01(a[0], b0, b1)),
    )


@inner
def fp12_equal(a: Any, b: Any) -> Any:
    low = (a[0][0] == b[0][0]) & (a[0][1] == b[0][1]) & (a[0][2] == b[0][2])
    return low & (a[1][0] == b[1][0]) & (a[1][1] == b[1][1]) & (a[1][2] == b[1][2])


@inner
def _fp4_square(a: Any, b: Any) -> Any:
    """Square of a + b y in Fp2[y] / (y^2 - xi)."""
    t0, t1 = square(a), square(b)
    return times_xi(t1) + t0, square(a + b) - t0 - t1


@inner
def cyclotomic_square(a: Any) -> Any:
    """a^2 for a of order dividing p^4 - p^2 + 1 (Granger and Scott 2010): nine squares of Fp2."""
    (z0, z4, z3), (z2, z1, z5) = a
    t0, t1 = _fp4_square(z0, z1)
    t2, t3 = _fp4_square(z2, z3)
    t4, t5 = _fp4_square(z4, z5)
    t5 = times_xi(t5)
    r0, r4, r3 = t0 - z0, t2 - z4, t4 - z3
    r2, r1, r5 = t5 + z2, t1 + z1, t3 + z5
    return (r0 + r0 + t0, r4 + r4 + t2, r3 + r3 + t4), (r2 + r2 + t5, r1 + r1 + t1, r5 + r5 + t3)


# Frobenius: (sum of a_j w^j)^(p^k) has the coefficients conj^k(a_j) xi^(j (p^k - 1) / 6).


def _multiply(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def fp2_power(a: tuple[int, int], exponent: int) -> tuple[int, int]:
    """Power in Fp2, of integers: for constants."""
    result = (1, 0)
    for bit in bin(exponent)[2:]:
        result = _multiply(result, result)
        if bit == "1":
            result = _multiply(result, a)
    return result


def _frobenius_constants() -> list[list[tuple[int, int]]]:
    first = fp2_power(XI, (P - 1) // 6)
    norm = _multiply(first, (first[0], -first[1] % P))  # xi^((p^2 - 1) / 6)
    powers = [first, norm, _multiply(first, norm)]  # xi^((p^3 - 1) / 6) is the first times conj^2 of the second
    return [[fp2_power(power, j) for j in range(6)] for power in powers]


FROBENIUS = _frobenius_constants()
"""``FROBENIUS[k - 1][j]`` is xi^(j (p^k - 1) / 6), k = 1, 2, 3."""

_G1, _G2, _G3 = ([constant(value) for value in row] for row in FROBENIUS)
_g11, _g12, _g13, _g14, _g15 = _G1[1:]
_g21, _g22, _g23, _g24, _g25 = _G2[1:]
_g31, _g32, _g33, _g34, _g35 = _G3[1:]


@inner
def fp12_frobenius(a: Any) -> Any:
    """a^p."""
    (a0, a2, a4), (a1, a3, a5) = a
    return (
        (conjugate(a0), conjugate(a2) * _g12(a2), conjugate(a4) * _g14(a4)),
        (conjugate(a1) * _g11(a1), conjugate(a3) * _g13(a3), conjugate(a5) * _g15(a5)),
    )


@inner
def fp12_frobenius_2(a: Any) -> Any:
    """a^(p^2)."""
    (a0, a2, a4), (a1, a3, a5) = a
    return (a0, a2 * _g22(a2), a4 * _g24(a4)), (a1 * _g21(a1), a3 * _g23(a3), a5 * _g25(a5))


@inner
def fp12_frobenius_3(a: Any) -> Any:
    """a^(p^3)."""
    (a0, a2, a4), (a1, a3, a5) = a
    return (
        (conjugate(a0), conjugate(a2) * _g32(a2), conjugate(a4) * _g34(a4)),
        (conjugate(a1) * _g31(a1), conjugate(a3) * _g33(a3), conjugate(a5) * _g35(a5)),
    )
