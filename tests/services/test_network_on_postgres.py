"""The whole way of the data with every party's database on PostgreSQL, through a crash of its server."""

from pathlib import Path

import pytest

from services.network import LocalNetwork
from tests.services import parties
from tests.services.postgres import PostgresServer
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio

FILED = parties.FILED[:4]
SQL = "SELECT industry, COUNT(*), SUM(sales) FROM filing GROUP BY industry"


async def test_records_are_filed_and_summed(postgres_server: PostgresServer, tmp_path: Path) -> None:
    urls: dict[str, str] = {}

    def database(name: str) -> str:
        return urls.setdefault(name, postgres_server.fresh())

    async with LocalNetwork(parties.plan(), tmp_path, lambda request: True, database=database) as network:
        office = network.departments[parties.DEPARTMENT]
        await office.commit("filing", [parties.record(name) for name in FILED])
        for name in FILED[:3]:
            await network.enterprises[name].submit("filing", parties.PERIOD)
        last = await network.enterprises[FILED[3]].prepare("filing", parties.PERIOD)
        postgres_server.stop()
        try:
            with pytest.raises(Refused) as caught:
                await network.enterprises[FILED[3]].file(last)
            assert caught.value.check == "unreachable" and caught.value.part == "store"
        finally:
            postgres_server.start()
        receipt = await network.enterprises[FILED[3]].file(last)
        assert await network.enterprises[FILED[3]].file(last) == receipt
        answer = await network.tax_agencies["tax-agency"].query(SQL)
        assert [row.values for row in answer.verified.rows] == [
            ("steel", 4, sum(parties.VALUES[name]["sales"] for name in FILED))
        ]
        await network.banks["bank"].register(parties.scorecard(), "filing")
        pending = await network.banks["bank"].request_score(FILED[0], "filing", parties.PERIOD, parties.scorecard())
        assert await network.enterprises[FILED[0]].answer(pending.signed)
        assert (await network.banks["bank"].score(pending)).score == parties.scorecard().score(parties.VALUES[FILED[0]])
    assert set(urls) == {"node", parties.DEPARTMENT, "trustee-1", "trustee-2", "trustee-3"}
