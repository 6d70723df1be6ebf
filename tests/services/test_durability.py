"""What a caller is told when the node cannot keep a record, and that it goes on by itself when it can again.

A server of its own, over mutual TLS, with the shared network's keys, ledger and submissions, on each kind of database.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2

from services import submission
from services.api.zkshare.v1 import submission_pb2 as pb
from services.api.zkshare.v1 import submission_pb2_grpc as rpc
from services.gathering import Size
from services.identity import Role
from services.journal import Journal
from services.known_roots import KnownRoots
from services.network import OPERATOR
from services.server import FREE_PORT, Server, Workers, channel
from services.status import DETAILS
from services.store import Database
from services.store.opening import open_database
from services.submission import Intake, SubmissionServicer
from services.verification import SubmissionVerifier
from tests.services import parties
from tests.services.conftest import Running
from tests.services.postgres import PostgresServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST, SECOND, THIRD = parties.FILED[:3]


@dataclass
class Serving:
    """A node's submission service on a store of its own."""

    running: Running
    database: Database
    journal: Journal
    intake: Intake
    server: Server

    async def submit(self, name: str) -> bytes:
        """The receipt that an enterprise gets for its prepared record."""
        request = pb.SubmitRequest(submission=self.running.submissions[name])
        return (await self._call(name, lambda stub: stub.Submit(request))).receipt

    async def receipt(self, name: str) -> bytes:
        """The receipt that an enterprise is given again."""
        schema = parties.schema().schema_id.to_bytes(32, "big")
        request = pb.GetReceiptRequest(schema_id=schema, period=parties.PERIOD)
        return (await self._call(name, lambda stub: stub.GetReceipt(request))).receipt

    async def stream(self, name: str, count: int) -> list[pb.SubmitManyResponse]:
        """What an enterprise is answered over one stream of the same record."""
        requests = [pb.SubmitManyRequest(submission=self.running.submissions[name])] * count

        async def call(stub: rpc.SubmissionServiceStub) -> list[pb.SubmitManyResponse]:
            return [response async for response in stub.SubmitMany(iter(requests))]

        return await self._call(name, call)

    async def _call(self, name: str, call: Callable) -> pb.SubmitResponse:
        identity = self.running.network.identity(Role.ENTERPRISE, name)
        async with channel(identity, self.server.address, Role.OPERATOR, OPERATOR) as there:
            return await call(rpc.SubmissionServiceStub(there))


@pytest_asyncio.fixture(loop_scope="session")
async def serving(running: Running, location: Path | str, tmp_path: Path) -> AsyncIterator[Serving]:
    network, workers = running.network, Workers(2)
    database = open_database(location)
    journal = Journal(database, tmp_path / "segments")
    operator = network.identity(Role.OPERATOR, OPERATOR)
    verifier = SubmissionVerifier(network.parameters, KnownRoots(network.ledger).of)
    intake = Intake(journal, verifier, operator, workers)
    servicer = SubmissionServicer(intake, journal, network.parameters, workers)
    server = Server(operator, FREE_PORT, [servicer])
    await intake.start()
    await server.start()
    yield Serving(running, database, journal, intake, server)
    await server.stop()
    await intake.stop()
    journal.close()
    database.close()
    workers.close()


@contextmanager
def full_disk(journal: Journal) -> Iterator[None]:
    """Writing to the journal's segments fails as Linux's full device fails; ``test_journal`` limits all files."""
    file = journal._segments._file
    full, kept = os.open("/dev/full", os.O_RDWR), os.dup(file)
    os.dup2(full, file)
    yield
    os.dup2(kept, file)
    for each in (full, kept):
        os.close(each)


async def unavailable(awaitable: object) -> str:
    """The reason of a call that is to be tried again, which says when."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable  # type: ignore[misc]
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    (encoded,) = [value for key, value in caught.value.trailing_metadata() or () if key == DETAILS]
    status = status_pb2.Status.FromString(encoded)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info) and info.metadata["part"] == "store"
    assert status.details[1].Unpack(retry) and retry.retry_delay.ToMilliseconds() > 0
    return str(info.metadata["why"])


async def test_the_same_record_gets_the_same_receipt(serving: Serving) -> None:
    first = await serving.submit(FIRST)
    again = await asyncio.gather(*(serving.submit(FIRST) for _ in range(5)))
    assert set(again) == {first, await serving.receipt(FIRST)}
    assert [response.receipt for response in await serving.stream(FIRST, 3)] == [first] * 3
    assert serving.journal.size == 1


async def test_a_full_disk(serving: Serving) -> None:
    first = await serving.submit(FIRST)
    with full_disk(serving.journal):
        assert "try again" in await unavailable(serving.submit(SECOND))
        refused = await serving.stream(SECOND, 2)
        assert [response.refusal.check for response in refused] == ["UNREACHABLE"] * 2
        assert await serving.receipt(FIRST) == first  # what was kept is still served
    second, third = await serving.submit(SECOND), await serving.submit(THIRD)
    assert len({first, second, third}) == serving.journal.size == 3
    assert await serving.submit(SECOND) == second


@pytest.mark.parametrize("location", ["postgres"], indirect=True)
async def test_a_database_that_goes_away(serving: Serving, postgres_server: PostgresServer) -> None:
    first = await serving.submit(FIRST)
    postgres_server.stop()
    try:
        for _ in range(2):
            await unavailable(serving.submit(SECOND))
            await unavailable(serving.receipt(FIRST))
    finally:
        postgres_server.start()
    assert await serving.submit(FIRST) == first == await serving.receipt(FIRST)
    second = await serving.submit(SECOND)
    assert serving.journal.size == 2 and await serving.submit(SECOND) == second


async def test_more_than_may_wait_is_told_when_to_come_again(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "QUEUE", Size(0, 1 << 20))
    network, workers = running.network, Workers(1)
    database = open_database(tmp_path / "store.db")
    journal = Journal(database, tmp_path / "segments")
    operator = network.identity(Role.OPERATOR, OPERATOR)
    intake = Intake(journal, SubmissionVerifier(network.parameters, KnownRoots(network.ledger).of), operator, workers)
    server = Server(operator, FREE_PORT, [SubmissionServicer(intake, journal, network.parameters, workers)])
    await intake.start()
    await server.start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await Serving(running, database, journal, intake, server).submit(FIRST)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    (encoded,) = [value for key, value in caught.value.trailing_metadata() or () if key == DETAILS]
    assert status_pb2.Status.FromString(encoded).details[1].Is(error_details_pb2.RetryInfo.DESCRIPTOR)
    await server.stop()
    await intake.stop()
    journal.close()
    database.close()
    workers.close()
