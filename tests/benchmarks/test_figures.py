"""The figures that the project holds itself to: each is taken from cases that the suites have, and judged rightly."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from benchmarks.case import Options
from benchmarks.figures import FIGURES, absolute, quotient, total
from benchmarks.measure import MEASURED, Measurement
from benchmarks.suites import SUITES, cases_of
from benchmarks.suites.services import LATENCY, SUBMIT, VERIFY


class Asked(dict[str, Any]):
    """The results of a run that measured nothing; keeps which cases were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return default


def test_every_figure_comes_from_a_case() -> None:
    asked = Asked()
    for figure in FIGURES:
        assert figure.measured(SimpleNamespace(results=asked)) is None  # type: ignore[arg-type]
    assert {name for name in asked.names if name.startswith(("services/", "aggregate/"))}
    sets = Options(SUITES), Options(SUITES, full=True)
    there = {case.id for options in sets for suite in SUITES for case in cases_of(suite, options)}
    assert asked.names <= there


def record(identity: str, seconds: Mapping[str, float]) -> Any:
    """A run with one case of these contenders, by the clock."""
    contenders = tuple(
        Measurement(name=name, status=MEASURED, wall=[each] * 3, cpu=[each] * 3) for name, each in seconds.items()
    )
    result = SimpleNamespace(
        clock="wall", contenders=contenders, find=lambda name: next((c for c in contenders if c.name == name), None)
    )
    return SimpleNamespace(results={identity: result})


def test_a_rate_a_ratio_of_rates_and_a_sum_of_steps() -> None:
    run = record(
        "services/x", {"zkshare, kernel": 0.001, "zkshare, served": 0.0016, "zkshare, ask: a": 1, "zkshare, ask: b": 2}
    )
    ratio = quotient(("services/x", "zkshare, kernel"), ("services/x", "zkshare, served"))(run)
    assert ratio and abs(ratio.value - 0.625) < 1e-9
    rate = absolute("services/x", inverse=True, contender="zkshare, served")(run)
    assert rate and abs(rate.value - 625) < 1e-6
    steps = total("services/x", "zkshare, ask: ")(run)
    assert steps and steps.value == 3
    assert total("services/x", "zkshare, none")(run) is None and total("services/y", "zkshare")(run) is None


def test_the_services_figures_name_what_the_load_program_shows() -> None:
    asked: set[str] = set()

    class Result:
        clock, contenders = "wall", ()

        def find(self, name: str) -> None:
            asked.add(name.removeprefix("zkshare, "))

    class Results(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            return Result() if key.startswith("services/") else None

    for figure in FIGURES:
        assert figure.measured(SimpleNamespace(results=Results())) is None  # type: ignore[arg-type]
    assert asked and asked <= {*VERIFY, *LATENCY, *SUBMIT}
