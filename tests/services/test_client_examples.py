"""The example programs, run against the tests' network."""

import asyncio
import json
from pathlib import Path

import pytest

from services import evidence, receipts
from services.agent import EnterpriseAgent
from services.connection import opened
from services.examples import bank, tax_agency
from services.identity import Role
from services.ledger import LedgerAccount
from tests.services import client_files, parties
from tests.services.conftest import Running
from tests.services.test_enterprise_process import POLICY

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME, SILENT = parties.FILED[6], parties.FILED[5]


def printed(capsys: pytest.CaptureFixture[str], *first: str) -> list[str]:
    """The lines that begin with these words; others are the parties' logs, which go there as well in tests."""
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(first)]


async def test_the_tax_agency_adds_up(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = client_files.write(tmp_path, running, Role.TAX_AGENCY, "tax-agency")
    monkeypatch.chdir(tmp_path)
    query = "SELECT industry, COUNT(*), SUM(sales) FROM filing WHERE industry = 'steel' GROUP BY industry"
    await tax_agency.main(str(config), query, "SELECT SUM(sales) FROM filing WHERE industry = 'paper'")
    steel = [name for name, of in zip(parties.ENTERPRISES, parties.INDUSTRIES, strict=True) if of == "steel"]
    row, refused = printed(capsys, "steel", "refused")
    assert row == f"steel\t4\t{sum(parties.VALUES[name]['sales'] for name in steel)}"
    assert refused.startswith("refused:") and "[cohort_too_small]" in refused
    network = running.network
    answer = (tmp_path / "answer-1.json").read_bytes()
    assert receipts.verify(answer, network.parameters.authority, network.ledger).rows[0].count == 4


async def test_the_bank_learns_one_bit(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = tmp_path / "account.key"
    network = running.network
    await network.banks["bank"].register(parties.scorecard(), "filing")
    LedgerAccount.create().save(account)
    config = client_files.write(tmp_path, running, Role.BANK, "bank", key=f'key = "{account}"\n')
    (tmp_path / "card.json").write_text(json.dumps(parties.scorecard().to_dict()))
    monkeypatch.chdir(tmp_path)
    policies = {NAME: POLICY, SILENT: 'otherwise = "decline"\n'}
    agents = [client_files.write_enterprise(tmp_path, running, name, policy) for name, policy in policies.items()]
    async with opened("enterprise", agents[0]) as first, opened("enterprise", agents[1]) as second:
        running_agents = [EnterpriseAgent(first), EnterpriseAgent(second)]
        for agent in running_agents:
            await agent.start()
        asked = (str(config), "card.json", "filing", parties.PERIOD, "600", NAME, SILENT)
        await asyncio.to_thread(bank.main, *asked)
        for agent in running_agents:
            await agent.stop()
    truth = parties.scorecard().score(parties.VALUES[NAME]) >= 600
    passes, declined = printed(capsys, NAME, SILENT)
    assert passes == f"{NAME}: {'reaches' if truth else 'is below'} 600"
    assert declined.startswith(f"{SILENT}: no answer (outside_policy: ")
    kept = (tmp_path / f"{NAME}.score.json").read_bytes()
    assert evidence.verify_score(kept, network.parameters, network.ledger).passed is truth
