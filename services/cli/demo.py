"""``zkshare demo``: the whole job on this machine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import AsJson, malformed
from zkcore.errors import Refused

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    enterprises: Annotated[
        int | None, typer.Option(help="How many records to take, from 2 to 2000; 40 companies, or all of your own.")
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="Your own schema, a TOML file.")] = None,
    records: Annotated[Path | None, typer.Option(help="Your own records, a CSV file.")] = None,
    query: Annotated[str | None, typer.Option(help="What the tax agency asks.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole job on this machine: parties, filings, a query, a score, and six cheats that are refused."""
    import logging
    import time

    import structlog

    from services import demo as demonstration
    from services import sample_job
    from services.terminal import Terminal

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    started = time.perf_counter()
    terminal = Terminal(demonstration.STEPS, data_on_stdout=as_json)
    try:
        sample_job.check_enterprises(enterprises)
        if (schema is None) != (records is None):
            raise typer.BadParameter("--schema and --records go together")
        if schema is not None and records is not None:
            job = sample_job.own_job(schema, records, query, enterprises)
        else:
            job = sample_job.default_job(enterprises or sample_job.DEFAULT_ENTERPRISES, query)
        outcome = demonstration.run(job, terminal)
    except Refused as error:
        malformed(as_json, str(error), "refused", check=error.check, part=error.part)
    outcome.seconds["total"] = round(time.perf_counter() - started, 2)
    if as_json:
        typer.echo(json.dumps(outcome.as_dict(), indent=2, ensure_ascii=False))
    else:
        demonstration.show_end(outcome, terminal)
    raise typer.Exit(0 if outcome.right else 1)
