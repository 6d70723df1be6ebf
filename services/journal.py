"""The submission log on disk, with the public columns by which queries select: kept by the node and by every trustee.

Entries are appended in one transaction with everything that depends on them, so after a crash the journal is as it was
after some append. The Merkle index and the public columns are held in memory and rebuilt from columns and leaf hashes
when the journal opens; entries themselves, which lie in a table of their own, are read only when they are asked for.

Ciphertexts lie once more in segments (:mod:`services.store.segments`), where they are summed. They are written before
the transaction and labelled with the log's root behind them, so that rows of a transaction that did not end, or of
another log, are known and dropped; rows that are missing are taken from the entries. When the end of a transaction
fails, as when the database goes away, nobody knows whether it was kept: the journal then reads anew what the database
holds before it is used again.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from services.api.zkshare.v1.submission_pb2 import Submission
from services.errors import NotFound
from services.log import Head, MerkleLog
from services.policy import Cohort, Record, Records
from services.store import Database, StoreError
from services.store.segments import Rows, Segments
from services.verification import Accepted

AT_ONCE = 4096
"""Entries read from the database at a time."""

_log = structlog.get_logger("zkshare.journal")

Sign = Callable[[int, bytes, Head], bytes]


@dataclass(frozen=True)
class Entry:
    """A submission as the log keeps it, and the node's receipt for it (None in a trustee's journal)."""

    body: bytes
    receipt: bytes | None


class Journal:
    """An append-only sequence of accepted submissions. Any thread may append or read.

    Parameters
    ----------
    segments
        Directory of the ciphertexts' segments.
    """

    def __init__(self, database: Database, segments: Path) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._records: dict[str, Records] = {}
        self._uncertain = False
        self.log = MerkleLog()
        """Hashes of all entries; replaced, never changed, when entries are appended."""
        self._read_new()
        self._segments = Segments(segments, self._fits)
        self._fill()

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.log.size

    def head(self, size: int | None = None) -> Head:
        """Head of the first `size` entries, of all when None; raises OutOfRange for more than there are."""
        return self.log.head(size)

    def extended(self, bodies: Iterable[bytes]) -> MerkleLog:
        """The log as it would be with these entries behind the others."""
        log = self.log.copy()
        log.extend(bodies)
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
            self._agree()
            self._level()
            start, log = self.size, self.extended(body for body, _ in entries)
            leaves = [log.leaf(position) for position in range(start, log.size)]
            receipts = (
                [receipt(start + index, leaf, log.head()) for index, leaf in enumerate(leaves)] if receipt else []
            )
            records = [
                Record(start + index, accepted.subject, accepted.period, accepted.attributes, accepted.key_fingerprint)
                for index, (_, accepted) in enumerate(entries)
            ]
            self._segments.append(_rows([accepted.ciphertext for _, accepted in entries]), log.root())
            self._uncertain = True
            with self._database.transaction() as transaction:
                transaction.execute_many(
                    "INSERT INTO entry (position, dataset, subject, period, attributes, key_fingerprint, leaf)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            record.position,
                            accepted.dataset,
                            record.subject,
                            record.period,
                            json.dumps(dict(record.attributes), ensure_ascii=False),
                            record.key,
                            leaf,
                        )
                        for record, leaf, (_, accepted) in zip(records, leaves, entries, strict=True)
                    ],
                )
                transaction.execute_many(
                    "INSERT INTO entry_body (position, receipt, body) VALUES (?, ?, ?)",
                    [
                        (start + index, receipts[index] if receipts else None, body)
                        for index, (body, _) in enumerate(entries)
                    ],
                )
            self._uncertain = False
            for record, (_, accepted) in zip(records, entries, strict=True):
                self._index(accepted.dataset, record)
            self.log = log
            self._settle()
            return receipts

    def find(self, dataset: str, subject: str, period: str) -> Entry | None:
        """The entry of a record, or None."""
        if self._uncertain:
            with self._lock:
                self._agree()
        rows = self._database.query(
            "SELECT body, receipt FROM entry JOIN entry_body ON entry_body.position = entry.position"
            " WHERE dataset = ? AND subject = ? AND period = ?",
            dataset,
            subject,
            period,
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
            "SELECT body FROM entry_body WHERE position >= ? AND position < ? ORDER BY position", start, end
        )
        return [body for (body,) in rows]

    def records(self, dataset: str) -> Records:
        """The public columns of a dataset's records."""
        return self._records.get(dataset, Records())

    def ciphertexts(self, cohort: Cohort) -> Iterator[Rows]:
        """The ciphertexts of a cohort's entries in the order of the log: arrays ``uint8[n, width]``, big-endian.

        Raises services.store.StoreError if segments lack some of them and cannot be filled in.
        """
        if len(cohort) and int(cohort.positions[-1]) >= self._segments.size:
            with self._lock:
                self._level()
        return self._segments.gather(cohort.positions)

    def close(self) -> None:
        """Releases files, not the database. Closing twice is harmless."""
        self._segments.close()

    def _agree(self) -> None:
        """Takes up what the database kept of a transaction whose end failed."""
        if self._uncertain:
            self._read_new()
            self._uncertain = False

    def _level(self) -> None:
        """Makes the segments as long as the log."""
        self._segments.cut(self.size)
        self._fill()

    def _read_new(self) -> None:
        """Takes up what the database holds beyond the log in memory, some entries at a time."""
        attributes_of: dict[str, dict[str, str]] = {}
        count = AT_ONCE
        while count == AT_ONCE:
            rows = self._database.query(
                "SELECT position, dataset, subject, period, attributes, key_fingerprint, leaf FROM entry"
                " WHERE position >= ? AND position < ? ORDER BY position",
                self.size,
                self.size + AT_ONCE,
            )
            count = len(rows)
            log = self.log.copy()
            log.extend_hashes(leaf for *_, leaf in rows)
            for position, dataset, subject, period, attributes, key, _ in rows:
                if attributes not in attributes_of:  # few combinations, many records
                    attributes_of[attributes] = json.loads(attributes)
                self._index(dataset, Record(position, subject, period, attributes_of[attributes], key))
            self.log = log

    def _fits(self, size: int, root: bytes) -> bool:
        return size <= self.size and self.log.root(size) == root

    def _fill(self) -> None:
        """Adds to the segments the ciphertexts that they lack, from the entries."""
        if self._segments.size < self.size:
            _log.info("filling segments", start=self._segments.size, end=self.size)
        while self._segments.size < self.size:
            start = self._segments.size
            bodies = self.bodies(start, min(start + AT_ONCE, self.size))
            ciphertexts = [Submission.FromString(body).ciphertext for body in bodies]
            same = next((i for i, item in enumerate(ciphertexts) if len(item) != len(ciphertexts[0])), len(bodies))
            self._segments.append(_rows(ciphertexts[:same]), self.log.root(start + same))
            self._settle()

    def _settle(self) -> None:
        try:
            self._segments.settle()
        except StoreError as error:  # what was appended is safe in the tail
            _log.warning("tail stays long", why=str(error))

    def _index(self, dataset: str, record: Record) -> None:
        if dataset not in self._records:
            self._records[dataset] = Records()
        self._records[dataset].append(record)


def _rows(ciphertexts: Sequence[bytes]) -> Rows:
    """Ciphertexts of one key as ``uint8[n, width]``."""
    width = len(ciphertexts[0])
    if any(len(ciphertext) != width for ciphertext in ciphertexts):
        raise ValueError("ciphertexts of different keys in one append")
    return np.frombuffer(b"".join(ciphertexts), np.uint8).reshape(-1, width)
