"""Node, trustees and department as processes of their own: started, killed with SIGKILL, started again."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.client import TaxAgencyClient
from services.enterprise import DepartmentAddress, Enterprise, EnterpriseConfig
from services.identity import Role
from services.server import Workers
from tests.services import parties
from tests.services.processes import Processes

KILLS = 3


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    network = Processes(tmp_path)
    book, database = network.record_book()
    book.commit("filing", [parties.record(name) for name in parties.ENTERPRISES])
    database.close()
    yield network
    network.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_killed_node_gives_the_same_receipt_again(processes: Processes) -> None:
    for name in processes.addresses:
        processes.start(name)
    workers, chance = Workers(2), random.Random(6)
    prover = processes.prover()
    reading = processes.ledger.acting_as(None)
    offices = {"filing": DepartmentAddress(parties.DEPARTMENT, processes.addresses[parties.DEPARTMENT])}
    acknowledged = {}
    for name in parties.ENTERPRISES[: KILLS + 1]:
        agent = Enterprise(
            EnterpriseConfig(processes.addresses["node"], offices),
            processes.identity(Role.ENTERPRISE, name),
            processes.parameters,
            reading,
            {"filing": prover},
            workers,
        )
        await agent.start()
        submission = await agent.prepare("filing", parties.PERIOD)
        acknowledged[name] = await agent.file(submission)
        await agent.stop()
        if len(acknowledged) > KILLS:
            break
        for victim in ("node", chance.choice(processes.parameters.trustees)):
            processes.kill(victim)
            processes.start(victim)
        again = Enterprise(
            EnterpriseConfig(processes.addresses["node"], offices),
            processes.identity(Role.ENTERPRISE, name),
            processes.parameters,
            reading,
            {"filing": prover},
            workers,
        )
        await again.start()
        assert await again.file(submission) == acknowledged[name]
        await again.stop()
    agency = TaxAgencyClient(
        processes.addresses["node"],
        processes.identity(Role.TAX_AGENCY, "agency"),
        processes.parameters,
        reading,
        workers,
    )
    await agency.start()
    (row,) = (await agency.query("SELECT COUNT(*), SUM(sales) FROM filing")).verified.rows
    await agency.stop()
    workers.close()
    # Nothing is lost and nothing is counted twice, and the ledger holds the log's head.
    assert row.values == (len(acknowledged), sum(parties.VALUES[name]["sales"] for name in acknowledged))
    head = processes.ledger.latest_head()
    assert head is not None and head.size == len(acknowledged)
