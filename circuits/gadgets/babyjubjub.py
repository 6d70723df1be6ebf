"""Baby Jubjub in constraints: sums of fixed points times scalars, and a variable point times a scalar.

A sum of fixed-base products runs over windows of two bits in the Montgomery form of the curve, where an addition costs
three constraints but fails for equal or opposite points. To every window's table a multiple of a point ``O`` is added
whose logarithm nobody knows (hash-to-curve), so that the running sum and the next entry differ by a known non-zero
multiple of ``O``, up to multiples of the bases: a prover who made them meet would have found a logarithm between
hash-to-curve points, which would break the commitments as well. The first table takes the sum of all offsets off again.
The result is not the identity: there, and only there, no witness exists. The idea of offsets that keep incomplete
additions apart is that of Hopwood et al., Zcash protocol specification, section 5.4.1.7 (Pedersen hashes).
"""

from collections.abc import Sequence
from functools import lru_cache

from circuits.constraints import ConstraintSystem, LinearCombination
from circuits.gadgets.lookup import of_four
from zkcore import babyjubjub
from zkcore.babyjubjub import A, D, Point
from zkcore.bn254 import R
from zkcore.errors import Malformed

Pair = tuple[LinearCombination, LinearCombination]

# Montgomery form B v^2 = u^3 + A' u^2 + u of the same curve (Bernstein et al. 2008, theorem 3.2).
MONTGOMERY_A = 2 * (A + D) * pow(A - D, -1, R) % R
MONTGOMERY_B = 4 * pow(A - D, -1, R) % R

_OFFSET = babyjubjub.hash_to_curve(b"circuit offset O")


def to_montgomery(point: Point) -> Point:
    """(u, v) of a point other than those with x = 0."""
    x, y = point
    u = (1 + y) * pow(1 - y, -1, R) % R
    return u, u * pow(x, -1, R) % R


@lru_cache(maxsize=8)
def _tables(windows: tuple[Point, ...]) -> list[list[Point]]:
    """For each window's base the points 0 to 3 times the base, plus the window's offset, in Montgomery form."""
    offsets = [babyjubjub.multiply(_OFFSET, 1 << place) for place in range(1, len(windows))]
    total = babyjubjub.multiply(_OFFSET, (1 << len(windows)) - 2)
    return [
        [to_montgomery(babyjubjub.add(babyjubjub.multiply(base, digit), offset)) for digit in range(4)]
        for base, offset in zip(windows, [babyjubjub.negate(total), *offsets], strict=True)
    ]


def fixed_base_sum(
    cs: ConstraintSystem, products: Sequence[tuple[Point, Sequence[LinearCombination]]], label: str
) -> Pair:
    """Sum of constant points of the prime subgroup, each times the number with the given Boolean bits, lowest first.

    The bits must already be enforced Boolean. Costs 2 constraints a bit and 2 more.
    """
    windows: list[Point] = []
    digits: list[tuple[LinearCombination, LinearCombination]] = []
    for point, bits in products:
        base = point
        for place in range(0, len(bits), 2):
            windows.append(base)
            digits.append((bits[place], bits[place + 1] if place + 1 < len(bits) else cs.combination(0)))
            base = babyjubjub.multiply(base, 4)
    with cs.scope(label):
        total: Pair | None = None
        for table, (low, high) in zip(_tables(tuple(windows)), digits, strict=True):
            both = cs.multiply(low, high, "both bits of a window")
            entry = (
                of_four([u for u, _ in table], low, high, both),
                of_four([v for _, v in table], low, high, both),
            )
            total = entry if total is None else _add_montgomery(cs, total, entry)
        if total is None:
            raise Malformed("products", "there is nothing to add")
        u, v = total
        x = cs.unchecked_quotient(u, v)
        cs.enforce(x, v, u, "x = u / v")
        y = cs.unchecked_quotient(u - 1, u + 1)
        cs.enforce(y, u + 1, u - 1, "y = (u - 1) / (u + 1)")
    return x, y


def _add_montgomery(cs: ConstraintSystem, p: Pair, q: Pair) -> Pair:
    """Sum of two points that are neither equal nor opposite."""
    (u1, v1), (u2, v2) = p, q
    slope = cs.unchecked_quotient(v2 - v1, u2 - u1)
    cs.enforce(slope, u2 - u1, v2 - v1, "slope of the chord")
    u3 = cs.product_less(slope.scaled(MONTGOMERY_B), slope, u1 + u2 + MONTGOMERY_A, "u of the sum")
    return u3, cs.product_less(slope, u1 - u3, v1, "v of the sum")


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
