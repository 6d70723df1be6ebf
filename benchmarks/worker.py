"""One suite on one back end, in a process of its own that :mod:`benchmarks.runner` starts.

Reads a request as one line of JSON from standard input and writes one JSON value a line to standard output: a case
that begins, that kernels are being compiled for it, a case's result. Whatever libraries print goes to standard error.
It ends when standard input does, so that it never measures beside the run that goes on after its runner was killed.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from numba.core import event

from benchmarks import machine, measure
from benchmarks.case import BEST, Case, Gap, Options, Trial
from benchmarks.measure import FAILED, Measurement
from benchmarks.record import Result
from benchmarks.suites import cases_of

ONE_THREAD = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to 1 in a worker's environment, so that peers that would take every core take one as we do."""


def environment(backend: str) -> dict[str, str]:
    """The environment in which a worker for a back end is started."""
    values = {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "SPDLOG_LEVEL": "warn", "PYTHONUNBUFFERED": "1"}
    if backend != BEST:
        values["ZKSHARE_BACKEND"] = backend
    return values


class Compilation(event.Listener):
    """Seconds for which Numba has compiled in this process; kernels that it finds on disk take none."""

    def __init__(self, begins: Callable[[], None]) -> None:
        self.seconds = 0.0
        self._begins = begins
        self._depth, self._start = 0, 0.0

    def on_start(self, event: Any) -> None:
        """A function is compiled, maybe for another one that is."""
        if not self._depth:
            self._start = time.perf_counter()
            self._begins()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """It is done."""
        self._depth -= 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._start


def perform(case: Case, seconds: float, compilation: Compilation) -> Result:
    """Prepare a case, measure it, and tell the circumstances. A case that can't be prepared is recorded as failed."""
    compiled = compilation.seconds
    begin, joules = time.perf_counter(), machine.joules()
    measure.pin(case.cores)
    try:
        trial = case.prepare()
    except Exception as error:
        failed = Measurement("zkshare")
        failed.drop(FAILED, f"could not be prepared: {type(error).__name__}: {error}")
        trial, measurements = Trial((Gap("zkshare", failed.reason),), None), [failed]
    else:
        measurements = measure.measure(trial, seconds)
    after = machine.joules()
    return Result.of(
        case,
        trial.limit,
        measurements,
        load=machine.load(),
        megahertz=machine.megahertz(),
        joules=after - joules if joules is not None and after is not None else None,
        seconds=time.perf_counter() - begin,
        compiled=compilation.seconds - compiled,
    )


def _end_with_runner() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve one request."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**value: Any) -> None:
        out.write(json.dumps(value, ensure_ascii=False) + "\n")
        out.flush()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that programs that it has started end with it
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_runner, daemon=True).start()
    options = Options.from_dict(request["options"])
    done = set(request["done"])
    compilation = Compilation(lambda: say(compiles=True))
    event.register("numba:compile", compilation)
    for case in cases_of(request["suite"], options):
        if case.backend == request["backend"] and case.id not in done:
            say(begin=case.id)
            say(result=dataclasses.asdict(perform(case, options.seconds_each(), compilation)))


if __name__ == "__main__":
    main()
