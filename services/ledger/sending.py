"""Sending transactions to a chain, and waiting until they count.

A transaction counts when ``confirmations`` blocks lie on top of its own and its receipt's block is still the chain's
at that height. With 0, for chains whose blocks are final at once (QBFT, PBFT, the embedded ledger), its receipt is
enough.

Until then blocks may be rolled back. A transaction that the chain dropped is sent again as it was signed, under the
same nonce, so that it cannot take effect twice; one whose nonce another transaction of the account took meanwhile can
never be mined, and :class:`Superseded` has the caller look at the state anew and sign it anew. All waiting ends after
``timeout`` seconds as :class:`services.errors.Unreachable`; the transaction may still be mined afterwards.
Rollbacks deeper than ``confirmations`` are beyond what this can promise.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from eth_utils.crypto import keccak
from web3 import Web3
from web3.exceptions import BlockNotFound, TransactionNotFound, Web3Exception, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.base import BaseProvider

from services.errors import Unreachable
from services.ledger.errors import TransactionFailed, WrongChain
from services.ledger.transactions import LedgerAccount
from services.metrics import LEDGER_DROPPED
from zkcore.errors import OutOfRange

GAS_LIMIT = 4_000_000
"""Gas limit of every transaction; what is not used is not charged.

Used, under Paris rules: deployment 3,152,000; a verifying key 927,000; a filing verified on chain 357,000; an anchor
185,000; a head 159,000; a release 146,000; a dataset 138,000; a scorecard 70,000; a digest 50,000; a role 48,000.
"""

TIMEOUT = 60.0
"""Seconds until waiting for a transaction ends, unless told."""

POLL = 0.05
MOST_CONFIRMATIONS = 1024

# What clients say of a transaction (geth, Besu, Reth and anvil in their words); each means that it was not taken in.
KNOWN = ("already known", "known transaction", "already imported", "already exists")
NONCE_TAKEN = ("nonce too low", "nonce is too low", "below account nonce")
IN_THE_WAY = ("replacement transaction underpriced", "underpriced replacement", "replacement underpriced")

_log = structlog.get_logger("zkshare.ledger")


class Superseded(Exception):
    """Another transaction of the account took this one's nonce, so that it can never be mined."""


