"""Bits of a number, ranges and Boolean values."""

from collections.abc import Sequence

from circuits.constraints import ConstraintSystem, LinearCombination, Value
from zkcore.bn254 import R
from zkcore.errors import OutOfRange


def enforce_boolean(cs: ConstraintSystem, value: LinearCombination, label: str) -> None:
    """The value is 0 or 1."""
    cs.enforce(value, value - 1, 0, label)


def from_bits(cs: ConstraintSystem, bits: Sequence[LinearCombination]) -> LinearCombination:
    """The number with these bits, lowest first."""
    return sum((bit.scaled(1 << place) for place, bit in enumerate(bits)), cs.combination(0))


def to_bits(cs: ConstraintSystem, value: Value, count: int, label: str) -> list[LinearCombination]:
    """The bits of a value, lowest first, which is thereby shown to be below ``2^count``.

    ``count`` is at most 253, so that a value has one decomposition only: two would differ by a multiple of the modulus.
    """
    if not 0 < count < R.bit_length():
        raise OutOfRange("count", "a decomposition of 1 to 253 bits is unique; others are not")
    bits = cs.unchecked_bits(value, count)
    for bit in bits:
        enforce_boolean(cs, bit, f"{label}: a bit is 0 or 1")
    cs.enforce_equal(from_bits(cs, bits), value, f"{label} is below 2^{count}")
    return bits
