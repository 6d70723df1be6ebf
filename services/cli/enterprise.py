"""``zkshare enterprise``: an enterprise's agent as a process of its own."""

import typer

from services.cli.process import Check, ConfigFile, run

app = typer.Typer(add_completion=False)


@app.command()
def enterprise(config: ConfigFile, check: Check = False) -> None:
    """Run an enterprise's agent, which answers score requests by its policy or asks you, until SIGTERM."""
    run("enterprise", config, check)
