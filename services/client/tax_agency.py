"""The tax agency: it asks queries and verifies the answers before it returns them.

Answers are held against the certificates of the network's authority and the ledger; the node that answers is not
trusted.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from services import receipts, statements
from services.api.zkshare.v1 import aggregate_pb2, aggregate_pb2_grpc
from services.connection import opened
from services.errors import AnswerMismatch
from services.identity import Identity, Role
from services.ledger import Ledger
from services.parameters import PublicParameters
from services.query import parse
from services.receipts import Verified
from services.retry import repeated
from services.server import Address, Workers, channel

QUERY_TIME = 120.0
"""Seconds that a query may take, trustees' replication included."""


@dataclass(frozen=True)
class TrusteeFault:
    """Why a trustee's share is not in an answer, by the operator's word: the check, in snake case, part and reason."""

    trustee: str
    check: str
    part: str
    why: str


@dataclass(frozen=True)
class Answer:
    """An answer that was verified, with the receipt that proves it, and the trustees that gave no valid share."""

    verified: Verified
    receipt: bytes
    faults: tuple[TrusteeFault, ...]


class TaxAgencyClient:
    """Asks queries and verifies the answers.

    Parameters
    ----------
    node
        Where the operator's node listens.
    ledger
        To read from.
    """

    def __init__(
        self,
        node: Address,
        identity: Identity,
        parameters: PublicParameters,
        ledger: Ledger,
        workers: Workers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._identity = identity
        self._parameters = parameters
        self._ledger = ledger
        self._workers = workers
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def connect(cls, file: Path | str) -> AsyncIterator[Self]:
        """A client made from its configuration file and started; stopped at the end of the block.

        Raises
        ------
        zkcore.errors.Refused
            If the configuration, or a file that it names, is not right, or the ledger holds other parameters.
        """
        async with opened("tax_agency", file) as of:
            client = cls(of.node, of.identity, of.parameters, of.ledger, of.workers)
            await client.start()
            try:
                yield client
            finally:
                await client.stop()

    async def start(self) -> None:
        """Checks the network's parameters against the ledger and opens its connection."""
        await self._workers.run(self._parameters.check_published, self._ledger)
        known = self._parameters
        self._channel = channel(self._identity, self._node, Role.OPERATOR, known.operator, known.authority)
        self._stub = aggregate_pb2_grpc.AggregateServiceStub(self._channel)

    async def stop(self) -> None:
        """Closes the connection."""
        await self._channel.close(None)

    async def query(self, sql: str, head_size: int = 0, lifetime: float = 600.0, timeout: float = QUERY_TIME) -> Answer:
        """The verified answer to a query.

        Parameters
        ----------
        head_size
            Size of an earlier anchored head at which to ask; 0 for the newest.
        lifetime
            Seconds for which the trustees may answer it.
        timeout
            Seconds to wait; until then the same signed query is sent again when that may help.

        Raises
        ------
        services.status.Refusal
            If the query is refused, with the check that refused it.
        services.errors.AnswerMismatch
            If the answer is to another query, querier or head, or does not follow from the trustees' shares.
        """
        statement = aggregate_pb2.QueryStatement(
            querier=self._identity.name,
            sql=sql,
            nonce=secrets.token_bytes(16),
            expires_at=int(self._clock() + lifetime),
            head_size=head_size,
        )
        signed = statements.sign(self._identity, statements.QUERY, statement)
        response = await repeated(self._stub.Query, aggregate_pb2.QueryRequest(query=signed), timeout)
        verified = await self._workers.run(self._verify, response.receipt, sql, head_size)
        faults = tuple(
            TrusteeFault(fault.trustee, fault.check.lower(), fault.part, fault.why) for fault in response.faults
        )
        return Answer(verified, response.receipt, faults)

    def _verify(self, receipt: bytes, sql: str, head_size: int) -> Verified:
        now = datetime.fromtimestamp(self._clock(), UTC)
        verified = receipts.verify(receipt, self._parameters.authority, self._ledger, now)
        if verified.operator.name != self._parameters.operator:
            raise AnswerMismatch("operator", "another operator signed the receipt")
        if verified.query.digest() != parse(sql, self._parameters.schemas).digest():
            raise AnswerMismatch("query", "the receipt answers another query")
        if verified.querier != self._identity.peer.uri:
            raise AnswerMismatch("querier", "the receipt is for another querier")
        if head_size not in (0, verified.head.size):
            raise AnswerMismatch("head", "the receipt is of another head")
        return verified
