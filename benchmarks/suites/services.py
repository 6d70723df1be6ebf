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
    "one proof a request": "served, 256 callers, one proof a request",
    "16 proofs a request": "served, 256 callers, 16 proofs a request",
    "64 proofs a request": "served, 256 callers, 64 proofs a request",
}
LATENCY = {
    "median": "a single proof at half of that load, median",
    "99th percentile": "99th percentile",
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
        "services", "records of 4 fields accepted", {}, partial(_rates, "submit", full, SUBMIT), **_HOW, seconds=25
    )


_HOW: dict[str, Any] = {"clock": "wall", "cores": 2}


@cache
def measured(what: str, full: bool, records: int = 0) -> dict[str, float]:
    """What the load program shows, in its own units, by what it is called there; run once a process."""
    from benchmarks.process import run

    with tempfile.TemporaryDirectory(prefix="zkshare-bench-") as folder:
        file = Path(folder) / "shown.json"
        command = [sys.executable, "-m", "benchmarks.services", what, "--json", str(file)]
        run([*command, *([] if full else ["--quick"]), *(["--records", str(records)] if records else [])])
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
