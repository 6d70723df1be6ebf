"""Whole programs measured from outside: processor time, time by the clock, peak memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """What a program took, in seconds and bytes, its exit status and what it printed."""

    cpu: float
    wall: float
    peak: float
    status: int
    output: str


class ProgramFailed(RuntimeError):
    """A program ended with another status than 0; the message has the end of what it printed."""


def _peak(process: int) -> float:
    """Most resident memory of a process since it runs its program, 0 if it can't be told."""
    try:
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024.0
    except OSError:
        pass
    return 0.0


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, check: bool = True) -> Usage:
    """Run a program to its end."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
        peak = 0.0
        try:
            while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
                # The system's own account of a child's peak begins with that of its parent, so it is no use.
                peak = _peak(child.pid) or peak
                time.sleep(0.01)
        except BaseException:  # an interruption, or the end of the suite's process: it must not run on
            child.kill()
            child.wait()
            raise
        _, status, usage = ended
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if check and child.returncode:
        raise ProgramFailed(f"{command[0]} ended with {child.returncode}: {text[-400:]}")
    return Usage(usage.ru_utime + usage.ru_stime, wall, peak, child.returncode, text)


def program(*arguments: str) -> list[str]:
    """The command of one of :mod:`benchmarks.programs`."""
    return [sys.executable, "-m", "benchmarks.programs", *arguments]
