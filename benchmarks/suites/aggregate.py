"""Queries over a log of records: a node's start, its memory, a query with three trustees from signing to the answer."""

from collections.abc import Iterator
from functools import partial

from benchmarks.case import Case, Options, Trial
from benchmarks.suites.services import measured, reading

RECORDS = (5_000, 100_000, 1_000_000)


def cases(options: Options) -> Iterator[Case]:
    """Synthetic records: real ciphertexts, written below the layer that verifies proofs."""
    for records in RECORDS:
        size: dict[str, int | str] = {"records": records}
        yield Case(
            "aggregate",
            "node and query",
            size,
            partial(_times, records),
            clock="wall",
            cores=2,
            seconds=25 + records / 1500,
            quick=False,
            grows="records",
        )
        yield Case(
            "aggregate",
            "memory",
            size,
            partial(_memory, records),
            unit="B",
            cores=2,
            seconds=1,
            quick=False,
            grows="records",
        )


def _times(records: int) -> Trial:
    shown = measured("aggregate", True, records)
    names = {
        "the node starts": f"start of a node with {records:,} records",
        "first query": f"first query over {records:,} records, three trustees",
        "second query": f"second query over {records:,} records, three trustees",
    }
    return Trial([reading(name, shown, key, float) for name, key in names.items()], True, once=True)


def _memory(records: int) -> Trial:
    shown = measured("aggregate", True, records)
    names = {
        "the node alone": "its memory",
        "node, trustees and clients in one process": "memory of node, three trustees and all clients in one",
    }
    return Trial(
        [reading(name, shown, key, lambda megabytes: megabytes * 1e6) for name, key in names.items()], True, once=True
    )
