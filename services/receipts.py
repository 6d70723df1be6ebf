"""Receipts: what the operator signs when it takes a record, and the proof that comes with the answer to a query.

Anyone can check an aggregate receipt offline, with the authority's certificate and what the ledger holds. It shows
that at least the threshold of trustees, each with its own share of the key, attested to *this* answer: the query, the
anchored head of the log, the querier, its signed request, all groups with their sizes and cohorts, which groups were
merged and which withheld. That is because every partial decryption proves itself under :func:`decryption_context`. The
ledger shows that the request was entered in its dataset's list of releases. What the sums are follows from the shares
by arithmetic. On the operator's word alone rest the time and expiry, and for a query that only counts (so that nothing
is decrypted, and nothing entered) everything; :attr:`Verified.attested` says which it is.

A receipt shows the sums of *all* fields of a cohort to whoever computes them from the shares, since a record's fields
are packed into one plaintext; the right to query is therefore a right to a dataset, not to single fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol

from circuits.schema import Schema
from homomorphic.errors import NotEnoughShares
from homomorphic.packing import VALUE_BITS, Packing
from homomorphic.threshold import PartialDecryption, ThresholdKey
from services import documents
from services.documents import Reader, write_time
from services.errors import AnswerMismatch, Expired, NotAnchored, ShareInvalid, TooFewShares
from services.identity import Authority, Identity, PeerIdentity, Role, WrongUsage, parse_party_uri
from services.log import HASH_SIZE, Head, leaf_hash
from services.policy import LARGEST_LOG, OTHER, GroupOutline, Outline
from services.query import LONGEST_TEXT, PERIOD, Aggregate, Query, parse
from zkcore.errors import Malformed, WrongLength

SUBMISSION = "zkshare submission receipt"
AGGREGATE = "zkshare aggregate receipt"

MOST_GROUPS = 4096
MOST_SHARES = 64
LONGEST_VALUE = 256
LONGEST_SCHEMA = 1 << 16
LONGEST_URI = 1024
LONGEST_BLOB = 1 << 16


@dataclass(frozen=True)
class SubmissionReceipt:
    """The operator's word that a record is in its log: position, leaf hash, and the head right after it.

    The head need not be one that is anchored; a consistency proof leads from it to one that is.
    """

    position: int
    leaf: bytes
    head: Head
    time: datetime

    def sign(self, identity: Identity) -> bytes:
        """The receipt as a document signed by the operator."""
        content = {
            "position": self.position,
            "leaf": self.leaf.hex(),
            "head": _write_head(self.head),
            "time": write_time(self.time),
        }
        return documents.sign(SUBMISSION, content, identity)


def verify_submission(receipt: bytes, submission: bytes, authority: Authority, operator: str) -> SubmissionReceipt:
    """Check that a receipt is this operator's (by its name) and for this submission (its exact bytes).

    Raises
    ------
    Malformed, WrongLength, OutOfRange
        The document is not one that the format allows.
    services.errors.BadSignature, services.identity.NotIssuedByAuthority, services.identity.OutsideValidity, \
services.identity.WrongUsage
        It is not signed by this operator under this authority.
    AnswerMismatch
        It is for another submission, or its head does not reach the position.
    """
    reader = documents.read(receipt, SUBMISSION)
    read = SubmissionReceipt(
        reader.integer("position", 0, LARGEST_LOG),
        reader.data("leaf", HASH_SIZE, HASH_SIZE),
        _read_head(reader.nested("head")),
        reader.time("time"),
    )
    _read_signature(reader)
    reader.end()
    signer = _operator(receipt, SUBMISSION, authority, read.time)
    if signer.name != operator:
        raise WrongUsage("certificate", f"{signer.uri} is not the operator {operator}")
    if read.leaf != leaf_hash(submission):
        raise AnswerMismatch("leaf", "the receipt is for another submission")
    if read.position >= read.head.size:
        raise AnswerMismatch("position", "the head does not reach the position")
    return read


def decryption_context(query: Query, head: Head, querier: str, outline: Outline, group: int, request: bytes) -> bytes:
    """What a partial decryption is for: the context that its proof binds (32 bytes).

    Operator, trustees and verifiers compute it alike. A share given for one group of one answer to one querier at one
    head proves nothing in any other place.

    Parameters
    ----------
    querier
        URI of the party that asked.
    outline
        Shape of the whole answer: every group's size and cohort, what was merged and withheld, minimum and key.
    group
        Index of the group among ``outline.groups``.
    request
        Digest of the signed query, under which it was entered on the ledger (32 bytes).
    """
    parts = (
        query.digest(),
        head.size.to_bytes(8, "big"),
        head.root,
        outline.digest(),
        group.to_bytes(8, "big"),
        sha256(querier.encode()).digest(),
        request,
    )
    return sha256(b"zkshare decryption context v2\x00" + b"".join(parts)).digest()


@dataclass(frozen=True)
class Decryption:
    """How the sums of one group come about: the product of its ciphertexts, and trustees' shares of its decryption."""

    product: int
    shares: tuple[PartialDecryption, ...]


