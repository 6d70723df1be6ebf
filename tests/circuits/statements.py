"""A small dataset for the tests of circuits: schema, records, tree and openings."""

import secrets
from functools import cache

from circuits.record import Opening, Record
from circuits.schema import Schema
from zkcore.bn254 import R
from zkcore.merkle import MerkleTree

SCHEMA = Schema.from_toml(
    """
name = "tested"
minimum_cohort = 3

[[attributes]]
name = "category"

[[fields]]
name = "sales"
type = "u64"
unit = "USD"

[[fields]]
name = "profits"
type = "i64"
unit = "USD"

[[fields]]
name = "costs"
type = "u64"
unit = "USD"

[[rules]]
name = "balance"
relation = "profits = sales - costs"
"""
)
VALUES = (
    {"sales": 100, "profits": -20, "costs": 120},
    {"sales": 0, "profits": 0, "costs": 0},
    {"sales": (1 << 64) - 1, "profits": (1 << 63) - 1, "costs": 1 << 63},
    {"sales": 0, "profits": -(1 << 63), "costs": 1 << 63},
)


def record(values: dict[str, int], subject: str = "acme") -> Record:
    """A record of the tested schema."""
    return Record(SCHEMA, subject, "2026Q2", {"category": "Food & drink"}, values)


@cache
def openings() -> tuple[Opening, ...]:
    """Openings of records with ordinary and with extreme values, under one root."""
    records = [record(dict(values), f"subject-{number}") for number, values in enumerate(VALUES)]
    blindings = [secrets.randbelow(R) for _ in records]
    tree = MerkleTree()
    tree.extend([item.leaf(blinding) for item, blinding in zip(records, blindings, strict=True)])
    return tuple(
        Opening(item, blinding, tree.root, tree.path(index))
        for index, (item, blinding) in enumerate(zip(records, blindings, strict=True))
    )
