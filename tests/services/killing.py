"""Node and trustees killed with SIGKILL again and again while clients file records and ask queries.

Clients repeat what had no answer, with the same bytes, and remember every answer. Kills come in rounds: some of the
parties, each at a moment of its own, now and then again while it starts. In the end everything that was acknowledged
is held against what node, trustees and ledger have on disk.

``python -m tests.services.killing 1000`` kills a thousand times and prints what it found.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from circuits.record import Opening, Record
from services import audit, receipts, statements
from services.api.zkshare.v1 import aggregate_pb2, aggregate_pb2_grpc, submission_pb2, submission_pb2_grpc
from services.api.zkshare.v1.aggregate_pb2 import QueryRequest
from services.identity import Role
from services.journal import Journal
from services.releases import Releases
from services.server import Workers, channel
from services.store.opening import open_database
from tests.services import parties
from tests.services.processes import Forked, Processes

SUBJECTS = parties.ENTERPRISES[:4]
"""Those whose records are filed for every period."""
CALL_SECONDS = 20.0
PATIENCE = 120.0
"""Seconds after which a request that is repeated must have had its answer."""
HEALING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
"""What a caller may be told while parties die."""


@dataclass
class Filed:
    """A record and the receipt that was given for it."""

    subject: str
    period: str
    submission: bytes
    receipt: bytes


@dataclass
class Asked:
    """A signed query about a period and the receipt that was given for it."""

    period: str
    request: QueryRequest
    receipt: bytes


@dataclass
class Storm:
    """A network of processes, its clients, and what they were told."""

    processes: Processes
    chance: random.Random
    filed: list[Filed] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    killed: int = 0
    starting: int = 0
    """Kills of those that hit a party before it was ready."""
    repeated: int = 0
    """Answers that were asked for again and were the same."""
    stopping: bool = False
    periods: int = 0

    def __post_init__(self) -> None:
        self.workers = Workers(2)
        self.prover = self.processes.prover()
        self.parties = ["node", *self.processes.parameters.trustees]
        self.book, self.records = self.processes.record_book()
        self.channels = {
            name: channel(
                self.processes.identity(role, name), self.processes.addresses["node"], Role.OPERATOR, "operator"
            )
            for role, name in [(Role.TAX_AGENCY, "agency"), *((Role.ENTERPRISE, name) for name in SUBJECTS)]
        }
        self.agency = self.processes.identity(Role.TAX_AGENCY, "agency")

    async def rage(self, kills: int) -> None:
        """Kills so many times under load, then lets the clients finish what they began."""
        for name in self.parties:
            await asyncio.to_thread(self.processes.start, name)
        clients = [asyncio.create_task(self._client()) for _ in range(2)]
        try:
            while self.killed < kills:
                told = self.told
                await self._round()
                until = time.monotonic() + PATIENCE
                while self.told == told and time.monotonic() < until:  # each round hits parties that are at work
                    await asyncio.sleep(0.01)
                    for client in clients:
                        if client.done():
                            client.result()  # a client ends early only by failing
            self.stopping = True
            await asyncio.gather(*clients)
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

    @property
    def told(self) -> int:
        """Answers so far."""
        return len(self.filed) + len(self.asked) + self.repeated

    async def _round(self) -> None:
        victims = self.chance.sample(self.parties, self.chance.randint(1, len(self.parties)))
        await asyncio.gather(*(self._kill(name) for name in victims))
        await asyncio.sleep(self.chance.uniform(0, 0.4))

    async def _kill(self, name: str) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.5))
        while True:
            await asyncio.to_thread(self.processes.kill, name)
            self.killed += 1
            await asyncio.to_thread(self.processes.begin, name)
            if self.chance.random() < 0.7:
                break
            await asyncio.sleep(self.chance.uniform(0, 0.6))
            self.starting += not self.processes.ready(name)
        until = time.monotonic() + PATIENCE
        while not self.processes.ready(name):
            assert time.monotonic() < until, f"{name} does not start"
            await asyncio.sleep(0.01)

    async def _client(self) -> None:
        """Files the records of one period after another, asks for their sums, and repeats what it did before."""
        while not self.stopping:
            self.periods += 1
            period = f"p{self.periods}"
            openings = await self.workers.run(self._openings, period)
            await asyncio.gather(*(self._file(opening) for opening in openings))
            await self._ask(period)
            if self.chance.random() < 0.5:
                await self._again(self.chance.choice(self.filed))
            if self.chance.random() < 0.5:
                await self._ask_again(self.chance.choice(self.asked))

    def _openings(self, period: str) -> list[Opening]:
        industry = {"industry": "steel"}
        self.book.commit(
            "filing", [Record(parties.schema(), name, period, industry, self.values(name, period)) for name in SUBJECTS]
        )
        return [self.book.opening("filing", name, period) for name in SUBJECTS]

    @staticmethod
    def values(subject: str, period: str) -> dict[str, int]:
        """The private fields of a record."""
        sales, profit = (parties.distinctive(f"{name} {subject} {period}") for name in ("sales", "profit"))
        return {"sales": sales, "profit": -profit}

    async def _file(self, opening: Opening) -> None:
        record = opening.record
        submission = await self.workers.run(self.prover.submission, opening)
        receipt = await self._submit(record.subject, submission)
        receipts.verify_submission(receipt, submission, self.processes.parameters.authority, "operator")
        self.filed.append(Filed(record.subject, record.period, submission, receipt))

    async def _submit(self, subject: str, submission: bytes) -> bytes:
        stub = submission_pb2_grpc.SubmissionServiceStub(self.channels[subject])
        return (await insisted(stub.Submit, submission_pb2.SubmitRequest(submission=submission))).receipt

    async def _ask(self, period: str) -> None:
        statement = aggregate_pb2.QueryStatement(
            querier="agency",
            sql=f"SELECT COUNT(*), SUM(sales), SUM(profit) FROM filing WHERE period = '{period}'",
            nonce=self.chance.randbytes(16),
            expires_at=int(time.time()) + 3600,
        )
        request = QueryRequest(query=statements.sign(self.agency, statements.QUERY, statement))
        receipt = await self._query(request)
        verified = await self.workers.run(
            receipts.verify, receipt, self.processes.parameters.authority, self.processes.ledger
        )
        (row,) = verified.rows
        values = [self.values(name, period) for name in SUBJECTS]
        truth = (len(SUBJECTS), *(sum(each[name] for each in values) for name in ("sales", "profit")))
        assert row.values == truth, f"{period}: {row.values} instead of {truth}"
        self.asked.append(Asked(period, request, receipt))

    async def _query(self, request: QueryRequest) -> bytes:
        stub = aggregate_pb2_grpc.AggregateServiceStub(self.channels["agency"])
        return (await insisted(stub.Query, request)).receipt

    async def _again(self, filed: Filed) -> None:
        assert await self._submit(filed.subject, filed.submission) == filed.receipt, "another receipt for one record"
        self.repeated += 1

    async def _ask_again(self, asked: Asked) -> None:
        assert await self._query(asked.request) == asked.receipt, "another answer to one query"
        self.repeated += 1

    async def settle(self) -> None:
        """Asks everything again, stops all parties in order, and looks at what they have on disk."""
        for filed in self.filed:
            await self._again(filed)
        for asked in self.asked:
            await self._ask_again(asked)
        for there in self.channels.values():
            await there.close(None)
        for name in self.parties[::-1]:
            assert await asyncio.to_thread(self.processes.stop, name) == 0, f"{name} did not end well"
        self.workers.close()
        self.records.close()
        self._check_disks()

    def _check_disks(self) -> None:
        folder, ledger = self.processes.folder, self.processes.ledger
        node, held = self._journal("node")
        expected = {(filed.subject, filed.period): filed.submission for filed in self.filed}
        assert len(expected) == len(self.filed) == len(held) == node.size, "a record lost or doubled"
        for filed in self.filed:
            entry = node.get("filing", filed.subject, filed.period)
            assert (entry.body, entry.receipt) == (filed.submission, filed.receipt)
        positions = {self._position(filed): filed.submission for filed in self.filed}
        assert [positions[index] for index in range(node.size)] == held, "a record is not where its receipt says"
        anchored = ledger.heads()
        assert anchored[-1].size == node.size
        for head in anchored:
            assert node.log.root(head.size) == head.root, f"the ledger's head of {head.size} entries is not this log's"
        node.close()
        for name in self.parties[1:]:
            replica, bodies = self._journal(name)
            assert bodies == held[: replica.size], f"{name} has other entries"
            replica.close()
        for name in self.parties:
            with (folder / name / "calls.audit").open("rb") as file:
                list(audit.read(file))
        by_party = {name: self._heads(name) for name in self.parties}
        for number, asked in enumerate(self.asked):
            node_head, *others = (by_party[name][number] for name in self.parties)
            assert node_head is not None and set(others) <= {None, node_head}, f"{asked.period} at different heads"
            assert others.count(node_head) >= self.processes.parameters.threshold_key.threshold

    def _heads(self, name: str) -> list[int | None]:
        """The heads at which a party decided the queries."""
        database = open_database(self.processes.folder / name / "store.db")
        releases = Releases(database)
        found = [releases.head_size(statements.digest(statements.QUERY, each.request.query)) for each in self.asked]
        database.close()
        return found

    def _position(self, filed: Filed) -> int:
        authority = self.processes.parameters.authority
        return receipts.verify_submission(filed.receipt, filed.submission, authority, "operator").position

    def _journal(self, name: str) -> tuple[Journal, list[bytes]]:
        folder = self.processes.folder / name
        journal = Journal(open_database(folder / "store.db"), folder / "segments")
        return journal, journal.bodies(0, journal.size)


async def insisted(call: Callable[..., Any], request: Any) -> Any:
    """The answer to a request, made again as long as it is told to come again."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await call(request, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() not in HEALING or time.monotonic() > until:
                raise
        await asyncio.sleep(0.05)


async def storm(folder: Path, kills: int, seed: int) -> Storm:
    """A network in a folder after so many kills, everything about it checked."""
    processes = Processes(folder, Forked)
    try:
        made = Storm(processes, random.Random(seed))
        await made.rage(kills)
        await made.settle()
        return made
    finally:
        processes.close()


def main() -> None:
    """Kills as often as it is told and says what happened."""
    kills, started = int(sys.argv[1]), time.monotonic()
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = asyncio.run(storm(Path(folder), kills, seed))
    print(
        f"{made.killed} kills, {made.starting} of them before ready; {len(made.filed)} records and {len(made.asked)}"
        f" queries acknowledged, none lost, none doubled; {made.repeated} answers asked for again;"
        f" {time.monotonic() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