class Sender:
    """A chain to send transactions to.

    Parameters
    ----------
    gas_price
        In the chain's smallest unit.
    confirmations
        Blocks on top of one until it counts; 0 where blocks are final.
    chain_id
        The chain it must be; None for any.
    timeout
        Seconds that waiting for a transaction takes at most.

    Raises
    ------
    WrongChain
        The chain has another id.
    Unreachable
        It does not answer.
    """

    def __init__(
        self, provider: BaseProvider, gas_price: int, confirmations: int, chain_id: int | None, timeout: float
    ) -> None:
        if not 0 <= confirmations <= MOST_CONFIRMATIONS:
            raise OutOfRange("ledger.confirmations", f"must be from 0 to {MOST_CONFIRMATIONS}")
        self.web3 = Web3(provider)
        self.web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self.gas_price = gas_price
        self.confirmations = confirmations
        self.wanted_chain_id = chain_id
        self.timeout = timeout
        with self.answering():
            self._chain_id = self.web3.eth.chain_id
        if chain_id not in (None, self._chain_id):
            raise WrongChain("ledger.chain_id", f"the chain's id is {self._chain_id}, not {chain_id}")

    def settled(self) -> Any:
        """The newest block whose state may be relied on."""
        if not self.confirmations:
            return "latest"
        with self.answering():
            return max(self.web3.eth.block_number - self.confirmations, 0)

    def send(self, account: LedgerAccount, to: str | None, data: bytes) -> Any:
        """Sign and send a transaction; its receipt, once it counts. Raises Superseded besides refusals."""
        deadline = time.monotonic() + self.timeout
        with self.answering():
            nonce, raw = self._send(account, to, data, deadline)
            return self._wait(account, nonce, raw, deadline)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; raises Unreachable when the time is over."""
        deadline = time.monotonic() + self.timeout
        while not condition():
            _pause(deadline, f"{what} was not confirmed in {self.timeout:.0f} s")

    def _send(self, account: LedgerAccount, to: str | None, data: bytes, deadline: float) -> tuple[int, bytes]:
        while True:
            # One at a time for each account, from asking for the nonce to its use.
            with account.sending:
                nonce = self._count(account, "pending")
                raw = account.sign_transaction(nonce, self.gas_price, GAS_LIMIT, to, data, self._chain_id)
                try:
                    self.web3.eth.send_raw_transaction(raw)
                    return nonce, raw
                except Web3RPCError as error:
                    if _says(error, KNOWN):
                        return nonce, raw
                    # Another process used the account in between; what was turned away has not happened.
                    if not _says(error, NONCE_TAKEN + IN_THE_WAY):
                        raise TransactionFailed("ledger", f"a transaction was turned away: {error.message}") from None
            _pause(deadline, "another transaction of the account is in the way and is not mined")

    def _wait(self, account: LedgerAccount, nonce: int, raw: bytes, deadline: float) -> Any:
        digest, mined, lost = keccak(raw), False, 0
        while True:
            receipt = _found(self.web3.eth.get_transaction_receipt, digest)
            if receipt is not None:
                if receipt["transactionHash"] != digest:
                    raise Unreachable("ledger", "the chain answers with the receipt of another transaction")
                mined, lost = True, 0
                if self._counts(receipt):
                    return receipt
            elif _found(self.web3.eth.get_transaction, digest) is None:
                # Asked twice before it is believed: a transaction moves from the pool to a block between two questions.
                lost += 1
                if lost > 1:
                    self._bring_back(account, nonce, raw, mined)
                    mined, lost = False, 0
            _pause(deadline, f"a transaction was not confirmed in {self.timeout:.0f} s")

    def _counts(self, receipt: Any) -> bool:
        if not self.confirmations:
            return True
        number = receipt["blockNumber"]
        if self.web3.eth.block_number < number + self.confirmations:
            return False
        try:
            return bool(self.web3.eth.get_block(number)["hash"] == receipt["blockHash"])
        except BlockNotFound:
            return False

    def _bring_back(self, account: LedgerAccount, nonce: int, raw: bytes, mined: bool) -> None:
        """Send a transaction again that the chain does not know any more."""
        LEDGER_DROPPED.inc()
        _log.warning("transaction dropped", transaction="0x" + keccak(raw).hex(), nonce=nonce, was_mined=mined)
        # A nonce that others passed is lost; one with a gap below it would wait for ever.
        if self._count(account, "latest") > nonce or self._count(account, "pending") < nonce:
            raise Superseded
        try:
            self.web3.eth.send_raw_transaction(raw)
        except Web3RPCError as error:
            if _says(error, NONCE_TAKEN):
                raise Superseded from None
            if not _says(error, KNOWN + IN_THE_WAY):
                raise TransactionFailed("ledger", f"a transaction was turned away: {error.message}") from None

    def _count(self, account: LedgerAccount, block: Any) -> int:
        return self.web3.eth.get_transaction_count(account.address, block)  # type: ignore[arg-type]

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turn a chain that does not answer, or not sensibly, into Unreachable."""
        try:
            yield
        except OSError:
            raise Unreachable("ledger", "the chain does not answer") from None
        except (Web3Exception, json.JSONDecodeError) as error:
            raise Unreachable("ledger", f"the chain answers with an error ({type(error).__name__})") from None


def _pause(deadline: float, why: str) -> None:
    if time.monotonic() >= deadline:
        raise Unreachable("ledger", f"{why}; it may be yet")
    time.sleep(POLL)


def _found(ask: Callable[[Any], Any], digest: bytes) -> Any:
    try:
        return ask(digest)
    except TransactionNotFound:
        return None


def _says(error: Web3RPCError, phrases: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(phrase in text for phrase in phrases)
