"""Verification of many Groth16 proofs at once, naming every one that is bad.

Proofs (A_i, B_i, C_i) of one key with inputs x_i hold, but for a chance of 2^-128, when for random weights w_i

    product of e(w_i A_i, B_i) = e(sum w_i alpha, beta) e(sum w_i L_i, gamma) e(sum w_i C_i, delta)

(small exponents test; Bellare, Garay and Rabin 1998), because all points were checked to lie in groups of prime order.
So a proof costs one Miller loop, and a batch three more and one final exponentiation. Where the processor has the
lanes, eight proofs go through each instruction; several share the squarings of one loop. A batch that fails is halved
until every bad item is found.

A weight is the sum of d_i 2^i for i < 64 with each d_i one of 0, 1, lambda and lambda^2, for lambda the cube root of 1
modulo r by which the endomorphism (x, y) -> (beta x, y) multiplies G1 (Gallant, Lambert and Vanstone 2001). The four
digits are the residues modulo 2 of Z[lambda], so that 128 random bits give 2^128 different numbers there; two of them
differ by a number of norm below 2^132 < r, hence differ modulo r. They are drawn from :mod:`secrets`.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import P, R
from zkcore.cpu import BACKEND
from zkcore.errors import OutOfRange, Refused, WrongLength
from zkcore.field import fp
from zkcore.field_lanes import WIDTH, fp_lanes
from zkcore.groth16.batch_kernels import check_curves, fold, run, sum_scalars
from zkcore.groth16.keys import PROOF_BYTES, Proof
from zkcore.limbs import below, from_limbs, limbs_of_bytes, to_limbs
from zkcore.pairing import NOTHING_FIXED
from zkcore.registers import aligned
from zkcore.tasks import pool, together

if TYPE_CHECKING:
    from zkcore.groth16.verifier import PreparedVerifyingKey

Rows = NDArray[np.uint64]
_Proof = Proof | bytes
_Public = Sequence[int] | bytes
_Item = tuple["PreparedVerifyingKey", _Proof, _Public]

_NUMBER = fp_lanes if BACKEND == "avx512ifma" else fp
_CHUNK = WIDTH * 8
"""Items that share Miller loops: eight in each of eight lanes."""
_BLOCK = 64 * _CHUNK
"""Items that share one final exponentiation, and memory."""

_BYTES_ORDER = [0, 1, 3, 2, 5, 4, 6, 7]
"""Where a proof's bytes have a.x a.y b.x0 b.x1 b.y0 b.y1 c.x c.y: they begin with the imaginary part."""


@dataclass(frozen=True)
class _Group:
    """Items of one key, column by column: their places in the stream, proofs, inputs."""

    key: "PreparedVerifyingKey"
    indices: list[int] = field(default_factory=list)
    proofs: list[_Proof] = field(default_factory=list)
    publics: list[_Public] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.indices)

    def cut(self, chosen: slice) -> "_Group":
        return _Group(self.key, self.indices[chosen], self.proofs[chosen], self.publics[chosen])

    def in_range(self) -> "_Group":
        """The items whose numbers are in range, and as many as there must be."""
        good = [_in_range(self.key, *item) for item in zip(self.proofs, self.publics, strict=True)]
        return _Group(
            self.key,
            list(compress(self.indices, good)),
            list(compress(self.proofs, good)),
            list(compress(self.publics, good)),
        )


@dataclass(frozen=True)
class _Part:
    """Items of one key, the outcome ``uint64[1, 15, 4]`` of their weighted loops, and the weights' sums with inputs."""

    indices: list[int]
    proofs: Rows
    publics: Rows
    outcome: Rows
    scalars: list[int]

    def singles(self) -> "list[_Part]":
        """The same items, each a part of its own, with new weights."""
        parts = []
        for at in range(0, len(self.indices), _NUMBER.lanes):
            weights, outcomes, _ = _run(self.proofs[at : at + _NUMBER.lanes])
            for i, index in enumerate(self.indices[at : at + _NUMBER.lanes]):
                lane, row = slice(i, i + 1), slice(at + i, at + i + 1)
                scalars = _scalars(weights[lane], self.publics[row])
                parts.append(_Part([index], self.proofs[row], self.publics[row], outcomes[lane], scalars))
        return parts


