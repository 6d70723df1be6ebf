"""``zkshare trustee``: a trustee as a process of its own."""

import typer

from services.cli.process import Check, ConfigFile, run

app = typer.Typer(add_completion=False)


@app.command()
def trustee(config: ConfigFile, check: Check = False) -> None:
    """Run a trustee until SIGTERM."""
    run("trustee", config, check)
