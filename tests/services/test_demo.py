"""The demonstration on records that it does not know: answers against sums made here, cheats, offline receipt."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

SCHEMA = """
name = "payroll"
minimum_cohort = 4

[[attributes]]
name = "region"

[[attributes]]
name = "size"

[[fields]]
name = "gross"
type = "u64"
unit = "cent"

[[fields]]
name = "balance"
type = "i64"
unit = "cent"

[[fields]]
name = "net"
type = "u64"
unit = "cent"

[[rules]]
name = "sum"
relation = "balance = gross - net"
"""
QUERY = (
    "SELECT region, COUNT(*), SUM(net), SUM(balance) AS due, AVG(gross) FROM payroll"
    " WHERE size <> 'none' GROUP BY region"
)
REGIONS = {"north": 5, "south-west": 4, "île d'Yeu": 2, "east": 3}


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "ZKSHARE_HOME": str(home)},
        timeout=280,
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    rng = random.Random()
    rows = []
    for region, count in REGIONS.items():
        for number in range(count):
            gross, net = rng.randrange(1 << 62), rng.randrange(1 << 62)
            rows.append(
                {
                    "subject": f"{region} & Söhne {number}",
                    "period": "2026-11",
                    "region": region,
                    "size": rng.choice(["small", "large"]),
                    "gross": gross,
                    "net": net,
                    "balance": gross - net,
                    "not for us": "x",
                }
            )
    rng.shuffle(rows)
    (folder / "schema.toml").write_text(SCHEMA)
    with (folder / "records.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    files = ["--schema", str(folder / "schema.toml"), "--records", str(folder / "records.csv")]
    done = command(folder / "home", "demo", *files, "--query", QUERY, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, rows, json.loads(done.stdout)


def expected(rows: list[dict[str, Any]]) -> dict[str, int | float]:
    return {
        "COUNT(*)": len(rows),
        "SUM(net)": sum(row["net"] for row in rows),
        "due": sum(row["balance"] for row in rows),
        "AVG(gross)": float(Fraction(sum(row["gross"] for row in rows), len(rows))),
    }


def test_answers_are_the_sums(ran: tuple[Path, list[dict[str, Any]], dict[str, Any]]) -> None:
    _, rows, result = ran
    groups = {answer["group"]: answer["values"] for answer in result["answers"]}
    small = [row for row in rows if REGIONS[row["region"]] < 4]
    assert groups == {
        "north": expected([row for row in rows if row["region"] == "north"]),
        "south-west": expected([row for row in rows if row["region"] == "south-west"]),
        "(other)": expected(small),
    }
    assert sorted(result["merged"]) == ["east", "île d'Yeu"]
    assert result["withheld"] == []
    assert all(answer["truth"] == answer["values"] for answer in result["answers"])


def test_score_and_cheats(ran: tuple[Path, list[dict[str, Any]], dict[str, Any]]) -> None:
    _, _, result = ran
    assert result["score"]["score"] == result["score"]["truth"]
    assert result["score"]["passes"] is True
    words = ["link_invalid", "not_anchored", "below 2^64", "cohort_too_small", "proof_invalid", "trustee-2"]
    assert len(result["refused"]) == 6
    for refused, word in zip(result["refused"], words, strict=True):
        assert word in refused["reason"], refused
    assert set(result["seconds"]) == {"parties", "commit", "submit", "query", "score", "cheats", "total"}


def test_the_receipt_verifies_elsewhere_and_altered_does_not(
    ran: tuple[Path, list[dict[str, Any]], dict[str, Any]], tmp_path: Path
) -> None:
    folder, _, result = ran
    for name in ("receipt.json", "authority.pem", "ledger.sqlite", "registry.txt"):
        shutil.copy(Path(result["receipt"]).parent / name, tmp_path / name)
    receipt = tmp_path / "receipt.json"
    done = command(folder / "home", "receipt", "verify", str(receipt), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["valid"] is True
    text = receipt.read_text()
    receipt.write_text(text.replace('"count": 5', '"count": 6', 1))
    assert receipt.read_text() != text
    done = command(folder / "home", "receipt", "verify", str(receipt))
    assert done.returncode == 1
    assert "invalid" in done.stdout
    receipt.write_text(text[:-5])
    assert command(folder / "home", "receipt", "verify", str(receipt)).returncode == 2
    receipt.write_text(text)
    (tmp_path / "registry.txt").write_text("0x" + "11" * 20)
    assert command(folder / "home", "receipt", "verify", str(receipt)).returncode == 2
    assert command(folder / "home", "receipt", "verify", str(tmp_path / "none.json")).returncode == 2
    (tmp_path / "authority.pem").unlink()
    done = command(folder / "home", "receipt", "verify", str(receipt))
    assert done.returncode == 2 and "authority.pem: there is no such file" in done.stdout + done.stderr
    assert "--authority" in done.stdout + done.stderr


def test_too_few_records_are_refused(ran: tuple[Path, list[dict[str, Any]], dict[str, Any]]) -> None:
    folder = ran[0]
    lines = (folder / "records.csv").read_text().splitlines()
    (folder / "few.csv").write_text("\n".join(lines[:4]) + "\n")
    files = ["--schema", str(folder / "schema.toml"), "--records", str(folder / "few.csv")]
    done = command(folder / "home", "demo", *files, "--json")
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout)["check"] == "cohort_too_small"


def test_private_files_are_private(ran: tuple[Path, list[dict[str, Any]], dict[str, Any]]) -> None:
    demo = Path(ran[2]["receipt"]).parent
    assert demo.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--enterprises", "1"], "from 2 to 2000"),
        (["--schema", "none.toml"], "go together"),
        (["--schema", "none.toml", "--records", "none.csv"], "none.toml"),
        (["--query", "DROP TABLE filing"], "supported"),
        (["--query", "SELECT sales FROM filing"], "sales"),
        (["--query", "SELECT COUNT(*) FROM elsewhere"], "elsewhere"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = command(tmp_path, "demo", *arguments)
    assert done.returncode == 2
    assert words in done.stdout + done.stderr
    assert not (tmp_path / "circuits").exists()
