"""The bank: it registers scorecards, asks enterprises for scores, and verifies the proofs before it returns a score.

Answers are held against the bank's own request and the ledger; neither node nor enterprise is trusted.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from circuits.scorecard import Scorecard
from services import scoring, statements
from services.api.zkshare.v1 import credit_pb2, credit_pb2_grpc
from services.api.zkshare.v1.identity_pb2 import Signed
from services.connection import opened
from services.errors import AnswerMismatch, Declined, Expired, NobodyAsked, OutsidePolicy, Replayed, TooManyToday
from services.identity import Identity, Role
from services.ledger import Ledger
from services.parameters import PublicParameters
from services.retry import repeated
from services.scoring import Score, ScoreRequest
from services.sealing import SealingKey
from services.server import DEADLINE, Address, Workers, channel

POLL = 10.0
"""Seconds that one call for a score waits."""


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

    @classmethod
    @asynccontextmanager
    async def connect(cls, file: Path | str) -> AsyncIterator[Self]:
        """A client made from its configuration file and started; stopped at the end of the block.

        Raises
        ------
        zkcore.errors.Refused
            If the configuration, or a file that it names, is not right, or the ledger holds other parameters.
        """
        async with opened("bank", file) as of:
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
        # The same signed request is the same request, so it may be left again.
        response = await repeated(self._stub.RequestScore, credit_pb2.RequestScoreRequest(request=signed), DEADLINE)
        request_id = statements.digest(statements.SCORE_REQUEST, signed)
        if response.request_id != request_id:
            raise AnswerMismatch("request_id", "the node kept another request")
        return PendingScore(request, signed, request_id, sealing_key)

    async def score(self, pending: PendingScore, timeout: float = 300.0) -> Score:
        """Waits for the answer to a request and verifies it.

        Raises
        ------
        services.errors.Declined
            If the enterprise does not consent; a subclass says why where the enterprise told. By the node's word: it
            could say so of itself.
        services.errors.Expired
            If the request's time ends, or `timeout` seconds pass, without an answer.
        zkcore.errors.Refused
            What :meth:`verify` refuses.
        """
        until = self._clock() + timeout
        while True:
            wait = max(0.0, min(POLL, until - self._clock()))
            request = credit_pb2.GetScoreRequest(request_id=pending.request_id, wait_ms=int(1000 * wait))
            response = await repeated(self._stub.GetScore, request, DEADLINE)
            if response.sealed_proof and response.reason:
                raise AnswerMismatch("score", "the node says both that the enterprise answered and that it declined")
            if response.state == credit_pb2.SCORE_STATE_ANSWERED:
                return await self.accept(pending, response.sealed_proof)
            if response.state == credit_pb2.SCORE_STATE_DECLINED:
                raise _declined(response.reason)
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


def _declined(reason: str) -> Declined:
    """What an enterprise's refusal, "check: part", says."""
    kinds = {kind.__name__: kind for kind in (OutsidePolicy, TooManyToday, NobodyAsked)}
    name = "".join(word.capitalize() for word in reason.partition(":")[0].split("_"))
    return kinds.get(name, Declined)("request", f"the enterprise gives no score ({reason or 'it does not say why'})")
