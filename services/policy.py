"""Which cohorts may be answered: minimum size, merging, and the rule of atoms; and who may ask.

A *cohort* is a set of records, given by their positions in the submission log. The sums of a released cohort are known
for good, and so is every rational combination of them. To keep all of these about many enterprises, the union of all
cohorts ever released from a dataset is partitioned into *atoms*: two records lie in the same atom if exactly the same
cohorts hold both. Any combination of released sums weighs the records of an atom alike, so it is about whole atoms. A
query is refused if an atom that it newly creates has records of fewer than the dataset's minimum of different subjects;
then no combination of answers, however clever, is about fewer. This catches totals minus published groups, overlapping
filters and late arrivals alike. Records in no released cohort are in no atom, since no combination can reach them.

Size is counted in *subjects*: ten periods of one enterprise are still one enterprise. Within a period a subject has one
record, so that there the two are the same.

Groups below the minimum are merged into ``(other)`` if together they reach it, and else withheld. A query that only
counts, over public attributes, releases no sum and so makes no atom, but follows the same rule for small groups.

What the rule does not protect against: what a querier knows already (ten records of which a coalition owns nine tell it
the tenth); and one fact that two datasets hold, since each dataset is taken for itself. Operator and trustees each keep
their own list of releases (``services.releases``), in the order of the ledger's (``services.release_list``).

A cohort never mixes Paillier keys.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.errors import NotPermitted
from services.identity import Role, parse_party_uri
from services.log import MerkleLog
from services.query import Query
from zkcore.errors import Malformed, OutOfRange, Refused

OTHER = "(other)"
"""How merged groups are shown."""

LARGEST_LOG = 2**32
"""Entries that a log may have; sums of so many 64-bit integers fit the 96-bit slots of a packed plaintext."""

Positions = NDArray[np.uint64]
Codes = NDArray[np.int64]


class CohortTooSmall(Refused):
    """Nothing that the query asks is about enough enterprises."""


class AtomTooSmall(Refused):
    """Together with earlier answers, this one would be about fewer enterprises than the minimum.

    ``late`` is the number of records to leave out by asking at the head of ``head_size`` entries, where the query is
    answered; both are None if there is no such head. ``merge`` are groups which, asked as one, would be answered, and
    so would the others; empty if merging does not help.
    """

    def __init__(
        self,
        part: str,
        why: str,
        late: int | None = None,
        head_size: int | None = None,
        merge: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        super().__init__(part, why)
        self.late = late
        self.head_size = head_size
        self.merge = merge


class MixedKeys(Refused):
    """The query selects records that are encrypted under different keys, whose ciphertexts cannot be multiplied."""


class Record(NamedTuple):
    """The public side of an accepted record: position in the log, whose, of when, attributes, its key's fingerprint."""

    position: int
    subject: str
    period: str
    attributes: Mapping[str, str]
    key: bytes