@dataclass(frozen=True)
class ReleaseEntry:
    """Where an answer stands in its dataset's list of releases on the ledger, and under which request."""

    number: int
    request: bytes


@dataclass(frozen=True)
class Answer:
    """An answer with everything that proves it, not yet signed.

    ``release`` and ``threshold_key`` are None and ``decryptions`` is empty for a query that only counts; else there is
    one decryption a group, in order.
    """

    query: Query
    head: Head
    querier: str
    outline: Outline
    release: ReleaseEntry | None
    threshold_key: ThresholdKey | None
    decryptions: tuple[Decryption, ...]
    time: datetime
    expires: datetime | None = None

    @cached_property
    def sums(self) -> tuple[dict[str, int], ...]:
        """Sums of the fields that the query names, a group; from the shares, every one of which is checked.

        Raises
        ------
        ShareInvalid, TooFewShares
            A share is not what it should be; fewer than the threshold.
        AnswerMismatch
            Groups and decryptions do not fit each other, or the shares do not open to sums of so many records.
        """
        if self.threshold_key is None:
            if self.decryptions or self.outline.key or self.query.fields or self.release:
                raise AnswerMismatch("key", "sums without a key, or a key without sums")
            return tuple({} for _ in self.outline.groups)
        if self.release is None:
            raise AnswerMismatch("release", "sums of a query that was not entered on the ledger")
        if len(self.decryptions) != len(self.outline.groups) or not self.query.fields:
            raise AnswerMismatch("groups", "not one decryption a group")
        if self.threshold_key.public_key.fingerprint != self.outline.key:
            raise AnswerMismatch("key", "the fingerprint is that of another key")
        key, request = self.threshold_key, self.release.request
        return tuple(self._sums_of(index, key, request) for index in range(len(self.decryptions)))

    def _sums_of(self, index: int, key: ThresholdKey, request: bytes) -> dict[str, int]:
        group, decryption, part = self.outline.groups[index], self.decryptions[index], f"groups[{index}]"
        context = decryption_context(self.query, self.head, self.querier, self.outline, index, request)
        key.public_key.check(decryption.product, f"{part}.product")
        try:
            combined = key.combine(decryption.product, decryption.shares, context)
        except NotEnoughShares as error:
            if error.wrong:
                raise ShareInvalid(f"{part}.shares", f"wrong shares of trustees {_numbers(error.wrong)}") from None
            raise TooFewShares(f"{part}.shares", error.why) from None
        if combined.wrong:
            raise ShareInvalid(f"{part}.shares", f"wrong shares of trustees {_numbers(combined.wrong)}")
        schema, count = self.query.schema, group.count
        totals = Packing(len(schema.fields)).unpack(combined.plaintext)
        if any(total > count * ((1 << VALUE_BITS) - 1) for total in totals):
            raise AnswerMismatch(f"{part}.product", "it holds more than so many records can")
        # A signed field is carried with an offset, once for every record.
        sums = {field.name: total - count * field.offset for field, total in zip(schema.fields, totals, strict=True)}
        return {name: sums[name] for name in self.query.fields}

    def sign(self, identity: Identity) -> bytes:
        """The receipt: this answer as a document signed by the operator. Raises as :attr:`sums` does."""
        key = self.threshold_key
        decryptions: Sequence[Decryption | None] = self.decryptions or [None] * len(self.outline.groups)
        content = {
            "query": self.query.text,
            "query_digest": self.query.digest().hex(),
            "schema": self.query.schema.to_toml(),
            "querier": self.querier,
            "time": write_time(self.time),
            "expires": None if self.expires is None else write_time(self.expires),
            "head": _write_head(self.head),
            "release": None if self.release is None else _write_release(self.release),
            "minimum": self.outline.minimum,
            "key_fingerprint": self.outline.key.hex(),
            "threshold_key": None if key is None else key.to_bytes().hex(),
            "groups": [_write_group(*each) for each in zip(self.outline.groups, decryptions, self.sums, strict=True)],
            "merged": self.outline.merged,
            "withheld": self.outline.withheld,
        }
        return documents.sign(AGGREGATE, content, identity)


