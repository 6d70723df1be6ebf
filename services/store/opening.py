"""Where a party keeps what it keeps: a database, and the segments of ciphertexts that go with it."""

from pathlib import Path

from services.store import Database
from services.store.sqlite import SqliteDatabase

URLS = ("postgresql://", "postgres://")


def is_url(location: Path | str) -> bool:
    """Whether a location is a PostgreSQL URL and not a file."""
    return isinstance(location, str) and location.startswith(URLS)


def open_database(location: Path | str) -> Database:
    """The database in a file, or on a PostgreSQL server by URL.

    Raises
    ------
    services.store.StoreError
        It cannot be opened.
    ModuleNotFoundError
        A URL, and psycopg is not installed: ``pip install 'zkshare[postgres]'``.
    """
    if isinstance(location, str) and is_url(location):
        from services.store.postgres import PostgresDatabase

        return PostgresDatabase(location)
    return SqliteDatabase(Path(location))


def segments_of(location: Path | str, segments: Path | None) -> Path:
    """The directory of segments of a database: as configured, or beside its file (``node.segments``).

    Raises ValueError for a URL without a directory.
    """
    if segments is not None:
        return segments
    if is_url(location):
        raise ValueError("a database by URL needs a directory for segments")
    return Path(location).with_suffix(".segments")
