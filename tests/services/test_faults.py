"""What callers are told when a disk fills, a database or the ledger goes away, and that all goes on by itself after.

Node, trustees and department are processes; each keeps what it keeps on a small disk of its own (tmpfs, which only root
can mount), or in PostgreSQL databases and on a chain that are stopped and started again.
"""

import asyncio
import json
import os
import resource
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from web3 import HTTPProvider, Web3

from services import statements
from services.api.zkshare.v1 import (
    aggregate_pb2,
    aggregate_pb2_grpc,
    department_pb2,
    department_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    submission_pb2,
    submission_pb2_grpc,
)
from services.identity import Role
from services.receipts import read_answer
from services.status import retry_delay
from tests.services import parties
from tests.services.postgres import PostgresServer
from tests.services.processes import Forked, Processes, free_port
from tests.services.test_ledger_over_rpc import ANVIL, FREE_GAS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(900)]

DISK = "16m"
SECONDS = 90.0
"""Time in which a call must end, and in which everything must be well again."""
FIRST = parties.ENTERPRISES[:4]
"""Those whose records are filed before anything goes wrong; all of one industry."""
STEEL = "SELECT COUNT(*), SUM(sales) FROM filing WHERE industry = 'steel'"
TRUSTEES = ("trustee-1", "trustee-2", "trustee-3")


class Callers:
    """Callers of a network of processes, who make each call once."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.prepared: dict[str, bytes] = {}
        self._left = iter(parties.ENTERPRISES[len(FIRST) :])

    async def begin(self) -> None:
        """Commits and prepares all records, starts all parties, files the first records."""
        book, database = self.processes.record_book()
        book.commit("filing", [parties.record(name) for name in parties.ENTERPRISES])
        prover = self.processes.prover()
        for name in parties.ENTERPRISES:
            self.prepared[name] = prover.submission(book.opening("filing", name, parties.PERIOD))
        database.close()
        for name in self.processes.addresses:
            self.processes.begin(name)
        for name in self.processes.addresses:
            await eventually(lambda name=name: self.serving(name))
        for name in FIRST:
            await self.submit(name)
        assert await self.query() == (4, sum(parties.VALUES[name]["sales"] for name in FIRST))

    def another(self) -> str:
        """An enterprise whose record is not filed yet."""
        return next(self._left)

    async def submit(self, name: str) -> bytes:
        """The receipt of a record."""
        request = submission_pb2.SubmitRequest(submission=self.prepared[name])
        stub = submission_pb2_grpc.SubmissionServiceStub
        response = await self.call(
            Role.ENTERPRISE, name, "node", lambda there: stub(there).Submit(request, timeout=SECONDS)
        )
        return response.receipt

    async def query(self, faults: int | None = None, trace: str = "") -> tuple[Any, ...]:
        """The values of the first records' sum; says how many trustees must be at fault, and what trace it is of."""
        identity = self.processes.identity(Role.TAX_AGENCY, "agency")
        statement = aggregate_pb2.QueryStatement(
            querier="agency", sql=STEEL, nonce=os.urandom(16), expires_at=int(time.time()) + 600
        )
        request = aggregate_pb2.QueryRequest(query=statements.sign(identity, statements.QUERY, statement))
        stub = aggregate_pb2_grpc.AggregateServiceStub
        told = (("traceparent", f"00-{trace}-{os.urandom(8).hex()}-01"),) if trace else ()
        response = await self.call(
            Role.TAX_AGENCY, "agency", "node", lambda there: stub(there).Query(request, timeout=SECONDS, metadata=told)
        )
        assert faults is None or len(response.faults) == faults
        answer, sums = read_answer(response.receipt)
        return answer.outline.groups[0].count, sums[0]["sales"]

    async def opening(self, name: str) -> bytes:
        """An enterprise's opening of its record."""
        request = department_pb2.GetOpeningRequest(dataset="filing", period=parties.PERIOD)
        stub = department_pb2_grpc.DepartmentServiceStub
        response = await self.call(
            Role.ENTERPRISE, name, parties.DEPARTMENT, lambda there: stub(there).GetOpening(request, timeout=SECONDS)
        )
        return response.opening

    async def head(self) -> int:
        """Entries of the node's log."""
        stub, request = log_pb2_grpc.LogServiceStub, log_pb2.GetHeadRequest()
        response = await self.call(
            Role.BANK, "bank", "node", lambda there: stub(there).GetHead(request, timeout=SECONDS)
        )
        return response.current.size

    async def serving(self, party: str) -> bool:
        """Whether a party says that it can do its work."""
        stub, request = health_pb2_grpc.HealthStub, health_pb2.HealthCheckRequest()
        try:
            response = await self.call(
                Role.BANK, "bank", party, lambda there: stub(there).Check(request, timeout=SECONDS)
            )
        except grpc.aio.AioRpcError:
            return False
        return response.status == health_pb2.HealthCheckResponse.SERVING

    async def missing(self, party: str) -> set[str]:
        """What a party says at its second door that it lacks."""
        context = ssl.create_default_context(cadata=self.processes.parameters.authority.to_pem().decode())
        async with httpx.AsyncClient(verify=context) as client:
            parts = (await client.get(f"https://{self.processes.doors[party]}/ready", timeout=SECONDS)).json()
        return {name for name, there in parts.items() if not there} - {"ready"}

    async def call(self, role: Role, name: str, party: str, call: Callable[[grpc.aio.Channel], Awaitable[Any]]) -> Any:
        called = {"node": (Role.OPERATOR, "operator"), parties.DEPARTMENT: (Role.DEPARTMENT, party)}
        other = called.get(party, (Role.TRUSTEE, party))
        # Not services.server.channel: once a test has begun to trace in this process, that sends a trace of its own.
        identity, address = self.processes.identity(role, name), self.processes.addresses[party]
        async with identity.channel(str(address), *other) as there:
            return await call(there)


