"""``zkshare column``: columns of Paillier ciphertexts in Arrow files."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import AsJson, malformed, say
from zkcore.errors import Refused

app = typer.Typer(no_args_is_help=True, add_completion=False)

PublicKeyFile = Annotated[Path, typer.Argument(help="File of the public key.")]
PrivateKeyFile = Annotated[Path, typer.Argument(help="File of the private key.")]
ColumnFile = Annotated[Path, typer.Argument(help="Arrow IPC file with a column of ciphertexts.")]
Name = Annotated[str | None, typer.Option("--column", help="Name of the column, if there are several.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads; as many as processors unless said.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="File with the private key's passphrase; asked for unless said.")
]


@app.callback()
def column_app() -> None:
    """Columns of Paillier ciphertexts in Arrow files."""


@app.command("key")
def column_key(
    private_key: PrivateKeyFile,
    public_key: PublicKeyFile,
    bits: Annotated[int, typer.Option(help="Length of the modulus: 2048, 3072 or 4096.")] = 3072,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key pair: a private key under a passphrase, and the public key that belongs to it."""
    from homomorphic.paillier import generate_keypair
    from services.key_files import save_public, save_secret

    try:
        passphrase = _passphrase(passphrase_file, new=True)
        public, private = generate_keypair(bits)
        save_secret(private_key, private, passphrase)
        save_public(public_key, public)
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    except ValueError as error:
        malformed(as_json, str(error))
    say(as_json, {"key": public.fingerprint.hex()}, f"key {public.fingerprint.hex()}")


@app.command("encrypt")
def column_encrypt(
    public_key: PublicKeyFile,
    numbers: Annotated[Path, typer.Argument(help="Text file with a number a line.")],
    file: Annotated[Path, typer.Argument(help="Arrow IPC file to write.")],
    scale: Annotated[int, typer.Option(min=1, help="The numbers are multiples of 1 / scale, e.g. 100 for cents.")] = 1,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Encrypt numbers to a column."""
    import os
    from decimal import Decimal, InvalidOperation

    from homomorphic.paillier import PublicKey
    from services.columns import write_file
    from services.key_files import load_public

    try:
        key = load_public(PublicKey, public_key)
        lines = numbers.read_text(encoding="utf-8").split()
        column = key.encrypt([Decimal(line) for line in lines], scale=scale, threads=threads or os.cpu_count() or 1)
        write_file(file, [column])
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except InvalidOperation:
        malformed(as_json, f"{numbers}: is not a number a line")
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    except ValueError as error:
        malformed(as_json, str(error))
    say(as_json, {"key": key.fingerprint.hex(), "rows": len(column)}, f"{len(column)} rows")


@app.command("sum")
def column_sum(
    public_key: PublicKeyFile,
    file: ColumnFile,
    out: Annotated[Path | None, typer.Option(help="Write the sum as a column of one row to this file.")] = None,
    name: Name = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Add up a column without decrypting it; prints the sum's ciphertext as hexadecimal digits, or writes it."""
    from homomorphic.paillier import PublicKey
    from services.columns import sum_file, write_file
    from services.key_files import load_public

    try:
        key = load_public(PublicKey, public_key)
        ciphertext, scale = sum_file(key, file, name, threads)
        if out is not None:
            from homomorphic.column import CiphertextColumn

            write_file(out, [CiphertextColumn.from_ciphertexts(key, [ciphertext], scale=scale)])
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    except ValueError as error:
        malformed(as_json, str(error))
    total = key.ciphertext_to_bytes(ciphertext).hex()
    say(as_json, {"key": key.fingerprint.hex(), "scale": scale, "sum": total}, total if out is None else str(out))


@app.command("decrypt")
def column_decrypt(
    private_key: PrivateKeyFile,
    file: ColumnFile,
    name: Name = None,
    threads: Threads = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Decrypt a column; prints a number a line, fractions exactly."""
    import os

    from homomorphic.paillier import PrivateKey
    from services.columns import read_file
    from services.key_files import load_secret

    try:
        key = load_secret(PrivateKey, private_key, _passphrase(passphrase_file, new=False))
        threads = threads or os.cpu_count() or 1
        numbers = [str(x) for x in read_file(key.public_key, file, name, threads).decrypt_fractions(key)]
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    except ValueError as error:
        malformed(as_json, str(error))
    say(as_json, {"key": key.public_key.fingerprint.hex(), "numbers": numbers}, "\n".join(numbers))


def _passphrase(file: Path | None, *, new: bool) -> str:
    """The passphrase in a file that only its owner may read, or asked for."""
    from services.key_files import read_passphrase

    if file is None:
        return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True))
    return read_passphrase(file)
