"""The Merkle log against the values of Certificate Transparency's reference tests and RFC 6962's definitions."""

import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import log
from services.log import CHUNK, HASH_SIZE, Head, MerkleLog, leaf_hash, node_hash, verify_consistency, verify_inclusion
from zkcore.errors import OutOfRange, WrongLength

# Entries and roots of the reference implementation of RFC 6962 (google/certificate-transparency, merkletree tests).
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LARGEST = 33


def defined_root(entries: list[bytes]) -> bytes:
    """MTH of section 2.1, word for word."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return sha256(b"\x01" + defined_root(entries[:k]) + defined_root(entries[k:])).digest()


def defined_path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1, word for word."""
    if len(entries) == 1:
        return []
    k = 1
    while 2 * k < len(entries):
        k *= 2
    if m < k:
        return [*defined_path(m, entries[:k]), defined_root(entries[k:])]
    return [*defined_path(m - k, entries[k:]), defined_root(entries[:k])]


def defined_proof(m: int, entries: list[bytes], known: bool = True) -> list[bytes]:
    """SUBPROOF of section 2.1.2, word for word."""
    if m == len(entries):
        return [] if known else [defined_root(entries)]
    k = 1
    while 2 * k < len(entries):
        k *= 2
    if m <= k:
        return [*defined_proof(m, entries[:k], known), defined_root(entries[k:])]
    return [*defined_proof(m - k, entries[k:], False), defined_root(entries[:k])]


def entries_of(size: int) -> list[bytes]:
    return [b"entry %d" % i for i in range(size)]


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ (1 << bit % (8 * len(value)))).to_bytes(len(value), "big")


def test_reference_roots() -> None:
    grown = MerkleLog(ENTRIES)
    for size, expected in enumerate(ROOTS):
        assert log.root(ENTRIES[:size]).hex() == expected
        assert grown.root(size).hex() == expected
    assert grown.head() == Head(8, bytes.fromhex(ROOTS[8]))


def test_leaves_and_nodes_are_kept_apart() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert node_hash(left, right) != leaf_hash(left + right)


@pytest.mark.parametrize("size", range(1, LARGEST))
def test_every_proof_is_the_defined_one_and_verifies(size: int) -> None:
    entries = entries_of(size)
    grown = MerkleLog(entries_of(LARGEST))
    head = grown.head(size)
    assert head.root == defined_root(entries)
    for index in range(size):
        proof = grown.inclusion_proof(index, size)
        assert proof == defined_path(index, entries)
        assert verify_inclusion(leaf_hash(entries[index]), index, head, proof)
        assert grown.leaf(index) == leaf_hash(entries[index])
    for first in range(1, size + 1):
        proof = grown.consistency_proof(first, size)
        assert proof == defined_proof(first, entries)
        assert verify_consistency(grown.head(first), head, proof)
    assert verify_consistency(grown.head(0), head, grown.consistency_proof(0, size))


@pytest.mark.parametrize("size", range(1, 18))
def test_an_inclusion_proof_shows_one_place_only(size: int) -> None:
    grown = MerkleLog(entries_of(size))
    head = grown.head()
    for index in range(size):
        proof = grown.inclusion_proof(index)
        for other in set(range(size)) - {index}:
            try:
                assert not verify_inclusion(grown.leaf(index), other, head, proof)
            except WrongLength:
                assert len(grown.inclusion_proof(other)) != len(proof)
        assert not verify_inclusion(leaf_hash(b"never appended"), index, head, proof)
        assert not verify_inclusion(grown.leaf(index), index, Head(size, flipped(head.root, 3)), proof)


@pytest.mark.parametrize("size", range(2, 18))
def test_a_rewritten_history_is_not_consistent(size: int) -> None:
    grown = MerkleLog(entries_of(size))
    for first in range(1, size):
        proof = grown.consistency_proof(first)
        for changed in range(first):
            entries = entries_of(size)
            entries[changed] = b"changed"
            forged = MerkleLog(entries)
            assert not verify_consistency(grown.head(first), forged.head(), forged.consistency_proof(first))
            assert not verify_consistency(forged.head(first), grown.head(), proof)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 200), st.data())
def test_every_tampered_hash_is_noticed(size: int, data: st.DataObject) -> None:
    grown = MerkleLog(entries_of(size))
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size - 1))
    bit = data.draw(st.integers(0, 255))
    proof = grown.inclusion_proof(index)
    for place in range(len(proof)):
        bad = [flipped(h, bit) if i == place else h for i, h in enumerate(proof)]
        assert not verify_inclusion(grown.leaf(index), index, grown.head(), bad)
    proof = grown.consistency_proof(first)
    for place in range(len(proof)):
        bad = [flipped(h, bit) if i == place else h for i, h in enumerate(proof)]
        assert not verify_consistency(grown.head(first), grown.head(), bad)


