"""Tables for papers and spreadsheets: LaTeX and CSV."""

import csv
import io

from benchmarks import measure
from benchmarks.figures import FIGURES
from benchmarks.record import Record
from benchmarks.report.model import TITLES, by_step, rows, shown, shown_ratio

_ESCAPES = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "^": r"\^{}", "µ": r"\textmu{}", "~": r"\~{}", "$": r"\$"}


def _tex(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def latex(record: Record) -> str:
    """One booktabs table a suite, and one of the figures."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    for suite in record.suites:
        lines = by_step(rows(record, suite))
        names = list(dict.fromkeys(name for row in lines for name in row.cells))
        parts.append(f"\\begin{{table}}\n\\caption{{{_tex(TITLES.get(suite, suite))}}}\n\\label{{tab:{suite}}}")
        parts.append(f"\\begin{{tabular}}{{l{'r' * (len(names) + 1)}}}\n\\toprule")
        parts.append(" & ".join(["case", *(_tex(name) for name in names), "ours / fastest peer"]) + r" \\ \midrule")
        for row in lines:
            cells = [shown(row.cells[name].median, row.result.unit) if name in row.cells else "--" for name in names]
            ratio = shown_ratio(row.ratio) if row.ratio else "--"
            parts.append(" & ".join([_tex(row.label), *(_tex(cell) for cell in cells), ratio]) + r" \\")
        parts.append("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
    parts.append("\\begin{table}\n\\caption{Figures}\n\\label{tab:figures}\n\\begin{tabular}{lrrrl}\n\\toprule")
    parts.append(r"figure & must & aim & measured & \\ \midrule")
    for figure in FIGURES:
        found = figure.measured(record)
        text = shown_ratio(found) if found else "--"
        cells = [
            figure.what + (f" ({figure.unit})" if figure.unit else ""),
            f"{figure.must:g}",
            f"{figure.aim:g}",
            text,
        ]
        parts.append(" & ".join(_tex(cell) for cell in (*cells, figure.verdict(found))) + r" \\")
    parts.append("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
    return "\n".join(parts)


def spreadsheet(record: Record) -> str:
    """A line for each contender of each case."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head = ["suite", "case", "parameters", "back end", "contender", "status", "unit", "median", "low", "high"]
    writer.writerow([*head, "samples", "outliers", "first call", "ours / fastest peer", "limit reached", "reason"])
    for suite in record.suites:
        for row in rows(record, suite):
            for item in row.result.contenders:
                cell = row.cells.get(item.name)
                parameters = ";".join(f"{name}={value}" for name, value in row.result.parameters.items())
                line = [suite, row.result.name, parameters, row.result.backend, item.name, item.status, row.result.unit]
                if cell is None or item.status != measure.MEASURED:
                    writer.writerow([*line, "", "", "", "", "", "", "", "", item.reason])
                    continue
                own = item.name == "zkshare"
                ratio = f"{row.ratio.value:.6g}" if own and row.ratio else ""
                reached = f"{row.reached:.4g}" if own and row.reached else ""
                line += [
                    f"{cell.median:.6g}",
                    f"{cell.low:.6g}",
                    f"{cell.high:.6g}",
                    str(cell.count),
                    str(cell.outliers),
                ]
                writer.writerow([*line, f"{item.first:.6g}", ratio, reached, ""])
    return buffer.getvalue()
