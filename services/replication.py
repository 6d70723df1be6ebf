"""Serving the submission log and following it.

:class:`LogServicer` is the node's side. :class:`Replica` is the side of a trustee or an auditor: it fetches entries up
to a head that the ledger holds, verifies every entry's proofs itself, and keeps them only if the tree over them has
exactly the anchored root. What a node says is never enough.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from services.api.zkshare.v1 import log_pb2 as pb
from services.api.zkshare.v1 import log_pb2_grpc as rpc
from services.errors import LogMismatch, NotAnchored
from services.journal import Journal
from services.ledger import Ledger
from services.log import Head, verify_consistency
from services.server import DEADLINE, Workers, answered, streamed
from services.verification import Accepted, SubmissionVerifier
from zkcore.errors import OutOfRange, Refused

BATCH = 256
"""Entries read from disk, or verified, at a time."""
KEPT_TOGETHER = 8192
"""Entries that a replica holds in memory before it keeps them."""
STREAM_TIME = 300.0
"""Seconds that a stream of entries may take."""


class LogServicer(rpc.LogServiceServicer):
    """Serves heads, proofs and entries of a journal.

    Parameters
    ----------
    anchored
        The newest head that the operator has put on the ledger, or None.
    """

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["LogService"]

    def __init__(self, journal: Journal, anchored: Callable[[], Head | None], workers: Workers) -> None:
        self._journal = journal
        self._anchored = anchored
        self._workers = workers

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_LogServiceServicer_to_server(self, server)

    async def GetHead(self, request: pb.GetHeadRequest, context: grpc.aio.ServicerContext) -> pb.GetHeadResponse:
        anchored = self._anchored()
        return pb.GetHeadResponse(
            current=head_message(self._journal.head()), anchored=None if anchored is None else head_message(anchored)
        )

    async def GetInclusion(
        self, request: pb.GetInclusionRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetInclusionResponse:
        log = self._journal.log
        return pb.GetInclusionResponse(
            leaf_hash=log.leaf(request.index), path=log.inclusion_proof(request.index, request.size)
        )

    async def GetConsistency(
        self, request: pb.GetConsistencyRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetConsistencyResponse:
        return pb.GetConsistencyResponse(path=self._journal.log.consistency_proof(request.first, request.second))

    async def StreamEntries(
        self, request: pb.StreamEntriesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.StreamEntriesResponse]:
        if not request.start <= request.end <= self._journal.size:
            raise OutOfRange("end", f"the log has {self._journal.size} entries")
        for start in range(request.start, request.end, BATCH):
            bodies = await self._workers.run(self._journal.bodies, start, min(start + BATCH, request.end))
            for index, body in enumerate(bodies, start):
                yield pb.StreamEntriesResponse(index=index, entry=body)


class Replica:
    """A journal that follows a node's, up to heads on the ledger.

    Parameters
    ----------
    channel
        To the node.
    """

    def __init__(
        self,
        journal: Journal,
        verifier: SubmissionVerifier,
        ledger: Ledger,
        channel: grpc.aio.Channel,
        workers: Workers,
    ) -> None:
        self._journal = journal
        self._verifier = verifier
        self._ledger = ledger
        self._stub = rpc.LogServiceStub(channel)
        self._workers = workers
        self._one_at_a_time = asyncio.Lock()

    async def follow(self, head: Head) -> None:
        """Brings the replica at least to this head.

        Raises
        ------
        services.errors.NotAnchored
            If the ledger does not hold the head.
        services.errors.LogMismatch
            If the node's entries do not make the anchored root, an entry fails its verification, or a record is there
            twice: the operator broke the protocol.
        services.errors.Unreachable
            If the node does not answer.
        """
        if not await self._workers.run(is_anchored, self._ledger, head):
            raise NotAnchored("head", "the ledger holds no such head of the log")
        async with self._one_at_a_time:
            if head.size > self._journal.size:
                for step in await self._workers.run(self._ledger.heads):
                    if self._journal.size < step.size <= head.size:
                        await self._fetch(Head(step.size, step.root))
        if self._journal.head(head.size) != head:
            raise LogMismatch("head", "the replica's entries do not make the anchored root")

    async def _fetch(self, head: Head) -> None:
        """Fetches, verifies and keeps the entries up to a head, some thousands at a time, which bounds memory.

        What is kept before the head is reached is shown by a consistency proof to be what the head begins with.
        """
        while self._journal.size < head.size:
            start = self._journal.size
            end = min(start + KEPT_TOGETHER, head.size)
            fetched = await self._entries(start, end)
            path: Sequence[bytes] = ()
            if end < head.size:
                between = pb.GetConsistencyRequest(first=end, second=head.size)
                path = (await answered(self._stub.GetConsistency(between, timeout=DEADLINE))).path
            await self._workers.run(self._keep, fetched, head, path)

    async def _entries(self, start: int, end: int) -> list[tuple[bytes, Accepted]]:
        fetched: list[tuple[bytes, Accepted]] = []
        bodies: list[bytes] = []
        request = pb.StreamEntriesRequest(start=start, end=end)
        async for response in streamed(self._stub.StreamEntries(request, timeout=STREAM_TIME)):
            if response.index != start + len(fetched) + len(bodies) or response.index >= end:
                raise LogMismatch("log", f"entry {response.index} came out of its turn")
            bodies.append(response.entry)
            if len(bodies) == BATCH:
                fetched += await self._workers.run(self._verify, start + len(fetched), bodies)
                bodies = []
        fetched += await self._workers.run(self._verify, start + len(fetched), bodies)
        if len(fetched) != end - start:
            raise LogMismatch("log", f"it ends after {start + len(fetched)} entries")
        return fetched

    def _verify(self, start: int, bodies: list[bytes]) -> list[tuple[bytes, Accepted]]:
        verified = []
        for index, (body, verdict) in enumerate(zip(bodies, self._verifier.verify_batch(bodies), strict=True), start):
            if isinstance(verdict, Refused):
                raise LogMismatch(f"log[{index}].{verdict.part}", f"{verdict.why} [{verdict.check}]")
            verified.append((body, verdict))
        return verified

    def _keep(self, fetched: list[tuple[bytes, Accepted]], head: Head, path: Sequence[bytes]) -> None:
        """Appends entries if the anchored log begins with the earlier ones and them, and no record is twice."""
        identities = [accepted.identity for _, accepted in fetched]
        if len(set(identities)) < len(identities) or any(self._journal.find(*identity) for identity in identities):
            raise LogMismatch("log", "it holds two records of one subject for one period")
        reached = self._journal.extended(body for body, _ in fetched).head()
        try:
            consistent = verify_consistency(reached, head, path)
        except Refused:
            consistent = False
        if not consistent:
            raise LogMismatch("log", "the node's entries do not make the anchored root")
        self._journal.append(fetched)


def is_anchored(ledger: Ledger, head: Head) -> bool:
    """Whether the ledger holds a head of the log."""
    anchored = ledger.head(head.size)
    return anchored is not None and anchored.root == head.root


def head_message(head: Head) -> pb.LogHead:
    """A head as the wire carries it."""
    return pb.LogHead(size=head.size, root=head.root)
