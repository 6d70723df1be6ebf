"""What operators watch: each metric by the name that Prometheus reads, moved by the event that it is about.

Batches of proofs verified for others are in ``test_proving.py``, lost log lines in ``test_audit.py``, transactions that
a chain dropped in ``test_network_on_chain.py``.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from services import metrics
from services.errors import OverLimit
from services.limits import Callers, Limits
from services.network import LocalNetwork
from tests.services import parties
from tests.services.test_network import refused
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEEL, CLOTH = parties.ENTERPRISES[:4], parties.ENTERPRISES[4]
OPERATOR = 'party="operator/operator"'
SUBMIT, QUERY = "/zkshare.v1.SubmissionService/Submit", "/zkshare.v1.AggregateService/Query"


def read(name: str) -> float:
    """A sample as `/metrics` shows it, 0 before its first event."""
    lines = (line.rpartition(" ") for line in metrics.exposition().decode().splitlines() if line[0] != "#")
    return next((float(value) for found, _, value in lines if found == name), 0.0)


def calls(method: str, outcome: str) -> str:
    return f'zkshare_calls_total{{method="{method}",outcome="{outcome}",{OPERATOR}}}'


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalNetwork]:
    """A network whose node anchors nothing by itself, with five records committed."""
    directory = tmp_path_factory.mktemp("measured")
    async with LocalNetwork(parties.plan(), directory, lambda _: False, anchor_seconds=3600) as network:
        await network.departments[parties.DEPARTMENT].commit("filing", [parties.record(n) for n in (*STEEL, CLOTH)])
        yield network


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bodies(network: LocalNetwork) -> list[bytes]:
    """The five submissions, not filed."""
    names = (*STEEL, CLOTH)
    return list(await asyncio.gather(*(network.enterprises[name].prepare("filing", parties.PERIOD) for name in names)))


async def test_what_waits_and_what_is_taken_together(network: LocalNetwork, bodies: list[bytes]) -> None:
    """Both threads are held: a record each is in the two batches, the others wait for their turn."""
    intake, held = network.node._intake, threading.Event()
    queued, sums, counts = (
        read(f"zkshare_{name}") for name in ("queued", "submission_batch_size_sum", "submission_batch_size_count")
    )
    holding = [asyncio.create_task(network.workers.run(held.wait)) for _ in range(2)]
    filing = []
    try:
        for number, body in enumerate(bodies[:2], 1):
            filing.append(asyncio.create_task(intake.submit(body)))
            await until(lambda busy=number: intake._gatherer._idle == 2 - busy)
        filing += [asyncio.create_task(intake.submit(body)) for body in bodies[2:]]
        await until(lambda: read("zkshare_queued") == queued + 3)
        assert read("zkshare_work_waiting") >= 4
    finally:
        held.set()
    await asyncio.gather(*holding, *filing)
    assert read("zkshare_queued") == queued
    await until(lambda: read("zkshare_work_waiting") < 4)
    assert read("zkshare_submission_batch_size_sum") == sums + 5
    assert read("zkshare_submission_batch_size_count") == counts + 3
    await intake.submit(bodies[0])  # it is there: no batch verifies it
    assert read("zkshare_submission_batch_size_sum") == sums + 5


async def test_entries_that_the_ledger_does_not_cover(network: LocalNetwork, bodies: list[bytes]) -> None:
    lag, entries = (f"zkshare_{name}{{{OPERATOR}}}" for name in ("ledger_lag_entries", "log_entries"))
    await asyncio.gather(*(network.node._intake.submit(body) for body in bodies))
    await network.node._watch()  # what it does every two seconds; other nodes of these tests have the same name
    assert (read(lag), read(entries)) == (5, 5)
    await network.node.anchor()
    await network.node._watch()
    assert (read(lag), read(entries)) == (0, 5)


async def test_rates_and_latencies_by_outcome(network: LocalNetwork, bodies: list[bytes]) -> None:
    first, second = (network.enterprises[name] for name in STEEL[:2])
    seconds = [f'zkshare_call_seconds_{part}{{method="{SUBMIT}",{OPERATOR}}}' for part in ("count", "sum")]
    names = [calls(SUBMIT, "ok"), calls(SUBMIT, "wrong_subject"), *seconds]
    before = [read(name) for name in names]
    for _ in range(3):
        await first.file(bodies[0])
    assert (await refused(second.file(bodies[0]))).check == "wrong_subject"
    ok, wrong, count, taken = (read(name) - earlier for name, earlier in zip(names, before, strict=True))
    assert (ok, wrong, count) == (3, 1, 4) and 0 < taken < 60
    bucket = f'zkshare_call_seconds_bucket{{le="+Inf",method="{SUBMIT}",{OPERATOR}}}'
    assert read(bucket) == read(seconds[0])


async def test_cohorts_that_are_refused(network: LocalNetwork, bodies: list[bytes]) -> None:
    await asyncio.gather(*(network.node._intake.submit(body) for body in bodies))
    agency, all_of_them = network.tax_agencies["tax-agency"], "SELECT COUNT(*), SUM(sales) FROM filing"
    await agency.query(f"{all_of_them} WHERE industry = 'steel'")
    for sql, check in (
        (f"{all_of_them} WHERE industry = 'cloth'", "cohort_too_small"),
        (all_of_them, "atom_too_small"),
    ):
        names = [f'zkshare_cohort_refusals_total{{check="{check}"}}', calls(QUERY, check)]
        before = [read(name) for name in names]
        assert (await refused(agency.query(sql))).check == check
        assert [read(name) for name in names] == [value + 1 for value in before]
    assert (await refused(agency.query("SELECT MAX(sales) FROM filing"))).check == "unsupported"
    assert read('zkshare_cohort_refusals_total{check="unsupported"}') == 0  # a refusal of its form protects no cohort


async def test_limits_that_are_met() -> None:
    callers = Callers(Limits(calls_a_second=1, burst=2, at_once=1))
    names = [f'zkshare_limited_total{{limit="{limit}"}}' for limit in ("at_once", "calls_a_second", "message_bytes")]
    before = [read(name) for name in names]
    with callers.call("a"), pytest.raises(OverLimit), callers.call("a"):
        pass
    with callers.call("a"):
        assert read("zkshare_callers") == 1
    with pytest.raises(OverLimit), callers.call("a"):
        pass
    with pytest.raises(Refused):
        Limits().check_size(SUBMIT, 1 << 30)
    assert [read(name) for name in names] == [value + 1 for value in before]
