"""An Ethereum ledger in one SQLite file, for web3.py, without a server.

The file holds what was agreed on, a chain of blocks with one signed transaction each; the state of the contracts is
worked out from it anew whenever the file is opened, signatures included. A transaction is on disk
(``synchronous=FULL``) before it is acknowledged, so one that was acknowledged survives the loss of the process or of
power. Several processes may open the file, to write or only to read, and each sees what the others appended.

It stands for the ordering and permanence of a real chain only as far as whoever holds the file is trusted not to cut
its end off or to withhold it: transactions cannot be forged or altered without the parties' keys, but nobody else
keeps a copy. There is no currency: gas is free and balances are zero.
"""

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from services.ledger.evm import BLOCK_GAS_LIMIT, Block, Call, Engine, Event, Outcome, engine
from services.ledger.transactions import SignedTransaction
from zkcore.errors import Malformed, Refused

APPLICATION_ID = 0x7A6B6C67  # "zklg"
FILE_VERSION = 1
BUSY_SECONDS = 30.0

# Gas that a transaction costs before it does anything: EIP-2028 (data), EIP-3860 (code), yellow paper appendix G.
TRANSACTION_GAS, CREATION_GAS, CODE_WORD_GAS, ZERO_BYTE_GAS, BYTE_GAS = 21_000, 32_000, 2, 4, 16
LARGEST_CREATION = 49_152


class LedgerDamaged(Refused):
    """The ledger's file is not one, or its blocks do not follow from one another."""


class _RpcError(Exception):
    """An error as JSON-RPC answers it."""

    def __init__(self, message: str, code: int = -32000, data: str | None = None) -> None:
        super().__init__(message)
        self.answer: dict[str, Any] = {"code": code, "message": message} | ({} if data is None else {"data": data})


@dataclass(frozen=True, slots=True)
class _Mined:
    """A block with its transaction and what became of it."""

    block: Block
    hash: bytes
    parent: bytes
    transaction: SignedTransaction
    outcome: Outcome


