"""Keys of homomorphic encryption in files: PEM (RFC 7468), secret ones readable by their owner only and encrypted.

A public key or a committee's key is a PEM block of its canonical bytes. A private key or a trustee's share goes to a
file of mode 0600, under a passphrase in a block "ENCRYPTED ...": its bytes are encrypted by AES-256-GCM (NIST SP
800-38D) under a key that scrypt (RFC 7914, N = 2^17, r = 8, p = 1: 128 MiB and some tenths of a second a guess)
derives from the passphrase and a fresh salt; label and parameters are authenticated. So a file shows whose kind it is,
and nothing else; it is as strong as the passphrase. Without one the file is protected by its mode alone.
"""

import base64
import binascii
import secrets
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from homomorphic.encoding import Reader, Writer
from homomorphic.paillier import PrivateKey, PublicKey
from services.files import read_secret, write_atomically, write_secret
from zkcore.errors import Malformed, OutOfRange, Refused

if TYPE_CHECKING:  # imports Numba, which a command that only adds up a column does without
    from homomorphic.threshold import KeyShare, ThresholdKey

LABELS = {
    "PublicKey": "ZKSHARE PAILLIER PUBLIC KEY",
    "PrivateKey": "ZKSHARE PAILLIER PRIVATE KEY",
    "ThresholdKey": "ZKSHARE COMMITTEE KEY",
    "KeyShare": "ZKSHARE COMMITTEE KEY SHARE",
}
ENCRYPTED = "ENCRYPTED "

PublicT = TypeVar("PublicT", PublicKey, "ThresholdKey")
SecretT = TypeVar("SecretT", PrivateKey, "KeyShare")

_TAG = b"zks-encr"
_LOG_COST, _BLOCK, _LANES = 17, 8, 1
_MOST_LOG_COST, _MOST_BLOCK, _MOST_LANES = 20, 16, 4
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32


class WrongPassphrase(Refused):
    """A key file does not open: its passphrase is another one, is missing or not wanted, or the file was altered."""


def to_pem(label: str, content: bytes) -> bytes:
    """A PEM block (RFC 7468, section 3)."""
    body = "\n".join(textwrap.wrap(base64.b64encode(content).decode("ascii"), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode("ascii")


def from_pem(label: str, data: bytes, part: str) -> bytes:
    """The content of the one PEM block of this label; raises Malformed for anything else."""
    try:
        lines = data.decode("ascii").strip().splitlines()
        if lines[0] != f"-----BEGIN {label}-----" or lines[-1] != f"-----END {label}-----":
            raise Malformed(part, f"is not one whole PEM block with the label {label}")
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except (IndexError, UnicodeDecodeError, binascii.Error):
        raise Malformed(part, "is not a PEM block") from None


def _derive(passphrase: str, salt: bytes, log_cost: int, block: int, lanes: int) -> bytes:
    kdf = Scrypt(salt=salt, length=_KEY_BYTES, n=1 << log_cost, r=block, p=lanes)
    return kdf.derive(passphrase.encode("utf-8"))


def encrypt(label: str, content: bytes, passphrase: str) -> bytes:
    """A PEM block "ENCRYPTED label" that opens by the passphrase only."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    writer = Writer(_TAG).integer(_LOG_COST, 1).integer(_BLOCK, 1).integer(_LANES, 1).raw(salt).raw(nonce)
    header = writer.to_bytes()
    key = _derive(passphrase, salt, _LOG_COST, _BLOCK, _LANES)
    sealed = AESGCM(key).encrypt(nonce, content, label.encode("ascii") + header)
    return to_pem(ENCRYPTED + label, header + sealed)


def decrypt(label: str, data: bytes, passphrase: str, part: str) -> bytes:
    """What :func:`encrypt` took; raises Malformed, OutOfRange, WrongPassphrase."""
    content = from_pem(ENCRYPTED + label, data, part)
    reader = Reader(content, _TAG, part)
    log_cost, block, lanes = reader.integer(1), reader.integer(1), reader.integer(1)
    if not (1 <= log_cost <= _MOST_LOG_COST and 1 <= block <= _MOST_BLOCK and 1 <= lanes <= _MOST_LANES):
        raise OutOfRange(part, "asks for more work to open it than any file of ours")
    salt, nonce = reader.raw(_SALT_BYTES), reader.raw(_NONCE_BYTES)
    sealed = reader.rest()
    header = content[: len(content) - len(sealed)]
    try:
        return AESGCM(_derive(passphrase, salt, log_cost, block, lanes)).decrypt(
            nonce, sealed, label.encode("ascii") + header
        )
    except InvalidTag:
        raise WrongPassphrase(part, "does not open by this passphrase, or was altered") from None


def read_passphrase(path: Path) -> str:
    """The passphrase that is the first line of a file; raises InsecureKeyFile if others may read it, Malformed."""
    try:
        passphrase = read_secret(path).decode("utf-8").split("\n", 1)[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise Malformed(path.name, "is not text in UTF-8") from None
    if not passphrase:
        raise Malformed(path.name, "its first line is empty; it should be the passphrase")
    return passphrase


def save_public(path: Path, key: "PublicKey | ThresholdKey") -> None:
    """Write a key that everybody may read."""
    write_atomically(path, to_pem(LABELS[type(key).__name__], key.to_bytes()))


def load_public(kind: type[PublicT], path: Path) -> PublicT:
    """Read a key that everybody may read; raises Malformed and what the key's constructor refuses."""
    return kind.from_bytes(from_pem(LABELS[kind.__name__], path.read_bytes(), path.name))


def save_secret(path: Path, key: "PrivateKey | KeyShare", passphrase: str | None) -> None:
    """Write a private key or a share to a new file of mode 0600, encrypted if there is a passphrase.

    Raises
    ------
    FileExistsError
        There is a file of this name; secrets are never overwritten.
    """
    label, content = LABELS[type(key).__name__], key.to_bytes()
    write_secret(path, to_pem(label, content) if passphrase is None else encrypt(label, content, passphrase))


def load_secret(kind: type[SecretT], path: Path, passphrase: str | None) -> SecretT:
    """Read a private key or a share.

    Raises
    ------
    InsecureKeyFile
        Others may read the file.
    WrongPassphrase
        The passphrase is wrong, or missing, or the file is not encrypted at all and one was given.
    Malformed, and what the key's constructor refuses
        Not such a file; a share that does not fit its committee's key.
    """
    data, label = read_secret(path), LABELS[kind.__name__]
    encrypted = data.startswith(f"-----BEGIN {ENCRYPTED}".encode("ascii"))
    if encrypted and passphrase is None:
        raise WrongPassphrase(path.name, "is encrypted; a passphrase is needed")
    if not encrypted and passphrase is not None:
        raise WrongPassphrase(path.name, "is not encrypted, though a passphrase was given")
    content = from_pem(label, data, path.name) if passphrase is None else decrypt(label, data, passphrase, path.name)
    return kind.from_bytes(content)