async def unavailable(awaitable: Awaitable[Any], says_when: bool = True) -> None:
    """The call is to be made again, and its status says when."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE, caught.value
    assert not says_when or retry_delay(caught.value), caught.value


async def begins_to_fail(call: Callable[[], Awaitable[Any]]) -> None:
    """Makes a call until it is refused as unavailable: the last page of a file has room after its disk has none."""
    for _ in range(64):
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error
            return
    raise AssertionError("the disk is full, and it still writes")


async def eventually(holds: Callable[[], Awaitable[object]]) -> None:
    """Waits until something holds."""
    async with asyncio.timeout(SECONDS):
        while not await holds():
            await asyncio.sleep(0.1)


def mounted(place: Path, *options: str) -> None:
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"NOT TESTED: no disk of its own can be mounted here ({done.stderr.strip()})")


@contextmanager
def full(place: Path) -> Iterator[None]:
    """A disk without a free byte."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    filler.unlink()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_disks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callers]:
    """A network each of whose parties has a small disk of its own."""
    folder = tmp_path_factory.mktemp("disks")
    processes = Processes(folder, Forked)
    places = [folder / name for name in processes.addresses]
    try:
        for place in places:
            mounted(place, "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs")
        made = Callers(processes)
        await made.begin()
        yield made
    finally:
        processes.close()
        for place in places:
            subprocess.run(["umount", str(place)], capture_output=True)


async def test_a_query_is_one_trace_in_the_logs_of_all_processes(on_disks: Callers) -> None:
    number = os.urandom(16).hex()
    await on_disks.query(trace=number)
    for name in ("node", *TRUSTEES):

        async def calls(log: Path = on_disks.processes.folder / f"{name}.log") -> list[tuple[str, str]]:
            whole = log.read_text().rpartition("\n")[0]  # the last line may be half written
            lines = [json.loads(line) for line in whole.splitlines()]
            traced = [line for line in lines if line.get("trace_id") == number and line["event"] == "call"]
            return [(line["method"], line["outcome"]) for line in traced]

        method = "AggregateService/Query" if name == "node" else "TrusteeService/DecryptShare"
        await eventually(calls)  # a line is written once its call has been answered
        assert await calls() == [(f"/zkshare.v1.{method}", "ok")]


async def test_the_nodes_disk_is_full(on_disks: Callers) -> None:
    name, size = on_disks.another(), await on_disks.head()
    kept = await on_disks.submit(FIRST[0])
    with full(on_disks.processes.folder / "node"):
        await begins_to_fail(on_disks.query)
        for _ in range(2):
            await unavailable(on_disks.submit(name))
            await unavailable(on_disks.query())
        assert await on_disks.head() == size
        await eventually(lambda: not_(on_disks.serving("node")))
    await eventually(lambda: on_disks.serving("node"))
    receipt = await on_disks.submit(name)
    assert await on_disks.submit(name) == receipt
    assert await on_disks.submit(FIRST[0]) == kept and await on_disks.head() == size + 1
    assert (await on_disks.query())[0] == 4


