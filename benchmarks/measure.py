"""Taking samples: contenders take turns, so that whatever disturbs the machine disturbs all of them alike.

The first call of a contender is warm-up; its time is kept apart. Its result is compared with the truth before any
other time is taken, and that of the last sample once more. Every round goes through the contenders in a new random
order; a contender that has used its share of seconds sits out. Short operations are repeated within a sample so that
the clocks resolve it.
"""

import gc
import math
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.case import Contender, Gap, Trial

SHORTEST_SAMPLE = 2e-3
LEAST_SAMPLES, MOST_SAMPLES = 5, 50
FEWEST = 3
"""Samples taken even of what exceeds its share of seconds, unless they take longer than fifteen shares."""

MEASURED, GAP, WRONG, FAILED = "measured", "gap", "wrong", "failed"


@dataclass
class Measurement:
    """What became of one contender.

    Attributes
    ----------
    status, reason
        ``measured``, or why there is no figure: ``gap`` (can't take part), ``wrong`` (its result is not the truth),
        ``failed`` (it raised).
    first
        Seconds by the clock of the first call, warm-up and compilation included.
    count, repetitions
        Items a call, calls a sample.
    wall, cpu, reading
        Samples an item: seconds by the clock, seconds of processor time of the process, figures read.
    """

    name: str
    status: str = MEASURED
    reason: str = ""
    first: float = 0.0
    count: int = 1
    repetitions: int = 1
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)

    def drop(self, status: str, reason: str) -> None:
        """Keep no time of it."""
        self.status, self.reason = status, reason[:300]
        self.wall, self.cpu, self.reading = [], [], []


@dataclass
class _Turn:
    contender: Contender
    measurement: Measurement
    spent: float = 0.0
    last: Any = None


def pin(cores: int) -> list[int]:
    """Let this thread, and those that it starts, run on so many cores; tell which. Nothing where that can't be."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    chosen = _ALLOWED[-cores:]  # the first core serves interrupts most often
    os.sched_setaffinity(0, chosen)
    return chosen


_ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def measure(trial: Trial, seconds: float) -> list[Measurement]:
    """Samples of every contender, each for about so many seconds."""
    measurements, turns = [], []
    for contender in trial.contenders:
        measurement = Measurement(contender.name)
        measurements.append(measurement)
        if isinstance(contender, Gap):
            measurement.drop(GAP, contender.reason)
        elif _begin(contender, measurement, trial.truth, trial.once) and not trial.once:
            turns.append(_Turn(contender, measurement))
    waiting = list(turns)
    order = random.Random(1)
    gc.collect()
    gc.disable()
    try:
        while waiting:
            order.shuffle(waiting)
            waiting = [turn for turn in waiting if _take(turn, seconds)]
            gc.collect(0)
    finally:
        gc.enable()
    for turn in turns:
        if turn.measurement.status == MEASURED:
            _compare(turn.contender, turn.measurement, turn.last, trial.truth)
    return measurements


def _begin(contender: Contender, measurement: Measurement, truth: Any, once: bool) -> bool:
    """The first call, compared, and a second that decides the repetitions. Whether samples may be taken."""
    measurement.count = contender.count
    try:
        start, processor = time.perf_counter(), time.process_time()
        result = contender.operation()
        measurement.first, processor = time.perf_counter() - start, time.process_time() - processor
        if not _compare(contender, measurement, result, truth):
            return False
        if once and contender.reading is None:
            measurement.wall.append(measurement.first / contender.count)
            measurement.cpu.append(processor / contender.count)
        elif once and contender.reading is not None:
            measurement.reading.append(contender.reading(result) / contender.count)
        elif contender.reading is None and measurement.first < 0.1:
            start = time.perf_counter()
            contender.operation()
            again = max(time.perf_counter() - start, 1e-7)
            measurement.repetitions = max(1, math.ceil(SHORTEST_SAMPLE / again))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a peer's own trouble must not end the run; a panic of Rust's is no Exception
        measurement.drop(FAILED, f"{type(error).__name__}: {error}")
        return False
    return True


def _compare(contender: Contender, measurement: Measurement, result: Any, truth: Any) -> bool:
    try:
        found = contender.result(result)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        measurement.drop(WRONG, f"its result could not be read: {type(error).__name__}: {error}")
        return False
    if found != truth:
        measurement.drop(WRONG, "its result differs from the truth; no time of it is kept")
        return False
    return True


def _take(turn: _Turn, seconds: float) -> bool:
    """One sample. Whether another is wanted."""
    measurement, operation = turn.measurement, turn.contender.operation
    repetitions = range(measurement.repetitions)
    result: Any = None
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in repetitions:
            result = operation()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        measurement.drop(FAILED, f"{type(error).__name__}: {error}")
        return False
    turn.last = result
    turn.spent += wall
    if turn.contender.reading is None:
        items = measurement.count * measurement.repetitions
        measurement.wall.append(wall / items)
        measurement.cpu.append(cpu / items)
    else:
        measurement.reading.append(turn.contender.reading(result) / measurement.count)
    taken = len(measurement.wall) or len(measurement.reading)
    if taken >= MOST_SAMPLES:
        return False
    if taken < FEWEST:
        return turn.spent < 15 * seconds
    return turn.spent < seconds or (taken < LEAST_SAMPLES and turn.spent < 5 * seconds)


def figures(measurement: Measurement, clock: str) -> Sequence[float]:
    """The samples that are the figure."""
    return measurement.reading or (measurement.cpu if clock == "cpu" else measurement.wall)