@dataclass(frozen=True)
class Row:
    """A row of the answer: its group, how many records, and a value a column.

    A value is a string for an attribute, an integer for COUNT and SUM, an exact fraction for AVG.
    """

    group: tuple[str, ...]
    other: bool
    count: int
    values: tuple[str | int | Fraction, ...]


@dataclass(frozen=True)
class Verified:
    """What a receipt shows, after every check.

    ``attested`` tells whether trustees stand for it with their shares, or, as for a query that only counts, the
    operator alone; ``release`` is the number of its entry in the dataset's list of releases, None if it has none;
    ``trustees`` are the numbers of those that gave a share for every group.
    """

    query: Query
    head: Head
    querier: str
    operator: PeerIdentity
    time: datetime
    expires: datetime | None
    minimum: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    merged: tuple[tuple[str, ...], ...]
    withheld: tuple[tuple[str, ...], ...]
    attested: bool
    release: int | None
    trustees: tuple[int, ...] = field(default=())


class Entry(Protocol):
    """An entry of a dataset's list of releases as the ledger holds it."""

    @property
    def number(self) -> int:
        """Its number, from 0."""

    @property
    def head_size(self) -> int:
        """Size of the head at which the query is evaluated."""


class AnchoredHead(Protocol):
    """A head of the log as the ledger holds it."""

    @property
    def root(self) -> bytes:
        """The log's root (32 bytes)."""


class Ledger(Protocol):
    """The part of :class:`services.ledger.Ledger` that a receipt is held against."""

    def head(self, size: int) -> AnchoredHead | None:
        """The anchored head of this size, or None."""

    def release(self, dataset: str, request: bytes) -> Entry | None:
        """The entry of a request in a dataset's list of releases, or None."""

    def published(self, kind: str, identifier: bytes) -> bytes | None:
        """The digest published under this kind and identifier, or None."""


def verify(receipt: bytes, authority: Authority, ledger: Ledger, now: datetime | None = None) -> Verified:
    """Check an aggregate receipt from end to end and read the answer.

    Parameters
    ----------
    receipt
        The document, at most 16 MiB.
    now
        Time at which it must not have expired (the present when None).

    Raises
    ------
    Malformed, WrongLength, OutOfRange
        The document, or a key, share or product in it, is not one that the formats allow.
    services.query.Unsupported
        The query is not one that is answered.
    services.errors.BadSignature, services.identity.NotIssuedByAuthority, services.identity.OutsideValidity, \
services.identity.WrongUsage
        It is not signed by an operator of this authority.
    Expired
        It is past its expiry.
    NotAnchored
        The ledger does not hold the head or the entry, or another schema or threshold key.
    ShareInvalid, TooFewShares
        A trustee's share does not hold for this answer; fewer than the threshold.
    AnswerMismatch
        What is stated does not follow from what proves it.
    """
    answer, stated = read_answer(receipt)
    operator = _operator(receipt, AGGREGATE, authority, answer.time)
    if answer.expires is not None and (now or datetime.now(UTC)) > answer.expires:
        raise Expired("expires", f"the receipt is good until {write_time(answer.expires)}")
    _check_anchored(answer, ledger)
    _check_outline(answer)
    for index, (stated_sums, sums) in enumerate(zip(stated, answer.sums, strict=True)):
        if stated_sums != sums:
            raise AnswerMismatch(f"groups[{index}].sums", "they are not what the shares open to")
    shares = [{share.index for share in decryption.shares} for decryption in answer.decryptions]
    return Verified(
        query=answer.query,
        head=answer.head,
        querier=answer.querier,
        operator=operator,
        time=answer.time,
        expires=answer.expires,
        minimum=answer.outline.minimum,
        columns=tuple(column.label for column in answer.query.columns),
        rows=tuple(_row(answer.query, *each) for each in zip(answer.outline.groups, answer.sums, strict=True)),
        merged=answer.outline.merged,
        withheld=answer.outline.withheld,
        attested=bool(answer.decryptions),
        release=None if answer.release is None else answer.release.number,
        trustees=tuple(sorted(set.intersection(*shares))) if shares else (),
    )


