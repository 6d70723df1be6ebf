"""``services/SECURITY.md``: each protection names its code and a test that holds it, and both are there."""

import re
from pathlib import Path

import pytest
from coincurve import PrivateKey

import services
from services.ledger import LedgerAccount

SERVICES = Path(services.__file__).parent
TESTS = Path(__file__).parent
TEXT = (SERVICES / "SECURITY.md").read_text()
TABLE = TEXT.split("| what | where | held by a test in |", 1)[1].split("\n\n", 1)[0]
ROWS = [line.strip("| ").split(" | ") for line in TABLE.splitlines()[2:]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_protection_has_code_and_a_test(row: list[str]) -> None:
    _, where, tests = row
    files = [SERVICES / name for name in re.findall(r"`([\w/]+\.py|\w+/)`", where)]
    text = "".join(file.read_text() for file in files if file.is_file())
    assert files and all(file.exists() or (SERVICES / "ledger" / file.name).exists() for file in files), where
    assert all(name in text for name in re.findall(r"`([A-Z]\w+)`", where)), where
    named = re.findall(r"`(test_\w+\.py)`", tests)
    assert named and all("def test_" in (TESTS / name).read_text() for name in named), tests


def test_every_file_that_is_named_is_there() -> None:
    there = {path.name for folder in (SERVICES, TESTS) for path in folder.rglob("*.*")}
    named = {Path(name) for name in re.findall(r"`([\w/]+\.(?:py|vy|md|pem))`", TEXT)}
    root = SERVICES.parent
    made = {"revoked.pem", "key.pem", "share.pem"}  # by a network, not by this repository
    assert len(named) > 40
    assert [str(each) for each in named if each.name not in there | made and not (root / each).exists()] == []


def test_accounts_sign_with_libsecp256k1() -> None:
    """What makes the constant time that is claimed: the same signature as the library's own, by its own back end."""
    account = LedgerAccount.create()
    key = account._account._key_obj
    assert type(key.backend).__name__ == "CoinCurveECCBackend"
    message = bytes(range(32))
    own = PrivateKey(key.to_bytes()).sign_recoverable(message, hasher=None)
    assert key.sign_msg_hash(message).to_bytes() == own
