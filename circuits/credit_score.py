"""``credit_score``: the score of a committed record under a public scorecard, or only whether it reaches a cut-off.

For the public inputs (root, schema_id, subject, period, model_hash, request, outcome) the prover knows a record, its
blinding and place, a scorecard table and the terms of a request, such that

* the record's leaf lies under ``root``;
* the table hashes to ``model_hash`` (:meth:`circuits.scorecard.Scorecard.model_hash`);
* the points of the bins that the fields fall into add up, with the base, to the score;
* ``request`` is Poseidon(terms, kind, carried cut-off), where ``terms`` is a digest of bank, nonce and expiry;
* ``outcome`` is the carried score (score + 2^31) if kind is 0, and if kind is 1 whether the score reaches the cut-off.

One circuit serves every scorecard of up to 12 characteristics with 8 bins each over a schema. The attributes of the
record are private here: a score says nothing about them. The table needs no range checks: whoever accepts a proof knows
the scorecard and compares its hash, and :class:`circuits.scorecard.Scorecard` holds numbers in range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from circuits.constraints import Circuit, ConstraintSystem, LinearCombination
from circuits.filing import carried_fields, opening_inputs, path_root, record_leaf
from circuits.gadgets import poseidon
from circuits.gadgets.bits import enforce_boolean
from circuits.gadgets.comparison import at_least
from circuits.gadgets.lookup import enforce_one_hot, selected
from circuits.record import Opening, attributes_id, period_id, subject_id
from circuits.schema import VALUE_BITS, Schema, digest_248
from circuits.scorecard import MOST_BINS, MOST_CHARACTERISTICS, SCORE_OFFSET, Scorecard
from zkcore import poseidon as plain_poseidon
from zkcore.errors import OutOfRange, WrongLength

NONCE_BYTES = 16
SCORE_BITS = 32


class Kind(IntEnum):
    """How much of the score a request asks for."""

    SCORE = 0
    PASS_FAIL = 1


@dataclass(frozen=True)
class Request:
    """The terms of a bank's request that a proof is bound to.

    Attributes
    ----------
    bank
        Name of the bank; a proof for one bank is none for another.
    nonce
        16 random bytes.
    expires_at
        Seconds since 1970-01-01 UTC.
    kind
        Score, or pass or fail.
    cut_off
        Least score that passes; 0 when the score itself is asked for.
    """

    bank: str
    nonce: bytes
    expires_at: int
    kind: Kind
    cut_off: int

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_BYTES:
            raise WrongLength("request.nonce", f"a nonce has {NONCE_BYTES} bytes")
        if not -SCORE_OFFSET <= self.cut_off < SCORE_OFFSET:
            raise OutOfRange("request.cut_off", "a score has 32 bits")
        if self.kind is Kind.SCORE and self.cut_off:
            raise OutOfRange("request.cut_off", "0 when the score itself is asked for")
        if not 0 <= self.expires_at < 1 << 63:
            raise OutOfRange("request.expires_at", "a time has 63 bits")

    @property
    def terms(self) -> int:
        """Digest of bank, nonce and expiry (248 bits)."""
        bank = self.bank.encode()
        encoded = len(bank).to_bytes(4, "big") + bank + self.nonce + self.expires_at.to_bytes(8, "big")
        return digest_248("score request", encoded)

    def public_input(self) -> int:
        """The public input ``request``."""
        return plain_poseidon.hash([self.terms, int(self.kind), self.cut_off + SCORE_OFFSET])


@dataclass(frozen=True)
class Statement:
    """What a score proof states; all of it public."""

    root: int
    schema_id: int
    subject: int
    period: int
    model_hash: int
    request: int
    outcome: int

    def public_inputs(self) -> list[int]:
        """In the circuit's order."""
        return [
            self.root,
            self.schema_id,
            self.subject,
            self.period,
            self.model_hash,
            self.request,
            self.outcome,
        ]


def outcome_of(score: int, request: Request) -> int:
    """The public input ``outcome`` of a score under a request."""
    return score + SCORE_OFFSET if request.kind is Kind.SCORE else int(score >= request.cut_off)


def read_outcome(outcome: int, kind: Kind) -> int | bool:
    """The score, or whether it passes, from the public input ``outcome``.

    Raises
    ------
    OutOfRange
        If it is neither.
    """
    if kind is Kind.PASS_FAIL:
        if outcome not in (0, 1):
            raise OutOfRange("outcome", "pass or fail is 0 or 1")
        return bool(outcome)
    if not 0 <= outcome < 1 << SCORE_BITS:
        raise OutOfRange("outcome", "a carried score has 32 bits")
    return outcome - SCORE_OFFSET


