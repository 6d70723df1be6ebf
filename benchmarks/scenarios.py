"""Scenarios from records to answers, every party a real server on loopback, split by step; each a process of its own.

    python -m benchmarks.scenarios filings|scores|records NUMBER FILE

- ``filings``: a quarter's filings of so many companies. Each is committed by a department, encrypted and proved by its
  enterprise, verified by the node, verified anew by three trustees, and summed by industry for a tax agency.
- ``scores``: a bank's requests one after the other, each proved by the enterprise and verified by the bank.
- ``records``: so many records that lie in the log already (ciphertexts are real and all different, proofs are not);
  the node starts over them, and a tax agency asks twice for sums by industry.

FILE gets a JSON object: ``right``, whether every answer is the plain truth; ``seconds`` and ``bytes`` by step. Where a
query's time goes is told by the parties' traces (:mod:`services.tracing`): calls in the order in which they end.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from benchmarks import service_network as networks
from circuits.record import Record
from circuits.scorecard import Characteristic, Scorecard
from services import tracing
from services.client import TaxAgencyClient
from services.network import LocalNetwork, NetworkPlan
from services.receipts import Row

PERIOD, AT_ONCE = "2026Q2", 16
QUERY_STEPS = ("asked, cohorts decided, summed", "decrypted by trustees", "combined, signed", "receipt verified")
QUERY, SHARE = "/zkshare.v1.AggregateService/Query", "/zkshare.v1.TrusteeService/DecryptShare"

Truth = Mapping[str, tuple[int, int]]
"""For each industry, how many records and the sum of their sales."""


class Table(NamedTuple):
    """A verified answer: its rows, the groups that are together in one, those in none, and its receipt's bytes."""

    rows: tuple[Row, ...]
    merged: tuple[tuple[str, ...], ...]
    withheld: tuple[tuple[str, ...], ...]
    receipt: int


class Clock:
    """Seconds of steps that follow one another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def step(self, name: str) -> None:
        """What was done since the last step."""
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


class Calls:
    """The gRPC calls of all parties in this process; to be made before they start."""

    def __init__(self) -> None:
        tracing.start("benchmark")
        self._spans = InMemorySpanExporter()
        provider: Any = trace.get_tracer_provider()
        provider.add_span_processor(SimpleSpanProcessor(self._spans))

    def served(self, method: str) -> list[ReadableSpan]:
        """Calls that a server of this process has answered."""
        name = method.removeprefix("/")
        return [
            span
            for span in self._spans.get_finished_spans()
            if span.kind == SpanKind.SERVER and span.name.removeprefix("/") == name
        ]

    async def query(self, agency: TaxAgencyClient) -> tuple["Table", dict[str, float]]:
        """A verified answer, and the seconds of its steps."""
        self._spans.clear()
        begin = time.time_ns()
        answer = await agency.query(networks.QUERY)
        end = time.time_ns()
        shares, [whole] = self.served(SHARE), self.served(QUERY)
        moments = [begin, *_ends(shares), whole.end_time or 0, end]
        seconds = [(after - before) / 1e9 for before, after in pairwise(moments)]
        shown = answer.verified
        table = Table(shown.rows, shown.merged, shown.withheld, len(answer.receipt))
        return table, dict(zip(QUERY_STEPS, seconds, strict=True))


def _ends(spans: Sequence[ReadableSpan]) -> tuple[int, int]:
    """When the first of some calls began and the last one ended."""
    return min(span.start_time or 0 for span in spans), max(span.end_time or 0 for span in spans)


def is_true(answer: Table, truth: Truth) -> bool:
    """Whether every industry, or what is left of the small ones together, has its plain count and sum of sales."""
    rest, right = dict(truth), True
    for row in answer.rows:
        if not row.other:
            right = right and (row.count, row.values[2]) == rest.pop(row.group[0])
    for row in answer.rows:
        if row.other:
            merged = [rest.pop(group[0]) for group in answer.merged]
            right = right and [row.count, row.values[2]] == [sum(column) for column in zip(*merged, strict=True)]
    return right and {group[0] for group in answer.withheld} == rest.keys()


def plain(records: Sequence[Record]) -> Truth:
    """What a query by industry must come to."""
    truth: dict[str, tuple[int, int]] = {}
    for record in records:
        count, total = truth.get(record.attributes["industry"], (0, 0))
        truth[record.attributes["industry"]] = count + 1, total + record.values["sales"]
    return truth


async def _each(items: Sequence[Any], call: Callable[[Any], Awaitable[Any]]) -> list[Any]:
    """A call for each, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> Any:
        async with gate:
            return await call(item)

    return list(await asyncio.gather(*(one(item) for item in items)))


