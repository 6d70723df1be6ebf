"""A leaf's path in a Poseidon Merkle tree, as :class:`zkcore.merkle.MerklePath`."""

from collections.abc import Sequence

from circuits.constraints import ConstraintSystem, LinearCombination
from circuits.gadgets import poseidon
from zkcore.merkle import ARITY


def root(cs: ConstraintSystem, leaf: LinearCombination, families: Sequence[LinearCombination]) -> LinearCombination:
    """Root of the tree in which ``leaf`` lies, at a place of the prover's choice.

    ``families`` are five wires a level, the children of one node: see :meth:`zkcore.merkle.MerklePath.families`. Four
    constraints a level say that the node reached so far is one of them.
    """
    node = leaf
    for start in range(0, len(families), ARITY):
        family = families[start : start + ARITY]
        product = family[0] - node
        for child in family[1:-1]:
            product = cs.multiply(child - node, product, "differences of the node and the children")
        cs.enforce(family[-1] - node, product, 0, "the node is one of the children")
        node = poseidon.hash(cs, family, "parent")
    return node
