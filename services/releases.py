"""What was released: the list of answered queries, on disk, and the one step that decides on a new one.

The rule of atoms holds only if no two queries are decided side by side and nothing is released that the list forgets.
:meth:`Releases.take` and :meth:`Releases.decide` therefore plan, write and move on under one lock, and return when the
release is on disk, which is before any product is made or any share of a key is used. A release that was written and
then not answered costs nothing but that its cohorts count as known.

Node and trustees each keep a list of their own, and all take the ledger's entries in the ledger's order
(:mod:`services.release_list`). What they find follows from the entries, the log and the schemas, so they find the same:
an entry that one refuses is refused by all, and one that anybody may have used its share for counts for all.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from google.rpc import code_pb2

from services.ledger import EnteredRelease
from services.policy import Cohort, Plan, Records, Released, plan
from services.query import Query
from services.status import BY_NUMBER, CODES, Refusal
from services.store import Database, Transaction
from zkcore.errors import Refused


class AnotherHead(Refused):
    """The request was decided before, at another head of the log."""


@dataclass(frozen=True)
class Entered:
    """A query's entry in its dataset's list of releases: its number, the head, and what it is refused for, if it is."""

    number: int
    head_size: int
    refused: Refused | None


@dataclass(frozen=True)
class Answered:
    """A release as anyone may see it: what was asked, of how many records, and the sizes of its cohorts."""

    request: bytes
    dataset: str
    querier: str
    query: str
    head_size: int
    time: int
    cohort_sizes: tuple[int, ...]
    has_receipt: bool


class Releases:
    """The releases of all datasets, each dataset for itself. Threads may share it.

    Parameters
    ----------
    database
        Where the list is kept.
    clock
        Seconds since 1970-01-01 UTC, noted with each release.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._uncertain = False
        self._released = self._read()

    def released(self, dataset: str) -> Released:
        """What has been released from a dataset."""
        return self._released.get(dataset, Released())

    def check(self, query: Query, records: Records, head_size: int, minimum: int) -> Plan:
        """Plan the answer to a query and write nothing: parameters and refusals as for :func:`services.policy.plan`.

        What was released is planned alike ever after.
        """
        with self._lock:
            self._agree()
            released = self.released(query.dataset)
        return plan(query, records, head_size, released, minimum)

    def take(
        self, dataset: str, entry: EnteredRelease, querier: str, signed: bytes, asked: Query | Refused, records: Records
    ) -> None:
        """Take the next entry of the ledger's list of a dataset's releases; one that was taken before is passed over.

        Parameters
        ----------
        querier
            URI of who signed the query.
        signed
            The query as it was signed.
        asked
            The query, or why it is none that is answered.
        records
            All records of the dataset up to the entry's head, at least.
        """
        with self._lock:
            self._agree()
            taken = self.taken(dataset)
            if entry.number < taken:
                return
            if entry.number > taken:
                raise ValueError("an entry out of its turn")
            decided: Plan | None = None
            refused: Refused | None = None
            try:
                if isinstance(asked, Refused):
                    raise asked
                decided = plan(asked, records, entry.head_size, self.released(dataset), asked.schema.minimum_cohort)
            except Refused as refusal:
                refused = refusal
            self._uncertain = True
            with self._database.transaction() as transaction:
                _keep_query(transaction, entry.request, signed)
                transaction.execute(
                    "INSERT INTO entered VALUES (?, ?, ?, ?, ?, ?, ?)",
                    dataset,
                    entry.number,
                    entry.request,
                    entry.head_size,
                    refused.check if refused else None,
                    refused.part if refused else "",
                    refused.why if refused else "",
                )
                if decided is not None:
                    self._write(transaction, entry.request, querier, decided)
            self._uncertain = False
            if decided is not None:
                self._released[dataset] = self.released(dataset).after(decided.cohorts, entry.head_size)

    def taken(self, dataset: str) -> int:
        """How many entries of the ledger's list of a dataset's releases were taken."""
        return self._database.query("SELECT COUNT(*) FROM entered WHERE dataset = ?", dataset)[0][0]

    def entries(self, dataset: str, start: int = 0) -> list[tuple[bytes, int]]:
        """Request and size of the head of the entries taken, in order, from number ``start``."""
        return self._database.query(
            "SELECT request, head_size FROM entered WHERE dataset = ? AND number >= ? ORDER BY number", dataset, start
        )

    def entered(self, dataset: str, request: bytes) -> Entered | None:
        """The entry of a request among those taken."""
        rows = self._database.query(
            "SELECT number, head_size, refused, part, why FROM entered WHERE dataset = ? AND request = ?",
            dataset,
            request,
        )
        if not rows:
            return None
        number, head_size, check, part, why = rows[0]
        refused = Refusal(check, part, why, BY_NUMBER[CODES.get(check, code_pb2.INVALID_ARGUMENT)]) if check else None
        return Entered(number, head_size, refused)

    def keep_query(self, request: bytes, signed: bytes) -> None:
        """Keep a query as it was signed; on disk when it returns."""
        with self._database.transaction() as transaction:
            _keep_query(transaction, request, signed)

    def query(self, request: bytes) -> bytes | None:
        """A query as it was signed, if it was kept."""
        rows = self._database.query("SELECT signed FROM signed_query WHERE request = ?", request)
        return rows[0][0] if rows else None

    def decide(
        self, request: bytes, querier: str, query: Query, records: Records, head_size: int, minimum: int
    ) -> Plan:
        """Plan the answer to a request and write its cohorts down as released, without an entry on the ledger.

        So are queries answered that only count. The same request at the same head is decided alike each time.

        Parameters
        ----------
        request
            Digest of what the querier signed (32 bytes).
        querier
            URI of the querier.
        query, records, head_size, minimum
            As for :func:`services.policy.plan`.

        Raises
        ------
        AnotherHead
            The request was decided at another head.
        services.policy.CohortTooSmall, services.policy.AtomTooSmall, services.policy.MixedKeys
            The query is not answered; nothing is written.
        services.store.StoreError
            The release could not be written, so nothing may be released.
        """
        with self._lock:
            self._agree()
            before = self.head_size(request)
            if before not in (None, head_size):
                raise AnotherHead("head.size", f"the request was decided at the head of {before} entries")
            decided = plan(query, records, head_size, self.released(query.dataset), minimum)
            if before is None:
                self._uncertain = True
                with self._database.transaction() as transaction:
                    self._write(transaction, request, querier, decided)
                self._uncertain = False
                self._released[query.dataset] = self.released(query.dataset).after(decided.cohorts, head_size)
            return decided

    def head_size(self, request: bytes) -> int | None:
        """Size of the head at which a request was decided, or None if it was not."""
        rows = self._database.query("SELECT head_size FROM release WHERE request = ?", request)
        return rows[0][0] if rows else None

    def keep_receipt(self, request: bytes, receipt: bytes) -> None:
        """Keep the receipt of a request that was decided, so that the same request gets it again."""
        with self._database.transaction() as transaction:
            transaction.execute("UPDATE release SET receipt = ? WHERE request = ?", receipt, request)

    def receipt(self, request: bytes) -> bytes | None:
        """The receipt of a request, if it was answered."""
        rows = self._database.query("SELECT receipt FROM release WHERE request = ?", request)
        return rows[0][0] if rows else None

    def newest(self, count: int) -> list[Answered]:
        """The last releases, newest first."""
        rows = self._database.query(
            "SELECT number, request, dataset, querier, query, head_size, released_at, receipt IS NOT NULL"
            " FROM release ORDER BY number DESC LIMIT ?",
            count,
        )
        return [
            Answered(request, dataset, querier, query, head_size, time, self._sizes(number), bool(has_receipt))
            for number, request, dataset, querier, query, head_size, time, has_receipt in rows
        ]

    def _sizes(self, number: int) -> tuple[int, ...]:
        rows = self._database.query(
            "SELECT length(positions) FROM cohort JOIN release_cohort ON release_cohort.root = cohort.root"
            " WHERE number = ? ORDER BY ordinal",
            number,
        )
        return tuple(length // 8 for (length,) in rows)

    def _agree(self) -> None:
        """Takes up what the database may have kept of a write that failed at its end."""
        if self._uncertain:
            self._released = self._read()
            self._uncertain = False

    def _read(self) -> dict[str, Released]:
        """What is released by the list on disk."""
        found: dict[str, Released] = {}
        for number, dataset, head_size in self._database.query(
            "SELECT number, dataset, head_size FROM release ORDER BY number"
        ):
            cohorts = self._database.query(
                "SELECT positions FROM cohort JOIN release_cohort ON release_cohort.root = cohort.root"
                " WHERE number = ? ORDER BY ordinal",
                number,
            )
            before = found.get(dataset, Released())
            found[dataset] = before.after((Cohort.from_bytes(positions) for (positions,) in cohorts), head_size)
        return found

    def _write(self, transaction: Transaction, request: bytes, querier: str, decided: Plan) -> None:
        transaction.execute(
            "INSERT INTO release (request, dataset, querier, query, head_size, released_at) VALUES (?, ?, ?, ?, ?, ?)",
            request,
            decided.query.dataset,
            querier,
            decided.query.text,
            decided.head_size,
            int(self._clock()),
        )
        ((number,),) = transaction.query("SELECT number FROM release WHERE request = ?", request)
        for ordinal, cohort in enumerate(decided.cohorts):
            root = cohort.root()
            transaction.execute(
                "INSERT INTO cohort VALUES (?, ?) ON CONFLICT (root) DO NOTHING", root, cohort.to_bytes()
            )
            transaction.execute("INSERT INTO release_cohort VALUES (?, ?, ?)", number, ordinal, root)


def _keep_query(transaction: Transaction, request: bytes, signed: bytes) -> None:
    transaction.execute("INSERT INTO signed_query VALUES (?, ?) ON CONFLICT (request) DO NOTHING", request, signed)
