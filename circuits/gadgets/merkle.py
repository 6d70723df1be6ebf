"""A leaf's path in a Poseidon Merkle tree, as :class:`zkcore.merkle.MerklePath`."""

from collections.abc import Sequence

from circuits.constraints import ConstraintSystem, LinearCombination
from circuits.gadgets import poseidon
from circuits.gadgets.bits import enforce_boolean


def root(
    cs: ConstraintSystem,
    leaf: LinearCombination,
    index_bits: Sequence[LinearCombination],
    siblings: Sequence[LinearCombination],
) -> LinearCombination:
    """Root of the tree in which ``leaf`` lies at the place with these index bits, lowest first."""
    node = leaf
    for bit, sibling in zip(index_bits, siblings, strict=True):
        enforce_boolean(cs, bit, "a bit of the index is 0 or 1")
        left = node + cs.multiply(bit, sibling - node, "which side the node is on")
        node = poseidon.hash(cs, [left, node + sibling - left], "parent")
    return node
