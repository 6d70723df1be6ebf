"""Verification of many Groth16 proofs at once, naming every one that is bad.

Proofs (A_i, B_i, C_i) of one key with inputs x_i hold, but for a chance of 2^-128, when for random weights w_i

    product of e(w_i A_i, B_i) = e(sum w_i alpha, beta) e(sum w_i L_i, gamma) e(sum w_i C_i, delta)

(small exponents test; Bellare, Garay and Rabin 1998), because all points were checked to lie in groups of prime order.
So a proof costs one Miller loop, and a batch three more and one final exponentiation. Where the processor has the
lanes, eight proofs go through each instruction; several share the squarings of one loop. A batch that fails is halved
until every bad item is found.

A weight is the sum of d_i 4^i for i < 32. Each d_i is one of sixteen numbers of Z[lambda], a residue each modulo 4: 0,
the six units +-lambda^k, 2 lambda^k and (1 - lambda) times the units, for lambda the cube root of 1 modulo r by which
the endomorphism (x, y) -> (beta x, y) multiplies G1 (Gallant, Lambert and Vanstone 2001). So 128 random bits give 2^128
different numbers there; digits have absolute values up to 2, hence the difference of two has a norm below 2^129 < r,
and they differ modulo r. They are drawn from :mod:`secrets`.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import compress, islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import P, R
from zkcore.cpu import BACKEND
from zkcore.errors import OutOfRange, Refused, WrongLength
from zkcore.field import fp
from zkcore.field_lanes import WIDTH, fp_lanes
from zkcore.groth16.batch_kernels import run
from zkcore.groth16.keys import PROOF_BYTES, Proof
from zkcore.limbs import below, from_limbs, limbs_of_bytes, to_limbs
from zkcore.pairing import NOTHING_FIXED
from zkcore.registers import aligned
from zkcore.tasks import pool, together

if TYPE_CHECKING:
    from zkcore.groth16.verifier import PreparedVerifyingKey

Rows = NDArray[np.uint64]
Indices = NDArray[np.int64]
_Proof = Proof | bytes
_Public = Sequence[int] | bytes
_Item = tuple["PreparedVerifyingKey", _Proof, _Public]

_NUMBER = fp_lanes if BACKEND == "avx512ifma" else fp
_CHUNK = WIDTH * 8
"""Items that share Miller loops: eight in each of eight lanes."""
_SPAN = 4 * _CHUNK
"""Items that a thread takes at most at a time: for its Python part it has the interpreter to itself."""
_BLOCK = 64 * _CHUNK
"""Items that share one final exponentiation, and memory."""

_LANES = np.arange(_NUMBER.lanes, dtype=np.uint64)

_BYTES_ORDER = [0, 1, 3, 2, 5, 4, 6, 7]
"""Where a proof's bytes have a.x a.y b.x0 b.x1 b.y0 b.y1 c.x c.y: they begin with the imaginary part."""


class _Column(Sequence[bytes]):
    """Entries of ``width`` bytes each, laid one after the other: as many rows of limbs without a copy of each."""

    def __init__(self, data: bytes, width: int, count: int) -> None:
        self.data = data
        self.width = width
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, chosen: int) -> bytes: ...
    @overload
    def __getitem__(self, chosen: slice) -> "_Column": ...
    def __getitem__(self, chosen: int | slice) -> "bytes | _Column":
        if isinstance(chosen, int):
            at = range(self._count)[chosen] * self.width
            return self.data[at : at + self.width]
        rows = range(self._count)[chosen]
        return _Column(self.data[rows.start * self.width : rows.stop * self.width], self.width, len(rows))


@dataclass(frozen=True)
class _Group:
    """Items of one key, column by column: their places in the stream, proofs, inputs."""

    key: "PreparedVerifyingKey"
    indices: Indices
    proofs: Sequence[_Proof]
    publics: Sequence[_Public]

    def cut(self, chosen: slice) -> "_Group":
        return _Group(self.key, self.indices[chosen], self.proofs[chosen], self.publics[chosen])

    def in_range(self) -> "_Group":
        """The items whose numbers are in range, and as many as there must be."""
        good = [_in_range(self.key, *item) for item in zip(self.proofs, self.publics, strict=True)]
        proofs, publics = list(compress(self.proofs, good)), list(compress(self.publics, good))
        return _Group(self.key, self.indices[good], proofs, publics)