@lru_cache(maxsize=16)
def build(schema: Schema) -> Circuit:
    """The credit-score circuit of a schema."""
    cs = ConstraintSystem(f"credit-score-{schema.name}")
    root, schema_id, subject, period, model_hash, request, outcome = (
        cs.public(name) for name in ("root", "schema_id", "subject", "period", "model_hash", "request", "outcome")
    )
    values = carried_fields(cs, schema)
    with cs.scope("the leaf lies under the root"):
        leaf = record_leaf(cs, [schema_id, subject, period, cs.private("attributes")], values)
        cs.enforce_equal(path_root(cs, leaf), root, "the path ends at the root")
    base = cs.private("base")
    table = [base]
    score = base
    for place in range(MOST_CHARACTERISTICS):
        with cs.scope(f"characteristic {place}"):
            points, row = _characteristic(cs, place, values)
            table += row
            score = score + points
    with cs.scope("the scorecard is the named one"):
        cs.enforce_equal(poseidon.chain(cs, [schema_id, *table], "Poseidon"), model_hash, "the hash is the public one")
    with cs.scope("the outcome is what the request asks for"):
        terms, kind, cut_off = (cs.private(name) for name in ("terms", "kind", "cut_off"))
        enforce_boolean(cs, kind, "the kind is 0 or 1")
        digest = poseidon.hash(cs, [terms, kind, cut_off], "Poseidon")
        cs.enforce_equal(digest, request, "the request is the public one")
        passes = at_least(cs, score, cut_off, SCORE_BITS, "whether the score reaches the cut-off")
        cs.enforce(kind, passes - score, outcome - score, "the outcome is the score, or whether it passes")
    return cs.finish()


def _characteristic(
    cs: ConstraintSystem, place: int, values: Sequence[LinearCombination]
) -> tuple[LinearCombination, list[LinearCombination]]:
    """Points of one characteristic, and its part of the table."""
    selection = cs.privates(f"selection.{place}", len(values))
    cuts = cs.privates(f"cuts.{place}", MOST_BINS - 1)
    bins = cs.privates(f"points.{place}", MOST_BINS)
    enforce_one_hot(cs, selection, "which field")
    value = selected(cs, selection, values, "the chosen field's value")
    index = sum((flag.scaled(number) for number, flag in enumerate(selection)), cs.combination(0))
    points = bins[0]
    for cut, below, above in zip(cuts, bins, bins[1:], strict=False):
        reached = at_least(cs, value, cut, VALUE_BITS, "whether the value reaches the cut point")
        points = points + cs.multiply(reached, above - below, "points of the bin")
    return points, [index, *cuts, *bins]


def assign(
    schema: Schema, opening: Opening, scorecard: Scorecard, request: Request
) -> tuple[Statement, NDArray[np.uint64]]:
    """Statement and witness uint64[n_wires, 4] for a record's score under a request.

    Raises
    ------
    Malformed, OutOfRange
        If the scorecard does not fit the schema.
    Unsatisfied
        If the opening does not satisfy the circuit; the message names the constraint.
    """
    record = opening.record
    table = scorecard.table(schema)
    statement = Statement(
        opening.root,
        schema.schema_id,
        subject_id(record.subject),
        period_id(record.period),
        scorecard.model_hash(schema),
        request.public_input(),
        outcome_of(scorecard.score(record.values), request),
    )
    circuit = build(schema)
    inputs = opening_inputs(opening)
    inputs.update(zip(circuit.public_names, statement.public_inputs(), strict=True))
    inputs["attributes"] = attributes_id(schema, record.attributes)
    inputs["base"] = table[0]
    size = 2 * MOST_BINS
    for place in range(MOST_CHARACTERISTICS):
        index, *row = table[1 + place * size : 1 + (place + 1) * size]
        inputs[f"selection.{place}"] = [int(number == index) for number in range(len(schema.fields))]
        inputs[f"cuts.{place}"] = row[: MOST_BINS - 1]
        inputs[f"points.{place}"] = row[MOST_BINS - 1 :]
    inputs["terms"] = request.terms
    inputs["kind"] = int(request.kind)
    inputs["cut_off"] = request.cut_off + SCORE_OFFSET
    return statement, circuit.witness(inputs)
