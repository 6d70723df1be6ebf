"""Where a party keeps what it keeps: a database, and beside it the segments of ciphertexts."""

from pathlib import Path

from services.store import Database
from services.store.sqlite import SqliteDatabase


def open_database(location: Path | str) -> Database:
    """The database in a file. Raises services.store.StoreError."""
    return SqliteDatabase(Path(location))


def segments_beside(location: Path | str) -> Path:
    """The directory of segments that goes with a database's file, e.g. ``node.segments`` with ``node.sqlite``."""
    return Path(location).with_suffix(".segments")
