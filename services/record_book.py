"""A department's records on disk, their trees, and the roots on the ledger.

Several processes of one department may use one book at a time, e.g. its server and a command that commits records: each
reads what the others appended before it appends or answers, and of two that append at once one is refused.
"""

import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from circuits.record import Opening, Record
from services import parameter_files
from services.configuration import load
from services.connection import open_ledger
from services.errors import NotFound
from services.ledger import EmbeddedProvider, Ledger
from services.parameters import PublicParameters
from services.store import Conflict, Database
from services.store.opening import open_database
from zkcore.bn254 import R
from zkcore.errors import Malformed
from zkcore.merkle import MerkleTree

_log = structlog.get_logger("zkshare.department")


class RecordExists(Malformed):
    """The department has committed to another record of this subject and period."""


@dataclass(frozen=True)
class Committed:
    """What a dataset holds: the newest epoch on the ledger, and root and number of its records."""

    dataset: str
    epoch: int
    root: int
    size: int


class RecordBook:
    """The records of a department's datasets. Any thread may use it.

    Parameters
    ----------
    ledger
        Written from the department's account.
    datasets
        Names of the datasets that the department answers for.
    """

    def __init__(
        self, database: Database, parameters: PublicParameters, ledger: Ledger, datasets: Sequence[str]
    ) -> None:
        self._database = database
        self._parameters = parameters
        self._ledger = ledger
        self._lock = threading.Lock()
        self._epochs: dict[str, int] = {}
        self._trees = {parameters.named(name).name: MerkleTree() for name in datasets}
        for name in self._trees:
            self._catch_up(name)
            self._anchor_if_new(name)

    def committed(self) -> list[Committed]:
        """The datasets that have an anchored record, in the order of their names."""
        with self._lock:
            for name in self._trees:
                self._catch_up(name)
            return [
                Committed(name, self._epochs[name] - 1, tree.root, tree.size)
                for name, tree in sorted(self._trees.items())
                if self._epochs[name]
            ]

    def subjects(self, dataset: str) -> list[tuple[str, str]]:
        """Subject and period of every record of a dataset, in the tree's order."""
        rows = self._database.query(
            "SELECT subject, period FROM department_record WHERE dataset = ? ORDER BY position", dataset
        )
        return [(subject, period) for subject, period in rows]

    def commit(self, name: str, records: Sequence[Record]) -> int:
        """Appends records to a dataset's tree and anchors the new root, which it returns.

        If the ledger fails, the records are kept and anchored by the next commit or start.

        Raises
        ------
        RecordExists
            If one of them is of a subject and period that the dataset has; none is appended then.
        """
        with self._lock:
            if name not in self._trees:
                raise NotFound(f"dataset {name}", "the department does not answer for it")
            self._catch_up(name)
            return self._append(name, records)

    def opening(self, name: str, subject: str, period: str) -> Opening:
        """The opening of a record; raises NotFound."""
        rows = self._find(name, subject, period)
        if not rows or name not in self._trees:
            raise NotFound("record", f"the department has no record of {subject} in {name} for {period}")
        position, attributes, values, blinding = rows[0]
        schema = self._parameters.named(name).schema
        record = Record(schema, subject, period, json.loads(attributes), json.loads(values))
        with self._lock:
            if position >= self._trees[name].size:
                self._catch_up(name)
            tree = self._trees[name]
            return Opening(record, int.from_bytes(blinding, "big"), tree.root, tree.path(position))

    def _find(self, dataset: str, subject: str, period: str) -> list[tuple[int, str, str, bytes]]:
        return self._database.query(
            "SELECT position, attributes, field_values, blinding FROM department_record"
            " WHERE dataset = ? AND subject = ? AND period = ?",
            dataset,
            subject,
            period,
        )

    def _catch_up(self, name: str) -> None:
        """Takes in what was appended and anchored, by this process or another."""
        tree = self._trees[name]
        rows = self._database.query(
            "SELECT leaf FROM department_record WHERE dataset = ? AND position >= ? ORDER BY position", name, tree.size
        )
        tree.extend([int.from_bytes(leaf, "big") for (leaf,) in rows])
        self._epochs[name] = len(self._ledger.roots(name))

    def _append(self, name: str, records: Sequence[Record]) -> int:
        tree, schema_id = self._trees[name], self._parameters.named(name).schema.schema_id
        rows = []
        for position, record in enumerate(records, tree.size):
            if record.schema.schema_id != schema_id:
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
                            name,
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
            raise RecordExists("records", "there is one of such a subject and period, or others came first") from None
        tree.extend([leaf for *_, leaf in rows])
        self._anchor_if_new(name)
        return tree.root

    def _anchor_if_new(self, name: str) -> None:
        """Puts a tree's root on the ledger if the newest there is another."""
        tree, anchors = self._trees[name], self._ledger.roots(name)
        self._epochs[name] = len(anchors)
        if not tree.size or (anchors and anchors[-1].root == tree.root):
            return
        self._ledger.anchor(name, self._epochs[name], tree.root, tree.size)
        _log.info("anchored", dataset=name, epoch=self._epochs[name], size=tree.size)
        self._epochs[name] += 1


@contextmanager
def opened_book(
    file: Path, environment: Mapping[str, str] = os.environ
) -> Iterator[tuple[RecordBook, PublicParameters, tuple[str, ...]]]:
    """The book of a department by its configuration, beside its server, the network's parameters, and its datasets.

    Raises
    ------
    zkcore.errors.Refused
        If the configuration, or a file that it names, is not right, or the ledger holds other parameters.
    """
    configuration = load("department", file, environment)
    missing = configuration.missing_files()
    if missing:
        raise NotFound(str(file), "; ".join(missing))
    parameters = parameter_files.load(configuration.network)
    ledger, provider = open_ledger(configuration.ledger)
    try:
        parameters.check_published(ledger)
        database = open_database(configuration.database)
        try:
            yield RecordBook(database, parameters, ledger, configuration.datasets), parameters, configuration.datasets
        finally:
            database.close()
    finally:
        if isinstance(provider, EmbeddedProvider):
            provider.close()