def read_answer(receipt: bytes) -> tuple[Answer, list[dict[str, int]]]:
    """The answer of a receipt and the sums that it states, read strictly but not yet checked against each other."""
    reader = documents.read(receipt, AGGREGATE)
    _read_signature(reader)
    schema_text, query_text = reader.text("schema", LONGEST_SCHEMA), reader.text("query", LONGEST_TEXT)
    schema = Schema.from_toml(schema_text)
    query = parse(query_text, {schema.name: schema})
    if schema.to_toml() != schema_text or query.text != query_text:
        raise Malformed("query" if query.text != query_text else "schema", "not in canonical form")
    if reader.data("query_digest", HASH_SIZE, HASH_SIZE) != query.digest():
        raise AnswerMismatch("query_digest", "it is that of another query")
    key = reader.optional("threshold_key", lambda name: ThresholdKey.from_bytes(reader.data(name, LONGEST_BLOB)))
    width = len(query.group_by)
    groups, decryptions, stated = [], [], []
    for item in reader.objects("groups", MOST_GROUPS):
        group, sums, decryption = _read_group(item, width, key)
        groups.append(group)
        stated.append(sums)
        decryptions += [] if decryption is None else [decryption]
    outline = Outline(
        minimum=reader.integer("minimum", 2, LARGEST_LOG),
        key=reader.data("key_fingerprint", HASH_SIZE),
        groups=tuple(groups),
        merged=reader.rows("merged", LARGEST_LOG, width, LONGEST_VALUE),
        withheld=reader.rows("withheld", LARGEST_LOG, width, LONGEST_VALUE),
    )
    querier = reader.text("querier", LONGEST_URI)
    parse_party_uri(querier)
    answer = Answer(
        query=query,
        head=_read_head(reader.nested("head")),
        release=reader.optional("release", lambda name: _read_release(reader.nested(name))),
        querier=querier,
        outline=outline,
        threshold_key=key,
        decryptions=tuple(decryptions),
        time=reader.time("time"),
        expires=reader.optional("expires", reader.time),
    )
    reader.end()
    return answer, stated


def _check_anchored(answer: Answer, ledger: Ledger) -> None:
    """The ledger holds the head, the entry, the schema and the key."""
    schema, key = answer.query.schema, answer.threshold_key
    anchored = ledger.head(answer.head.size)
    if anchored is None or anchored.root != answer.head.root:
        raise NotAnchored("head", "the ledger holds no such head of the log")
    if answer.release is not None:
        entry = ledger.release(schema.name, answer.release.request)
        if entry is None or (entry.number, entry.head_size) != (answer.release.number, answer.head.size):
            raise NotAnchored("release", "the ledger's list of releases does not hold it there")
    published = ledger.published("schema", schema.schema_id.to_bytes(32, "big"))
    if published != sha256(schema.to_toml().encode()).digest():
        raise NotAnchored("schema", "the ledger holds no such schema")
    if key is not None and ledger.published("threshold_key", key.fingerprint) != sha256(key.to_bytes()).digest():
        raise NotAnchored("threshold_key", "the ledger holds no such key")


def _check_outline(answer: Answer) -> None:
    """Groups are in their order, each large enough, merged and withheld as the policy has it."""
    outline, width = answer.outline, len(answer.query.group_by)
    if outline.minimum != answer.query.schema.minimum_cohort:
        raise AnswerMismatch("minimum", "it is not the schema's")
    keys = [group.key for group in outline.groups if not group.other]
    others = [group for group in outline.groups if group.other]
    for index, group in enumerate(outline.groups):
        if group.count < outline.minimum or group.count > answer.head.size:
            raise AnswerMismatch(f"groups[{index}].count", "below the minimum cohort or above the size of the log")
        if len(group.key) != (0 if group.other else width):
            raise AnswerMismatch(f"groups[{index}].key", "not a value for every grouping column")
    if not outline.groups or outline.groups[: len(keys)] != tuple(g for g in outline.groups if not g.other):
        raise AnswerMismatch("groups", "none, or merged groups are not last")
    if len(others) > 1 or bool(others) != bool(outline.merged) or (outline.merged and outline.withheld):
        raise AnswerMismatch("merged", "merged groups are answered as one, and then none is withheld")
    for part, names in (("groups", keys), ("merged", outline.merged), ("withheld", outline.withheld)):
        if any(len(name) != width for name in names) or sorted(set(names)) != list(names):
            raise AnswerMismatch(part, "groups are not in ascending order, each once")
    if len({*keys, *outline.merged, *outline.withheld}) != len(keys) + len(outline.merged) + len(outline.withheld):
        raise AnswerMismatch("groups", "a group is answered and merged, or withheld as well")


