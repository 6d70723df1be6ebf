"""The ``zkshare`` command. Each command imports what it needs when it runs, so that short ones start quickly.

Exit status: 0 valid or done, 1 a proof or receipt that does not hold, 2 input that is malformed or missing.
"""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from zkcore.errors import Refused

app = typer.Typer(
    name="zkshare",
    help="Private records, public answers: credit scores and aggregate queries, each with a proof anyone can check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
proof_app = typer.Typer(help="Groth16 proofs over BN254 in snarkjs's JSON.", no_args_is_help=True)
receipt_app = typer.Typer(help="Receipts of aggregate queries.", no_args_is_help=True)
app.add_typer(proof_app, name="proof")
app.add_typer(receipt_app, name="receipt")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def say(as_json: bool, data: dict[str, Any], text: str) -> None:
    """Print ``data`` as JSON or ``text`` for a person."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False) if as_json else text)


def malformed(as_json: bool, why: str, **data: str) -> NoReturn:
    """End with status 2 and the reason."""
    if as_json:
        typer.echo(json.dumps({"error": why, **data}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"malformed: {why}", err=True)
    raise typer.Exit(2)


def read_json(path: Path) -> Any:
    """The JSON value in a file; numbers stay text-exact because snarkjs writes them as strings."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error


@proof_app.command("verify")
def proof_verify(
    verification_key: Annotated[Path, typer.Argument(help="verification_key.json")],
    public: Annotated[Path, typer.Argument(help="public.json")],
    proof: Annotated[Path, typer.Argument(help="proof.json")],
    as_json: AsJson = False,
) -> None:
    """Verify a proof made by snarkjs or zkshare (the order of arguments is snarkjs's)."""
    from zkcore.formats import snarkjs
    from zkcore.groth16 import Proof, VerifyingKey

    try:
        key = VerifyingKey.from_snarkjs(read_json(verification_key))
        inputs = snarkjs.public_from_json(read_json(public))
        valid = key.prepare().verify(Proof.from_snarkjs(read_json(proof)), inputs)
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    say(as_json, {"valid": valid}, "valid" if valid else "invalid: the proof does not hold for these public inputs")
    raise typer.Exit(0 if valid else 1)


def main() -> None:
    """Entry point of the ``zkshare`` command."""
    app()
