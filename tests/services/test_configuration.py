"""Configuration files of the processes: read strictly, refused by name, overridden by the environment."""

import importlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.configuration import load
from services.limits import Limits
from services.server import Address
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


OF_ROLES = {
    "trustee": TRUSTEE,
    "node": TRUSTEE.replace('node = "127.0.0.1:7000"\nshare = "share.pem"\n', "").replace(
        "[rights]", 'key = "account.key"\n\n[trustees]\none = "127.0.0.1:7001"\n\n[rights]'
    ),
    "department": TRUSTEE.partition("[rights]")[0].replace(
        'node = "127.0.0.1:7000"\nshare = "share.pem"', 'datasets = ["vat"]'
    )
    + 'key = "account.key"\n',
}


@pytest.mark.parametrize("role", OF_ROLES)
def test_every_role_checks_its_configuration(tmp_path: Path, role: str) -> None:
    """With 0 what may be started, with 2 and a reason what may not: a file that is missing, a key that nobody knows."""
    app, path = importlib.import_module(f"services.cli.{role}").app, write(tmp_path, OF_ROLES[role])
    for folder in ("identity", "network"):
        (tmp_path / folder).mkdir()
    missing = CliRunner().invoke(app, ["--config", str(path), "--check"])
    assert missing.exit_code == 2 and "there is no" in missing.stderr
    for name in ("share.pem", "account.key", "ledger.sqlite"):
        (tmp_path / name).touch()
    sound = CliRunner().invoke(app, ["--config", str(path), "--check"])
    assert (sound.exit_code, sound.stderr) == (0, "") and f"zkshare {role}" in sound.stdout
    write(tmp_path, "listne = 5\n" + OF_ROLES[role])
    unknown = CliRunner().invoke(app, ["--config", str(path), "--check"])
    assert unknown.exit_code == 2 and "listne" in unknown.stderr
