"""A chain of blocks in one SQLite file, one signed transaction in each, and the state that follows from them.

The file holds what was agreed on; the state of the contracts is worked out from it anew whenever the file is opened,
signatures included. A transaction is on disk (``synchronous=FULL``) before it is acknowledged, so one that was
acknowledged survives the loss of the process or of power. Several processes may open the file, to write or only to
read, and each sees what the others appended.

It stands for the ordering and permanence of a real chain only as far as whoever holds the file is trusted not to cut
its end off or to withhold it: transactions cannot be forged or altered without the parties' keys, but nobody else
keeps a copy. There is no currency: gas is free and balances are zero.
"""

import errno
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rlp
from eth_utils.crypto import keccak

from services.ledger.evm import BLOCK_GAS_LIMIT, Block, Call, Engine, Outcome
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


class InvalidTransaction(Refused):
    """A transaction that cannot be the next one of the chain."""


@dataclass(frozen=True, slots=True)
class Mined:
    """A block with its transaction and what became of it."""

    block: Block
    hash: bytes
    parent: bytes
    transaction: SignedTransaction
    outcome: Outcome


class BlockFile:
    """The chain in a file, which is made where there is none. Not for use by several threads at once.

    Parameters
    ----------
    path
        The file.
    read_only
        Open an existing file without the right to append.
    machine
        The virtual machine to run the transactions in, fresh.

    Raises
    ------
    LedgerDamaged
        The file is another program's or its chain of blocks is broken.
    FileNotFoundError
        ``read_only`` and there is no such file.
    """

    def __init__(self, path: Path, read_only: bool, machine: Engine) -> None:
        self._read_only = read_only
        self._machine = machine
        self._database = _open(path, read_only)
        rows = self._database.execute("SELECT chain_id, time FROM genesis").fetchall()
        if len(rows) != 1:
            raise LedgerDamaged("ledger", "the file does not say how its chain begins")
        self.chain_id: int = rows[0][0]
        self.beginning: int = rows[0][1]
        self.genesis = keccak(rlp.encode([b"zkshare embedded ledger", self.chain_id, self.beginning]))
        self.mined: list[Mined] = []
        self.by_transaction: dict[bytes, Mined] = {}
        self.by_hash: dict[bytes, int] = {self.genesis: 0}
        self._nonces: dict[bytes, int] = {}
        self.catch_up()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def catch_up(self) -> None:
        """Run the blocks of the file that have not been run yet, whoever appended them."""
        query = "SELECT number, time, raw, hash FROM block WHERE number > ? ORDER BY number"
        for number, at, raw, digest in self._database.execute(query, (len(self.mined),)).fetchall():
            if number != len(self.mined) + 1:
                raise LedgerDamaged("ledger", f"block {len(self.mined) + 1} is missing")
            try:
                transaction = SignedTransaction.decode(raw)
                self._check(transaction)
            except (Malformed, InvalidTransaction) as error:
                raise LedgerDamaged("ledger", f"block {number} holds an invalid transaction: {error.why}") from None
            if at < self._time() or digest != _block_hash(self._tip(), number, at, transaction):
                raise LedgerDamaged("ledger", f"block {number} does not follow from the one before it")
            self._run(transaction, Block(number, at))

    def append(self, transaction: SignedTransaction) -> None:
        """Put a transaction in the next block, on disk, and run it. Raises InvalidTransaction if it cannot be next."""
        if self._read_only:
            raise InvalidTransaction("transaction", "the ledger was opened to read only")
        if transaction.hash in self.by_transaction:
            raise InvalidTransaction("transaction", "already known")
        with self._writing():
            self.catch_up()
            self._check(transaction)
            block = self._next()
            digest = _block_hash(self._tip(), block.number, block.timestamp, transaction)
            row = (block.number, block.timestamp, transaction.raw, digest)
            self._database.execute("INSERT INTO block VALUES (?, ?, ?, ?)", row)
        # On disk; what it does follows from the log alone, now or after a restart.
        self._run(transaction, block)

    def simulate(self, call: Call) -> Outcome:
        """What a call would do in the next block. Raises InvalidTransaction for one that would not even begin."""
        _check_start(call)
        return self._machine.simulate(call, self.chain_id, self._next())

    def code(self, address: bytes) -> bytes:
        """Code of the contract at an address, empty where there is none."""
        return self._machine.code(address)

    def nonce(self, address: bytes) -> int:
        """How many transactions an account has sent."""
        return self._nonces.get(address, 0)

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

    def _tip(self) -> bytes:
        return self.mined[-1].hash if self.mined else self.genesis

    def _time(self) -> int:
        return self.mined[-1].block.timestamp if self.mined else self.beginning

    def _next(self) -> Block:
        """The next block; its time does not run back though the clock may."""
        return Block(len(self.mined) + 1, max(int(time.time()), self._time()))

    def _check(self, transaction: SignedTransaction) -> None:
        """Raise InvalidTransaction unless the transaction may be the next one."""
        call = transaction.call
        if transaction.chain_id != self.chain_id:
            raise InvalidTransaction(
                "transaction", f"invalid chain id: have {transaction.chain_id} want {self.chain_id}"
            )
        expected = self.nonce(call.sender)
        if transaction.nonce != expected:
            relation = "low" if transaction.nonce < expected else "high"
            raise InvalidTransaction("transaction", f"nonce too {relation}: have {transaction.nonce} want {expected}")
        if transaction.gas_price or transaction.value:
            raise InvalidTransaction("transaction", "insufficient funds: there is no currency, the gas price is 0")
        if call.gas > BLOCK_GAS_LIMIT:
            raise InvalidTransaction("transaction", "exceeds block gas limit")
        _check_start(call)

    def _run(self, transaction: SignedTransaction, block: Block) -> None:
        outcome = self._machine.execute(transaction.call, transaction.nonce, self.chain_id, block)
        parent = self._tip()
        digest = _block_hash(parent, block.number, block.timestamp, transaction)
        mined = Mined(block, digest, parent, transaction, outcome)
        self.mined.append(mined)
        self.by_transaction[transaction.hash] = mined
        self.by_hash[mined.hash] = block.number
        self._nonces[transaction.call.sender] = transaction.nonce + 1


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if read_only and not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
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
    """Raise InvalidTransaction for a call that no machine would even begin."""
    if call.to is None and len(call.data) > LARGEST_CREATION:
        raise InvalidTransaction("transaction", "max initcode size exceeded")
    if call.gas < _intrinsic_gas(call):
        raise InvalidTransaction("transaction", "intrinsic gas too low")


def _intrinsic_gas(call: Call) -> int:
    zeros = call.data.count(0)
    gas = TRANSACTION_GAS + ZERO_BYTE_GAS * zeros + BYTE_GAS * (len(call.data) - zeros)
    if call.to is None:
        gas += CREATION_GAS + CODE_WORD_GAS * ((len(call.data) + 31) // 32)
    return gas
