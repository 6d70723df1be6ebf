"""A run: every suite in a process of its own, one after the other, the record written after every case."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine, peers
from benchmarks.case import OURS, Case, Options
from benchmarks.measure import FAILED, Measurement
from benchmarks.record import Record, Result, UnreadableRecord
from benchmarks.suites import SUITES, cases_of
from benchmarks.worker import environment

Tell = Callable[[str], None]
PATIENCE = 5.0
"""Seconds for which a suite's process may go on after it was told to end."""
TRUSTED = 60.0
"""Seconds for which estimates are held to have been right before anything is measured: no case alone decides."""


class WorkerFailed(RuntimeError):
    """A suite's process ended before its time."""


def plan(options: Options) -> list[Case]:
    """The cases of a run, in order."""
    return [case for suite in SUITES if suite in options.suites for case in cases_of(suite, options)]


def duration(seconds: float) -> str:
    """For people: ``12 s``, ``3 min 20 s``."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


class _Progress:
    """Where a run is, and how long it will still take, by the cases' own estimates and how right they have been.

    Seconds of compilation do not count: kernels are compiled once, mostly in a suite's first cases, and say nothing
    about the cases after.
    """

    def __init__(self, cases: list[Case], tell: Tell) -> None:
        self._left = {case.id: case.seconds for case in cases}
        self._total = len(cases)
        self._expected = self._spent = TRUSTED
        self._tell = tell
        self._compiles = False

    def begin(self, identity: str) -> None:
        left = sum(self._left.values()) * self._spent / self._expected
        at = self._total - len(self._left) + 1
        self._tell(f"[{at}/{self._total}] {identity} (about {duration(left)} left)")
        self._compiles = False

    def compiles(self) -> None:
        if not self._compiles:
            self._tell("  compiles kernels, once for this and later runs; not counted in the time left")
        self._compiles = True

    def end(self, identity: str, seconds: float) -> None:
        self._expected += self._left.pop(identity, 0.0)
        self._spent += seconds


def run(options: Options, path: Path, name: str, resume: bool, tell: Tell) -> Record:
    """Measure what the options ask for and keep the record at ``path``.

    With ``resume``, cases that the record already has are left alone; it must be of this machine and code. A case that
    kills its process is recorded as failed, and the suite goes on in another.

    Raises
    ------
    UnreadableRecord, OSError
        The record to take up can't be read, or is of another machine, other versions, another commit or other options.
    WorkerFailed
        A suite's process does not even begin; what was measured is in the record.
    """
    cases = plan(options)
    if resume and path.exists():
        record = Record.read(path)
        _check_same(record, options)
        tell(f"{len(record.results)} cases are in {path} already")
    else:
        record = Record.begin(name, options, peers.describe(options))
        record.write(path)
    waiting = [case for case in cases if case.id not in record.results]
    progress = _Progress(waiting, tell)
    for suite, backend in dict.fromkeys((case.suite, case.backend) for case in waiting):
        cases_here = {case.id: case for case in waiting if (case.suite, case.backend) == (suite, backend)}
        while cases_here.keys() - record.results.keys():
            killer = _suite(suite, backend, options, record, path, progress)
            if killer:
                failed = Measurement(OURS)
                failed.drop(FAILED, "its process died")
                record.results[killer] = Result.of(cases_here[killer], None, [failed])
                progress.end(killer, 0.0)
    record.finish()
    record.write(path)
    return record


def _check_same(record: Record, options: Options) -> None:
    """Refuse to put measurements of different machines, code or options into one record."""
    here = {"code": machine.commit(), "versions": machine.versions()}
    differ = [name for name, value in here.items() if record.head[name] != value]
    if record.head["machine"]["processor"] != machine.describe()["processor"]:
        differ.append("machine")
    if Options.from_dict(record.head["run"]["options"]) != options:
        differ.append("choice of options")
    if differ:
        raise UnreadableRecord(f"the record was begun with another {', '.join(differ)}; begin a new one")


def _suite(suite: str, backend: str, options: Options, record: Record, path: Path, progress: _Progress) -> str:
    """Measure the cases of a suite that the record lacks; the case that killed the process, empty if none did."""
    request = {
        "suite": suite,
        "backend": backend,
        "options": dataclasses.asdict(options),
        "done": list(record.results),
    }
    log = path.with_name("worker.log").open("a", encoding="utf-8")
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment(backend),
        text=True,
    )
    assert worker.stdin is not None and worker.stdout is not None
    current = ""
    try:
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        started = time.perf_counter()
        for line in worker.stdout:
            message = json.loads(line)
            if "begin" in message:
                current = message["begin"]
                progress.begin(current)
                continue
            if "compiles" in message:
                progress.compiles()
                continue
            result = Result.from_dict(message["result"])
            record.results[result.id] = result
            record.write(path)
            progress.end(result.id, time.perf_counter() - started - result.compiled)
            started = time.perf_counter()
        if worker.wait() == 0:
            return ""
        if not current or current in record.results:
            raise WorkerFailed(f"the process of suite {suite} ended with status {worker.returncode}; see {log.name}")
        return current
    finally:
        if worker.poll() is None:
            worker.terminate()
            try:
                worker.wait(PATIENCE)
            except subprocess.TimeoutExpired:  # in a peer's long call
                worker.kill()
                worker.wait()
        worker.stdin.close()
        log.close()
