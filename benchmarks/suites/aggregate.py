"""Sums over a log of records: it is written, a node starts over it, a tax agency asks; and memory. Real ciphertexts."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import machine
from benchmarks.case import OURS, Case, Gap, Options, Trial
from benchmarks.suites.end_to_end import HOW, by_step, sizes_of

RECORDS = (5_000, 20_000, 50_000, 100_000, 1_000_000)
DISK, MEMORY = 20_000, 6_000
"""Bytes a record, of four parties' copies of the log together."""


def cases(options: Options) -> Iterator[Case]:
    """Synthetic records, written below the layer that verifies proofs; five sizes, so that growth can be told."""
    for records in RECORDS:
        size: dict[str, int | str] = {"records": records}
        yield Case(
            "aggregate",
            "records, steps",
            size,
            partial(_with_room, by_step, records),
            **HOW,
            seconds=15 + records / 1800,
            quick=records == RECORDS[0],
            grows="records",
        )
        yield Case(
            "aggregate",
            "memory",
            size,
            partial(_with_room, sizes_of, records),
            unit="B",
            seconds=0.1,
            quick=records == RECORDS[0],
            grows="records",
        )


def _with_room(case: Callable[[str, int], Trial], records: int) -> Trial:
    """The scenario, or a gap on a machine that has no room for it."""
    room = {"disk": (DISK, shutil.disk_usage(tempfile.gettempdir()).free), "memory": (MEMORY, machine.free_memory())}
    for what, (each, free) in room.items():
        if free is not None and free < records * each:
            return Trial([Gap(OURS, f"needs {records * each / 1e9:.0f} GB of {what}, {free / 1e9:.0f} are free")], None)
    return case("records", records)
