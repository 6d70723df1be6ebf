"""Clients of a network: the tax agency that queries, and the bank that asks for scores.

Both verify what they receive before they return it, against the certificates of the network's authority and the ledger;
neither trusts the node that answers.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from circuits.scorecard import Scorecard
from services import receipts, scoring, statements
from services.api.zkshare.v1 import aggregate_pb2, aggregate_pb2_grpc, credit_pb2, credit_pb2_grpc
from services.api.zkshare.v1.identity_pb2 import Signed
from services.errors import AnswerMismatch, Declined, Expired, Replayed
from services.identity import Identity, Role
from services.ledger import Ledger
from services.parameters import PublicParameters
from services.query import parse
from services.receipts import Verified
from services.scoring import Score, ScoreRequest
from services.sealing import SealingKey
from services.server import DEADLINE, Address, Workers, answered, channel

QUERY_TIME = 120.0
"""Seconds that a query may take, trustees' replication included."""
POLL = 10.0
"""Seconds that one call for a score waits."""


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

    async def start(self) -> None:
        """Checks the network's parameters against the ledger and opens its connection."""
        await self._workers.run(self._parameters.check_published, self._ledger)
        self._channel = channel(self._identity, self._node, Role.OPERATOR, self._parameters.operator)
        self._stub = aggregate_pb2_grpc.AggregateServiceStub(self._channel)

    async def stop(self) -> None:
        """Closes the connection."""
        await self._channel.close(None)

    async def query(self, sql: str, head_size: int = 0, lifetime: float = 600.0) -> Answer:
        """The verified answer to a query.

        Parameters
        ----------
        head_size
            Size of an earlier anchored head at which to ask; 0 for the newest.
        lifetime
            Seconds for which the trustees may answer it.

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
        response = await answered(self._stub.Query(aggregate_pb2.QueryRequest(query=signed), timeout=QUERY_TIME))
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


@dataclass
class PendingScore:
    """A request that a bank has made; it takes one answer. Secret: it holds the key that opens the answer."""

    request: ScoreRequest
    signed: Signed
    request_id: bytes
    sealing_key: SealingKey = field(repr=False)
    answered: bool = False


class BankClient:
    """Registers scorecards, asks enterprises for scores, and verifies the proofs.

    Parameters
    ----------
    ledger
        Written from the bank's account.
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

    async def start(self) -> None:
        """Checks the network's parameters against the ledger and opens its connection."""
        await self._workers.run(self._parameters.check_published, self._ledger)
        self._channel = channel(self._identity, self._node, Role.OPERATOR, self._parameters.operator)
        self._stub = credit_pb2_grpc.CreditServiceStub(self._channel)

    async def stop(self) -> None:
        """Closes the connection."""
        await self._channel.close(None)

    async def register(self, scorecard: Scorecard, dataset: str) -> None:
        """Puts the hash of a scorecard over a dataset on the ledger, unless it is there."""
        model_hash = scorecard.model_hash(self._parameters.named(dataset).schema)
        if await self._workers.run(self._ledger.scorecard, model_hash) is None:
            await self._workers.run(self._ledger.register_scorecard, model_hash)

    async def request_score(
        self,
        subject: str,
        dataset: str,
        period: str,
        scorecard: Scorecard,
        cut_off: int | None = None,
        lifetime: float = 3600.0,
    ) -> PendingScore:
        """Asks an enterprise for its score.

        Parameters
        ----------
        subject
            Name of the enterprise.
        cut_off
            Score from which it passes, if the bank asks only whether it does; None asks for the score itself.
        lifetime
            Seconds for which an answer is accepted.
        """
        sealing_key = SealingKey()
        statement = credit_pb2.ScoreStatement(
            bank=self._identity.name,
            subject=subject,
            schema_id=self._parameters.named(dataset).schema.schema_id.to_bytes(32, "big"),
            period=period,
            scorecard=scoring.write_scorecard(scorecard),
            kind=credit_pb2.SCORE_KIND_SCORE if cut_off is None else credit_pb2.SCORE_KIND_PASS_FAIL,
            cut_off=cut_off or 0,
            nonce=secrets.token_bytes(16),
            expires_at=int(self._clock() + lifetime),
            sealing_key=sealing_key.public,
        )
        signed = statements.sign(self._identity, statements.SCORE_REQUEST, statement)
        request = scoring.read_request(signed, self._parameters, self._clock())
        response = await answered(
            self._stub.RequestScore(credit_pb2.RequestScoreRequest(request=signed), timeout=DEADLINE)
        )
        request_id = statements.digest(statements.SCORE_REQUEST, signed)
        if response.request_id != request_id:
            raise AnswerMismatch("request_id", "the node kept another request")
        return PendingScore(request, signed, request_id, sealing_key)

    async def score(self, pending: PendingScore, timeout: float = 300.0) -> Score:
        """Waits for the answer to a request and verifies it.

        Raises
        ------
        services.errors.Declined
            If the enterprise does not consent.
        services.errors.Expired
            If the request's time ends, or `timeout` seconds pass, without an answer.
        zkcore.errors.Refused
            What :meth:`verify` refuses.
        """
        until = self._clock() + timeout
        while True:
            wait = max(0.0, min(POLL, until - self._clock()))
            request = credit_pb2.GetScoreRequest(request_id=pending.request_id, wait_ms=int(1000 * wait))
            response = await answered(self._stub.GetScore(request, timeout=DEADLINE))
            if response.sealed_proof and response.reason:
                raise AnswerMismatch("score", "the node says both that the enterprise answered and that it declined")
            if response.state == credit_pb2.SCORE_STATE_ANSWERED:
                return await self.accept(pending, response.sealed_proof)
            if response.state == credit_pb2.SCORE_STATE_DECLINED:
                raise Declined("request", response.reason or "the enterprise does not consent")
            if response.state not in (credit_pb2.SCORE_STATE_OPEN, credit_pb2.SCORE_STATE_EXPIRED):
                raise AnswerMismatch("score.state", "the node does not say where the request stands")
            if response.state == credit_pb2.SCORE_STATE_EXPIRED or self._clock() >= until:
                raise Expired("request", "no answer came in time")

    async def accept(self, pending: PendingScore, sealed_proof: bytes) -> Score:
        """Opens and verifies a sealed answer; a request takes one answer (:class:`services.errors.Replayed`)."""
        if pending.answered:
            raise Replayed("request", "the request has its answer")
        opened = pending.sealing_key.open(pending.request_id, sealed_proof)
        proof = statements.parse_canonical(opened, credit_pb2.ScoreProof, "score_proof")
        score = await self.judge(pending, proof)
        if pending.answered:  # while this one was verified
            raise Replayed("request", "the request has its answer")
        pending.answered = True
        return score

    async def judge(self, pending: PendingScore, proof: credit_pb2.ScoreProof) -> Score:
        """The score that a proof shows for a request; raises what :func:`services.scoring.verify` refuses."""
        return await self._workers.run(
            scoring.verify, pending.request, proof, self._parameters, self._ledger, self._clock()
        )
