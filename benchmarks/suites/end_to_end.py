"""Scenarios from records to answers (:mod:`benchmarks.scenarios`); what each step costs by the clock, and in bytes."""

import sys
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

from benchmarks.case import OURS, Case, Contender, Options, Trial

HOW: dict[str, Any] = {"clock": "wall", "cores": 2}
FILINGS, SCORES = ((40, 15, True), (2000, 200, False)), ((8, 10, True), (200, 40, False))
"""How many, about how many seconds, whether the quick set has it."""


def cases(options: Options) -> Iterator[Case]:
    """One sample each; a full run has the two thousand companies."""
    for name, scenario, what, sizes in (
        ("a quarter's filings", "filings", "companies", FILINGS),
        ("a day of a bank's scores", "scores", "scores", SCORES),
    ):
        for number, seconds, quick in sizes:
            yield Case(
                "end-to-end",
                name,
                {what: number},
                partial(by_step, scenario, number),
                **HOW,
                seconds=seconds,
                quick=quick,
            )
    for companies, _, quick in FILINGS:
        yield Case(
            "end-to-end",
            "a quarter's filings, bytes",
            {"companies": companies},
            partial(sizes_of, "filings", companies),
            unit="B",
            seconds=0.1,
            quick=quick,
        )


@cache
def scenario(name: str, number: int) -> Mapping[str, Any]:
    """What a scenario tells, and its process's peak memory; run once a process, so that all its cases have one run."""
    import json

    from benchmarks.material import folder
    from benchmarks.process import run

    file = folder(f"{name}{number}") / "outcome.json"
    used = run([sys.executable, "-m", "benchmarks.scenarios", name, str(number), str(file)])
    return {**json.loads(file.read_text(encoding="utf-8")), "peak": used.peak}


def _readings(outcome: Mapping[str, Any], figures: Mapping[str, float]) -> Trial:
    def reading(name: str) -> Contender:
        return Contender(
            f"{OURS}, {name}", lambda: outcome, lambda found: found["right"], 1, lambda found: figures[name]
        )

    return Trial([reading(name) for name in figures], True, once=True)


def by_step(name: str, number: int) -> Trial:
    """Seconds of each step."""
    outcome = scenario(name, number)
    return _readings(outcome, outcome["seconds"])


def sizes_of(name: str, number: int) -> Trial:
    """Bytes on the wire, and the memory of all parties in one process."""
    outcome = scenario(name, number)
    return _readings(outcome, {**outcome["bytes"], "peak memory, all parties in one process": outcome["peak"]})
