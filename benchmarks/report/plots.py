"""Pictures in SVG: readable in greyscale and by the colour-blind, as every contender has a mark of its own besides a
colour, and the colours (Okabe and Ito 2008) differ in lightness."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

from benchmarks import measure
from benchmarks.report.model import Curve, Row, is_ours, shown

_INK = "#000000"
_STYLES = {
    "groth16py": ("#D55E00", "s"),
    "zksnake": ("#56B4E9", "^"),
    "pyrevm": ("#009E73", "D"),
    "py-ecc": ("#CC79A7", "v"),
    "snarkjs": ("#E69F00", "P"),
    "rapidsnark": ("#0072B2", "X"),
    "sf-heu": ("#D55E00", "s"),
    "phe": ("#56B4E9", "^"),
    "pypaillier": ("#009E73", "D"),
    "lightphe": ("#CC79A7", "v"),
    "gmpy2": ("#0072B2", "P"),
}
_OWN = {0: ("o", _INK), 1: ("h", "#777777"), 2: ("*", "#AAAAAA"), 3: ("p", "#555555")}

plt.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "zkshare",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
    }
)


def _style(name: str, owns: Sequence[str]) -> tuple[str, str]:
    """Colour and mark."""
    if is_ours(name):
        mark, colour = _OWN[owns.index(name) % len(_OWN)] if name in owns else _OWN[0]
        return colour, mark
    return _STYLES.get(name.split(",")[0], ("#0072B2", "X"))


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": "zkshare bench"})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _ticks(unit: str) -> FuncFormatter:
    return FuncFormatter(lambda value, _: shown(value, unit) if value > 0 else "")


def samples(rows: Sequence[Row], unit: str, title: str) -> str | None:
    """Every sample of every contender, a line a case, medians with their intervals on top; None for a single line."""
    lines = [row for row in rows if row.result.unit == unit and row.cells]
    if len(lines) < 2:
        return None
    names = list(dict.fromkeys(name for row in lines for name in row.cells))
    owns = [name for name in names if is_ours(name)]
    figure, axes = plt.subplots(figsize=(8.2, 0.9 + 0.36 * len(lines)))
    for y, row in enumerate(reversed(lines)):
        for number, (name, summary) in enumerate(row.cells.items()):
            place = y + (0.5 - (number + 0.5) / len(row.cells)) * 0.6  # so that equals do not hide one another
            colour, mark = _style(name, owns)
            found = row.measurement(name)
            raw = measure.figures(found, row.result.clock) if found else []
            axes.plot(raw, [place] * len(raw), "|", color=colour, alpha=0.35, markersize=7, zorder=2)
            axes.plot([summary.low, summary.high], [place, place], "-", color=colour, linewidth=2, zorder=3)
            axes.plot(
                [summary.median],
                [place],
                mark,
                color=colour,
                markersize=7,
                zorder=4,
                markeredgecolor="white",
                markeredgewidth=0.7,
            )
    axes.set_yticks(range(len(lines)), [row.label for row in reversed(lines)])
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_ticks(unit))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    low, high = axes.get_xlim()
    if high / low < 10:
        axes.set_xlim(low / 3, high * 3)
    axes.set_title(title, loc="left", fontsize=10)
    for name in names:
        colour, mark = _style(name, owns)
        axes.plot([], [], mark, color=colour, label=name, markersize=6, linestyle="none")
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, -0.55 / (0.9 + 0.36 * len(lines))), ncols=4, frameon=False, fontsize=8
    )
    return _svg(figure)


def growth(curve: Curve) -> str:
    """Medians by size, with the fitted power where there are five sizes."""
    figure, axes = plt.subplots(figsize=(5.4, 3.4))
    owns = [name for name in curve.points if is_ours(name)]
    for name, series in curve.points.items():
        colour, mark = _style(name, owns)
        fit = curve.fits[name]
        text = name + (f": size^{fit.exponent:.2f} ± {fit.error:.2f}" if fit else "")
        sizes, medians = [size for size, _ in series], [summary.median for _, summary in series]
        spread = [
            [summary.median - summary.low for _, summary in series],
            [summary.high - summary.median for _, summary in series],
        ]
        axes.errorbar(
            sizes,
            medians,
            yerr=spread,
            color=colour,
            marker=mark,
            linestyle="none",
            capsize=2,
            label=text,
            markersize=6,
        )
        if fit:
            axes.plot(sizes, [fit.factor * size**fit.exponent for size in sizes], "--", color=colour, linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_ticks(curve.unit))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.set_xlabel(curve.parameter)
    axes.set_ylabel("an item" if curve.per_item else "a call")
    axes.set_title(curve.name, loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def ratios(rows: Sequence[Row], title: str) -> str | None:
    """Ours over the fastest peer, case by case; left of 1 ours is ahead."""
    lines = [row for row in rows if row.ratio is not None]
    if not lines:
        return None
    figure, axes = plt.subplots(figsize=(8.2, 0.9 + 0.24 * len(lines)))
    for y, row in enumerate(reversed(lines)):
        ratio = row.ratio
        assert ratio is not None
        behind = ratio.decided and ratio.value > 1
        colour, mark = (("#D55E00", "X") if behind else (_INK, "o")) if ratio.decided else ("#777777", "D")
        axes.plot([ratio.low, ratio.high], [y, y], "-", color=colour, linewidth=1.5)
        axes.plot([ratio.value], [y], mark, color=colour, markersize=5.5)
        axes.annotate(
            f"{ratio.value:.2g} of {row.rival}", (ratio.high, y), xytext=(6, -3), textcoords="offset points", fontsize=7
        )
    axes.axvline(1, color=_INK, linewidth=1)
    axes.set_yticks(range(len(lines)), [f"{row.result.suite}: {row.label}" for row in reversed(lines)], fontsize=7.5)
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low, high = axes.get_xlim()
    axes.set_xlim(low, max(high * 4, 3))
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("ours / fastest peer (● ours ahead, ✕ peer ahead, ◆ within noise)", fontsize=8)
    return _svg(figure)


def steps(title: str, shares: dict[str, dict[str, float]], unit: str) -> str:
    """Where the cost goes: one bar a scenario, its steps told apart by hatching."""
    hatches = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oooo", "||||", "", "//..", "**")
    shades = ("333333", "dddddd", "999999", "f4f4f4", "666666", "bbbbbb", "eeeeee", "888888", "ffffff", "aaaaaa")
    greys = [f"#{shade}" for shade in (*shades, "f4f4f4", "cccccc")]
    names = list(dict.fromkeys(name for parts in shares.values() for name in parts))
    figure, axes = plt.subplots(figsize=(8.2, 1.2 + 0.5 * len(shares)))
    for y, parts in enumerate(reversed(list(shares.values()))):
        left, total = 0.0, sum(parts.values())
        for name in names:
            width = 100 * parts.get(name, 0.0) / total
            index = names.index(name) % len(hatches)
            axes.barh(y, width, left=left, color=greys[index], hatch=hatches[index], edgecolor="#222222", linewidth=0.5)
            left += width
        axes.annotate(shown(total, unit), (101, y), va="center", fontsize=8, annotation_clip=False)
    for index, name in enumerate(names):
        axes.barh([0], [0], color=greys[index % 12], hatch=hatches[index % 12], edgecolor="#222222", label=name)
    axes.set_yticks(range(len(shares)), list(reversed(list(shares))))
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of the whole")
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, -0.5 / (0.6 + 0.4 * len(shares))), ncols=3, frameon=False, fontsize=8
    )
    return _svg(figure)
