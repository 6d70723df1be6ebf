"""The submission log: an append-only Merkle log after RFC 6962 (Laurie, Langley, Kasper 2013, section 2.1).

Hashing is SHA-256 with one byte in front that keeps leaves (``0x00``) and inner nodes (``0x01``) apart, so no inner
node passes for an entry. A *head* ``(size, root)`` commits to the first ``size`` entries and their order; an inclusion
proof shows that an entry is the ``index``-th under a head, a consistency proof that a later head only appended to an
earlier one. Verification follows RFC 9162 (2021), sections 2.1.3.2 and 2.1.4.2. Security rests on collision resistance
of SHA-256 (128 bits). The log hides nothing: entries are published, and whoever serves two different logs is caught
only by comparing heads, which is why heads are anchored on the ledger.

Pure functions and one in-memory index; nothing here reads or writes files.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from zkcore.errors import OutOfRange, WrongLength

HASH_SIZE = 32
"""Bytes of a hash."""

CHUNK = 1024
"""Hashes in a piece of a level; full pieces are shared between a log and its copies."""

EMPTY_ROOT = sha256(b"").digest()
"""Root of the log that has no entries."""


@dataclass(frozen=True, slots=True)
class Head:
    """State of a log after ``size`` entries: ``root`` (32 bytes) commits to all of them, in order."""

    size: int
    root: bytes

    def __post_init__(self) -> None:
        _check_size("head.size", self.size)
        _check_hash("head.root", self.root)


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a log entry: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class MerkleLog:
    """Hashes of an append-only log, from which every past root and every proof follows in O(log size) hashes.

    Keeps, for each height k, the hashes of all complete subtrees of 2^k leaves, one after another: 64 bytes an entry.
    They lie in pieces of :data:`CHUNK` hashes, of which only the last ones change: a copy shares the others.

    Examples
    --------
    >>> log = MerkleLog([b"first", b"second"])
    >>> proof = log.inclusion_proof(1)
    >>> verify_inclusion(leaf_hash(b"second"), 1, log.head(), proof)
    True
    """

    def __init__(self, entries: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytearray]] = [[bytearray()]]
        self.extend(entries)

    @property
    def size(self) -> int:
        """Number of entries."""
        leaves = self._levels[0]
        return (len(leaves) - 1) * CHUNK + len(leaves[-1]) // HASH_SIZE

    def copy(self) -> "MerkleLog":
        """A log with the same entries, in the time that a few pieces take; others may be appended to it."""
        same = MerkleLog()
        same._levels = [[*pieces[:-1], bytearray(pieces[-1])] for pieces in self._levels]
        return same

    def append(self, entry: bytes) -> int:
        """Append an entry and return its index, counted from 0."""
        return self.append_hash(leaf_hash(entry))

    def extend(self, entries: Iterable[bytes]) -> None:
        """Append several entries in order."""
        self.extend_hashes(map(leaf_hash, entries))

    def append_hash(self, leaf: bytes) -> int:
        """Append an entry by its leaf hash (32 bytes), as a replica rebuilding its index does, and return its index."""
        index = self.size
        self.extend_hashes([leaf])
        return index

    def extend_hashes(self, leaves: Iterable[bytes]) -> None:
        """Append entries by their leaf hashes; many at once take a third of the time that they take one by one."""
        nodes = list(leaves)
        for leaf in nodes:
            _check_hash("leaf", leaf)
        before, height = self.size, 0
        while nodes:
            if height == len(self._levels):
                self._levels.append([bytearray()])
            self._add(height, b"".join(nodes))
            if before & 1:
                nodes.insert(0, self._node(height, before - 1))
            before >>= 1
            height += 1
            pairs = zip(nodes[::2], nodes[1::2], strict=False)  # the last may have none yet
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]  # node_hash without its call

    def leaf(self, index: int) -> bytes:
        """Leaf hash of the entry at ``index``."""
        _check_below("index", index, self.size)
        return self._node(0, index)

    def root(self, size: int | None = None) -> bytes:
        """Root over the first ``size`` entries (all when None). Raises OutOfRange for a size not reached yet."""
        return self._range_root(0, self._reached(size))

    def head(self, size: int | None = None) -> Head:
        """Head after ``size`` entries (all when None)."""
        size = self._reached(size)
        return Head(size, self._range_root(0, size))

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Audit path of the entry at ``index`` under the head of ``size`` entries, from the leaf up (section 2.1.1)."""
        size = self._reached(size)
        _check_below("index", index, size)
        path: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._range_root(middle, high))
                high = middle
            else:
                path.append(self._range_root(low, middle))
                low = middle
        path.reverse()
        return path

    def consistency_proof(self, first: int, second: int | None = None) -> list[bytes]:
        """Proof that the log of ``second`` entries begins with that of ``first`` entries (section 2.1.2).

        Empty when ``first`` is 0 or equals ``second``: then there is nothing to show beyond the heads themselves.
        """
        second = self._reached(second)
        _check_size("first", first)
        if first > second:
            raise OutOfRange("first", "an earlier head cannot have more entries than the later one")
        if first in (0, second):
            return []
        path: list[bytes] = []
        low, high, known = 0, second, True
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                path.append(self._range_root(middle, high))
                high = middle
            else:
                path.append(self._range_root(low, middle))
                low, known = middle, False
        if not known:
            path.append(self._range_root(low, high))
        path.reverse()
        return path

    def _node(self, height: int, position: int) -> bytes:
        piece, place = divmod(position, CHUNK)
        return bytes(self._levels[height][piece][place * HASH_SIZE : (place + 1) * HASH_SIZE])

    def _add(self, height: int, nodes: bytes) -> None:
        pieces, start = self._levels[height], 0
        while start < len(nodes):
            end = start + CHUNK * HASH_SIZE - len(pieces[-1])
            pieces[-1] += nodes[start:end]
            if len(pieces[-1]) == CHUNK * HASH_SIZE:
                pieces.append(bytearray())  # the full one is never written again, so copies may hold it
            start = end

    def _range_root(self, low: int, high: int) -> bytes:
        """Root of leaves low..high, where low is a multiple of the least power of two not below high - low."""
        if low == high:
            return EMPTY_ROOT
        # Complete subtrees from the right end to the left, smallest first, folded as section 2.1 nests them.
        result = b""
        while low < high:
            height = ((high - low) & -(high - low)).bit_length() - 1
            node = self._node(height, (high - 1) >> height)
            result = node_hash(node, result) if result else node
            high -= 1 << height
        return result

    def _reached(self, size: int | None) -> int:
        if size is None:
            return self.size
        _check_below("size", size, self.size + 1)
        return size