def _padded(rows: Rows) -> Rows:
    """The rows, and the first again until the lanes are full."""
    missing = -len(rows) % _NUMBER.lanes
    return np.concatenate([rows, np.repeat(rows[:1], missing, axis=0)]) if missing else np.ascontiguousarray(rows)


def _answers(words: Rows, count: int) -> list[bool]:
    """The first ``count`` of the lanes' bits in the words."""
    return [bool(word >> lane & 1) for word in words.tolist() for lane in range(_NUMBER.lanes)][:count]


def _run(proofs: Rows) -> tuple[Rows, Rows, list[bool]]:
    """Weights drawn, outcome of every lane, and which proofs have B in the subgroup."""
    rows, size = _padded(proofs), _NUMBER.size
    weights = np.frombuffer(bytearray(secrets.token_bytes(16 * len(rows))), dtype=np.uint64).reshape(-1, 2)
    count = len(rows) // _NUMBER.lanes
    sound, out = np.empty(count, dtype=np.uint64), np.empty((_NUMBER.lanes, 15, 4), dtype=np.uint64)
    work = aligned(2 * count, 2 * size), aligned(count, 4 * size), aligned(count, 6 * size)
    run(rows, weights, *work, *NOTHING_FIXED, sound, out)
    return weights, out, _answers(sound, len(proofs))


def _scalars(weights: Rows, publics: Rows) -> list[int]:
    out = np.empty((publics.shape[1] + 1, 4), dtype=np.uint64)
    sum_scalars(weights, publics, out)
    return from_limbs(out)


def _fold(outcomes: Sequence[Rows]) -> Rows:
    out = np.empty((1, 15, 4), dtype=np.uint64)
    fold(np.concatenate(outcomes), out)
    return out


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
    encoded = all(isinstance(value, bytes) for column in (group.proofs, group.publics) for value in column)
    read = _limbs_of_bytes if encoded else _limbs_of_numbers
    proofs, publics = read(n_public, group.proofs, group.publics)
    if not (below(proofs, P) and below(publics, R)):
        raise OutOfRange("items", "a number is not below its modulus")
    return proofs.reshape(len(group), 8, 4), publics.reshape(len(group), n_public, 4)


def _limbs_of_bytes(n_public: int, proofs: Sequence[Any], publics: Sequence[Any]) -> tuple[Rows, Rows]:
    if any(len(proof) != PROOF_BYTES for proof in proofs) or any(len(public) != 32 * n_public for public in publics):
        raise WrongLength("items", "not the length of a proof, or not the key's number of inputs")
    rows = limbs_of_bytes(b"".join(proofs)).reshape(-1, 8, 4)
    # The neutral element is encoded as zeros, which lie on neither curve.
    return rows[:, _BYTES_ORDER].reshape(-1, 4), limbs_of_bytes(b"".join(publics))


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


