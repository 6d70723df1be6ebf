"""The aggregate service: the operator plans a query, enters it on the ledger, multiplies each cohort's ciphertexts, has
the trustees check and decrypt, and returns the answer with its receipt.

Nothing that the operator says here is believed by anybody: trustees work everything out anew, and the querier verifies
the receipt. A trustee that answers with a wrong share is named and left out; any threshold of others suffice.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor

from homomorphic.ciphertext_rows import sum_of_buffers
from homomorphic.threshold import PartialDecryption
from services.api.zkshare.v1 import aggregate_pb2 as pb
from services.api.zkshare.v1 import aggregate_pb2_grpc as rpc
from services.api.zkshare.v1 import trustee_pb2, trustee_pb2_grpc
from services.api.zkshare.v1.identity_pb2 import Signed
from services.errors import NotAnchored, NotPermitted, ShareInvalid, TooFewShares
from services.identity import Identity, caller
from services.journal import Journal
from services.log import Head
from services.parameters import PublicParameters
from services.policy import Plan, Rights
from services.receipts import Answer, Decryption, ReleaseEntry, decryption_context
from services.release_list import ReleaseList
from services.releases import Releases
from services.replication import head_message
from services.server import Workers, answered
from services.signed_query import Asked, read_query
from services.status import error_info
from zkcore.errors import Malformed, Refused, WrongLength

SHARE_TIME = 100.0
"""Seconds that a trustee may take, replication included; below the time that a querier waits."""

LAG, LAG_SECONDS = frozenset({"not_anchored", "not_entered"}), 5.0
"""What a trustee refuses if its view of the chain lags behind the node's, and for how long it is asked again."""

_log = structlog.get_logger("zkshare.aggregate")


def products(plan: Plan, journal: Journal, parameters: PublicParameters) -> list[int]:
    """The product of each cohort's ciphertexts mod N^2, from one's own journal."""
    key = parameters.threshold_key.public_key
    return [sum_of_buffers(key, list(journal.ciphertexts(cohort))) for cohort in plan.cohorts]


@dataclass(frozen=True)
class _Shares:
    """What a trustee gave: a partial decryption a group, or why it gave none."""

    trustee: str
    given: tuple[PartialDecryption, ...] | Refused


