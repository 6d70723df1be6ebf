"""``zkshare network``: what all parties of a network agree on, as a folder of files."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.asking import telling
from services.cli.output import AsJson, read_bytes, read_json, say

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def network_app() -> None:
    """The public parameters: authority, operator, trustees and their key, datasets and the keys of their circuits."""


@app.command("make")
def make(
    out: Annotated[Path, typer.Argument(help="Folder for the parameters; what it has of them is replaced.")],
    authority: Annotated[Path, typer.Option(help="The authority's certificate, authority.pem.")],
    operator: Annotated[str, typer.Option(help="Name of the operator.")],
    trustee: Annotated[list[str], typer.Option(help="Name of each trustee, in the order of their shares.")],
    committee: Annotated[Path, typer.Option(help="The trustees' key, committee.pem.")],
    schema: Annotated[list[Path], typer.Option(help="Schema of each dataset, a TOML file.")],
    keys: Annotated[Path, typer.Option(help="Folder of the circuits' keys; those that are missing are made there.")],
    as_json: AsJson = False,
) -> None:
    """Write the folder that every party is given, and the proving keys that enterprises need.

    Keys made here come from a development setup: whoever makes them could forge proofs. A ceremony's keys take their
    place in the folder of keys (zkshare proof setup, contribute, beacon, then zkshare network take-key).
    """
    from circuits import credit_score, filing
    from circuits.schema import Schema
    from homomorphic.threshold import ThresholdKey
    from services import parameter_files
    from services.identity import Authority
    from services.key_files import load_public
    from services.keys import circuit_keys
    from services.parameters import Dataset, PublicParameters
    from services.terminal import Terminal
    from zkcore.errors import Malformed

    with telling(as_json):
        key = load_public(ThresholdKey, committee)
        if len(set(trustee)) != len(trustee) or len(trustee) != key.parties:
            raise Malformed("--trustee", f"the committee has {key.parties} trustees; name each once, in order")
        datasets = []
        terminal = Terminal(len(schema), data_on_stdout=as_json)
        for path in schema:
            read = Schema.from_toml(path.read_text(encoding="utf-8"))
            with terminal.step(read.name, f"Keys of the circuits of {read.name}") as step:
                made = [
                    circuit_keys(circuit, step.fraction, keys).verifying_key
                    for circuit in (filing.build(read), credit_score.build(read))
                ]
            datasets.append(Dataset(read, made[0], made[1]))
        datasets.sort(key=lambda dataset: dataset.name)
        trusted = Authority.from_pem(read_bytes(authority))
        parameters = PublicParameters(trusted, operator, tuple(trustee), key, tuple(datasets))
        parameter_files.save(parameters, out)
    data = {"folder": str(out), "committee": key.fingerprint.hex(), "datasets": [each.name for each in datasets]}
    say(as_json, data, f"datasets {', '.join(data['datasets'])}; committee {data['committee']}: {out}")


@app.command("take-key")
def take_key(
    keys: Annotated[Path, typer.Argument(help="Folder of the circuits' keys; made if it is not there.")],
    circuit: Annotated[str, typer.Argument(help="filing or credit_score.")],
    zkey: Annotated[Path, typer.Argument(help="The key that the ceremony ended with, verified before.")],
    schema: Annotated[Path, typer.Option(help="Schema of the dataset, a TOML file.")],
    as_json: AsJson = False,
) -> None:
    """Put a ceremony's key into the folder of keys, before the network is made with it (zkshare network make).

    The ceremony is of the circuit that `zkshare circuit export CIRCUIT --schema SCHEMA` writes; see who contributed,
    and that all of it is right, with `zkshare proof verify-key`.
    """
    from circuits import credit_score, filing
    from circuits.schema import Schema
    from services import keys as kept
    from services.cli.ceremony import mapped
    from zkcore.errors import Malformed

    with telling(as_json):
        build = {"filing": filing.build, "credit_score": credit_score.build}.get(circuit)
        if build is None:
            raise Malformed("CIRCUIT", f"{circuit!r} is none of filing, credit_score")
        built = build(Schema.from_toml(schema.read_text(encoding="utf-8")))
        digest = kept.take_key(built, mapped(zkey), keys).digest().hex()
    folder = kept.folder_of(built, keys)
    say(as_json, {"verifying_key": digest, "folder": str(folder)}, f"verifying key {digest}: {folder}")


@app.command("change-trustees")
def change_trustees(
    folder: Annotated[Path, typer.Argument(help="Folder of the parameters; changed in place.")],
    trustee: Annotated[list[str], typer.Option(help="Name of each new trustee, in the order of their shares.")],
    committee: Annotated[Path, typer.Option(help="The new committee.pem, from zkshare committee receive.")],
    as_json: AsJson = False,
) -> None:
    """Take a new committee of the same key into the parameters; publish them then (zkshare registry publish)."""
    from dataclasses import replace

    from homomorphic.threshold import ThresholdKey
    from services import parameter_files
    from services.key_files import load_public
    from zkcore.errors import Malformed

    with telling(as_json):
        key, before = load_public(ThresholdKey, committee), parameter_files.load(folder)
        if key.public_key.fingerprint != before.threshold_key.public_key.fingerprint:
            raise Malformed("--committee", "it is a committee of another key; records are encrypted under the old one")
        if len(set(trustee)) != len(trustee) or len(trustee) != key.parties:
            raise Malformed("--trustee", f"the committee has {key.parties} trustees; name each once, in order")
        parameter_files.save(replace(before, trustees=tuple(trustee), threshold_key=key), folder)
    data = {"folder": str(folder), "committee": key.fingerprint.hex(), "trustees": trustee}
    say(as_json, data, f"trustees {', '.join(trustee)}; committee {key.fingerprint.hex()}: {folder}")


@app.command("model")
def model(
    folder: Annotated[Path, typer.Argument(help="Folder of the parameters.")],
    scorecard: Annotated[Path, typer.Argument(help="The scorecard, a JSON file.")],
    dataset: Annotated[str, typer.Option(help="The dataset that it is over.")],
    as_json: AsJson = False,
) -> None:
    """Print a scorecard's model hash: what a bank registers, and what an enterprise's policy names."""
    from circuits.scorecard import Scorecard
    from services import parameter_files

    with telling(as_json):
        schema = parameter_files.load(folder).named(dataset).schema
        found = f"{Scorecard.from_dict(read_json(scorecard)).model_hash(schema):#066x}"
    say(as_json, {"model_hash": found}, found)
