"""What changed between two runs beyond noise."""

from benchmarks import measure, statistics
from benchmarks.record import Record
from benchmarks.report.model import is_ours, shown

LEAST_CHANGE = 0.03
"""Changes below this share are noise whatever the intervals say: runs differ by more than their samples."""


def compare(old: Record, new: Record) -> tuple[list[str], bool]:
    """Lines for people, and whether one of our own figures became worse.

    A figure changed if the interval of the quotient of medians leaves out 1 and the change exceeds 3 %. Of a time that
    was measured once in either run the noise is not known: what seems to have changed is told apart. Where peers
    were measured in both runs, the change is taken relative to the median change of the peers of the case, so that
    another machine or another load does not pass for a change of ours.
    """
    lines, slower = [], False
    for field in ("machine", "versions"):
        for name, value in old.head[field].items():
            if name not in ("load", "megahertz") and new.head[field].get(name) != value:
                lines.append(f"{field}: {name} was {value}, is {new.head[field].get(name)}")
    changes, unsure = [], []
    for identity, result in new.results.items():
        before = old.results.get(identity)
        if before is None:
            continue
        quotients = {}
        for item in result.contenders:
            earlier = before.find(item.name)
            if earlier and item.status == earlier.status == measure.MEASURED:
                quotients[item.name] = statistics.ratio(
                    measure.figures(item, result.clock), measure.figures(earlier, before.clock)
                )
            elif earlier and item.status != earlier.status:
                lines.append(f"{identity}: {item.name} was {earlier.status}, is {item.status} {item.reason}")
        drift = sorted(quotient.value for name, quotient in quotients.items() if not is_ours(name))
        common = drift[len(drift) // 2] if drift else 1.0
        for name, quotient in quotients.items():
            if not is_ours(name):
                continue
            value, low, high = (x / common for x in (quotient.value, quotient.low, quotient.high))
            if (low > 1 or high < 1) and abs(value - 1) > LEAST_CHANGE:
                found, earlier = result.find(name), before.find(name)
                assert found and earlier
                both = [
                    statistics.summary(measure.figures(item, clock))
                    for item, clock in ((earlier, before.clock), (found, result.clock))
                ]
                medians = [summary.median for summary in both]
                beside = f", beside peers that changed by {common:.2f}" if drift else ""
                text = f"{shown(medians[0], result.unit)} -> {shown(medians[1], result.unit)}"
                if result.unit == "s" and min(summary.count for summary in both) == 1:
                    unsure.append((value, f"{value:6.2f} times, measured once  {identity}  {name}: {text}{beside}"))
                    continue
                changes.append(
                    (value, f"{value:6.2f} times [{low:.2f}, {high:.2f}]  {identity}  {name}: {text}{beside}")
                )
                slower = slower or value > 1
    lines += [text for _, text in sorted(unsure, reverse=True) + sorted(changes, reverse=True)]
    common_cases = len(old.results.keys() & new.results.keys())
    lines.append(
        f"{common_cases} cases in both runs, {len(changes)} figures of ours changed beyond noise; of {len(unsure)} "
        "more, measured once, the noise is not known"
    )
    gone = sorted(old.results.keys() - new.results.keys())
    lines += [f"no longer measured: {identity}" for identity in gone]
    return lines, slower
