"""Windows of fixed-base multiplication: the constant points that digits stand for, and a scalar's digits.

Digits are odd, so that a window's points come in pairs of opposites (u, V) and (u, -V). There are three kinds.

* *Ends* of a number: its lowest and its highest two bits, each pair choosing one of four points.
* *Octal digits* of a number, the 20 between: ±1, ±3, ±5 or ±7.
* *Digits of a blinding* in base 24: ±1, ±3, ..., ±23; 55 of them make every scalar modulo the subgroup's order.

With odd digits d = 2 m - 7 for an ordinary digit m, a number x is its octal digits' sum and a constant; the last end
takes that off. Signed windows are an idea of Hopwood et al., Zcash protocol specification, section 5.4.1.7.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from zkcore import babyjubjub
from zkcore.babyjubjub import ORDER, Point
from zkcore.bn254 import R
from zkcore.errors import OutOfRange

NUMBER_BITS = 64
OCTAL_DIGITS = 20
BLINDING_BASE = 24
BLINDING_DIGITS = 55
assert NUMBER_BITS == 3 * OCTAL_DIGITS + 4
assert ORDER < BLINDING_BASE**BLINDING_DIGITS

OFFSET = babyjubjub.hash_to_curve(b"circuit offset O")
"""O, whose logarithm to other bases nobody knows: in the first end of a number, and off again in the last."""


class Number(NamedTuple):
    """Points of the windows of a number times a base, in Montgomery form.

    Attributes
    ----------
    first, last
        Points for the lowest and the highest two bits.
    octal
        For each of the digits between the points for 1, 3, 5 and 7.
    """

    first: list[Point]
    octal: list[list[Point]]
    last: list[Point]


def _to_montgomery(points: Sequence[Point]) -> list[Point]:
    """(u, v) of points other than those with x = 0, at the price of one inversion."""
    # u = (1 + y) / (1 - y), v = u / x.
    factors = [x * (1 - y) % R for x, y in points]
    products = [1]
    for factor in factors:
        products.append(products[-1] * factor % R)
    inverse = pow(products[-1], -1, R)
    found = []
    for (x, y), factor, product in zip(reversed(points), reversed(factors), reversed(products[:-1]), strict=True):
        v = (1 + y) * inverse * product % R
        found.append((v * x % R, v))
        inverse = inverse * factor % R
    return found[::-1]


def _odd_multiples(base: Point, scale: int, digits: int) -> list[list[Point]]:
    """For each digit's place the points 1, 3, 5, ..., scale - 1 times scale^place times the base."""
    tables = []
    for _ in range(digits):
        twice = babyjubjub.add(base, base)
        points = [base]
        while len(points) < scale // 2:
            points.append(babyjubjub.add(points[-1], twice))
        tables.append(points)
        base = babyjubjub.add(points[-1], base)
    montgomery = iter(_to_montgomery([point for table in tables for point in table]))
    return [[next(montgomery) for _ in table] for table in tables]


def _four(base: Point, offset: Point) -> list[Point]:
    """The offset plus 0 to 3 times the base."""
    points = [offset]
    for _ in range(3):
        points.append(babyjubjub.add(points[-1], base))
    return _to_montgomery(points)


@lru_cache(maxsize=8)
def number(base: Point) -> Number:
    """The windows of a 64-bit number times a base."""
    # Octal digits are worth 2 base 8^place each, and stand for less than their ordinary digits by the constant.
    constant = babyjubjub.multiply(base, 2 * (8**OCTAL_DIGITS - 1))
    return Number(
        _four(base, OFFSET),
        _odd_multiples(babyjubjub.multiply(base, 2), 8, OCTAL_DIGITS),
        _four(babyjubjub.multiply(base, 1 << NUMBER_BITS - 2), babyjubjub.add(constant, babyjubjub.negate(OFFSET))),
    )


@lru_cache(maxsize=8)
def blinding(base: Point) -> list[list[Point]]:
    """For each digit of a blinding the points for 1, 3, ..., 23 times the base, in Montgomery form."""
    return _odd_multiples(base, BLINDING_BASE, BLINDING_DIGITS)


def _signed(table: list[Point], digit: int, base: int) -> tuple[int, Point]:
    """Which size the odd digit of an ordinary one has, 0 for 1, 1 for 3 and so on, and its point."""
    odd = 2 * digit - (base - 1)
    size = abs(odd) >> 1
    u, v = table[size]
    return size, (u, v if odd > 0 else R - v)