async def filings(directory: Path, companies: int) -> dict[str, Any]:
    """A quarter's filings of so many companies."""
    calls, clock = Calls(), Clock()
    names = tuple(f"company-{number:04}" for number in range(companies))
    key, shares = networks.committee(directory)
    plan = NetworkPlan((networks.dataset(),), key, tuple(shares), names)
    network = LocalNetwork(
        plan, directory / "network", lambda request: True, threads=os.cpu_count() or 1, anchor_seconds=3600
    )
    async with network:
        clock.step("keys and parties")
        records = [networks.record(name, PERIOD) for name in names]
        await network.departments["tax-bureau"].commit("vat", records)
        await _each(names, lambda name: network.enterprises[name].opening("vat", PERIOD))
        clock.step("committed by the department, openings fetched")
        first = await network.enterprises[names[0]].prepare("vat", PERIOD)
        await network.enterprises[names[0]].file(first)
        clock.step("first filing, kernels loaded or compiled")
        others = names[1:]
        prepared = await _each(others, lambda name: network.enterprises[name].prepare("vat", PERIOD))
        clock.step("encrypted and proved by the companies")
        filed = list(zip(others, prepared, strict=True))
        await _each(filed, lambda item: network.enterprises[item[0]].file(item[1]))
        clock.step("submitted, verified by the node")
        head = await network.node.anchor()
        while any(trustee._journal.size < head.size for trustee in network.trustees.values()):
            await asyncio.sleep(0.02)
        clock.step("verified anew by three trustees")
        answer, seconds = await calls.query(network.tax_agencies["tax-agency"])
    sizes = {"a submission": len(first), "the answer's receipt": answer.receipt}
    right = is_true(answer, plain(records)) and head.size == companies
    return {"right": right, "seconds": {**clock.seconds, **_query(seconds)}, "bytes": sizes}


def _query(seconds: Mapping[str, float], which: str = "query") -> dict[str, float]:
    return {f"{which}: {step}": value for step, value in seconds.items()}


async def scores(directory: Path, count: int) -> dict[str, Any]:
    """A bank's requests by turns of the enterprises."""
    steps = ("requested", "consented and proved", "fetched and verified")
    scorecard = Scorecard("benchmark", 500, (Characteristic("sales", (10**9, 10**11), (-40, 15, 61)),))
    seconds = dict.fromkeys(steps, 0.0)
    right = True
    async with LocalNetwork(
        networks.plan(directory), directory / "network", lambda request: True, anchor_seconds=3600
    ) as network:
        records = {name: networks.record(name, PERIOD) for name in networks.ENTERPRISES}
        await network.departments["tax-bureau"].commit("vat", list(records.values()))
        bank = network.banks["bank"]
        await bank.register(scorecard, "vat")
        for number in range(count + 1):  # the first warms up
            name = networks.ENTERPRISES[number % len(networks.ENTERPRISES)]
            clock = Clock()
            pending = await bank.request_score(name, "vat", PERIOD, scorecard)
            clock.step(steps[0])
            await network.enterprises[name].answer_requests()
            clock.step(steps[1])
            score = await bank.score(pending)
            clock.step(steps[2])
            right = right and score.score == scorecard.score(records[name].values)
            if number:
                seconds = {step: value + clock.seconds[step] for step, value in seconds.items()}
    return {"right": right, "seconds": seconds, "bytes": {}}


class TracedNetwork(networks.NetworkProcess):
    """A network whose queries tell where their time goes."""

    def __init__(self, directory: Path) -> None:
        self._calls = Calls()
        super().__init__(directory)

    async def query_by_step(self) -> tuple[Table, dict[str, float]]:
        """A verified answer, and the seconds of its steps."""
        return await self._calls.query(self._network.tax_agencies["tax-agency"])


async def records(directory: Path, count: int) -> dict[str, Any]:
    """So many records in the log; memory is that of a node alone, and of node, three trustees and clients together."""
    clock = Clock()
    truth = networks.fill(directory, count)
    there = directory / "network"
    for number in (1, 2, 3):
        shutil.copy(there / "node.sqlite", there / f"trustee-{number}.sqlite")
        shutil.copytree(there / "node.segments", there / f"trustee-{number}.segments")
    clock.step("encrypted and written")
    alone = networks.Child(networks.NodeProcess, directory)
    node = await alone.ready()
    alone.end()
    network = networks.Child(TracedNetwork, directory)
    await network.ready()
    answers = [await network.call("query_by_step") for _ in range(2)]
    memory = (await network.call("usage"))["memory"]
    network.end()
    return {
        "right": all(is_true(answer, truth) for answer, _ in answers),
        "seconds": {
            **clock.seconds,
            "node starts": node["start"],
            **_query(answers[0][1], "first query"),
            **_query(answers[1][1], "second query"),
        },
        "bytes": {"a node alone": 1e6 * node["memory"], "node, three trustees, clients": 1e6 * memory},
    }


SCENARIOS = {"filings": filings, "scores": scores, "records": records}


def main() -> None:
    """Run one scenario."""
    what, number, file = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="zkshare-bench-") as folder:
        directory = Path(folder)
        if what != "records":
            (directory / "network").mkdir(mode=0o700)
        outcome = asyncio.run(SCENARIOS[what](directory, int(number)))
    Path(file).write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main()
