"""A leaf's path in a Poseidon Merkle tree, as :class:`zkcore.merkle.MerklePath`."""

from collections.abc import Sequence

from circuits.constraints import ConstraintSystem, LinearCombination
from circuits.gadgets import poseidon
from zkcore import poseidon as plain_poseidon
from zkcore.bn254 import R
from zkcore.merkle import MerklePath


def left_children(leaf: int, path: MerklePath) -> list[int]:
    """At each height, from the leaf's own up, the left one of the leaf's ancestor and its sibling."""
    node = leaf
    lefts = []
    for height, sibling in enumerate(path.siblings):
        left = sibling if path.index >> height & 1 else node
        lefts.append(left)
        node = plain_poseidon.hash([left, (node + sibling - left) % R])
    return lefts


def root(
    cs: ConstraintSystem,
    leaf: LinearCombination,
    lefts: Sequence[LinearCombination],
    siblings: Sequence[LinearCombination],
) -> LinearCombination:
    """Root of the tree in which ``leaf`` lies under these siblings, at a place of the prover's choice.

    One constraint a level says that the node or its sibling is the left child; the other one is what their sum leaves.
    """
    node = leaf
    for left, sibling in zip(lefts, siblings, strict=True):
        cs.enforce(left - node, left - sibling, 0, "the left child is the node or its sibling")
        node = poseidon.hash(cs, [left, node + sibling - left], "parent")
    return node
