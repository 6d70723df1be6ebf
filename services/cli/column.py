"""``zkshare column``: columns of Paillier ciphertexts in Arrow files."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import AsJson, malformed, read_bytes, say
from zkcore.errors import Refused

app = typer.Typer(no_args_is_help=True, add_completion=False)

PublicKeyFile = Annotated[Path, typer.Argument(help="File of the public key.")]
ColumnFile = Annotated[Path, typer.Argument(help="Arrow IPC file with a column of ciphertexts.")]
Name = Annotated[str | None, typer.Option("--column", help="Name of the column, if there are several.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads; as many as processors unless said.")]


@app.callback()
def column_app() -> None:
    """Columns of Paillier ciphertexts in Arrow files."""


@app.command("sum")
def column_sum(
    public_key: PublicKeyFile, file: ColumnFile, name: Name = None, threads: Threads = None, as_json: AsJson = False
) -> None:
    """Add up a column without decrypting it; prints the sum's ciphertext as hexadecimal digits."""
    from homomorphic.paillier import PublicKey
    from services.columns import sum_file

    try:
        key = PublicKey.from_bytes(read_bytes(public_key))
        total = key.ciphertext_to_bytes(sum_file(key, file, name, threads)).hex()
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except (ValueError, OSError) as error:
        malformed(as_json, str(error))
    say(as_json, {"key": key.fingerprint.hex(), "sum": total}, total)
