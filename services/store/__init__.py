"""What a party keeps on disk: one small interface to a transactional database, and the tables in ``migrations``.

What a transaction wrote is on disk when it ends, and survives a crash of the process or the machine. Tables are made
and changed by the numbered files in ``migrations`` only, each applied once and never edited afterwards. Modules that
keep something write their own SQL, in the part that SQLite and PostgreSQL share.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

Value = int | str | bytes | None
"""What a column holds."""

Row = tuple[Any, ...]


class StoreError(Exception):
    """The store could not do what was asked; its text quotes no stored value."""


class Unavailable(StoreError):
    """The store cannot be read or written now: disk full or read-only, file gone or damaged, or locked by another."""


class Conflict(StoreError):
    """A row would break a rule of its table, e.g. be there twice. Nothing was written."""


class TooNew(StoreError):
    """The store was written by a later version of the software."""


class Transaction(Protocol):
    """Reads and writes that happen all or not at all."""

    def execute(self, sql: str, *values: Value) -> None:
        """Run one statement that writes."""

    def execute_many(self, sql: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Run one statement that writes for every row of values."""

    def query(self, sql: str, *values: Value) -> list[Row]:
        """Rows of a statement that reads, including what this transaction wrote."""


class Database(Protocol):
    """A database that threads may share."""

    def query(self, sql: str, *values: Value) -> list[Row]:
        """Rows of a statement that reads what finished transactions wrote. Raises Unavailable."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction, one at a time; on disk at the end of the block, undone if the block raises.

        Raises Unavailable or Conflict.
        """

    def close(self) -> None:
        """Release files. Closing twice is harmless."""
