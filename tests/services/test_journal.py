"""The journal: log, public columns and ciphertexts agree after every failure, and recover without a hand."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import psycopg
import pytest

from services.api.zkshare.v1.submission_pb2 import Submission
from services.journal import Journal
from services.log import MerkleLog
from services.policy import Cohort
from services.store import Database, Row, Transaction, Unavailable, Value, segments
from services.store.opening import is_url, open_database
from services.store.sqlite import SqliteDatabase
from services.verification import Accepted
from tests.services.postgres import PostgresServer

WIDTH = 512


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT", 8)


def ciphertext(position: int) -> bytes:
    return np.random.default_rng(position).bytes(WIDTH)


def entry(position: int) -> tuple[bytes, Accepted]:
    subject, industry = f"werk-{position}", ("steel", "cloth")[position % 2]
    body = Submission(subject=subject, period="2026Q2", ciphertext=ciphertext(position)).SerializeToString()
    return body, Accepted("filing", subject, "2026Q2", {"industry": industry}, bytes(32), ciphertext(position))


def add(journal: Journal, *counts: int) -> None:
    for count in counts:
        start = journal.size
        journal.append([entry(position) for position in range(start, start + count)], lambda i, leaf, head: b"%d" % i)


def check(journal: Journal, size: int) -> None:
    """Everything that the journal says is that of the first `size` entries."""
    assert journal.size == size
    assert journal.head() == MerkleLog(entry(position)[0] for position in range(size)).head()
    assert journal.bodies(0, size + 1) == [entry(position)[0] for position in range(size)]
    snapshot = journal.records("filing").snapshot()
    assert snapshot.positions.tolist() == list(range(size))
    parts = list(journal.ciphertexts(Cohort(np.arange(size, dtype=np.uint64))))
    assert b"".join(part.tobytes() for part in parts) == b"".join(map(ciphertext, range(size)))
    for position in range(size):
        found = journal.find("filing", f"werk-{position}", "2026Q2")
        assert found is not None and found.receipt == b"%d" % position
    assert journal.find("filing", f"werk-{size}", "2026Q2") is None


class Failing:
    """A database whose next transaction fails at its end, before or after it is kept."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.fails: str | None = None

    def query(self, sql: str, *values: Value) -> list[Row]:
        return self.database.query(sql, *values)

    def transaction(self) -> AbstractContextManager[Transaction]:
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        fails, self.fails = self.fails, None
        with self.database.transaction() as transaction:
            yield transaction
            if fails == "not kept":
                raise Unavailable("gone")
        if fails == "kept":
            raise Unavailable("gone")

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def database(location: Path | str) -> Iterator[Failing]:
    database = Failing(open_database(location))
    yield database
    database.close()


