"""Baby Jubjub in constraints: sums of fixed points times scalars, and a variable point times a scalar.

A sum of fixed-base products runs over windows in the Montgomery form of the curve, where an addition costs three
constraints but fails for equal or opposite points. There are two kinds of windows.

* *Numbers*, whose bits the circuit knows: two bits choose one of four constant points.
* *Blindings*, which may be any scalar, and whose value no other constraint uses: a digit of ±1, ±3, ±5 or ±7 in base 8.
  Two bits choose its size; the sign needs no wire, since (v - V) (v + V) = 0 lets the prover have the constant point
  (u, V) or its opposite (u, -V). A blinding costs 7 constraints for 3 bits, its bits' own included.

To every window of a number a multiple of a point ``O`` is added whose logarithm nobody knows (hash-to-curve): 2^i O to
window i > 0, and to window 0 what takes the sum of all these off again. Blindings come right after window 0. So the
running sum and the next point have different multiples of ``O`` in them, and before the last window not opposite ones
either: a prover who made the points meet would have found a relation between ``O`` and the bases, which would break the
commitments as well. At the last window the points are opposite if the result is the identity; there, and only there, no
witness exists. Offsets that keep incomplete additions apart, and signed windows, are ideas of Hopwood et al., Zcash
protocol specification, section 5.4.1.7 (Pedersen hashes).
"""

from collections.abc import Sequence
from functools import lru_cache

from circuits.constraints import ConstraintSystem, LinearCombination
from circuits.gadgets.bits import enforce_boolean
from circuits.gadgets.lookup import of_four
from zkcore import babyjubjub
from zkcore.babyjubjub import ORDER, A, D, Point
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength

Pair = tuple[LinearCombination, LinearCombination]

# Montgomery form B v^2 = u^3 + A' u^2 + u of the same curve (Bernstein et al. 2008, theorem 3.2).
MONTGOMERY_A = 2 * (A + D) * pow(A - D, -1, R) % R
MONTGOMERY_B = 4 * pow(A - D, -1, R) % R

BLINDING_DIGITS = 84
assert ORDER < 8**BLINDING_DIGITS

_OFFSET = babyjubjub.hash_to_curve(b"circuit offset O")


def to_montgomery(point: Point) -> Point:
    """(u, v) of a point other than those with x = 0."""
    x, y = point
    u = (1 + y) * pow(1 - y, -1, R) % R
    return u, u * pow(x, -1, R) % R


@lru_cache(maxsize=8)
def _powers_of_four(point: Point, count: int) -> list[Point]:
    """The point times 4^0, 4^1, ..."""
    return [babyjubjub.multiply(point, 4**place) for place in range(count)]


@lru_cache(maxsize=8)
def _number_tables(windows: tuple[Point, ...]) -> list[list[Point]]:
    """For each window's base the points 0 to 3 times the base, plus the window's offset, in Montgomery form."""
    offsets = [babyjubjub.multiply(_OFFSET, 1 << place) for place in range(1, len(windows))]
    total = babyjubjub.multiply(_OFFSET, (1 << len(windows)) - 2)
    tables = []
    for base, offset in zip(windows, [babyjubjub.negate(total), *offsets], strict=True):
        points = [offset]
        for _ in range(3):
            points.append(babyjubjub.add(points[-1], base))
        tables.append([to_montgomery(point) for point in points])
    return tables


@lru_cache(maxsize=8)
def _blinding_tables(base: Point) -> list[list[Point]]:
    """For each digit's place the points 1, 3, 5 and 7 times 8^place times the base, in Montgomery form."""
    tables = []
    for _ in range(BLINDING_DIGITS):
        twice = babyjubjub.add(base, base)
        points = [base]
        for _ in range(3):
            points.append(babyjubjub.add(points[-1], twice))
        tables.append([to_montgomery(point) for point in points])
        base = babyjubjub.add(points[-1], base)
    return tables


