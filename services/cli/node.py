"""``zkshare node``: the operator's node as a process of its own."""

import typer

from services.cli.process import Check, ConfigFile, run

app = typer.Typer(add_completion=False)


@app.command()
def node(config: ConfigFile, check: Check = False) -> None:
    """Run the operator's node until SIGTERM."""
    run("node", config, check)
