"""Sums over a log of records: it is written, a node starts over it, a tax agency asks; and memory. Real ciphertexts."""

from collections.abc import Iterator
from functools import partial

from benchmarks.case import Case, Options
from benchmarks.suites.end_to_end import HOW, by_step, sizes_of

RECORDS = (5_000, 20_000, 50_000, 100_000, 1_000_000)


def cases(options: Options) -> Iterator[Case]:
    """Synthetic records, written below the layer that verifies proofs; five sizes, so that growth can be told."""
    for records in RECORDS:
        size: dict[str, int | str] = {"records": records}
        yield Case(
            "aggregate",
            "records, steps",
            size,
            partial(by_step, "records", records),
            **HOW,
            seconds=20 + records / 1500,
            quick=records == RECORDS[0],
            grows="records",
        )
        yield Case(
            "aggregate",
            "memory",
            size,
            partial(sizes_of, "records", records),
            unit="B",
            seconds=0.1,
            quick=records == RECORDS[0],
            grows="records",
        )
