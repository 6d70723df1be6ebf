"""``zkshare department``: a department as a process of its own."""

import typer

from services.cli.process import Check, ConfigFile, run

app = typer.Typer(add_completion=False)


@app.command()
def department(config: ConfigFile, check: Check = False) -> None:
    """Run a department until SIGTERM."""
    run("department", config, check)
