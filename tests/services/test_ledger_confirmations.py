"""Transactions that count only under some blocks: slow blocks, rollbacks, nonces, a chain that fails, against anvil."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from test_ledger_over_rpc import ANVIL, FREE_GAS, anvil, deployed
from test_registry import address
from web3 import HTTPProvider, Web3
from web3.providers.base import BaseProvider

from services.configuration import load_public
from services.errors import Unreachable
from services.identity import Role
from services.ledger import Ledger, LedgerAccount
from services.ledger.errors import NotGrowing, TransactionFailed, WrongChain, WrongContract
from services.metrics import LEDGER_DROPPED
from zkcore.errors import Malformed, OutOfRange

pytestmark = pytest.mark.skipif(ANVIL is None, reason="anvil is not installed")
DEPTH = 2


def ask(provider: BaseProvider, method: str, *arguments: Any) -> Any:
    answer = provider.make_request(method, list(arguments))  # type: ignore[arg-type]
    assert "error" not in answer, answer
    return answer["result"]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def mining(provider: BaseProvider) -> Iterator[None]:
    """Blocks one after another, as long as this is open."""
    done = threading.Event()

    def mine() -> None:
        while not done.wait(0.03):
            ask(provider, "evm_mine")

    thread = threading.Thread(target=mine)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def pending(provider: BaseProvider) -> int:
    return int(ask(provider, "txpool_status")["pending"], 16)


class Meddled(BaseProvider):
    """The same chain, with something done to one method."""

    def __init__(self, provider: BaseProvider, method: str, meddle: Callable[[Any], Any]) -> None:
        super().__init__()
        self._provider, self._method, self._meddle = provider, method, meddle

    def make_request(self, method: Any, params: Any) -> Any:
        answer = self._meddle(params) if method == self._method else None
        return self._provider.make_request(method, params) if answer is None else answer


@pytest.fixture(scope="module")
def slow() -> Iterator[tuple[HTTPProvider, Ledger]]:
    """A chain whose blocks come when told, and a registry on it under DEPTH blocks."""
    with anvil(*FREE_GAS, "--no-mining") as provider:
        with mining(provider):
            ledger = deployed(provider, confirmations=DEPTH)
        yield provider, ledger


def in_background(call: Callable[..., Any], *arguments: Any) -> Future[Any]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(call, *arguments)
    pool.shutdown(wait=False)
    return future


def test_nothing_counts_before_its_confirmations(slow: tuple[HTTPProvider, Ledger]) -> None:
    provider, ledger = slow
    newest = Ledger(provider, ledger.address)
    future = in_background(ledger.register_scorecard, 5)
    wait_for(lambda: pending(provider))
    for _ in range(DEPTH):
        ask(provider, "evm_mine")
        assert newest.scorecard(5) is not None
        assert ledger.scorecard(5) is None and not future.done()
    ask(provider, "evm_mine")
    block = future.result(60).block
    assert ledger.scorecard(5) is not None
    assert block + DEPTH == Web3(provider).eth.block_number


@pytest.mark.parametrize("how", ["reorg", "revert"])
def test_a_dropped_transaction_is_sent_again_and_happens_once(slow: tuple[HTTPProvider, Ledger], how: str) -> None:
    provider, ledger = slow
    size = {"reorg": 10, "revert": 20}[how]
    before, dropped = len(ledger.heads()), LEDGER_DROPPED._value.get()
    state = ask(provider, "evm_snapshot")
    future = in_background(ledger.anchor_head, size, bytes([size]) * 32)
    wait_for(lambda: pending(provider))
    ask(provider, "evm_mine")
    time.sleep(0.3)  # Long enough, mostly, that the receipt is seen before it goes away.
    if how == "reorg":
        ask(provider, "anvil_reorg", 1, [])
    else:
        ask(provider, "evm_revert", state)
    assert ledger.head(size) is None
    with mining(provider):
        future.result(60)
    assert LEDGER_DROPPED._value.get() > dropped
    assert [head.size for head in ledger.heads()][before:] == [size]


def test_a_head_given_up_on_is_recognised_when_it_was_mined(slow: tuple[HTTPProvider, Ledger]) -> None:
    provider, ledger = slow
    hasty = Ledger(provider, ledger.address, ledger.account, confirmations=DEPTH, timeout=0.5)
    count = len(ledger.heads())
    with pytest.raises(Unreachable):
        hasty.ensure_head(30, b"\x1e" * 32)
    ask(provider, "evm_mine")
    with pytest.raises(Unreachable):  # There, but not under enough blocks.
        hasty.ensure_head(30, b"\x1e" * 32)
    with pytest.raises(NotGrowing):  # Another head of that size is not it.
        hasty.ensure_head(30, b"\x1f" * 32)
    with mining(provider):
        ledger.ensure_head(30, b"\x1e" * 32)
    assert len(ledger.heads()) == count + 1


def test_a_nonce_in_use_is_waited_for(slow: tuple[HTTPProvider, Ledger]) -> None:
    """A node that does not count what waits makes two transactions of one nonce: the later is turned away."""
    provider, ledger = slow
    first = in_background(ledger.register_scorecard, 40)
    wait_for(lambda: pending(provider))

    def forget_the_pool(params: Any) -> Any:
        return provider.make_request("eth_getTransactionCount", [params[0], "latest"])  # type: ignore[arg-type]

    meddled = Meddled(provider, "eth_getTransactionCount", forget_the_pool)
    other = Ledger(meddled, ledger.address, ledger.account, confirmations=DEPTH)
    second = in_background(other.register_scorecard, 41)
    time.sleep(0.2)
    with mining(provider):
        first.result(60)
        second.result(60)
    assert ledger.scorecard(40) is not None and ledger.scorecard(41) is not None


def test_nonces_when_another_process_uses_the_account() -> None:
    with anvil(*FREE_GAS) as provider:
        ledger = deployed(provider)
        other = Ledger(provider, ledger.address, ledger.account and LedgerAccount(bytes(ledger.account._account.key)))
        cards = iter(range(100, 200))
        seen: list[str] = []

        def overtaken(params: Any) -> Any:
            """Too late by one: the nonce is taken when it arrives."""
            if len(seen) < 1:
                seen.append("")
                other.register_scorecard(next(cards))

        Ledger(
            Meddled(provider, "eth_sendRawTransaction", overtaken), ledger.address, ledger.account
        ).register_scorecard(5)

        def lost(params: Any) -> Any:
            """Taken in and forgotten, and the nonce goes to another."""
            if len(seen) > 1:
                return None
            seen.append("")
            other.register_scorecard(next(cards))
            raw = bytes.fromhex(params[0].removeprefix("0x"))
            return {"jsonrpc": "2.0", "id": 1, "result": "0x" + keccak(raw).hex()}

        Ledger(Meddled(provider, "eth_sendRawTransaction", lost), ledger.address, ledger.account).register_scorecard(6)
        for card in (5, 6, 100, 101):
            assert ledger.scorecard(card) is not None


def test_a_transaction_already_known_is_taken_as_sent(slow: tuple[HTTPProvider, Ledger]) -> None:
    provider, ledger = slow

    def twice(params: Any) -> Any:
        provider.make_request("eth_sendRawTransaction", params)  # type: ignore[arg-type]

    eager = Ledger(
        Meddled(provider, "eth_sendRawTransaction", twice), ledger.address, ledger.account, confirmations=DEPTH
    )
    with mining(provider):
        eager.register_scorecard(50)
    assert ledger.scorecard(50) is not None


def answering_otherwise(provider: HTTPProvider, **told: Any) -> Meddled:
    """The chain, with parts of every receipt in another way."""

    def altered(params: Any) -> Any:
        answer: Any = provider.make_request("eth_getTransactionReceipt", params)  # type: ignore[arg-type]
        return answer if answer.get("result") is None else {**answer, "result": {**answer["result"], **told}}

    return Meddled(provider, "eth_getTransactionReceipt", altered)


def test_a_receipt_of_a_transaction_that_failed(slow: tuple[HTTPProvider, Ledger]) -> None:
    provider, ledger = slow
    size = ledger.latest_head()
    before = size.size if size else 0
    failing = Ledger(answering_otherwise(provider, status="0x0"), ledger.address, ledger.account, confirmations=DEPTH)
    with mining(provider), pytest.raises(TransactionFailed):  # as it was signed, nothing speaks against it
        failing.grant(address(ledger), Role.BANK)
    with mining(provider), pytest.raises(NotGrowing):  # the state says what came in between: its own head, here
        failing.anchor_head(before + 1, b"\x33" * 32)


def test_a_transaction_that_fails_in_its_block(slow: tuple[HTTPProvider, Ledger]) -> None:
    """Two heads of one size wait for the same block: one takes effect, the other's receipt says that it failed."""
    provider, ledger = slow
    other = LedgerAccount.create()
    newest = ledger.latest_head()
    size = (newest.size if newest else 0) + 1
    with mining(provider):
        ledger.grant(other.address, Role.OPERATOR)
    accounts = (ledger.account, other)
    writers = [Ledger(provider, ledger.address, account, confirmations=DEPTH) for account in accounts]
    done = [in_background(writer.anchor_head, size, bytes([n]) * 32) for n, writer in enumerate(writers, 1)]
    wait_for(lambda: pending(provider) == 2)
    with mining(provider):
        ended = [future.exception(60) for future in done]
    assert sorted(type(error).__name__ for error in ended) == ["NoneType", "NotGrowing"]
    kept = ledger.head(size)
    assert kept is not None and kept.root == bytes([1 + ended.index(None)]) * 32


