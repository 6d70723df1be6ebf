"""What the commands share: printing for a person or as JSON, ending with a reason, reading files."""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from zkcore.formats import json_text

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def say(as_json: bool, data: dict[str, Any], text: str) -> None:
    """Print ``data`` as JSON or ``text`` for a person."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False) if as_json else text)


def malformed(as_json: bool, why: str, verdict: str = "malformed", **data: str) -> NoReturn:
    """End with status 2 and the reason."""
    if as_json:
        typer.echo(json.dumps({"error": why, **data}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{verdict}: {why}", err=True)
    raise typer.Exit(2)


def read_json(path: Path) -> Any:
    """The JSON value in a file."""
    return json_text.loads(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """A file's content; ValueError with the reason if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
