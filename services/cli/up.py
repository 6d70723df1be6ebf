"""``zkshare up``: a whole network on this machine, every party a process of its own."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.asking import Where, local, telling
from services.cli.output import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def up(
    directory: Where = None,
    schema: Annotated[Path | None, typer.Option(help="Your own schema, a TOML file.")] = None,
    records: Annotated[Path | None, typer.Option(help="Your own records, a CSV file.")] = None,
    enterprises: Annotated[
        int | None, typer.Option(help="How many records to take, from 2 to 2000; 40 companies, or all of your own.")
    ] = None,
    key_bits: Annotated[int, typer.Option(help="Length of the trustees' modulus: 2048, 3072 or 4096.")] = 3072,
    as_json: AsJson = False,
) -> None:
    """Start a network on this machine and leave it running; the next time, start it again with the same data."""
    import json

    from services import sample_job
    from services.local import processes
    from services.local.setup import Plan, set_up
    from services.terminal import Terminal
    from zkcore.errors import Malformed

    folder = local(directory)
    with telling(as_json):
        sample_job.check_enterprises(enterprises)
        if (schema is None) != (records is None):
            raise Malformed("--schema", "--schema and --records go together")
        if folder.is_set_up and (schema or enterprises):
            raise Malformed(str(folder.path), "holds a network already, with its data; name another folder")
        terminal = Terminal(1 if folder.is_set_up else 2, data_on_stdout=as_json)
        if not folder.is_set_up:
            if schema is not None and records is not None:
                job = sample_job.own_job(schema, records, None, enterprises)
            else:
                job = sample_job.default_job(enterprises or sample_job.DEFAULT_ENTERPRISES, None)
            with terminal.step("setup", "Keys, certificates, ledger, records") as step:
                set_up(folder, Plan(job, key_bits), step)
        with terminal.step("start", "The processes start") as step:

            def ready(name: str, done: int, of: int) -> None:
                step.detail(f"{name} is ready")
                step.fraction(done / of)

            started = processes.start(folder, ready)
        facts = folder.facts()
        running = [party.name for party in processes.parties(folder)]
    if as_json:
        data = {"folder": str(folder.path), "started": started, "running": running, "page": facts.page}
        typer.echo(json.dumps(data | {"seconds": terminal.seconds}, indent=2, ensure_ascii=False))
        return
    at = "" if directory is None else f" --dir {directory}"
    terminal.say(
        f"{len(running)} processes run: {', '.join(running)}."
        if started
        else f"All {len(running)} processes run already: {', '.join(running)}."
    )
    terminal.say("Files of every party, and logs, are in")
    terminal.say_unbroken(str(folder.path))
    terminal.say(f"The node's page (certificate of the network's own authority): {facts.page}")
    terminal.say("Next:")
    terminal.say_unbroken(f"zkshare submit{at}")
    terminal.say_unbroken(f'zkshare query{at} "{facts.query}" --out receipt.json')
    terminal.say_unbroken(f"zkshare receipt verify receipt.json{at}")
    terminal.say_unbroken(f"zkshare score{at} {facts.scored}")
    terminal.say_unbroken(f"zkshare down{'' if directory is None else f' {directory}'}")
