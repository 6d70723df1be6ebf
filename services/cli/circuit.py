"""``zkshare circuit``: what a circuit costs, and its files and witnesses for circom's world."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.ceremony import mapped, refusals, replace_file
from services.cli.output import AsJson, read_bytes, say

app = typer.Typer(no_args_is_help=True, add_completion=False)

CIRCUITS = ("filing", "credit_score", "membership")
Which = Annotated[str, typer.Argument(help="filing, credit_score or membership.")]
Known = Annotated[
    str, typer.Argument(help="filing, credit_score or membership; or a file: circuit.r1cs, circuit.zkey, circuit.key.")
]
SchemaFile = Annotated[Path | None, typer.Option(help="The dataset's schema, a TOML file; the example filing.toml.")]


@app.callback()
def circuit_app() -> None:
    """Circuits: their size, and export to .r1cs, .sym and .wtns."""


def _schema(path: Path | None) -> Any:
    """The schema in a file, or the example."""
    from importlib.resources import files

    from circuits.schema import Schema

    text = read_bytes(path) if path else (files("services.schemas") / "filing.toml").read_bytes()
    return Schema.from_toml(text.decode())


def _built(name: str, schema: Path | None) -> Any:
    """A circuit of ours for a schema."""
    from importlib import import_module

    if name not in CIRCUITS:
        raise ValueError(f"{name!r} is none of {', '.join(CIRCUITS)}, nor a file .r1cs, .zkey or .key")
    build: Callable[[Any], Any] = import_module(f"circuits.{name}").build
    return build(_schema(schema))


@app.command()
def info(circuit: Known, schema: SchemaFile = None, as_json: AsJson = False) -> None:
    """Constraints, wires and public inputs of a circuit, and where its constraints go (snarkjs r1cs info).

    For a circuit and for a proving key also what a proof takes of memory at most, on all cores.
    """
    from services.cli import proving_keys
    from zkcore.formats import r1cs
    from zkcore.groth16.proving_key import KeySize

    names: list[str] = []
    parts: dict[str, int] = {}
    constraints: dict[str, int] = {}
    with refusals(as_json):
        path = Path(circuit)
        if path.suffix in (".zkey", ".key"):
            size, digest = proving_keys.key_size(path, mapped(path))
        else:
            if path.suffix == ".r1cs":
                system = r1cs.read(mapped(path))
            else:
                built = _built(circuit, schema)
                system, names, parts = built.r1cs(), list(built.public_names), built.breakdown()
            size, digest, constraints = KeySize.of(system), system.digest(), {"constraints": system.n_constraints}
        needed = proving_keys.prover_memory(size)
    data = {
        "curve": "bn128",
        **constraints,
        "wires": size.n_wires,
        "public_inputs": size.n_public,
        "public_names": names,
        "domain": 1 << size.domain_bits,
        "digest": digest.hex() if digest else None,
        "prover_memory": needed,
        "breakdown": parts,
    }
    lines = [
        f"{name.replace('_', ' ')}: {'not in the file' if value is None else value}"
        for name, value in data.items()
        if not isinstance(value, dict | list) and name != "prover_memory"
    ]
    lines.append(f"memory to prove: up to {proving_keys.megabytes(needed)} on {proving_keys.THREADS} threads")
    lines += [f"public: {', '.join(names)}"] if names else []
    lines += [f"  {count:>7}  {label}" for label, count in parts.items()]
    say(as_json, data, "\n".join(lines))


@app.command()
def export(
    circuit: Which,
    folder: Annotated[Path, typer.Argument(help="Where CIRCUIT.r1cs and CIRCUIT.sym go; made if it is not there.")],
    schema: SchemaFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a circuit as .r1cs and .sym, for snarkjs, rapidsnark and other provers."""
    with refusals(as_json):
        built = _built(circuit, schema)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{folder}: {error.strerror}") from error
        files = {folder / f"{circuit}.r1cs": built.to_r1cs(), folder / f"{circuit}.sym": built.to_sym()}
        for path, content in files.items():
            replace_file(path, content)
    names = [str(path) for path in files]
    say(as_json, {"files": names}, "\n".join(names))


@app.command()
def witness(
    circuit: Annotated[str, typer.Argument(help="filing or membership.")],
    bundle: Annotated[Path, typer.Argument(help="A record's bundle, as its department issued it.")],
    wtns: Annotated[Path, typer.Argument(help="Where the witness goes; only its owner may read it, as the bundle.")],
    schema: SchemaFile = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File (mode 0600) whose first line opens the bundle.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the witness of a record (snarkjs wtns calculate), to be proved with by snarkjs, rapidsnark and others.

    A filing's commitments are blinded anew each time. To file, use zkshare submit, which also encrypts and links.
    """
    import secrets

    from circuits import filing, membership
    from services import bundles
    from services.key_files import read_passphrase
    from zkcore import babyjubjub
    from zkcore.formats import wtns as witness_file

    with refusals(as_json):
        found = _schema(schema)
        try:
            opening = bundles.load(bundle, found, None if passphrase_file is None else read_passphrase(passphrase_file))
        except OSError as error:
            raise ValueError(f"{error.filename}: {error.strerror}") from error
        statement: filing.Statement | membership.Statement
        if circuit == "filing":
            blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in found.fields]
            statement, _, values = filing.assign(found, opening, blindings)
        elif circuit == "membership":
            statement, values = membership.assign(found, opening)
        else:
            raise ValueError(f"{circuit!r} is neither filing nor membership, whose witness follows from a bundle")
        replace_file(wtns, witness_file.chunks(values), 0o600)
    public = [str(number) for number in statement.public_inputs()]
    say(as_json, {"wtns": str(wtns), "public": public}, f"{wtns}: {len(values)} wires, {len(public)} public inputs")
