"""A department: it holds records, commits to them in a Merkle tree, anchors the roots, and gives out openings.

An opening goes to the enterprise that the record is about and to nobody else; the caller's certificate says who that
is. The database holds records and blindings, so it is as secret as the records themselves; its file is readable by its
owner only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from circuits.record import Record
from services.api.zkshare.v1 import department_pb2 as pb
from services.api.zkshare.v1 import department_pb2_grpc as rpc
from services.identity import Identity, caller
from services.ledger import Ledger
from services.parameters import PublicParameters
from services.record_book import RecordBook
from services.server import FREE_PORT, GUARD, Address, Guard, Needs, Server, Workers
from services.store.opening import open_database
from services.web.monitor import second_door
from services.web.server import open_doors


@dataclass(frozen=True)
class DepartmentConfig:
    """How a department runs.

    Attributes
    ----------
    database
        File, or PostgreSQL URL, of its records.
    datasets
        Names of the datasets that it answers for.
    listen
        Where it listens.
    guard
        Limits of callers, and the audit log.
    web
        Where it shows health and metrics and offers its service over HTTPS; None for nowhere.
    """

    database: Path | str
    datasets: tuple[str, ...]
    listen: Address = FREE_PORT
    guard: Guard = GUARD
    web: Address | None = None


class Department(rpc.DepartmentServiceServicer):
    """One department's process: records, trees, anchors, server.

    Parameters
    ----------
    ledger
        Written from the department's account.
    """

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["DepartmentService"]

    def __init__(
        self,
        config: DepartmentConfig,
        identity: Identity,
        parameters: PublicParameters,
        ledger: Ledger,
        workers: Workers,
    ) -> None:
        self._config = config
        self._parameters = parameters
        self._ledger = ledger
        self._workers = workers
        needs = Needs(workers, {"database": lambda: self._database.query("SELECT 1"), "ledger": ledger.latest_head})
        self._server = Server(identity, config.listen, [self], config.guard, needs, parameters.authority)
        self._web = None
        if config.web is not None:
            self._web = second_door(identity, config.web, parameters.authority, self._server, [self])

    @property
    def web_address(self) -> Address | None:
        """Where its second door is, once it has started; None if it has none."""
        return self._web.address if self._web else None

    @property
    def address(self) -> Address:
        """Where it listens, once it has started."""
        return self._server.address

    async def start(self) -> None:
        """Opens the records, anchors what a crash left unanchored, serves."""
        await self._workers.run(self._parameters.check_published, self._ledger)
        self._database = await self._workers.run(open_database, self._config.database)
        self._book = await self._workers.run(
            RecordBook, self._database, self._parameters, self._ledger, self._config.datasets
        )
        await open_doors(self._server, self._web)

    async def stop(self) -> None:
        """Lets running calls end, then closes."""
        if self._web:
            await self._web.stop()
        await self._server.stop()
        self._database.close()

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_DepartmentServiceServicer_to_server(self, server)

    async def commit(self, dataset: str, records: Iterable[Record]) -> int:
        """As :meth:`services.record_book.RecordBook.commit`."""
        return await self._workers.run(self._book.commit, self._parameters.named(dataset).name, list(records))

    async def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListDatasetsResponse:
        return pb.ListDatasetsResponse(
            datasets=[
                pb.Dataset(
                    name=each.dataset,
                    schema=self._parameters.named(each.dataset).schema.to_toml(),
                    epoch=each.epoch,
                    root=each.root.to_bytes(32, "big"),
                    size=each.size,
                )
                for each in await self._workers.run(self._book.committed)
            ]
        )

    async def GetOpening(
        self, request: pb.GetOpeningRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetOpeningResponse:
        subject = caller(context).name
        opening = await self._workers.run(self._book.opening, request.dataset, subject, request.period)
        return pb.GetOpeningResponse(opening=opening.to_bytes())
