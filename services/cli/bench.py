"""``zkshare bench``: the benchmarks, which stand above the services and are therefore found by name."""

from importlib import import_module

import typer

from services.cli.output import malformed


def _app() -> typer.Typer:
    """The benchmarks' own commands, or one that says what is missing."""
    try:
        found: typer.Typer = import_module("benchmarks.command").app
        return found
    except ModuleNotFoundError as error:
        missing = error.name
    absent = typer.Typer(add_completion=False)

    @absent.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def bench() -> None:
        """Measure zkshare beside its peers (needs the extra ``bench``)."""
        malformed(False, f"{missing} is not installed: pip install 'zkshare[bench]'", "missing")

    return absent


app = _app()
