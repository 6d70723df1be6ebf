"""Merkle trees against hashing all leaves of a small tree level by level."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import poseidon
from zkcore.bn254 import R
from zkcore.errors import OutOfRange
from zkcore.merkle import ARITY, DEPTH, MerklePath, MerkleTree, empty_root

SMALL = 3
leaves = st.lists(st.integers(0, R - 1), max_size=40)


def whole_root(values: list[int]) -> int:
    level = values + [0] * (ARITY**SMALL - len(values))
    while len(level) > 1:
        level = [poseidon.hash(level[i : i + ARITY]) for i in range(0, len(level), ARITY)]
    return level[0]


@given(leaves, st.lists(st.integers(0, 40), max_size=4))
@settings(deadline=None, max_examples=30)
def test_growing_in_parts(values: list[int], cuts: list[int]) -> None:
    tree, at = MerkleTree(SMALL), 0
    for cut in [*sorted(min(cut, len(values)) for cut in cuts), len(values)]:
        tree.extend(values[at:cut])
        at = cut
        assert tree.root == whole_root(values[:cut])
        assert tree.size == cut
    for index, leaf in enumerate(values):
        path = tree.path(index)
        assert len(path.siblings) == 4 * SMALL
        assert path.root(leaf) == tree.root


def test_append() -> None:
    tree = MerkleTree(SMALL)
    assert [tree.append(value) for value in (7, 8, 9)] == [0, 1, 2]
    assert tree.root == whole_root([7, 8, 9])


def test_ordinary_depth() -> None:
    tree = MerkleTree()
    assert ARITY**DEPTH > 1 << 32
    assert tree.root == empty_root(DEPTH)
    tree.extend(range(1, 1001))
    for index in (0, 1, 500, 999):
        assert tree.path(index).root(index + 1) == tree.root


def test_every_part_of_a_path_matters() -> None:
    tree = MerkleTree(SMALL)
    tree.extend([11, 12, 13, 14, 15])
    path = tree.path(2)
    assert path.root(12) != tree.root
    for index in {*range(ARITY**SMALL)} - {2}:
        assert MerklePath(index, path.siblings).root(13) != tree.root
    for place in range(4 * SMALL):
        changed = list(path.siblings)
        changed[place] = (changed[place] + 1) % R
        assert MerklePath(2, tuple(changed)).root(13) != tree.root


def test_refusals() -> None:
    tree = MerkleTree(1)
    tree.extend([1, 2, 3, 4])
    root = tree.root
    for extra in ([5, 6], [R], [-1], [2**256]):
        with pytest.raises(OutOfRange):
            tree.extend(extra)
        assert (tree.root, tree.size) == (root, 4)
    tree.append(5)
    for index in (-1, 5):
        with pytest.raises(OutOfRange):
            tree.path(index)