def test_a_receipt_of_another_transaction(slow: tuple[HTTPProvider, Ledger]) -> None:
    provider, ledger = slow
    with mining(provider):
        earlier = ledger.register_scorecard(60)

    def swapped(params: Any) -> Any:
        return provider.make_request("eth_getTransactionReceipt", ["0x" + earlier.transaction.hex()])  # type: ignore[arg-type]

    there = Meddled(provider, "eth_getTransactionReceipt", swapped)
    confused = Ledger(there, ledger.address, ledger.account, confirmations=DEPTH)
    with pytest.raises(Unreachable, match="receipt of another transaction"):
        confused.register_scorecard(61)
    with mining(provider):
        wait_for(lambda: ledger.scorecard(61) is not None)


def test_a_receipt_whose_block_is_not_the_chains_any_more(slow: tuple[HTTPProvider, Ledger]) -> None:
    provider, ledger = slow
    stale = answering_otherwise(provider, blockHash="0x" + "77" * 32)
    hasty = Ledger(stale, ledger.address, ledger.account, confirmations=DEPTH, timeout=2)
    with mining(provider), pytest.raises(Unreachable, match="was not confirmed"):
        hasty.register_scorecard(62)


def test_a_chain_without_a_base_fee() -> None:
    with anvil("--gas-price", "0", "--hardfork", "berlin") as provider:
        ledger = deployed(provider)
        ledger.register_scorecard(5)
        assert ledger.scorecard(5) is not None
        assert "baseFeePerGas" not in ask(provider, "eth_getBlockByNumber", "latest", False)


