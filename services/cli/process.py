"""What the commands that run a party as a process share: ``--config``, ``--check``, the readiness line, the end."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO, cast

import typer

from services.cli.asking import advised
from zkcore.errors import Refused

if TYPE_CHECKING:
    from services.configuration import Configuration

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
    if role == "enterprise":
        if configuration.policy is None:
            _refuse(file, "policy: is missing; name the file that says which requests it consents to")
        from services.consent import Policy

        try:
            Policy.load(configuration.policy)
        except Refused as error:
            _refuse(file, f"{error.part}: {error.why}")
    if check:
        from services import process

        try:
            process.check(configuration)
        except Refused as error:
            _refuse(file, advised(error, f"{error.part}: {error.why} [{error.check}]"))
        except OSError as error:
            _refuse(file, str(error))
        typer.echo(f"{file}: a sound configuration for zkshare {role}")
        return
    _serve(configuration, file)


def _serve(configuration: "Configuration", file: Path) -> None:
    import structlog

    from services import tracing
    from services.log_lines import Lossy
    from services.process import serve
    from services.store import StoreError

    role = configuration.role
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            tracing.add_trace_id,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Lossy(sys.stderr))),
    )
    try:
        tracing.start(role)
        asyncio.run(serve(configuration, lambda address: print(f"ready {role} {address}", flush=True)))
    except Refused as error:
        _refuse(file, advised(error, f"{error.part}: {error.why} [{error.check}]"))
    except StoreError as error:
        _refuse(file, f"database: {error}")
    except (OSError, ModuleNotFoundError) as error:
        _refuse(file, str(error))


def _refuse(file: Path, *reasons: str) -> NoReturn:
    for reason in reasons:
        typer.echo(f"{file}: {reason}", err=True)
    raise typer.Exit(2)
