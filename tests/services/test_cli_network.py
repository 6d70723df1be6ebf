"""``zkshare up`` and what talks to the network that it starts: seven processes, killed one, stopped, started again."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.certificate_authority import CertificateAuthority
from services.cli import receipt
from services.errors import NotFound, Unreachable
from services.local import processes
from services.local.folder import Facts, Folder
from services.local.processes import Party
from services.local.setup import free_addresses
from zkcore.errors import Malformed

SCHEMA = """
name = "vat"
minimum_cohort = 3

[[attributes]]
name = "district"

[[fields]]
name = "due"
type = "i64"
unit = "CNY fen"
"""
QUERY = "SELECT district, COUNT(*), SUM(due) FROM vat WHERE period = '2026Q2' GROUP BY district"
DISTRICTS = {"north": 4, "south": 3}
FACTS = Facts("vat", "tax-bureau", QUERY, "mill", "credit", "2004", "0x00", "https://127.0.0.1:1/")


def zkshare(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ZKSHARE_HOME": str(home), "ZKSHARE_LISTEN": "nonsense that no process may see"}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=400,
        check=False,
    )


def as_json(home: Path, *arguments: str) -> dict[str, Any]:
    done = zkshare(home, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def write_records(path: Path, first: int, counts: dict[str, int]) -> dict[str, list[int]]:
    chance, truth, rows = random.Random(), {}, []
    for district, count in counts.items():
        truth[district] = [chance.randrange(-(1 << 60), 1 << 60) for _ in range(count)]
        for due in truth[district]:
            rows.append({"subject": f"Werk {first + len(rows)}", "period": "2026Q2", "district": district, "due": due})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return truth


def answers(data: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {row["group"]: (row["records"], row["values"]["SUM(due)"]) for row in data["answers"]}


def expected(truth: dict[str, list[int]]) -> dict[str, tuple[int, int]]:
    return {district: (len(values), sum(values)) for district, values in truth.items()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    folder = Folder(tmp_path / "home" / "network")
    if folder.path.exists():
        processes.stop(folder, None, lambda name: None)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_network_is_started_asked_stopped_and_started_again(home: Path, tmp_path: Path) -> None:
    (tmp_path / "vat.toml").write_text(SCHEMA)
    truth = write_records(tmp_path / "vat.csv", 0, DISTRICTS)
    own = ["--schema", str(tmp_path / "vat.toml"), "--records", str(tmp_path / "vat.csv"), "--key-bits", "2048"]
    up = as_json(home, "up", *own)
    assert up["started"] == up["running"] and len(up["running"]) == 7
    assert Path(up["folder"]).stat().st_mode & 0o777 == 0o700

    filed = as_json(home, "submit")["filed"]
    assert [each["position"] for each in filed] == list(range(7))
    assert as_json(home, "submit")["filed"] == filed  # the same bytes again, the same receipts

    receipts = {name: str(tmp_path / f"{name}.json") for name in ("query", "filing", "score", "passes")}
    answer = as_json(home, "query", QUERY, "--out", receipts["query"])
    assert answers(answer) == expected(truth) and answer["trustees"] == [1, 2, 3]
    assert "Werk" not in json.dumps(answer)

    scored = Folder(home / "network").facts().scored
    score = as_json(home, "score", scored, "--out", receipts["score"])["score"]
    for cut_off, passes in ((score, True), (score + 1, False)):
        asked = as_json(home, "score", scored, "--cut-off", str(cut_off), "--out", receipts["passes"])
        assert asked["passes"] is passes and asked["score"] is None

    enterprise = Folder(home / "network").enterprise(scored)
    own_record = ("--config", str(enterprise), "--dataset", "vat", "--period", "2026Q2")
    (position,) = (each["position"] for each in filed if each["subject"] == scored)
    assert as_json(home, "submit", *own_record, "--out", receipts["filing"])["position"] == position
    for file in receipts.values():
        assert as_json(home, "receipt", "verify", file)["valid"]
    altered = Path(receipts["score"])
    altered.write_text(altered.read_text().replace('"proof": "0a20', '"proof": "0a21'))
    assert zkshare(home, "receipt", "verify", str(altered)).returncode == 2
    other = json.loads(Path(receipts["passes"]).read_text())
    other["request"] = json.loads(Path(receipts["score"]).read_text())["request"]
    altered.write_text(json.dumps(other))
    assert zkshare(home, "receipt", "verify", str(altered)).returncode == 1

    # One is killed; "up" starts that one alone. Then all end as they are told, and come back with what they had.
    folder = Folder(home / "network")
    number = processes.running(folder, "trustee-2")
    assert number is not None
    os.kill(number, signal.SIGKILL)
    while processes.running(folder, "trustee-2") is not None:
        pass
    assert as_json(home, "up")["started"] == ["trustee-2"]
    assert as_json(home, "up")["started"] == []
    assert sorted(as_json(home, "down")["stopped"]) == sorted(up["running"])
    done = zkshare(home, "query", QUERY)
    assert done.returncode == 2 and "zkshare up" in done.stderr
    assert sorted(as_json(home, "up")["started"]) == sorted(up["running"])
    again = as_json(home, "query", QUERY)
    assert again["answers"] == answer["answers"] and again["head"] == answer["head"]

    # More records come as a file; the departments' process sees what another process committed.
    more = write_records(tmp_path / "more.csv", 7, {"south": 3})
    assert len(as_json(home, "submit", str(tmp_path / "more.csv"))["filed"]) == 3
    truth["south"] += more["south"]
    assert answers(as_json(home, "query", QUERY)) == expected(truth)
    assert as_json(home, "down")["left"] == []
    for log in (home / "network" / "logs").iterdir():
        assert not any(str(abs(value)) in log.read_text() for values in truth.values() for value in values), log


def test_what_is_not_there_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "file").touch()
    for arguments, words in (
        (["query", "SELECT COUNT(*) FROM vat"], "zkshare up"),
        (["up", str(tmp_path / "some")], "not empty"),
        (["score", "mill", "--config", str(tmp_path / "bank.toml")], "say --scorecard"),
    ):
        done = zkshare(tmp_path / "home", *arguments)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["file"]


@pytest.mark.parametrize("arguments", [("query", "SELECT"), ("score", "mill"), ("submit",)])
def test_a_receipt_that_cannot_be_kept_is_told_before_it_is_asked_for(tmp_path: Path, arguments: tuple[str]) -> None:
    command, *rest = arguments
    for place in (tmp_path, tmp_path / "no folder" / "receipt.json"):
        app = import_module(f"services.cli.{command}").app
        done = CliRunner().invoke(app, [*rest, "--config", str(tmp_path / "none.toml"), "--out", str(place)])
        assert done.exit_code == 2 and f"--out: {place} cannot be written" in done.stderr


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    app, folder = import_module("services.cli.authority").app, tmp_path / "authority"
    assert CliRunner().invoke(app, ["create", str(folder)]).exit_code == 0
    before = (folder / "key.pem").read_bytes()
    again = CliRunner().invoke(app, ["create", str(folder)])
    assert again.exit_code == 2 and f"{folder / 'key.pem'}: exists already; keys are never overwritten" in again.stderr
    assert (folder / "key.pem").read_bytes() == before


def test_a_ledger_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "receipt.json").touch()
    (tmp_path / "authority.pem").write_bytes(CertificateAuthority.create().to_pem())
    told = ["--ledger", str(tmp_path / "no.sqlite"), "--registry", "0x" + 40 * "1"]
    done = CliRunner().invoke(receipt.app, ["verify", str(tmp_path / "receipt.json"), *told])
    assert done.exit_code == 2 and done.stderr == f"malformed: {tmp_path / 'no.sqlite'}: No such file or directory\n"


def test_facts_are_read_strictly(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(NotFound, match="zkshare up"):
        folder.facts()
    folder.write_facts(FACTS)
    assert folder.facts() == FACTS
    (tmp_path / "local.toml").write_text('dataset = "vat"')
    with pytest.raises(Malformed):
        folder.facts()


def test_ports_are_different() -> None:
    assert len({address.port for address in free_addresses(20)}) == 20


def test_another_process_of_the_same_number_is_not_ours(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "run").mkdir()
    note = tmp_path / "run" / "node.json"
    note.write_text(json.dumps({"pid": os.getpid(), "began": "0"}))
    assert processes.running(folder, "node") is None
    assert processes.stop(folder, None, lambda name: None) == []  # and this very process lives on


def test_a_process_that_ends_at_once_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    party = Party("node", "node", tmp_path / "nowhere.toml")
    monkeypatch.setattr(processes, "parties", lambda folder: [party])
    with pytest.raises(Unreachable, match=r"nowhere\.toml: cannot be read"):
        processes.start(folder, lambda name, done, of: None)
    assert processes.running(folder, "node") is None
