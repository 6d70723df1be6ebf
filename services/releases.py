"""What was released: the list of answered queries, on disk, and the one step that decides on a new one.

The rule of atoms holds only if no two queries are decided side by side and nothing is released that the list forgets.
:meth:`Releases.decide` therefore plans, writes and moves on under one lock, and returns when the release is on disk,
which is before any product is made or any share of a key is used. A release that was written and then not answered
costs nothing but that its cohorts count as known.

The node and every trustee keep a list of their own; a trustee believes only its own.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.policy import Cohort, Plan, Records, Released, plan
from services.query import Query
from services.store import Database
from zkcore.errors import Refused


class AnotherHead(Refused):
    """The request was decided before, at another head of the log."""


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

    def decide(
        self, request: bytes, querier: str, query: Query, records: Records, head_size: int, minimum: int
    ) -> Plan:
        """Plan the answer to a request and write its cohorts down as released.

        The same request at the same head is decided alike each time.

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
            if self._uncertain:  # a write failed at its end, and the database may have kept it
                self._released = self._read()
                self._uncertain = False
            before = self.head_size(request)
            if before not in (None, head_size):
                raise AnotherHead("head.size", f"the request was decided at the head of {before} entries")
            decided = plan(query, records, head_size, self.released(query.dataset), minimum)
            if before is None:
                self._uncertain = True
                self._write(request, querier, decided)
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

    def _write(self, request: bytes, querier: str, decided: Plan) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO release (request, dataset, querier, query, head_size, released_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
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