@dataclass(frozen=True)
class _Part:
    """Items of one key, the outcome ``uint64[1, 15, 4]`` of their weighted loops, and the weights' sums with inputs."""

    indices: Indices
    proofs: Rows
    publics: Rows
    outcome: Rows
    scalars: list[int]

    def singles(self) -> "list[_Part]":
        """The same items, each a part of its own, with new weights."""
        _, outcomes, sums = _run(self.proofs, self.publics, _Room(), singly=True)
        rows = (slice(i, i + 1) for i in range(len(self.indices)))
        return [
            _Part(self.indices[row], self.proofs[row], self.publics[row], outcomes[row], from_limbs(sums[row]))
            for row in rows
        ]


def _padded(rows: Rows) -> Rows:
    """The rows, and the first again until the lanes are full."""
    missing = -len(rows) % _NUMBER.lanes
    return np.concatenate([rows, np.repeat(rows[:1], missing, axis=0)]) if missing else np.ascontiguousarray(rows)


class _Room:
    """Memory that one thread works in: points of a chunk, and what its lanes come to."""

    def __init__(self) -> None:
        groups, size = _CHUNK // _NUMBER.lanes, _NUMBER.size
        self._points = aligned(6 * groups, 2 * size), aligned(groups, 4 * size), aligned(groups, 16 * size)
        self.lanes = aligned(_NUMBER.lanes, 15, 4)

    def points(self, groups: int) -> tuple[Rows, Rows, Rows]:
        """Room for so many groups of one item a lane."""
        g1_work, g2_work, t_work = self._points
        return g1_work[: 6 * groups], g2_work[:groups], t_work[:groups]


