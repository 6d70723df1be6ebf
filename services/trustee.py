"""A trustee: it holds one share of the threshold key and uses it only for sums that it has checked itself.

For each query it brings its own replica of the log to the anchored head, verifying every entry's proofs, works out from
the querier's signed text which records the query selects, refuses if the operator claims any other groups, records or
products, applies the rule of atoms over all releases that the ledger holds, writes the release down, and only then
decrypts its part of the products that it computed itself. A trustee never decrypts a ciphertext that it was merely
handed, nor anything for a query that is not on the ledger.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from homomorphic.threshold import KeyShare
from services.aggregate import products
from services.api.zkshare.v1 import trustee_pb2 as pb
from services.api.zkshare.v1 import trustee_pb2_grpc as rpc
from services.errors import CohortMismatch, NotAnchored, NotEntered, NotPermitted, ProductMismatch
from services.identity import Identity, Role, caller
from services.journal import Journal
from services.known_roots import KnownRoots
from services.ledger import Ledger
from services.log import Head
from services.parameters import PublicParameters
from services.policy import Plan, Rights
from services.receipts import decryption_context
from services.release_list import ReleaseList, ReleaseServicer
from services.releases import AnotherHead, Releases
from services.replication import Replica
from services.server import FREE_PORT, GUARD, Address, Guard, Needs, Repeated, Server, Servicer, Workers, channel
from services.signed_query import Asked, read_query
from services.store.opening import open_database, segments_of
from services.verification import SubmissionVerifier
from services.web.monitor import second_door
from services.web.server import open_doors


@dataclass(frozen=True)
class TrusteeConfig:
    """How a trustee runs.

    Attributes
    ----------
    database
        File, or PostgreSQL URL, of its replica and its list of releases.
    node
        Where the operator's node listens.
    rights
        Who may query which dataset, by the trustee's own word.
    listen
        Where it listens.
    follow_seconds
        How often it looks for new heads on the ledger; a query makes it look at once.
    segments
        Directory of the replica's ciphertexts; None for one beside the database's file.
    guard
        Limits of callers, and the audit log.
    web
        Where it shows health and metrics and offers its service over HTTPS; None for nowhere.
    """

    database: Path | str
    node: Address
    rights: Rights
    listen: Address = FREE_PORT
    follow_seconds: float = 1.0
    segments: Path | None = None
    guard: Guard = GUARD
    web: Address | None = None


class Trustee(rpc.TrusteeServiceServicer):
    """One trustee's process: replica, policy, key share, server."""

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["TrusteeService"]

    def __init__(
        self,
        config: TrusteeConfig,
        identity: Identity,
        share: KeyShare,
        parameters: PublicParameters,
        ledger: Ledger,
        workers: Workers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._identity = identity
        self._share = share
        self._parameters = parameters
        self._ledger = ledger
        self._workers = workers
        self._clock = clock
        needs = Needs(workers, {"database": lambda: self._database.query("SELECT 1"), "ledger": ledger.latest_head})
        servicers: list[Servicer] = [self, ReleaseServicer(lambda: self._releases, workers)]
        self._server = Server(identity, config.listen, servicers, config.guard, needs, parameters.authority)
        self._web = None
        if config.web is not None:
            self._web = second_door(identity, config.web, parameters.authority, self._server, servicers)
        self._following = Repeated("follow", self._follow, config.follow_seconds)

    @property
    def web_address(self) -> Address | None:
        """Where its second door is, once it has started; None if it has none."""
        return self._web.address if self._web else None

    @property
    def address(self) -> Address:
        """Where it listens, once it has started."""
        return self._server.address

    async def start(self) -> None:
        """Opens the replica, checks the network's parameters against the ledger, serves."""
        await self._workers.run(self._parameters.check_published, self._ledger)
        self._database = await self._workers.run(open_database, self._config.database)
        segments = segments_of(self._config.database, self._config.segments)
        self._journal = await self._workers.run(Journal, self._database, segments)
        self._releases = await self._workers.run(Releases, self._database, self._clock)
        known = self._parameters
        self._channel = channel(self._identity, self._config.node, Role.OPERATOR, known.operator, known.authority)
        verifier = SubmissionVerifier(self._parameters, KnownRoots(self._ledger).of)
        self._replica = Replica(self._journal, verifier, self._ledger, self._channel, self._workers)
        self._list = ReleaseList(
            self._releases, self._journal, self._parameters, self._ledger, self._workers, self._reach
        )
        self._list.meet({self._parameters.operator: self._channel})
        await open_doors(self._server, self._web)
        self._following.start()

    async def stop(self) -> None:
        """Lets running calls end, then closes."""
        await self._following.stop()
        if self._web:
            await self._web.stop()
        await self._server.stop()
        await self._channel.close(None)
        self._journal.close()
        self._database.close()

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_TrusteeServiceServicer_to_server(self, server)

    async def DecryptShare(
        self, request: pb.DecryptShareRequest, context: grpc.aio.ServicerContext
    ) -> pb.DecryptShareResponse:
        if caller(context).name != self._parameters.operator:
            raise NotPermitted("caller", "only the network's operator asks for shares")
        asked = await self._workers.run(read_query, request.query, self._parameters, self._config.rights, self._clock())
        head = Head(request.head.size, request.head.root)
        if asked.head_size not in (0, head.size):
            raise CohortMismatch("head.size", "the querier asks at another head")
        await self._replica.follow(head)
        await self._list.follow(asked.query.dataset, request.query)
        return await self._workers.run(self._decrypt, request, asked, head)

    async def _follow(self) -> None:
        """Brings replica and releases to where the ledger is, so that queries need not wait for it."""
        newest = await self._workers.run(self._ledger.latest_head)
        if newest is not None and newest.size > self._journal.size:
            await self._replica.follow(Head(newest.size, newest.root))
        for dataset in self._parameters.datasets:
            await self._list.follow(dataset.name)

    async def _reach(self, size: int) -> None:
        """Brings the replica to a number of entries that some head on the ledger holds."""
        if self._journal.size < size:
            newest = await self._workers.run(self._ledger.latest_head)
            if newest is None or newest.size < size:
                raise NotAnchored("head", f"the ledger holds no head of the log that reaches {size} entries")
            await self._replica.follow(Head(newest.size, newest.root))

    def _decrypt(self, request: pb.DecryptShareRequest, asked: Asked, head: Head) -> pb.DecryptShareResponse:
        """Compares, decrypts; runs in a worker thread. The release is on disk, as all before it."""
        entered = self._releases.entered(asked.query.dataset, asked.digest)
        if entered is None:
            raise NotEntered("query", "the ledger's list of releases does not hold it")
        if entered.head_size != head.size:
            raise AnotherHead("head.size", f"the query was entered at the head of {entered.head_size} entries")
        if entered.refused is not None:
            raise entered.refused
        records, minimum = self._journal.records(asked.query.dataset), asked.query.schema.minimum_cohort
        plan = self._releases.check(asked.query, records, head.size, minimum)
        sums = products(plan, self._journal, self._parameters)
        self._compare(request, plan, sums)
        shares = self._share.partial_decrypt_batch(
            [
                (product, decryption_context(asked.query, head, asked.querier.uri, plan.outline, index, asked.digest))
                for index, product in enumerate(sums)
            ]
        )
        return pb.DecryptShareResponse(partial_decryptions=[share.to_bytes() for share in shares])

    def _compare(self, request: pb.DecryptShareRequest, plan: Plan, sums: Sequence[int]) -> None:
        """Refuses a request whose groups or products are not those that the trustee found."""
        if len(request.groups) != len(plan.outline.groups):
            raise CohortMismatch("groups", f"the query has {len(plan.outline.groups)} groups at this head")
        for index, (claim, group, product) in enumerate(zip(request.groups, plan.outline.groups, sums, strict=True)):
            part = f"groups[{index}]"
            if (tuple(claim.group), claim.other) != (group.key, group.other):
                raise CohortMismatch(f"{part}.group", "the query has another group here")
            if (claim.count, claim.cohort_root) != (group.count, group.cohort_root):
                raise CohortMismatch(f"{part}.cohort_root", "records left out or added; the query selects others")
            if int.from_bytes(claim.product, "big") != product:
                raise ProductMismatch(f"{part}.product", "it is not the product of the cohort's ciphertexts")
        if request.outline_digest != plan.outline.digest():
            raise CohortMismatch("outline_digest", "other groups are merged or withheld")
