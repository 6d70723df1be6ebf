"""The operator's node: it takes submissions, keeps the log, anchors its heads, answers queries with the trustees' help,
and carries score requests and verifies proofs for whoever asks.

The node learns public attributes, ciphertexts and aggregate answers; no private field, no score. Nothing it says is
believed: submissions are proved, heads are on the ledger, answers carry receipts.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import structlog

from services.aggregate import AggregateServicer
from services.credit import CreditServicer, ScoreRequests
from services.errors import LogMismatch
from services.identity import Identity, Role
from services.journal import Journal
from services.known_roots import KnownRoots
from services.ledger import Ledger
from services.log import Head
from services.metrics import LEDGER_LAG, LOG_ENTRIES
from services.parameters import PublicParameters
from services.policy import Rights
from services.proving import VerificationServicer
from services.release_list import ReleaseList, ReleaseServicer
from services.releases import Releases
from services.replication import LogServicer
from services.server import (
    FREE_PORT,
    GUARD,
    READY_SECONDS,
    Address,
    Guard,
    Needs,
    Repeated,
    Server,
    Servicer,
    Workers,
    channel,
)
from services.store.opening import open_database, segments_of
from services.submission import Intake, SubmissionServicer
from services.verification import SubmissionVerifier
from services.web.connect import ConnectApplication, routed
from services.web.monitor import Monitor
from services.web.page import Page
from services.web.server import WebServer, open_doors
from services.web.view import PublicView
from zkcore.errors import Refused

_log = structlog.get_logger("zkshare.node")


@dataclass(frozen=True)
class NodeConfig:
    """How a node runs.

    Attributes
    ----------
    database
        File, or PostgreSQL URL, of the log, the releases and the score requests.
    rights
        Who may query which dataset.
    listen
        Where it listens.
    anchor_seconds
        How often the head of a log that has grown is put on the ledger; a query does so at once.
    web
        Where it shows its page and offers its services over HTTPS; None for nowhere.
    segments
        Directory of the log's ciphertexts; None for one beside the database's file.
    guard
        Limits of callers, and the audit log.
    """

    database: Path | str
    rights: Rights
    listen: Address = FREE_PORT
    anchor_seconds: float = 5.0
    web: Address | None = None
    segments: Path | None = None
    guard: Guard = GUARD


class Node:
    """The operator's process: intake, log, anchoring, services.

    Parameters
    ----------
    ledger
        Written from the operator's account.
    """

    def __init__(
        self,
        config: NodeConfig,
        identity: Identity,
        parameters: PublicParameters,
        ledger: Ledger,
        workers: Workers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._identity = identity
        self._parameters = parameters
        self._ledger = ledger
        self._workers = workers
        self._clock = clock
        self._anchored: Head | None = None
        self._anchoring = asyncio.Lock()
        self._server: Server | None = None
        self._web: WebServer | None = None
        self._anchoring_task = Repeated("anchor", self.anchor, config.anchor_seconds)
        self._watching_task = Repeated("watch", self._watch, READY_SECONDS)
        self._channels: dict[str, grpc.aio.Channel] = {}

    @property
    def web_address(self) -> Address | None:
        """Where its page is, once it has started; None if it has none."""
        return self._web.address if self._web else None

    @property
    def address(self) -> Address:
        """Where it listens, once it has started."""
        return self._server.address if self._server else self._config.listen

    async def start(self) -> None:
        """Opens the log, holds it against the ledger, serves.

        Raises
        ------
        services.errors.LogMismatch
            If the ledger holds a head that the log on disk does not have: it is not the log that was anchored.
        """
        run = self._workers.run
        await run(self._parameters.check_published, self._ledger)
        self._database = await run(open_database, self._config.database)
        self._journal = await run(Journal, self._database, segments_of(self._config.database, self._config.segments))
        await run(self._check_anchored)
        verifier = SubmissionVerifier(self._parameters, KnownRoots(self._ledger).of)
        self._intake = Intake(self._journal, verifier, self._identity, self._workers, self._clock)
        releases = await run(Releases, self._database, self._clock)
        self._list = ReleaseList(releases, self._journal, self._parameters, self._ledger, self._workers)
        self._aggregate = AggregateServicer(
            self._journal,
            releases,
            self._list,
            self._parameters,
            self._config.rights,
            self._identity,
            self.anchor,
            self._head,
            self._workers,
            self._clock,
        )
        requests = ScoreRequests(self._database)
        self._credit = CreditServicer(requests, self._parameters.authority, self._workers, self._clock)
        self._verification = VerificationServicer(self._workers)
        servicers: list[Servicer] = [
            SubmissionServicer(self._intake, self._journal, self._parameters, self._workers),
            LogServicer(self._journal, lambda: self._anchored, self._workers),
            self._aggregate,
            ReleaseServicer(lambda: releases, self._workers),
            self._credit,
            self._verification,
        ]
        needs = Needs(
            self._workers,
            {"database": lambda: self._database.query("SELECT 1"), "ledger": lambda: self._ledger.latest_head()},
        )
        authority = self._parameters.authority
        self._server = Server(self._identity, self._config.listen, servicers, self._config.guard, needs, authority)
        await self._intake.start()
        await self._verification.start()
        if self._config.web is not None:
            self._web = self._second_door(self._config.web, self._server, servicers, releases)
        await open_doors(self._server, self._web)
        self._anchoring_task.start()
        self._watching_task.start()

    async def stop(self) -> None:
        """Lets running calls end, anchors the log, then closes."""
        if self._server is None:
            return
        await self._anchoring_task.stop()
        await self._watching_task.stop()
        if self._web is not None:
            await self._web.stop()
        await self._credit.close()
        await self._verification.close()
        await self._server.stop()
        await self._intake.stop()
        await self._verification.stop()
        for there in self._channels.values():
            await there.close(None)
        try:
            await self.anchor()
        except Refused as refused:  # the ledger is away, or has something against it; what is in the log stays there
            _log.warning("not anchored at the end", check=refused.check, part=refused.part, why=refused.why)
        finally:
            self._journal.close()
            self._database.close()

    def meet(self, trustees: Mapping[str, Address]) -> None:
        """Takes the trustees' addresses, by name."""
        self._channels = {
            name: channel(self._identity, address, Role.TRUSTEE, name, self._parameters.authority)
            for name, address in trustees.items()
        }
        self._aggregate.meet(self._channels)
        self._list.meet(self._channels)

    async def anchor(self) -> Head:
        """Puts the log's head on the ledger if it is not there yet; returns it."""
        async with self._anchoring:
            head = self._journal.head()
            if head.size and head != self._anchored:
                # It may wait for blocks, for which no worker is kept from its work.
                await asyncio.to_thread(self._ledger.ensure_head, head.size, head.root)
                self._anchored = head
                _log.info("anchored", size=head.size)
            return head

    async def _watch(self) -> None:
        """Tells the metrics how things stand."""
        party, head = f"{self._identity.role}/{self._identity.name}", self._journal.head()
        LOG_ENTRIES.labels(party).set(head.size)
        # Not while a head is being anchored, which may take as long as the chain's blocks do.
        if not self._anchoring.locked():
            async with self._anchoring:
                await self._workers.run(self._look_back)
        LEDGER_LAG.labels(party).set(max(head.size - (self._anchored.size if self._anchored else 0), 0))

    def _second_door(self, listen: Address, server: Server, servicers: list[Servicer], releases: Releases) -> WebServer:
        authority, ledger = self._parameters.authority, self._ledger.acting_as(None)
        view = PublicView(self._identity.name, authority, ledger, self._journal.head, releases)
        page = Page(view, Monitor(authority, server.ready), self._workers)
        return WebServer(self._identity, listen, routed(page.application, ConnectApplication(server.gate, servicers)))

    def _head(self, size: int) -> Head | None:
        anchored = self._ledger.head(size)
        return None if anchored is None else Head(anchored.size, anchored.root)

    def _look_back(self) -> None:
        """Has the newest head anchored anew if the ledger lost it, rolled back beyond what counts as settled."""
        try:
            newest = self._ledger.latest_head()
        except Refused:
            return
        if self._anchored is not None and (newest is None or newest.size < self._anchored.size):
            _log.warning("anchored head lost", size=self._anchored.size, left=newest.size if newest else 0)
            self._anchored = None if newest is None else Head(newest.size, newest.root)

    def _check_anchored(self) -> None:
        newest = self._ledger.latest_head()
        if newest is None:
            return
        head = Head(newest.size, newest.root)
        if newest.size > self._journal.size or self._journal.head(newest.size) != head:
            why = f"the ledger's newest head, of {newest.size} entries, is not one of this log's"
            raise LogMismatch("log", f"{why}; restore database and segments from a newer backup")
        self._anchored = head
