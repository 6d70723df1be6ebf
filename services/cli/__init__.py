"""The ``zkshare`` command: one module of this package a command or group of commands, imported when it is asked for.

Exit status: 0 valid or done, 1 a proof or receipt that does not hold, 2 input that is malformed or missing, or
a refusal; 130 interrupted.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = (
    "demo",
    "up",
    "submit",
    "query",
    "score",
    "down",
    "node",
    "trustee",
    "department",
    "enterprise",
    "records",
    "authority",
    "registry",
    "network",
    "proof",
    "circuit",
    "receipt",
    "column",
    "committee",
    "audit",
    "bench",
    "info",
)


class Commands(TyperGroup):
    """The commands by name; each module has the Typer application of its command as ``app``."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = typer.main.get_command(import_module(f"services.cli.{cmd_name}").app)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="zkshare", cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def zkshare() -> None:
    """Private records, public answers: credit scores and aggregate queries, each with a proof anyone can check."""


def main() -> None:
    """Entry point of the ``zkshare`` command."""
    app(prog_name="zkshare")
