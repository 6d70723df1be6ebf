"""A small network for tests: two datasets, twelve enterprises, a 2048-bit threshold key of public test primes.

The primes are in the repository, so the key protects nothing; its length is one that the parties accept.
"""

import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from circuits import credit_score, filing
from circuits.constraints import Circuit
from circuits.record import Record
from circuits.schema import Schema
from circuits.scorecard import Characteristic, Scorecard
from homomorphic.threshold import KeyShare, ThresholdKey, deal_from_primes
from services.keys import CircuitKeys
from services.network import DatasetPlan, NetworkPlan
from zkcore.groth16 import setup

SCHEMA = """
name = "filing"
minimum_cohort = 3

[[fields]]
name = "sales"
type = "u64"
unit = "CNY"

[[fields]]
name = "profit"
type = "i64"
unit = "CNY"

[[attributes]]
name = "industry"
"""
PERIOD = "2026Q2"
PRIMES = Path(__file__).parent.parent / "vectors/homomorphic/test_primes.json"

DEPARTMENT = "tax-bureau"

INDUSTRIES = ("steel", "steel", "steel", "steel", "cloth", "cloth", "cloth", "paper", "paper", "glass", "glass")
ENTERPRISES = tuple(f"werk-{number:02}" for number in range(len(INDUSTRIES)))
FILED = ENTERPRISES[:-1]
"""Those whose records are filed when the tests begin; the last one's is left for a test."""
LATE = ENTERPRISES[-1]


def distinctive(text: str) -> int:
    """A number of 15 digits that nothing else in a log, message or database is likely to equal, nor a sum of a few."""
    return 10**14 + int.from_bytes(sha256(text.encode()).digest()) % (9 * 10**14)


VALUES: Mapping[str, Mapping[str, int]] = {
    name: {"sales": distinctive(f"sales {name}"), "profit": (-1) ** number * distinctive(f"profit {name}")}
    for number, name in enumerate(ENTERPRISES)
}


@cache
def committee() -> tuple[ThresholdKey, list[KeyShare]]:
    p, q = (int(value, 16) for value in json.loads(PRIMES.read_text())["safe_primes"]["2048"])
    return deal_from_primes(p, q, parties=3, threshold=2)


@cache
def schema() -> Schema:
    return Schema.from_toml(SCHEMA)


def record(name: str) -> Record:
    attributes = {"industry": INDUSTRIES[ENTERPRISES.index(name)]}
    return Record(schema(), name, PERIOD, attributes, dict(VALUES[name]))


def scorecard(base: int = 500) -> Scorecard:
    return Scorecard(
        "test",
        base,
        (
            Characteristic("sales", (1_000_000, 5 * 10**14), (-40, 15, 61)),
            Characteristic("profit", (0,), (-133, 204)),
        ),
    )


def circuit_keys(circuit: Circuit) -> CircuitKeys:
    proving_key, verifying_key = setup(circuit.r1cs(), threads=2)
    return CircuitKeys(proving_key, verifying_key, "development setup, for tests")


@cache
def plan() -> NetworkPlan:
    key, shares = committee()
    filings, scores = filing.build(schema()), credit_score.build(schema())
    dataset = DatasetPlan(schema(), DEPARTMENT, filings, circuit_keys(filings), scores, circuit_keys(scores))
    return NetworkPlan((dataset,), key, tuple(shares), ENTERPRISES, banks=("bank", "other bank"))
