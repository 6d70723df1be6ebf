"""Sentences about a run, made from what was run: methods, circumstances, references."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.case import OURS
from benchmarks.measure import FEWEST, MOST_SAMPLES
from benchmarks.record import Record
from benchmarks.report.model import is_ours
from benchmarks.statistics import RESAMPLES
from benchmarks.suites import SUITES

REFERENCES = {
    "field": ("montgomery1985", "karatsuba1963"),
    "pairing": ("barreto2005", "costello2010", "granger2010", "fuentes2011", "eip197"),
    "verify": ("groth2016", "barreto2005"),
    "batch": ("groth2016", "bellare1998", "gallant2001"),
    "prove": ("groth2016", "pippenger1976", "bernstein2012", "cooley1965", "grassi2021"),
    "paillier": ("paillier1999", "damgard2010", "brickell1992"),
    "threshold": ("shoup2000", "damgard2001", "fouque2000"),
    "proofs": ("camenisch1999", "pedersen1991", "fiat1986"),
    "aggregate": ("paillier1999", "damgard2001"),
    "services": ("laurie2013",),
    "end-to-end": ("groth2016", "paillier1999"),
}
_ALWAYS = ("efron1979", "tukey1977")


def bibtex(record: Record) -> str:
    """References for the algorithms of the suites that were run."""
    keys = dict.fromkeys(key for suite in record.suites for key in REFERENCES.get(suite, ()))
    entries = entries_by_key()
    return "\n".join(entries[key] for key in (*keys, *_ALWAYS)) + "\n"


def entries_by_key() -> dict[str, str]:
    """What ``references.bib`` beside this module holds."""
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8")
    entries = ["@" + part.strip() for part in text.split("@") if part.strip()]
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry for entry in entries}


def _joined(items: list[str]) -> str:
    return ", ".join(items[:-1]) + (" and " if len(items) > 1 else "") + items[-1] if items else "none"


def methods(record: Record) -> str:
    """How the figures came about, in one paragraph for a paper."""
    machine, versions, results = record.head["machine"], record.head["versions"], list(record.results.values())
    taken = [item for result in results for item in result.contenders if item.status == measure.MEASURED]
    counts = sorted(len(item.reading or item.wall) for item in taken)
    peers = sorted({item.name.split(",")[0] for item in taken if not is_ours(item.name)})
    named = [f"{name} {record.head['peers'][name]['version']}" for name in peers if name in record.head["peers"]]
    outliers = sum(1 for result in results if result.clock == "cpu")
    loads = [result.load for result in results if result.load is not None]
    rates = [result.megahertz for result in results if result.megahertz is not None]
    pinned = sum(1 for result in results if result.cores == 1)
    compiled = sum(result.compiled for result in results)
    code = record.head["code"]
    sentences = [
        f"All measurements were made on one machine ({machine['processor']}, {machine['cores']} cores, "
        f"{(machine['memory_bytes'] or 0) / 1e9:.0f} GB, {machine['system']}, kernel {machine['kernel']}"
        + (", virtual" if machine["hypervisor"] else "")
        + f") with Python {versions['python']}"
        + "".join(f", {name} {versions[name]}" for name in ("numpy", "numba", "gmpy2") if name in versions)
        + (f", at commit {code['commit'][:12]}{' with local changes' if code.get('changed') else ''}" if code else "")
        + f", from {record.head['run']['started']} to {record.head['run']['finished'] or 'an interruption'}.",
        f"{len(results)} cases were measured beside {_joined(named)}; within a case, ours and the peers ran in the "
        "same process on the same input and took turns sample by sample, in a new random order every round.",
        f"{pinned} cases were pinned to one core, {outliers} are reported in processor time of the measuring process "
        "and the others by the clock; programs measured from outside are reported by their own processor time.",
        "The first call of every contender is kept apart as warm-up, and its result had to equal the truth before any "
        "time was taken, as had that of the last sample.",
        f"Figures are medians of {counts[0] if counts else 0} to {counts[-1] if counts else 0} samples (at least "
        f"{FEWEST} unless one is longer than the time allowed, at most {MOST_SAMPLES}) with 95 % percentile bootstrap "
        f"intervals ({RESAMPLES} resamples); samples beyond Tukey's fences are counted as outliers, none is removed. "
        "With fewer than six samples an interval is no more than the samples' range; a single sample has none.",
        "Cold start is a fresh process with an empty kernel cache"
        + (f"; {compiled:.0f} s of compilation in the measuring processes are in no sample." if compiled > 1 else "."),
    ]
    if loads:
        sentences.append(f"The load average after a case was {min(loads):.2f} to {max(loads):.2f}.")
    if rates:
        sentences.append(f"The processor reported {min(rates):,.0f} to {max(rates):,.0f} MHz.")
    energy = "Energy was read from the kernel's counters." if machine["energy_counters"] else (
        "The kernel exposes no energy counters here, so that no energy is reported."
    )  # fmt: skip
    return " ".join([*sentences, energy])


def command(record: Record) -> str:
    """What one types for the same run."""
    options = record.head["run"]["options"]
    given: dict[str, Sequence[Any] | None] = {
        "--suite": options["suites"] if set(options["suites"]) != set(SUITES) else None,
        "--size": options["sizes"],
        "--threads": options["threads"],
        "--backend": options["backends"] if len(options["backends"]) == 1 else None,
        "--peer": None if options["peers"] is None else options["peers"] or ["none"],
        "--only": [options["only"]] if options["only"] is not None else None,
        "--also": options["also"] or None,
        "--seconds": [options["budget"]] if options["budget"] is not None else None,
    }
    words = ["zkshare bench run", *(["--full"] if options["full"] else [])]
    for option, items in given.items():
        words += [option, *(shlex.quote(str(item)) for item in items)] if items else []
    return " ".join(words)


def chosen(record: Record) -> str:
    """Which cases were asked for, in words."""
    options = record.head["run"]["options"]
    also = f" and of the full set what is named {_joined([f'“{text}”' for text in options['also']])}"
    return f"the {'full' if options['full'] else 'quick'} set" + (also if options["also"] else "")


def busy(record: Record) -> bool:
    """Whether other programs ran beside the measurements, as far as the load average shows."""
    loads = sorted(result.load for result in record.results.values() if result.load is not None)
    return bool(loads) and loads[len(loads) // 2] > 1.6


def not_right(record: Record) -> list[str]:
    """Contenders whose results were wrong or who failed."""
    return [
        f"{result.id}: {item.name}: {item.status}: {item.reason}"
        for result in record.results.values()
        for item in result.contenders
        if item.status in (measure.WRONG, measure.FAILED)
    ]


def summary(record: Record) -> str:
    """How many comparisons there are and how they came out."""
    from benchmarks.report.model import rows

    compared = [row for suite in record.suites for row in rows(record, suite) if row.ratio is not None]
    ahead = sum(1 for row in compared if row.ratio and row.ratio.decided and row.ratio.value < 1)
    behind = sum(1 for row in compared if row.ratio and row.ratio.decided and row.ratio.value > 1)
    return (
        f"Of {len(compared)} cases with a peer, {OURS} is ahead of the fastest peer in {ahead}, behind in {behind}, "
        f"and within noise of it in {len(compared) - ahead - behind}."
    )
