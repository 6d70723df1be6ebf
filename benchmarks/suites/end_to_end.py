"""Scenarios from records to answers, every party a real server on loopback; what each step costs by the clock.

A quarter's filings: the demonstration, whose answers are compared with the plain truth. A day of a bank's scores: one
request after the other, each proved by the enterprise and verified by the bank, compared with the scorecard.
"""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.case import OURS, Case, Contender, Options, Trial

FILING_STEPS = {
    "parties": "keys and parties",
    "commit": "records committed",
    "submit": "encrypted, proved, submitted",
    "query": "replicated, verified, query answered",
}
SCORE_STEPS = ("requested", "consented and proved", "fetched and verified")


def cases(options: Options) -> Iterator[Case]:
    """One sample each; a full run has the two thousand companies."""
    how: dict[str, Any] = {"clock": "wall", "cores": 2}
    for companies, seconds, quick in ((40, 35, True), (2000, 330, False)):
        size = {"companies": companies}
        yield Case(
            "end-to-end", "a quarter's filings", size, partial(_filings, companies), **how, seconds=seconds, quick=quick
        )
    for scores, seconds, quick in ((8, 12, True), (200, 90, False)):
        size = {"scores": scores}
        yield Case("end-to-end", "a bank's scores", size, partial(_scores, scores), **how, seconds=seconds, quick=quick)


def _steps(outcome: Mapping[str, Any], names: Mapping[str, str]) -> Trial:
    def step(key: str) -> Contender:
        return Contender(
            f"{OURS}, {names[key]}",
            lambda: outcome,
            lambda found: found["right"],
            1,
            lambda found: found["seconds"][key],
        )

    return Trial([step(key) for key in names], True, once=True)


@cache
def _demonstration(companies: int) -> dict[str, Any]:
    """What the demonstration tells, with keys of its own making; whether its answers are the truth."""
    from benchmarks.material import folder
    from benchmarks.process import run

    command = [sys.executable, "-m", "services.cli", "demo", "--enterprises", str(companies), "--json"]
    used = run(command, {"ZKSHARE_HOME": str(folder(f"demo{companies}"))})
    outcome: dict[str, Any] = json.loads(used.output[used.output.index("{") :])
    right = all(answer["values"] == answer["truth"] for answer in outcome["answers"])
    return {**outcome, "right": right and bool(outcome["answers"])}


def _filings(companies: int) -> Trial:
    return _steps(_demonstration(companies), FILING_STEPS)


def _scores(count: int) -> Trial:
    from benchmarks.material import folder

    outcome = asyncio.run(_bank_day(folder(f"scores{count}"), count))
    return _steps(outcome, dict(zip(SCORE_STEPS, SCORE_STEPS, strict=True)))


async def _bank_day(directory: Path, count: int) -> dict[str, Any]:
    """Requests by turns of the enterprises; seconds of each step over all, and whether every score is the plain one."""
    import time

    import structlog

    from benchmarks.service_network import ENTERPRISES, plan, record
    from circuits.scorecard import Characteristic, Scorecard
    from services.network import LocalNetwork

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    scorecard = Scorecard("benchmark", 500, (Characteristic("sales", (10**9, 10**11), (-40, 15, 61)),))
    seconds = dict.fromkeys(SCORE_STEPS, 0.0)
    right = True
    (directory / "network").mkdir(mode=0o700)
    async with LocalNetwork(
        plan(directory), directory / "network", lambda request: True, anchor_seconds=3600
    ) as network:
        records = {name: record(name, "2026Q2") for name in ENTERPRISES}
        await network.departments["tax-bureau"].commit("vat", list(records.values()))
        bank = network.banks["bank"]
        await bank.register(scorecard, "vat")
        for number in range(count + 1):  # the first warms up
            name = ENTERPRISES[number % len(ENTERPRISES)]
            moments = [time.perf_counter()]
            pending = await bank.request_score(name, "vat", "2026Q2", scorecard)
            moments.append(time.perf_counter())
            await network.enterprises[name].answer_requests()
            moments.append(time.perf_counter())
            score = await bank.score(pending)
            moments.append(time.perf_counter())
            right = right and score.score == scorecard.score(records[name].values)
            if number:
                for step, begin, end in zip(SCORE_STEPS, moments, moments[1:], strict=False):
                    seconds[step] += end - begin
    return {"right": right, "seconds": seconds}
