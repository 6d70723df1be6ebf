"""Groth16 keys of the circuits, made once and kept in the user's data directory.

The keys come from a development setup: whoever ran it could have kept the trapdoor and forge proofs, so they serve
demonstrations and tests on one machine. A ceremony's key can take their place: the files are named by the digest of
the circuit's constraint system, and a key file whose constraint system differs is refused.

``ZKSHARE_HOME`` overrides the directory, which otherwise follows the platform's convention.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from circuits.constraints import Circuit
from services.files import private_map, replaced, write_atomically
from zkcore.errors import Malformed
from zkcore.formats import mapped_key, zkey
from zkcore.groth16 import ProvingKey, VerifyingKey, setup

Progress = Callable[[float], None]

PROVING_KEY, VERIFYING_KEY = "proving.key", "verifying.key"


def home() -> Path:
    """The directory where zkshare keeps what it made for this user."""
    return Path(os.environ.get("ZKSHARE_HOME") or platformdirs.user_data_path("zkshare"))


@dataclass(frozen=True)
class CircuitKeys:
    """Both keys of one circuit and where its proving key came from."""

    proving_key: ProvingKey
    verifying_key: VerifyingKey
    origin: str


def kept_keys(circuit: Circuit, directory: Path) -> CircuitKeys | None:
    """The keys of a circuit if the directory has them; raises Malformed as :func:`circuit_keys` does."""
    folder = folder_of(circuit, directory)
    proving_path, verifying_path = folder / PROVING_KEY, folder / VERIFYING_KEY
    if not (proving_path.exists() and verifying_path.exists()):
        return None
    try:
        proving_key = mapped_key.read(private_map(proving_path))
        verifying_key = VerifyingKey.from_bytes(verifying_path.read_bytes())
    except ValueError as error:
        raise Malformed(
            str(proving_path), f"the key files do not read back ({error}); delete {folder} to make new ones"
        ) from error
    if proving_key.r1cs_digest != circuit.r1cs().digest():
        raise Malformed(str(proving_path), f"it belongs to another constraint system; delete {folder}")
    return CircuitKeys(proving_key, verifying_key, "development setup, kept from an earlier run")


def circuit_keys(circuit: Circuit, progress: Progress | None = None, directory: Path | None = None) -> CircuitKeys:
    """The keys of a circuit: read from disk, or made by a development setup and written there.

    Parameters
    ----------
    circuit
        The circuit; its constraint system's digest names the files.
    progress
        Called with the fraction done, from 0 to 1, while a setup runs.
    directory
        Where keys are kept; ``circuits`` below :func:`home` unless told.

    Raises
    ------
    zkcore.errors.Malformed
        If a key file is damaged or belongs to another constraint system; the message names the file to delete.
    """
    directory = directory or home() / "circuits"
    if kept := kept_keys(circuit, directory):
        return kept
    proving_key, verifying_key = setup(circuit.r1cs(), progress, os.cpu_count() or 1)
    folder = folder_of(circuit, directory)
    with replaced(folder / PROVING_KEY) as file:
        file.writelines(mapped_key.chunks(proving_key))
    write_atomically(folder / VERIFYING_KEY, verifying_key.to_bytes())
    return CircuitKeys(proving_key, verifying_key, "development setup, made now")


def take_key(circuit: Circuit, ceremony: memoryview, directory: Path) -> VerifyingKey:
    """Keeps the key that a ceremony ended with (a .zkey) as a circuit's, and returns its verifying key.

    Raises
    ------
    zkcore.errors.Refused
        It is another circuit's, or damaged, or the directory has keys of this circuit.
    """
    folder = folder_of(circuit, directory)
    if (folder / VERIFYING_KEY).exists():
        raise Malformed(str(folder), "there are keys of this circuit; keys are never overwritten, name another folder")
    with replaced(folder / PROVING_KEY) as file:
        file.writelines(zkey.convert(ceremony, circuit.r1cs(), os.cpu_count() or 1))
    key = mapped_key.read(private_map(folder / PROVING_KEY)).verifying_key
    write_atomically(folder / VERIFYING_KEY, key.to_bytes())
    return key


def folder_of(circuit: Circuit, directory: Path) -> Path:
    """Where a directory of keys has those of a circuit."""
    return directory / f"{circuit.name}-{circuit.digest().hex()[:32]}-{mapped_key.FILE_VERSION}"
