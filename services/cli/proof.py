"""``zkshare proof``: Groth16 proofs over BN254 in snarkjs's JSON."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services.cli import ceremony
from services.cli.output import AsJson, malformed, read_json, say
from zkcore.errors import Refused

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def proof_app() -> None:
    """Groth16 proofs over BN254 in snarkjs's JSON."""


@app.command("verify")
def proof_verify(
    verification_key: Annotated[Path, typer.Argument(help="verification_key.json")],
    public: Annotated[Path | None, typer.Argument(help="public.json")] = None,
    proof: Annotated[Path | None, typer.Argument(help="proof.json")] = None,
    batch: Annotated[
        Path | None, typer.Option(help="Verify every proof.json below this folder, with the public.json beside it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a proof made by snarkjs or zkshare (the order of arguments is snarkjs's), or a folder of them at once."""
    if (batch is None) == (public is None or proof is None):
        raise typer.BadParameter("give public.json and proof.json, or --batch and a folder")
    from zkcore.formats import snarkjs
    from zkcore.groth16.keys import Proof, VerifyingKey
    from zkcore.groth16.once import verify_once

    try:
        document = read_json(verification_key)
        if batch is not None:
            prepared = VerifyingKey.from_snarkjs(document).prepare()

            def read(public_path: Path, proof_path: Path) -> tuple[Proof, list[int]]:
                inputs = snarkjs.public_from_json(read_json(public_path))
                prepared.check_public(inputs)
                return Proof.from_snarkjs(read_json(proof_path)), inputs

            verify_folder(batch, prepared.verify_batch, read, as_json)
        key = snarkjs.read_verifying_key(document)
        inputs = snarkjs.public_from_json(read_json(Path(str(public))))
        valid = verify_once(key, Proof.from_snarkjs(read_json(Path(str(proof)))), inputs)
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    say(as_json, {"valid": valid}, "valid" if valid else "invalid: the proof does not hold for these public inputs")
    raise typer.Exit(0 if valid else 1)


def verify_folder(
    folder: Path, verify_batch: Callable[..., list[int]], read: Callable[[Path, Path], Any], as_json: bool
) -> NoReturn:
    """Verify the proofs below a folder together; ends with status 2 if one is malformed, else 1 if one is invalid."""
    paths = sorted(folder.rglob("proof.json"))
    if not paths:
        raise ValueError(f"{folder}: no proof.json in it or below it")
    unreadable: dict[str, str] = {}
    taken: list[Path] = []

    def items() -> Iterator[Any]:
        for path in paths:
            try:
                item = read(path.with_name("public.json"), path)
            except ValueError as error:
                unreadable[str(path)] = str(error)
                continue
            taken.append(path)
            yield item

    invalid = [str(taken[index]) for index in verify_batch(items(), threads=os.cpu_count() or 1)]
    data = {"valid": len(taken) - len(invalid), "invalid": invalid, "malformed": unreadable}
    lines = [f"{data['valid']} valid, {len(invalid)} invalid, {len(unreadable)} malformed"]
    lines += [f"invalid: {path}" for path in invalid]
    lines += [f"malformed: {path}: {why}" for path, why in unreadable.items()]
    say(as_json, data, "\n".join(lines))
    raise typer.Exit(2 if unreadable else 1 if invalid else 0)


ceremony.add_to(app)
