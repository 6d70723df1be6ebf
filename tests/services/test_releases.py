"""The list of releases: decided in one step, on disk before it returns, and the same after a restart."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from services.ledger import EnteredRelease
from services.policy import AtomTooSmall, CohortTooSmall, Record, Records
from services.query import Query, parse
from services.releases import AnotherHead, Releases
from services.store import Database, Transaction, Unavailable
from services.store.opening import open_database
from services.store.sqlite import SqliteDatabase
from tests.services.schemas import SCHEMAS
from tests.services.test_policy import BY_CATEGORY, FIRST, STEPS, companies, record
from zkcore.errors import Refused

QUERIER = "zkshare://tax_agency/national"
TOTAL = "SELECT SUM(sales) FROM filing"


def decide(releases: Releases, sql: str, records: Records, head_size: int, request: int):
    query = parse(sql, SCHEMAS)
    return releases.decide(request.to_bytes(32, "big"), QUERIER, query, records, head_size, 3)


def take(releases: Releases, sql: str, records: Records, head_size: int, request: int, number: int) -> None:
    """Takes an entry of the ledger's list."""
    asked: Query | Refused
    try:
        asked = parse(sql, SCHEMAS)
    except Refused as refused:
        asked = refused
    entry = EnteredRelease(number, request.to_bytes(32, "big"), head_size, 1)
    releases.take("filing", entry, QUERIER, b"signed", asked, records)


def test_entries_are_taken_in_their_order(location: Path | str) -> None:
    """Refused ones are known as refused and count for nothing; a restart changes nothing."""
    records, database = Records(companies(a=4, b=3, c=2)), open_database(location)
    releases = Releases(database)
    for number, sql in enumerate([BY_CATEGORY, TOTAL, "SELECT profits FROM filing", TOTAL + " WHERE category = 'a'"]):
        for _ in range(2):  # a second time changes nothing
            take(releases, sql, records, 9, 10 + number, number)
    with pytest.raises(ValueError, match="turn"):
        take(releases, TOTAL, records, 9, 99, 5)
    for again in (releases, Releases(open_database(location))):
        found = [again.entered("filing", number.to_bytes(32, "big")) for number in (10, 11, 12, 13)]
        assert [(each.number, each.head_size) for each in found if each] == [(number, 9) for number in range(4)]
        checks = [each.refused and each.refused.check for each in found if each]
        assert checks == [None, "atom_too_small", "private_column", None]
        atoms = again.released("filing").atoms.tolist()
        assert [atoms.count(atom) for atom in atoms] == [4] * 4 + [3] * 3
        assert again.taken("filing") == 4 and again.entered("filing", bytes(32)) is None
        assert again.entries("filing", 2) == [(n.to_bytes(32, "big"), 9) for n in (12, 13)]
        assert again.query((10).to_bytes(32, "big")) == b"signed"
    assert database.query("SELECT request FROM release") == [(n.to_bytes(32, "big"),) for n in (10, 13)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FIRST, STEPS)
def test_all_parties_find_the_same(tmp_path: Path, first: list, steps: list) -> None:
    """One takes entries as they come; another all of them later, when the log holds more records."""
    here, there = (Releases(SqliteDatabase(Path(tempfile.mkdtemp(dir=tmp_path)) / "store.db")) for _ in "ab")
    arrived: list[Record] = []
    seen: set[tuple[str, str]] = set()
    asked: list[tuple[str, int]] = []
    for step in [first, *steps]:
        if isinstance(step, list):
            for category, country, number in step:
                subject, period = f"s{number}", "2025" if len(arrived) % 2 else "2026"
                if (subject, period) not in seen:
                    seen.add((subject, period))
                    arrived.append(record(len(arrived), category, country, period, subject))
            continue
        where, grouping, back = step
        sql = TOTAL + (f" WHERE {where}" if where else "") + (f" GROUP BY {grouping}" if grouping else "")
        asked.append((sql, max(1, len(arrived) - back)))
        take(here, *_arguments(asked, Records(arrived), len(asked) - 1))
    for number in range(len(asked)):
        take(there, *_arguments(asked, Records(arrived), number))
    assert np.array_equal(here.released("filing").atoms, there.released("filing").atoms)
    for number in range(len(asked)):
        mine, other = (party.entered("filing", (number + 1).to_bytes(32, "big")) for party in (here, there))
        assert mine and other and str(mine.refused) == str(other.refused)


def _arguments(asked: list[tuple[str, int]], records: Records, number: int) -> tuple[str, Records, int, int, int]:
    sql, head_size = asked[number]
    return sql, records, head_size, number + 1, number


