"""Baby Jubjub in constraints: commitments to numbers under fixed points, and a variable point times a scalar.

A commitment x G + s H is a sum over windows (:mod:`circuits.gadgets.windows`) in the Montgomery form of the curve,
where an addition costs three constraints but fails for equal or opposite points. What a window costs besides:

* Two bits at either end of x choose one of four constant points: 3 constraints.
* Two bits choose the size of an octal digit of x, and so a constant point (u, V); (v - V) (v + V) = 0 lets v be V or
  -V, and so the digit have either sign; the digit itself is v times a constant that the size chooses: 5 constraints.
* A digit of s, which no other constraint uses, is just a point (u, v): u is one of twelve constants, and the curve's
  equation leaves v and -v: 5 constraints.

x is a sum of its digits, and they make the numbers below 2^64, each in one way: no range check is needed besides.

The first window has a point ``O`` in it whose logarithm nobody knows (hash-to-curve), and the last takes it off. So the
running sum and the next point have different multiples of ``O`` in them, and before the last window not opposite ones
either: a prover who made the points meet would have found a relation between ``O``, G and H, which would break the
commitments as well. At the last window the points are opposite if the result is the identity; there, and only there, no
witness exists. That offsets keep incomplete additions apart is an idea of Hopwood et al., Zcash protocol specification,
section 5.4.1.7 (Pedersen hashes).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from circuits.constraints import ConstraintSystem, LinearCombination, Template
from circuits.gadgets import windows
from circuits.gadgets.bits import enforce_boolean
from circuits.gadgets.lookup import of_four
from circuits.replay import MONTGOMERY_A, MONTGOMERY_B
from zkcore.babyjubjub import A, D, Point
from zkcore.bn254 import R

Pair = tuple[LinearCombination, LinearCombination]

_NUMBER_PARTS = {"ends": 4} | dict.fromkeys(("low", "high", "v"), windows.OCTAL_DIGITS)
_BLINDING_PARTS = dict.fromkeys(("u", "v"), windows.BLINDING_DIGITS)


def commitment(
    cs: ConstraintSystem, number: tuple[Point, str], blinding: tuple[Point, str], label: str
) -> tuple[LinearCombination, Pair]:
    """A 64-bit number of the prover's, and the point that is committed to it: 611 constraints.

    Parameters
    ----------
    number, blinding
        Each a constant point of the prime subgroup and a name for private inputs, whose values are
        :func:`circuits.gadgets.windows.number_inputs` and :func:`circuits.gadgets.windows.blinding_inputs`.
    label
        Scope of the constraints.
    """
    (base, name), (blinding_base, blinding_name) = number, blinding
    inputs = _inputs(cs, name, blinding_name)
    with cs.scope(label):
        value, x, y = cs.insert(_commitment(base, blinding_base), inputs)
    return value, (x, y)


def _inputs(cs: ConstraintSystem, number: str, blinding: str) -> list[LinearCombination]:
    inputs: list[LinearCombination] = []
    for name, parts in ((number, _NUMBER_PARTS), (blinding, _BLINDING_PARTS)):
        for part, count in parts.items():
            inputs += cs.privates(f"{name}.{part}", count)
    return inputs


@lru_cache(maxsize=8)
def _commitment(base: Point, blinding_base: Point) -> Template:
    """The constraints, which are the same wherever they are; results are the number and the point."""
    cs = ConstraintSystem("commitment")
    inputs = iter(_inputs(cs, "number", "blinding"))
    ends, low, high, v, *of_blinding = (
        [next(inputs) for _ in range(count)] for count in (*_NUMBER_PARTS.values(), *_BLINDING_PARTS.values())
    )
    tables = windows.number(base)
    first, bits = _end(cs, tables.first, ends[0], ends[1])
    points, number, worth = [first], bits, 2
    for table, *digit in zip(tables.octal, low, high, v, strict=True):
        point, odd = _octal(cs, table, *digit)
        points.append(point)
        number = number + (odd + 7) * worth
        worth *= 8
    points += [
        _blinding(cs, table, u, v) for table, u, v in zip(windows.blinding(blinding_base), *of_blinding, strict=True)
    ]
    last, bits = _end(cs, tables.last, ends[2], ends[3])
    u, v_sum = _sum(cs, [*points, last])
    x = cs.unchecked_quotient(u, v_sum)
    cs.enforce(v_sum, x, u, "x = u / v")
    y = cs.unchecked_quotient(u - 1, u + 1)
    cs.enforce(u + 1, y, u - 1, "y = (u - 1) / (u + 1)")
    return cs.template(number + bits * (2 * worth), x, y)


def _chosen(
    cs: ConstraintSystem, low: LinearCombination, high: LinearCombination
) -> Callable[[Iterable[int]], LinearCombination]:
    """What takes from four constants the one that two bits choose, for nothing; the bits cost 3 constraints."""
    enforce_boolean(cs, low, "low bit of a window is 0 or 1")
    enforce_boolean(cs, high, "high bit of a window is 0 or 1")
    both = cs.multiply(low, high, "both bits of a window")
    return lambda constants: of_four([*constants], low, high, both)


def _end(
    cs: ConstraintSystem, table: Sequence[Point], low: LinearCombination, high: LinearCombination
) -> tuple[Pair, LinearCombination]:
    """The point that two bits choose, and their number."""
    chosen = _chosen(cs, low, high)
    return (chosen(u for u, _ in table), chosen(v for _, v in table)), low + high * 2


def _octal(
    cs: ConstraintSystem, table: Sequence[Point], low: LinearCombination, high: LinearCombination, v: LinearCombination
) -> tuple[Pair, LinearCombination]:
    """A digit's point, and the digit."""
    chosen = _chosen(cs, low, high)
    positive = chosen(v for _, v in table)
    cs.enforce(v - positive, v + positive, 0, "the point or its opposite")
    size_over_v = chosen(size * pow(v, -1, R) % R for size, (_, v) in zip((1, 3, 5, 7), table, strict=True))
    return (chosen(u for u, _ in table), v), cs.multiply(v, size_over_v, "the digit")


