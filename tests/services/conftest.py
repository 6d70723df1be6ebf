"""A running network that the tests of the services share: its connections are tapped, its log lines are kept."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
import structlog

from services import tracing
from services.network import LocalNetwork
from services.receipts import SubmissionReceipt
from services.scoring import ScoreRequest
from tests.services import parties, postgres
from tests.services.wiretap import Tap, tapped_channel


@dataclass
class Running:
    """A network with eleven records committed and filed, and everything that was seen of it."""

    network: LocalNetwork
    directory: Path
    tap: Tap
    lines: list[str]
    submissions: dict[str, bytes] = field(default_factory=dict)
    receipts: dict[str, SubmissionReceipt] = field(default_factory=dict)
    consent: bool = True


@pytest.fixture(scope="session")
def lines() -> Iterator[list[str]]:
    """Every line that is logged while the tests run, by structlog or by a library."""
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(self.format(record))

    def keep(logger: Any, name: str, event: Any) -> Any:
        kept.append(repr(event))
        return event

    configuration = structlog.get_config()
    structlog.configure(processors=[keep, *configuration["processors"]])
    handler, level = Keep(logging.DEBUG), logging.getLogger().level
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    yield kept
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(level)
    structlog.configure(**configuration)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> AsyncIterator[Running]:
    """The shared network. Tests may query and ask for scores; records are filed by tests that say so."""
    directory = tmp_path_factory.mktemp("network")
    tracing.start("tests")
    tap = Tap()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpc.aio, "secure_channel", tapped_channel(tap))
        started: list[Running] = []

        def consent(request: ScoreRequest) -> bool:
            return started[0].consent

        async with LocalNetwork(parties.plan(), directory, consent, anchor_seconds=3600) as network:
            started.append(Running(network, directory, tap, lines))
            await _file(started[0])
            yield started[0]


async def _file(running: Running) -> None:
    """Commits all records, files all but the last; anchors the log at 3 entries and at all."""
    network = running.network
    records = [parties.record(name) for name in parties.ENTERPRISES]
    await network.departments[parties.DEPARTMENT].commit("filing", records[:5])
    await network.departments[parties.DEPARTMENT].commit("filing", records[5:])
    await network.banks["bank"].register(parties.scorecard(), "filing")
    for name in parties.FILED:
        enterprise = network.enterprises[name]
        running.submissions[name] = await enterprise.prepare("filing", parties.PERIOD)
        running.receipts[name] = await enterprise.file(running.submissions[name])
        if len(running.receipts) == 3:
            await network.node.anchor()
    await network.node.anchor()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL server of the tests' own."""
    programs = postgres.programs()
    if programs is None:
        why = "NOT TESTED: no PostgreSQL server is installed here (Debian package postgresql)"
        if os.environ.get(postgres.REQUIRED) == "required":
            pytest.fail(why)
        pytest.skip(why)
    server = postgres.PostgresServer(programs)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a new store may be made: a file, then a PostgreSQL database."""
    if request.param == "sqlite":
        return tmp_path / "store.db"
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    return server.fresh()
