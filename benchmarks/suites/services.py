"""The services under load (:mod:`benchmarks.services`): requests a second over gRPC with mutual TLS on loopback.

Load and services share the machine's cores, so these are figures by the clock of the whole machine.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.case import OURS, Case, Contender, Gap, Options, Trial

VERIFY = {
    "the kernel's own rate": "kernel, batches of 4096",
    "through the client": "served, 256 callers, through the client",
    "one proof a call": "served, 256 callers, one proof a call",
    "16 proofs a call": "served, 256 callers, 16 proofs a call",
    "64 proofs a call": "served, 256 callers, 64 proofs a call",
}
LATENCY = {
    f"{way}, {what}": f"a single proof {way} at half of that load, {what}"
    for way in ("through the client", "in a call of its own")
    for what in ("median", "99th percentile")
}
SUBMIT = {
    "one record a call": "accepted, one record a call, 128 callers",
    "over streams": "accepted, 16 streams",
    "verified anew by three trustees": "verified anew by three trustees on the same cores",
}


def cases(options: Options) -> Iterator[Case]:
    """Verification and submission. A figure is the time an item, the inverse of the rate."""
    full = options.full
    yield Case(
        "services",
        "proofs verified",
        {"callers": 256},
        partial(_rates, "verify", full, VERIFY),
        **_HOW,
        seconds=65,
        quick=False,
    )
    yield Case("services", "single proof at half load", {}, partial(_latency, full), **_HOW, seconds=1, quick=False)
    yield Case(
        "services",
        "records of 4 fields accepted",
        {},
        partial(_rates, "submit", full, SUBMIT),
        **_HOW,
        seconds=25,
        quick=False,
    )
    yield Case("services", "acts on the ledger", {}, _gas, unit="gas", seconds=6)


_HOW: dict[str, Any] = {"clock": "wall", "cores": 2}


@cache
def measured(what: str, full: bool) -> dict[str, float]:
    """What the load program shows, in its own units, by what it is called there; run once a process."""
    from benchmarks.process import run

    with tempfile.TemporaryDirectory(prefix="zkshare-bench-") as folder:
        file = Path(folder) / "shown.json"
        command = [sys.executable, "-m", "benchmarks.services", what, "--json", str(file)]
        run([*command, *([] if full else ["--quick"])])
        return {item["what"]: item["value"] for item in json.loads(file.read_text(encoding="utf-8"))}


def reading(name: str, shown: dict[str, float], key: str, convert: Any) -> Contender | Gap:
    """One figure of the load program, converted."""
    if key not in shown:
        return Gap(f"{OURS}, {name}", "the load program does not show it")
    return Contender(f"{OURS}, {name}", lambda: shown[key], lambda value: value > 0, 1, convert)


def _rates(what: str, full: bool, names: dict[str, str]) -> Trial:
    shown = measured(what, full)
    return Trial([reading(name, shown, key, lambda rate: 1 / rate) for name, key in names.items()], True, once=True)


def _latency(full: bool) -> Trial:
    shown = measured("verify", full)
    return Trial([reading(name, shown, key, lambda ms: ms / 1000) for name, key in LATENCY.items()], True, once=True)


def _gas() -> Trial:
    """What the contract's acts cost, each by its receipt, on the embedded ledger; the filing's proof is a real one."""
    import secrets

    from benchmarks.material import folder
    from benchmarks.suites.prove import filing_schema
    from circuits import filing
    from circuits.record import Opening, Record
    from services.identity import Role
    from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
    from zkcore.babyjubjub import ORDER
    from zkcore.bn254 import R
    from zkcore.groth16 import prove, setup
    from zkcore.merkle import MerkleTree

    schema = filing_schema()
    ledger = Ledger.deploy(EmbeddedProvider(folder("gas") / "ledger.sqlite"), LedgerAccount.create())
    assert ledger.account is not None
    for role in (Role.DEPARTMENT, Role.OPERATOR):
        ledger.grant(ledger.account.address, role)
    ledger.open_dataset(schema.name, ledger.account.address, schema.schema_id)
    proving_key, verifying_key = setup(filing.build(schema).r1cs())
    values = {field.name: secrets.randbelow(1 << 40) for field in schema.fields}
    record = Record(schema, "someone", "2026", {attribute.name: "x" for attribute in schema.attributes}, values)
    tree, blinding = MerkleTree(), secrets.randbelow(R)
    tree.append(record.leaf(blinding))
    opening = Opening(record, blinding, tree.root, tree.path(0))
    _, _, witness = filing.assign(schema, opening, [secrets.randbelow(ORDER) for _ in values])
    proof, inputs = prove(proving_key, witness)
    acts = {
        "verifying key registered": lambda: ledger.register_verifying_key(schema.schema_id, verifying_key),
        "root anchored": lambda: ledger.anchor(schema.name, 1, tree.root, tree.size),
        "head of the log anchored": lambda: ledger.anchor_head(1, secrets.token_bytes(32)),
        "filing verified and its nullifier spent": lambda: ledger.submit_filing(schema.name, inputs, proof.to_bytes()),
    }
    return Trial(
        [
            Contender(f"{OURS}, {name}", act, lambda done: done.gas_used > 21_000, 1, lambda done: float(done.gas_used))
            for name, act in acts.items()
        ],
        True,
        once=True,
    )
