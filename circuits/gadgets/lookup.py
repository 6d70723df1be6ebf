"""Choosing from a table: by a one-hot selection, or from four constants by two bits."""

from collections.abc import Sequence

from circuits.constraints import ConstraintSystem, LinearCombination, Value
from circuits.gadgets.bits import enforce_boolean


def enforce_one_hot(cs: ConstraintSystem, selection: Sequence[LinearCombination], label: str) -> None:
    """Exactly one of the values is 1, the others are 0."""
    for value in selection:
        enforce_boolean(cs, value, f"{label}: each is 0 or 1")
    cs.enforce_equal(sum(selection, cs.combination(0)), 1, f"{label}: exactly one is chosen")


def selected(
    cs: ConstraintSystem, selection: Sequence[LinearCombination], table: Sequence[Value], label: str
) -> LinearCombination:
    """The entry of a table that a one-hot selection chooses."""
    entries = (cs.multiply(flag, entry, label) for flag, entry in zip(selection, table, strict=True))
    return sum(entries, cs.combination(0))


def of_four(
    table: Sequence[int], low: LinearCombination, high: LinearCombination, both: LinearCombination
) -> LinearCombination:
    """Entry ``low + 2 high`` of four constants, given the bits and their product; free."""
    zero, one, two, three = table
    return low.scaled(one - zero) + high.scaled(two - zero) + both.scaled(three - two - one + zero) + zero
