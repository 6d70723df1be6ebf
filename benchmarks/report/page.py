"""The report as one HTML file that needs nothing else, and the results page in Markdown."""

from html import escape

from benchmarks.figures import FIGURES
from benchmarks.record import Record
from benchmarks.report import paper, plots, words
from benchmarks.report.model import TITLES, Row, by_step, curves, losses, rows, shown, shown_ratio

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid #bbb}
table{border-collapse:collapse;font-size:.85rem;margin:1rem 0;display:block;overflow-x:auto}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal}th{border-bottom:2px solid #555}
td small{color:#555;display:block;white-space:normal;min-width:8rem}.peer{font-weight:bold;text-decoration:underline}
.note{background:#f3f3f3;padding:.6rem 1rem;border-left:4px solid #555}
svg{max-width:100%;height:auto}pre{background:#f6f6f6;padding:.8rem;overflow:auto;font-size:.75rem}
"""


def _table(head: list[str], lines: list[list[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _figure_lines(record: Record) -> list[list[str]]:
    lines = []
    for figure in FIGURES:
        found = figure.measured(record)
        bounds = [f"{'≥' if figure.larger else '≤'} {bound:g}" for bound in (figure.must, figure.aim)]
        measured = shown_ratio(found) if found else "–"
        unit = f" ({figure.unit})" if figure.unit else ""
        lines.append([f"{figure.area}: {figure.what}{unit}", *bounds, measured, figure.verdict(found)])
    return lines


_FIGURE_HEAD = ["figure", "must", "aim", "measured [95 %]", "verdict"]


def _suite_table(lines: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in lines for name in row.cells))
    body = []
    for row in lines:
        cells = []
        for name in names:
            cell = row.cells.get(name)
            if cell is None:
                cells.append(f'<abbr title="{escape(row.absent[name])}">gap</abbr>' if name in row.absent else "")
                continue
            unit = row.result.unit
            spread = f"{shown(cell.low, unit)} – {shown(cell.high, unit)}, {cell.count} samples"
            spread = spread if cell.count > 1 else "once"
            spread += f", {cell.outliers} outlier{'s' * (cell.outliers > 1)}" if cell.outliers else ""
            found = row.measurement(name)
            first = f"; first call {shown(found.first, 's')}" if found and not found.reading else ""
            cells.append(f"{escape(shown(cell.median, unit))}<small>{escape(spread + first)}</small>")
        verdict = escape(row.verdict)
        if row.ratio and row.ratio.decided and row.ratio.value > 1:
            verdict = f'<span class="peer">{verdict}</span>'
        ratio = f"{shown_ratio(row.ratio)}<small>{verdict}</small>" if row.ratio else ""
        reached = f"{100 * row.reached:.0f} %" if row.reached else ""
        if row.reached and row.result.limit:
            reached = f'<abbr title="{escape(row.result.limit.why)}">{reached}</abbr>'
        body.append([escape(row.label), *cells, ratio, reached])
    return _table(["case", *names, "ours / fastest peer", "limit reached"], body)


def _growth_table(record: Record, suite: str) -> str:
    lines = [
        [
            escape(curve.name),
            escape(name),
            str(fit.sizes),
            f"{fit.exponent:.3f} ± {fit.error:.3f}",
            f"{fit.exponent + 1:.2f}" if curve.per_item else f"{fit.exponent:.2f}",
        ]
        for curve in curves(record, suite)
        for name, fit in curve.fits.items()
        if fit
    ]
    return _table(["growth", "contender", "sizes", "exponent (figure)", "exponent (whole)"], lines) if lines else ""


def _reasons(lines: list[Row]) -> list[str]:
    """Who does not take part where, and why."""
    reasons: dict[str, list[str]] = {}
    for row in lines:
        for name, reason in row.absent.items():
            reasons.setdefault(f"{name} {reason}", []).append(row.label)
    return [f"{text} ({where[0] if len(where) == 1 else f'{len(where)} cases'})" for text, where in reasons.items()]


def _gaps(lines: list[Row]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in _reasons(lines))


def _energy(lines: list[Row]) -> str:
    """Energy of whole cases, all contenders and their preparation together, where the kernel counts it."""
    counted = [row for row in lines if row.result.joules]
    if not counted:
        return ""
    cells = [[escape(row.label), f"{row.result.joules:,.1f} J", shown(row.result.seconds, "s")] for row in counted]
    return _table(["energy of the case, preparation included", "processor packages", "time"], cells)


def _limits(lines: list[Row]) -> str:
    seen = {
        f"{row.result.name}: {row.result.limit.operations:,.0f} of “{row.result.limit.kernel}”: {row.result.limit.why}"
        for row in lines
        if row.result.limit and row.reached
    }
    return "".join(f"<li>{escape(text)}</li>" for text in sorted(seen))


def html(record: Record) -> str:
    """The whole report."""
    run, machine = record.head["run"], record.head["machine"]
    everything = [row for suite in record.suites for row in rows(record, suite)]
    parts = [
        f"<h1>zkshare benchmarks: {escape(run['name'])}</h1>",
        f"<p>{escape(machine['processor'])}, {machine['cores']} cores; {escape(run['started'])}; "
        f"{escape(words.chosen(record))}: <code>{escape(words.command(record))}</code>. "
        f"{escape(words.summary(record))}</p>",
    ]
    if words.busy(record):
        parts.append(
            '<p class="note">Other programs ran at the same time. Contenders took turns, so ratios stand better than '
            "times; repeat the run on an idle machine before citing it.</p>"
        )
    for line in words.not_right(record):
        parts.append(f'<p class="note">{escape(line)}</p>')
    parts.append(
        "<h2>Figures</h2>" + _table(_FIGURE_HEAD, [[escape(cell) for cell in line] for line in _figure_lines(record)])
    )
    behind = losses(record)
    parts.append("<h2>Where a peer is ahead</h2>")
    parts.append(
        "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in behind) + "</ul>" if behind else "<p>Nowhere.</p>"
    )
    parts.append(plots.ratios(everything, "Ours beside the fastest peer") or "")
    for suite in record.suites:
        measured = rows(record, suite)
        parts.append(f'<h2 id="{suite}">{escape(TITLES.get(suite, suite))}</h2>')
        parts.append(_suite_table(by_step(measured)))
        for unit in dict.fromkeys(row.result.unit for row in measured):
            picture = (
                plots.samples(by_step(measured), unit, f"{TITLES.get(suite, suite)}, every sample")
                if unit in ("s", "B")
                else None
            )
            parts.append(picture or "")
        parts.extend(plots.growth(curve) for curve in curves(record, suite))
        parts.append(_growth_table(record, suite))
        parts.append(_energy(measured))
        limits, gaps = _limits(measured), _gaps(measured)
        parts.append(f"<details><summary>Physical limits</summary><ul>{limits}</ul></details>" if limits else "")
        parts.append(f"<details><summary>Gaps</summary><ul>{gaps}</ul></details>" if gaps else "")
    scenarios = step_shares(record)
    if scenarios:
        parts.append("<h2>Where the time goes</h2>")
        parts.extend(plots.steps(name, shares, "s") for name, shares in scenarios.items())
    peers = record.head["peers"]
    parts.append("<h2>Peers</h2>")
    lines = [
        [name, item["version"] or f"gap: {item['missing']}", item["built_on"], item["parameters"], item["security"]]
        for name, item in peers.items()
    ]
    head = ["peer", "version", "built on", "parameters", "security"]
    parts.append(_table(head, [[escape(str(text)) for text in line] for line in lines]))
    parts.append(f"<h2>Methods</h2><p>{escape(words.methods(record))}</p>")
    parts.append(
        f"<h2>For papers</h2><details><summary>LaTeX</summary><pre>{escape(paper.latex(record))}</pre></details>"
    )
    parts.append(f"<details><summary>CSV</summary><pre>{escape(paper.spreadsheet(record))}</pre></details>")
    parts.append(f"<details><summary>BibTeX</summary><pre>{escape(words.bibtex(record))}</pre></details>")
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>zkshare benchmarks</title><style>{_STYLE}</style><body>{body}</body></html>\n"
    )


def step_shares(record: Record) -> dict[str, dict[str, dict[str, float]]]:
    """For each scenario, at each size, its steps' medians."""
    shares: dict[str, dict[str, dict[str, float]]] = {}
    for row in (row for suite in ("end-to-end", "aggregate") for row in rows(record, suite)):
        steps = {
            name.partition(", ")[2]: summary.median
            for name, summary in row.cells.items()
            if name.startswith("zkshare, ")
        }
        if len(steps) > 1 and row.result.unit == "s":
            shares.setdefault(row.result.name, {})[row.label] = steps
    return shares


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    text = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(text + ["| " + " | ".join(line) + " |" for line in lines])


def markdown(record: Record, picture: str) -> str:
    """The results page."""
    run, machine = record.head["run"], record.head["machine"]
    command = words.command(record) + " --results benchmarks/RESULTS.md"
    parts = [
        "# Results",
        f"Run “{run['name']}” of {run['started'][:10]} on {machine['processor']} ({machine['cores']} cores), "
        f"{words.chosen(record)}. This page is written by `{command}`; how it is measured is in "
        "[README.md](README.md). " + words.summary(record),
    ]
    if words.busy(record):
        parts.append("**Other programs ran at the same time; ratios stand better than times.**")
    parts += [
        f"![Ours beside the fastest peer, case by case]({picture})",
        "## Figures",
        _markdown(_FIGURE_HEAD, _figure_lines(record)),
    ]
    behind = losses(record)
    parts += ["## Where a peer is ahead", "\n".join(f"- {text}" for text in behind) if behind else "Nowhere."]
    for suite in record.suites:
        lines = by_step(rows(record, suite))
        names = list(dict.fromkeys(name for row in lines for name in row.cells))
        body = []
        for row in lines:
            cells = [shown(row.cells[name].median, row.result.unit) if name in row.cells else "" for name in names]
            ratio = shown_ratio(row.ratio) if row.ratio else ""
            body.append([row.label, *cells, ratio, f"{100 * row.reached:.0f} %" if row.reached else ""])
        parts += [
            f"## {TITLES.get(suite, suite)}",
            _markdown(["case", *names, "ours / fastest peer", "limit reached"], body),
        ]
        fits = [
            f"{curve.name}, {name}: {curve.parameter}^{fit.exponent:.2f} ± {fit.error:.2f} ({fit.sizes} sizes)"
            for curve in curves(record, suite)
            for name, fit in curve.fits.items()
            if fit
        ]
        if fits:
            parts.append("Growth of the figure: " + "; ".join(fits) + ".")
        gaps = _reasons(lines)
        if gaps:
            parts.append("Gaps: " + "; ".join(gaps) + ".")
    parts += ["## Methods", words.methods(record)]
    return "\n\n".join(parts) + "\n"
