"""The Ethereum virtual machine, Paris rules, in this process: pyrevm where it is installed, py-evm elsewhere.

Both run the same transactions to the same status, return data and events (a test holds them together). The gas they
count differs: pyrevm keeps storage that an earlier transaction touched warm (EIP-2929) and charges for code as later
rules do (EIP-3860). py-evm's own pairing is interpreted Python and takes half a second, so zkcore's takes its place
(:mod:`services.ledger.precompiles`).
There is no currency: gas costs nothing, every balance is zero.
"""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from eth_typing import BlockNumber
from eth_utils.address import to_canonical_address

BLOCK_GAS_LIMIT = 30_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """What a contract can see of the block it runs in."""

    number: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Call:
    """A message to a contract (``to``, 20 bytes) or, where ``to`` is None, code that makes one."""

    sender: bytes
    to: bytes | None
    data: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class Event:
    """An event that a contract logged."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call. ``output`` is its return data, or the revert's."""

    success: bool
    output: bytes
    gas_used: int
    events: tuple[Event, ...] = ()


class Engine(Protocol):
    """State of all contracts, changed by one transaction at a time."""

    def execute(self, call: Call, nonce: int, chain_id: int, block: Block) -> Outcome:
        """Run a transaction and keep what it changed."""

    def simulate(self, call: Call, chain_id: int, block: Block) -> Outcome:
        """Run a call and forget what it changed."""

    def code(self, address: bytes) -> bytes:
        """Code of the contract at an address, empty where there is none."""


def engine() -> Engine:
    """A fresh machine of the fastest kind installed."""
    return RevmEngine() if find_spec("pyrevm") else PyEvmEngine()


class RevmEngine:
    """pyrevm (revm, in Rust)."""

    # revm keeps code with this many zero bytes behind it, so that a PUSH at the end finds its operand.
    _PADDING = bytes(33)

    def __init__(self) -> None:
        import pyrevm

        self._revm = pyrevm
        self._evm: Any = None

    def execute(self, call: Call, nonce: int, chain_id: int, block: Block) -> Outcome:
        return self._run(call, nonce, chain_id, block)

    def simulate(self, call: Call, chain_id: int, block: Block) -> Outcome:
        evm = self._prepared(chain_id, block)
        checkpoint = evm.snapshot()
        try:
            return self._run(call, evm.basic(_hex(call.sender)).nonce, chain_id, block)
        finally:
            evm.revert(checkpoint)

    def code(self, address: bytes) -> bytes:
        code = bytes(self._evm.get_code(_hex(address)) or b"") if self._evm else b""
        return code.removesuffix(self._PADDING)

    def _prepared(self, chain_id: int, block: Block) -> Any:
        environment = self._revm.BlockEnv(
            number=block.number, timestamp=block.timestamp, basefee=0, gas_limit=BLOCK_GAS_LIMIT
        )
        if self._evm is None:
            configuration = self._revm.CfgEnv(chain_id=chain_id)
            self._evm = self._revm.EVM(self._revm.Env(cfg=configuration, block=environment), spec_id="MERGE")
        self._evm.set_block_env(environment)
        return self._evm

    def _run(self, call: Call, nonce: int, chain_id: int, block: Block) -> Outcome:
        evm = self._prepared(chain_id, block)
        sender, to = _hex(call.sender), _hex(call.to) if call.to else None
        # revm counts a sender's contract creations but, driven this way, neither calls nor failures.
        if evm.basic(sender).nonce != nonce:
            evm.insert_account_info(sender, self._revm.AccountInfo(nonce=nonce))
        evm.set_tx_env(
            self._revm.TxEnv(
                caller=sender, gas_limit=call.gas, gas_price=0, nonce=nonce, to=to, data=call.data, chain_id=chain_id
            )
        )
        try:
            if to is None:
                evm.deploy(sender, call.data, gas=call.gas)
                output = b""
            else:
                output = bytes(evm.message_call(sender, to, calldata=call.data, gas=call.gas))
        except RuntimeError as error:
            if evm.result is None:
                # Never begun, e.g. for want of gas. The ledger admits no such transaction; nothing has changed.
                return Outcome(False, b"", call.gas)
            # The binding hands the revert's data over only in its message, "Revert { gas_used: 1, output: 0x2 }".
            found = re.search(r"output: 0x([0-9a-f]*)", str(error))
            return Outcome(False, bytes.fromhex(found[1]) if found else b"", evm.result.gas_used)
        return Outcome(True, output, evm.result.gas_used, tuple(map(self._event, evm.result.logs)))

    @staticmethod
    def _event(log: Any) -> Event:
        topics = tuple(bytes.fromhex(topic[2:]) for topic in log.topics)
        return Event(to_canonical_address(log.address), topics, bytes(log.data[1]))


class PyEvmEngine:
    """py-evm (Python)."""

    def __init__(self) -> None:
        from eth.constants import BLANK_ROOT_HASH
        from eth.db.atomic import AtomicDB
        from eth.vm.forks.paris import ParisVM
        from eth.vm.forks.paris.state import ParisState

        from services.ledger.precompiles import adapted

        self._state: Any = adapted(ParisState)(AtomicDB(), self._context(0, Block(0, 0)), BLANK_ROOT_HASH)
        self._builder: Any = ParisVM.get_transaction_builder()

    def execute(self, call: Call, nonce: int, chain_id: int, block: Block) -> Outcome:
        # Failed transactions count here too, but a ledger that was written by another engine may start anywhere.
        self._state.set_nonce(call.sender, nonce)
        outcome = self._run(call, nonce, chain_id, block)
        # Ends the transaction: what it touched is cold again for the next one (EIP-2929).
        self._state.lock_changes()
        return outcome

    def simulate(self, call: Call, chain_id: int, block: Block) -> Outcome:
        checkpoint = self._state.snapshot()
        try:
            return self._run(call, self._state.get_nonce(call.sender), chain_id, block)
        finally:
            self._state.revert(checkpoint)

    def code(self, address: bytes) -> bytes:
        return bytes(self._state.get_code(address))

    @staticmethod
    def _context(chain_id: int, block: Block) -> Any:
        from eth.constants import ZERO_ADDRESS, ZERO_HASH32
        from eth.vm.execution_context import ExecutionContext

        return ExecutionContext(
            coinbase=ZERO_ADDRESS,
            timestamp=block.timestamp,
            block_number=BlockNumber(block.number),
            difficulty=0,
            mix_hash=ZERO_HASH32,
            gas_limit=BLOCK_GAS_LIMIT,
            prev_hashes=(),
            chain_id=chain_id,
            base_fee_per_gas=0,
        )

    def _run(self, call: Call, nonce: int, chain_id: int, block: Block) -> Outcome:
        from eth.vm.spoof import SpoofTransaction

        self._state.execution_context = self._context(chain_id, block)
        unsigned = self._builder.create_unsigned_transaction(
            nonce=nonce, gas_price=0, gas=call.gas, to=call.to or b"", value=0, data=call.data
        )
        transaction = SpoofTransaction(unsigned, from_=call.sender)
        computation = self._state.apply_transaction(transaction)
        used = call.gas - computation.get_gas_remaining()
        used -= self._state.transaction_executor_class.calculate_gas_refund(computation, used)
        if computation.is_error:
            return Outcome(False, bytes(computation.output), used)
        output = b"" if call.to is None else bytes(computation.output)
        events = (
            Event(address, tuple(topic.to_bytes(32, "big") for topic in topics), data)
            for address, topics, data in computation.get_log_entries()
        )
        return Outcome(True, output, used, tuple(events))


def _hex(address: bytes) -> str:
    return "0x" + address.hex()
