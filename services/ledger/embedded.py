"""The ledger in a file as a web3.py provider: Ethereum's JSON-RPC, as far as contracts need it, without a server."""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from services.ledger.blocks import BlockFile, InvalidTransaction, Mined
from services.ledger.evm import BLOCK_GAS_LIMIT, Call, Engine, Event, Outcome, engine
from services.ledger.transactions import SignedTransaction
from zkcore.errors import Malformed


class _RpcError(Exception):
    """An error as JSON-RPC answers it."""

    def __init__(self, message: str, code: int = -32000, data: str | None = None) -> None:
        super().__init__(message)
        self.answer: dict[str, Any] = {"code": code, "message": message} | ({} if data is None else {"data": data})


class EmbeddedProvider(BaseProvider):
    """web3.py provider over a ledger file (:mod:`services.ledger.blocks`), which is made where there is none.

    Safe to share between threads: one request is served at a time. A file that cannot be used any more raises OSError,
    as a lost connection does.

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
        self._lock = threading.Lock()
        self._chain = BlockFile(path, read_only, make_engine())

    def close(self) -> None:
        """Close the file. The provider answers nothing afterwards."""
        with self._lock:
            self._chain.close()

    def is_connected(self, show_traceback: bool = False) -> bool:
        """Always: there is no connection to lose."""
        return True

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answer a JSON-RPC request."""
        answer = _METHODS.get(method)
        try:
            if answer is None:
                raise _RpcError(f"the method {method} does not exist", code=-32601)
            with self._lock:
                self._chain.catch_up()
                result = answer(self, *params)
        except InvalidTransaction as error:
            return _failure(_RpcError(error.why))
        except _RpcError as error:
            return _failure(error)
        except sqlite3.Error as error:
            raise OSError(f"the ledger's file cannot be used: {error}") from error
        return {"jsonrpc": "2.0", "id": 1, "result": result}

    def _send_raw_transaction(self, raw: str) -> str:
        try:
            transaction = SignedTransaction.decode(_from_hex(raw))
        except Malformed as error:
            raise _RpcError(f"invalid transaction: {error.why}") from None
        self._chain.append(transaction)
        return _to_hex(transaction.hash)

    def _simulate(self, request: Mapping[str, Any]) -> Outcome:
        sender = _from_hex(request.get("from", "0x" + "00" * 20))
        to = _from_hex(request["to"]) if request.get("to") else None
        data = _from_hex(request.get("data") or request.get("input") or "0x")
        gas = int(request["gas"], 16) if "gas" in request else BLOCK_GAS_LIMIT
        outcome = self._chain.simulate(Call(sender, to, data, min(gas, BLOCK_GAS_LIMIT)))
        if not outcome.success:
            raise _RpcError("execution reverted", code=3, data=_to_hex(outcome.output))
        return outcome

    def _call(self, request: Mapping[str, Any], at: str = "latest", *_: Any) -> str:
        if self._number(at) != len(self._chain.mined):
            raise _RpcError("only the newest state can be asked")
        return _to_hex(self._simulate(request).output)

    def _estimate_gas(self, request: Mapping[str, Any], *_: Any) -> str:
        # The rule of EIP-150 keeps a 64th of the gas back at every call, so what was used is not yet enough.
        return hex(min(BLOCK_GAS_LIMIT, self._simulate(request).gas_used * 5 // 4))

    def _number(self, block: str) -> int:
        if block in ("latest", "pending", "safe", "finalized"):
            return len(self._chain.mined)
        return 0 if block == "earliest" else int(block, 16)

    def _get_block(self, number: int, full: bool) -> dict[str, Any] | None:
        if not 0 <= number <= len(self._chain.mined):
            return None
        mined = self._chain.mined[number - 1] if number else None
        return {
            "number": hex(number),
            "hash": _to_hex(mined.hash if mined else self._chain.genesis),
            "parentHash": _to_hex(mined.parent if mined else bytes(32)),
            "timestamp": hex(mined.block.timestamp if mined else self._chain.beginning),
            "gasLimit": hex(BLOCK_GAS_LIMIT),
            "gasUsed": hex(mined.outcome.gas_used if mined else 0),
            "baseFeePerGas": "0x0",
            "difficulty": "0x0",
            "extraData": "0x",
            "miner": to_checksum_address(bytes(20)),
            "uncles": [],
            "transactions": [
                _transaction(mined) if full else _to_hex(mined.transaction.hash) for mined in [mined] if mined
            ],
        }

    def _get_block_by_number(self, block: str, full: bool = False) -> dict[str, Any] | None:
        return self._get_block(self._number(block), full)

    def _get_block_by_hash(self, digest: str, full: bool = False) -> dict[str, Any] | None:
        return self._get_block(self._chain.by_hash.get(_from_hex(digest), -1), full)

    def _get_transaction(self, digest: str) -> dict[str, Any] | None:
        mined = self._chain.by_transaction.get(_from_hex(digest))
        return _transaction(mined) if mined else None

    def _get_receipt(self, digest: str) -> dict[str, Any] | None:
        mined = self._chain.by_transaction.get(_from_hex(digest))
        return _receipt(mined) if mined else None

    def _get_logs(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in wanted:
            first = last = self._chain.by_hash.get(_from_hex(wanted["blockHash"]), -1)
        else:
            first, last = (self._number(wanted.get(bound, "latest")) for bound in ("fromBlock", "toBlock"))
        return [
            _event(mined, place, event)
            for mined in self._chain.mined[max(first - 1, 0) : max(last, 0)]
            for place, event in enumerate(mined.outcome.events)
            if _matches(event, wanted.get("address"), wanted.get("topics") or [])
        ]

    def _get_transaction_count(self, address: str, *_: Any) -> str:
        return hex(self._chain.nonce(_from_hex(address)))

    def _get_code(self, address: str, *_: Any) -> str:
        return _to_hex(self._chain.code(_from_hex(address)))


_METHODS: dict[str, Callable[..., Any]] = {
    "eth_accounts": lambda provider: [],
    "eth_blockNumber": lambda provider: hex(len(provider._chain.mined)),
    "eth_call": EmbeddedProvider._call,
    "eth_chainId": lambda provider: hex(provider._chain.chain_id),
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
    "net_version": lambda provider: str(provider._chain.chain_id),
    "web3_clientVersion": lambda provider: "zkshare embedded ledger",
}


def _failure(error: _RpcError) -> RPCResponse:
    return {"jsonrpc": "2.0", "id": 1, "error": error.answer}  # type: ignore[typeddict-item]


def _place(mined: Mined) -> dict[str, Any]:
    call = mined.transaction.call
    return {
        "blockNumber": hex(mined.block.number),
        "blockHash": _to_hex(mined.hash),
        "transactionIndex": "0x0",
        "from": to_checksum_address(call.sender),
        "to": to_checksum_address(call.to) if call.to else None,
        "type": "0x0",
    }


def _transaction(mined: Mined) -> dict[str, Any]:
    transaction, (v, r, s) = mined.transaction, mined.transaction.signature
    return _place(mined) | {
        "hash": _to_hex(transaction.hash),
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


def _receipt(mined: Mined) -> dict[str, Any]:
    transaction, outcome = mined.transaction, mined.outcome
    created = None
    if transaction.call.to is None and outcome.success:
        created = to_checksum_address(keccak(rlp.encode([transaction.call.sender, transaction.nonce]))[12:])
    return _place(mined) | {
        "transactionHash": _to_hex(transaction.hash),
        "status": hex(outcome.success),
        "gasUsed": hex(outcome.gas_used),
        "cumulativeGasUsed": hex(outcome.gas_used),
        "effectiveGasPrice": "0x0",
        "contractAddress": created,
        "logs": [_event(mined, place, event) for place, event in enumerate(outcome.events)],
    }


def _event(mined: Mined, place: int, event: Event) -> dict[str, Any]:
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
