"""The submission service: records come in, are verified in batches, appended, and receipted.

Whoever submits waits in a bounded queue; what waits there (up to :data:`BATCH`) is verified together in a worker
thread, what passed is appended in one transaction, and then answered. So callers at the same time share the work of a
batch, and an acknowledged record is on disk.

Bytes that the log holds get their receipt again before anything of them is verified: they are of the caller's own
subject, as :class:`SubmissionServicer` has seen to, and were verified when they came. The same bytes twice in one batch
are verified once.
"""

import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor

from services.api.zkshare.v1 import submission_pb2 as pb
from services.api.zkshare.v1 import submission_pb2_grpc as rpc
from services.errors import AlreadySubmitted, Unreachable, WrongSubject
from services.gathering import Gatherer, Size
from services.identity import Identity, caller
from services.journal import Journal
from services.log import Head
from services.metrics import RECORDS_BATCH
from services.parameters import PublicParameters
from services.receipts import SubmissionReceipt
from services.server import Workers
from services.statements import parse_canonical
from services.status import error_info
from services.store import StoreError
from services.streams import InOrder
from services.verification import Accepted, SubmissionVerifier, field_element
from zkcore.errors import Refused

BATCH = 256
"""Records verified together."""
QUEUE = Size(1024, 1 << 26)
"""Records that may wait, and their bytes; more is refused as Busy."""
GATHER_SECONDS = 0.02
"""How long the first record of a batch waits for others: about what a batch costs whatever it holds."""
AHEAD = 64
"""Records of one stream that may wait at a time."""

_log = structlog.get_logger("zkshare.submission")


class Intake:
    """Verifies records in batches and appends them to the journal with receipts signed by the operator."""

    def __init__(
        self,
        journal: Journal,
        verifier: SubmissionVerifier,
        identity: Identity,
        workers: Workers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._verifier = verifier
        self._identity = identity
        self._appending = threading.Lock()
        self._gatherer = Gatherer[bytes, bytes](
            self._take, lambda body: Size(1, len(body)), workers, BATCH, QUEUE, GATHER_SECONDS
        )

    async def start(self) -> None:
        """Begins to take records."""
        await self._gatherer.start()

    async def stop(self) -> None:
        """Finishes the batches at hand, refuses what still waits."""
        await self._gatherer.stop()

    async def submit(self, body: bytes, patient: bool = False) -> bytes:
        """The receipt of a record, once it is verified and on disk; raises what it is refused for.

        When too much waits it is refused as Busy, unless it is `patient`: then it waits for room.
        """
        return await self._gatherer.one(body, patient)

    def _take(self, bodies: Sequence[bytes]) -> list[bytes | Refused]:
        """Verifies and appends; runs in worker threads, where one batch is verified while another is appended."""
        distinct = list(dict.fromkeys(bodies))
        outcomes: dict[bytes, bytes | Refused]
        try:
            outcomes = {body: receipt for body in distinct if (receipt := self._kept(body)) is not None}
        except StoreError as error:
            return [_lost(error, len(bodies))] * len(bodies)
        new = [body for body in distinct if body not in outcomes]
        if new:
            outcomes.update(zip(new, self._verified(new), strict=True))
        return [outcomes[body] for body in bodies]

    def _kept(self, body: bytes) -> bytes | None:
        """The receipt of these very bytes, if the log holds them."""
        claimed = self._verifier.claimed(body)
        entry = None if claimed is None else self._journal.find(*claimed)
        return entry.receipt if entry is not None and entry.body == body else None

    def _verified(self, bodies: Sequence[bytes]) -> list[bytes | Refused]:
        RECORDS_BATCH.observe(len(bodies))
        verdicts = self._verifier.verify_batch(bodies)
        try:
            with self._appending:
                return self._keep(bodies, verdicts)
        except StoreError as error:
            lost = _lost(error, len(bodies))
            return [verdict if isinstance(verdict, Refused) else lost for verdict in verdicts]

    def _keep(self, bodies: Sequence[bytes], verdicts: Sequence[Accepted | Refused]) -> list[bytes | Refused]:
        """Appends what passed and is new; the receipt of every record that the log holds now."""
        new: dict[tuple[str, str, str], tuple[bytes, Accepted]] = {}
        for body, verdict in zip(bodies, verdicts, strict=True):
            if not isinstance(verdict, Refused) and self._journal.find(*verdict.identity) is None:
                new.setdefault(verdict.identity, (body, verdict))
        if new:
            self._journal.append(list(new.values()), self._receipt)
        return [
            verdict if isinstance(verdict, Refused) else self._outcome(body, verdict)
            for body, verdict in zip(bodies, verdicts, strict=True)
        ]

    def _outcome(self, body: bytes, accepted: Accepted) -> bytes | Refused:
        """The receipt of a record that the log now holds, or the refusal of another record in its place."""
        entry = self._journal.get(*accepted.identity)
        if entry.body != body or entry.receipt is None:
            return AlreadySubmitted("submission", "the log holds another record for this dataset, subject and period")
        return entry.receipt

    def _receipt(self, position: int, leaf: bytes, head: Head) -> bytes:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return SubmissionReceipt(position, leaf, head, now).sign(self._identity)


class SubmissionServicer(rpc.SubmissionServiceServicer):
    """Takes records from enterprises, each for its own subject."""

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["SubmissionService"]

    def __init__(self, intake: Intake, journal: Journal, parameters: PublicParameters, workers: Workers) -> None:
        self._intake = intake
        self._journal = journal
        self._parameters = parameters
        self._workers = workers

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_SubmissionServiceServicer_to_server(self, server)

    async def Submit(self, request: pb.SubmitRequest, context: grpc.aio.ServicerContext) -> pb.SubmitResponse:
        return pb.SubmitResponse(receipt=await self._submit(request.submission, caller(context).name))

    async def SubmitMany(
        self, requests: AsyncIterator[pb.SubmitManyRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.SubmitManyResponse]:
        subject = caller(context).name
        streams = InOrder[pb.SubmitManyRequest, bytes](
            lambda request: self._submit(request.submission, subject, patient=True), AHEAD
        )
        async for outcome in streams.answers(requests):
            if isinstance(outcome, Refused):
                yield pb.SubmitManyResponse(refusal=_refusal(outcome))
            else:
                yield pb.SubmitManyResponse(receipt=outcome)

    async def GetReceipt(
        self, request: pb.GetReceiptRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetReceiptResponse:
        dataset = self._parameters.dataset(field_element("schema_id", request.schema_id))
        entry = await self._workers.run(self._journal.get, dataset.name, caller(context).name, request.period)
        return pb.GetReceiptResponse(receipt=entry.receipt or b"")

    async def _submit(self, body: bytes, subject: str, patient: bool = False) -> bytes:
        if parse_canonical(body, pb.Submission, "submission").subject != subject:
            raise WrongSubject("submission.subject", "an enterprise submits its own records only")
        return await self._intake.submit(body, patient)


def _lost(error: StoreError, records: int) -> Unreachable:
    """What callers are told of records that the store did not take."""
    _log.error("batch not kept", kind=type(error).__name__, why=str(error), records=records)
    return Unreachable("store", "the node cannot write it down now; try again later with the same bytes")


def _refusal(refused: Refused) -> pb.SubmissionRefusal:
    info = error_info(refused)
    return pb.SubmissionRefusal(check=info.reason, part=info.metadata["part"], why=info.metadata["why"])