def blinding_inputs(name: str, base: Point, scalar: int) -> dict[str, int | Sequence[int]]:
    """Values of the private inputs of :func:`fixed_base_sum` that blind with a scalar in ``[0, ORDER)``.

    Raises
    ------
    OutOfRange
        If the scalar is not in its domain.
    """
    if not 0 <= scalar < ORDER:
        raise OutOfRange(name, "not below the subgroup's order")
    # Sums of digits are odd, and digit = 2 m - 7 for an ordinary digit m in base 8 of the shifted half.
    odd = scalar if scalar % 2 else scalar - ORDER
    shifted = (odd + 8**BLINDING_DIGITS - 1) // 2
    sizes, ordinates = [], []
    for place, table in enumerate(_blinding_tables(base)):
        digit = 2 * (shifted >> 3 * place & 7) - 7
        size = abs(digit) >> 1
        sizes.append(size)
        v = table[size][1]
        ordinates.append(v if digit > 0 else R - v)
    return {
        f"{name}.low": [size & 1 for size in sizes],
        f"{name}.high": [size >> 1 for size in sizes],
        f"{name}.v": ordinates,
    }


def fixed_base_sum(
    cs: ConstraintSystem,
    numbers: Sequence[tuple[Point, Sequence[LinearCombination]]],
    blindings: Sequence[tuple[Point, str]],
    label: str,
) -> Pair:
    """Sum of constant points of the prime subgroup times numbers and blindings.

    Parameters
    ----------
    numbers
        Each point with the bits of its number, lowest first, already enforced Boolean; at least three bits in all.
        Costs 2 constraints a bit.
    blindings
        Each point with the name of a blinding, which may be any scalar; see :func:`blinding_inputs`. Costs 588
        constraints.
    label
        Scope of the constraints.

    Raises
    ------
    WrongLength
        If the numbers take fewer than two windows: the offset would not keep points apart.
    """
    windows: list[Point] = []
    digits: list[tuple[LinearCombination, LinearCombination]] = []
    for point, bits in numbers:
        windows += _powers_of_four(point, (len(bits) + 1) // 2)
        for place in range(0, len(bits), 2):
            digits.append((bits[place], bits[place + 1] if place + 1 < len(bits) else cs.combination(0)))
    if len(windows) < 2:
        raise WrongLength("numbers", "a sum takes at least two windows")
    with cs.scope(label):
        entries = [_entry(cs, *window) for window in zip(_number_tables(tuple(windows)), digits, strict=True)]
        entries[1:1] = [entry for point, name in blindings for entry in _blinding(cs, point, name)]
        total = entries[0]
        for entry in entries[1:]:
            total = _add_montgomery(cs, total, entry)
        u, v = total
        x = cs.unchecked_quotient(u, v)
        cs.enforce(x, v, u, "x = u / v")
        y = cs.unchecked_quotient(u - 1, u + 1)
        cs.enforce(y, u + 1, u - 1, "y = (u - 1) / (u + 1)")
    return x, y


def _entry(cs: ConstraintSystem, table: list[Point], digit: Pair) -> Pair:
    """The point of a table that two bits choose."""
    both = cs.multiply(*digit, "both bits of a window")
    return of_four([u for u, _ in table], *digit, both), of_four([v for _, v in table], *digit, both)


def _blinding(cs: ConstraintSystem, base: Point, name: str) -> list[Pair]:
    """The points, one a digit, of the base times a scalar of the prover's choice."""
    declared = [cs.privates(f"{name}.{part}", BLINDING_DIGITS) for part in ("low", "high", "v")]
    entries = []
    for table, low, high, v in zip(_blinding_tables(base), *declared, strict=True):
        enforce_boolean(cs, low, "low bit of a digit's size is 0 or 1")
        enforce_boolean(cs, high, "high bit of a digit's size is 0 or 1")
        u, positive = _entry(cs, table, (low, high))
        cs.enforce(v - positive, v + positive, 0, "the point or its opposite")
        entries.append((u, v))
    return entries


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
