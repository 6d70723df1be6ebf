"""The public parameters of a network as a folder of files that every party of it is given.

    network.toml         operator, trustees in the order of their shares, datasets
    authority.pem        certificate of the authority
    revoked.pem          certificates that it took back (services.revocation); if there are any
    committee.pem        the trustees' threshold key
    <dataset>.toml       schema
    <dataset>.filing     verifying key of the filing circuit
    <dataset>.score      verifying key of the credit-score circuit

Nothing here is secret, and nothing is believed: a party compares it with the digests on the ledger when it starts, and
the list of revoked certificates is signed by the authority.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from circuits.schema import Schema
from homomorphic.threshold import ThresholdKey
from services.files import write_atomically
from services.identity import Authority
from services.key_files import load_public, save_public
from services.parameters import Dataset, PublicParameters
from services.revocation import REVOKED_FILE
from zkcore.errors import Malformed
from zkcore.groth16 import VerifyingKey

NETWORK, AUTHORITY, COMMITTEE = "network.toml", "authority.pem", "committee.pem"
KEYS = {"operator", "trustees", "datasets"}


def save(parameters: PublicParameters, folder: Path) -> None:
    """Write the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / AUTHORITY, parameters.authority.to_pem())
    save_public(folder / COMMITTEE, parameters.threshold_key)
    for dataset in parameters.datasets:
        write_atomically(folder / f"{dataset.name}.toml", dataset.schema.to_toml().encode())
        write_atomically(folder / f"{dataset.name}.filing", dataset.filing_key.to_bytes())
        write_atomically(folder / f"{dataset.name}.score", dataset.score_key.to_bytes())
    text = "".join(
        f"{key} = {json.dumps(value)}\n"
        for key, value in {
            "operator": parameters.operator,
            "trustees": list(parameters.trustees),
            "datasets": [dataset.name for dataset in parameters.datasets],
        }.items()
    )
    write_atomically(folder / NETWORK, text.encode())


def load(folder: Path) -> PublicParameters:
    """Read what :func:`save` wrote; raises Malformed naming the part, OSError if a file cannot be read."""
    try:
        values = tomllib.loads((folder / NETWORK).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed(NETWORK, f"is not TOML: {error}") from None
    if set(values) != KEYS or not isinstance(values["operator"], str):
        raise Malformed(NETWORK, f"must have {', '.join(sorted(KEYS))} and nothing else")
    return PublicParameters(
        authority=load_authority(folder),
        operator=values["operator"],
        trustees=_names(values, "trustees"),
        threshold_key=load_public(ThresholdKey, folder / COMMITTEE),
        datasets=tuple(_dataset(folder, name) for name in sorted(_names(values, "datasets"))),
    )


def load_authority(folder: Path) -> Authority:
    """The authority alone, with its list of revoked certificates, which is read anew whenever it changes."""
    return Authority.from_pem((folder / AUTHORITY).read_bytes(), folder / REVOKED_FILE)


def _dataset(folder: Path, name: str) -> Dataset:
    schema = Schema.from_toml((folder / f"{name}.toml").read_text(encoding="utf-8"))
    if schema.name != name:
        raise Malformed(f"{name}.toml", f"is the schema of {schema.name}")
    filing, score = ((folder / f"{name}.{kind}").read_bytes() for kind in ("filing", "score"))
    return Dataset(schema, VerifyingKey.from_bytes(filing), VerifyingKey.from_bytes(score))


def _names(values: dict[str, Any], key: str) -> tuple[str, ...]:
    names = values[key]
    plain = isinstance(names, list) and all(isinstance(name, str) and name and "/" not in name for name in names)
    if not plain or len(set(names)) != len(names):
        raise Malformed(f"{NETWORK}.{key}", "must be a list of different names")
    return tuple(names)
