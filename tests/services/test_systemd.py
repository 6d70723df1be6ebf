"""The systemd units: each starts a command that exists, with options that it has, and systemd finds no fault."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import services
from services.cli import app

UNITS = sorted((Path(services.__file__).parent / "systemd").iterdir())
ROLES = ("node", "trustee", "department", "enterprise")
HARDENED = ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "LimitCORE=0", "PrivateTmp=yes")
PROGRAM = "/usr/local/bin/zkshare"


def test_there_are_units() -> None:
    assert [unit.name for unit in UNITS] == [
        "zkshare-certificate@.service",
        "zkshare-certificate@.timer",
        "zkshare@.service",
    ]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_what_a_unit_starts_is_a_command(unit: Path, role: str) -> None:
    text = unit.read_text()
    started = re.findall(r"^ExecStart(?:Pre)?=(.*)$", text, re.MULTILINE)
    assert started and all(line in text for line in HARDENED)
    for line in started:
        program, *arguments = shlex.split(line.replace("%i", role))
        assert program == PROGRAM
        command = typer.main.get_command(app)
        context = command.make_context("zkshare", list(arguments))  # type: ignore[attr-defined]
        rest = [*context._protected_args, *context.args]
        while hasattr(command, "get_command"):
            name, *rest = rest
            command = command.get_command(context, name)
            assert command is not None, f"{line}: there is no {name}"
            context = command.make_context(name, rest, parent=context)  # type: ignore[attr-defined]
            rest = [*context._protected_args, *context.args]
        assert not rest


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="NOT TESTED: systemd is not installed here")
@pytest.mark.parametrize("role", ROLES)
def test_systemd_finds_no_fault(role: str, tmp_path: Path) -> None:
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, sys.executable))
    names = [unit.name.replace("@", f"@{role}") for unit in UNITS]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "zkshare" in line]
    assert done.returncode == 0 and not complaints, done.stderr
