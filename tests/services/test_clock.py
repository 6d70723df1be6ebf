"""Clocks that step back: what was answered stays answered, what may be asked may be asked, nothing waits longer."""

import itertools
from pathlib import Path

import pytest

from services import audit
from services.audit import AuditLog
from services.identity import OutsideValidity
from services.status import Refusal
from tests.services import parties
from tests.services.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

SQL = "SELECT COUNT(*), SUM(sales) FROM filing WHERE industry IN ('cloth', 'steel')"


def step(running: Running, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clocks of node and trustees go on from so long ago."""
    network = running.network
    servers = (network.node._intake, network.node._aggregate, network.node._aggregate._releases, network.node._credit)
    for party in (*servers, *network.trustees.values()):
        monkeypatch.setattr(party, "_clock", lambda: network.clock() - seconds)


async def test_some_steps_change_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    name, network = parties.FILED[0], running.network
    bank, agency, enterprise = network.banks["bank"], network.tax_agencies["tax-agency"], network.enterprises[name]
    truth = (await agency.query(SQL)).verified
    for seconds in (1, 60, 240, 0):
        step(running, seconds, monkeypatch)
        assert await enterprise.file(running.submissions[name]) == running.receipts[name]
        verified = (await agency.query(SQL)).verified  # against the ledger, the certificates, and the agency's clock
        assert verified.rows == truth.rows
        pending = await bank.request_score(name, "filing", parties.PERIOD, parties.scorecard(), cut_off=500)
        assert await enterprise.answer(pending.signed)
        await bank.score(pending, timeout=5)


async def test_a_step_before_certificates_began_is_told_and_heals(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency = running.network.tax_agencies["tax-agency"]
    step(running, 24 * 3600, monkeypatch)
    with pytest.raises(Refusal) as caught:
        await agency.query(SQL)
    assert caught.value.check == OutsideValidity("", "").check
    step(running, 0, monkeypatch)
    assert (await agency.query(SQL)).verified.rows


async def test_the_audit_log_goes_on(tmp_path: Path) -> None:
    times = itertools.chain([1000.0, 2000.0], itertools.repeat(500.0))
    for _ in range(2):
        log = AuditLog(tmp_path / "a", "operator/node", lambda: next(times))
        await log.record(method="/m", caller="c", request="00", outcome="OK")
        await log.close()
    with (tmp_path / "a").open("rb") as file:
        records = [record for record, _ in audit.read(file)]
    assert [record["number"] for record in records] == [0, 1, 2, 3]
    assert records[1]["time"] > records[2]["time"]
