"""An enterprise's agent: it fetches openings, files records, and answers score requests if its owner consents.

It trusts nobody: an opening must lie under a root on the ledger and be its own, a receipt must be the operator's for
the very record, a score request must be signed by a bank and name a scorecard that the ledger holds.
"""

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc
import structlog

from circuits.record import Opening
from services import scoring, statements
from services.api.zkshare.v1 import (
    credit_pb2,
    credit_pb2_grpc,
    department_pb2,
    department_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    submission_pb2,
    submission_pb2_grpc,
)
from services.api.zkshare.v1.identity_pb2 import Signed
from services.connection import Connection, opened
from services.errors import (
    AnswerMismatch,
    Declined,
    LogMismatch,
    NotAnchored,
    NotFound,
    UnknownSchema,
    WrongSubject,
)
from services.identity import Identity, Role
from services.ledger import Ledger
from services.log import Head, verify_consistency, verify_inclusion
from services.outbox import Outbox
from services.parameters import PublicParameters
from services.prover import DatasetProver
from services.provers import KeptProvers
from services.receipts import SubmissionReceipt, verify_submission
from services.replication import is_anchored
from services.retry import repeated
from services.scoring import ScoreRequest
from services.sealing import seal
from services.server import DEADLINE, Address, Workers, channel, streamed
from services.status import Refusal
from zkcore.errors import Malformed, Refused

_log = structlog.get_logger("zkshare.enterprise")

STREAM_TIME = 300.0
"""Seconds that a stream of records may take."""

WATCH_TIME = 600.0
"""Seconds after which a watched stream of requests is opened anew."""

PASSING = frozenset({"unreachable", "busy", "over_limit"})
"""Checks that say nothing about a request: it is neither answered nor declined, but taken up again."""

Consent = Callable[[ScoreRequest], bool | Awaitable[bool]]
"""Decides on a request that passed all checks; may ask a person."""


@dataclass(frozen=True)
class DepartmentAddress:
    """Where the department of a dataset listens, and its name."""

    name: str
    address: Address


@dataclass(frozen=True)
class EnterpriseConfig:
    """Whom an enterprise talks to.

    Attributes
    ----------
    node
        Where the operator's node listens.
    departments
        The department of each dataset, by the dataset's name.
    """

    node: Address
    departments: Mapping[str, DepartmentAddress]


def kept_provers(connection: Connection) -> KeptProvers:
    """The provers that an enterprise's configuration names the keys of."""
    if connection.configuration.keys is None:
        raise Malformed("keys", "is missing; name the folder of the circuits' proving keys")
    return KeptProvers(connection.parameters, connection.configuration.keys)


def kept_outbox(connection: Connection) -> Outbox:
    """The outbox that an enterprise's configuration names."""
    if connection.configuration.outbox is None:
        raise Malformed("outbox", "is missing; name a folder")
    return Outbox(connection.configuration.outbox)