def _row(query: Query, group: GroupOutline, sums: Mapping[str, int]) -> Row:
    values: list[str | int | Fraction] = []
    for column in query.columns:
        if column.aggregate is None:
            values.append(OTHER if group.other else group.key[query.group_by.index(column.name or PERIOD)])
        elif column.aggregate is Aggregate.COUNT:
            values.append(group.count)
        else:
            total = sums[column.name or ""]
            values.append(total if column.aggregate is Aggregate.SUM else Fraction(total, group.count))
    return Row(group.key, group.other, group.count, tuple(values))


def _write_group(group: GroupOutline, decryption: Decryption | None, sums: Mapping[str, int]) -> dict[str, Any]:
    return {
        "key": group.key,
        "other": group.other,
        "count": group.count,
        "cohort_root": group.cohort_root.hex(),
        "decryption": None if decryption is None else _write_decryption(decryption),
        "sums": {name: str(value) for name, value in sums.items()},
    }


def _write_decryption(decryption: Decryption) -> dict[str, Any]:
    product = decryption.product.to_bytes((decryption.product.bit_length() + 7) // 8, "big")
    return {"product": product.hex(), "shares": [share.to_bytes().hex() for share in decryption.shares]}


def _read_group(
    reader: Reader, width: int, key: ThresholdKey | None
) -> tuple[GroupOutline, dict[str, int], Decryption | None]:
    group = GroupOutline(
        key=reader.texts("key", width, LONGEST_VALUE),
        other=reader.flag("other"),
        count=reader.integer("count", 1, LARGEST_LOG + 1),
        cohort_root=reader.data("cohort_root", HASH_SIZE, HASH_SIZE),
    )
    sums = reader.numbers("sums")
    decryption = reader.optional("decryption", lambda name: _read_decryption(reader.nested(name), key))
    reader.end()
    return group, sums, decryption


def _read_decryption(reader: Reader, key: ThresholdKey | None) -> Decryption:
    if key is None:
        raise Malformed(reader.part("product"), "a decryption without a key")
    product = reader.data("product", LONGEST_BLOB)
    if product[:1] == b"\x00":
        raise Malformed(reader.part("product"), "it begins with a zero byte")
    shares = tuple(PartialDecryption.from_bytes(blob) for blob in reader.blobs("shares", MOST_SHARES, LONGEST_BLOB))
    indexes = [share.index for share in shares]
    if indexes != sorted(set(indexes)):
        raise Malformed(reader.part("shares"), "not in ascending order of trustees, each once")
    reader.end()
    return Decryption(int.from_bytes(product, "big"), shares)


def _write_release(release: ReleaseEntry) -> dict[str, Any]:
    return {"number": release.number, "request": release.request.hex()}


def _read_release(reader: Reader) -> ReleaseEntry:
    release = ReleaseEntry(reader.integer("number", 0, LARGEST_LOG), reader.data("request", HASH_SIZE, HASH_SIZE))
    reader.end()
    return release


def _write_head(head: Head) -> dict[str, Any]:
    return {"size": head.size, "root": head.root.hex()}


def _read_head(reader: Reader) -> Head:
    head = Head(reader.integer("size", 0, LARGEST_LOG + 1), reader.data("root", HASH_SIZE, HASH_SIZE))
    reader.end()
    return head


def _read_signature(reader: Reader) -> None:
    """Only their shape; :func:`services.documents.check_signature` reads them."""
    if not reader.data("certificate", LONGEST_BLOB):
        raise WrongLength("certificate", "empty")
    reader.data("signature", LONGEST_BLOB)


def _operator(receipt: bytes, kind: str, authority: Authority, at: datetime) -> PeerIdentity:
    """The operator that signed a document. Raises as :func:`services.documents.check_signature`, and WrongUsage."""
    peer = documents.check_signature(receipt, kind, authority, at)
    if peer.role is not Role.OPERATOR:
        raise WrongUsage("certificate", f"{peer.uri} is not an operator")
    return peer


def _numbers(indexes: Sequence[int]) -> str:
    return ", ".join(map(str, indexes))
