"""Keys in files: what was written is read, by its owner and with its passphrase only."""

import base64
import stat
from pathlib import Path

import pytest

from homomorphic.paillier import PrivateKey, PublicKey, randomness_base
from homomorphic.threshold import KeyShare, ThresholdKey, deal_from_primes
from services.files import InsecureKeyFile
from services.key_files import WrongPassphrase, decrypt, load_public, load_secret, save_public, save_secret
from tests.homomorphic.conftest import safe_primes
from zkcore.errors import Malformed, OutOfRange, Refused

P, Q = safe_primes(2048)
PRIVATE = PrivateKey(P, Q, PublicKey(P * Q, randomness_base(P * Q)))
COMMITTEE, SHARES = deal_from_primes(P, Q, parties=3, threshold=2)
PASSPHRASE = "correct horse battery staple, 正确"


def test_public_keys(tmp_path: Path) -> None:
    for kind, key in ((PublicKey, PRIVATE.public_key), (ThresholdKey, COMMITTEE)):
        path = tmp_path / kind.__name__
        save_public(path, key)  # type: ignore[arg-type]
        assert load_public(kind, path) == key  # type: ignore[type-var]
        lines = path.read_text().splitlines()
        assert lines[0].startswith("-----BEGIN ZKSHARE ") and lines[-1].startswith("-----END ZKSHARE ")
        assert max(map(len, lines)) <= 64
    with pytest.raises(Malformed):
        load_public(PublicKey, tmp_path / "ThresholdKey")


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE], ids=["plain", "encrypted"])
def test_secret_keys(tmp_path: Path, passphrase: str | None) -> None:
    for key in (PRIVATE, SHARES[1]):
        path = tmp_path / type(key).__name__
        save_secret(path, key, passphrase)
        assert load_secret(type(key), path, passphrase) == key
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(FileExistsError):
            save_secret(path, key, passphrase)
        text = path.read_text()
        secret = key.to_bytes()
        body = base64.b64decode("".join(text.splitlines()[1:-1]))
        assert (secret == body) == (passphrase is None)
        assert secret[-64:] not in body or passphrase is None
    path.chmod(0o640)
    with pytest.raises(InsecureKeyFile):
        load_secret(KeyShare, path, passphrase)


def test_the_same_share_is_never_encrypted_alike(tmp_path: Path) -> None:
    for name in "ab":
        save_secret(tmp_path / name, SHARES[0], PASSPHRASE)
    bodies = [base64.b64decode("".join((tmp_path / name).read_text().splitlines()[1:-1])) for name in "ab"]
    assert all(a[11:39] != b[11:39] and a[39:71] != b[39:71] for a, b in [bodies])


def test_wrong_passphrases_and_altered_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "share"
    save_secret(path, SHARES[0], PASSPHRASE)
    for wrong in (PASSPHRASE + " ", ""):
        with pytest.raises(WrongPassphrase, match="does not open"):
            load_secret(KeyShare, path, wrong)
    with pytest.raises(WrongPassphrase, match="is encrypted"):
        load_secret(KeyShare, path, None)
    with pytest.raises(Malformed):
        load_secret(PrivateKey, path, PASSPHRASE)
    text = path.read_text()
    lines = text.splitlines()
    content = base64.b64decode("".join(lines[1:-1]))

    def altered(at: int, value: int) -> bytes:
        data = content[:at] + bytes([value]) + content[at + 1 :]
        body = base64.b64encode(data).decode()
        return "\n".join([lines[0], body, lines[-1]]).encode()

    label = "ZKSHARE COMMITTEE KEY SHARE"
    for at in (9, 11, 27, 40, len(content) - 1):  # block size, salt, nonce, ciphertext, its tag
        with pytest.raises(WrongPassphrase):
            decrypt(label, altered(at, content[at] ^ 1), PASSPHRASE, "share")
    for at, value in ((8, 0), (8, 21), (8, 255), (9, 0), (9, 255), (10, 0), (10, 5)):  # work beyond measure
        with pytest.raises(OutOfRange):
            decrypt(label, altered(at, value), PASSPHRASE, "share")
    # the label is authenticated: a share does not pass for a key
    relabelled = text.replace(label, "ZKSHARE PAILLIER PRIVATE KEY").encode()
    with pytest.raises(WrongPassphrase):
        decrypt("ZKSHARE PAILLIER PRIVATE KEY", relabelled, PASSPHRASE, "key")
    for spoilt in (
        "",
        "x",
        text[:-30],
        text.replace("-----BEGIN", "-----BEGUN"),
        lines[0] + "\n?\n" + lines[-1],
        "\xff",
    ):
        with pytest.raises(Refused):
            decrypt(label, spoilt.encode("latin-1"), PASSPHRASE, "share")


def test_a_passphrase_where_none_is_wanted(tmp_path: Path) -> None:
    """Whoever believes a share to be encrypted learns that it is not."""
    save_secret(tmp_path / "share", SHARES[0], None)
    with pytest.raises(WrongPassphrase, match="not encrypted"):
        load_secret(KeyShare, tmp_path / "share", PASSPHRASE)
