"""``pytest benchmarks --benchmark-only``: the quick set through pytest-benchmark, for those who prefer its tables.

A case is a group, a contender a test. Results are compared with the truth before anything is timed; gaps are skipped
with their reason. Costs, whole processes and scenarios are ``zkshare bench``'s alone, as are turns and intervals.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark")

from benchmarks import measure, runner
from benchmarks.case import BEST, Case, Gap, Options, Trial
from benchmarks.peers import PEERS

IN_PROCESS = ("field", "pairing", "verify", "batch", "prove", "paillier", "threshold", "proofs")
OUTSIDE = ("process", "compiled", "Arrow", "bytes", "memory", "gas", "fields")


def cases() -> Iterator[Case]:
    """Cases whose contenders are functions of this process, on its own back end."""
    for case in runner.plan(Options(IN_PROCESS, backends=(BEST,))):
        if case.unit == "s" and not any(word in case.name for word in OUTSIDE):
            yield case


@lru_cache(maxsize=1)
def prepared(identity: str) -> Trial:
    """A case's material, kept while its contenders are measured."""
    return next(case for case in cases() if case.id == identity).prepare()


@pytest.mark.parametrize("contender", ["zkshare", "zkshare-2", "zkshare-3", *PEERS])
@pytest.mark.parametrize("identity", [case.id for case in cases()])
def test_case(identity: str, contender: str, benchmark: Any) -> None:
    trial = prepared(identity)
    name, _, number = contender.partition("-") if contender.startswith("zkshare-") else (contender, "", "")
    sides = [side for side in trial.contenders if side.name.split(",")[0] == name]
    place = int(number or 1) - 1
    if place >= len(sides):
        pytest.skip("does not take part")
    side = sides[place]
    if isinstance(side, Gap):
        pytest.skip(side.reason)
    assert side.result(side.operation()) == trial.truth
    case = next(case for case in cases() if case.id == identity)
    measure.pin(case.cores)
    benchmark.group = identity
    benchmark.name = side.name
    benchmark.extra_info.update(items=side.count, **case.parameters)
    benchmark.pedantic(side.operation, rounds=3, warmup_rounds=0)
