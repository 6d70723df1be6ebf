"""A replica follows piece by piece, keeps only what the anchored head begins with, and goes on where it stopped."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services import replication
from services.api.zkshare.v1 import log_pb2 as pb
from services.errors import LogMismatch, NotAnchored
from services.identity import Role
from services.journal import Journal
from services.known_roots import KnownRoots
from services.log import Head
from services.replication import Replica
from services.server import channel
from services.store.opening import open_database
from services.verification import SubmissionVerifier
from tests.services.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replication, "KEPT_TOGETHER", 2)


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    database = open_database(tmp_path / "replica.db")
    journal = Journal(database, tmp_path / "segments")
    yield journal
    journal.close()
    database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def replica(running: Running, journal: Journal) -> AsyncIterator[Replica]:
    network = running.network
    verifier = SubmissionVerifier(network.parameters, KnownRoots(network.ledger).of)
    identity = network.identity(Role.TRUSTEE, "trustee-1")
    async with channel(identity, network.node.address, Role.OPERATOR, "operator") as there:
        yield Replica(journal, verifier, network.ledger, there, network.workers)


def newest(running: Running) -> Head:
    anchored = running.network.ledger.latest_head()
    assert anchored is not None
    return Head(anchored.size, anchored.root)


async def test_it_reaches_the_head(running: Running, journal: Journal, replica: Replica) -> None:
    head = newest(running)
    await replica.follow(head)
    assert journal.head() == head
    assert journal.bodies(0, head.size) == running.network.node._journal.bodies(0, head.size)
    await replica.follow(head)
    with pytest.raises(NotAnchored):
        await replica.follow(Head(head.size, bytes(32)))


class Lying:
    """The node's log with one answer changed."""

    def __init__(self, stub: Any, path: list[bytes] | None = None, drop: int | None = None) -> None:
        self._stub, self._path, self._drop = stub, path, drop

    def StreamEntries(self, request: pb.StreamEntriesRequest, timeout: float) -> Any:
        return self._entries(request, timeout)

    async def _entries(self, request: pb.StreamEntriesRequest, timeout: float) -> Any:
        async for response in self._stub.StreamEntries(request, timeout=timeout):
            if response.index != self._drop:
                yield response

    async def GetConsistency(self, request: pb.GetConsistencyRequest, timeout: float) -> pb.GetConsistencyResponse:
        true = await self._stub.GetConsistency(request, timeout=timeout)
        return true if self._path is None else pb.GetConsistencyResponse(path=self._path)


@pytest.mark.parametrize("path", [[], [bytes(32)], [bytes(32)] * 4, [b"short"]])
async def test_what_is_not_shown_to_belong_is_not_kept(
    running: Running, journal: Journal, replica: Replica, path: list[bytes]
) -> None:
    stub = replica._stub
    replica._stub = Lying(stub, path)  # type: ignore[assignment]
    with pytest.raises(LogMismatch):
        await replica.follow(newest(running))
    assert journal.size == 0
    replica._stub = stub
    await replica.follow(newest(running))


async def test_a_log_with_a_gap_is_kept_up_to_it(running: Running, journal: Journal, replica: Replica) -> None:
    stub = replica._stub
    for dropped, kept in ((1, 0), (5, 5), (6, 5)):
        replica._stub = Lying(stub, drop=dropped)  # type: ignore[assignment]
        with pytest.raises(LogMismatch):
            await replica.follow(newest(running))
        assert journal.size == kept
    replica._stub = stub
    await replica.follow(newest(running))
    assert journal.head() == newest(running)
