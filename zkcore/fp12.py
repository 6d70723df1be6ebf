"""Fp12 in whichever of its two forms an element has: parts of the tower, or coefficients in lanes.

Where there are lanes, one element at a time is worked on in lanes (:mod:`zkcore.fp12_lanes`), and a kernel that has
eight elements in the lanes of every number, or a processor without lanes, goes by :mod:`zkcore.tower`, but for lines of
eight elements, which :mod:`zkcore.fp2_lanes` multiplies by. The pairing is written in these functions alone, which the
compiler resolves by type.
"""

from typing import Any

from numba.extending import overload

from zkcore import fp2_lanes, number, tower
from zkcore import fp12_lanes as lanes
from zkcore.cpu import BACKEND
from zkcore.curve import load_affine
from zkcore.fp12_lanes import fp12_lanes
from zkcore.kernel import inner
from zkcore.number import load


@inner
def _product(a: Any, b: Any) -> Any:
    return a * b


@inner
def _same(a: Any) -> Any:
    return a


def _of_one(name: str, on_parts: Any, on_lanes: Any) -> Any:
    def function(a: Any) -> Any:
        raise NotImplementedError("only kernels can call this")

    @overload(function)
    def resolved(a: Any) -> Any:
        chosen = on_lanes if a == fp12_lanes else on_parts

        def implementation(a: Any) -> Any:
            return chosen(a)

        # Numba tells functions in kept machine code apart by this name.
        implementation.__qualname__ = f"fp12_{name}"
        return implementation

    return function


def multiply(a: Any, b: Any) -> Any:
    """a b."""
    raise NotImplementedError("only kernels can call this")


@overload(multiply)
def _multiply(a: Any, b: Any) -> Any:
    chosen = _product if a == fp12_lanes else tower.fp12_multiply

    def implementation(a: Any, b: Any) -> Any:
        return chosen(a, b)

    return implementation


square = _of_one("square", tower.fp12_square, number.square)
conjugate = _of_one("conjugate", tower.fp12_conjugate, lanes.conjugate)
cyclotomic_square = _of_one("cyclotomic_square", tower.cyclotomic_square, lanes.cyclotomic_square)
frobenius = _of_one("frobenius", tower.fp12_frobenius, lanes.frobenius)
frobenius_2 = _of_one("frobenius_2", tower.fp12_frobenius_2, lanes.frobenius_2)
frobenius_3 = _of_one("frobenius_3", tower.fp12_frobenius_3, lanes.frobenius_3)
inverse = _of_one("inverse", tower.fp12_inverse, lanes.inverse)
parts = _of_one("parts", _same, lanes.from_lanes)
"""The element as the tower has it."""


def fastest(a: Any) -> Any:
    """The element, given as the tower has it, in the form that this processor works on fastest."""
    raise NotImplementedError("only kernels can call this")


@overload(fastest)
def _fastest(a: Any) -> Any:
    chosen = lanes.to_lanes if a == lanes.PARTS and BACKEND == "avx512ifma" else _same

    def implementation(a: Any) -> Any:
        return chosen(a)

    return implementation


# Lines of the pairing.


@inner
def _scaled_line(f: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    """Thirteen products of Fp2."""
    x, y = load_affine(like, points, index)
    c0, c1, c2 = tower.scale(line[0], y), tower.scale(line[1], x), line[2]
    low = f[0][0] * c0, f[0][1] * c0, f[0][2] * c0
    high = tower.fp6_multiply_by_01(f[1], c1, c2)
    cross = tower.fp6_multiply_by_01(tower.fp6_add(f[0], f[1]), c0 + c1, c2)
    return tower.fp6_add(low, tower.fp6_times_v(high)), tower.fp6_subtract(tower.fp6_subtract(cross, low), high)


@inner
def _lines_in_lanes(f: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    x, y = load_affine(like, points, index)
    return fp2_lanes.times_line(f, (tower.scale(line[0], y), tower.scale(line[1], x), line[2]))


@inner
def _line_in_lanes(f: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    return lanes.times_line(f, line, points, index)


def times_line(f: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    """f (c0 y + c1 x w + c2 w^3) for the affine point number ``index``, up to a factor in Fp; ``like`` is in Fp."""
    raise NotImplementedError("only kernels can call this")


@overload(times_line)
def _times_line(f: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    chosen = _line_in_lanes if f == fp12_lanes else _lines_in_lanes if f == fp2_lanes.PARTS else _scaled_line

    def implementation(f: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
        return chosen(f, line, like, points, index)

    return implementation


@inner
def _scaled_fixed_line(f: Any, lines: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    slope, offset = load(f[0][0], lines, 2 * line), load(f[0][0], lines, 2 * line + 1)
    x, y = load_affine(like, points, index)
    return tower.fp12_multiply_by_line(f, tower.scale(slope, x), tower.scale(offset, y))


@inner
def _fixed_line_in_lanes(f: Any, lines: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    return lanes.times_fixed_line(f, lines, line, points, index)


def times_fixed_line(f: Any, lines: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    """f (1 + (slope x + offset y v) w), up to a factor in Fp, for line number ``line`` and point ``index``."""
    raise NotImplementedError("only kernels can call this")


@overload(times_fixed_line)
def _times_fixed_line(f: Any, lines: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
    chosen = _fixed_line_in_lanes if f == fp12_lanes else _scaled_fixed_line

    def implementation(f: Any, lines: Any, line: Any, like: Any, points: Any, index: Any) -> Any:
        return chosen(f, lines, line, like, points, index)

    return implementation