class EmbeddedProvider(BaseProvider):
    """web3.py provider over a ledger file, which is made where there is none.

    Safe to share between threads: one request is served at a time.

    Parameters
    ----------
    path
        The file.
    read_only
        Open an existing file without the right to append; transactions are refused.
    make_engine
        Makes the virtual machine; the fastest installed one when not given.

    Raises
    ------
    LedgerDamaged
        The file is another program's or its chain of blocks is broken.
    FileNotFoundError
        ``read_only`` and there is no such file.
    """

    def __init__(self, path: Path, read_only: bool = False, make_engine: Callable[[], Engine] = engine) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._read_only = read_only
        self._engine = make_engine()
        self._database = _open(path, read_only)
        self._chain_id, self._genesis_time = self._identity()
        self._genesis = keccak(rlp.encode([b"zkshare embedded ledger", self._chain_id, self._genesis_time]))
        self._mined: list[_Mined] = []
        self._by_transaction: dict[bytes, _Mined] = {}
        self._by_hash: dict[bytes, int] = {self._genesis: 0}
        self._nonces: dict[bytes, int] = {}
        with self._lock:
            self._catch_up()

    def close(self) -> None:
        """Close the file. The provider answers nothing afterwards."""
        with self._lock:
            self._database.close()

    def is_connected(self, show_traceback: bool = False) -> bool:
        """Always: there is no connection to lose."""
        return True

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answer a JSON-RPC request (the subset of Ethereum's that web3.py needs for contracts)."""
        answer = _METHODS.get(method)
        try:
            if answer is None:
                raise _RpcError(f"the method {method} does not exist", code=-32601)
            with self._lock:
                self._catch_up()
                result = answer(self, *params)
        except _RpcError as error:
            return {"jsonrpc": "2.0", "id": 1, "error": error.answer}  # type: ignore[typeddict-item]
        except sqlite3.Error as error:
            raise OSError(f"the ledger's file cannot be used: {error}") from error
        return {"jsonrpc": "2.0", "id": 1, "result": result}

    # The file.

    def _identity(self) -> tuple[int, int]:
        """Chain id and time of the beginning, which were chosen when the file was made."""
        rows = self._database.execute("SELECT chain_id, time FROM genesis").fetchall()
        if len(rows) != 1:
            raise LedgerDamaged("ledger", "the file does not say how its chain begins")
        return rows[0]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the file's write lock, so that no other process appends, until what is written is on disk."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _catch_up(self) -> None:
        """Run the blocks of the file that this provider has not run yet."""
        query = "SELECT number, time, raw, hash FROM block WHERE number > ? ORDER BY number"
        for number, at, raw, digest in self._database.execute(query, (len(self._mined),)).fetchall():
            if number != len(self._mined) + 1:
                raise LedgerDamaged("ledger", f"block {len(self._mined) + 1} is missing")
            try:
                transaction = SignedTransaction.decode(raw)
                self._check(transaction)
            except (Malformed, _RpcError) as error:
                raise LedgerDamaged("ledger", f"block {number} holds an invalid transaction: {error}") from None
            if at < self._time() or digest != _block_hash(self._tip(), number, at, transaction):
                raise LedgerDamaged("ledger", f"block {number} does not follow from the one before it")
            self._run(transaction, Block(number, at))

    def _append(self, transaction: SignedTransaction) -> None:
        with self._writing():
            self._catch_up()
            self._check(transaction)
            block = Block(len(self._mined) + 1, max(int(time.time()), self._time()))
            digest = _block_hash(self._tip(), block.number, block.timestamp, transaction)
            row = (block.number, block.timestamp, transaction.raw, digest)
            self._database.execute("INSERT INTO block VALUES (?, ?, ?, ?)", row)
        # On disk; what it does follows from the log alone, now or after a restart.
        self._run(transaction, block)

    # The chain.

    def _tip(self) -> bytes:
        return self._mined[-1].hash if self._mined else self._genesis

    def _time(self) -> int:
        return self._mined[-1].block.timestamp if self._mined else self._genesis_time

    def _check(self, transaction: SignedTransaction) -> None:
        """Raise _RpcError unless the transaction may be the next one."""
        call = transaction.call
        if transaction.chain_id != self._chain_id:
            raise _RpcError(f"invalid chain id for signer: have {transaction.chain_id} want {self._chain_id}")
        expected = self._nonces.get(call.sender, 0)
        if transaction.nonce != expected:
            relation = "low" if transaction.nonce < expected else "high"
            raise _RpcError(f"nonce too {relation}: have {transaction.nonce} want {expected}")
        if transaction.gas_price or transaction.value:
            raise _RpcError("insufficient funds: this ledger has no currency, its gas price is 0")
        if call.gas > BLOCK_GAS_LIMIT:
            raise _RpcError("exceeds block gas limit")
        _check_start(call)

    def _run(self, transaction: SignedTransaction, block: Block) -> None:
        outcome = self._engine.execute(transaction.call, transaction.nonce, self._chain_id, block)
        parent = self._tip()
        digest = _block_hash(parent, block.number, block.timestamp, transaction)
        mined = _Mined(block, digest, parent, transaction, outcome)
        self._mined.append(mined)
        self._by_transaction[transaction.hash] = mined
        self._by_hash[mined.hash] = block.number
        self._nonces[transaction.call.sender] = transaction.nonce + 1

    # The methods.

    def _send_raw_transaction(self, raw: str) -> str:
        if self._read_only:
            raise _RpcError("the ledger was opened to read only")
        try:
            transaction = SignedTransaction.decode(_from_hex(raw))
        except Malformed as error:
            raise _RpcError(f"invalid transaction: {error.why}") from None
        if transaction.hash in self._by_transaction:
            raise _RpcError("already known")
        self._append(transaction)
        return _to_hex(transaction.hash)

    def _simulate(self, request: Mapping[str, Any]) -> Outcome:
        sender = _from_hex(request.get("from", "0x" + "00" * 20))
        to = _from_hex(request["to"]) if request.get("to") else None
        data = _from_hex(request.get("data") or request.get("input") or "0x")
        gas = int(request["gas"], 16) if "gas" in request else BLOCK_GAS_LIMIT
        call = Call(sender, to, data, min(gas, BLOCK_GAS_LIMIT))
        _check_start(call)
        block = Block(len(self._mined) + 1, max(int(time.time()), self._time()))
        outcome = self._engine.simulate(call, self._chain_id, block)
        if not outcome.success:
            raise _RpcError("execution reverted", code=3, data=_to_hex(outcome.output))
        return outcome

    def _call(self, request: Mapping[str, Any], at: str = "latest", *_: Any) -> str:
        if self._number(at) != len(self._mined):
            raise _RpcError("only the newest state can be asked")
        return _to_hex(self._simulate(request).output)

    def _estimate_gas(self, request: Mapping[str, Any], *_: Any) -> str:
        # The rule of EIP-150 keeps a 64th of the gas back at every call, so what was used is not yet enough.
        return hex(min(BLOCK_GAS_LIMIT, self._simulate(request).gas_used * 5 // 4))

    def _number(self, block: str) -> int:
        if block in ("latest", "pending", "safe", "finalized"):
            return len(self._mined)
        return 0 if block == "earliest" else int(block, 16)

    def _get_block(self, number: int, full: bool) -> dict[str, Any] | None:
        if not 0 <= number <= len(self._mined):
            return None
        mined = self._mined[number - 1] if number else None
        return {
            "number": hex(number),
            "hash": _to_hex(mined.hash if mined else self._genesis),
            "parentHash": _to_hex(mined.parent if mined else bytes(32)),
            "timestamp": hex(mined.block.timestamp if mined else self._genesis_time),
            "gasLimit": hex(BLOCK_GAS_LIMIT),
            "gasUsed": hex(mined.outcome.gas_used if mined else 0),
            "baseFeePerGas": "0x0",
            "difficulty": "0x0",
            "extraData": "0x",
            "miner": to_checksum_address(bytes(20)),
            "uncles": [],
            "transactions": [
                self._describe(mined) if full else _to_hex(mined.transaction.hash) for mined in [mined] if mined
            ],
        }

    def _get_block_by_number(self, block: str, full: bool = False) -> dict[str, Any] | None:
        return self._get_block(self._number(block), full)

    def _get_block_by_hash(self, digest: str, full: bool = False) -> dict[str, Any] | None:
        return self._get_block(self._by_hash.get(_from_hex(digest), -1), full)

    def _get_transaction(self, digest: str) -> dict[str, Any] | None:
        mined = self._by_transaction.get(_from_hex(digest))
        return self._describe(mined) if mined else None

    def _describe(self, mined: _Mined) -> dict[str, Any]:
        transaction, (v, r, s) = mined.transaction, mined.transaction.signature
        return self._place(mined) | {
            "hash": _to_hex(transaction.hash),
            "type": "0x0",
            "chainId": hex(transaction.chain_id),
            "nonce": hex(transaction.nonce),
            "gas": hex(transaction.call.gas),
            "gasPrice": hex(transaction.gas_price),
            "value": hex(transaction.value),
            "input": _to_hex(transaction.call.data),
            "v": hex(v),
            "r": hex(r),
            "s": hex(s),
        }

    def _place(self, mined: _Mined) -> dict[str, Any]:
        call = mined.transaction.call
        return {
            "blockNumber": hex(mined.block.number),
            "blockHash": _to_hex(mined.hash),
            "transactionIndex": "0x0",
            "from": to_checksum_address(call.sender),
            "to": to_checksum_address(call.to) if call.to else None,
        }

    def _get_receipt(self, digest: str) -> dict[str, Any] | None:
        mined = self._by_transaction.get(_from_hex(digest))
        if mined is None:
            return None
        call, outcome = mined.transaction.call, mined.outcome
        created = None
        if call.to is None and outcome.success:
            created = to_checksum_address(keccak(rlp.encode([call.sender, mined.transaction.nonce]))[12:])
        return self._place(mined) | {
            "transactionHash": _to_hex(mined.transaction.hash),
            "type": "0x0",
            "status": hex(outcome.success),
            "gasUsed": hex(outcome.gas_used),
            "cumulativeGasUsed": hex(outcome.gas_used),
            "effectiveGasPrice": "0x0",
            "contractAddress": created,
            "logs": [self._event(mined, place, event) for place, event in enumerate(outcome.events)],
        }

    def _event(self, mined: _Mined, place: int, event: Event) -> dict[str, Any]:
        return {
            "address": to_checksum_address(event.address),
            "topics": [_to_hex(topic) for topic in event.topics],
            "data": _to_hex(event.data),
            "blockNumber": hex(mined.block.number),
            "blockHash": _to_hex(mined.hash),
            "transactionHash": _to_hex(mined.transaction.hash),
            "transactionIndex": "0x0",
            "logIndex": hex(place),
            "removed": False,
        }

    def _get_logs(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in wanted:
            first = last = self._by_hash.get(_from_hex(wanted["blockHash"]), -1)
        else:
            first, last = (self._number(wanted.get(bound, "latest")) for bound in ("fromBlock", "toBlock"))
        return [
            self._event(mined, place, event)
            for mined in self._mined[max(first - 1, 0) : max(last, 0)]
            for place, event in enumerate(mined.outcome.events)
            if _matches(event, wanted.get("address"), wanted.get("topics") or [])
        ]

    def _get_transaction_count(self, address: str, *_: Any) -> str:
        return hex(self._nonces.get(_from_hex(address), 0))

    def _get_code(self, address: str, *_: Any) -> str:
        return _to_hex(self._engine.code(_from_hex(address)))


_METHODS: dict[str, Callable[..., Any]] = {
    "eth_accounts": lambda provider: [],
    "eth_blockNumber": lambda provider: hex(len(provider._mined)),
    "eth_call": EmbeddedProvider._call,
    "eth_chainId": lambda provider: hex(provider._chain_id),
    "eth_estimateGas": EmbeddedProvider._estimate_gas,
    "eth_gasPrice": lambda provider: "0x0",
    "eth_getBalance": lambda provider, *_: "0x0",
    "eth_getBlockByHash": EmbeddedProvider._get_block_by_hash,
    "eth_getBlockByNumber": EmbeddedProvider._get_block_by_number,
    "eth_getCode": EmbeddedProvider._get_code,
    "eth_getLogs": EmbeddedProvider._get_logs,
    "eth_getTransactionByHash": EmbeddedProvider._get_transaction,
    "eth_getTransactionCount": EmbeddedProvider._get_transaction_count,
    "eth_getTransactionReceipt": EmbeddedProvider._get_receipt,
    "eth_sendRawTransaction": EmbeddedProvider._send_raw_transaction,
    "eth_syncing": lambda provider: False,
    "net_version": lambda provider: str(provider._chain_id),
    "web3_clientVersion": lambda provider: "zkshare embedded ledger",
}


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if read_only and not path.exists():
        raise FileNotFoundError(path)
    try:
        database = _connect(path, "mode=ro" if read_only else "mode=rwc")
        if read_only:
            database = _readable(database, path)
        else:
            _begin(database)
        application = database.execute("PRAGMA application_id").fetchone()[0]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if (application, version) != (APPLICATION_ID, FILE_VERSION):
            database.close()
            raise LedgerDamaged("ledger", "the file is not a ledger of this version")
        if not read_only:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
    except sqlite3.DatabaseError:
        raise LedgerDamaged("ledger", "the file is not a ledger, or cannot be opened") from None
    return database


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Threads take turns under the provider's lock; transactions are begun and ended explicitly.
    location = f"{path.resolve().as_uri()}?{mode}"
    return sqlite3.connect(location, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _readable(database: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The connection, or another to the file at rest where SQLite cannot make the files it shares with writers.

    That is so in a directory without the right to write, e.g. on a copy kept for audit. A write-ahead log beside the
    file would mean that it is not at rest, and that it cannot be read whole.
    """
    try:
        database.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        return database
    except sqlite3.OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise
    database.close()
    return _connect(path, "mode=ro&immutable=1")


def _begin(database: sqlite3.Connection) -> None:
    """Lay out a new ledger, in one transaction, if the file is new."""
    database.execute("BEGIN IMMEDIATE")
    if database.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0] == 0:
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {FILE_VERSION}")
        database.execute("CREATE TABLE genesis (chain_id INTEGER NOT NULL, time INTEGER NOT NULL)")
        # Every ledger has a chain id of its own, so that no transaction of one is valid in another.
        chain_id = 2**20 + secrets.randbelow(2**31 - 2**20)
        database.execute("INSERT INTO genesis VALUES (?, ?)", (chain_id, int(time.time())))
        database.execute(
            "CREATE TABLE block"
            " (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, raw BLOB NOT NULL, hash BLOB NOT NULL)"
        )
    database.execute("COMMIT")


def _block_hash(parent: bytes, number: int, timestamp: int, transaction: SignedTransaction) -> bytes:
    return keccak(rlp.encode([parent, number, timestamp, transaction.hash]))


def _check_start(call: Call) -> None:
    """Raise _RpcError for a call that no machine would even begin."""
    if call.to is None and len(call.data) > LARGEST_CREATION:
        raise _RpcError("max initcode size exceeded")
    if call.gas < _intrinsic_gas(call):
        raise _RpcError("intrinsic gas too low")


def _intrinsic_gas(call: Call) -> int:
    zeros = call.data.count(0)
    gas = TRANSACTION_GAS + ZERO_BYTE_GAS * zeros + BYTE_GAS * (len(call.data) - zeros)
    if call.to is None:
        gas += CREATION_GAS + CODE_WORD_GAS * ((len(call.data) + 31) // 32)
    return gas


def _matches(event: Event, address: str | Sequence[str] | None, topics: Sequence[Any]) -> bool:
    """Whether an event is one of those that an ``eth_getLogs`` filter asks for."""
    if address is not None:
        addresses = [address] if isinstance(address, str) else address
        if event.address not in {_from_hex(item) for item in addresses}:
            return False
    if len(topics) > len(event.topics):
        return False
    for wanted, topic in zip(topics, event.topics, strict=False):
        choices = [wanted] if isinstance(wanted, str) else wanted
        if choices is not None and topic not in {_from_hex(item) for item in choices}:
            return False
    return True


def _to_hex(value: bytes) -> str:
    return "0x" + value.hex()


def _from_hex(text: Any) -> bytes:
    try:
        return bytes(text) if isinstance(text, bytes | bytearray) else bytes.fromhex(text.removeprefix("0x"))
    except (ValueError, AttributeError, TypeError):
        raise _RpcError("invalid argument: not hexadecimal", code=-32602) from None
