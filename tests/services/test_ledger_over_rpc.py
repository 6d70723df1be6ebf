"""The ledger over JSON-RPC, against anvil (Foundry's development chain) where it is installed.

``npm install @foundry-rs/anvil`` anywhere, and its ``node_modules/.bin`` in PATH.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from test_registry import INPUTS, KEY, PROOF, ROOT, SCHEMA, address, inputs, mine
from trapdoor_groth16 import R, to_bytes
from web3 import HTTPProvider, Web3

from services.configuration import LedgerPlace
from services.connection import open_ledger
from services.errors import NotAnchored, NotPermitted, ProofInvalid, Unreachable
from services.identity import Role
from services.ledger import Ledger, LedgerAccount
from services.ledger.errors import NullifierSpent, TransactionFailed
from services.ledger.sending import GAS_LIMIT
from zkcore.errors import OutOfRange

ANVIL = shutil.which("anvil")
pytestmark = pytest.mark.skipif(ANVIL is None, reason="anvil is not installed")
FREE_GAS = ("--gas-price", "0", "--base-fee", "0", "--hardfork", "paris")


@contextmanager
def anvil(*options: str) -> Iterator[HTTPProvider]:
    """A chain of its own on a free port, gone afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ANVIL), "--silent", "--port", str(port), *options]
    # In a session of its own, since npm's anvil is a script that starts the program.
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            provider = HTTPProvider(f"http://127.0.0.1:{port}")
            for _ in range(200):
                if Web3(provider).is_connected():
                    break
                time.sleep(0.05)
            yield provider
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def deployed(provider: HTTPProvider, gas_price: int = 0, confirmations: int = 0) -> Ledger:
    admin = LedgerAccount.create()
    if gas_price:
        provider.make_request("anvil_setBalance", [admin.address, hex(10**18)])  # type: ignore[arg-type]
    ledger = Ledger.deploy(provider, admin, gas_price, confirmations=confirmations)
    for role in (Role.DEPARTMENT, Role.OPERATOR, Role.BANK):
        ledger.grant(admin.address, role)
    return ledger


def test_the_main_job_over_rpc() -> None:
    with anvil(*FREE_GAS) as provider:
        ledger = deployed(provider)
        ledger.open_dataset("filing", address(ledger), SCHEMA)
        ledger.register_verifying_key(SCHEMA, KEY.verifying_key())
        assert ledger.verifying_key_digest(SCHEMA) == KEY.verifying_key().digest()
        ledger.anchor("filing", 1, ROOT, 3)
        ledger.anchor_head(5, b"\5" * 32)
        done = ledger.enter_release("filing", b"\6" * 32, 5)
        sent = Web3(provider).eth.get_transaction(done.transaction)  # type: ignore[arg-type]
        assert (sent["type"], sent["gas"], sent["gasPrice"]) == (0, GAS_LIMIT, 0)
        ledger.register_scorecard(R - 1)
        ledger.publish("schema", b"\1" * 32, b"\2" * 32)
        assert ledger.verify_filing(INPUTS, to_bytes(PROOF))
        ledger.submit_filing("filing", INPUTS, to_bytes(PROOF))
        # A reader that knows the address alone sees it all.
        reader = Ledger(provider, ledger.address)
        assert [anchor.root for anchor in reader.roots("filing")] == [ROOT]
        assert [(each.number, each.request, each.head_size) for each in reader.releases("filing")] == [
            (0, b"\6" * 32, 5)
        ]
        assert reader.release("filing", b"\6" * 32) == reader.releases("filing")[0]
        assert [head.root for head in reader.heads()] == [b"\5" * 32]
        assert reader.published("schema", b"\1" * 32) == b"\2" * 32
        assert reader.nullifier_spent(SCHEMA, INPUTS[2], INPUTS[3])
        # Refusals carry their reasons over the wire, and transactions sent all the same are mined as failed.
        stranger = ledger.acting_as(LedgerAccount.create())
        other = inputs(3, 7)
        for refusal, call in (
            (NullifierSpent, lambda: ledger.submit_filing("filing", INPUTS, to_bytes(PROOF))),
            (ProofInvalid, lambda: ledger.submit_filing("filing", other, to_bytes(PROOF))),
            (NotAnchored, lambda: ledger.submit_filing("filing", inputs(0, 1), to_bytes(PROOF))),
            (OutOfRange, lambda: ledger.verify_filing(inputs(0, R), to_bytes(PROOF))),
            (NotPermitted, lambda: stranger.anchor("filing", 2, ROOT, 3)),
        ):
            with pytest.raises(refusal):
                call()
        assert mine(ledger, "submit_filing", "filing", other, PROOF) == 0
        assert not reader.nullifier_spent(SCHEMA, other[2], other[3])


def test_a_party_opens_the_ledger_that_its_configuration_names() -> None:
    with anvil(*FREE_GAS) as provider:
        place = LedgerPlace(None, str(provider.endpoint_uri), str(deployed(provider).address), None)
        ledger, _ = open_ledger(place)
        assert ledger.latest_head() is None
    with pytest.raises(Unreachable):
        ledger.latest_head()


def test_slow_blocks_are_waited_for() -> None:
    with anvil(*FREE_GAS, "--block-time", "1") as provider:
        ledger = deployed(provider)
        confirmation = ledger.register_scorecard(5)
        assert confirmation.block >= 5
        assert ledger.scorecard(5) is not None


def test_gas_is_paid_where_it_costs() -> None:
    with anvil("--gas-price", "1000000000", "--hardfork", "paris") as provider:
        ledger = deployed(provider, gas_price=2 * 10**9)
        ledger.register_scorecard(5)
        assert ledger.scorecard(5) is not None
        poor = Ledger(provider, ledger.address, LedgerAccount.create(), gas_price=2 * 10**9)
        ledger.grant(address(poor), Role.BANK)
        with pytest.raises(TransactionFailed):
            poor.register_scorecard(6)


def test_chain_that_goes_away_is_unreachable() -> None:
    with anvil(*FREE_GAS) as provider:
        ledger = deployed(provider)
    with pytest.raises(Unreachable):
        ledger.scorecard(5)
    with pytest.raises(Unreachable):
        ledger.register_scorecard(5)
