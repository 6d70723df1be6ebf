"""Append-only Merkle trees over Poseidon: fixed depth, empty leaves 0, parent = Poseidon(its five children).

Five children make a path in a circuit cheapest among the numbers of children that no leaf's hash has as its number of
inputs (6 to 16, see :mod:`circuits.record`), so that no inner node can pass as a leaf. A tree of depth 14 holds 5^14
leaves, more than 2^32; only the nodes above present leaves are stored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from zkcore import poseidon
from zkcore.bn254 import R
from zkcore.errors import OutOfRange
from zkcore.limbs import LIMBS, below, from_limbs, to_limbs

ARITY = 5
DEPTH = 14
SIBLINGS = ARITY - 1


@cache
def empty_root(height: int) -> int:
    """Root of a tree of this height without leaves."""
    return poseidon.hash([empty_root(height - 1)] * ARITY) if height else 0


@dataclass(frozen=True)
class MerklePath:
    """Where a leaf lies: its index, and its siblings and its ancestors', four at each height from the leaf's own up."""

    index: int
    siblings: tuple[int, ...]

    def families(self, leaf: int) -> Iterator[list[int]]:
        """At each height, from the leaf's own up, the ancestor of ``leaf`` among its siblings, in the tree's order."""
        node, place = leaf, self.index
        for start in range(0, len(self.siblings), SIBLINGS):
            family = list(self.siblings[start : start + SIBLINGS])
            family.insert(place % ARITY, node)
            yield family
            node, place = poseidon.hash(family), place // ARITY

    def root(self, leaf: int) -> int:
        """Root of the tree in which ``leaf`` lies at this place."""
        node = leaf
        for family in self.families(leaf):
            node = poseidon.hash(family)
        return node


class _Level:
    """The nodes of one height: an array of canonical elements that grows at its end."""

    def __init__(self) -> None:
        self._rows = np.empty((1, LIMBS), np.uint64)
        self.size = 0

    def write(self, first: int, rows: NDArray[np.uint64]) -> None:
        """Let the nodes from ``first`` on be ``rows``."""
        self.size = first + len(rows)
        if self.size > len(self._rows):
            grown = np.empty((max(self.size, 2 * len(self._rows)), LIMBS), np.uint64)
            grown[:first] = self._rows[:first]
            self._rows = grown
        self._rows[first : self.size] = rows

    def rows(self, first: int) -> NDArray[np.uint64]:
        return self._rows[first : self.size]

    def __getitem__(self, index: int) -> int:
        return from_limbs(self._rows[index])[0]


class MerkleTree:
    """A growing tree.

    Parameters
    ----------
    depth
        Number of levels above the leaves.
    """

    def __init__(self, depth: int = DEPTH) -> None:
        self.depth = depth
        self._levels = [_Level() for _ in range(depth + 1)]

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._levels[0].size

    @property
    def root(self) -> int:
        """Root over all leaves."""
        return self._levels[self.depth][0] if self.size else empty_root(self.depth)

    def append(self, leaf: int) -> int:
        """Add a leaf and return its index."""
        self.extend([leaf])
        return self.size - 1

    def extend(self, leaves: Iterable[int]) -> None:
        """Add leaves in order; each inner node above them is hashed once.

        Raises
        ------
        OutOfRange
            If the tree would hold more than ``5^depth`` leaves, or a leaf is not an element of the scalar field.
        """
        added = to_limbs(leaves, part="leaves")
        if not len(added):
            return
        if not below(added, R):
            raise OutOfRange("leaves", "a leaf is not an element of the scalar field")
        if self.size + len(added) > ARITY**self.depth:
            raise OutOfRange("leaves", f"a tree of depth {self.depth} holds {ARITY**self.depth} leaves")
        first = self.size
        self._levels[0].write(first, added)
        for height in range(self.depth):
            first //= ARITY
            children = self._levels[height].rows(ARITY * first)
            if missing := -len(children) % ARITY:
                children = np.concatenate([children, to_limbs([empty_root(height)] * missing)])
            self._levels[height + 1].write(first, poseidon.hash_rows(children.reshape(-1, ARITY, LIMBS)))

    def path(self, index: int) -> MerklePath:
        """Path of the leaf at ``index`` to the present root.

        Raises
        ------
        OutOfRange
            If there is no such leaf.
        """
        if not 0 <= index < self.size:
            raise OutOfRange("index", f"the tree has {self.size} leaves")
        siblings, at = [], index
        for height in range(self.depth):
            level, first = self._levels[height], at - at % ARITY
            siblings += [
                level[place] if place < level.size else empty_root(height)
                for place in range(first, first + ARITY)
                if place != at
            ]
            at //= ARITY
        return MerklePath(index, tuple(siblings))