def number_inputs(name: str, base: Point, value: int) -> dict[str, int | Sequence[int]]:
    """Values of the private inputs of :func:`circuits.gadgets.babyjubjub.commitment` for a number.

    Raises
    ------
    OutOfRange
        If it is not a 64-bit number.
    """
    if not 0 <= value < 1 << NUMBER_BITS:
        raise OutOfRange(name, f"no digits make it: a committed number is below 2^{NUMBER_BITS}")
    digits = [_signed(table, value >> 2 + 3 * place & 7, 8) for place, table in enumerate(number(base).octal)]
    return {
        f"{name}.ends": [value >> place & 1 for place in (0, 1, NUMBER_BITS - 2, NUMBER_BITS - 1)],
        f"{name}.low": [size & 1 for size, _ in digits],
        f"{name}.high": [size >> 1 for size, _ in digits],
        f"{name}.v": [v for _, (_, v) in digits],
    }


def blinding_inputs(name: str, base: Point, scalar: int) -> dict[str, int | Sequence[int]]:
    """Values of the private inputs of :func:`circuits.gadgets.babyjubjub.commitment` for a blinding.

    Raises
    ------
    OutOfRange
        If the scalar is not in ``[0, ORDER)``.
    """
    if not 0 <= scalar < ORDER:
        raise OutOfRange(name, "not below the subgroup's order")
    # Sums of odd digits are odd, and those of 2 m - 23 are twice the ordinary number with digits m, and a constant.
    odd = scalar if scalar % 2 else scalar - ORDER
    shifted = (odd + BLINDING_BASE**BLINDING_DIGITS - 1) // 2
    points = []
    for table in blinding(base):
        shifted, digit = divmod(shifted, BLINDING_BASE)
        points.append(_signed(table, digit, BLINDING_BASE)[1])
    return {f"{name}.u": [u for u, _ in points], f"{name}.v": [v for _, v in points]}


class OneOfTwelve(NamedTuple):
    """u is one of twelve numbers if and only if (s + left) (s + right) = rest.

    There q = u^2, r = u^3, and s = r (r + a q + b u) is a polynomial of degree 6.

    Attributes
    ----------
    sextic
        (a, b).
    left, right
        Polynomials of degree 3, lowest factor first.
    rest
        The same.
    """

    sextic: tuple[int, int]
    left: list[int]
    right: list[int]
    rest: list[int]


def one_of_twelve(numbers: Sequence[int]) -> OneOfTwelve:
    """How to say with two products that u is one of twelve numbers, given u^2 and u^3.

    The product p of all (X - number) has degree 12. Its "square root" s = X^6 + a X^5 + b X^4 makes p - s^2 of degree
    9, and division makes p = s^2 + c s + d, c of degree 3 and d of degree 5. For every e of degree 3,

        (s + c/2 + e) (s + c/2 - e) = p - d + c^2/4 - e^2

    and e can be so chosen that the factors of X^6, X^5 and X^4 in d - c^2/4 + e^2 vanish; where p is 0, what is left is
    a polynomial of degree 3, ``rest``.
    """
    half = pow(2, -1, R)
    p = [1]
    for root in numbers:
        p = [(high - root * low) % R for high, low in zip([0, *p], [*p, 0], strict=True)]
    a = p[11] * half % R
    b = (p[10] - a * a) * half % R
    s = [0, 0, 0, 0, b, a, 1]
    left_over = [(x - y) % R for x, y in zip(p, _product(s, s), strict=True)]
    c = [0] * 4
    for degree in range(3, -1, -1):
        c[degree] = factor = left_over[6 + degree]
        for place, value in enumerate(s):
            left_over[degree + place] = (left_over[degree + place] - factor * value) % R
    halved = [value * half % R for value in c]
    wanted = [(x - d) % R for x, d in zip(_product(halved, halved), left_over, strict=False)]
    # e^2 has the highest three factors of `wanted`, so that (s + c/2 + e) (s + c/2 - e) = wanted - e^2.
    third = halved[3]
    over = pow(2 * third, -1, R)
    second = wanted[5] * over % R
    first = (wanted[4] - second * second) * over % R
    e = [0, first, second, third]
    rest = [(x - y) % R for x, y in zip(wanted, _product(e, e), strict=True)]
    assert rest[4:] == [0, 0, 0]
    return OneOfTwelve(
        (a, b),
        [(x + y) % R for x, y in zip(halved, e, strict=True)],
        [(x - y) % R for x, y in zip(halved, e, strict=True)],
        rest[:4],
    )


def _product(p: Sequence[int], q: Sequence[int]) -> list[int]:
    """Product of two polynomials, lowest factor first."""
    product = [0] * (len(p) + len(q) - 1)
    for i, x in enumerate(p):
        for j, y in enumerate(q):
            product[i + j] += x * y
    return [value % R for value in product]
