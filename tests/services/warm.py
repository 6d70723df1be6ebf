"""Imported by the process from which parties are forked: what they compute with is loaded there once, not in each.

Verifies a submission and decrypts it, as node and trustees do with theirs.
"""

from circuits.record import Opening
from services.certificate_authority import CertificateAuthority
from services.identity import Authority
from services.parameters import Dataset, PublicParameters
from services.prover import DatasetProver
from services.verification import Accepted, SubmissionVerifier
from tests.services import parties
from zkcore.merkle import MerkleTree

plan = parties.plan()
(dataset,) = plan.datasets
key = plan.threshold_key.public_key
record, tree = parties.record(parties.LATE), MerkleTree()
tree.extend([record.leaf(1)])
prover = DatasetProver(dataset.filing_keys, dataset.score_keys, key)
submission = prover.submission(Opening(record, 1, tree.root, tree.path(0)))
parameters = PublicParameters(
    Authority.from_pem(CertificateAuthority.create().to_pem()),
    "operator",
    plan.trustees,
    plan.threshold_key,
    (Dataset(parties.schema(), dataset.filing_keys.verifying_key, dataset.score_keys.verifying_key),),
)
for count in (1, 8):
    accepted = SubmissionVerifier(parameters, lambda _: {tree.root}).verify_batch([submission] * count)
    assert all(isinstance(each, Accepted) for each in accepted)
product = key.ciphertext_from_bytes(accepted[0].ciphertext, "ciphertext")
share = plan.shares[0].partial_decrypt_batch([(product, b"warm")])[0]
assert plan.threshold_key.verify_shares([(product, share, b"warm")]) == []
