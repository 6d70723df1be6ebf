"""``zkshare circuit``: what a circuit costs, and its files for circom's world."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.ceremony import mapped, refusals, replace_file
from services.cli.output import AsJson, read_bytes, say

app = typer.Typer(no_args_is_help=True, add_completion=False)

CIRCUITS = ("filing", "credit_score", "membership")
Which = Annotated[str, typer.Argument(help="filing, credit_score or membership; for info also a file circuit.r1cs.")]
SchemaFile = Annotated[Path | None, typer.Option(help="The dataset's schema, a TOML file; the example filing.toml.")]


@app.callback()
def circuit_app() -> None:
    """Circuits: their size, and export to .r1cs and .sym."""


def _built(name: str, schema: Path | None) -> Any:
    """A circuit of ours for a schema."""
    from importlib import import_module
    from importlib.resources import files

    from circuits.schema import Schema

    if name not in CIRCUITS:
        raise ValueError(f"{name!r} is none of {', '.join(CIRCUITS)}, nor a file .r1cs")
    text = read_bytes(schema) if schema else (files("services.schemas") / "filing.toml").read_bytes()
    build: Callable[[Schema], Any] = import_module(f"circuits.{name}").build
    return build(Schema.from_toml(text.decode()))


@app.command()
def info(circuit: Which, schema: SchemaFile = None, as_json: AsJson = False) -> None:
    """Constraints, wires and public inputs of a circuit, and where its constraints go (snarkjs r1cs info)."""
    from zkcore.formats import r1cs

    with refusals(as_json):
        if circuit.endswith(".r1cs"):
            system, names, parts = r1cs.read(mapped(Path(circuit))), [], {}
        else:
            built = _built(circuit, schema)
            system, names, parts = built.r1cs(), list(built.public_names), built.breakdown()
    rows = system.n_constraints + system.n_public + 1
    data = {
        "curve": "bn128",
        "constraints": system.n_constraints,
        "wires": system.n_wires,
        "public_inputs": system.n_public,
        "public_names": names,
        "domain": 1 << (rows - 1).bit_length(),
        "digest": system.digest().hex(),
        "breakdown": parts,
    }
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in data.items() if not isinstance(value, dict | list)]
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