async def test_trustees_disks_are_full(on_disks: Callers) -> None:
    folder = on_disks.processes.folder
    truth = await on_disks.query()
    with full(folder / "trustee-1"):
        await eventually(lambda: answered(on_disks.query(faults=1)))
        assert await on_disks.query(faults=1) == truth  # the others suffice
        with full(folder / "trustee-2"), full(folder / "trustee-3"):
            await begins_to_fail(on_disks.query)

            async def told() -> bool:
                await unavailable(on_disks.query(), says_when=False)  # a file's last page may have room for some calls
                return not await on_disks.serving("trustee-2")

            await eventually(told)
    assert await on_disks.query(faults=0) == truth
    for name in TRUSTEES:
        await eventually(lambda name=name: on_disks.serving(name))


async def test_the_departments_disk_is_full(on_disks: Callers) -> None:
    opening = await on_disks.opening(FIRST[0])
    with full(on_disks.processes.folder / parties.DEPARTMENT):
        await begins_to_fail(lambda: on_disks.opening(FIRST[0]))
        for _ in range(2):  # nothing is given out that the audit log does not hold
            await unavailable(on_disks.opening(FIRST[0]))
        await eventually(lambda: not_(on_disks.serving(parties.DEPARTMENT)))
    await eventually(lambda: on_disks.serving(parties.DEPARTMENT))
    assert await on_disks.opening(FIRST[0]) == opening


@contextmanager
def unwritable(processes: Processes, name: str) -> Iterator[None]:
    """No file takes a byte more from a party that runs, whatever it has open: the system refuses its writes (EFBIG).

    A file system cannot be made read-only under a process that has files open for writing, as those of parties are.
    """
    pid = processes.running[name].pid
    assert pid is not None
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def test_the_nodes_files_take_nothing_while_it_runs(on_disks: Callers) -> None:
    name, size = on_disks.another(), await on_disks.head()
    kept = await on_disks.submit(FIRST[0])
    with unwritable(on_disks.processes, "node"):
        for _ in range(2):
            await unavailable(on_disks.submit(name))
            await unavailable(on_disks.query())
        assert await on_disks.head() == size
        await eventually(lambda: not_(on_disks.serving("node")))
    await eventually(lambda: on_disks.serving("node"))
    receipt = await on_disks.submit(name)
    assert await on_disks.submit(name) == receipt
    assert await on_disks.submit(FIRST[0]) == kept and await on_disks.head() == size + 1
    assert (await on_disks.query(faults=0))[0] == 4
    on_disks.processes.kill("node")  # and so it is on disk
    on_disks.processes.begin("node")
    await eventually(lambda: on_disks.serving("node"))
    assert await on_disks.submit(name) == receipt and await on_disks.head() == size + 1


async def test_other_parties_files_take_nothing_while_they_run(on_disks: Callers) -> None:
    processes, truth, opening = on_disks.processes, await on_disks.query(), await on_disks.opening(FIRST[0])
    with unwritable(processes, "trustee-1"):
        assert await on_disks.query(faults=1) == truth  # the others suffice
        with unwritable(processes, "trustee-2"):
            await unavailable(on_disks.query(), says_when=False)
        await eventually(lambda: not_(on_disks.serving("trustee-1")))
    with unwritable(processes, parties.DEPARTMENT):
        for _ in range(2):  # nothing is given out that the audit log does not hold
            await unavailable(on_disks.opening(FIRST[0]))
        await eventually(lambda: not_(on_disks.serving(parties.DEPARTMENT)))
    for name in ("trustee-1", "trustee-2", parties.DEPARTMENT):
        await eventually(lambda name=name: on_disks.serving(name))
    assert await on_disks.query(faults=0) == truth
    assert await on_disks.opening(FIRST[0]) == opening


@pytest.mark.parametrize("name", ["node", "trustee-1", parties.DEPARTMENT])
async def test_a_disk_that_may_only_be_read(on_disks: Callers, name: str) -> None:
    """A party does not start there, and says why; it starts when the disk is writable again."""
    processes = on_disks.processes
    assert await asyncio.to_thread(processes.stop, name) == 0
    mounted(processes.folder / name, "-o", "remount,ro")
    try:
        processes.begin(name)
        assert await asyncio.to_thread(processes.ended, name) == 2
        said = (processes.folder / f"{name}.log").read_text().splitlines()[-1]
        assert "read" in said.lower() and f"{name}.toml" in said, said
    finally:
        mounted(processes.folder / name, "-o", "remount,rw")
    processes.begin(name)
    await eventually(lambda: on_disks.serving(name))
    await eventually(lambda: answered(on_disks.query(faults=0)))


async def not_(holds: Awaitable[bool]) -> bool:
    return not await holds


async def answered(call: Awaitable[Any]) -> bool:
    """Whether a call is answered now; it may be too early, and then it is told to come again."""
    try:
        await call
    except (grpc.aio.AioRpcError, AssertionError):
        return False
    return True