def _run(proofs: Rows, publics: Rows, room: _Room, singly: bool = False) -> tuple[NDArray[np.bool_], Rows, Rows]:
    """Weights drawn and loops run: which items are sound, and outcomes and sums of scalars.

    A row of outcomes and sums is for a chunk and holds if all its items are sound, or is for one item.
    """
    rows, inputs = _padded(proofs), _padded(publics)
    weights = np.frombuffer(bytearray(secrets.token_bytes(16 * len(rows))), dtype=np.uint64).reshape(-1, 2)
    groups = len(rows) // _NUMBER.lanes
    chunk = 1 if singly else min(groups, _CHUNK // _NUMBER.lanes)
    count = len(rows) if singly else -(-groups // chunk)
    sound, outcomes = np.empty(groups, dtype=np.uint64), np.empty((count, 15, 4), dtype=np.uint64)
    sums = np.empty((count, publics.shape[1] + 1, 4), dtype=np.uint64)
    run(rows, inputs, weights, *room.points(chunk), room.lanes, *NOTHING_FIXED, sound, outcomes, sums)
    bits = sound[:, None] >> _LANES & np.uint64(1)
    return bits.reshape(-1).astype(np.bool_), outcomes, sums


def _read(proof: _Proof, public: _Public) -> tuple[Proof, Sequence[int]]:
    """Proof and inputs decoded; raises as :meth:`Proof.from_bytes`, and WrongLength for ragged inputs."""
    if isinstance(public, bytes):
        if len(public) % 32:
            raise WrongLength("public", "inputs take 32 bytes each")
        public = [int.from_bytes(public[at : at + 32], "big") for at in range(0, len(public), 32)]
    return Proof.from_bytes(proof) if isinstance(proof, bytes) else proof, public


def _in_range(key: "PreparedVerifyingKey", proof: _Proof, public: _Public) -> bool:
    try:
        decoded, inputs = _read(proof, public)
        key.check_public(inputs)
        decoded.numbers()
    except Refused:
        return False
    return True


def _limbs(group: _Group) -> tuple[Rows, Rows]:
    """Proofs and inputs of the items, every number in range.

    Raises
    ------
    TypeError
        A point is the neutral element.
    OutOfRange, WrongLength
        A number, or the number of inputs, is not what it must be.
    """
    n_public = group.key.key.n_public
    if isinstance(group.proofs, _Column) and isinstance(group.publics, _Column):
        proofs, publics = _limbs_of_columns(group.proofs.data, group.publics.data)
    else:
        proofs, publics = _limbs_of_items(n_public, group)
    if not (below(proofs, P) and below(publics, R)):
        raise OutOfRange("items", "a number is not below its modulus")
    return proofs.reshape(-1, 8, 4), publics.reshape(len(group.proofs), n_public, 4)


def _limbs_of_items(n_public: int, group: _Group) -> tuple[Rows, Rows]:
    encoded = all(isinstance(value, bytes) for column in (group.proofs, group.publics) for value in column)
    read = _limbs_of_bytes if encoded else _limbs_of_numbers
    return read(n_public, group.proofs, group.publics)


def _limbs_of_bytes(n_public: int, proofs: Sequence[Any], publics: Sequence[Any]) -> tuple[Rows, Rows]:
    if any(len(proof) != PROOF_BYTES for proof in proofs) or any(len(public) != 32 * n_public for public in publics):
        raise WrongLength("items", "not the length of a proof, or not the key's number of inputs")
    return _limbs_of_columns(b"".join(proofs), b"".join(publics))


def _limbs_of_columns(proofs: bytes, publics: bytes) -> tuple[Rows, Rows]:
    rows = limbs_of_bytes(proofs).reshape(-1, 8, 4)
    # The neutral element is encoded as zeros, which lie on neither curve.
    return rows[:, _BYTES_ORDER].reshape(-1, 4), limbs_of_bytes(publics)


def _limbs_of_numbers(n_public: int, proofs: Sequence[Any], publics: Sequence[Any]) -> tuple[Rows, Rows]:
    numbers: list[int] = []
    inputs: list[int] = []
    read: Iterable[tuple[Any, Sequence[int]]] = map(_read, proofs, publics)
    for proof, public in read:
        if len(public) != n_public:
            raise WrongLength("public", "not the key's number of inputs")
        a, b, c = proof.a, proof.b, proof.c
        numbers += (*a, *b[0], *b[1], *c)
        inputs += public
    return to_limbs(numbers), to_limbs(inputs)


def _parts(group: _Group, room: _Room) -> list[_Part]:
    """The items chunk by chunk with their loops run, without those that are malformed."""
    try:
        proofs, publics = _limbs(group)  # all at once, for threads share Python's lock
    except (TypeError, Refused):
        group = group.in_range()
        proofs, publics = _limbs(group)
    indices, parts = group.indices, list[_Part]()
    while len(indices):
        sound, outcomes, sums = _run(proofs, publics, room)
        again = np.zeros(len(indices), np.bool_)
        for row, at in enumerate(range(0, len(indices), _CHUNK)):
            chunk = slice(at, at + _CHUNK)
            if sound[chunk].all():
                items = indices[chunk], proofs[chunk], publics[chunk]
                parts.append(_Part(*items, outcomes[row : row + 1], from_limbs(sums[row])))
            else:
                again[chunk] = sound[chunk][: len(again[chunk])]
        indices, proofs, publics = indices[again], proofs[again], publics[again]
    return parts


def _hold(key: "PreparedVerifyingKey", parts: Sequence[_Part]) -> bool:
    outcomes = np.concatenate([part.outcome for part in parts])
    scalars = to_limbs([sum(column) % R for column in zip(*(part.scalars for part in parts), strict=True)])
    return key.holds(outcomes, scalars)


def _find_bad(key: "PreparedVerifyingKey", parts: Sequence[_Part], known_bad: bool = False) -> list[int]:
    """Indices of the items that spoil the parts' equation, by halving."""
    if not parts or (not known_bad and _hold(key, parts)):
        return []
    if len(parts) > 1:
        left = _find_bad(key, parts[: len(parts) // 2])
        return left + _find_bad(key, parts[len(parts) // 2 :], known_bad=not left)
    only = parts[0]
    return list(only.indices.tolist()) if len(only.indices) == 1 else _find_bad(key, only.singles(), known_bad=True)


def _is_valid(key: "PreparedVerifyingKey", proof: _Proof, public: _Public) -> bool:
    try:
        return key.verify(*_read(proof, public))
    except Refused:
        return False


def _spans(count: int, threads: int) -> Iterator[slice]:
    """``count`` items cut so that threads which take the spans in turn end together: the last are smaller."""
    at = 0
    while at < count:
        half_a_share = (count - at) // (2 * threads * _CHUNK) * _CHUNK
        share = -(-(count - at) // (threads * WIDTH)) * WIDTH
        yield slice(at, at := at + min(max(half_a_share, min(share, _CHUNK)), _SPAN))


def _bad_of(group: _Group, threads: int, executor: Executor | None) -> list[int]:
    """Indices of the items of a group that are not valid."""
    if len(group.indices) == 1:
        return [] if _is_valid(group.key, group.proofs[0], group.publics[0]) else list(group.indices.tolist())
    spans, parts = iter(list(_spans(len(group.indices), threads))), list[_Part]()

    def work() -> None:
        room = _Room()
        for span in spans:  # of one list, so that each goes to one thread
            parts.extend(_parts(group.cut(span), room))

    together(work, threads, executor)
    bad = _find_bad(group.key, parts)
    if sum(len(part.indices) for part in parts) < len(group.indices):
        bad += set(group.indices.tolist()).difference(*(part.indices.tolist() for part in parts))
    return bad


def _blocks(items: Iterable[_Item]) -> Iterator[list[_Group]]:
    """Items some thousands at a time, by their keys."""
    iterator, start = iter(items), 0
    while block := list(islice(iterator, _BLOCK)):
        places: dict[int, list[int]] = {}
        for place, (key, _, _) in enumerate(block):
            places.setdefault(id(key), []).append(place)
        groups = []
        for chosen in places.values():
            keys, proofs, publics = zip(*(block[place] for place in chosen), strict=True)
            groups.append(_Group(keys[0], np.array(chosen) + start, proofs, publics))
        yield groups
        start += len(block)


def _blocks_of(key: "PreparedVerifyingKey", items: Iterable[tuple[_Proof, _Public]]) -> Iterator[list[_Group]]:
    """Items of one key some thousands at a time."""
    iterator, start = iter(items), 0
    while block := list(islice(iterator, _BLOCK)):
        yield [_Group(key, np.arange(start, start + len(block)), *zip(*block, strict=True))]
        start += len(block)


def verify_batch(items: Iterable[_Item], threads: int = 1) -> list[int]:
    """Indices of the items ``(key, proof, public inputs)`` that are not valid, malformed ones among them.

    An empty list says that all are valid; so it is for no items. Items of different keys may be mixed; they are taken
    from the iterable as they are needed, some thousands at a time. ``threads`` cores are used. A proof may be given as
    its 256 bytes and the inputs as 32 bytes each, big-endian, joined: that is quicker than through Python's integers.
    """
    return _verify(_blocks(items), threads)


def verify_batch_of(
    key: "PreparedVerifyingKey", items: Iterable[tuple[_Proof, _Public]], threads: int = 1
) -> list[int]:
    """As :func:`verify_batch`, for items ``(proof, public inputs)`` of one key."""
    return _verify(_blocks_of(key, items), threads)


def verify_columns(key: "PreparedVerifyingKey", proofs: bytes, publics: bytes, threads: int = 1) -> list[int]:
    """As :func:`verify_batch`, for proofs of one key that come joined, and so their inputs: without a copy of each.

    Raises
    ------
    WrongLength
        The proofs are not of 256 bytes each, or there are not as many inputs for each as the key takes.
    """
    count, width = len(proofs) // PROOF_BYTES, 32 * key.key.n_public
    if len(proofs) != PROOF_BYTES * count:
        raise WrongLength("proofs", f"a proof takes {PROOF_BYTES} bytes")
    if len(publics) != width * count:
        raise WrongLength("public_inputs", f"the key takes {key.key.n_public} of each proof, 32 bytes each")
    blocks = (
        _Group(
            key,
            np.arange(at, min(at + _BLOCK, count)),
            _Column(proofs, PROOF_BYTES, count)[at : at + _BLOCK],
            _Column(publics, width, count)[at : at + _BLOCK],
        )
        for at in range(0, count, _BLOCK)
    )
    return _verify(([group] for group in blocks), threads)


def _verify(blocks: Iterable[list[_Group]], threads: int) -> list[int]:
    bad: list[int] = []
    with pool(threads) as executor:
        for groups in blocks:
            for group in groups:
                bad += _bad_of(group, threads, executor)
    return sorted(bad)