class AggregateServicer(rpc.AggregateServiceServicer):
    """Answers queries.

    Parameters
    ----------
    rights
        Who may query which dataset.
    releases
        The answers given.
    release_list
        The ledger's lists of releases, followed.
    anchor
        Puts the log's current head on the ledger if it is not there yet, and returns it.
    anchored
        The head of this size on the ledger, or None.
    """

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["AggregateService"]

    def __init__(
        self,
        journal: Journal,
        releases: Releases,
        release_list: ReleaseList,
        parameters: PublicParameters,
        rights: Rights,
        identity: Identity,
        anchor: Callable[[], Awaitable[Head]],
        anchored: Callable[[int], Head | None],
        workers: Workers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._releases = releases
        self._list = release_list
        self._parameters = parameters
        self._rights = rights
        self._identity = identity
        self._anchor = anchor
        self._anchored = anchored
        self._workers = workers
        self._clock = clock
        self._trustees: dict[str, trustee_pb2_grpc.TrusteeServiceAsyncStub] = {}
        self._answering: dict[bytes, asyncio.Lock] = {}

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_AggregateServiceServicer_to_server(self, server)

    def meet(self, trustees: Mapping[str, grpc.aio.Channel]) -> None:
        """Takes channels to the trustees, by name."""
        self._trustees = {name: trustee_pb2_grpc.TrusteeServiceStub(there) for name, there in trustees.items()}

    async def Query(self, request: pb.QueryRequest, context: grpc.aio.ServicerContext) -> pb.QueryResponse:
        asked = await self._workers.run(read_query, request.query, self._parameters, self._rights, self._clock())
        if asked.querier.uri != caller(context).uri:
            raise NotPermitted("query.querier", "a querier asks in its own name")
        # One answer to one signed query: a second call waits for the first and gets its receipt.
        lock = self._answering.setdefault(asked.digest, asyncio.Lock())
        try:
            async with lock:
                known = await self._workers.run(self._releases.receipt, asked.digest)
                return pb.QueryResponse(receipt=known) if known else await self._answer(request.query, asked)
        finally:
            self._answering.pop(asked.digest, None)

    async def _answer(self, signed: Signed, asked: Asked) -> pb.QueryResponse:
        head = await self._head(asked)
        query, records = asked.query, self._journal.records(asked.query.dataset)
        decryptions: tuple[Decryption, ...] = ()
        faults: list[pb.TrusteeFault] = []
        entry: ReleaseEntry | None = None
        if not query.fields:
            decide = self._releases.decide
            minimum = query.schema.minimum_cohort
            plan = await self._workers.run(decide, asked.digest, asked.querier.uri, query, records, head.size, minimum)
        else:
            entered = await self._list.enter(signed, asked, head.size)
            head, entry = await self._anchored_at(entered.head_size), ReleaseEntry(entered.number, asked.digest)
            plan = await self._workers.run(self._releases.check, query, records, head.size, query.schema.minimum_cohort)
            sums = await self._workers.run(products, plan, self._journal, self._parameters)
            shares = await self._ask(self._request(signed, plan, head, sums))
            decryptions, faults = await self._workers.run(self._combine, asked, plan, head, sums, shares)
        answer = Answer(
            query=asked.query,
            head=head,
            querier=asked.querier.uri,
            outline=plan.outline,
            release=entry,
            threshold_key=self._parameters.threshold_key if plan.cohorts else None,
            decryptions=decryptions,
            time=datetime.fromtimestamp(self._clock(), UTC),
        )
        receipt = await self._workers.run(answer.sign, self._identity)
        await self._workers.run(self._releases.keep_receipt, asked.digest, receipt)
        return pb.QueryResponse(receipt=receipt, faults=faults)

    async def _head(self, asked: Asked) -> Head:
        """The anchored head at which the query is evaluated: the one decided before, the one named, or the newest."""
        decided = await self._workers.run(self._releases.head_size, asked.digest)
        size = decided or asked.head_size
        return await self._anchored_at(size) if size else await self._anchor()

    async def _anchored_at(self, size: int) -> Head:
        head = await self._workers.run(self._anchored, size)
        if head is None:
            raise NotAnchored("query.head_size", f"the ledger holds no head of {size} entries")
        return head

    def _request(self, signed: Signed, plan: Plan, head: Head, sums: list[int]) -> trustee_pb2.DecryptShareRequest:
        public_key = self._parameters.threshold_key.public_key
        return trustee_pb2.DecryptShareRequest(
            query=signed,
            head=head_message(head),
            outline_digest=plan.outline.digest(),
            groups=[
                trustee_pb2.CohortClaim(
                    group=group.key,
                    other=group.other,
                    count=group.count,
                    cohort_root=group.cohort_root,
                    product=public_key.ciphertext_to_bytes(product),
                )
                for group, product in zip(plan.outline.groups, sums, strict=True)
            ],
        )

    async def _ask(self, request: trustee_pb2.DecryptShareRequest) -> list[_Shares]:
        """Asks all trustees at once."""

        async def response_of(stub: "trustee_pb2_grpc.TrusteeServiceAsyncStub") -> trustee_pb2.DecryptShareResponse:
            deadline = time.monotonic() + LAG_SECONDS
            while True:
                try:
                    return await answered(stub.DecryptShare(request, timeout=SHARE_TIME))
                except Refused as refused:
                    if refused.check not in LAG or time.monotonic() > deadline:
                        raise
                await asyncio.sleep(LAG_SECONDS / 10)

        async def ask(trustee: str, stub: "trustee_pb2_grpc.TrusteeServiceAsyncStub") -> _Shares:
            try:
                response = await response_of(stub)
                given = tuple(PartialDecryption.from_bytes(item) for item in response.partial_decryptions)
                if len(given) != len(request.groups):
                    raise WrongLength("partial_decryptions", "not one share a group")
                number = self._parameters.trustees.index(trustee) + 1
                if any(share.index != number for share in given):
                    raise Malformed("partial_decryptions", "a share under another trustee's number")
            except Refused as refused:
                return _Shares(trustee, refused)
            return _Shares(trustee, given)

        return list(await asyncio.gather(*(ask(name, stub) for name, stub in sorted(self._trustees.items()))))

    def _combine(
        self, asked: Asked, plan: Plan, head: Head, sums: list[int], answers: list[_Shares]
    ) -> tuple[tuple[Decryption, ...], list[pb.TrusteeFault]]:
        """The valid shares of each group and the trustees at fault.

        Raises
        ------
        services.errors.TooFewShares
            If fewer than the threshold are left; if all trustees refuse for the same reason, that refusal.
        """
        key = self._parameters.threshold_key
        faults: dict[str, Refused] = {}
        items, places = [], []
        contexts = [
            decryption_context(asked.query, head, asked.querier.uri, plan.outline, index, asked.digest)
            for index in range(len(sums))
        ]
        for answer in answers:
            if isinstance(answer.given, Refused):
                faults[answer.trustee] = answer.given
                continue
            items += list(zip(sums, answer.given, contexts, strict=True))
            places += [(answer.trustee, index) for index in range(len(sums))]
        for bad in key.verify_shares(items):
            trustee, index = places[bad]
            faults.setdefault(trustee, ShareInvalid(f"groups[{index}].share", "the proof of the share fails"))
        for trustee, refused in faults.items():
            _log.warning("trustee at fault", trustee=trustee, check=refused.check, part=refused.part)
        good = [a.given for a in answers if a.trustee not in faults and not isinstance(a.given, Refused)]
        if len(good) < key.threshold:
            _raise_common([answer.given for answer in answers])
            named = ", ".join(f"{trustee} [{refused.check}]" for trustee, refused in faults.items()) or "none answered"
            raise TooFewShares(
                "trustees", f"{len(good)} of {key.threshold} needed gave a valid share; at fault: {named}"
            )
        shares = (tuple(sorted(group, key=lambda share: share.index)) for group in zip(*good, strict=True))
        decryptions = tuple(Decryption(product, group) for product, group in zip(sums, shares, strict=True))
        return decryptions, [_fault(trustee, refused) for trustee, refused in faults.items()]


def _raise_common(given: Sequence[tuple[PartialDecryption, ...] | Refused]) -> None:
    """Raises what every trustee refuses for, if that is one thing."""
    refusals = [item for item in given if isinstance(item, Refused)]
    reasons = {(refused.check, refused.part, refused.why) for refused in refusals}
    if refusals and len(refusals) == len(given) and len(reasons) == 1:
        raise refusals[0]


def _fault(trustee: str, refused: Refused) -> pb.TrusteeFault:
    info = error_info(refused)
    return pb.TrusteeFault(trustee=trustee, check=info.reason, part=info.metadata["part"], why=info.metadata["why"])