def _well_formed(group: _Group) -> tuple[list[int], Rows, Rows]:
    """Indices, proofs and inputs of the items whose numbers are in range and whose points are on their curves."""
    try:
        proofs, publics = _limbs(group)  # all at once, for threads share Python's lock
    except (TypeError, Refused):
        group = group.in_range()
        proofs, publics = _limbs(group)
    if not len(group):
        return group.indices, proofs, publics
    rows = _padded(proofs)
    sound = np.empty(len(rows) // _NUMBER.lanes, dtype=np.uint64)
    check_curves(rows, sound)
    return _kept(_answers(sound, len(group)), group.indices, proofs, publics)


def _kept(good: list[bool], indices: list[int], proofs: Rows, publics: Rows) -> tuple[list[int], Rows, Rows]:
    if all(good):
        return indices, proofs, publics
    return [index for index, sound in zip(indices, good, strict=True) if sound], proofs[good], publics[good]


def _part(group: _Group) -> _Part | None:
    """The items with their loops run, without those that are malformed; None if nothing is left."""
    kept, proofs, publics = _well_formed(group)
    while kept:
        weights, outcomes, good = _run(proofs)
        if all(good):
            return _Part(kept, proofs, publics, _fold([outcomes]), _scalars(weights, _padded(publics)))
        kept, proofs, publics = _kept(good, kept, proofs, publics)
    return None


def _hold(key: "PreparedVerifyingKey", parts: Sequence[_Part]) -> bool:
    outcome = _fold([part.outcome for part in parts])
    scalars = to_limbs([sum(column) % R for column in zip(*(part.scalars for part in parts), strict=True)])
    return key.holds(outcome, scalars)


def _find_bad(key: "PreparedVerifyingKey", parts: Sequence[_Part], known_bad: bool = False) -> list[int]:
    """Indices of the items that spoil the parts' equation, by halving."""
    if not parts or (not known_bad and _hold(key, parts)):
        return []
    if len(parts) > 1:
        left = _find_bad(key, parts[: len(parts) // 2])
        return left + _find_bad(key, parts[len(parts) // 2 :], known_bad=not left)
    return parts[0].indices if len(parts[0].indices) == 1 else _find_bad(key, parts[0].singles(), known_bad=True)


def _is_valid(key: "PreparedVerifyingKey", proof: _Proof, public: _Public) -> bool:
    try:
        return key.verify(*_read(proof, public))
    except Refused:
        return False


def _chunks(count: int, threads: int) -> Iterator[slice]:
    """``count`` items cut so that threads which take the chunks in turn end together: the last are smaller."""
    at = 0
    while at < count:
        share = -(-(count - at) // (threads * WIDTH)) * WIDTH
        yield slice(at, at := at + min(share, _CHUNK))


def _bad_of(group: _Group, threads: int, executor: Executor | None) -> list[int]:
    """Indices of the items of a group that are not valid."""
    if len(group) == 1:
        return [] if _is_valid(group.key, group.proofs[0], group.publics[0]) else group.indices
    chunks, parts = iter(list(_chunks(len(group), threads))), list[_Part]()

    def work() -> None:
        for chunk in chunks:  # of one list, so that each goes to one thread
            part = _part(group.cut(chunk))
            if part is not None:
                parts.append(part)

    together(work, threads, executor)
    malformed = set(group.indices).difference(*(part.indices for part in parts))
    return [*malformed, *_find_bad(group.key, parts)]


def _groups(items: Iterator[tuple[int, _Item]]) -> list[_Group]:
    """The next block of numbered items, by their keys; none at the end."""
    groups: dict[int, _Group] = {}
    for index, (key, proof, public) in islice(items, _BLOCK):
        group = groups.get(id(key))
        if group is None:
            group = groups[id(key)] = _Group(key)
        group.indices.append(index)
        group.proofs.append(proof)
        group.publics.append(public)
    return list(groups.values())


def verify_batch(items: Iterable[_Item], threads: int = 1) -> list[int]:
    """Indices of the items ``(key, proof, public inputs)`` that are not valid, malformed ones among them.

    An empty list says that all are valid; so it is for no items. Items of different keys may be mixed; they are taken
    from the iterable as they are needed, some thousands at a time. ``threads`` cores are used. A proof may be given as
    its 256 bytes and the inputs as 32 bytes each, big-endian, joined: that is quicker than through Python's integers.
    """
    bad: list[int] = []
    numbered = enumerate(items)
    with pool(threads) as executor:
        while groups := _groups(numbered):
            for group in groups:
                bad += _bad_of(group, threads, executor)
    return sorted(bad)
