"""A record as tables: what every contender took, who is ahead, how near the physical limit, how it grows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks import measure, statistics
from benchmarks.case import BEST, OURS
from benchmarks.measure import Measurement
from benchmarks.record import Record, Result
from benchmarks.statistics import Growth, Ratio, Summary

TITLES = {
    "field": "Products: what the processor gives",
    "pairing": "Pairings",
    "verify": "Groth16: one proof verified",
    "batch": "Groth16: many proofs verified",
    "prove": "Groth16: setup and proofs",
    "paillier": "Paillier",
    "threshold": "Threshold decryption",
    "proofs": "Proofs about ciphertexts",
    "aggregate": "Aggregates",
    "services": "Services",
    "end-to-end": "End to end",
}


def is_ours(name: str) -> bool:
    """Whether a contender is this project."""
    return name.split(",")[0] == OURS


@dataclass(frozen=True)
class Row:
    """A case's line.

    Attributes
    ----------
    cells
        What each measured contender took.
    absent
        Why each other one is not there.
    rival
        The fastest peer.
    ratio
        Ours over the rival's.
    reached
        The bound by the physical limit over our median: 1 is the processor's best.
    renamed
        Whose figure is shown as ours, where a step has a line of its own.
    """

    result: Result
    label: str
    cells: dict[str, Summary]
    absent: dict[str, str]
    rival: str | None
    ratio: Ratio | None
    reached: float | None
    renamed: str | None = None

    def measurement(self, name: str) -> Measurement | None:
        """What stands behind a cell."""
        return self.result.find(self.renamed if self.renamed and name == OURS else name)

    @property
    def verdict(self) -> str:
        """Who is ahead, in words, beyond noise."""
        if self.ratio is None or self.rival is None:
            return ""
        if not self.ratio.decided:
            return f"no difference beyond noise from {self.rival}"
        return "ours ahead" if self.ratio.value < 1 else f"{self.rival} ahead"


def label(result: Result) -> str:
    """A case's name with its parameters."""
    parameters = ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in result.parameters.items()
    )
    return result.name + (f" ({parameters})" if parameters else "") + (", portable" if result.backend != BEST else "")


def _throughput(record: Record, kernel: str, backend: str) -> float | None:
    """Seconds an operation of a kernel of the field suite."""
    tail = f" [{backend}]" if backend != BEST else ""
    for identity in (f"field/{kernel}{tail}", f"field/{kernel}"):
        result = record.results.get(identity)
        found = result.find(OURS) if result else None
        if result and found and found.status == measure.MEASURED:
            return statistics.summary(measure.figures(found, result.clock)).median
    return None


def rows(record: Record, suite: str) -> list[Row]:
    """A suite's lines."""
    made = []
    for result in record.of_suite(suite):
        good = {item.name: item for item in result.contenders if item.status == measure.MEASURED}
        cells = {name: statistics.summary(measure.figures(item, result.clock)) for name, item in good.items()}
        absent = {
            item.name: ("" if item.status == measure.GAP else f"{item.status}: ") + item.reason
            for item in result.contenders
            if item.status != measure.MEASURED
        }
        peers = [name for name in cells if not is_ours(name)]
        rival = min(peers, key=lambda name: cells[name].median) if peers and OURS in cells else None
        ratio = None
        if rival is not None:
            ratio = statistics.ratio(
                measure.figures(good[OURS], result.clock), measure.figures(good[rival], result.clock)
            )
        reached = None
        if result.limit is not None and OURS in cells:
            operation = _throughput(record, result.limit.kernel, result.backend)
            if operation is not None:
                reached = result.limit.operations * operation / cells[OURS].median
        made.append(Row(result, label(result), cells, absent, rival, ratio, reached))
    return made


