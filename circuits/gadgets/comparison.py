"""Order of bounded integers, and equality."""

from circuits.constraints import ConstraintSystem, LinearCombination, Value
from circuits.gadgets.bits import to_bits


def at_least(cs: ConstraintSystem, a: Value, b: Value, bits: int, label: str) -> LinearCombination:
    """1 if a >= b as integers, else 0, for a in ``[0, 2^bits)``.

    a - b + 2^bits is decomposed into bits + 1 bits, whose highest is the answer. That alone forces b into
    ``(a - 2^bits, a + 2^bits]`` modulo the field, where the answer is right; so b needs no range check of its own, and
    a b of ``2^bits`` is reached by no a.
    """
    return to_bits(cs, cs.combination(a) - b + (1 << bits), bits + 1, label)[bits]


def is_equal(cs: ConstraintSystem, a: Value, b: Value, label: str) -> LinearCombination:
    """1 if a = b, else 0.

    With d = a - b: flag * d = 0 makes the flag 0 unless d = 0; q * d = 1 - flag, for a q of the prover's, makes it 1 if
    d = 0. The quotient q is free when d = 0, and means nothing then.
    """
    difference = cs.combination(a) - b
    flag = cs.unchecked_is_zero(difference)
    quotient = cs.unchecked_quotient(1 - flag, difference)
    cs.enforce(flag, difference, 0, f"{label}: not said equal when different")
    cs.enforce(quotient, difference, 1 - flag, f"{label}: not said different when equal")
    return flag
