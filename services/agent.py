"""An enterprise's agent as a process: it watches for score requests, decides by policy or person, proves, answers.

It serves nobody: it calls the node, and calls again when the connection ends, with growing pauses while the node is
away. A request that cannot be dealt with now, because the department or the ledger is away, stays open and is taken up
again; others go on meanwhile. To stop, it finishes the answer at hand.
"""

import asyncio
import contextlib

import structlog

from services import statements
from services.api.zkshare.v1.identity_pb2 import Signed
from services.connection import Connection
from services.consent import Consent, Policy
from services.enterprise import PASSING, Enterprise, kept_outbox, kept_provers
from services.retry import Backoff
from zkcore.errors import Malformed, Refused

STOP_SECONDS = 20.0
"""Seconds that the answer at hand may take when the agent is told to stop."""
CONSENTED = "consented.json"
AGAIN = Backoff(first=0.5, longest=30.0)

_log = structlog.get_logger("zkshare.agent")


class EnterpriseAgent:
    """Watches for the requests of one enterprise.

    Raises
    ------
    zkcore.errors.Malformed
        If the configuration names no policy, or the policy is not right.
    """

    def __init__(self, connection: Connection) -> None:
        told = connection.configuration
        if told.policy is None:
            raise Malformed("policy", "is missing; name the file that says which requests it consents to")
        consent = Consent(Policy.load(told.policy), told.policy.parent / CONSENTED)
        self._enterprise = Enterprise.of(connection, consent, kept_provers(connection), kept_outbox(connection))
        self.address = connection.node
        self._answering = asyncio.Lock()
        self._open: dict[bytes, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Checks the network's parameters against the ledger, begins to watch."""
        await self._enterprise.start()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Finishes the answer at hand, if it takes no longer than :data:`STOP_SECONDS`, then ends."""
        if self._watching is None:
            return
        await _ended(self._watching)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._answering.acquire()  # so that nothing else begins
        await _ended(*self._open.values())
        await self._enterprise.stop()

    async def _watch(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            try:
                async for signed in self._enterprise.watched():
                    self._take(signed)
            except Refused as refused:
                _log.info("watch again", check=refused.check, part=refused.part)
            failures = 1 if loop.time() - began > AGAIN.longest else failures + 1
            await asyncio.sleep(AGAIN.wait(failures))

    def _take(self, signed: Signed) -> None:
        """Begins to deal with a request, unless it is dealt with already."""
        request_id = statements.digest(statements.SCORE_REQUEST, signed)
        if request_id not in self._open:
            task = self._open[request_id] = asyncio.create_task(self._answer(signed))
            task.add_done_callback(lambda _: self._open.pop(request_id, None))

    async def _answer(self, signed: Signed) -> None:
        failures = 0
        while True:
            try:
                async with self._answering:  # one at a time: a person is asked one question, proofs take all cores
                    await self._enterprise.answer(signed)
                return
            except Refused as refused:  # e.g. a request that the node made up, or whose time is over
                failures += 1
                log = _log.info if refused.check in PASSING else _log.warning
                log("not answered", check=refused.check, part=refused.part, failures=failures)
                if refused.check not in PASSING:
                    return
            await asyncio.sleep(AGAIN.wait(failures))


async def _ended(*tasks: asyncio.Task[None]) -> None:
    """Cancels tasks and waits for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
