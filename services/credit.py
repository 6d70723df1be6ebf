"""The credit service: the node carries score requests from banks to enterprises and sealed answers back.

The node checks who speaks (a bank leaves requests in its own name, an enterprise answers its own), that a request is
signed, not past its expiry, and answered once. It cannot read answers. Bank and enterprise check everything else
themselves (:mod:`services.client`, :mod:`services.enterprise`).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from services import statements
from services.api.zkshare.v1 import credit_pb2 as pb
from services.api.zkshare.v1 import credit_pb2_grpc as rpc
from services.api.zkshare.v1.identity_pb2 import Signed
from services.errors import AlreadyAnswered, Busy, Expired, NotFound, NotPermitted
from services.identity import Authority, Role, caller
from services.server import Workers
from services.store import Database

LONGEST_REQUEST = 90 * 24 * 3600.0
"""Seconds that a request may stay open."""
OPEN_REQUESTS = 1024
"""Requests that may be open for one enterprise."""


@dataclass(frozen=True)
class StoredRequest:
    """A request and what became of it."""

    sequence: int
    request_id: bytes
    bank: str
    subject: str
    expires_at: int
    signed: bytes
    state: int
    sealed_proof: bytes
    reason: str


class ScoreRequests:
    """The requests on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, request_id: bytes, statement: pb.ScoreStatement, signed: Signed, now: float) -> None:
        """Keeps a request; the same one again changes nothing. Raises Busy if the enterprise has too many open."""
        with self._database.transaction() as transaction:
            if transaction.query("SELECT 1 FROM score_request WHERE request_id = ?", request_id):
                return
            ((waiting,),) = transaction.query(
                "SELECT COUNT(*) FROM score_request WHERE subject = ? AND state = ? AND expires_at > ?",
                statement.subject,
                pb.SCORE_STATE_OPEN,
                int(now),
            )
            if waiting >= OPEN_REQUESTS:
                raise Busy("request.subject", f"it has {waiting} open requests")
            transaction.execute(
                "INSERT INTO score_request (request_id, bank, subject, expires_at, signed, state, sealed_proof, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                request_id,
                statement.bank,
                statement.subject,
                statement.expires_at,
                statements.canonical(signed),
                pb.SCORE_STATE_OPEN,
                b"",
                "",
            )

    def get(self, request_id: bytes) -> StoredRequest:
        """The request of this identity; raises NotFound."""
        rows = self._database.query(
            "SELECT sequence, request_id, bank, subject, expires_at, signed, state, sealed_proof, reason"
            " FROM score_request WHERE request_id = ?",
            request_id,
        )
        if not rows:
            raise NotFound("request_id", "no such request of yours")
        return StoredRequest(*rows[0])

    def open(self, subject: str, after: int, now: float) -> list[tuple[int, Signed]]:
        """The enterprise's open requests that came after a sequence number, oldest first, with their numbers."""
        rows = self._database.query(
            "SELECT sequence, signed FROM score_request"
            " WHERE subject = ? AND state = ? AND sequence > ? AND expires_at > ? ORDER BY sequence LIMIT ?",
            subject,
            pb.SCORE_STATE_OPEN,
            after,
            int(now),
            OPEN_REQUESTS,
        )
        return [(sequence, Signed.FromString(signed)) for sequence, signed in rows]

    def answer(self, request_id: bytes, state: int, sealed_proof: bytes, reason: str) -> None:
        """Records the answer to an open request; the same answer again changes nothing. Raises AlreadyAnswered."""
        with self._database.transaction() as transaction:
            rows = transaction.query(
                "SELECT state, sealed_proof, reason FROM score_request WHERE request_id = ?", request_id
            )
            if rows == [(state, sealed_proof, reason)]:
                return
            if rows[0][0] != pb.SCORE_STATE_OPEN:
                raise AlreadyAnswered("request_id", "the request has its answer")
            transaction.execute(
                "UPDATE score_request SET state = ?, sealed_proof = ?, reason = ? WHERE request_id = ?",
                state,
                sealed_proof,
                reason,
                request_id,
            )


def read_statement(signed: Signed, authority: Authority, now: float) -> pb.ScoreStatement:
    """A request's statement, held to its signature, bank and expiry, as node and enterprise both do."""
    statement, signer = statements.read(signed, statements.SCORE_REQUEST, pb.ScoreStatement, authority, now)
    if (signer.role, signer.name) != (Role.BANK, statement.bank):
        raise NotPermitted("request.bank", "a bank asks in its own name")
    statements.check_expiry("request.expires_at", statement.expires_at, now, LONGEST_REQUEST)
    return statement


