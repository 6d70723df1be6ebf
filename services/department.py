"""A department: it holds records, commits to them in a Merkle tree, anchors the roots, and gives out openings.

An opening goes to the enterprise that the record is about and to nobody else; the caller's certificate says who that
is. The database holds records and blindings, so it is as secret as the records themselves; its file is readable by its
owner only.
"""

import json
import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor

from circuits.record import Opening, Record
from services.api.zkshare.v1 import department_pb2 as pb
from services.api.zkshare.v1 import department_pb2_grpc as rpc
from services.errors import NotFound
from services.identity import Identity, caller
from services.ledger import Ledger
from services.parameters import Dataset, PublicParameters
from services.server import FREE_PORT, Address, Server, Workers
from services.store import Conflict
from services.store.opening import open_database
from zkcore.bn254 import R
from zkcore.errors import Malformed
from zkcore.merkle import MerkleTree

_log = structlog.get_logger("zkshare.department")


class RecordExists(Malformed):
    """The department has committed to another record of this subject and period."""


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
    """

    database: Path | str
    datasets: tuple[str, ...]
    listen: Address = FREE_PORT


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
        self._trees: dict[str, MerkleTree] = {}
        self._epochs: dict[str, int] = {}
        self._trees_lock = threading.Lock()
        self._server = Server(identity, config.listen, [self])

    @property
    def address(self) -> Address:
        """Where it listens, once it has started."""
        return self._server.address

    async def start(self) -> None:
        """Opens the records, anchors what a crash left unanchored, serves."""
        await self._workers.run(self._parameters.check_published, self._ledger)
        self._database = await self._workers.run(open_database, self._config.database)
        for name in self._config.datasets:
            await self._workers.run(self._open, self._parameters.named(name).name)
        await self._server.start()

    async def stop(self) -> None:
        """Lets running calls end, then closes."""
        await self._server.stop()
        self._database.close()

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_DepartmentServiceServicer_to_server(self, server)

    async def commit(self, dataset: str, records: Iterable[Record]) -> int:
        """Appends records to a dataset's tree and anchors the new root, which it returns.

        If the ledger fails, the records are kept and anchored by the next commit or start.

        Raises
        ------
        services.department.RecordExists
            If one of them is of a subject and period that the dataset has; none is appended then.
        """
        return await self._workers.run(self._commit, self._parameters.named(dataset), list(records))

    async def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListDatasetsResponse:
        return pb.ListDatasetsResponse(
            datasets=[
                pb.Dataset(
                    name=name,
                    schema=self._parameters.named(name).schema.to_toml(),
                    epoch=self._epochs[name] - 1,
                    root=tree.root.to_bytes(32, "big"),
                    size=tree.size,
                )
                for name, tree in sorted(self._trees.items())
                if self._epochs[name]
            ]
        )

    async def GetOpening(
        self, request: pb.GetOpeningRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetOpeningResponse:
        opening = await self._workers.run(self._opening, request.dataset, caller(context).name, request.period)
        return pb.GetOpeningResponse(opening=opening.to_bytes())

    def _open(self, name: str) -> None:
        """Rebuilds a dataset's tree; anchors its root if the ledger's newest is another."""
        tree = MerkleTree()
        rows = self._database.query("SELECT leaf FROM department_record WHERE dataset = ? ORDER BY position", name)
        tree.extend([int.from_bytes(leaf, "big") for (leaf,) in rows])
        self._trees[name] = tree
        anchors = self._ledger.roots(name)
        self._epochs[name] = len(anchors)
        if tree.size and (not anchors or anchors[-1].root != tree.root):
            self._anchor(name)

    def _commit(self, dataset: Dataset, records: Sequence[Record]) -> int:
        with self._trees_lock:
            return self._append(dataset, records)

    def _append(self, dataset: Dataset, records: Sequence[Record]) -> int:
        tree = self._trees[dataset.name]
        rows = []
        for position, record in enumerate(records, tree.size):
            if record.schema.schema_id != dataset.schema.schema_id:
                raise Malformed(f"records[{position - tree.size}]", "the record has another schema than the dataset")
            blinding = secrets.randbelow(R)
            rows.append((position, record, blinding, record.leaf(blinding)))
        try:
            with self._database.transaction() as transaction:
                transaction.execute_many(
                    "INSERT INTO department_record (dataset, position, subject, period, attributes, field_values,"
                    " blinding, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        (
                            dataset.name,
                            position,
                            record.subject,
                            record.period,
                            json.dumps(dict(record.attributes), ensure_ascii=False),
                            json.dumps(dict(record.values)),
                            blinding.to_bytes(32, "big"),
                            leaf.to_bytes(32, "big"),
                        )
                        for position, record, blinding, leaf in rows
                    ),
                )
        except Conflict:
            raise RecordExists("records", "the dataset has a record of one of these subjects and periods") from None
        tree.extend([leaf for *_, leaf in rows])
        self._anchor(dataset.name)
        return tree.root

    def _anchor(self, name: str) -> None:
        tree = self._trees[name]
        self._ledger.anchor(name, self._epochs[name], tree.root, tree.size)
        _log.info("anchored", dataset=name, epoch=self._epochs[name], size=tree.size)
        self._epochs[name] += 1

    def _opening(self, name: str, subject: str, period: str) -> Opening:
        rows = self._database.query(
            "SELECT position, attributes, field_values, blinding FROM department_record"
            " WHERE dataset = ? AND subject = ? AND period = ?",
            name,
            subject,
            period,
        )
        if not rows or name not in self._trees:
            raise NotFound("record", "no record of yours in this dataset for this period")
        position, attributes, values, blinding = rows[0]
        record = Record(
            self._parameters.named(name).schema, subject, period, json.loads(attributes), json.loads(values)
        )
        with self._trees_lock:
            tree = self._trees[name]
            return Opening(record, int.from_bytes(blinding, "big"), tree.root, tree.path(position))
