"""Verification of submissions: the one function by which node, trustees and auditors judge a log entry.

An entry is accepted if, and only if,

- it is the canonical serialization of a Submission that keeps the rules of its proto;
- its schema is one of the network's, its period one that the schema allows, its attributes are those that the schema
  names, its key is the network's;
- its root is one that the ledger holds for the dataset;
- ciphertext, commitments and proofs are well formed: units mod N^2, points of the curve, coordinates below the modulus;
- the Groth16 proof holds for the public inputs worked out anew from the entry's own fields (root, schema, subject,
  period, attributes, digest of the commitments);
- the link proof holds: the ciphertext has the committed values inside. Its transcript begins with the digest of those
  public inputs, so neither proof nor ciphertext can be carried over to another record, subject or key.

What costs little is checked first: an entry that fails there costs no arithmetic. Proofs of a batch are then verified
together, and each bad entry is named with the check that it failed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from circuits import filing
from circuits.record import attributes_id, period_id, subject_id
from homomorphic.proofs import link
from services.api.zkshare.v1.submission_pb2 import Submission
from services.errors import LinkInvalid, NotAnchored, ProofInvalid, UnknownKey, UnknownSchema
from services.parameters import Dataset, PublicParameters
from services.statements import parse_canonical
from zkcore import babyjubjub
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, Refused, WrongLength
from zkcore.groth16 import Proof

RootsOf = Callable[[str], Set[int]]
"""The roots, as field elements, that the ledger holds for a dataset of this name (:mod:`services.known_roots`)."""


@dataclass(frozen=True)
class Accepted:
    """What the parties need of an entry that passed."""

    dataset: str
    subject: str
    period: str
    attributes: dict[str, str]
    key_fingerprint: bytes
    ciphertext: bytes

    @property
    def identity(self) -> tuple[str, str, str]:
        """Dataset, subject, period: what the log may hold once."""
        return self.dataset, self.subject, self.period


@dataclass(frozen=True)
class _Read:
    """An entry with every part parsed, before its proofs are verified."""

    dataset: Dataset
    submission: Submission
    attributes: dict[str, str]
    public_inputs: list[int]
    proof: Proof
    link_statement: link.Statement
    link_proof: link.LinkProof


def link_context(public_inputs: Sequence[int]) -> bytes:
    """What the transcript of a link proof begins with: SHA-256 of the Groth16 public inputs under a label, 32 bytes."""
    return hashlib.sha256(
        b"zkshare filing public inputs v1\x00" + b"".join(value.to_bytes(32, "big") for value in public_inputs)
    ).digest()


class SubmissionVerifier:
    """Judges log entries by the network's public parameters and the roots on the ledger.

    Parameters
    ----------
    parameters
        The network's schemas and keys.
    roots_of
        Tells a dataset's roots; called once a batch for each dataset.
    """

    def __init__(self, parameters: PublicParameters, roots_of: RootsOf) -> None:
        self._parameters = parameters
        self._roots_of = roots_of

    def verify_batch(self, entries: Sequence[bytes]) -> list[Accepted | Refused]:
        """What the entries hold, or why each bad one is refused, in their order."""
        known: dict[str, Set[int] | Refused] = {}
        verdicts: list[_Read | Refused] = []
        for entry in entries:
            try:
                verdicts.append(self._read(entry, known))
            except Refused as refused:
                verdicts.append(_within_submission(refused))
        self._check_proofs(verdicts)
        self._check_links(verdicts)
        return [verdict if isinstance(verdict, Refused) else _accepted(verdict) for verdict in verdicts]

    def claimed(self, entry: bytes) -> tuple[str, str, str] | None:
        """Dataset, subject and period that an entry says it is of, nothing of it verified; None if it does not say."""
        try:
            submission = Submission.FromString(entry)
            dataset = self._parameters.dataset(int.from_bytes(submission.schema_id, "big"))
        except (DecodeError, UnknownSchema):
            return None
        return dataset.name, submission.subject, submission.period

    def _read(self, entry: bytes, known: dict[str, Set[int] | Refused]) -> _Read:
        submission = parse_canonical(entry, Submission, "submission")
        dataset = self._parameters.dataset(field_element("submission.schema_id", submission.schema_id))
        schema = dataset.schema
        schema.check_period(submission.period)
        public_key = self._parameters.threshold_key.public_key
        if submission.key_fingerprint != public_key.fingerprint:
            raise UnknownKey("submission.key_fingerprint", "the ciphertext is made with another key than the network's")
        attributes = schema.check_attributes([(item.name, item.value) for item in submission.attributes])
        root = field_element("submission.root", submission.root)
        if root not in self._roots(dataset.name, known):
            raise NotAnchored("submission.root", f"the ledger holds no such root of {dataset.name}")
        if len(submission.commitments) != len(schema.fields):
            raise WrongLength("submission.commitments", f"the schema has {len(schema.fields)} fields")
        commitments = [
            babyjubjub.from_bytes(value, f"submission.commitments[{index}]")
            for index, value in enumerate(submission.commitments)
        ]
        statement = filing.Statement(
            root=root,
            schema_id=schema.schema_id,
            subject=subject_id(submission.subject),
            period=period_id(submission.period),
            attributes=attributes_id(schema, attributes),
            commitments_digest=filing.commitments_digest(commitments),
        )
        public_inputs = statement.public_inputs()
        ciphertext = public_key.ciphertext_from_bytes(submission.ciphertext, "submission.ciphertext")
        return _Read(
            dataset,
            submission,
            attributes,
            public_inputs,
            Proof.from_bytes(submission.proof),
            link.Statement(public_key, ciphertext, tuple(commitments), link_context(public_inputs)),
            link.LinkProof.from_bytes(submission.link_proof),
        )

    def _roots(self, dataset: str, known: dict[str, Set[int] | Refused]) -> Set[int]:
        """A dataset's roots, asked for once a batch, also while the ledger does not answer."""
        if dataset not in known:
            try:
                known[dataset] = self._roots_of(dataset)
            except Refused as refused:
                known[dataset] = refused
        found = known[dataset]
        if isinstance(found, Refused):
            raise found
        return found

    def _check_proofs(self, verdicts: list[_Read | Refused]) -> None:
        by_dataset: dict[str, list[int]] = defaultdict(list)
        for index, verdict in enumerate(verdicts):
            if isinstance(verdict, _Read):
                by_dataset[verdict.dataset.name].append(index)
        for name, indices in by_dataset.items():
            key = self._parameters.named(name).prepared_filing_key
            reads = [verdict for index in indices if isinstance(verdict := verdicts[index], _Read)]
            for bad in key.verify_batch([(read.proof, read.public_inputs) for read in reads]):
                verdicts[indices[bad]] = ProofInvalid(
                    "submission.proof", "the proof does not hold for this root, subject, period, attributes and values"
                )

    def _check_links(self, verdicts: list[_Read | Refused]) -> None:
        indices = [index for index, verdict in enumerate(verdicts) if isinstance(verdict, _Read)]
        reads = [verdict for verdict in verdicts if isinstance(verdict, _Read)]
        for bad in link.verify_batch([(read.link_statement, read.link_proof) for read in reads]):
            verdicts[indices[bad]] = LinkInvalid(
                "submission.link_proof", "the ciphertext is not proved to hold the committed values"
            )


def field_element(part: str, encoded: bytes) -> int:
    """A field element from 32 bytes, big-endian; refuses what is not below the modulus."""
    value = int.from_bytes(encoded, "big")
    if value >= R:
        raise OutOfRange(part, "not below the field's modulus")
    return value


def _within_submission(refused: Refused) -> Refused:
    """The same refusal, its part named from the submission down."""
    if refused.part.split(".")[0] == "submission":
        return refused
    return type(refused)(f"submission.{refused.part}", refused.why)


def _accepted(read: _Read) -> Accepted:
    return Accepted(
        dataset=read.dataset.name,
        subject=read.submission.subject,
        period=read.submission.period,
        attributes=read.attributes,
        key_fingerprint=read.submission.key_fingerprint,
        ciphertext=read.submission.ciphertext,
    )
