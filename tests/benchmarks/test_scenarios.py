"""Scenarios: the truth that answers are held to can be missed, steps are apart, a small quarter from end to end."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import scenarios
from benchmarks.case import Gap, Options
from benchmarks.scenarios import Table, is_true
from benchmarks.service_network import record
from benchmarks.suites import aggregate
from services.receipts import Row

TRUTH = {"steel": (12, 1200), "cloth": (11, 900), "paper": (4, 40), "glass": (7, 70), "farming": (3, 30)}


def table(
    steel: tuple[int, int] = (12, 1200), other: tuple[int, int] = (11, 110), withheld: tuple[str, ...] = ("farming",)
) -> Table:
    """An answer in which two small groups are together and one is in no row."""

    def row(group: str, numbers: tuple[int, int], is_other: bool = False) -> Row:
        return Row((group,), is_other, numbers[0], (group, *numbers, 0))

    rows = (row("steel", steel), row("cloth", (11, 900)), row("", other, True))
    return Table(rows, (("paper",), ("glass",)), tuple((name,) for name in withheld), 0)


def test_a_wrong_answer_is_no_truth() -> None:
    assert is_true(table(), TRUTH)
    for wrong in (
        table(steel=(12, 1201)),
        table(steel=(11, 1200)),
        table(other=(11, 111)),
        table(other=(10, 110)),
        table(withheld=()),
        table(withheld=("farming", "software")),
    ):
        assert not is_true(wrong, TRUTH)


def test_plain_sums_are_the_records() -> None:
    records = [record(f"s{number}", "2026") for number in range(30)]
    truth = scenarios.plain(records)
    assert sum(count for count, _ in truth.values()) == 30
    assert sum(total for _, total in truth.values()) == sum(each.values["sales"] for each in records)


def test_steps_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 12.0, 17.0])
    monkeypatch.setattr(scenarios.time, "perf_counter", lambda: next(moments))
    clock = scenarios.Clock()
    clock.step("first")
    clock.step("second")
    assert clock.seconds == {"first": 2.0, "second": 5.0}


def test_a_machine_without_room_has_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    [case] = [
        case for case in aggregate.cases(Options(("aggregate",))) if case.id == "aggregate/memory(records=1000000)"
    ]
    for free, what in ((10**9, "memory"), (None, "disk")):
        monkeypatch.setattr(aggregate.machine, "free_memory", lambda free=free: free)
        if free is None:
            monkeypatch.setattr(aggregate.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
        [gap] = case.prepare().contenders
        assert isinstance(gap, Gap) and what in gap.reason


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "number"), [(scenarios.filings, 24), (scenarios.scores, 2)])
def test_a_small_one_comes_to_the_plain_truth(
    scenario: Callable[[Path, int], object], number: int, tmp_path: Path
) -> None:
    (tmp_path / "network").mkdir(mode=0o700)
    outcome = asyncio.run(scenario(tmp_path, number))  # type: ignore[arg-type]
    assert isinstance(outcome, dict) and outcome["right"]
    assert len(outcome["seconds"]) >= 3 and all(seconds > 0 for seconds in outcome["seconds"].values())
