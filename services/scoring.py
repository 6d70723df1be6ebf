"""Score requests and proofs: what bank and enterprise each check for themselves.

The bank signs a ``ScoreStatement``. The public input ``request`` of the proof is a digest of its terms (bank, nonce,
expiry, kind, cut-off), so a proof answers one request of one bank and no other. Everything that the proof states the
bank works out from its own request; only root and outcome come from the enterprise.
"""

import json
from dataclasses import dataclass

from circuits import credit_score
from circuits.record import period_id, subject_id
from circuits.schema import Schema
from circuits.scorecard import Scorecard
from services.api.zkshare.v1 import credit_pb2 as pb
from services.api.zkshare.v1.identity_pb2 import Signed
from services.credit import LONGEST_REQUEST, read_statement
from services.errors import NotAnchored, ProofInvalid
from services.ledger import Ledger
from services.parameters import PublicParameters
from services.statements import check_expiry
from services.verification import field_element
from zkcore.errors import Malformed
from zkcore.formats import json_text
from zkcore.groth16 import Proof

KINDS = {pb.SCORE_KIND_SCORE: credit_score.Kind.SCORE, pb.SCORE_KIND_PASS_FAIL: credit_score.Kind.PASS_FAIL}


@dataclass(frozen=True)
class ScoreRequest:
    """A bank's request, read and in order, as the enterprise's owner sees it before consenting."""

    bank: str
    subject: str
    schema: Schema
    period: str
    scorecard: Scorecard
    kind: credit_score.Kind
    cut_off: int
    nonce: bytes
    expires_at: int
    sealing_key: bytes

    @property
    def dataset(self) -> str:
        """Name of the dataset whose record is to be scored."""
        return self.schema.name

    @property
    def model_hash(self) -> int:
        """Poseidon hash of the scorecard."""
        return self.scorecard.model_hash(self.schema)

    @property
    def terms(self) -> credit_score.Request:
        """The terms that the proof binds."""
        return credit_score.Request(self.bank, self.nonce, self.expires_at, self.kind, self.cut_off)


def write_scorecard(scorecard: Scorecard) -> bytes:
    """A scorecard as a request carries it: canonical JSON."""
    return json.dumps(scorecard.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_scorecard(encoded: bytes) -> Scorecard:
    """A scorecard from canonical JSON; raises Malformed for any other text."""
    scorecard = Scorecard.from_dict(json_text.loads(encoded, "request.scorecard"))
    if write_scorecard(scorecard) != encoded:
        raise Malformed("request.scorecard", "not in canonical form")
    return scorecard


def read_request(signed: Signed, parameters: PublicParameters, now: float) -> ScoreRequest:
    """A request as the enterprise reads it: signature, expiry, schema and scorecard in order."""
    statement = read_statement(signed, parameters.authority, now)
    dataset = parameters.dataset(field_element("request.schema_id", statement.schema_id))
    dataset.schema.check_period(statement.period)
    return ScoreRequest(
        bank=statement.bank,
        subject=statement.subject,
        schema=dataset.schema,
        period=statement.period,
        scorecard=read_scorecard(statement.scorecard),
        kind=KINDS[statement.kind],
        cut_off=statement.cut_off,
        nonce=statement.nonce,
        expires_at=statement.expires_at,
        sealing_key=statement.sealing_key,
    )


@dataclass(frozen=True)
class Score:
    """A verified score: the score itself, or whether it reaches the cut-off, as was asked, and the proof of it."""

    request: ScoreRequest
    score: int | None
    passed: bool | None
    proof: pb.ScoreProof


def verify(
    request: ScoreRequest, answer: pb.ScoreProof, parameters: PublicParameters, ledger: Ledger, now: float
) -> Score:
    """The score that an answer proves to the bank that made the request.

    Raises
    ------
    services.errors.Expired
        If the request's time is over.
    services.errors.NotAnchored
        If the ledger does not hold the root, or the scorecard.
    services.errors.ProofInvalid
        If the proof does not hold for this request: another bank's, another record's, or another outcome.
    """
    check_expiry("request.expires_at", request.expires_at, now, LONGEST_REQUEST)
    dataset = parameters.named(request.dataset)
    root = field_element("score_proof.root", answer.root)
    outcome = field_element("score_proof.outcome", answer.outcome)
    if not ledger.is_root(dataset.name, root):
        raise NotAnchored("score_proof.root", f"the ledger holds no such root of {dataset.name}")
    if ledger.scorecard(request.model_hash) is None:
        raise NotAnchored("request.scorecard", "the ledger holds no such scorecard")
    statement = credit_score.Statement(
        root=root,
        schema_id=dataset.schema.schema_id,
        subject=subject_id(request.subject),
        period=period_id(request.period),
        model_hash=request.model_hash,
        request=request.terms.public_input(),
        outcome=outcome,
    )
    if not dataset.prepared_score_key.verify(Proof.from_bytes(answer.proof), statement.public_inputs()):
        raise ProofInvalid("score_proof.proof", "the proof does not hold for this bank, request, record and outcome")
    result = credit_score.read_outcome(outcome, request.kind)
    if request.kind is credit_score.Kind.SCORE:
        return Score(request, int(result), None, answer)
    return Score(request, None, bool(result), answer)
