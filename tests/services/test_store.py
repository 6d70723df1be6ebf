"""The store on both databases: transactions, migrations, errors, and that nothing acknowledged is lost in a crash."""

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psycopg
import pytest

from services.store import Conflict, Database, TooNew, Unavailable
from services.store.migrations import migrations
from services.store.opening import is_url, open_database, segments_of
from services.store.sqlite import SqliteDatabase
from tests.services.postgres import PostgresServer


@pytest.fixture
def database(location: Path | str):
    database = open_database(location)
    yield database
    database.close()


@pytest.fixture
def file(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "store.db")
    yield database
    database.close()


def add_head(database: Database, *sizes: int) -> None:
    with database.transaction() as transaction:
        transaction.execute_many("INSERT INTO head VALUES (?, ?)", [(size, bytes(32)) for size in sizes])


def sizes(database: Database) -> list[int]:
    return [size for (size,) in database.query("SELECT size FROM head ORDER BY size")]


def test_what_is_written_is_there_after_reopening(location: Path | str) -> None:
    for size in (1, 2):
        database = open_database(location)
        add_head(database, size)
        database.close()
        database.close()
    database = open_database(location)
    assert sizes(database) == [1, 2]
    assert database.query("SELECT root FROM head WHERE size = ?", 2) == [(bytes(32),)]
    database.close()


def test_durable_settings(file: SqliteDatabase) -> None:
    assert file.query("PRAGMA journal_mode") == [("wal",)]
    with file.transaction() as transaction:
        assert transaction.query("PRAGMA synchronous") == [(2,)]
        assert transaction.query("PRAGMA foreign_keys") == [(1,)]


def test_only_the_owner_may_read(file: SqliteDatabase, tmp_path: Path) -> None:
    add_head(file, 1)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_block_that_raises_is_undone(database: Database) -> None:
    with pytest.raises(KeyError), database.transaction() as transaction:
        transaction.execute("INSERT INTO head VALUES (?, ?)", 1, bytes(32))
        assert transaction.query("SELECT size FROM head") == [(1,)]
        assert sizes(database) == []
        raise KeyError
    assert sizes(database) == []
    add_head(database, 2)
    assert sizes(database) == [2]


def test_the_errors_of_a_block_are_its_own(database: Database) -> None:
    with pytest.raises(OSError, match="mine"), database.transaction() as transaction:
        transaction.execute("INSERT INTO head VALUES (?, ?)", 1, bytes(32))
        raise OSError("mine")
    with pytest.raises(Unavailable), database.transaction() as transaction:
        transaction.execute("INSERT INTO nowhere VALUES (1)")
    assert sizes(database) == []


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("INSERT INTO head VALUES (?, ?)", (1, bytes(32))),
        ("INSERT INTO head VALUES (?, ?)", (2, bytes(31))),
        ("INSERT INTO head VALUES (?, ?)", (-1, bytes(32))),
        ("INSERT INTO head VALUES (?, ?)", (3, None)),
        ("INSERT INTO release_cohort VALUES (?, ?, ?)", (7, 0, bytes(32))),
    ],
)
def test_rows_that_break_a_rule_of_their_table(database: Database, sql: str, values: tuple) -> None:
    add_head(database, 1)
    with pytest.raises(Conflict), database.transaction() as transaction:
        transaction.execute("INSERT INTO head VALUES (?, ?)", 9, bytes(32))
        transaction.execute(sql, *values)
    assert sizes(database) == [1]


def test_one_record_a_subject_and_period(database: Database) -> None:
    row = ("filing", "acme", "2026", "{}", bytes(32), bytes(32))
    for position, subject in enumerate(["acme", "other"]):
        with database.transaction() as transaction:
            transaction.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?)", position, row[0], subject, *row[2:])
    with pytest.raises(Conflict), database.transaction() as transaction:
        transaction.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?)", 2, *row)


def test_threads_share_it(database: Database) -> None:
    def work(worker: int) -> None:
        for number in range(20):
            add_head(database, worker * 100 + number)
            assert worker * 100 + number in sizes(database)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sizes(database)) == 80


def of_version(location: Path | str, monkeypatch: pytest.MonkeyPatch, steps: list[str]) -> Database:
    """The store opened by software that knows these migrations."""
    from services.store import postgres, sqlite

    for module in (postgres, sqlite):
        monkeypatch.setattr(module, "migrations", lambda: steps)
    return open_database(location)


