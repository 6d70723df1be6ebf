"""What the commands that run a party as a process share: ``--config``, ``--check``, the readiness line, the end."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from zkcore.errors import Refused

ConfigFile = Annotated[Path, typer.Option("--config", help="The party's TOML file; see services/OPERATING.md.")]
Check = Annotated[bool, typer.Option("--check", help="Say what is wrong with the configuration, and end.")]


def run(role: str, file: Path, check: bool) -> None:
    """Run a party until it is told to stop. Exit status 0 stopped or sound, 2 it cannot start."""
    from services.configuration import load

    try:
        configuration = load(role, file)
    except Refused as error:
        _refuse(file, f"{error.part}: {error.why}")
    except OSError as error:
        _refuse(file, f"cannot be read: {error.strerror}")
    missing = configuration.missing_files()
    if missing:
        _refuse(file, *missing)
    if check:
        typer.echo(f"{file}: a sound configuration of a {role}")
        return
    _serve(role, file)


def _serve(role: str, file: Path) -> None:
    import structlog

    from services.configuration import load
    from services.process import serve
    from services.store import StoreError

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        asyncio.run(serve(load(role, file), lambda address: print(f"ready {role} {address}", flush=True)))
    except Refused as error:
        _refuse(file, f"{error.part}: {error.why} [{error.check}]")
    except (StoreError, OSError) as error:
        _refuse(file, str(error))


def _refuse(file: Path, *reasons: str) -> NoReturn:
    for reason in reasons:
        typer.echo(f"{file}: {reason}", err=True)
    raise typer.Exit(2)