def root(entries: Iterable[bytes]) -> bytes:
    """Root of the log with these entries."""
    return MerkleLog(entries).root()


def verify_inclusion(leaf: bytes, index: int, head: Head, proof: Sequence[bytes]) -> bool:
    """Whether the entry with hash ``leaf`` is number ``index`` (from 0) of the log with this head.

    Raises
    ------
    OutOfRange
        ``index`` is not below the head's size.
    WrongLength
        A hash is not of 32 bytes, or the path has not the length that index and size determine.
    """
    _check_hash("leaf", leaf)
    _check_below("index", index, head.size)
    _check_path(proof)
    node, position, last = leaf, index, head.size - 1
    siblings = iter(proof)
    expected = 0
    while last:
        if position & 1 or position < last:
            expected += 1
            sibling = next(siblings, None)
            if sibling is None:
                raise WrongLength("proof", "the inclusion path is too short for this index and size")
            node = node_hash(sibling, node) if position & 1 else node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if expected != len(proof):
        raise WrongLength("proof", f"the inclusion path has {len(proof)} hashes instead of {expected}")
    return node == head.root


def verify_consistency(first: Head, second: Head, proof: Sequence[bytes]) -> bool:
    """Whether the log with head ``second`` begins with the log with head ``first``.

    Raises
    ------
    OutOfRange
        ``first`` has more entries than ``second``.
    WrongLength
        A hash is not of 32 bytes, or the proof has not the length that the sizes determine.
    """
    if first.size > second.size:
        raise OutOfRange("first.size", "an earlier head cannot have more entries than the later one")
    _check_path(proof)
    if first.size in (0, second.size):
        if proof:
            raise WrongLength("proof", "heads of these sizes need no consistency proof")
        return first.root == (EMPTY_ROOT if first.size == 0 else second.root)
    path = list(proof)
    position, last = first.size - 1, second.size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    # The subtree that both heads share is the earlier root itself when that root covers a power of two.
    path = path if position else [first.root, *path]
    if not path:
        raise WrongLength("proof", "the consistency proof is too short for these sizes")
    old = new = path[0]
    used = 1
    while last:
        if position & 1 or position < last:
            if used == len(path):
                raise WrongLength("proof", "the consistency proof is too short for these sizes")
            node = path[used]
            used += 1
            if position & 1:
                old, new = node_hash(node, old), node_hash(node, new)
            else:
                new = node_hash(new, node)
        position >>= 1
        last >>= 1
    if used != len(path):
        raise WrongLength("proof", "the consistency proof is too long for these sizes")
    return old == first.root and new == second.root


def _split(size: int) -> int:
    """Largest power of two smaller than ``size`` (which is at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_hash(part: str, value: bytes) -> None:
    if len(value) != HASH_SIZE:
        raise WrongLength(part, f"a hash has {HASH_SIZE} bytes, not {len(value)}")


def _check_path(proof: Sequence[bytes]) -> None:
    for position, value in enumerate(proof):
        _check_hash(f"proof[{position}]", value)


def _check_size(part: str, value: int) -> None:
    if value < 0:
        raise OutOfRange(part, "a log cannot have fewer than no entries")


def _check_below(part: str, value: int, bound: int) -> None:
    if not 0 <= value < bound:
        raise OutOfRange(part, f"{value} is not below {bound}")
