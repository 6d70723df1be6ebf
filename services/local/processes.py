"""The processes of a local network: started in the background, found again by their numbers, stopped gracefully.

A number is kept with the time at which its process began, so that a number that the system gave to another process
since is not taken for it (and not killed).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import services
from services.errors import Unreachable
from services.files import write_atomically
from services.local.folder import Folder

START_SECONDS = 120.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05

KEPT = ("ZKSHARE_HOME", "ZKSHARE_BACKEND")
"""Variables of this software that are for every process; the others would change each party's configuration."""


@dataclass(frozen=True)
class Party:
    """A process to run: its name here, the command that runs it, and its configuration."""

    name: str
    command: str
    configuration: Path


def parties(folder: Folder) -> list[Party]:
    """The processes of a network, the node first."""
    found = [Party("node", "node", folder.node)]
    found += [Party(path.parent.name, "trustee", path) for path in sorted(folder.path.glob("*/trustee.toml"))]
    found += [Party(path.parent.name, "department", path) for path in sorted(folder.path.glob("*/department.toml"))]
    scored = folder.facts().scored
    return [*found, Party("enterprise", "enterprise", folder.enterprise(scored))]


def start(folder: Folder, ready: Callable[[str, int, int], None]) -> list[str]:
    """Start what does not run yet and wait until all are ready; returns the names of those that it started.

    Parameters
    ----------
    ready
        Told the name of each process that is ready, how many are, and of how many.

    Raises
    ------
    services.errors.Unreachable
        If a process ends or does not get ready; those that were started are stopped, and its last words quoted.
    """
    missing = [party for party in parties(folder) if running(folder, party.name) is None]
    started: dict[str, subprocess.Popen[bytes]] = {}
    offsets: dict[str, int] = {}
    try:
        for party in missing:
            log = folder.log(party.name)
            log.parent.mkdir(mode=0o700, exist_ok=True)
            offsets[party.name] = log.stat().st_size if log.exists() else 0
            started[party.name] = _start(folder, party)
        waiting, until = dict(started), time.monotonic() + START_SECONDS
        while waiting:
            for name, process in list(waiting.items()):
                if _is_ready(folder.log(name), offsets[name]):
                    del waiting[name]
                    ready(name, len(started) - len(waiting), len(started))
                elif process.poll() is not None:
                    raise Unreachable(name, f"it ended at once: {_last_words(folder.log(name), offsets[name])}")
            if waiting and time.monotonic() > until:
                name = next(iter(waiting))
                raise Unreachable(name, f"not ready after {START_SECONDS:.0f} seconds; see {folder.log(name)}")
            time.sleep(POLL_SECONDS)
    except BaseException:
        stop(folder, started, lambda name: None)
        raise
    return list(started)


def stop(folder: Folder, names: Iterable[str] | None, stopped: Callable[[str], None]) -> list[str]:
    """Ask processes to end and wait until they have; returns the names of those that have not in a minute.

    Parameters
    ----------
    names
        Which; all that run when None.
    stopped
        Told the name of each that has ended.
    """
    if names is None:
        names = [path.stem for path in sorted((folder.path / "run").glob("*.json"))]
    numbers = {name: number for name in names if (number := running(folder, name)) is not None}
    for number in numbers.values():
        os.kill(number, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while numbers and time.monotonic() < until:
        for name in list(numbers):
            if running(folder, name) is None:
                del numbers[name]
                _note(folder, name).unlink(missing_ok=True)
                stopped(name)
        time.sleep(POLL_SECONDS)
    return list(numbers)


def running(folder: Folder, name: str) -> int | None:
    """The number of a process that runs, or None."""
    try:
        note = json.loads(_note(folder, name).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    number: int = note["pid"]
    return number if _began(number) == note["began"] else None


def _start(folder: Folder, party: Party) -> subprocess.Popen[bytes]:
    with folder.log(party.name).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", party.command, "--config", str(party.configuration)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=Path(services.__file__).parent.parent,  # this very package, whatever lies in the working directory
            env=_environment(os.environ),
            start_new_session=True,  # so that an interrupt at the terminal is not for it
        )
    _note(folder, party.name).parent.mkdir(mode=0o700, exist_ok=True)
    note = {"pid": process.pid, "began": _began(process.pid)}
    write_atomically(_note(folder, party.name), json.dumps(note).encode())
    return process


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if not key.startswith("ZKSHARE_") or key in KEPT}


def _note(folder: Folder, name: str) -> Path:
    return folder.path / "run" / f"{name}.json"


def _began(number: int) -> str | None:
    """When a process began, in the kernel's ticks; None if it has ended (proc(5), the fields of stat)."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, began = fields[0], fields[19]
    return None if state in "ZX" else began


def _is_ready(log: Path, offset: int) -> bool:
    return any(line.startswith(b"ready ") for line in _since(log, offset))


def _last_words(log: Path, offset: int) -> str:
    lines = [line.decode("utf-8", "replace") for line in _since(log, offset) if line.strip()]
    return lines[-1] if lines else f"it said nothing; see {log}"


def _since(log: Path, offset: int) -> list[bytes]:
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().splitlines()