def test_paths_of_a_wrong_length_are_refused() -> None:
    grown = MerkleLog(entries_of(11))
    path = grown.inclusion_proof(4)
    for bad in (path[:-1], [*path, path[0]], [], [*path[:-1], path[-1][:-1]]):
        with pytest.raises(WrongLength):
            verify_inclusion(grown.leaf(4), 4, grown.head(), bad)
    for first in (1, 4, 5, 8, 10):
        proof = grown.consistency_proof(first)
        for bad in (proof[:-1], [*proof, proof[0]], [], [*proof[:-1], proof[-1] + b"\0"]):
            with pytest.raises(WrongLength):
                verify_consistency(grown.head(first), grown.head(), bad)
    for first in (0, 11):
        with pytest.raises(WrongLength):
            verify_consistency(grown.head(first), grown.head(), path)


def test_numbers_out_of_range_are_refused() -> None:
    grown = MerkleLog(entries_of(5))
    for call in (
        lambda: grown.root(6),
        lambda: grown.root(-1),
        lambda: grown.leaf(5),
        lambda: grown.inclusion_proof(5),
        lambda: grown.inclusion_proof(3, 3),
        lambda: grown.inclusion_proof(-1),
        lambda: grown.consistency_proof(4, 3),
        lambda: grown.consistency_proof(-1),
        lambda: grown.consistency_proof(2, 6),
        lambda: Head(-1, bytes(32)),
        lambda: verify_inclusion(grown.leaf(0), 5, grown.head(), []),
        lambda: verify_inclusion(log.EMPTY_ROOT, 0, Head(0, log.EMPTY_ROOT), []),
        lambda: verify_consistency(grown.head(5), grown.head(4), []),
    ):
        with pytest.raises(OutOfRange):
            call()
    for call in (lambda: Head(1, bytes(31)), lambda: grown.append_hash(bytes(33))):
        with pytest.raises(WrongLength):
            call()


def test_equal_sizes_must_have_equal_roots() -> None:
    grown = MerkleLog(entries_of(5))
    assert verify_consistency(grown.head(), grown.head(), [])
    assert not verify_consistency(grown.head(), Head(5, bytes(32)), [])
    assert not verify_consistency(Head(0, bytes(32)), grown.head(), [])


def test_replica_from_leaf_hashes_is_the_same_log() -> None:
    grown = MerkleLog(entries_of(21))
    replica = MerkleLog()
    for index in range(21):
        assert replica.append_hash(grown.leaf(index)) == index
    assert replica.head() == grown.head()
    assert grown.append(b"entry 21") == 21
    assert grown.size == 22


def test_copies_share_what_is_full_and_go_their_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "CHUNK", 4)
    for size in range(40):
        entries = entries_of(size)
        grown = MerkleLog(entries)
        one, other = grown.copy(), grown.copy()
        for index in range(9):
            one.append(b"one %d" % index)
            other.append(b"other %d" % index)
        for changed, name in ((one, b"one"), (other, b"other")):
            every = [*entries, *(name + b" %d" % index for index in range(9))]
            assert changed.size == size + 9
            assert [changed.root(n) for n in range(size + 10)] == [defined_root(every[:n]) for n in range(size + 10)]
        assert grown.head() == MerkleLog(entries).head()


def test_a_copy_of_a_long_log_takes_little_memory() -> None:
    grown = MerkleLog()
    grown.extend_hashes([leaf_hash(b"")] * (20 * CHUNK))
    tracemalloc.start()
    same = grown.copy()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert same.head() == grown.head()
    assert taken < 4 * CHUNK * HASH_SIZE < 40 * CHUNK * HASH_SIZE  # of which the log itself holds the last number


@given(st.lists(st.integers(0, 23), max_size=6))
def test_many_at_once_are_the_same_as_one_by_one(counts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "CHUNK", 4)
        entries = entries_of(sum(counts))
        single, several = MerkleLog(), MerkleLog()
        for count in counts:
            several.extend(entries[several.size : several.size + count])
            assert several.root() == defined_root(entries[: several.size])
        for entry in entries:
            single.append(entry)
        size = single.size
        assert size == several.size and single.head() == several.head()
        assert [single.leaf(i) for i in range(size)] == [several.leaf(i) for i in range(size)]
        for index in range(size):
            assert single.inclusion_proof(index) == several.inclusion_proof(index)
        with pytest.raises(WrongLength):
            several.extend_hashes([bytes(32), bytes(31)])
        assert several.head() == single.head()  # all or none