class CreditServicer(rpc.CreditServiceServicer):
    """The post between banks and enterprises."""

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["CreditService"]

    def __init__(
        self, requests: ScoreRequests, authority: Authority, workers: Workers, clock: Callable[[], float] = time.time
    ) -> None:
        self._requests = requests
        self._authority = authority
        self._workers = workers
        self._clock = clock
        self._closed = False
        self._news: defaultdict[str, asyncio.Condition] = defaultdict(asyncio.Condition)

    async def close(self) -> None:
        """Ends the streams of those who watch, so that the server can stop; they call again elsewhere or later."""
        self._closed = True
        for topic in list(self._news):
            await self._tell(topic)

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_CreditServiceServicer_to_server(self, server)

    async def RequestScore(
        self, request: pb.RequestScoreRequest, context: grpc.aio.ServicerContext
    ) -> pb.RequestScoreResponse:
        bank, now = caller(context), self._clock()
        statement = await self._workers.run(read_statement, request.request, self._authority, now)
        if statement.bank != bank.name:
            raise NotPermitted("request.bank", "a bank asks in its own name")
        request_id = statements.digest(statements.SCORE_REQUEST, request.request)
        await self._workers.run(self._requests.add, request_id, statement, request.request, now)
        await self._tell(f"subject {statement.subject}")
        return pb.RequestScoreResponse(request_id=request_id)

    async def GetScore(self, request: pb.GetScoreRequest, context: grpc.aio.ServicerContext) -> pb.GetScoreResponse:
        bank = caller(context)
        news = self._news[f"bank {bank.name}"]
        until = time.monotonic() + request.wait_ms / 1000
        async with news:
            while True:
                stored = await self._workers.run(self._requests.get, request.request_id)
                if stored.bank != bank.name:
                    raise NotFound("request_id", "no such request of yours")
                state = stored.state
                if state == pb.SCORE_STATE_OPEN and stored.expires_at <= self._clock():
                    state = pb.SCORE_STATE_EXPIRED
                if state != pb.SCORE_STATE_OPEN or (left := until - time.monotonic()) <= 0:
                    return pb.GetScoreResponse(
                        state=pb.ScoreState.ValueType(state), sealed_proof=stored.sealed_proof, reason=stored.reason
                    )
                try:
                    async with asyncio.timeout(left):
                        await news.wait()
                except TimeoutError:
                    continue

    async def ListRequests(
        self, request: pb.ListRequestsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListRequestsResponse:
        found = await self._workers.run(self._requests.open, caller(context).name, 0, self._clock())
        return pb.ListRequestsResponse(requests=[signed for _, signed in found])

    async def WatchRequests(
        self, request: pb.WatchRequestsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchRequestsResponse]:
        subject, seen = caller(context).name, 0
        news = self._news[f"subject {subject}"]
        while not self._closed:
            async with news:
                found = await self._workers.run(self._requests.open, subject, seen, self._clock())
                if not found:
                    await news.wait()
            for sequence, signed in found:
                seen = sequence
                yield pb.WatchRequestsResponse(request=signed)

    async def SubmitScoreProof(
        self, request: pb.SubmitScoreProofRequest, context: grpc.aio.ServicerContext
    ) -> pb.SubmitScoreProofResponse:
        await self._answer(context, request.request_id, pb.SCORE_STATE_ANSWERED, request.sealed_proof, "")
        return pb.SubmitScoreProofResponse()

    async def Decline(self, request: pb.DeclineRequest, context: grpc.aio.ServicerContext) -> pb.DeclineResponse:
        await self._answer(context, request.request_id, pb.SCORE_STATE_DECLINED, b"", request.reason)
        return pb.DeclineResponse()

    async def _answer(
        self, context: grpc.aio.ServicerContext, request_id: bytes, state: int, sealed_proof: bytes, reason: str
    ) -> None:
        stored = await self._workers.run(self._requests.get, request_id)
        if stored.subject != caller(context).name:
            raise NotFound("request_id", "no such request of yours")
        if stored.state == pb.SCORE_STATE_OPEN and stored.expires_at <= self._clock():
            raise Expired("request.expires_at", "the request's time is over")
        await self._workers.run(self._requests.answer, request_id, state, sealed_proof, reason)
        await self._tell(f"bank {stored.bank}")

    async def _tell(self, topic: str) -> None:
        if topic in self._news:
            async with self._news[topic]:
                self._news[topic].notify_all()
