"""The commands: ``run``, ``report``, ``compare``."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from benchmarks import runner
from benchmarks.case import BEST, PORTABLE, Options
from benchmarks.peers import EXTRA, PEERS
from benchmarks.record import Record, UnreadableRecord
from benchmarks.suites import SUITES

SEVERAL = ("--suite", "--size", "--threads", "--backend", "--peer", "--also")
"""Options that take all words up to the next option."""


def apart(args: list[str]) -> list[str]:
    """``--suite field pairing`` as ``--suite field --suite pairing``."""
    spread: list[str] = []
    option = ""
    for word in args:
        if word.startswith("-"):
            option = word if word in SEVERAL else ""
        elif option and spread[-1] != option:
            spread.append(option)
        spread.append(word)
    return spread


class Runs(TyperGroup):
    """A command's name may be left out: then it is ``run``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``run`` where no command is named."""
        named = args and (args[0] in self.commands or args[0] in ("--help", "-h"))
        return super().parse_args(ctx, apart(args if named else ["run", *args]))


app = typer.Typer(cls=Runs, add_completion=False)


@app.callback()
def bench() -> None:
    """Measure zkshare beside its peers (the quick set unless told), report, and compare runs."""


def _chosen(what: str, wanted: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...] | None:
    """The items asked for, by space, comma or repeated option; None for no wish."""
    items = [item for text in wanted or [] for item in text.replace(",", " ").split()]
    strangers = sorted(set(items) - set(known))
    if strangers:
        raise typer.BadParameter(f"no {what} {', '.join(strangers)}; there are {', '.join(known)}")
    return tuple(item for item in known if item in items) or None


@app.command()
def run(
    suite: Annotated[list[str] | None, typer.Option(help=f"Suites: {', '.join(SUITES)}. All unless told.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The full set (an hour or more) in place of the quick one.")
    ] = False,
    size: Annotated[list[int] | None, typer.Option(help="Only these sizes, of cases that grow.")] = None,
    threads: Annotated[list[int] | None, typer.Option(help="Only these numbers of threads.")] = None,
    backend: Annotated[list[str] | None, typer.Option(help="Only this back end: best or portable.")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="Only these peers; none for ours alone.")] = None,
    only: Annotated[str | None, typer.Option(help="Only cases whose name contains this text.")] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="Beside the quick set, cases of the full one with this in their name, or this value: records=100000."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Seconds of samples for each contender of a case.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the record and the report.")] = Path(
        "bench"
    ),
    name: Annotated[str, typer.Option(help="Name of the run, told in the report.")] = "run",
    resume: Annotated[bool, typer.Option("--resume", help="Take up a run that was interrupted.")] = False,
    results: Annotated[Path | None, typer.Option(help="Also write the results page (RESULTS.md) to this file.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the cases and measure nothing.")] = False,
) -> None:
    """Measure, and write record.json and report.html (and .tex, .csv, .bib) to the output folder."""
    from benchmarks.report import write

    options = Options(
        suites=_chosen("suite", suite, SUITES) or SUITES,
        full=full,
        sizes=tuple(size) if size else None,
        threads=tuple(threads) if threads else None,
        backends=_chosen("back end", backend, (BEST, PORTABLE)) or (BEST, PORTABLE),
        peers=() if peer == ["none"] else _chosen("peer", peer, tuple(PEERS)),
        budget=seconds,
        only=only,
        also=tuple(also or ()),
    )
    cases = runner.plan(options)
    if not cases:
        raise typer.BadParameter("no case is left" + ("" if full else "; there are more with --full"))
    expected = sum(case.seconds for case in cases)
    if listing:
        for case in cases:
            typer.echo(f"{case.id}  ({runner.duration(case.seconds)})")
        typer.echo(f"{len(cases)} cases, about {runner.duration(expected)}")
        return
    _check_report()
    output.mkdir(parents=True, exist_ok=True)
    path = output / "record.json"
    if path.exists() and not resume:
        raise typer.BadParameter(f"{path} is there already; give --resume to take it up, or another --output")
    _say(f"{len(cases)} cases, about {runner.duration(expected)}; the record is {path}")
    try:
        record = runner.run(options, path, name, resume, _say)
    except KeyboardInterrupt:
        _say("interrupted; --resume takes the run up")
        raise typer.Exit(130) from None
    except (UnreadableRecord, runner.WorkerFailed, OSError) as error:
        _say(str(error))
        raise typer.Exit(2) from None
    write(record, output, results)
    _end(record, output)


@app.command()
def report(
    record: Annotated[Path, typer.Argument(help="record.json of a run.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; that of the record unless told.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Also write the results page (RESULTS.md) to this file.")] = None,
) -> None:
    """Write the report of a record again."""
    from benchmarks.report import write

    _check_report()
    read = _read(record)
    folder = output or record.parent
    folder.mkdir(parents=True, exist_ok=True)
    write(read, folder, results)
    _end(read, folder)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="record.json of the earlier run.")],
    new: Annotated[Path, typer.Argument(help="record.json of the later run.")],
) -> None:
    """Say what changed between two runs beyond noise; exit status 1 if something became slower."""
    from benchmarks.compare import compare as changes

    lines, slower = changes(_read(old), _read(new))
    typer.echo("\n".join(lines))
    raise typer.Exit(1 if slower else 0)


def _check_report() -> None:
    """End at once, not after the measurements, where the report's library is missing."""
    if find_spec("matplotlib") is None:
        _say(f"matplotlib is not installed: {EXTRA}")
        raise typer.Exit(2)


def _say(text: str) -> None:
    typer.echo(text, err=True)
    sys.stderr.flush()


def _read(path: Path) -> Record:
    try:
        return Record.read(path)
    except (UnreadableRecord, OSError) as error:
        _say(str(error))
        raise typer.Exit(2) from None


def _end(record: Record, folder: Path) -> None:
    wrong = [
        f"{result.id}: {item.name} {item.status}: {item.reason}"
        for result in record.results.values()
        for item in result.contenders
        if item.status in ("wrong", "failed")
    ]
    _say(f"report: {folder / 'report.html'}")
    for line in wrong:
        _say(line)
    if wrong:
        raise typer.Exit(1)
