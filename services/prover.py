"""What an enterprise computes: its encrypted filing with both proofs, and proofs of its score.

All of it runs on the enterprise's own machine; what leaves it are the bytes of a Submission or a ScoreProof. Blindings
and encryption randomness come from the operating system.
"""

import os
import secrets

from circuits import credit_score, filing
from circuits.record import Opening
from homomorphic.packing import Packing
from homomorphic.paillier import PublicKey
from homomorphic.proofs import link
from services.api.zkshare.v1.credit_pb2 import ScoreProof
from services.api.zkshare.v1.submission_pb2 import Attribute, Submission
from services.keys import CircuitKeys
from services.scoring import ScoreRequest
from services.statements import canonical
from services.verification import link_context
from zkcore import babyjubjub
from zkcore.groth16 import prove


class DatasetProver:
    """Makes filings and score proofs over one dataset. It holds no secret, so enterprises on one machine may share it.

    Parameters
    ----------
    filing_keys
        Those of the schema's filing circuit.
    score_keys
        Those of the schema's credit-score circuit.
    public_key
        The network's Paillier key.
    """

    def __init__(self, filing_keys: CircuitKeys, score_keys: CircuitKeys, public_key: PublicKey) -> None:
        self._filing_keys = filing_keys
        self._score_keys = score_keys
        self._public_key = public_key

    def submission(self, opening: Opening, threads: int = 1) -> bytes:
        """A record as the bytes of a Submission: encrypted, proved, linked; so many threads share the proof."""
        record = opening.record
        values = record.carried()
        blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
        statement, commitments, witness = filing.assign(record.schema, opening, blindings)
        proof, _ = prove(self._filing_keys.proving_key, witness, threads=threads)
        ciphertext, rho = self._public_key.encrypt(Packing(len(values)).pack(values))
        link_statement = link.Statement(
            self._public_key, ciphertext, tuple(commitments), link_context(statement.public_inputs())
        )
        link_proof = link.prove(link_statement, values, rho, blindings)
        return canonical(
            Submission(
                schema_id=record.schema.schema_id.to_bytes(32, "big"),
                subject=record.subject,
                period=record.period,
                attributes=[Attribute(name=name, value=value) for name, value in record.attributes.items()],
                root=opening.root.to_bytes(32, "big"),
                key_fingerprint=self._public_key.fingerprint,
                ciphertext=self._public_key.ciphertext_to_bytes(ciphertext),
                commitments=[babyjubjub.to_bytes(point) for point in commitments],
                proof=proof.to_bytes(),
                link_proof=link_proof.to_bytes(),
            )
        )

    def score(self, opening: Opening, request: ScoreRequest) -> ScoreProof:
        """The proof of a record's score, as a request asks for it; somebody waits for it, so that all cores work."""
        record = opening.record
        statement, witness = credit_score.assign(record.schema, opening, request.scorecard, request.terms)
        proof, _ = prove(self._score_keys.proving_key, witness, threads=os.cpu_count() or 1)
        return ScoreProof(
            root=opening.root.to_bytes(32, "big"), outcome=statement.outcome.to_bytes(32, "big"), proof=proof.to_bytes()
        )
