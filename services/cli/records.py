"""``zkshare records``: what a department vouches for: committed from a file, issued to its owner."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.asking import telling
from services.cli.output import AsJson, say

app = typer.Typer(no_args_is_help=True, add_completion=False)

Config = Annotated[Path, typer.Option("--config", help="The department's TOML file; its process may run meanwhile.")]
Dataset = Annotated[str | None, typer.Option(help="The dataset; the department's one if it has one.")]


@app.callback()
def records_app() -> None:
    """A department's records."""


@app.command("commit")
def commit(
    file: Annotated[Path, typer.Argument(help="Records, a CSV file: subject, period, attributes, fields.")],
    config: Config,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Commit to records and anchor them on the ledger; all of the file or, if one is refused, none."""
    from services.record_book import opened_book
    from services.records import read_records

    with telling(as_json), opened_book(config) as (book, parameters, datasets):
        name = _one(dataset, datasets)
        read = read_records(file, parameters.named(name).schema)
        root = book.commit(name, read)
    say(
        as_json,
        {"dataset": name, "records": len(read), "root": f"{root:064x}"},
        f"{len(read)} records of {name}, anchored",
    )


@app.command("issue")
def issue(
    subject: Annotated[str, typer.Argument(help="The enterprise, by the name in its certificate.")],
    period: Annotated[str, typer.Argument(help="The record's period.")],
    out: Annotated[Path, typer.Argument(help="New file for the bundle.")],
    config: Config,
    dataset: Dataset = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File (mode 0600) whose first line opens the bundle; not encrypted if not said.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a record's bundle for its owner, who files with it (zkshare submit): it shows the record to who has it.

    Enterprises may also ask the department's process, which knows them by their certificates.
    """
    from services import bundles
    from services.key_files import read_passphrase
    from services.record_book import opened_book

    with telling(as_json), opened_book(config) as (book, _, datasets):
        name = _one(dataset, datasets)
        passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
        bundles.save(out, book.opening(name, subject, period), passphrase)
    say(
        as_json,
        {"dataset": name, "subject": subject, "period": period, "bundle": str(out)},
        f"{subject} {period}: {out}",
    )


def _one(dataset: str | None, datasets: tuple[str, ...]) -> str:
    from zkcore.errors import Malformed

    if dataset is None and len(datasets) > 1:
        raise Malformed("--dataset", f"say which: {', '.join(datasets)}")
    return dataset or datasets[0]
