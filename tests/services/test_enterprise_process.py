"""An enterprise's agent: its policy, what it keeps of what it granted, and the process that watches and answers."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from circuits.credit_score import Kind
from services import process as process_module
from services.agent import EnterpriseAgent
from services.client import BankClient, PendingScore
from services.configuration import load
from services.connection import opened
from services.consent import DAY, Consent, Policy, ask_at_terminal, describe
from services.errors import Declined, NobodyAsked, OutsidePolicy, TooManyToday
from services.scoring import ScoreRequest
from tests.services import client_files, parties
from tests.services.conftest import Running
from zkcore.errors import Malformed

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = parties.FILED[4]
MODEL = f"{parties.scorecard().model_hash(parties.schema()):#066x}"
POLICY = f"""
otherwise = "decline"

[[consent]]
bank = "bank"
dataset = "filing"
scorecard = "{MODEL}"
score = false
cut_offs = [600, 650]
daily = 2
"""


class Clock:
    def __init__(self) -> None:
        self.now = 20_000.0 * DAY

    def __call__(self) -> float:
        return self.now


def request(nonce: int = 0, kind: Kind = Kind.PASS_FAIL, cut_off: int = 600, **changes: Any) -> ScoreRequest:
    terms = {
        "bank": "bank",
        "subject": NAME,
        "schema": parties.schema(),
        "period": parties.PERIOD,
        "scorecard": parties.scorecard(),
        "kind": kind,
        "cut_off": cut_off,
        "nonce": nonce.to_bytes(16, "big"),
        "expires_at": 2_000_000_000,
        "sealing_key": b"k" * 32,
    }
    return ScoreRequest(**{**terms, **changes})


def written(path: Path, text: str = POLICY) -> Path:
    path.write_text(text)
    return path


async def test_a_policy_consents_to_what_it_names(tmp_path: Path) -> None:
    consent = Consent(Policy.load(written(tmp_path / "policy.toml")), tmp_path / "state")
    assert await consent(request(1)) and await consent(request(2, cut_off=650))
    for other in (
        request(3, Kind.SCORE, 0),
        request(3, cut_off=601),
        request(3, bank="another"),
        request(3, scorecard=parties.scorecard(501)),
    ):
        with pytest.raises(OutsidePolicy):
            await consent(other)


async def test_the_daily_number_holds_over_restarts(tmp_path: Path) -> None:
    clock, path = Clock(), written(tmp_path / "policy.toml")

    def anew() -> Consent:
        return Consent(Policy.load(path), tmp_path / "state", clock=clock)

    assert await anew()(request(1)) and await anew()(request(2))
    assert await anew()(request(1))  # asked again, as after a crash: counted once
    with pytest.raises(TooManyToday):
        await anew()(request(3))
    clock.now -= DAY  # a clock that was set back
    with pytest.raises(TooManyToday):
        await anew()(request(3))
    clock.now += 2 * DAY
    assert await anew()(request(3))
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


async def test_a_person_is_asked_once_a_request(tmp_path: Path) -> None:
    asked: list[list[str]] = []
    answers = [True, False]

    async def ask(lines: Any) -> bool:
        asked.append(list(lines))
        return answers.pop(0)

    consent = Consent(Policy((), "ask"), tmp_path / "state", ask)
    assert await consent(request(1)) and await consent(request(1))
    for _ in range(2):
        with pytest.raises(Declined):
            await consent(request(2, Kind.SCORE, 0))
    assert asked == [describe(request(1)), describe(request(2, Kind.SCORE, 0))]
    assert "only whether your score reaches 600" in asked[0][0] and "see your score" in asked[1][0]


async def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(NobodyAsked):
            await ask_at_terminal(["?"])


@pytest.mark.parametrize(("typed", "expected"), [("y\n", True), ("Yes\n", True), ("n\n", False), ("\n", False)])
async def test_a_person_answers_at_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, expected: bool
) -> None:
    keyboard, terminal = pty.openpty()
    with os.fdopen(keyboard, "wb", buffering=0) as keys, os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        keys.write(typed.encode())
        assert await ask_at_terminal(["bank asks"]) is expected
    assert "bank asks\nAnswer it? [y/N] " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("otherwise", "othrwise", "othrwise"),
        ('"decline"', '"maybe"', "otherwise"),
        ("daily = 2", "", "daily"),
        ("daily = 2", "daily = true", "daily"),
        ("daily = 2", "daily = -1", "daily"),
        ("daily = 2", "daily = 2\nweekly = 3", "weekly"),
        ("score = false", 'score = "no"', "score"),
        ("[600, 650]", '"some"', "cut_offs"),
        ("[600, 650]", "[600, 6.5]", "cut_offs"),
        (MODEL, "model", "scorecard"),
        (MODEL, "0x0", "scorecard"),
        ('bank = "bank"', 'bank = ""', "bank"),
        ("[[consent]]", "[consent]", "consent"),
        ("[[consent]]", "[[", "policy.toml"),
    ],
)
async def test_policies_are_read_strictly(tmp_path: Path, old: str, new: str, part: str) -> None:
    with pytest.raises(Malformed) as caught:
        Policy.load(written(tmp_path / "policy.toml", POLICY.replace(old, new)))
    assert part in caught.value.part


async def test_two_rules_for_the_same_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="two rules"):
        Policy.load(written(tmp_path / "policy.toml", f"{POLICY}[[consent]]{POLICY.partition('[[consent]]')[2]}"))


async def asked(bank: BankClient, cut_off: int | None) -> PendingScore:
    return await bank.request_score(NAME, "filing", parties.PERIOD, parties.scorecard(), cut_off, lifetime=120)


async def test_the_agent_answers_as_its_policy_says(running: Running, tmp_path: Path) -> None:
    bank = running.network.banks["bank"]
    await bank.register(parties.scorecard(), "filing")
    path = client_files.write_enterprise(tmp_path, running, NAME, POLICY)
    async with opened("enterprise", path) as connection:
        agent = EnterpriseAgent(connection)
        await agent.start()
        truth = parties.scorecard().score(parties.VALUES[NAME])
        first, refused = await asked(bank, 600), await asked(bank, None)
        assert (await bank.score(first, 60)).passed is (truth >= 600)
        with pytest.raises(OutsidePolicy):
            await bank.score(refused, 60)
        second, third = await asked(bank, 650), await asked(bank, 650)
        assert (await bank.score(second, 60)).passed is (truth >= 650)
        with pytest.raises(TooManyToday):
            await bank.score(third, 60)
        await agent.stop()
    granted = json.loads((path.parent / "consented.json").read_text())["granted"]
    assert [len(nonces) for nonces in granted.values()] == [2]


async def test_a_department_that_is_away_leaves_the_request_open(running: Running, tmp_path: Path) -> None:
    bank = running.network.banks["bank"]
    await bank.register(parties.scorecard(), "filing")
    path = client_files.write_enterprise(tmp_path, running, NAME, POLICY.replace("[600, 650]", '"any"'))
    async with opened("enterprise", path) as connection:
        told = connection.configuration
        nowhere = replace(told, departments={parties.DEPARTMENT: client_files.CLOSED})
        agent = EnterpriseAgent(replace(connection, configuration=nowhere))
        pending = await asked(bank, 610)
        await agent.start()
        async with asyncio.timeout(60):
            while not any("not answered" in line and "unreachable" in line for line in running.lines):
                await asyncio.sleep(0.05)
        await agent.stop()
        agent = EnterpriseAgent(connection)
        await agent.start()
        assert (await bank.score(pending, 60)).passed is not None
        await agent.stop()


@pytest.fixture
def process(running: Running, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    path = client_files.write_enterprise(tmp_path, running, NAME, POLICY)
    command = [sys.executable, "-m", "services.cli", "enterprise", "--config", str(path)]
    check = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False, timeout=120)
    assert check.returncode == 0, check.stderr
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


@pytest.mark.slow
async def test_the_process_answers_and_stops_gracefully(running: Running, process: subprocess.Popen[str]) -> None:
    bank = running.network.banks["bank"]
    await bank.register(parties.scorecard(), "filing")
    assert process.stdout is not None and process.stderr is not None
    line = await asyncio.to_thread(process.stdout.readline)
    assert line == f"ready enterprise {running.network.node.address}\n"
    kept: list[str] = []
    reading = threading.Thread(target=lambda: kept.extend(process.stderr or []))
    reading.start()
    pending = await asked(bank, 600)
    assert (await bank.score(pending, 120)).passed is not None
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 60) == 0
    reading.join()
    logged = "".join(kept)
    assert "consented" in logged
    assert not any(str(abs(value)) in logged for value in parties.VALUES[NAME].values())


async def test_a_policy_that_is_not_right_is_told_by_check(running: Running, tmp_path: Path) -> None:
    path = client_files.write_enterprise(tmp_path, running, NAME, POLICY.replace("daily = 2", "daily = 2.5"))
    command = [sys.executable, "-m", "services.cli", "enterprise", "--config", str(path), "--check"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "consent[0].daily" in done.stderr


async def test_a_proving_key_that_is_missing_is_told_by_check(running: Running, tmp_path: Path) -> None:
    path = client_files.write_enterprise(tmp_path, running, NAME, POLICY)
    configuration = load("enterprise", path, {})
    with pytest.raises(Malformed, match=r"no proving key of filing.* for filing; ask the operator"):
        await asyncio.to_thread(process_module.check, replace(configuration, keys=tmp_path))
