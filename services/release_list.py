"""Following the ledger's lists of releases: node and trustees decide on every query in the same order.

Before anything of a query is decrypted, its digest is entered on the ledger in its dataset's list. Whoever is asked
about a query first takes all entries before it, each decided by the rule of atoms over his own replica of the log, and
only then looks whether this one may be answered. So a trustee knows of every release in which any trustees took part,
and an operator cannot ask different trustees about cohorts that together tell too much.

The ledger holds digests; the queries themselves come from the node, or from a trustee who took them before. A query
that nobody gives stops its dataset's list: nothing behind it is decided. That is availability, for which the operator
is trusted; leaving it out would be the hole that the list closes.

A crash leaves nothing half done. The node keeps a query before it enters it and takes its entry afterwards; whatever
came in between, the same request finds its entry and goes on, and an entry counts whether it was answered or not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from services.api.zkshare.v1 import release_pb2 as pb
from services.api.zkshare.v1 import release_pb2_grpc as rpc
from services.api.zkshare.v1.identity_pb2 import Signed
from services.errors import LogMismatch, NotFound, QueryWithheld, ReleaseLost, Unreachable
from services.journal import Journal
from services.ledger import EnteredRelease, Ledger
from services.parameters import PublicParameters
from services.query import Query
from services.releases import Entered, Releases
from services.server import DEADLINE, Workers, answered
from services.signed_query import Asked, check_genuine, digest, entered_query
from services.statements import canonical
from zkcore.errors import Refused


class ReleaseServicer(rpc.ReleaseServiceServicer):
    """Serves queries that were kept."""

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["ReleaseService"]

    def __init__(self, releases: Callable[[], Releases], workers: Workers) -> None:
        self._releases = releases
        self._workers = workers

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_ReleaseServiceServicer_to_server(self, server)

    async def GetQuery(self, request: pb.GetQueryRequest, context: grpc.aio.ServicerContext) -> pb.GetQueryResponse:
        signed = await self._workers.run(self._releases().query, request.request)
        if signed is None:
            raise NotFound("request", "no such query was asked here")
        return pb.GetQueryResponse(query=Signed.FromString(signed))


class ReleaseList:
    """One party's copy of the ledger's lists of releases.

    Parameters
    ----------
    ledger
        The node's is written from the operator's account.
    reach
        Brings the journal to a number of entries; None where it always holds all of the log.
    """

    def __init__(
        self,
        releases: Releases,
        journal: Journal,
        parameters: PublicParameters,
        ledger: Ledger,
        workers: Workers,
        reach: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._releases = releases
        self._journal = journal
        self._parameters = parameters
        self._ledger = ledger
        self._workers = workers
        self._reach = reach
        self._sources: list[rpc.ReleaseServiceAsyncStub] = []
        self._compared: dict[str, int] = {}
        self._one_at_a_time: dict[str, asyncio.Lock] = {}

    def meet(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        """Takes channels to those who may have queries that are not at hand."""
        self._sources = [rpc.ReleaseServiceStub(there) for there in channels.values()]

    async def follow(self, dataset: str, at_hand: Signed | None = None) -> None:
        """Takes all entries that the ledger holds of a dataset's list.

        Parameters
        ----------
        at_hand
            A query that need not be looked for.

        Raises
        ------
        services.errors.ReleaseLost
            If entries that were taken are not on the ledger, or others in their place.
        services.errors.QueryWithheld
            If nobody gives the query of an entry.
        services.errors.Unreachable
            If nobody can be asked, or the ledger does not answer.
        """
        async with self._one_at_a_time.setdefault(dataset, asyncio.Lock()):
            for entry in await self._workers.run(self._new, dataset):
                signed = await self._query(entry.request, at_hand)
                if self._reach is not None:
                    await self._reach(entry.head_size)
                await self._workers.run(self._take, dataset, entry, signed)

    async def enter(self, signed: Signed, asked: Asked, head_size: int) -> Entered:
        """Has a query entered on the ledger, if it is not and would be answered; its entry, taken.

        The entry's head is another than `head_size` if an earlier attempt entered it.

        Raises
        ------
        zkcore.errors.Refused
            If it is refused, before it is entered or, since another came before it, afterwards; and as :meth:`follow`.
        """
        dataset, run = asked.query.dataset, self._workers.run
        try:
            await self.follow(dataset, signed)
        except ReleaseLost:
            await asyncio.to_thread(self._restore, dataset)
            await self.follow(dataset, signed)
        entered = await run(self._releases.entered, dataset, asked.digest)
        if entered is None:
            records, minimum = self._journal.records(dataset), asked.query.schema.minimum_cohort
            await run(self._releases.check, asked.query, records, head_size, minimum)
            await run(self._releases.keep_query, asked.digest, canonical(signed))
            # It may wait for blocks, for which no thread is kept from its work.
            await asyncio.to_thread(self._ledger.ensure_release, dataset, asked.digest, head_size)
            await self.follow(dataset, signed)
            entered = await run(self._releases.entered, dataset, asked.digest)
        if entered is None:
            raise Unreachable("ledger", "the entry of the query is not to be seen yet")
        if entered.refused is not None:
            raise entered.refused
        return entered

    def _new(self, dataset: str) -> tuple[EnteredRelease, ...]:
        """The entries to take. All that were taken are compared once, and the last of them every time."""
        start = max(self._compared.get(dataset, 0) - 1, 0)
        known = self._releases.entries(dataset, start)
        found = self._ledger.releases(dataset, start)
        if [(entry.request, entry.head_size) for entry in found[: len(known)]] != known:
            raise ReleaseLost("releases", f"the ledger's list of {dataset} is not the one that was followed")
        self._compared[dataset] = start + len(known)
        return found[len(known) :]

    def _restore(self, dataset: str) -> None:
        """Enters anew, in their order, releases that the ledger lost, rolled back beyond what counts as settled."""
        found = self._ledger.releases(dataset)
        known = self._releases.entries(dataset)
        if [(entry.request, entry.head_size) for entry in found] != known[: len(found)]:
            raise ReleaseLost("releases", f"the ledger holds other releases of {dataset} than were entered")
        for request, head_size in known[len(found) :]:
            self._ledger.ensure_release(dataset, request, head_size)

    async def _query(self, request: bytes, at_hand: Signed | None) -> Signed:
        """The query of an entry: the one at hand, one's own, or from whoever has it."""
        if at_hand is not None and digest(at_hand) == request:
            return at_hand
        own = await self._workers.run(self._releases.query, request)
        if own is not None:
            return Signed.FromString(own)
        refused: Refused | None = None
        for source in self._sources:
            try:
                response = await answered(source.GetQuery(pb.GetQueryRequest(request=request), timeout=DEADLINE))
                await self._workers.run(check_genuine, response.query, request, self._parameters)
                return response.query
            except Refused as refusal:
                refused = refusal
        if isinstance(refused, Unreachable):
            raise refused
        why = f": {refused.why}" if isinstance(refused, QueryWithheld) else ""
        raise QueryWithheld("releases", f"nobody gives the query {request.hex()[:16]} that the ledger holds{why}")

    def _take(self, dataset: str, entry: EnteredRelease, signed: Signed) -> None:
        signer = check_genuine(signed, entry.request, self._parameters)
        if self._journal.size < entry.head_size:
            raise LogMismatch("releases", "an entry's head lies beyond the log")
        asked: Query | Refused
        try:
            asked = entered_query(signed, dataset, entry.head_size, self._parameters)
        except Refused as refused:
            asked = refused
        self._releases.take(dataset, entry, signer.uri, canonical(signed), asked, self._journal.records(dataset))