def test_migrations_are_applied_once_and_in_order(location: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = migrations()
    database = of_version(location, monkeypatch, every[:1])
    add_head(database, 5)
    with pytest.raises(Unavailable, match="release"):
        database.query("SELECT COUNT(*) FROM release")
    database.close()
    database = of_version(location, monkeypatch, every)
    assert sizes(database) == [5]
    assert database.query("SELECT COUNT(*) FROM release") == [(0,)]
    database.close()

    # One that fails half-way leaves everything as it was.
    bad = [*every, "CREATE TABLE half (x INTEGER);\nCREATE TABLE head (x INTEGER);\n"]
    with pytest.raises(Unavailable, match=r"head.* already exists"):
        of_version(location, monkeypatch, bad)
    database = of_version(location, monkeypatch, [*every, "CREATE TABLE half (x INTEGER);\n"])
    assert sizes(database) == [5]
    assert database.query("SELECT COUNT(*) FROM half") == [(0,)]
    database.close()


def test_entries_are_kept_when_they_move(location: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = of_version(location, monkeypatch, migrations()[:6])
    rows = [(n, "filing", f"s{n}", "2026", "{}", bytes(32), bytes([n] * 32), bytes([n]), bytes(3768)) for n in range(9)]
    rows[7] = (*rows[7][:7], None, b"of a trustee")
    with database.transaction() as transaction:
        transaction.execute_many("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?)", rows)
    database.close()
    monkeypatch.undo()
    database = open_database(location)
    assert database.query("SELECT * FROM entry ORDER BY position") == [row[:7] for row in rows]
    kept = database.query("SELECT position, receipt, body FROM entry_body ORDER BY position")
    assert kept == [(row[0], *row[7:]) for row in rows]
    for position, subject in ((0, "s9"), (9, "s0"), (-1, "s9")):  # the rules of the table are still its rules
        with pytest.raises(Conflict), database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO entry VALUES (?,?,?,?,?,?,?)", position, *rows[0][1:2], subject, *rows[0][3:7]
            )
    with pytest.raises(Conflict), database.transaction() as transaction:
        transaction.execute("INSERT INTO entry_body VALUES (?,?,?)", 9, None, b"of no record")
    database.close()


def test_a_store_of_a_later_version_is_left_alone(location: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = migrations()
    of_version(location, monkeypatch, [*every, "CREATE TABLE later (x INTEGER);\n"]).close()
    with pytest.raises(TooNew):
        of_version(location, monkeypatch, every)


def test_files_that_are_no_store(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"this is not a database, only a line of text, and it goes on and on" * 20)
    with pytest.raises(Unavailable):
        SqliteDatabase(tmp_path / "text")
    connection = sqlite3.connect(tmp_path / "foreign")
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(Unavailable, match="something else"):
        SqliteDatabase(tmp_path / "foreign")
    with pytest.raises(Unavailable):
        SqliteDatabase(tmp_path / "no" / "such" / "folder")
    with pytest.raises(Unavailable):
        SqliteDatabase(tmp_path)


def test_a_full_disk_is_reported_and_loses_nothing(file: SqliteDatabase) -> None:
    database = file
    add_head(database, 1)
    (pages,) = database.query("PRAGMA page_count")[0]
    with pytest.raises(Unavailable, match="full"), database.transaction() as transaction:
        transaction.query(f"PRAGMA max_page_count = {pages + 2}")
        transaction.execute("INSERT INTO cohort VALUES (?, ?)", bytes(32), bytes(1 << 20))
    assert sizes(database) == [1]
    with database.transaction() as transaction:
        transaction.query("PRAGMA max_page_count = 1000000")
        transaction.execute("INSERT INTO cohort VALUES (?, ?)", bytes(32), bytes(1 << 20))
    add_head(database, 2)
    assert sizes(database) == [1, 2]


WRITER = """
    import sys
    from services.store.opening import open_database

    database = open_database(sys.argv[1])
    (start,) = database.query("SELECT COALESCE(MAX(position), -1) + 1 FROM entry")[0]
    for position in range(start, start + 100000):
        with database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO entry VALUES (?,?,?,?,?,?,?)",
                position, "filing", f"s{position}", "2026", "{}", bytes(32), bytes(32),
            )
            transaction.execute("INSERT INTO entry_body VALUES (?,?,?)", position, None, bytes(3768))
            transaction.execute("INSERT INTO head VALUES (?, ?)", position + 1, bytes(32))
        print(position, flush=True)
"""


def kill_while_writing(location: Path | str, after_lines: int) -> int:
    """Run a writer, kill it after some acknowledgements, and return the last position it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(location)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout
    acknowledged = -1
    for _ in range(after_lines):
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    for line in process.stdout:  # what it still acknowledged before it died
        if line.endswith("\n"):
            acknowledged = int(line)
    process.wait()
    process.stdout.close()
    return acknowledged


def check_after_kill(location: Path | str, acknowledged: int) -> None:
    database = open_database(location)
    ((last, count),) = database.query("SELECT MAX(position), COUNT(*) FROM entry")
    assert last >= acknowledged
    assert count == last + 1  # none lost, none twice
    assert database.query("SELECT MAX(size), COUNT(*) FROM head") == [(last + 1, last + 1)]
    if not is_url(location):
        assert database.query("PRAGMA integrity_check") == [("ok",)]
    database.close()


def test_nothing_acknowledged_is_lost_when_killed(location: Path | str) -> None:
    for lines in (1, 37, 150):
        check_after_kill(location, kill_while_writing(location, lines))


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_over_many_kills(location: Path | str) -> None:
    for _ in range(200):
        check_after_kill(location, kill_while_writing(location, random.randint(1, 60)))


def test_a_database_of_something_else(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE x (y TEXT)")
    with pytest.raises(Unavailable, match="something else"):
        open_database(url)


def test_a_server_that_does_not_wait_for_its_disk(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    postgres_server.execute("ALTER SYSTEM SET fsync = off")
    postgres_server.stop("fast")
    postgres_server.start()
    try:
        with pytest.raises(Unavailable, match="fsync"):
            open_database(url)
    finally:
        postgres_server.execute("ALTER SYSTEM RESET fsync")
        postgres_server.stop("fast")
        postgres_server.start()


def test_a_session_waits_for_the_disk_even_if_the_database_says_otherwise(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER ROLE zkshare SET synchronous_commit = off")
    database = open_database(url)
    with database.transaction() as transaction:
        assert transaction.query("SHOW synchronous_commit") == [("on",)]
    database.close()
    postgres_server.execute("ALTER ROLE zkshare RESET synchronous_commit")


def test_a_server_that_goes_away_and_comes_back(postgres_server: PostgresServer) -> None:
    database = open_database(postgres_server.fresh())
    add_head(database, 1)
    with pytest.raises(Unavailable), database.transaction() as transaction:
        transaction.execute("INSERT INTO head VALUES (?, ?)", 2, bytes(32))
        postgres_server.stop()
    for _ in range(2):
        with pytest.raises(Unavailable):
            sizes(database)
        with pytest.raises(Unavailable):
            add_head(database, 3)
    postgres_server.start()
    assert sizes(database) == [1]
    add_head(database, 3)
    postgres_server.stop("fast")
    postgres_server.start()
    add_head(database, 4)  # in a session that the server closed unnoticed
    assert sizes(database) == [1, 3, 4]
    database.close()
    with pytest.raises(Unavailable):
        add_head(database, 5)


def test_errors_quote_neither_password_nor_values(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    database = open_database(url)
    row = ("filing", "distinctive-subject", "2026", "{}", bytes(32), bytes(32))
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?)", 0, *row)
    with pytest.raises(Conflict) as conflict, database.transaction() as transaction:
        transaction.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?)", 1, *row)
    database.close()
    with pytest.raises(Unavailable) as absent:
        open_database(url.replace("store_", "no_store_"))
    for error in (conflict.value, absent.value):
        assert "distinctive" not in str(error) and "opensesame" not in str(error) and str(error)


def test_where_segments_go(tmp_path: Path) -> None:
    assert segments_of(tmp_path / "node.sqlite", None) == tmp_path / "node.segments"
    assert segments_of("postgresql://db/zkshare", tmp_path) == tmp_path
    with pytest.raises(ValueError, match="directory"):
        segments_of("postgresql://db/zkshare", None)
