"""The store: transactions, migrations, errors, and that nothing acknowledged is lost when the process is killed."""

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

import pytest

from services.store import Conflict, TooNew, Unavailable
from services.store.sqlite import SqliteDatabase, migrations


@pytest.fixture
def database(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "store.db")
    yield database
    database.close()


def add_head(database: SqliteDatabase, *sizes: int) -> None:
    with database.transaction() as transaction:
        transaction.execute_many("INSERT INTO head VALUES (?, ?)", [(size, bytes(32)) for size in sizes])


def sizes(database: SqliteDatabase) -> list[int]:
    return [size for (size,) in database.query("SELECT size FROM head ORDER BY size")]


def test_what_is_written_is_there_after_reopening(tmp_path: Path) -> None:
    for size in (1, 2):
        database = SqliteDatabase(tmp_path / "store.db")
        add_head(database, size)
        database.close()
        database.close()
    database = SqliteDatabase(tmp_path / "store.db")
    assert sizes(database) == [1, 2]
    assert database.query("SELECT root FROM head WHERE size = ?", 2) == [(bytes(32),)]
    database.close()


def test_durable_settings(database: SqliteDatabase) -> None:
    assert database.query("PRAGMA journal_mode") == [("wal",)]
    with database.transaction() as transaction:
        assert transaction.query("PRAGMA synchronous") == [(2,)]
        assert transaction.query("PRAGMA foreign_keys") == [(1,)]


def test_only_the_owner_may_read(database: SqliteDatabase, tmp_path: Path) -> None:
    add_head(database, 1)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_a_block_that_raises_is_undone(database: SqliteDatabase) -> None:
    with pytest.raises(KeyError), database.transaction() as transaction:
        transaction.execute("INSERT INTO head VALUES (?, ?)", 1, bytes(32))
        assert transaction.query("SELECT size FROM head") == [(1,)]
        assert sizes(database) == []
        raise KeyError
    assert sizes(database) == []
    add_head(database, 2)
    assert sizes(database) == [2]


def test_the_errors_of_a_block_are_its_own(database: SqliteDatabase) -> None:
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
def test_rows_that_break_a_rule_of_their_table(database: SqliteDatabase, sql: str, values: tuple) -> None:
    add_head(database, 1)
    with pytest.raises(Conflict), database.transaction() as transaction:
        transaction.execute("INSERT INTO head VALUES (?, ?)", 9, bytes(32))
        transaction.execute(sql, *values)
    assert sizes(database) == [1]


def test_one_record_a_subject_and_period(database: SqliteDatabase) -> None:
    row = ("filing", "acme", "2026", "{}", bytes(32), bytes(32), None, b"b")
    for position, subject in enumerate(["acme", "other"]):
        with database.transaction() as transaction:
            transaction.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?)", position, row[0], subject, *row[2:])
    with pytest.raises(Conflict), database.transaction() as transaction:
        transaction.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?)", 2, *row)


def test_threads_share_it(database: SqliteDatabase) -> None:
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


def test_migrations_are_applied_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.store import sqlite

    path = tmp_path / "store.db"
    every = migrations()
    monkeypatch.setattr(sqlite, "migrations", lambda: every[:1])
    database = SqliteDatabase(path)
    add_head(database, 5)
    database.close()
    monkeypatch.setattr(sqlite, "migrations", lambda: every)
    database = SqliteDatabase(path)
    assert sizes(database) == [5]
    assert database.query("PRAGMA user_version") == [(len(every),)]
    assert database.query("SELECT COUNT(*) FROM release") == [(0,)]
    database.close()

    # One that fails half-way leaves everything as it was.
    bad = [*every, "CREATE TABLE half (x INTEGER);\nCREATE TABLE head (x INTEGER);\n"]
    monkeypatch.setattr(sqlite, "migrations", lambda: bad)
    with pytest.raises(Unavailable, match="head already exists"):
        SqliteDatabase(path)
    monkeypatch.setattr(sqlite, "migrations", lambda: every)
    database = SqliteDatabase(path)
    assert database.query("SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'") == [(0,)]
    database.close()


def test_a_store_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "store.db").close()
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    connection.close()
    with pytest.raises(TooNew):
        SqliteDatabase(tmp_path / "store.db")


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


def test_a_full_disk_is_reported_and_loses_nothing(database: SqliteDatabase) -> None:
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
    from pathlib import Path
    from services.store.sqlite import SqliteDatabase

    database = SqliteDatabase(Path(sys.argv[1]))
    (start,) = database.query("SELECT COALESCE(MAX(position), -1) + 1 FROM entry")[0]
    for position in range(start, start + 100000):
        with database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?)",
                position, "filing", f"s{position}", "2026", "{}", bytes(32), bytes(32), None, bytes(3768),
            )
            transaction.execute("INSERT INTO head VALUES (?, ?)", position + 1, bytes(32))
        print(position, flush=True)
"""


def kill_while_writing(path: Path, after_lines: int) -> int:
    """Run a writer, kill it after some acknowledgements, and return the last position it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)],
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


def check_after_kill(path: Path, acknowledged: int) -> None:
    database = SqliteDatabase(path)
    ((last, count),) = database.query("SELECT MAX(position), COUNT(*) FROM entry")
    assert last >= acknowledged
    assert count == last + 1  # none lost, none twice
    assert database.query("SELECT MAX(size), COUNT(*) FROM head") == [(last + 1, last + 1)]
    assert database.query("PRAGMA integrity_check") == [("ok",)]
    database.close()


def test_nothing_acknowledged_is_lost_when_killed(tmp_path: Path) -> None:
    for lines in (1, 37, 150):
        check_after_kill(tmp_path / "store.db", kill_while_writing(tmp_path / "store.db", lines))


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_over_many_kills(tmp_path: Path) -> None:
    for _ in range(200):
        check_after_kill(tmp_path / "store.db", kill_while_writing(tmp_path / "store.db", random.randint(1, 60)))
