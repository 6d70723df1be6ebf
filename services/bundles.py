"""A record's bundle: what a department issues to the enterprise that the record is about, as a file.

It holds the opening of the record's commitment: values, blinding, and the path to a root on the ledger. Secret: who has
it knows the record. So the file is readable by its owner only, and encrypted if there is a passphrase, as
:mod:`services.key_files` says.
"""

from pathlib import Path

from circuits.record import Opening
from circuits.schema import Schema
from services.files import read_secret, write_secret
from services.key_files import ENCRYPTED, WrongPassphrase, decrypt, encrypt, from_pem, to_pem

LABEL = "ZKSHARE RECORD OPENING"


def save(path: Path, opening: Opening, passphrase: str | None) -> None:
    """Write a bundle to a new file. Raises FileExistsError."""
    content = opening.to_bytes()
    write_secret(path, to_pem(LABEL, content) if passphrase is None else encrypt(LABEL, content, passphrase))


def load(path: Path, schema: Schema, passphrase: str | None) -> Opening:
    """Read a bundle of a record of this schema; raises InsecureKeyFile, WrongPassphrase, Malformed."""
    data = read_secret(path)
    if data.startswith(f"-----BEGIN {ENCRYPTED}".encode()):
        if passphrase is None:
            raise WrongPassphrase(path.name, "is encrypted; name the file of its passphrase")
        return Opening.from_bytes(decrypt(LABEL, data, passphrase, path.name), schema)
    if passphrase is not None:
        raise WrongPassphrase(path.name, "is not encrypted, though a passphrase was given")
    return Opening.from_bytes(from_pem(LABEL, data, path.name), schema)
