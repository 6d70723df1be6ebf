"""The typed calls on the ledger, where they differ from the contract's own rules: connections, pages, addresses."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from web3 import HTTPProvider

from services.errors import NotPermitted, Unreachable
from services.identity import Role
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.ledger.chain import PAGE
from services.ledger.errors import WrongContract
from zkcore.errors import Malformed


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.deploy(EmbeddedProvider(tmp_path / "ledger.db"), LedgerAccount.create())


def address(ledger: Ledger) -> str:
    assert ledger.account is not None
    return ledger.account.address


def test_lists_longer_than_a_page_are_whole(ledger: Ledger) -> None:
    ledger.grant(address(ledger), Role.OPERATOR)
    for count in (0, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 3):
        for size in range(len(ledger.heads()) + 1, count + 1):
            ledger.anchor_head(size, size.to_bytes(32, "big"))
        assert [head.size for head in ledger.heads()] == list(range(1, count + 1))


def test_before_anything_was_written(ledger: Ledger) -> None:
    assert ledger.roots("filing") == ledger.heads() == ledger.datasets() == ()
    assert ledger.latest_head() is None and ledger.head(1) is None and ledger.head(0) is None
    assert ledger.dataset("filing") is None and ledger.scorecard(1) is None
    assert not ledger.is_root("filing", 0)
    assert ledger.has_role(address(ledger), Role.ADMIN)
    assert not ledger.has_role(LedgerAccount.create().address, Role.ADMIN)


def test_confirmation_says_what_was_mined(ledger: Ledger) -> None:
    confirmation = ledger.grant(address(ledger), Role.BANK)
    assert confirmation.block == 2 and len(confirmation.transaction) == 32 and confirmation.gas_used > 21_000


def test_without_an_account_nothing_is_written(ledger: Ledger) -> None:
    reader = ledger.acting_as(None)
    with pytest.raises(NotPermitted):
        reader.grant(address(ledger), Role.BANK)
    assert reader.has_role(address(ledger), Role.ADMIN)


def test_only_this_registry_is_taken_for_one(tmp_path: Path, ledger: Ledger) -> None:
    other = EmbeddedProvider(tmp_path / "other.db")
    with pytest.raises(WrongContract):
        Ledger(other, ledger.address)
    with pytest.raises(WrongContract):
        Ledger(other, address(ledger))
    with pytest.raises(Malformed):
        Ledger(other, "0x12")


class Garbage(BaseHTTPRequestHandler):
    """Answers every request with the same body."""

    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}']
)
def test_chain_that_answers_nonsense_is_unreachable(body: bytes) -> None:
    with HTTPServer(("127.0.0.1", 0), type("Answers", (Garbage,), {"body": body})) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(Unreachable):
            Ledger(HTTPProvider(f"http://127.0.0.1:{server.server_port}"), "0x" + "11" * 20)
        server.shutdown()


def test_chain_that_does_not_answer_is_unreachable() -> None:
    for call in (
        lambda provider: Ledger(provider, "0x" + "11" * 20),
        lambda provider: Ledger.deploy(provider, LedgerAccount.create()),
    ):
        with pytest.raises(Unreachable):
            call(HTTPProvider("http://127.0.0.1:9", exception_retry_configuration=None))
