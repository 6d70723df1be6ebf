"""What ``services/OPERATING.md`` walks through: a network made by hand, certificates renewed, trustees changed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services import bundles
from services.certificate_authority import CertificateAuthority
from services.certificate_requests import request, requested_key
from services.configuration import load
from services.files import InsecureKeyFile, write_secret
from services.identity import Authority, Identity, Role
from services.key_files import WrongPassphrase, save_secret
from services.local import processes
from services.local.folder import Folder
from services.process import held, make
from tests.services import client_files, parties
from tests.services.conftest import Running
from tests.services.test_cli_network import SCHEMA, write_records
from zkcore.errors import Malformed, Refused

QUERY = "SELECT COUNT(*), SUM(due) FROM vat"


def zkshare(*arguments: object, status: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_party_makes_its_key_itself(tmp_path: Path) -> None:
    authority = CertificateAuthority.create()
    asked = request(tmp_path / "identity").read_bytes()
    assert b"PRIVATE" not in asked and (tmp_path / "identity" / "key.pem").stat().st_mode & 0o777 == 0o600
    peer = authority.certify(requested_key(asked), Role.TRUSTEE, "trustee-1")
    (tmp_path / "identity" / "certificate.pem").write_bytes(peer.to_pem())
    (tmp_path / "identity" / "authority.pem").write_bytes(authority.to_pem())
    identity = Identity.load(tmp_path / "identity")
    assert (identity.role, identity.name) == (Role.TRUSTEE, "trustee-1")
    assert peer.verify("purpose", b"message", identity.sign("purpose", b"message"))
    assert Authority.from_pem(authority.to_pem()).check(peer.certificate) == peer
    with pytest.raises(FileExistsError):
        request(tmp_path / "identity")


def test_requests_that_are_not_right_are_refused(tmp_path: Path) -> None:
    subject = x509.Name([])
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    wrong = [other, rsa.generate_private_key(65537, 2048)]
    for each in wrong:
        with pytest.raises(Malformed, match="P-256"):
            requested_key(builder.sign(each, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))  # type: ignore[arg-type]
    der = bytearray(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1  # of the signature
    with pytest.raises(Malformed):
        altered = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
        requested_key(altered)
    with pytest.raises(Malformed, match="PEM"):
        requested_key(b"nothing of the kind")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_bundle_goes_to_its_owner(running: Running, tmp_path: Path) -> None:
    enterprise, other = (running.network.enterprises[name] for name in parties.FILED[:2])
    opening = await enterprise.opening("filing", parties.PERIOD)
    for passphrase in (None, "correct horse"):
        path = tmp_path / f"bundle-{passphrase}.pem"
        bundles.save(path, opening, passphrase)
        assert bundles.load(path, parties.schema(), passphrase) == opening
        with pytest.raises(Refused):
            bundles.load(path, parties.schema(), "another")
        with pytest.raises(FileExistsError):
            bundles.save(path, opening, passphrase)
    with pytest.raises(WrongPassphrase, match="encrypted"):
        bundles.load(path, parties.schema(), None)
    await enterprise.take("filing", opening)
    with pytest.raises(Refused) as caught:
        await other.take("filing", opening)
    assert caught.value.check == "wrong_subject"
    path.chmod(0o644)
    with pytest.raises(InsecureKeyFile):
        bundles.load(path, parties.schema(), "correct horse")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_trustees_share_is_opened_by_its_passphrase_file(running: Running, tmp_path: Path) -> None:
    network, share = running.network, parties.committee()[1][0]
    path = client_files.write(tmp_path, running, Role.TRUSTEE, "trustee-1", 'passphrase_file = "passphrase"\n')
    path.write_text(f'listen = "127.0.0.1:0"\ndatabase = "log.db"\nshare = "share.pem"\n{path.read_text()}')
    save_secret(path.parent / "share.pem", share, "correct horse")
    write_secret(path.parent / "passphrase", b"correct horse\n")
    configuration = load("trustee", path, {})
    assert make(configuration, held(configuration), network.ledger, network.workers)
    (path.parent / "passphrase").write_text("another")
    with pytest.raises(WrongPassphrase):
        held(configuration)
    (path.parent / "passphrase").unlink()
    assert any(line.startswith("passphrase_file: ") for line in load("trustee", path, {}).missing_files())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    (tmp_path / "vat.toml").write_text(SCHEMA)
    write_records(tmp_path / "vat.csv", 0, {"north": 4})
    own = ("--schema", tmp_path / "vat.toml", "--records", tmp_path / "vat.csv", "--key-bits", 2048)
    zkshare("up", tmp_path / "network", *own)
    found = Folder(tmp_path / "network")
    yield found
    processes.stop(found, None, lambda name: None)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_trustee_is_lost_and_another_takes_its_place(folder: Folder, tmp_path: Path) -> None:
    zkshare("submit", "--dir", folder.path)
    before = zkshare("query", QUERY, "--dir", folder.path, "--out", tmp_path / "before.json")
    # trustee-2 is gone; 1 and 3 hand the key on to 1, 3 and 4.
    zkshare("down", folder.path)
    shutil.rmtree(folder.path / "trustee-2")
    new = {1: "trustee-1", 2: "trustee-3", 3: "trustee-4"}
    committee = ("--dealers", "1,3", "--threshold", 2, "--parties", 3)
    for dealer in (1, 3):
        share = folder.path / f"trustee-{dealer}" / "share.pem"
        zkshare("committee", "hand-on", share, tmp_path / f"dealt-{dealer}", *committee)
    shutil.copytree(
        folder.path / "trustee-1", folder.path / "trustee-4", ignore=shutil.ignore_patterns("log*", "identity")
    )
    for number, name in new.items():
        place = tmp_path / f"receive-{number}"
        place.mkdir()
        for dealer in (1, 3):
            for file in (f"dealing-{dealer}.bin", f"from-{dealer}-to-{number}.bin"):
                shutil.copy(tmp_path / f"dealt-{dealer}" / file, place)
        zkshare("committee", "receive", number, place, "--committee", folder.network / "committee.pem", *committee)
        os.replace(place / f"share-{number}.pem", folder.path / name / "share.pem")
    names = [item for name in new.values() for item in ("--trustee", name)]
    zkshare(
        "network", "change-trustees", folder.network, *names, "--committee", tmp_path / "receive-1" / "committee.pem"
    )
    # Published, or nobody starts.
    zkshare("authority", "request", folder.path / "trustee-4" / "identity")
    asked = folder.path / "trustee-4" / "identity" / "request.pem"
    zkshare("authority", "sign", folder.authority, asked, "trustee", "trustee-4", asked.parent)
    node, trustee = folder.node, folder.party("trustee-4", "trustee")
    lost = next(line for line in node.read_text().splitlines() if line.startswith("trustee-2 = "))
    first = next(line for line in node.read_text().splitlines() if line.startswith("trustee-1 = "))
    node.write_text(node.read_text().replace(lost, lost.replace("trustee-2", "trustee-4")))
    at_first, at_lost = (line.partition(" = ")[2] for line in (first, lost))
    trustee.write_text(trustee.read_text().replace(at_first, at_lost))
    assert "parameters.threshold_key" in zkshare("up", folder.path, status=2)["error"]
    facts = folder.facts()
    registry = ("--ledger", folder.ledger, "--registry", facts.registry, "--key", folder.authority / "account.key")
    assert len(zkshare("registry", "publish", folder.network, *registry)["added"]) == 1
    zkshare("up", folder.path)
    after = zkshare("query", QUERY, "--dir", folder.path, "--out", tmp_path / "after.json")
    assert after["answers"] == before["answers"] and after["faults"] == []
    for file in ("before.json", "after.json"):
        assert zkshare("receipt", "verify", tmp_path / file, "--dir", folder.path)["valid"]
    # The node's certificate is renewed; what the old one signed stays valid.
    assert not zkshare("authority", "show", folder.node.parent / "identity")["soon"]
    assert zkshare("authority", "show", folder.node.parent / "identity", "--within", 400, status=1)["soon"]
    zkshare("authority", "issue", folder.authority, "operator", "operator", folder.node.parent / "identity-new")
    zkshare("down", folder.path)
    shutil.rmtree(folder.node.parent / "identity")
    (folder.node.parent / "identity-new").rename(folder.node.parent / "identity")
    backup = tmp_path / "backup"
    shutil.copytree(folder.node.parent, backup)
    zkshare("up", folder.path)
    assert zkshare("receipt", "verify", tmp_path / "before.json", "--dir", folder.path)["valid"]
    # Restored from its backup, the node goes on; from none, it refuses to show an empty log.
    zkshare("down", folder.path)
    for lost_file in [*folder.node.parent.glob("log.db*"), folder.node.parent / "log.segments"]:
        shutil.rmtree(lost_file) if lost_file.is_dir() else lost_file.unlink()
    assert "log_mismatch" in zkshare("up", folder.path, status=2)["error"]
    shutil.rmtree(folder.node.parent)
    shutil.copytree(backup, folder.node.parent)
    zkshare("up", folder.path)
    assert zkshare("query", QUERY, "--dir", folder.path)["answers"] == before["answers"]
