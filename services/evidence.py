"""Evidence of a filing and of a score in one file each, for whoever wants to check them later.

A filing's is the operator's signed receipt and the submission's bytes that it is for. A score's is the bank's signed
request and the enterprise's proof: whoever has it sees the score, so it is the bank's to keep. Both are JSON objects of
hexadecimal texts; checking them takes the network's public parameters, and for a score the ledger.
"""

import json
from dataclasses import dataclass
from typing import Any

from services import scoring, statements
from services.api.zkshare.v1 import credit_pb2
from services.api.zkshare.v1.identity_pb2 import Signed
from services.api.zkshare.v1.submission_pb2 import Submission
from services.ledger import Ledger
from services.parameters import PublicParameters
from services.receipts import SubmissionReceipt, verify_submission
from services.scoring import Score
from zkcore.errors import Malformed
from zkcore.formats import json_text

FILING, SCORE = "zkshare filing", "zkshare score"
PARTS = {FILING: ("receipt", "submission"), SCORE: ("request", "proof")}


@dataclass(frozen=True)
class Filing:
    """A record that an operator took: what is public of it, and where it is in the log."""

    dataset: str
    subject: str
    period: str
    operator: str
    receipt: SubmissionReceipt


def write_filing(receipt: bytes, submission: bytes) -> bytes:
    """The evidence of a filing."""
    return _write(FILING, receipt, submission)


def write_score(request: Signed, score: Score) -> bytes:
    """The evidence of a score."""
    return _write(SCORE, statements.canonical(request), statements.canonical(score.proof))


def kind(content: bytes) -> str | None:
    """What a file is evidence of: :data:`FILING` or :data:`SCORE`; None for anything else."""
    try:
        document = json_text.loads(content, "evidence")
    except Malformed:
        return None
    found = document.get("kind") if isinstance(document, dict) else None
    return found if found in PARTS else None


def verify_filing(content: bytes, parameters: PublicParameters) -> Filing:
    """Check that the operator took this very record; raises as :func:`services.receipts.verify_submission`."""
    receipt, encoded = _read(content, FILING)
    read = verify_submission(receipt, encoded, parameters.authority, parameters.operator)
    submission = statements.parse_canonical(encoded, Submission, "submission")
    dataset = parameters.dataset(int.from_bytes(submission.schema_id, "big"))
    return Filing(dataset.name, submission.subject, submission.period, parameters.operator, read)


def verify_score(content: bytes, parameters: PublicParameters, ledger: Ledger) -> Score:
    """Check that the proof answers the request, as the bank did while the request was open.

    Raises
    ------
    zkcore.errors.Refused
        What :func:`services.scoring.read_request` and :func:`services.scoring.verify` refuse.
    """
    encoded, proof = _read(content, SCORE)
    signed = statements.parse_canonical(encoded, Signed, "request")
    statement = statements.parse_canonical(signed.statement, credit_pb2.ScoreStatement, "statement")
    then = statement.expires_at - 1  # a request that has run out since was open once
    request = scoring.read_request(signed, parameters, then)
    answer = statements.parse_canonical(proof, credit_pb2.ScoreProof, "proof")
    return scoring.verify(request, answer, parameters, ledger, then)


def _write(what: str, *parts: bytes) -> bytes:
    document = {"kind": what} | {name: part.hex() for name, part in zip(PARTS[what], parts, strict=True)}
    return json.dumps(document, indent=1).encode() + b"\n"


def _read(content: bytes, what: str) -> list[bytes]:
    document: Any = json_text.loads(content, "evidence")
    if not isinstance(document, dict) or set(document) != {"kind", *PARTS[what]} or document["kind"] != what:
        raise Malformed("evidence", f"is not a {what} with {' and '.join(PARTS[what])}")
    parts = []
    for name in PARTS[what]:
        text = document[name]
        if not isinstance(text, str) or text != text.lower():
            raise Malformed(name, "is not a text of hexadecimal digits in lower case")
        try:
            parts.append(bytes.fromhex(text))
        except ValueError:
            raise Malformed(name, "is not a text of hexadecimal digits") from None
        if parts[-1].hex() != text:
            raise Malformed(name, "is not a text of hexadecimal digits alone")
    return parts
