"""Pedersen commitments on Baby Jubjub (Pedersen 1991): value * G + blinding * H.

Perfectly hiding for a blinding uniform below the subgroup's order; binding as long as nobody knows the logarithm of
``H`` to the base ``G``, which hash-to-curve takes care of. Not constant-time in value and blinding.
"""

from zkcore import babyjubjub

G = babyjubjub.GENERATOR
H = babyjubjub.hash_to_curve(b"Pedersen H")


def commit(value: int, blinding: int) -> babyjubjub.Point:
    """Commitment to an integer, taken modulo the subgroup's order, with a blinding in ``[0, ORDER)``."""
    return babyjubjub.add(babyjubjub.multiply(G, value), babyjubjub.multiply(H, blinding))
