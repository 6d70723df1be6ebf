"""``zkshare proof setup|contribute|beacon|verify-key|export-key|convert-key|prove``: keys from a ceremony, and proofs.

Files and the order of arguments are those of snarkjs 0.7: a key begun here may be continued there, and the reverse.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.output import AsJson, malformed, say
from services.files import private_map, replaced
from zkcore.errors import Refused

Text = Annotated[str, typer.Option(help="Who contributes; anyone who verifies the key sees it.")]


def mapped(path: Path) -> memoryview:
    """A file's content without reading it at once; ValueError with the reason if it cannot be read."""
    try:
        return private_map(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise ValueError(f"{path}: the file is empty") from error


def replace_file(path: Path, content: str | Iterable[bytes | memoryview], mode: int = 0o644) -> None:
    """Write a text, or a file by its chunks, whole or not at all; ValueError with the reason if it can't be written."""
    try:
        with replaced(path, mode) as file:
            for chunk in [content.encode()] if isinstance(content, str) else content:
                file.write(chunk)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """A bar on standard error, gone when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=1.0)
        yield lambda done: shown.update(task, completed=done)


@contextmanager
def refusals(as_json: bool) -> Iterator[None]:
    """End with status 2 and the reason where input is refused."""
    try:
        yield
    except Refused as error:
        malformed(as_json, str(error), "refused", check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))


R1csFile = Annotated[Path, typer.Argument(help="circuit.r1cs")]
ProvingKeyFile = Annotated[Path, typer.Argument(help="The proving key: circuit.zkey, or converted.")]


def _circuit_and_powers(r1cs: Path, ptau: Path) -> tuple[Any, Any]:
    """The constraint system and the powers of tau in files."""
    from zkcore.formats import ptau as powers_of_tau
    from zkcore.formats import r1cs as constraint_system

    return constraint_system.read(mapped(r1cs)), powers_of_tau.read(mapped(ptau))


def setup(
    r1cs: R1csFile,
    ptau: Annotated[Path, typer.Argument(help="Powers of tau, prepared for phase 2.")],
    zkey: Annotated[Path, typer.Argument(help="Where the first key goes; let others contribute before it is used.")],
    as_json: AsJson = False,
) -> None:
    """Begin a circuit's ceremony: its first key, from powers of tau (snarkjs groth16 setup)."""
    from zkcore.formats import zkey as proving_key
    from zkcore.groth16 import ceremony

    with refusals(as_json), progress("first key") as tell:
        system, powers = _circuit_and_powers(r1cs, ptau)
        key, contributions = ceremony.begin(system, powers, os.cpu_count() or 1, tell)
        replace_file(zkey, proving_key.chunks(key, contributions))
    data = {"zkey": str(zkey), "circuit_digest": contributions.circuit_digest.hex()}
    say(
        as_json, data, f"{zkey}: circuit {data['circuit_digest'][:32]}…; next: zkshare proof contribute {zkey} NEW.zkey"
    )


def _extended(old: Path, new: Path, as_json: bool, extend: Callable[..., tuple[Any, Any]]) -> None:
    """Read a key, extend its ceremony, write it, and say the contribution's digest."""
    from zkcore.formats import zkey as proving_key

    with refusals(as_json), progress("contribution") as tell:
        data = mapped(old)
        key, contributions = extend(
            proving_key.read(data), proving_key.read_contributions(data), os.cpu_count() or 1, tell
        )
        replace_file(new, proving_key.chunks(key, contributions))
    digest = contributions.contributions[-1].digest().hex()
    number = len(contributions.contributions)
    report = {"zkey": str(new), "contribution": number, "digest": digest}
    say(as_json, report, f"{new}: contribution {number}, to be published by its maker:\n{digest}")


def contribute(
    old: Annotated[Path, typer.Argument(help="The key that the contributor before made.")],
    new: Annotated[Path, typer.Argument(help="Where the new key goes.")],
    name: Text = "",
    entropy: Annotated[
        str, typer.Option("--entropy", "-e", help="Anything; mixed with the system's randomness, which is enough.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Multiply a secret number into a key and forget it (snarkjs zkey contribute)."""
    from zkcore.groth16 import ceremony

    _extended(
        old, new, as_json, lambda key, before, *how: ceremony.contribute(key, before, entropy.encode(), name, *how)
    )


def beacon(
    old: Annotated[Path, typer.Argument(help="The key that the last contributor made.")],
    new: Annotated[Path, typer.Argument(help="Where the final key goes.")],
    value: Annotated[str, typer.Argument(help="Public random value, hexadecimal, announced beforehand where from.")],
    iterations: Annotated[int, typer.Argument(help="It is hashed 2^ITERATIONS times, 10 to 40.")],
    name: Text = "",
    as_json: AsJson = False,
) -> None:
    """End a ceremony with a public random value (snarkjs zkey beacon)."""
    from zkcore.groth16 import ceremony

    with refusals(as_json):
        try:
            found = bytes.fromhex(value.removeprefix("0x"))
        except ValueError:
            raise ValueError(f"beacon: {value!r} is not hexadecimal") from None
        made = ceremony.Beacon(found, iterations)
    _extended(old, new, as_json, lambda key, before, *how: ceremony.apply_beacon(key, before, made, name, *how))


def verify_key(
    r1cs: R1csFile,
    ptau: Annotated[Path, typer.Argument(help="The powers of tau that the ceremony began with.")],
    zkey: Annotated[Path, typer.Argument(help="The key to verify.")],
    as_json: AsJson = False,
) -> None:
    """Verify that a key is for a circuit and came through all its contributions (snarkjs zkey verify)."""
    from zkcore.formats import zkey as proving_key
    from zkcore.groth16 import ceremony

    with refusals(as_json), progress("verification") as tell:
        (system, powers), data = _circuit_and_powers(r1cs, ptau), mapped(zkey)
        contributions = proving_key.read_contributions(data)
        proving_key.check_subgroup(data, os.cpu_count() or 1)
        try:
            digests = ceremony.verify(system, powers, proving_key.read(data), contributions, os.cpu_count() or 1, tell)
        except (ceremony.WrongTranscript, ceremony.WrongContribution, ceremony.WrongCircuit) as error:
            report = {"valid": False, "check": error.check, "part": error.part, "why": error.why}
            say(as_json, report, f"invalid: {error}")
            raise typer.Exit(1) from None
    made: list[dict[str, Any]] = [
        {"name": each.name, "beacon": each.beacon.value.hex() if each.beacon else None, "digest": digest.hex()}
        for each, digest in zip(contributions.contributions, digests, strict=True)
    ]
    lines = [f"valid: {len(made)} contributions; circuit {contributions.circuit_digest.hex()[:32]}…"]
    lines += [
        f"  {number}. {each['name'] or '(no name)'}{', a beacon' if each['beacon'] else ''}: {each['digest'][:32]}…"
        for number, each in enumerate(made, 1)
    ]
    if not made:
        lines.append("  nobody has contributed: whoever knows tau could forge proofs, and delta is 1")
    report = {"valid": True, "circuit_digest": contributions.circuit_digest.hex(), "contributions": made}
    say(as_json, report, "\n".join(lines))


def export_key(
    proving_key: ProvingKeyFile,
    verification_key: Annotated[Path, typer.Argument(help="verification_key.json")],
    as_json: AsJson = False,
) -> None:
    """Take the verifying key out of a proving key (snarkjs zkey export verificationkey)."""
    import json

    from services.cli.proving_keys import read_key

    with refusals(as_json):
        key = read_key(proving_key, mapped(proving_key)).verifying_key
        replace_file(verification_key, json.dumps(key.to_snarkjs(), indent=1) + "\n")
    data = {"verification_key": str(verification_key), "n_public": key.n_public, "digest": key.digest().hex()}
    say(as_json, data, f"{verification_key}: {key.n_public} public inputs, digest {data['digest']}")


def convert_key(
    r1cs: R1csFile,
    zkey: Annotated[Path, typer.Argument(help="The circuit's proving key from its ceremony.")],
    proving_key: Annotated[Path, typer.Argument(help="Where the key goes, in zkshare's own format.")],
    as_json: AsJson = False,
) -> None:
    """Write a .zkey as a proving key that is used where it lies in the file, so that proofs begin at once.

    It is checksummed and tied to its circuit. Verify the .zkey first (zkshare proof verify-key): a key does not hold
    all of its circuit.
    """
    from zkcore.formats import r1cs as constraint_system
    from zkcore.formats import zkey as proving_keys

    with refusals(as_json), progress("conversion") as tell:
        system, data = constraint_system.read(mapped(r1cs)), mapped(zkey)

        def chunks() -> Iterator[bytes | memoryview]:
            written = 0
            for chunk in proving_keys.convert(data, system, os.cpu_count() or 1):
                yield chunk
                written += len(chunk)
                tell(min(1.0, written / len(data)))

        replace_file(proving_key, chunks())
    digest = system.digest().hex()
    say(as_json, {"proving_key": str(proving_key), "digest": digest}, f"{proving_key}: circuit {digest}")


def prove(
    proving_key: ProvingKeyFile,
    wtns: Annotated[Path, typer.Argument(help="The witness.")],
    proof: Annotated[Path, typer.Argument(help="proof.json")],
    public: Annotated[Path, typer.Argument(help="public.json")],
    r1cs: Annotated[
        Path | None, typer.Option(help="circuit.r1cs: if no proof comes out, says if the witness or the key is wrong.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove (snarkjs groth16 prove); the proof is verified before it is written.

    What it takes of memory is said before it begins, and where there is not as much, it does not begin.
    """
    import json

    from services.cli import proving_keys
    from zkcore import groth16
    from zkcore.formats import r1cs as constraint_system
    from zkcore.formats import snarkjs
    from zkcore.formats import wtns as witness

    with refusals(as_json), progress("proof") as tell:
        data = mapped(proving_key)
        needed = proving_keys.prover_memory(proving_keys.key_size(proving_key, data)[0])
        proving_keys.check_memory(needed)
        if not as_json:
            typer.echo(f"takes up to {proving_keys.megabytes(needed)} of memory", err=True)
        key, values = proving_keys.read_key(proving_key, data), witness.read(mapped(wtns))
        del data  # a .zkey was copied, and need not stay in memory
        system = None if r1cs is None else constraint_system.read(mapped(r1cs))
        made, inputs = groth16.prove(key, values, tell, proving_keys.THREADS, system)
        replace_file(proof, json.dumps(made.to_snarkjs(), indent=1) + "\n")
        replace_file(public, json.dumps(snarkjs.public_to_json(inputs), indent=1) + "\n")
    report = {"proof": str(proof), "public": str(public), "memory": needed}
    say(as_json, report, f"{proof} and {public} written, and verified")


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``zkshare proof``."""
    for name, command in (
        *(("setup", setup), ("contribute", contribute), ("beacon", beacon), ("verify-key", verify_key)),
        *(("export-key", export_key), ("convert-key", convert_key), ("prove", prove)),
    ):
        app.command(name)(command)
