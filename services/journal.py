"""The submission log on disk, with the public columns by which queries select: kept by the node and by every trustee.

Entries are appended in one transaction with everything that depends on them, so after a crash the journal is as it was
after some append. The Merkle index and the public columns are held in memory and rebuilt from columns and leaf hashes
when the journal opens; entries themselves are read only when they are asked for.
"""

import copy
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.errors import NotFound
from services.log import Head, MerkleLog
from services.policy import Cohort, Record, Records
from services.store import Database
from services.verification import Accepted

Sign = Callable[[int, bytes, Head], bytes]


@dataclass(frozen=True)
class Entry:
    """A submission as the log keeps it, and the node's receipt for it (None in a trustee's journal)."""

    body: bytes
    receipt: bytes | None


class Journal:
    """An append-only sequence of accepted submissions. One thread appends at a time; any may read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._records: dict[str, Records] = {}
        self.log = MerkleLog()
        """Hashes of all entries; replaced, never changed, when entries are appended."""
        for row in database.query(
            "SELECT position, dataset, subject, period, attributes, key_fingerprint, leaf FROM entry ORDER BY position"
        ):
            position, dataset, subject, period, attributes, key, leaf = row
            self.log.append_hash(leaf)
            self._index(dataset, Record(position, subject, period, json.loads(attributes), key))

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.log.size

    def head(self, size: int | None = None) -> Head:
        """Head of the first `size` entries, of all when None; raises OutOfRange for more than there are."""
        return self.log.head(size)

    def extended(self, bodies: Iterable[bytes]) -> MerkleLog:
        """The log as it would be with these entries behind the others."""
        log = copy.deepcopy(self.log)
        for body in bodies:
            log.append(body)
        return log

    def append(self, entries: Sequence[tuple[bytes, Accepted]], receipt: Sign | None = None) -> list[bytes]:
        """Appends entries that were verified, with receipts; on disk when it returns.

        Parameters
        ----------
        receipt
            Makes the receipt of an entry from its position, its leaf hash and the head after all of `entries`.

        Returns
        -------
        The receipts in order; empty without `receipt`.
        """
        with self._lock:
            start, log = self.size, self.extended(body for body, _ in entries)
            leaves = [log.leaf(position) for position in range(start, log.size)]
            receipts = (
                [receipt(start + index, leaf, log.head()) for index, leaf in enumerate(leaves)] if receipt else []
            )
            records = [
                Record(start + index, accepted.subject, accepted.period, accepted.attributes, accepted.key_fingerprint)
                for index, (_, accepted) in enumerate(entries)
            ]
            with self._database.transaction() as transaction:
                transaction.execute_many(
                    "INSERT INTO entry (position, dataset, subject, period, attributes, key_fingerprint, leaf, receipt,"
                    " ciphertext, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        (
                            record.position,
                            accepted.dataset,
                            record.subject,
                            record.period,
                            json.dumps(dict(record.attributes), ensure_ascii=False),
                            record.key,
                            leaf,
                            receipts[index] if receipts else None,
                            accepted.ciphertext,
                            body,
                        )
                        for index, (record, leaf, (body, accepted)) in enumerate(
                            zip(records, leaves, entries, strict=True)
                        )
                    ),
                )
            for record, (_, accepted) in zip(records, entries, strict=True):
                self._index(accepted.dataset, record)
            self.log = log
            return receipts

    def find(self, dataset: str, subject: str, period: str) -> Entry | None:
        """The entry of a record, or None."""
        rows = self._database.query(
            "SELECT body, receipt FROM entry WHERE dataset = ? AND subject = ? AND period = ?", dataset, subject, period
        )
        return Entry(*rows[0]) if rows else None

    def get(self, dataset: str, subject: str, period: str) -> Entry:
        """The entry of a record; raises NotFound."""
        entry = self.find(dataset, subject, period)
        if entry is None:
            raise NotFound("record", f"the log holds no record of {dataset} for this subject and {period}")
        return entry

    def bodies(self, start: int, end: int) -> list[bytes]:
        """The entries from `start` to before `end`, as they were submitted."""
        rows = self._database.query(
            "SELECT body FROM entry WHERE position >= ? AND position < ? ORDER BY position", start, end
        )
        return [body for (body,) in rows]

    def records(self, dataset: str) -> Records:
        """The public columns of a dataset's records."""
        return self._records.get(dataset, Records())

    def ciphertexts(self, cohort: Cohort) -> list[int]:
        """The ciphertexts of a cohort's entries, in the order of the log."""
        found = []
        for position in cohort.positions.tolist():
            ((ciphertext,),) = self._database.query("SELECT ciphertext FROM entry WHERE position = ?", position)
            found.append(int.from_bytes(ciphertext, "big"))
        return found

    def _index(self, dataset: str, record: Record) -> None:
        self._records.setdefault(dataset, Records()).append(record)
