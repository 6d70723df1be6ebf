"""The committee's commands: a key is dealt to files, handed on by some trustees, received by others."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from homomorphic import threshold
from homomorphic.threshold import KeyShare, ThresholdKey
from services.cli import app
from services.files import write_secret
from services.key_files import load_public, load_secret
from tests.homomorphic.conftest import safe_primes


def run(*arguments: object, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["committee", *map(str, arguments), "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def dealt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder "old" with a committee of public test primes, so that no safe primes need to be found."""

    def known(bits: int, progress: Any) -> Any:
        progress(1, 2)
        return safe_primes(bits)

    folder = tmp_path_factory.mktemp("committee")
    write_secret(folder / "passphrase", b"a long passphrase\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threshold, "safe_primes", known)
        said = run("deal", folder / "old", "--bits", 2048, "--passphrase-file", folder / "passphrase")
    assert (said["threshold"], said["parties"], said["bits"]) == (2, 3, 2048)
    return folder


def test_from_dealing_to_the_next_committee(dealt: Path, tmp_path: Path) -> None:
    passphrase = dealt / "passphrase"
    key = load_public(ThresholdKey, dealt / "old/committee.pem")
    names = sorted(path.name for path in (dealt / "old").iterdir())
    assert names == ["committee.pem", "committee.proof", "share-1.pem", "share-2.pem", "share-3.pem"]
    for path in (dealt / "old").glob("share-*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert load_secret(KeyShare, path, "a long passphrase").key == key

    old_files = dealt / "old/committee.pem", dealt / "old/committee.proof"
    assert run("check", *old_files) == {"committee": key.fingerprint.hex(), "well_made": True}

    new = ["--dealers", "1,3", "--threshold", 3, "--parties", 4]
    for i in (1, 3):
        run("hand-on", dealt / f"old/share-{i}.pem", tmp_path / "new", *new, "--passphrase-file", passphrase)
    for path in (tmp_path / "new").glob("from-*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(list((tmp_path / "new").glob("from-*"))) == 8
    said = [run("receive", j, tmp_path / "new", "--committee", dealt / "old/committee.pem", *new) for j in (1, 2, 4)]
    assert len({each["committee"] for each in said}) == 1

    assert run("check", tmp_path / "new/committee.pem", dealt / "old/committee.proof")["well_made"]
    new_key = load_public(ThresholdKey, tmp_path / "new/committee.pem")
    shares = [load_secret(KeyShare, tmp_path / f"new/share-{j}.pem", None) for j in (1, 2, 4)]
    ciphertext, _ = key.public_key.encrypt(1234)
    partials = [share.partial_decrypt(ciphertext, b"") for share in shares]
    assert new_key.combine(ciphertext, partials, b"").plaintext == 1234


def test_what_ends_with_a_reason(dealt: Path, tmp_path: Path) -> None:
    share, committee = dealt / "old/share-1.pem", dealt / "old/committee.pem"
    new = ["--threshold", 2, "--parties", 3]
    said = run("hand-on", share, tmp_path / "new", "--dealers", "1,2", *new, status=2)
    assert said["check"] == "wrong_passphrase"
    passphrase = ["--passphrase-file", dealt / "passphrase"]
    assert (
        "dealers" in run("hand-on", share, tmp_path / "new", "--dealers", "one", *new, *passphrase, status=2)["error"]
    )
    said = run("hand-on", share, tmp_path / "new", "--dealers", "2,3", *new, *passphrase, status=2)
    assert said["check"] == "out_of_range"
    said = run("receive", 1, tmp_path / "new", "--committee", committee, "--dealers", "1,2", *new, status=2)
    assert "dealing-1.bin" in said["error"]
    write_secret(tmp_path / "empty", b"\n")
    assert "passphrase" in run("deal", tmp_path / "x", "--passphrase-file", tmp_path / "empty", status=2)["error"]
    (tmp_path / "empty").chmod(0o644)
    said = run("deal", tmp_path / "x", "--passphrase-file", tmp_path / "empty", status=2)
    assert said["check"] == "insecure_key_file"
    assert "exists" in run("deal", dealt / "old", "--bits", 2048, status=2)["error"].lower()
    # a number that does not fit names its dealer
    for i in (1, 2):
        run("hand-on", dealt / f"old/share-{i}.pem", tmp_path / "new", "--dealers", "1,2", *new, *passphrase)
    (tmp_path / "new/from-2-to-1.bin").write_bytes((tmp_path / "new/from-2-to-3.bin").read_bytes())
    said = run("receive", 1, tmp_path / "new", "--committee", committee, "--dealers", "1,2", *new, status=2)
    assert said["check"] == "wrong_dealing" and "those of 2" in said["error"]


def test_a_key_that_is_not_shown_to_be_well_made(dealt: Path, tmp_path: Path) -> None:
    proof = bytearray((dealt / "old/committee.proof").read_bytes())
    proof[-1] ^= 1
    (tmp_path / "other.proof").write_bytes(proof)
    said = run("check", dealt / "old/committee.pem", tmp_path / "other.proof", status=1)
    assert said["well_made"] is False
    (tmp_path / "other.proof").write_bytes(proof[:-1])
    assert run("check", dealt / "old/committee.pem", tmp_path / "other.proof", status=2)["check"] == "malformed"


@pytest.mark.slow
def test_dealing_looks_for_safe_primes(tmp_path: Path) -> None:
    run("deal", tmp_path / "committee", "--bits", 2048)
    assert load_secret(KeyShare, tmp_path / "committee/share-3.pem", None).key.public_key.bits == 2048