def _blinding(cs: ConstraintSystem, table: Sequence[Point], u: LinearCombination, v: LinearCombination) -> Pair:
    """The same point, which is one of a table or its opposite."""
    square = cs.multiply(u, u, "u^2")
    cube = cs.multiply(square, u, "u^3")
    (a, b), left, right, rest = windows.one_of_twelve([u for u, _ in table])
    sextic = cs.multiply(cube + square * a + u * b, cube, "polynomial of degree 6")

    def cubic(factors: Sequence[int]) -> LinearCombination:
        return u * factors[1] + square * factors[2] + cube * factors[3] + factors[0]

    cs.enforce(sextic + cubic(left), sextic + cubic(right), cubic(rest), "u of a digit")
    cs.enforce(v * MONTGOMERY_B, v, cube + square * MONTGOMERY_A + u, "the point or its opposite")
    return u, v


def _sum(cs: ConstraintSystem, points: Sequence[Pair]) -> Pair:
    """Sum of points, none of which is equal or opposite to the sum of those before."""
    u, v = points[0]
    for (slope, u_sum, v_sum), (u_next, v_next) in zip(cs.unchecked_chords(points), points[1:], strict=True):
        cs.enforce(u_next - u, slope, v_next - v, "slope of the chord")
        cs.enforce(slope * MONTGOMERY_B, slope, u + u_next + u_sum + MONTGOMERY_A, "u of the sum")
        cs.enforce(u - u_sum, slope, v + v_sum, "v of the sum")
        u, v = u_sum, v_sum
    return u, v


def add(cs: ConstraintSystem, p: Pair, q: Pair, label: str) -> Pair:
    """Sum of any two points of the curve, by the complete law of the Edwards form (6 constraints)."""
    (x1, y1), (x2, y2) = p, q
    with cs.scope(label):
        b = cs.multiply(x1, y2, "x1 y2")
        c = cs.multiply(y1, x2, "y1 x2")
        e = cs.multiply(y1 - x1.scaled(A), x2 + y2, "(y1 - a x1) (x2 + y2)")
        t = cs.multiply(b, c, "x1 x2 y1 y2").scaled(D)
        x3 = cs.unchecked_quotient(b + c, 1 + t)
        cs.enforce(x3, 1 + t, b + c, "x3")
        y_numerator = e + b.scaled(A) - c
        y3 = cs.unchecked_quotient(y_numerator, 1 - t)
        cs.enforce(y3, 1 - t, y_numerator, "y3")
    return x3, y3


def multiply(cs: ConstraintSystem, point: Pair, bits: Sequence[LinearCombination], label: str) -> Pair:
    """A point of the curve times the number with these Boolean bits, lowest first; complete for every input."""
    total: Pair = (cs.combination(0), cs.combination(1))
    with cs.scope(label):
        for bit in reversed(bits):
            total = add(cs, total, total, "double")
            x, y = point
            chosen = (cs.multiply(bit, x, "x or 0"), cs.multiply(bit, y - 1, "y or 1") + 1)
            total = add(cs, total, chosen, "add")
    return total


def enforce_on_curve(cs: ConstraintSystem, point: Pair, label: str) -> None:
    """The pair satisfies the curve's equation; the subgroup is another matter."""
    x, y = point
    with cs.scope(label):
        xx, yy = cs.multiply(x, x, "x^2"), cs.multiply(y, y, "y^2")
        cs.enforce(xx.scaled(D), yy, xx.scaled(A) + yy - 1, "a x^2 + y^2 = 1 + d x^2 y^2")
