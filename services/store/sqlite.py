"""The store in an SQLite file.

Write-ahead logging with ``synchronous=FULL``: the end of a transaction waits until the log is on disk. One connection
writes and one reads, each behind a lock; both may be used from any thread. The file is readable by its owner only
(mode 0600); it is not encrypted, and holds what a party receives: ciphertexts, proofs and public attributes, no private
field.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.store import Conflict, Row, TooNew, Unavailable, Value
from services.store.migrations import migrations

APPLICATION_ID = int.from_bytes(b"zksh", "big")
"""Marks the file as ours (SQLite's ``application_id``)."""

BUSY_SECONDS = 10.0
"""How long to wait for another process that is writing."""


class SqliteTransaction:
    """Reads and writes on the writing connection, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, *values: Value) -> None:
        """Run one statement that writes."""
        with _translated():
            self._connection.execute(sql, values)

    def execute_many(self, sql: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Run one statement that writes for every row of values."""
        with _translated():
            self._connection.executemany(sql, rows)

    def query(self, sql: str, *values: Value) -> list[Row]:
        """Rows of a statement that reads, including what this transaction wrote."""
        with _translated():
            return self._connection.execute(sql, values).fetchall()


class SqliteDatabase:
    """A :class:`services.store.Database` in a file, which is made if it is missing and brought up to date when opened.

    Raises Unavailable if the file cannot be opened or is no store, TooNew if a later version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        with _translated():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._writer = _connect(path)
            try:
                _prepare(self._writer)
                self._reader = _connect(path)
            except BaseException:
                self._writer.close()
                raise

    def query(self, sql: str, *values: Value) -> list[Row]:
        """Rows of a statement that reads what finished transactions wrote. Raises Unavailable."""
        with _translated(), self._reading:
            return self._reader.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """Begin a transaction; on disk at the end of the block, undone if the block raises.

        Raises Unavailable or Conflict, also at the end of the block: then nothing was written.
        """
        with self._writing:
            transaction = SqliteTransaction(self._writer)
            transaction.execute("BEGIN IMMEDIATE")
            try:
                yield transaction
                transaction.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # SQLite ends it by itself when the disk is full
                    transaction.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Release the file. Closing twice is harmless."""
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise Unavailable(f"{path.name}: write-ahead logging does not work on this file system")
        for setting in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Check that the file is a store, and apply the migrations that it lacks."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and tables:
        raise Unavailable("the file is a database of something else")
    steps = migrations()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise TooNew(f"the store has version {version}; this software knows versions up to {len(steps)}")
    for number, step in enumerate(steps[version:], version + 1):
        # Both marks lie in the file's header and change with the tables or not at all.
        connection.execute("BEGIN IMMEDIATE")
        try:
            (now,) = connection.execute("PRAGMA user_version").fetchone()
            if now == number - 1:  # another process may have been faster
                for statement in _statements(step):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise RuntimeError("a migration ends in the middle of a statement")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn SQLite's and the system's errors into the store's."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Conflict(str(error)) from None
    except (sqlite3.DatabaseError, sqlite3.InterfaceError) as error:
        raise Unavailable(str(error)) from error
    except OSError as error:
        raise Unavailable(error.strerror or "input or output failed") from error
