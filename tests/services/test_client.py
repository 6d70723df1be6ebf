"""Clients: what they make again and what not, and the ones that wait, in programs without an event loop."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from services.api.zkshare.v1 import submission_pb2 as pb
from services.api.zkshare.v1 import submission_pb2_grpc as rpc
from services.certificate_authority import CertificateAuthority
from services.client import (
    Enterprise,
    SyncBankClient,
    SyncEnterprise,
    SyncTaxAgencyClient,
    TaxAgencyClient,
)
from services.errors import (
    AlreadySubmitted,
    Busy,
    Declined,
    NotFound,
    OutsidePolicy,
    TooManyToday,
    Unreachable,
)
from services.identity import Role
from services.ledger import LedgerAccount
from services.retry import Backoff, repeated
from services.server import FREE_PORT, Server, channel
from tests.services import client_files, parties
from tests.services.conftest import Running
from zkcore.errors import Malformed, Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

AUTHORITY = CertificateAuthority.create()
MILL = AUTHORITY.issue(Role.ENTERPRISE, "mill")
QUICK = Backoff(attempts=4, first=0.001, longest=0.002)
REQUEST = pb.SubmitRequest(submission=b"record")
COUNT = "SELECT industry, COUNT(*), SUM(sales) FROM filing WHERE industry = 'steel' GROUP BY industry"


class Faltering(rpc.SubmissionServiceServicer):
    """A server that fails as it is told, one failure a call, and then answers."""

    DESCRIPTOR = pb.DESCRIPTOR.services_by_name["SubmissionService"]

    def __init__(self) -> None:
        self.failures: list[Callable[[grpc.aio.ServicerContext], Awaitable[Any]]] = []
        self.times: list[float] = []

    def join(self, server: grpc.aio.Server) -> None:
        rpc.add_SubmissionServiceServicer_to_server(self, server)

    async def Submit(self, request: pb.SubmitRequest, context: grpc.aio.ServicerContext) -> pb.SubmitResponse:
        self.times.append(time.monotonic())
        if self.failures:
            await self.failures.pop(0)(context)
        return pb.SubmitResponse(receipt=request.submission)


@pytest_asyncio.fixture(loop_scope="session")
async def faltering() -> AsyncIterator[tuple[Faltering, rpc.SubmissionServiceStub]]:
    servicer = Faltering()
    server = Server(AUTHORITY.issue(Role.OPERATOR, "node"), FREE_PORT, [servicer])
    await server.start()
    async with channel(MILL, server.address, Role.OPERATOR, "node") as there:
        yield servicer, rpc.SubmissionServiceStub(there)
    await server.stop(0)


def fails(error: Refused) -> Callable[[grpc.aio.ServicerContext], Awaitable[Any]]:
    async def fail(context: grpc.aio.ServicerContext) -> None:
        raise error

    return fail


def aborts(code: grpc.StatusCode) -> Callable[[grpc.aio.ServicerContext], Awaitable[Any]]:
    async def fail(context: grpc.aio.ServicerContext) -> None:
        await context.abort(code, "without a word of ours")

    return fail


async def test_what_time_heals_is_called_again(faltering: tuple[Faltering, rpc.SubmissionServiceStub]) -> None:
    servicer, stub = faltering
    servicer.failures = [fails(Busy("server", "full")), aborts(grpc.StatusCode.UNAVAILABLE)]
    assert (await repeated(stub.Submit, REQUEST, 60, QUICK)).receipt == b"record"
    first, second, _ = servicer.times
    assert second - first >= 0.25  # RetryInfo of "busy" says 250 ms; a server's word is kept to


@pytest.mark.parametrize(
    "failure",
    [
        fails(AlreadySubmitted("submission", "another record")),
        fails(Malformed("submission", "bytes")),
        aborts(grpc.StatusCode.RESOURCE_EXHAUSTED),  # without RetryInfo: a message too large stays too large
        aborts(grpc.StatusCode.DEADLINE_EXCEEDED),
        aborts(grpc.StatusCode.INTERNAL),
    ],
)
async def test_what_time_does_not_heal_is_raised_at_once(
    faltering: tuple[Faltering, rpc.SubmissionServiceStub], failure: Any
) -> None:
    servicer, stub = faltering
    servicer.failures = [failure]
    with pytest.raises(Refused):
        await repeated(stub.Submit, REQUEST, 60, QUICK)
    assert len(servicer.times) == 1


async def test_attempts_and_time_are_bounded(faltering: tuple[Faltering, rpc.SubmissionServiceStub]) -> None:
    servicer, stub = faltering
    servicer.failures = [aborts(grpc.StatusCode.UNAVAILABLE)] * 9
    with pytest.raises(Unreachable):
        await repeated(stub.Submit, REQUEST, 60, QUICK)
    assert len(servicer.times) == QUICK.attempts
    servicer.failures, servicer.times = [fails(Unreachable("store", "gone"))] * 9, []
    with pytest.raises(Refused) as caught:  # the server asks for 2 s, the caller has one
        await repeated(stub.Submit, REQUEST, 1, QUICK)
    assert caught.value.check == "unreachable" and len(servicer.times) == 1


async def test_waits_grow_to_a_bound_and_are_spread() -> None:
    backoff = Backoff(attempts=9, first=1.0, longest=4.0)
    for failures, bound in ((1, 1.0), (2, 2.0), (3, 4.0), (8, 4.0)):
        waits = [backoff.wait(failures) for _ in range(200)]
        assert 0 <= min(waits) < bound / 2 < max(waits) <= bound
    assert all(backoff.wait(1, asked=7.0) >= 7.0 for _ in range(50))


def agency_file(running: Running, folder: Path) -> Path:
    return client_files.write(folder, running, Role.TAX_AGENCY, "tax-agency")


async def test_a_client_is_made_from_its_file(running: Running, tmp_path: Path) -> None:
    async with TaxAgencyClient.connect(agency_file(running, tmp_path)) as agency:
        answer = await agency.query(COUNT)
    (row,) = answer.verified.rows
    assert row.values[1] == 4


async def test_the_waiting_client_answers_alike(running: Running, tmp_path: Path) -> None:
    file = agency_file(running, tmp_path)

    def ask() -> tuple[Any, Any]:
        with SyncTaxAgencyClient.connect(file) as agency:
            answer = agency.query(COUNT)
            with pytest.raises(Refused) as caught:
                agency.query("SELECT sales FROM filing")
            assert caught.value.check == "private_column"
        with pytest.raises(RuntimeError, match="closed"):
            agency.query(COUNT)
        agency.close()
        return answer.verified.rows, caught.value

    rows, _ = await asyncio.to_thread(ask)
    async with TaxAgencyClient.connect(file) as agency:
        assert (await agency.query(COUNT)).verified.rows == rows
    assert not [thread for thread in threading.enumerate() if thread.name == "zkshare client"]


async def test_a_file_that_is_not_right_says_what_to_do(running: Running, tmp_path: Path) -> None:
    file = agency_file(running, tmp_path)
    threads = threading.active_count()
    with pytest.raises(NotFound, match="cannot be read"):
        await asyncio.to_thread(SyncTaxAgencyClient.connect, tmp_path / "nowhere.toml")
    with pytest.raises(Malformed, match=r"ledger\.key"):
        await asyncio.to_thread(SyncBankClient.connect, file)
    file.write_text(file.read_text().replace('identity = "identity"', 'identity = "elsewhere"'))
    with pytest.raises(NotFound, match="put it there"):
        await asyncio.to_thread(SyncTaxAgencyClient.connect, file)
    assert not [thread for thread in threading.enumerate() if thread.name == "zkshare client"]
    assert threading.active_count() <= threads + 1  # to_thread's own


async def test_a_bank_and_an_enterprise_that_wait(running: Running, tmp_path: Path) -> None:
    name = parties.FILED[7]
    LedgerAccount.create().save(tmp_path / "bank.account")
    bank_path = client_files.write(tmp_path, running, Role.BANK, "bank", key=f'key = "{tmp_path / "bank.account"}"\n')
    path = client_files.write_enterprise(tmp_path, running, name)

    def run() -> None:
        answers: list[Any] = [True, False, OutsidePolicy("request.cut_off", "no"), TooManyToday("requests", "no")]

        def consent(request: Any) -> bool:
            answer = answers.pop(0)
            if isinstance(answer, Refused):
                raise answer
            return bool(answer)

        with SyncBankClient.connect(bank_path) as bank, SyncEnterprise.connect(path, consent) as enterprise:
            assert enterprise.opening("filing", parties.PERIOD).record == parties.record(name)
            bank.register(parties.scorecard(), "filing")
            for expected in (None, Declined, OutsidePolicy, TooManyToday):
                pending = bank.request_score(name, "filing", parties.PERIOD, parties.scorecard())
                assert enterprise.answer_requests() == (expected is None)
                if expected is None:
                    assert bank.score(pending).score == parties.scorecard().score(parties.VALUES[name])
                    continue
                with pytest.raises(Declined) as caught:
                    bank.score(pending)
                assert type(caught.value) is expected

    await asyncio.to_thread(run)


async def test_the_same_bytes_are_filed_again(running: Running, tmp_path: Path) -> None:
    name = parties.FILED[1]
    path = client_files.write_enterprise(tmp_path, running, name)
    outbox = path.parent / "outbox"
    async with Enterprise.connect(path) as enterprise:
        with pytest.raises(Refused) as caught:  # encrypted anew: another submission of the same record
            await enterprise.submit("filing", parties.PERIOD)
        assert caught.value.check == "already_submitted"
        (kept,) = outbox.iterdir()
        kept.write_bytes(running.submissions[name])
        assert await enterprise.submit("filing", parties.PERIOD) == running.receipts[name]
        assert {file.name for file in outbox.iterdir()} == {
            f"filing-{parties.PERIOD}.submission",
            f"filing-{parties.PERIOD}.receipt.json",
        }
        kept.write_bytes(running.submissions[parties.FILED[2]])
        with pytest.raises(Refused):
            await enterprise.submit("filing", parties.PERIOD)


async def test_keys_of_another_network_are_refused(running: Running, tmp_path: Path) -> None:
    name = parties.LATE
    path = client_files.write_enterprise(tmp_path, running, name)
    (plan,) = parties.plan().datasets
    (folder,) = (tmp_path / "circuits").glob(f"{plan.filing_circuit.name}-*")
    client_files.save_keys(folder, parties.circuit_keys(plan.filing_circuit))
    async with Enterprise.connect(path) as enterprise:
        with pytest.raises(Malformed, match="not the network's"):
            await enterprise.prepare("filing", parties.PERIOD)
        (folder / "proving.key").unlink()
        with pytest.raises(Malformed, match="has no proving key"):
            await enterprise.prepare("filing", parties.PERIOD)
