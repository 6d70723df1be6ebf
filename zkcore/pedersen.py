"""Pedersen commitments on Baby Jubjub (Pedersen 1991): value * G + blinding * H.

Perfectly hiding for a blinding uniform below the subgroup's order; binding as long as nobody knows the logarithm of
``H`` to the base ``G``, which hash-to-curve takes care of. The work is the same for every value and blinding; the
conversion of Python's integers is not constant-time.
"""

from functools import cache

from zkcore import babyjubjub

G = babyjubjub.GENERATOR
H = babyjubjub.hash_to_curve(b"Pedersen H")


@cache
def _bases() -> babyjubjub.FixedBases:
    return babyjubjub.FixedBases([G, H])


def commit(value: int, blinding: int) -> babyjubjub.Point:
    """Commitment to an integer, taken modulo the subgroup's order, with a blinding in ``[0, ORDER)``."""
    return _bases().combine([value, blinding])