def test_releases_survive_a_restart(location: Path | str) -> None:
    records = Records(companies(a=4, b=3, c=2))
    database = open_database(location)
    releases = Releases(database)
    decide(releases, BY_CATEGORY, records, 9, 1)
    before = releases.released("filing")
    database.close()

    database = open_database(location)
    releases = Releases(database)
    assert np.array_equal(releases.released("filing").atoms, before.atoms)
    assert releases.released("filing").heads == {9}
    with pytest.raises(AtomTooSmall):
        decide(releases, TOTAL, records, 9, 2)
    assert decide(releases, BY_CATEGORY, records, 9, 3).outline == decide(releases, BY_CATEGORY, records, 9, 1).outline
    assert database.query("SELECT COUNT(*) FROM cohort") == [(2,)]
    assert database.query("SELECT COUNT(*) FROM release") == [(2,)]
    database.close()


def test_a_request_is_decided_at_one_head(location: Path | str) -> None:
    records = Records(companies(a=8))
    releases = Releases(open_database(location))
    assert releases.head_size((1).to_bytes(32, "big")) is None
    decide(releases, TOTAL, records, 5, 1)
    assert releases.head_size((1).to_bytes(32, "big")) == 5
    with pytest.raises(AnotherHead):
        decide(releases, TOTAL, records, 8, 1)
    assert len(decide(releases, TOTAL, records, 8, 2).groups[0].cohort) == 8


def test_what_is_refused_is_not_written(location: Path | str) -> None:
    database = open_database(location)
    releases = Releases(database)
    with pytest.raises(CohortTooSmall):
        decide(releases, TOTAL, Records(companies(a=2)), 2, 1)
    assert database.query("SELECT COUNT(*) FROM release") == [(0,)]
    assert releases.released("filing").atoms.size == 0


def test_counting_is_decided_but_releases_nothing(location: Path | str) -> None:
    releases = Releases(open_database(location))
    decide(releases, "SELECT COUNT(*) FROM filing", Records(companies(a=4)), 4, 1)
    assert releases.released("filing").atoms.size == 0


def test_receipts_are_kept(location: Path | str) -> None:
    releases = Releases(open_database(location))
    request = (1).to_bytes(32, "big")
    assert releases.receipt(request) is None
    decide(releases, TOTAL, Records(companies(a=4)), 4, 1)
    assert releases.receipt(request) is None
    releases.keep_receipt(request, b"receipt")
    assert Releases(open_database(location)).receipt(request) == b"receipt"


def test_queries_at_the_same_time_are_decided_one_after_another(tmp_path: Path) -> None:
    """Of two queries that together would tell too much, one is refused, however they race."""
    records = Records([record(i, "a" if i < 8 else "b") for i in range(10)])
    for attempt in range(10):
        releases = Releases(open_database(tmp_path / f"{attempt}.db"))
        barrier = threading.Barrier(2)
        answered = []

        def ask(number: int, sql: str, releases: Releases, barrier: threading.Barrier, answered: list) -> None:
            barrier.wait()
            try:
                decide(releases, sql, records, 10, number)
                answered.append(sql)
            except AtomTooSmall:
                pass

        queries = [TOTAL, TOTAL + " WHERE category = 'a'"]
        threads = [
            threading.Thread(target=ask, args=(number, sql, releases, barrier, answered))
            for number, sql in enumerate(queries)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answered) == 1


KILLED = """
import os, signal, sys
from services.policy import Records
from services.releases import Releases
from services.store import Database, Transaction, Unavailable
from services.store.opening import open_database
from tests.services.test_policy import companies
from tests.services.test_releases import TOTAL, decide

decide(Releases(open_database(sys.argv[1])), TOTAL, Records(companies(a=4, b=3, c=2)), 9, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_release_is_on_disk_before_it_is_used(location: Path | str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(location)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    releases = Releases(open_database(location))
    assert releases.released("filing").atoms.tolist() == [0] * 9


class Lost:
    """A database that keeps the next transaction and then says that it is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.lose = False
        self.query = database.query

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._database.transaction() as transaction:
            yield transaction
        if self.lose:
            raise Unavailable("gone")

    def close(self) -> None:
        self._database.close()


def test_a_release_that_may_have_been_kept_counts(location: Path | str) -> None:
    """Its cohorts are known afterwards, whether the request is repeated or not."""
    records = Records(companies(a=4, b=3, c=2))
    database = Lost(open_database(location))
    releases = Releases(database)
    database.lose = True
    with pytest.raises(Unavailable):
        decide(releases, BY_CATEGORY, records, 9, 1)
    database.lose = False
    with pytest.raises(AtomTooSmall):
        decide(releases, TOTAL, records, 9, 2)
    decide(releases, BY_CATEGORY, records, 9, 1)
    assert database.query("SELECT COUNT(*) FROM release") == [(1,)]
    assert np.array_equal(releases.released("filing").atoms, Releases(database).released("filing").atoms)
    database.close()