class Chain:
    """A chain that keeps its state in a file, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://{free_port()}"
        self._provider = HTTPProvider(self.url)
        self._state = folder / "chain.json"
        self.start()

    def start(self) -> None:
        port = self.url.rpartition(":")[2]
        command = [str(ANVIL), "--silent", "--port", port, *FREE_GAS, "--state", str(self._state)]
        self._process = subprocess.Popen([*command, "--preserve-historical-states"], start_new_session=True)
        _until(lambda: Web3(self._provider).is_connected())

    def stop(self) -> None:
        self._state.unlink(missing_ok=True)
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        _until(lambda: not Web3(self._provider).is_connected() and self._written())

    def _written(self) -> bool:
        try:
            return bool(json.loads(self._state.read_bytes()))
        except (OSError, ValueError):
            return False


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    if ANVIL is None:
        pytest.skip("NOT TESTED: anvil is not installed")
    made = Chain(tmp_path_factory.mktemp("chain"))
    yield made
    made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_servers(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, chain: Chain
) -> AsyncIterator[Callers]:
    """A network with its databases on a PostgreSQL server and its ledger on a chain."""
    names = ("node", parties.DEPARTMENT, *TRUSTEES)
    databases = {name: postgres_server.fresh() for name in names}
    processes = Processes(tmp_path_factory.mktemp("servers"), Forked, databases, chain.url)
    try:
        made = Callers(processes)
        await made.begin()
        yield made
    finally:
        processes.close()


async def test_the_database_server_goes_away(on_servers: Callers, postgres_server: PostgresServer) -> None:
    name, size, truth = on_servers.another(), await on_servers.head(), await on_servers.query()
    kept, opening = await on_servers.submit(FIRST[0]), await on_servers.opening(FIRST[0])
    await asyncio.to_thread(postgres_server.stop)
    try:
        for _ in range(2):
            await unavailable(on_servers.submit(name))
            await unavailable(on_servers.query())
            await unavailable(on_servers.opening(FIRST[0]))
        for party in on_servers.processes.addresses:
            await eventually(lambda party=party: not_(on_servers.serving(party)))
            assert await on_servers.missing(party) == {"database"}
    finally:
        await asyncio.to_thread(postgres_server.start)
    for party in on_servers.processes.addresses:
        await eventually(lambda party=party: on_servers.serving(party))
    receipt = await on_servers.submit(name)
    assert (await on_servers.submit(name), await on_servers.submit(FIRST[0])) == (receipt, kept)
    assert await on_servers.head() == size + 1
    assert await on_servers.opening(FIRST[0]) == opening
    assert await on_servers.query(faults=0) == truth


async def test_the_chain_goes_away(on_servers: Callers, chain: Chain) -> None:
    name, kept = on_servers.another(), await on_servers.submit(FIRST[0])
    size, truth = await on_servers.head(), await on_servers.query()
    await asyncio.to_thread(chain.stop)
    try:
        for _ in range(2):
            await unavailable(on_servers.submit(name))
            await unavailable(on_servers.query(), says_when=False)
            assert await on_servers.submit(FIRST[0]) == kept
        assert await on_servers.head() == size
        for party in on_servers.processes.addresses:
            await eventually(lambda party=party: not_(on_servers.serving(party)))
            assert await on_servers.missing(party) == {"ledger"}
    finally:
        await asyncio.to_thread(chain.start)
    for party in on_servers.processes.addresses:
        await eventually(lambda party=party: on_servers.serving(party))
        assert await on_servers.missing(party) == set()
    receipt = await on_servers.submit(name)
    assert await on_servers.submit(name) == receipt and await on_servers.head() == size + 1
    assert await on_servers.query(faults=0) == truth
    newest = on_servers.processes.ledger.latest_head()
    assert newest is not None and newest.size == size + 1


async def test_a_node_is_stopped_while_the_chain_is_away(on_servers: Callers, chain: Chain) -> None:
    processes, name = on_servers.processes, on_servers.another()
    receipt = await on_servers.submit(name)  # no head on the ledger holds it yet
    size = await on_servers.head()
    await asyncio.to_thread(chain.stop)
    try:
        assert await asyncio.to_thread(processes.stop, "node") == 0
        assert "not anchored at the end" in (processes.folder / "node.log").read_text()
    finally:
        await asyncio.to_thread(chain.start)
    processes.begin("node")
    await eventually(lambda: on_servers.serving("node"))
    assert await on_servers.submit(name) == receipt and await on_servers.head() == size
    await eventually(lambda: answered(on_servers.query(faults=0)))
    newest = processes.ledger.latest_head()
    assert newest is not None and newest.size == size