class Enterprise:
    """One enterprise's agent.

    Parameters
    ----------
    ledger
        To read from.
    provers
        Makes proofs over each dataset, by the dataset's name.
    workers
        Threads for proofs; several agents on one machine may share them.
    consent
        Decides on score requests; without it every request is declined.
    outbox
        Where it keeps what it files, so that it can file the same bytes again; None to keep nothing.
    """

    def __init__(
        self,
        config: EnterpriseConfig,
        identity: Identity,
        parameters: PublicParameters,
        ledger: Ledger,
        provers: Mapping[str, DatasetProver],
        workers: Workers,
        consent: Consent = lambda request: False,
        clock: Callable[[], float] = time.time,
        outbox: Outbox | None = None,
    ) -> None:
        self._config = config
        self._identity = identity
        self._parameters = parameters
        self._ledger = ledger
        self._provers = provers
        self._workers = workers
        self._consent = consent
        self._clock = clock
        self._outbox = outbox
        self._openings: dict[tuple[str, str], Opening] = {}

    @property
    def name(self) -> str:
        """The subject of its records."""
        return self._identity.name

    @property
    def parameters(self) -> PublicParameters:
        """The network's public parameters."""
        return self._parameters

    @property
    def outbox(self) -> Outbox:
        """What it filed, if it keeps it; raises NotFound if not."""
        if self._outbox is None:
            raise NotFound("outbox", "this agent keeps nothing of what it files")
        return self._outbox

    @classmethod
    @asynccontextmanager
    async def connect(cls, file: Path | str, consent: Consent = lambda request: False) -> AsyncIterator[Self]:
        """An agent made from its configuration file and started; stopped at the end of the block.

        Raises
        ------
        zkcore.errors.Refused
            If the configuration, or a file that it names, is not right, or the ledger holds other parameters.
        """
        async with opened("enterprise", file) as of:
            agent = cls.of(of, consent, kept_provers(of), kept_outbox(of))
            await agent.start()
            try:
                yield agent
            finally:
                await agent.stop()

    @classmethod
    def of(cls, connection: Connection, consent: Consent, provers: Mapping[str, DatasetProver], outbox: Outbox) -> Self:
        """An agent as its configuration describes it, not yet started."""
        told = connection.configuration
        departments = {
            dataset: DepartmentAddress(name, told.departments[name]) for dataset, name in told.offices.items()
        }
        return cls(
            EnterpriseConfig(connection.node, departments),
            connection.identity,
            connection.parameters,
            connection.ledger,
            provers,
            connection.workers,
            consent,
            outbox=outbox,
        )

    async def start(self) -> None:
        """Checks the network's parameters against the ledger and opens its connection to the node."""
        await self._workers.run(self._parameters.check_published, self._ledger)
        known = self._parameters
        self._channel = channel(self._identity, self._config.node, Role.OPERATOR, known.operator, known.authority)
        self._submissions = submission_pb2_grpc.SubmissionServiceStub(self._channel)
        self._log = log_pb2_grpc.LogServiceStub(self._channel)
        self._credit = credit_pb2_grpc.CreditServiceStub(self._channel)

    async def stop(self) -> None:
        """Closes the connection."""
        await self._channel.close(None)

    async def opening(self, dataset: str, period: str) -> Opening:
        """The opening of its record, from the department, checked against the ledger.

        Raises
        ------
        services.errors.WrongSubject
            If the department sends another record than the enterprise's own.
        services.errors.NotAnchored
            If the record does not lie under a root that the ledger holds.
        """
        if (dataset, period) not in self._openings:
            department = self._config.departments.get(dataset)
            if department is None:
                raise NotFound(f"dataset {dataset}", "no department that answers for it is known here")
            async with self._to(department) as there:
                stub = department_pb2_grpc.DepartmentServiceStub(there)
                request = department_pb2.GetOpeningRequest(dataset=dataset, period=period)
                response = await repeated(stub.GetOpening, request, DEADLINE)
            self._openings[dataset, period] = await self._workers.run(
                self._checked_opening, dataset, period, response.opening
            )
        return self._openings[dataset, period]

    async def take(self, dataset: str, opening: Opening) -> None:
        """Takes an opening that the department issued in another way; refuses what :meth:`opening` refuses."""
        period = opening.record.period
        checked = await self._workers.run(self._checked_opening, dataset, period, opening.to_bytes())
        self._openings[dataset, period] = checked

    async def prepare(self, dataset: str, period: str) -> bytes:
        """Its record of a period as the bytes of a Submission: encrypted, proved, linked."""
        opening = await self.opening(dataset, period)
        workers = self._workers
        return await workers.run(lambda: self._provers[dataset].submission(opening, workers.share()))

    async def submit(self, dataset: str, period: str) -> SubmissionReceipt:
        """Files its record of a period and returns the operator's receipt, verified.

        With an outbox the same bytes are filed if it is called again, and get the same receipt.
        """
        if self._outbox is None:
            return await self.file(await self.prepare(dataset, period))
        submission = await self._workers.run(self._outbox.submission, dataset, period)
        if submission is None:
            submission = await self.prepare(dataset, period)
            await self._workers.run(self._outbox.keep, dataset, period, submission)
        receipt = await self._file(submission, DEADLINE)
        verified = await self._verified(receipt, submission)
        await self._workers.run(self._outbox.keep_receipt, dataset, period, receipt)
        return verified

    async def file(self, submission: bytes, timeout: float = DEADLINE) -> SubmissionReceipt:
        """Files a prepared record, again if that may help while `timeout` seconds last; the same bytes count once."""
        return await self._verified(await self._file(submission, timeout), submission)

    async def file_many(self, submissions: Sequence[bytes]) -> list[SubmissionReceipt | Refused]:
        """Files prepared records over one stream: a verified receipt, or what it was refused for, for each in order."""

        async def requests() -> AsyncIterator[submission_pb2.SubmitManyRequest]:
            for submission in submissions:
                yield submission_pb2.SubmitManyRequest(submission=submission)

        outcomes: list[SubmissionReceipt | Refused] = []
        async for response in streamed(self._submissions.SubmitMany(requests(), timeout=STREAM_TIME)):
            if len(outcomes) == len(submissions):
                raise AnswerMismatch("outcomes", "more answers than records")
            if response.HasField("refusal"):
                refusal = response.refusal
                outcomes.append(
                    Refusal(refusal.check.lower(), refusal.part, refusal.why, grpc.StatusCode.INVALID_ARGUMENT)
                )
            else:
                outcomes.append(await self._verified(response.receipt, submissions[len(outcomes)]))
        if len(outcomes) < len(submissions):
            raise AnswerMismatch("outcomes", "fewer answers than records")
        return outcomes

    async def receipt(self, dataset: str, period: str, submission: bytes) -> SubmissionReceipt:
        """The operator's receipt, verified, for a record that was filed before."""
        schema_id = self._parameters.named(dataset).schema.schema_id.to_bytes(32, "big")
        request = submission_pb2.GetReceiptRequest(schema_id=schema_id, period=period)
        response = await repeated(self._submissions.GetReceipt, request, DEADLINE)
        return await self._verified(response.receipt, submission)

    async def confirm(self, receipt: SubmissionReceipt) -> Head:
        """Checks that a receipted record lies in the log that the ledger commits to; returns the anchored head.

        The head on the receipt must lead to one on the ledger, the record must lie under that, and the log as the node
        shows it now must go on from there.

        Raises
        ------
        services.errors.NotAnchored
            If the ledger does not hold the head that the node says it does, or holds none that reaches the record yet.
        services.errors.LogMismatch
            If a proof does not hold: the operator shows different logs to different parties.
        """
        response = await repeated(self._log.GetHead, log_pb2.GetHeadRequest(), DEADLINE)
        anchored = Head(response.anchored.size, response.anchored.root) if response.HasField("anchored") else None
        current = Head(response.current.size, response.current.root)
        if anchored is None or not await self._workers.run(is_anchored, self._ledger, anchored):
            raise NotAnchored("head", "the ledger holds no such head of the log")
        if anchored.size < receipt.head.size:
            raise NotAnchored("head", "the newest head on the ledger does not reach the record yet")
        await self._check_consistency(receipt.head, anchored)
        await self._check_consistency(anchored, current)
        request = log_pb2.GetInclusionRequest(index=receipt.position, size=anchored.size)
        inclusion = await repeated(self._log.GetInclusion, request, DEADLINE)
        if inclusion.leaf_hash != receipt.leaf or not verify_inclusion(
            receipt.leaf, receipt.position, anchored, list(inclusion.path)
        ):
            raise LogMismatch("inclusion", "the record does not lie under the anchored head")
        return anchored

    def _to(self, department: DepartmentAddress) -> grpc.aio.Channel:
        authority = self._parameters.authority
        return channel(self._identity, department.address, Role.DEPARTMENT, department.name, authority)

    async def datasets(self, department: DepartmentAddress) -> list[str]:
        """Names of the datasets that a department answers for, each checked against parameters and ledger.

        Raises
        ------
        services.errors.UnknownSchema
            If the department names a dataset, or gives a schema, that is not the network's.
        services.errors.NotAnchored
            If what it says of the newest anchor is not what the ledger holds.
        """
        async with self._to(department) as there:
            stub = department_pb2_grpc.DepartmentServiceStub(there)
            response = await repeated(stub.ListDatasets, department_pb2.ListDatasetsRequest(), DEADLINE)
        await self._workers.run(self._check_datasets, response.datasets)
        return [dataset.name for dataset in response.datasets]

    async def requests(self) -> list[Signed]:
        """The open score requests addressed to it, unchecked."""
        response = await repeated(self._credit.ListRequests, credit_pb2.ListRequestsRequest(), DEADLINE)
        return list(response.requests)

    async def answer_requests(self) -> int:
        """Answers every open request once; returns how many it answered with a proof."""
        return sum([await self.answer(request) for request in await self.requests()])

    async def watched(self) -> AsyncIterator[Signed]:
        """The open score requests addressed to it, unchecked, and each new one as it comes.

        It ends as :class:`services.errors.Unreachable` when the node goes away, and after :data:`WATCH_TIME`, so that a
        connection that died without a word is not watched for ever.
        """
        request = credit_pb2.WatchRequestsRequest()
        async for response in streamed(self._credit.WatchRequests(request, timeout=WATCH_TIME)):
            yield response.request

    async def watch(self) -> None:
        """Answers requests as they come, until :meth:`watched` ends."""
        async for signed in self.watched():
            try:
                await self.answer(signed)
            except Refused as refused:  # e.g. a request that the node made up
                if refused.check in PASSING:
                    raise
                _log.warning("not answered", enterprise=self.name, check=refused.check, part=refused.part)

    async def answer(self, signed: Signed) -> bool:
        """Answers one request: with a sealed proof if it is in order and its owner consents, else with a refusal.

        If node, department or ledger cannot be reached it does neither and raises; the request stays open.
        """
        request_id = statements.digest(statements.SCORE_REQUEST, signed)
        try:
            request = await self.read(signed)
            decision = self._consent(request)
            if not (await decision if inspect.isawaitable(decision) else decision):
                raise Declined("request", "the enterprise does not consent")
            opening = await self.opening(request.dataset, request.period)
            proof = await self._workers.run(lambda: self._provers[request.dataset].score(opening, request))
        except Refused as refused:
            if refused.check in PASSING:
                raise
            _log.info("declined", enterprise=self.name, check=refused.check, part=refused.part)
            reason = f"{refused.check}: {refused.part}"
            decline = credit_pb2.DeclineRequest(request_id=request_id, reason=reason)
            await repeated(self._credit.Decline, decline, DEADLINE)
            return False
        sealed = seal(request.sealing_key, request_id, statements.canonical(proof))
        answer = credit_pb2.SubmitScoreProofRequest(request_id=request_id, sealed_proof=sealed)
        await repeated(self._credit.SubmitScoreProof, answer, DEADLINE)
        return True

    async def read(self, signed: Signed) -> ScoreRequest:
        """A score request that is in order; raises what it is refused for."""
        return await self._workers.run(self._checked_request, signed)

    async def _file(self, submission: bytes, timeout: float) -> bytes:
        request = submission_pb2.SubmitRequest(submission=submission)
        return (await repeated(self._submissions.Submit, request, timeout)).receipt

    async def _verified(self, receipt: bytes, submission: bytes) -> SubmissionReceipt:
        return await self._workers.run(
            verify_submission, receipt, submission, self._parameters.authority, self._parameters.operator
        )

    async def _check_consistency(self, first: Head, second: Head) -> None:
        request = log_pb2.GetConsistencyRequest(first=first.size, second=second.size)
        response = await repeated(self._log.GetConsistency, request, DEADLINE)
        if not verify_consistency(first, second, list(response.path)):
            raise LogMismatch(
                "consistency", f"the log of {second.size} entries does not begin with that of {first.size}"
            )

    def _check_datasets(self, datasets: Iterable[department_pb2.Dataset]) -> None:
        for dataset in datasets:
            if dataset.schema != self._parameters.named(dataset.name).schema.to_toml():
                raise UnknownSchema(f"dataset {dataset.name}", "the department gives another schema than the network's")
            anchors = self._ledger.roots(dataset.name)
            newest = anchors[-1] if anchors else None
            stated = (dataset.epoch, int.from_bytes(dataset.root, "big"), dataset.size)
            if newest is None or stated != (newest.epoch, newest.root, newest.size):
                raise NotAnchored(f"dataset {dataset.name}", "the newest anchor on the ledger is another")

    def _checked_opening(self, dataset: str, period: str, encoded: bytes) -> Opening:
        schema = self._parameters.named(dataset).schema
        opening = Opening.from_bytes(encoded, schema)
        record = opening.record
        if record.subject != self.name:
            raise WrongSubject("opening.record.subject", f"it is the record of {record.subject}, not of {self.name}")
        if record.period != period:
            raise NotFound("opening.record.period", "the department sent another period's record")
        if opening.path.root(record.leaf(opening.blinding)) != opening.root:
            raise NotAnchored("opening.path", "the record does not lie under the root")
        if not self._ledger.is_root(dataset, opening.root):
            raise NotAnchored("opening.root", f"the ledger holds no such root of {dataset}")
        return opening

    def _checked_request(self, signed: Signed) -> ScoreRequest:
        request = scoring.read_request(signed, self._parameters, self._clock())
        if request.subject != self.name:
            raise WrongSubject("request.subject", "the request is addressed to somebody else")
        if self._ledger.scorecard(request.model_hash) is None:
            raise NotAnchored("request.scorecard", "the ledger holds no such scorecard")
        return request