def test_blocks_of_a_chain_with_proof_of_authority(slow: tuple[HTTPProvider, Ledger]) -> None:
    """Their extraData holds the validators' seals, and is longer than Ethereum allows."""
    provider, ledger = slow

    def sealed(params: Any) -> Any:
        answer: Any = provider.make_request("eth_getBlockByNumber", params)  # type: ignore[arg-type]
        return {**answer, "result": {**answer["result"], "extraData": "0x" + "5a" * 97}}

    there = Ledger(
        Meddled(provider, "eth_getBlockByNumber", sealed), ledger.address, ledger.account, confirmations=DEPTH
    )
    future = in_background(there.register_scorecard, 97)
    with mining(provider):
        assert future.result(60).gas_used
    assert ledger.scorecard(97) is not None


def test_another_chain_or_contract_is_refused(slow: tuple[HTTPProvider, Ledger]) -> None:
    provider, ledger = slow
    with pytest.raises(WrongChain):
        Ledger(provider, ledger.address, chain_id=1)
    assert (
        Ledger(provider, ledger.address, chain_id=31337).latest_head() == Ledger(provider, ledger.address).latest_head()
    )
    with pytest.raises(WrongContract):
        Ledger(provider, address(ledger))
    with pytest.raises(WrongContract):  # Not there yet under so many blocks.
        Ledger(provider, ledger.address, confirmations=1024)
    with pytest.raises(OutOfRange):
        Ledger(provider, ledger.address, confirmations=-1)


def test_a_chain_that_does_not_answer_is_unreachable() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        somewhere = "0x" + "11" * 20
        quick: dict[str, Any] = {"request_kwargs": {"timeout": 0.5}, "exception_retry_configuration": None}
        with pytest.raises(Unreachable):  # Refused.
            Ledger(HTTPProvider(url, **quick), somewhere)
        listening.listen()
        with pytest.raises(Unreachable):  # Silent.
            Ledger(HTTPProvider(url, **quick), somewhere)


def test_a_chain_that_starts_again_with_its_state(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    provider = HTTPProvider(f"http://127.0.0.1:{port}")
    state = ("--state", str(tmp_path / "state.json"), "--preserve-historical-states")

    @contextmanager
    def running() -> Iterator[None]:
        command = [str(ANVIL), "--silent", "--port", str(port), *FREE_GAS, *state]
        with subprocess.Popen(command, start_new_session=True) as process:
            try:
                wait_for(lambda: Web3(provider).is_connected())
                yield
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                # The program may outlive the script that started it by as long as it takes to write its state.
                wait_for(lambda: not Web3(provider).is_connected() and written())

    def written() -> bool:
        try:
            return bool(json.loads((tmp_path / "state.json").read_bytes()))
        except (OSError, ValueError):
            return False

    with running():
        ledger = deployed(provider)
        ledger.anchor_head(5, b"\5" * 32)
    with pytest.raises(Unreachable):
        ledger.latest_head()
    with running():
        ledger.ensure_head(5, b"\5" * 32)
        ledger.ensure_head(6, b"\6" * 32)
        assert [head.size for head in ledger.heads()] == [5, 6]
        assert ledger.has_role(address(ledger), Role.OPERATOR)


def test_what_the_configuration_says_of_a_chain(tmp_path: Path) -> None:
    file = tmp_path / "party.toml"

    def said(text: str) -> Any:
        file.write_text(f'network = "n"\n[ledger]\naddress = "0x0"\n{text}\n', encoding="utf-8")
        return load_public(file)[1]

    place = said('url = "http://chain"\nconfirmations = 12\nchain_id = 5\ntimeout = 600')
    assert (place.confirmations, place.chain_id, place.gas_price, place.timeout) == (12, 5, 0, 600)
    for wrong in ('url = "u"\nconfirmations = -1', 'url = "u"\ntimeout = 0', 'file = "f"\nconfirmations = 2'):
        with pytest.raises(Malformed):
            said(wrong)
