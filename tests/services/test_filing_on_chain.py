"""From a record to the contract: commit, anchor, prove with this project's own prover, accept or refuse on chain."""

import secrets
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from circuits import filing
from circuits.record import Opening, Record
from circuits.schema import Schema
from services.errors import NotAnchored, ProofInvalid
from services.identity import Role
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.ledger.errors import NullifierSpent
from zkcore.babyjubjub import ORDER
from zkcore.bn254 import R
from zkcore.groth16 import Proof
from zkcore.groth16.prover import prove
from zkcore.groth16.trusted_setup import setup
from zkcore.merkle import MerkleTree

SCHEMA = Schema.from_toml('name = "small"\n[[fields]]\nname = "sales"\ntype = "i64"\nunit = "fen"\n')


def test_a_record_becomes_a_filing_on_chain(tmp_path: Path) -> None:
    proving_key, verifying_key = setup(filing.build(SCHEMA).r1cs())
    ledger = Ledger.deploy(EmbeddedProvider(tmp_path / "ledger.db"), LedgerAccount.create())
    assert ledger.account is not None
    for role in (Role.DEPARTMENT, Role.OPERATOR):
        ledger.grant(ledger.account.address, role)
    ledger.open_dataset(SCHEMA.name, ledger.account.address, SCHEMA.schema_id)
    ledger.register_verifying_key(SCHEMA.schema_id, verifying_key)
    assert ledger.verifying_key_digest(SCHEMA.schema_id) == verifying_key.digest()

    tree = MerkleTree()
    record, blinding = Record(SCHEMA, "acme", "2026Q2", {}, {"sales": -5}), secrets.randbelow(R)
    tree.append(record.leaf(blinding))
    opening = Opening(record, blinding, tree.root, tree.path(0))
    statement, _, witness = filing.assign(SCHEMA, opening, [secrets.randbelow(ORDER)])
    proof, inputs = prove(proving_key, witness)
    assert inputs == statement.public_inputs()

    with pytest.raises(NotAnchored):
        ledger.submit_filing(SCHEMA.name, inputs, proof.to_bytes())
    ledger.anchor(SCHEMA.name, 1, tree.root, tree.size)
    assert ledger.verify_filing(inputs, proof.to_bytes())
    for name, value in asdict(statement).items():
        if name != "schema_id":
            tampered = replace(statement, **{name: (value + 1) % R}).public_inputs()
            assert not ledger.verify_filing(tampered, proof.to_bytes())
    for forged in (
        Proof(proof.c, proof.b, proof.a),
        replace(proof, a=verifying_key.alpha),
        replace(proof, b=verifying_key.beta),
    ):
        with pytest.raises(ProofInvalid):
            ledger.submit_filing(SCHEMA.name, inputs, forged.to_bytes())
    ledger.submit_filing(SCHEMA.name, inputs, proof.to_bytes())
    assert ledger.nullifier_spent(statement.schema_id, statement.subject, statement.period)
    again, _ = prove(proving_key, witness)
    assert again != proof and ledger.verify_filing(inputs, again.to_bytes())
    with pytest.raises(NullifierSpent):
        ledger.submit_filing(SCHEMA.name, inputs, again.to_bytes())
