"""The ledger as the parties use it, on the embedded chain."""

from pathlib import Path

import pytest

from services.identity import Role
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount


@pytest.fixture(scope="module")
def admin() -> LedgerAccount:
    return LedgerAccount.create()


def test_what_was_anchored_is_found(tmp_path: Path, admin: LedgerAccount) -> None:
    department = LedgerAccount.create()
    ledger = Ledger.deploy(EmbeddedProvider(tmp_path / "ledger.db"), admin)
    ledger.grant(department.address, Role.DEPARTMENT)
    ledger.open_dataset("filing", department.address, 99)
    ledger.acting_as(department).anchor("filing", 1, 12345, 7)
    assert ledger.is_root("filing", 12345)
    assert not ledger.is_root("filing", 12346)
