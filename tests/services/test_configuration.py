"""Configuration files of the processes: read strictly, refused by name, overridden by the environment."""

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.certificate_authority import CertificateAuthority
from services.configuration import load
from services.identity import PeerIdentity, Role
from services.key_files import save_secret
from services.limits import Limits
from services.revocation import REVOKED_FILE
from services.server import Address
from tests.services import parties
from tests.services.processes import Processes
from zkcore.errors import Malformed

TRUSTEE = """
listen = "127.0.0.1:7001"
database = "trustee.db"
identity = "identity"
network = "network"
node = "127.0.0.1:7000"
share = "share.pem"

[ledger]
file = "ledger.sqlite"
address = "0x0000000000000000000000000000000000000001"

[rights]
vat = ["zkshare://tax_agency/agency"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "trustee.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    configuration = load("trustee", write(tmp_path, TRUSTEE), {})
    assert configuration.listen == Address("127.0.0.1", 7001)
    assert configuration.database == tmp_path / "trustee.db"
    assert configuration.ledger.file == tmp_path / "ledger.sqlite"
    assert len(configuration.missing_files()) == 4


def test_environment_takes_the_place_of_values(tmp_path: Path) -> None:
    environment = {
        "ZKSHARE_DATABASE": "postgresql://somewhere/z",
        "ZKSHARE_SEGMENTS": "segments",
        "ZKSHARE_THREADS": "3",
        "ZKSHARE_LEDGER_FILE": "other",
    }
    configuration = load("trustee", write(tmp_path, TRUSTEE), environment)
    assert configuration.database == "postgresql://somewhere/z"
    assert configuration.threads == 3
    assert configuration.ledger.file == tmp_path / "other"


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("share =", "sahre =", "sahre"),
        ('share = "share.pem"', "", "share"),
        ("file =", "fiel =", "ledger.fiel"),
        ('file = "ledger.sqlite"', "", "ledger"),
        ('"127.0.0.1:7000"', '"nowhere"', "node"),
        ('"127.0.0.1:7000"', "7000", "node"),
        ('["zkshare://tax_agency/agency"]', '"all"', "rights.vat"),
        ("tax_agency", "tax-agency", "rights.vat"),
        ("listen", "threads = 0\nlisten", "threads"),
        ("[rights]", "[limits]\ncalls = 3\n[rights]", "limits.calls"),
        ("[rights]", "[limits]\nseconds = 0\n[rights]", "limits.seconds"),
        ("[rights]", "[limits]\nmessage_bytes = 20971521\n[rights]", "limits.message_bytes"),
        ("listen", "limits = 3\nlisten", "limits"),
        ("listen", "audit = 3\nlisten", "audit"),
        ("listen", "listen listen", "trustee.toml"),
    ],
)
def test_wrong_keys_are_refused_by_name(tmp_path: Path, old: str, new: str, part: str) -> None:
    with pytest.raises(Malformed) as refused:
        load("trustee", write(tmp_path, TRUSTEE.replace(old, new, 1)), {})
    assert refused.value.part == part


def test_a_node_needs_its_account(tmp_path: Path) -> None:
    text = TRUSTEE.replace('node = "127.0.0.1:7000"', "").replace('share = "share.pem"', "")
    with pytest.raises(Malformed) as refused:
        load("node", write(tmp_path, text), {})
    assert refused.value.part == "ledger.key"


def test_a_database_by_url_needs_a_folder_for_ciphertexts(tmp_path: Path) -> None:
    with pytest.raises(Malformed) as refusal:
        load("trustee", write(tmp_path, TRUSTEE), {"ZKSHARE_DATABASE": "postgresql://somewhere/z"})
    assert refusal.value.part == "segments"


def test_only_a_node_has_a_page(tmp_path: Path) -> None:
    with pytest.raises(Malformed) as refusal:
        load("trustee", write(tmp_path, TRUSTEE + 'web = "127.0.0.1:8443"\n'), {})
    assert "web" in refusal.value.part


def test_limits_and_audit_log(tmp_path: Path) -> None:
    usual = load("trustee", write(tmp_path, TRUSTEE), {}).guard
    assert usual.limits == Limits() and usual.audit == tmp_path / "trustee.audit"
    text = 'audit = "elsewhere/log"\n' + TRUSTEE + "[limits]\ncalls_a_second = 7\nat_once = 2\n"
    told = load("trustee", write(tmp_path, text), {"ZKSHARE_LIMITS_AT_ONCE": "5"}).guard
    assert told.limits == Limits(calls_a_second=7, burst=14, at_once=5) and told.audit == tmp_path / "elsewhere/log"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """The files of a network, none of whose processes runs."""
    made = Processes(tmp_path_factory.mktemp("network"))
    yield made
    made.close()


def checked(role: str, path: Path) -> Result:
    return CliRunner().invoke(importlib.import_module(f"services.cli.{role}").app, ["--config", str(path), "--check"])


@contextmanager
def written(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    yield
    path.write_bytes(before)


def _party(network: Processes, name: str) -> tuple[Role, str]:
    role = {"node": Role.OPERATOR, "department": Role.DEPARTMENT}.get(network.role(name), Role.TRUSTEE)
    return role, network.parameters.operator if name == "node" else name


@pytest.mark.parametrize("name", ["node", "trustee-1", parties.DEPARTMENT])
def test_every_role_checks_its_configuration_and_files(network: Processes, name: str) -> None:
    """With 0 what may be started; with 2 and a reason a file that is missing, damaged or another's, an unknown key."""
    folder, role = network.folder, network.role(name)
    path, identity = folder / f"{name}.toml", folder / f"{name}.identity"
    sound = checked(role, path)
    assert (sound.exit_code, sound.stderr) == (0, "") and f"zkshare {role}" in sound.stdout
    others = folder / ("trustee-1.identity" if name == "node" else "node.identity")
    wrong = [
        (path, b"listne = 5\n" + path.read_bytes(), "listne"),
        (identity / "certificate.pem", (others / "certificate.pem").read_bytes(), "does not belong to the certificate"),
        (identity / "key.pem", b"no key", "key"),
    ]
    if name == "node":
        wrong.append((path, path.read_bytes() + b'trustee-9 = "localhost:1"\n', "and no trustee-9"))
    if name == "trustee-1":
        wrong.append((path, path.read_bytes() + b'turnover = ["zkshare://bank/bank"]\n', "and no turnover"))
        _, shares = parties.committee.__wrapped__()  # the same primes, dealt once more
        save_secret(folder / "other.share", shares[0], None)
        file, anothers = folder / f"{name}.share", (folder / "trustee-2.share").read_bytes()
        wrong.append((file, (folder / "other.share").read_bytes(), "share: it is of another threshold key"))
        wrong.append((file, anothers, "share: it is share 2, of another trustee; trustee-1 has share 1"))
    for file, content, told in wrong:
        with written(file, content):
            refused = checked(role, path)
        assert refused.exit_code == 2 and told in refused.stderr, (file, refused.stderr)
    own, stranger = network.identity(*_party(network, name)), CertificateAuthority.create()
    revoked = folder / "network" / REVOKED_FILE
    network.authority.revoke([PeerIdentity.from_pem((identity / "certificate.pem").read_bytes())], revoked)
    refused = checked(role, path)
    revoked.unlink()
    assert refused.exit_code == 2 and "[revoked]; a revoked identity is of no use" in refused.stderr
    expired = network.authority.issue(own.role, own.name, lifetime=timedelta(seconds=-1))
    named = network.authority.issue(own.role, "another")
    for other, told in {
        expired: "[outside_validity]; renew the certificate",
        stranger.issue(own.role, own.name): "[not_issued_by_authority]; identity and network must be of one network",
        **({} if role == "department" else {named: "and no another"}),
    }.items():
        kept = identity.rename(folder / "kept")
        other.save(identity)
        refused = checked(role, path)
        shutil.rmtree(identity)
        kept.rename(identity)
        assert refused.exit_code == 2 and told in refused.stderr, (told, refused.stderr)
    away = folder / "away"
    for file in (identity, folder / "network", folder / "ledger.sqlite"):
        file.rename(away)
        refused = checked(role, path)
        away.rename(file)
        assert refused.exit_code == 2 and f"there is no {file}" in refused.stderr, (file, refused.stderr)
