"""Reports of a record: HTML, LaTeX, CSV, BibTeX, and the results page."""

from pathlib import Path

from benchmarks.record import Record


def write(record: Record, folder: Path, results: Path | None = None) -> None:
    """Write ``report.html``, ``tables.tex``, ``table.csv``, ``references.bib``; and the results page with a picture."""
    from benchmarks.report import page, paper, plots, words
    from benchmarks.report.model import rows

    (folder / "report.html").write_text(page.html(record), encoding="utf-8")
    (folder / "tables.tex").write_text(paper.latex(record), encoding="utf-8")
    (folder / "table.csv").write_text(paper.spreadsheet(record), encoding="utf-8")
    (folder / "references.bib").write_text(words.bibtex(record), encoding="utf-8")
    if results is not None:
        lines = [row for suite in record.suites for row in rows(record, suite)]
        picture = results.with_name("results.svg")
        picture.write_text(plots.ratios(lines, "Ours beside the fastest peer") or "<svg/>", encoding="utf-8")
        results.write_text(page.markdown(record, picture.name), encoding="utf-8")