def by_step(lines: Sequence[Row]) -> list[Row]:
    """The same with a line for each step, where a case consists of steps of ours alone."""
    made = []
    for row in lines:
        if OURS in row.cells or len(row.cells) < 2 or not all(is_ours(name) for name in row.cells):
            made.append(row)
            continue
        for name, cell in row.cells.items():
            step = name.partition(", ")[2]
            made.append(replace(row, label=f"{row.label}: {step}", cells={OURS: cell}, absent={}, renamed=name))
    return made


@dataclass(frozen=True)
class Curve:
    """How a case grows: sizes and medians of each contender, and the fit if there are sizes enough."""

    name: str
    parameter: str
    unit: str
    points: dict[str, list[tuple[float, Summary]]]
    fits: dict[str, Growth | None]
    per_item: bool


def curves(record: Record, suite: str) -> list[Curve]:
    """The cases of a suite that were measured at three sizes or more."""
    families: dict[tuple[str, str], list[Row]] = {}
    for row in rows(record, suite):
        if row.result.grows:
            families.setdefault((row.result.name, row.result.backend), []).append(row)
    made = []
    for (name, backend), members in families.items():
        members.sort(key=lambda row: float(row.result.parameters[str(row.result.grows)]))
        points: dict[str, list[tuple[float, Summary]]] = {}
        for row in members:
            for contender, summary in row.cells.items():
                size = float(row.result.parameters[str(row.result.grows)])
                points.setdefault(contender, []).append((size, summary))
        if max((len(series) for series in points.values()), default=0) < 3:
            continue
        first = members[0].result
        fits = {
            contender: statistics.growth([size for size, _ in series], [summary.median for _, summary in series])
            for contender, series in points.items()
        }
        counted = all(
            item.count == row.result.parameters[str(row.result.grows)]
            for row in members
            for item in row.result.contenders
            if is_ours(item.name)
        )
        title = name + (f", {backend}" if backend != BEST else "")
        made.append(Curve(title, str(first.grows), first.unit, points, fits, counted))
    return made


_STEPS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps"))


def shown(value: float, unit: str) -> str:
    """A figure for people, three digits and a fitting unit."""
    if unit == "s":
        factor, name = next((step for step in _STEPS if abs(value) >= step[0]), _STEPS[-1])
        return f"{_digits(value / factor)} {name}"
    if unit == "B":
        for factor, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if value >= 10 * factor or (factor > 1e3 and value >= factor):
                return f"{_digits(value / factor)} {name}"
        return f"{value:,.0f} B"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown_ratio(ratio: Ratio) -> str:
    """A ratio with its interval, if it has one: single samples and what is counted have none."""
    digits = 0 if ratio.value >= 100 else 4 if ratio.value < 0.1 else 3 if ratio.value < 1 else 2
    value, low, high = (f"{number:,.{digits}f}" for number in (ratio.value, ratio.low, ratio.high))
    return value if ratio.low == ratio.high else f"{value} [{low}, {high}]"


WHY_BEHIND = {
    "to bytes": "Ours are residues in Montgomery's form, ready for arithmetic, and become bytes when they leave, by "
    "two reductions and a product of half length. pypaillier's ciphertexts are bytes at all times: here they are only "
    "laid end to end, and every operation reads them anew. phe's, sf-heu's and lightphe's are plain integers.",
    "memory a row": "Ours keep 52 bits in a word of 64, which is what the processor's vector multiplier takes.",
}
"""What is behind it where a peer is known to be ahead, by the case's name without what follows a comma."""


def losses(record: Record) -> list[str]:
    """What is said of each case in which a peer is ahead beyond noise."""
    return [
        f"{TITLES.get(suite, suite)}: {row.label}: "
        f"{row.rival} takes {shown(row.cells[str(row.rival)].median, row.result.unit)}, "
        f"ours {shown(row.cells[OURS].median, row.result.unit)} ({row.ratio.value:.2f} times). "
        + WHY_BEHIND.get(row.result.name.partition(", ")[0], "Why, this report does not know.")
        for suite in record.suites
        for row in rows(record, suite)
        if row.ratio is not None and row.ratio.decided and row.ratio.value > 1
    ]
