"""Append-only Merkle trees over Poseidon: fixed depth, empty leaves 0, parent = Poseidon(left, right).

A tree of depth 32 holds up to 2^32 leaves; only the nodes above present leaves are stored. A leaf is itself a Poseidon
hash of a different number of inputs, so that no inner node can pass as a leaf.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from zkcore import poseidon
from zkcore.bn254 import R
from zkcore.errors import OutOfRange
from zkcore.limbs import LIMBS, below, from_limbs, to_limbs

DEPTH = 32


@cache
def empty_root(height: int) -> int:
    """Root of a tree of this height without leaves."""
    return poseidon.hash([empty_root(height - 1)] * 2) if height else 0


@dataclass(frozen=True)
class MerklePath:
    """Where a leaf lies: its index and the sibling at each height, from the leaf's own up."""

    index: int
    siblings: tuple[int, ...]

    def root(self, leaf: int) -> int:
        """Root of the tree in which ``leaf`` lies at this place."""
        node = leaf
        for height, sibling in enumerate(self.siblings):
            node = poseidon.hash([sibling, node] if self.index >> height & 1 else [node, sibling])
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
            If the tree would hold more than ``2^depth`` leaves, or a leaf is not an element of the scalar field.
        """
        added = to_limbs(leaves, part="leaves")
        if not len(added):
            return
        if not below(added, R):
            raise OutOfRange("leaves", "a leaf is not an element of the scalar field")
        if self.size + len(added) > 1 << self.depth:
            raise OutOfRange("leaves", f"a tree of depth {self.depth} holds {1 << self.depth} leaves")
        first = self.size
        self._levels[0].write(first, added)
        for height in range(self.depth):
            first >>= 1
            children = self._levels[height].rows(2 * first)
            if len(children) % 2:
                children = np.concatenate([children, to_limbs([empty_root(height)])])
            self._levels[height + 1].write(first, poseidon.hash_rows(children.reshape(-1, 2, LIMBS)))

    def path(self, index: int) -> MerklePath:
        """Path of the leaf at ``index`` to the present root.

        Raises
        ------
        OutOfRange
            If there is no such leaf.
        """
        if not 0 <= index < self.size:
            raise OutOfRange("index", f"the tree has {self.size} leaves")
        siblings = []
        for height in range(self.depth):
            level, sibling = self._levels[height], index >> height ^ 1
            siblings.append(level[sibling] if sibling < level.size else empty_root(height))
        return MerklePath(index, tuple(siblings))