@dataclass(frozen=True, eq=False)
class Cohort:
    """A set of records: their positions in the submission log, uint64, strictly ascending."""

    positions: Positions

    def __post_init__(self) -> None:
        positions = np.ascontiguousarray(self.positions, dtype=np.uint64)
        if positions.ndim != 1 or (positions.size and int(positions[-1]) >= LARGEST_LOG):
            raise OutOfRange("cohort", f"positions are a list of numbers below {LARGEST_LOG}")
        if (positions[1:] <= positions[:-1]).any():
            raise Malformed("cohort", "positions are not in strictly ascending order")
        positions.setflags(write=False)
        object.__setattr__(self, "positions", positions)

    def __len__(self) -> int:
        return self.positions.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cohort) and np.array_equal(self.positions, other.positions)

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    @cached_property
    def _root(self) -> bytes:
        encoded = self.positions.astype(">u8").tobytes()
        return MerkleLog(encoded[start : start + 8] for start in range(0, len(encoded), 8)).root()

    def root(self) -> bytes:
        """Digest of the set: RFC 6962 tree hash over the positions, each 8 bytes big-endian (32 bytes)."""
        return self._root

    def to_bytes(self) -> bytes:
        """The positions, 8 bytes big-endian each."""
        return self.positions.astype(">u8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Cohort":
        """Read what :meth:`to_bytes` wrote. Raises Malformed or OutOfRange."""
        if len(data) % 8:
            raise Malformed("cohort", "positions are 8 bytes each")
        return cls(np.frombuffer(data, dtype=">u8").astype(np.uint64))


class Records:
    """The public columns of one dataset's accepted records, in the order of the log.

    Kept as columns of codes, 32 bytes a record. Only grows; a :meth:`snapshot` stays as it is while records are
    appended by another thread (there must be only one such thread).
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._size = 0
        self._positions = np.empty(1024, np.uint64)
        self._codes = np.empty((3, 1024), np.int64)  # rows: subject; attributes and period together; key
        self._subjects: dict[str, int] = {}
        self._kinds: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self._keys: dict[bytes, int] = {}
        self.extend(records)

    def __len__(self) -> int:
        return self._size

    def append(self, record: Record) -> None:
        """Take up a record that lies behind all others in the log. Raises OutOfRange otherwise."""
        last = int(self._positions[self._size - 1]) if self._size else -1
        if not last < record.position < LARGEST_LOG:
            raise OutOfRange("record.position", f"{record.position} does not follow {last}")
        if self._size == self._positions.size:
            self._positions = np.concatenate([self._positions, np.empty_like(self._positions)])
            self._codes = np.concatenate([self._codes, np.empty_like(self._codes)], axis=1)
        kind = (record.period, tuple(sorted(record.attributes.items())))
        self._positions[self._size] = record.position
        self._codes[0, self._size] = self._subjects.setdefault(record.subject, len(self._subjects))
        self._codes[1, self._size] = self._kinds.setdefault(kind, len(self._kinds))
        self._codes[2, self._size] = self._keys.setdefault(record.key, len(self._keys))
        self._size += 1

    def extend(self, records: Iterable[Record]) -> None:
        """Take up several records in order."""
        for record in records:
            self.append(record)

    def snapshot(self) -> "Snapshot":
        """The records as they are now."""
        size = self._size
        return Snapshot(self._positions[:size], self._codes[:, :size], list(self._kinds), list(self._keys))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The public columns of a dataset's records at one moment; made by :meth:`Records.snapshot`."""

    positions: Positions
    codes: Codes
    kinds: Sequence[tuple[str, tuple[tuple[str, str], ...]]]
    keys: Sequence[bytes]

    def select(self, query: Query, head_size: int) -> tuple[list[tuple[str, ...]], Codes]:
        """Groups of the query at a head, in ascending order, and for every record the index of its group.

        The index is -1 for a record that the query does not select or that lies behind the head.
        """
        kinds = self.codes[1, : np.searchsorted(self.positions, np.uint64(head_size))]
        found: dict[int, tuple[str, ...]] = {}
        for kind in np.unique(kinds).tolist():
            period, pairs = self.kinds[kind]
            attributes = dict(pairs)
            if query.matches(attributes, period):
                found[kind] = query.group_of(attributes, period)
        groups = sorted(set(found.values()))
        number = {group: index for index, group in enumerate(groups)}
        table = np.full(len(self.kinds), -1, np.int64)
        for kind, group in found.items():
            table[kind] = number[group]
        chosen = np.full(self.positions.size, -1, np.int64)
        chosen[: kinds.size] = table[kinds]
        return groups, chosen


@dataclass(frozen=True, eq=False)
class Released:
    """What has been released from a dataset: the atom of every record, and the heads of the releases.

    ``atoms`` is int64, indexed by position in the log, -1 for a record in no released cohort; the numbers only tell
    atoms apart. Immutable: :meth:`after` gives the state after one more release. Whoever answers several queries at
    once must make plan, record of the release and next state one step.
    """

    atoms: Codes = dataclass_field(default_factory=lambda: np.empty(0, np.int64))
    heads: frozenset[int] = frozenset()

    def after(self, cohorts: Iterable[Cohort], head_size: int) -> "Released":
        """State after the disjoint cohorts of one query were released at a head. Raises Malformed if they overlap."""
        parts = [cohort.positions for cohort in cohorts]
        if not sum(part.size for part in parts):
            return self
        positions = np.concatenate(parts).astype(np.int64)
        labels = np.repeat(np.arange(len(parts), dtype=np.int64), [part.size for part in parts])
        atoms = np.full(max(self.atoms.size, int(positions.max()) + 1), -1, np.int64)
        atoms[: self.atoms.size] = self.atoms
        seen = np.zeros(atoms.size, np.bool_)
        seen[positions] = True
        if np.count_nonzero(seen) != positions.size:
            raise Malformed("cohorts", "the cohorts of one query overlap")
        # A part of an old atom that the cohort cuts out gets a number of its own; what remains keeps the old one.
        top = int(atoms.max(initial=-1)) + 1
        atoms[positions] = top + _dense((atoms[positions] + 1) * len(parts) + labels, (top + 1) * len(parts))
        # The appended -1 makes sure that 0 stands for "no atom" before renumbering.
        renumbered = _dense(np.append(atoms, -1) + 1, int(atoms.max()) + 2)[:-1] - 1
        return Released(renumbered, self.heads | {head_size})


@dataclass(frozen=True)
class Group:
    """A group that is answered: its values (empty and ``other`` when merged) and its records."""

    key: tuple[str, ...]
    other: bool
    cohort: Cohort


@dataclass(frozen=True)
class GroupOutline:
    """What is public of a group: its values, size and the digest of its cohort."""

    key: tuple[str, ...]
    other: bool
    count: int
    cohort_root: bytes


@dataclass(frozen=True)
class Outline:
    """The shape of an answer without its sums: what a querier sees of a plan, and what every trustee attests to.

    ``key`` is the fingerprint of the Paillier key, empty for a query that only counts; ``merged`` are the groups that
    went into ``(other)``, ``withheld`` those that are not answered.
    """

    minimum: int
    key: bytes
    groups: tuple[GroupOutline, ...]
    merged: tuple[tuple[str, ...], ...]
    withheld: tuple[tuple[str, ...], ...]

    def digest(self) -> bytes:
        """SHA-256 over all of it, every item with its length (32 bytes)."""
        hash_ = sha256(b"zkshare outline v1\x00")

        def put(*items: bytes) -> None:
            for item in items:
                hash_.update(len(item).to_bytes(8, "big") + item)

        def put_keys(keys: Sequence[tuple[str, ...]]) -> None:
            put(len(keys).to_bytes(8, "big"))
            for key in keys:
                put(len(key).to_bytes(8, "big"), *(value.encode() for value in key))

        put(self.minimum.to_bytes(8, "big"), self.key)
        put_keys([group.key for group in self.groups])
        for group in self.groups:
            put(bytes([group.other]), group.count.to_bytes(8, "big"), group.cohort_root)
        put_keys(self.merged)
        put_keys(self.withheld)
        return hash_.digest()


@dataclass(frozen=True)
class Plan:
    """What will be answered: the groups in order, ``(other)`` last; which groups were merged, which are withheld."""

    query: Query
    head_size: int
    minimum: int
    key: bytes
    """Fingerprint of the Paillier key of every cohort; empty for a query that only counts."""
    groups: tuple[Group, ...]
    merged: tuple[tuple[str, ...], ...]
    withheld: tuple[tuple[str, ...], ...]

    @property
    def cohorts(self) -> tuple[Cohort, ...]:
        """Cohorts whose sums are released: one a group, none for a query that only counts."""
        return tuple(group.cohort for group in self.groups) if self.query.fields else ()

    @cached_property
    def outline(self) -> Outline:
        """The public shape of the answer."""
        groups = (GroupOutline(group.key, group.other, len(group.cohort), group.cohort.root()) for group in self.groups)
        return Outline(self.minimum, self.key, tuple(groups), self.merged, self.withheld)


def plan(query: Query, records: Records, head_size: int, released: Released, minimum: int) -> Plan:
    """Decide which cohorts answer a query.

    Parameters
    ----------
    query
        The query.
    records
        All records of its dataset that are known, also those behind the head.
    head_size
        Size of the anchored head of the submission log at which the query is evaluated.
    released
        Every release from the dataset so far.
    minimum
        Fewest subjects that an answer may be about; the schema's minimum cohort.

    Raises
    ------
    CohortTooSmall
        No group can be answered, not even all small ones merged.
    AtomTooSmall
        Together with what is released, the answer would be about fewer subjects than the minimum.
    MixedKeys
        The selected records are under several keys.
    """
    if minimum < 2:
        raise OutOfRange("minimum", "a cohort has at least 2 records")
    rule = _Rule(records.snapshot(), released, minimum)
    groups, chosen = rule.snapshot.select(query, head_size)
    attempt = rule.form(groups, chosen)
    if not attempt.size:
        raise CohortTooSmall(
            "cohort",
            f"the query selects records of {_distinct(rule.subjects[chosen >= 0])} enterprises in "
            f"{len(groups)} groups; an answer is about at least {minimum}",
        )
    key = b""
    if query.fields:
        key = _only_key(rule.snapshot, attempt.labels)
        small = rule.small_atoms(attempt)
        if small:
            raise _refusal(rule, query, head_size, attempt, small)
    cohorts = attempt.answered(rule.snapshot.positions)
    return Plan(query, head_size, minimum, key, cohorts, attempt.merged, attempt.withheld)


@dataclass(frozen=True, eq=False)
class _Attempt:
    """One way to form the groups of an answer.

    ``groups`` are those that the query selects and ``chosen`` the index among them for each record, -1 for none;
    ``keys`` are those that are large enough, and ``labels`` the index among the answered ones, -1 for none; merged
    groups have the last label.
    """

    groups: Sequence[tuple[str, ...]]
    chosen: Codes
    labels: Codes
    keys: tuple[tuple[str, ...], ...]
    merged: tuple[tuple[str, ...], ...]
    withheld: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> int:
        """Number of answered groups."""
        return len(self.keys) + bool(self.merged)

    def answered(self, positions: Positions) -> tuple[Group, ...]:
        """The answered groups with their cohorts."""
        names = [(key, False) for key in self.keys] + [((), True)] * bool(self.merged)
        order = np.argsort(self.labels, kind="stable")
        ends = np.searchsorted(self.labels[order], np.arange(self.size + 1))
        return tuple(
            Group(key, other, Cohort(positions[order[ends[label] : ends[label + 1]]]))
            for label, (key, other) in enumerate(names)
        )


class _Rule:
    """Minimum size and atoms, for the records and releases of one moment."""

    def __init__(self, snapshot: Snapshot, released: Released, minimum: int) -> None:
        self.snapshot = snapshot
        self.subjects = snapshot.codes[0]
        self.minimum = minimum
        self.heads = released.heads
        self.atoms = _released_atoms(released, snapshot.positions)

    def form(self, groups: Sequence[tuple[str, ...]], chosen: Codes) -> _Attempt:
        """Answer the groups that are large enough, merge the others, or withhold them if they stay too small."""
        # The last item stands for index -1, a record that is not selected.
        large = np.append(_subjects_in(chosen, self.subjects, len(groups)) >= self.minimum, False)
        merge = _distinct(self.subjects[(chosen >= 0) & ~large[chosen]]) >= self.minimum
        number = np.where(large, np.cumsum(large) - 1, np.count_nonzero(large) if merge else -1)
        number[-1] = -1
        is_large = large[:-1].tolist()
        small = tuple(group for group, big in zip(groups, is_large, strict=True) if not big)
        keys = tuple(group for group, big in zip(groups, is_large, strict=True) if big)
        return _Attempt(groups, chosen, number[chosen], keys, small if merge else (), () if merge else small)

    def small_atoms(self, attempt: _Attempt) -> list[tuple[int, int]]:
        """Atoms that the answer newly creates and that are too small, each as (old atom or -1, label or -1)."""
        width = attempt.size + 1
        part = (self.atoms + 1) * width + attempt.labels + 1
        codes = _dense(part, (int(self.atoms.max(initial=-1)) + 2) * width)
        count = int(codes.max(initial=-1)) + 1
        sizes = _subjects_in(codes, self.subjects, count)
        whole = np.zeros(count, np.int64)
        whole[codes] = part
        old, label = whole // width - 1, whole % width - 1
        parts_of_old = np.bincount(old + 1)
        # Records that were never released and are not now (-1, -1) are no atom; an old atom in one part is not new.
        new = ((old >= 0) | (label >= 0)) & ((old < 0) | (parts_of_old[old + 1] > 1))
        offending = np.flatnonzero(new & (sizes < self.minimum))
        return list(zip(old[offending].tolist(), label[offending].tolist(), strict=True))


MOST_HEADS_TRIED = 8
MOST_MERGES_TRIED = 8


def _refusal(
    rule: _Rule, query: Query, head_size: int, attempt: _Attempt, small: Sequence[tuple[int, int]]
) -> AtomTooSmall:
    """The refusal, with a way out if one is found: an earlier head, or groups to ask for as one. Both are tried out."""
    where = "1 place" if len(small) == 1 else f"{len(small)} places"
    why = [f"with earlier answers it would tell about fewer than {rule.minimum} enterprises in {where}"]
    late = usable = None
    for earlier in sorted((head for head in rule.heads if head < head_size), reverse=True)[:MOST_HEADS_TRIED]:
        candidate = rule.form(*rule.snapshot.select(query, earlier))
        if candidate.size and not rule.small_atoms(candidate):
            late = int(np.count_nonzero(attempt.chosen >= 0) - np.count_nonzero(candidate.chosen >= 0))
            usable = earlier
            why.append(f"leave out {late} late records by asking at the head of {earlier} entries")
            break
    merge = _merge(rule, attempt, small)
    if merge:
        names = ", ".join("/".join(group) for group in merge)
        why.append(f"{'or ' if usable else ''}ask for these groups as one: {names}")
    return AtomTooSmall("cohort", "; ".join(why), late, usable, merge)


def _merge(rule: _Rule, attempt: _Attempt, small: Sequence[tuple[int, int]]) -> tuple[tuple[str, ...], ...]:
    """Few groups that make the answer possible when they are asked for as one; empty if none are found.

    Starts from the groups in small atoms and adds, smallest first, others that share an old atom with them.
    """
    chosen, selected = attempt.chosen, attempt.chosen >= 0
    pairs, width = np.array(small, np.int64), attempt.size + 1
    near = np.isin(rule.atoms, pairs[:, 0])
    hit = np.isin(rule.atoms * width + attempt.labels, pairs[:, 0] * width + pairs[:, 1])
    start = set(np.unique(chosen[hit & selected]).tolist())
    if not start:
        return ()
    sizes = _subjects_in(chosen, rule.subjects, len(attempt.groups))
    others = set(np.unique(chosen[near & selected]).tolist()) - start
    candidates = sorted(others, key=lambda group: (int(sizes[group]), group))
    for added in range(min(len(candidates), MOST_MERGES_TRIED) + 1):
        union = sorted(start | set(candidates[:added]))
        joined = rule.form(attempt.groups, np.where(np.isin(chosen, union), union[0], chosen))
        if len(union) > 1 and attempt.groups[union[0]] in joined.keys and not rule.small_atoms(joined):
            return tuple(attempt.groups[index] for index in union)
    return ()


class Rights:
    """Which parties may query which datasets; from an operator's or trustee's configuration."""

    def __init__(self, parties: Mapping[str, Collection[tuple[Role, str]]]) -> None:
        self._parties = {dataset: frozenset(entries) for dataset, entries in parties.items()}

    @classmethod
    def from_dict(cls, configuration: Mapping[str, Sequence[str]]) -> "Rights":
        """Read ``{dataset: ["zkshare://<role>/<name>", ...]}``. Raises Malformed."""
        return cls({dataset: [parse_party_uri(uri) for uri in uris] for dataset, uris in configuration.items()})

    @property
    def datasets(self) -> frozenset[str]:
        """The datasets that somebody may query."""
        return frozenset(self._parties)

    def check(self, role: Role, name: str, dataset: str) -> None:
        """Raise NotPermitted unless this party may query this dataset."""
        if (role, name) not in self._parties.get(dataset, frozenset()):
            raise NotPermitted("querier", f"{role} {name} has no right to the dataset {dataset}")


def _only_key(snapshot: Snapshot, labels: Codes) -> bytes:
    """Fingerprint of the one key that the chosen records are under. Raises MixedKeys."""
    found = [snapshot.keys[code] for code in np.unique(snapshot.codes[2][labels >= 0]).tolist()]
    if len(found) > 1:
        names = ", ".join(sorted(key.hex()[:16] for key in found))
        raise MixedKeys("cohort", f"the records are under {len(found)} keys ({names}); ask for fewer periods at a time")
    return found[0]


def _released_atoms(released: Released, positions: Positions) -> Codes:
    """Atom of each record, -1 for none. Raises Malformed if a released record is not among them."""
    known = positions[: np.searchsorted(positions, np.uint64(released.atoms.size))].astype(np.int64)
    atoms = np.full(positions.size, -1, np.int64)
    atoms[: known.size] = released.atoms[known]
    if np.count_nonzero(atoms >= 0) != np.count_nonzero(released.atoms >= 0):
        raise Malformed("released", "a released record is not among the dataset's records")
    return atoms


def _dense(codes: Codes, bound: int) -> Codes:
    """Codes below ``bound`` renumbered 0, 1, ... in their order, by a table where that is cheaper than sorting."""
    if bound > 8 * codes.size + 1024:
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)
    used = np.zeros(bound, np.int64)
    used[codes] = 1
    return (np.cumsum(used) - 1)[codes]


def _distinct(values: Codes) -> int:
    return int(np.unique(values).size)


def _subjects_in(labels: Codes, subjects: Codes, count: int) -> Codes:
    """Number of different subjects under each label 0 to ``count`` - 1; records with label -1 are left out.

    By a table of labels and subjects where that is cheaper than sorting.
    """
    width = int(subjects.max(initial=0)) + 1
    pairs = (labels * width + subjects)[labels >= 0]
    if count * width > 16 * pairs.size + 1024:
        return np.bincount(np.unique(pairs) // width, minlength=count).astype(np.int64)
    there = np.zeros((count, width), np.bool_)
    there.reshape(-1)[pairs] = True
    return np.count_nonzero(there, axis=1).astype(np.int64)
