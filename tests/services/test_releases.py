"""The list of releases: decided in one step, on disk before it returns, and the same after a restart."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from services.policy import AtomTooSmall, CohortTooSmall, Records
from services.query import parse
from services.releases import AnotherHead, Releases
from services.store import Database, Transaction, Unavailable
from services.store.opening import open_database
from tests.services.schemas import SCHEMAS
from tests.services.test_policy import BY_CATEGORY, companies, record

QUERIER = "zkshare://tax_agency/national"
TOTAL = "SELECT SUM(sales) FROM filing"


def decide(releases: Releases, sql: str, records: Records, head_size: int, request: int):
    query = parse(sql, SCHEMAS)
    return releases.decide(request.to_bytes(32, "big"), QUERIER, query, records, head_size, 3)


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