@pytest.fixture
def journal(database: Failing, tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(database, tmp_path / "segments")
    yield journal
    journal.close()


def test_it_is_the_same_after_reopening(journal: Journal, database: Failing, tmp_path: Path) -> None:
    add(journal, 1, 2, 9, 3)
    check(journal, 15)
    journal.close()
    check(Journal(database, tmp_path / "segments"), 15)


def test_a_start_reads_no_entry(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "node.sqlite")
    journal = Journal(database, tmp_path / "segments")
    journal.append([(bytes(3000), entry(position)[1]) for position in range(256)])
    head = journal.head()
    journal.close()
    with database.transaction() as transaction:
        ((pages,),) = transaction.query("PRAGMA page_count")
        transaction.execute("DROP TABLE entry_body")
        ((freed,),) = transaction.query("PRAGMA freelist_count")
    assert freed >= 256 * 3000 / 4096 and pages - freed < 64  # a page of the rest holds many records
    journal = Journal(database, tmp_path / "segments")
    assert journal.head() == head and len(journal.records("filing")) == 256
    journal.close()
    database.close()


def test_segments_that_are_lost_or_behind_are_filled_in(journal: Journal, database: Failing, tmp_path: Path) -> None:
    add(journal, 1, 2)
    shutil.copytree(tmp_path / "segments", tmp_path / "early")
    add(journal, 9, 3)
    journal.close()
    for place in (tmp_path / "none", tmp_path / "early"):
        filled = Journal(database, place)
        check(filled, 15)
        filled.close()
        check(Journal(database, place), 15)


def test_segments_that_are_ahead_or_of_another_log_are_dropped(
    journal: Journal, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    add(journal, 1, 2, 9, 3)
    journal.close()
    empty = open_database(tmp_path / "empty.db")
    early = Journal(empty, tmp_path / "segments")
    check(early, 0)
    early.append([entry(7)])
    early.close()
    other = open_database(postgres_server.fresh())
    late = Journal(other, tmp_path / "other")
    add(late, 1)
    late.close()
    shutil.rmtree(tmp_path / "other")
    (tmp_path / "segments").rename(tmp_path / "other")
    check(Journal(other, tmp_path / "other"), 1)
    other.close()
    empty.close()


@pytest.mark.parametrize("fails", ["kept", "not kept"])
def test_when_the_end_of_a_transaction_fails(journal: Journal, database: Failing, tmp_path: Path, fails: str) -> None:
    """Nobody knows whether it was kept; the retry finds out, and nothing is there twice."""
    add(journal, 3)
    for size in (3, 12):
        database.fails = fails
        with pytest.raises(Unavailable):
            add(journal, 9)
        kept = 9 if fails == "kept" else 0
        if journal.find("filing", f"werk-{size}", "2026Q2") is None:
            assert not kept
            add(journal, 9)
        else:
            assert kept
        check(journal, size + 9)
    journal.close()
    check(Journal(database, tmp_path / "segments"), 21)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Files may not grow beyond `size` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk(journal: Journal, tmp_path: Path) -> None:
    add(journal, 3)
    tail = (tmp_path / "segments/tail.arrows").stat().st_size
    for room in (tail, tail + 100, tail + 8000):  # nothing fits, a part fits, the tail fits and the database may not
        size = journal.size
        try:
            with largest_file(room):
                add(journal, 4)
        except Unavailable:
            check(journal, size)
            add(journal, 4)
        check(journal, size + 4)
        tail = (tmp_path / "segments/tail.arrows").stat().st_size
    with largest_file(0), pytest.raises(Unavailable):
        add(journal, 1)
    add(journal, 1)
    check(journal, 16)


def test_a_database_that_becomes_read_only(location: Path | str, tmp_path: Path) -> None:
    database = open_database(location)
    journal = Journal(database, tmp_path / "segments")
    add(journal, 3)
    with read_only(location, database):
        for _ in range(2):
            with pytest.raises(Unavailable):
                add(journal, 2)
        assert journal.find("filing", "werk-0", "2026Q2") is not None  # what was kept is still served
    add(journal, 2)
    check(journal, 5)
    journal.close()
    database.close()


@contextmanager
def read_only(location: Path | str, database: Database) -> Iterator[None]:
    """Writing is refused by the database itself."""
    if is_url(location):
        with psycopg.connect(str(location), autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
            connection.execute(others, (name, connection.info.backend_pid))
            yield
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
            connection.execute(others, (name, connection.info.backend_pid))
    else:
        assert isinstance(database, SqliteDatabase)
        database._writer.execute("PRAGMA query_only = ON")
        yield
        database._writer.execute("PRAGMA query_only = OFF")


def test_a_server_that_goes_away(postgres_server: PostgresServer, tmp_path: Path) -> None:
    database = open_database(postgres_server.fresh())
    journal = Journal(database, tmp_path / "segments")
    add(journal, 3)
    postgres_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(Unavailable):
                add(journal, 2)
            with pytest.raises(Unavailable):
                journal.find("filing", "werk-0", "2026Q2")
    finally:
        postgres_server.start()
    add(journal, 2)
    check(journal, 5)
    journal.close()
    database.close()


def test_files_that_may_only_be_read(tmp_path: Path) -> None:
    """A start on a read-only disk says so; the next one works."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        database = open_database(place / "store.db")
        journal = Journal(database, place / "segments")
        add(journal, 3)
        journal.close()
        database.close()
        for path, mode in ((place, 0o555), (place / "store.db", 0o444), (place / "segments", 0o555)):
            path.chmod(mode)
        with not_as_root(), pytest.raises(Unavailable):
            open_database(place / "store.db")
        database = open_database(tmp_path / "copy.db")
        with not_as_root(), pytest.raises(Unavailable):
            Journal(database, place / "segments")
        database.close()
        for path, mode in ((place, 0o700), (place / "store.db", 0o600), (place / "segments", 0o700)):
            path.chmod(mode)
        database = open_database(place / "store.db")
        check(Journal(database, place / "segments"), 3)
        database.close()


@contextmanager
def not_as_root() -> Iterator[None]:
    """As a user for whom the modes of files count."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def kill_while_appending(location: Path | str, place: Path, after_lines: int) -> int:
    """Run a process that appends, kill it after some acknowledgements; how many entries it acknowledged."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.services.test_journal", str(location), str(place)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout
    acknowledged = 0
    for line in process.stdout:
        acknowledged, after_lines = int(line), after_lines - 1
        if not after_lines:
            process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return acknowledged


def check_after_kill(location: Path | str, place: Path, acknowledged: int) -> None:
    database = open_database(location)
    journal = Journal(database, place)
    assert journal.size >= acknowledged
    check(journal, journal.size)
    journal.close()
    database.close()


def test_nothing_acknowledged_is_lost_when_killed(location: Path | str, tmp_path: Path) -> None:
    for lines in (1, 13, 30):
        check_after_kill(location, tmp_path / "s", kill_while_appending(location, tmp_path / "s", lines))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_over_many_kills(location: Path | str, tmp_path: Path) -> None:
    for _ in range(50):
        lines = random.randint(1, 12)
        check_after_kill(location, tmp_path / "s", kill_while_appending(location, tmp_path / "s", lines))


if __name__ == "__main__":
    segments.SEGMENT = 8
    appending = Journal(open_database(sys.argv[1]), Path(sys.argv[2]))
    while True:
        add(appending, random.randint(1, 5))
        print(appending.size, flush=True)
