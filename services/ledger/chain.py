"""The ledger as the parties use it: typed calls on the registry contract, over any web3.py provider.

Transactions are legacy ones with gas limit, gas price, nonce and chain id given, which Ethereum clients old and new
accept, Besu (QBFT) and FISCO BCOS 3's web3 port by their documentation too; those two were not tried. Every write is
first simulated on the newest state, so that a refusal comes with its reason and costs nothing, then sent, then waited
for until it counts (:mod:`services.ledger.sending`), then its receipt is checked. What is read is the state under
``confirmations`` blocks, so that nobody relies on what may be rolled back. It comes from the node that answers: run
one, or ask several, where it is not to be trusted.

The contract is the judge of who may do what; the classes in :data:`services.ledger.errors.REASONS` are its refusals.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Self

from eth_abi.abi import decode
from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.exceptions import BadFunctionCallOutput, ContractLogicError, Web3Exception
from web3.providers.base import BaseProvider

from services.errors import NotPermitted, Unreachable
from services.identity import Role
from services.ledger.errors import REASONS, AlreadyRegistered, NotGrowing, TransactionFailed, WrongContract
from services.ledger.sending import GAS_LIMIT, TIMEOUT, Sender, Superseded
from services.ledger.transactions import LedgerAccount
from zkcore.errors import Malformed, WrongLength
from zkcore.groth16 import VerifyingKey

ATTEMPTS = 5
FILING_INPUTS = 6
"""Public inputs of a filing: root, schema_id, subject, period, attributes, digest of the commitments."""

PAGE = 64
"""Most items the contract lists in one call."""

ROLES = {Role.ADMIN: 1, Role.OPERATOR: 2, Role.DEPARTMENT: 4, Role.BANK: 8}
"""The contract's flag for each role that does something on the ledger."""

ERROR_SELECTOR = keccak(b"Error(string)")[:4]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A transaction that was mined and succeeded."""

    transaction: bytes
    block: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset, the account of the department that answers for it, and the schema that all its records have."""

    name: str
    department: str
    schema_id: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """Root of a dataset's tree of ``size`` records, anchored by ``account`` at ``time`` (Unix seconds)."""

    epoch: int
    root: int
    size: int
    account: str
    time: int


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """A head of the submission log, anchored by ``account`` at ``time`` (Unix seconds)."""

    size: int
    root: bytes
    account: str
    time: int


@dataclass(frozen=True, slots=True)
class EnteredRelease:
    """Number ``number`` of a dataset's list of releases: the digest of what was asked, and the head it is answered at.

    Entered at ``time`` (Unix seconds).
    """

    number: int
    request: bytes
    head_size: int
    time: int


@dataclass(frozen=True, slots=True)
class RegisteredScorecard:
    """A scorecard, by its Poseidon hash, registered by ``account`` at ``time`` (Unix seconds)."""

    model_hash: int
    account: str
    time: int


class Ledger:
    """The registry at an address, read by anyone and written from one account.

    Safe to share between threads. Two objects may use one account at once only if they share the LedgerAccount.

    Parameters
    ----------
    provider
        Where the chain is: :class:`services.ledger.EmbeddedProvider`, ``web3.HTTPProvider(url)`` or any other.
    address
        The registry's address.
    account
        The account to write from; None to read only.
    gas_price
        In the chain's smallest unit; 0 where gas is free, as on the embedded ledger.
    confirmations
        Blocks on top of one until what it holds counts; 0 where blocks are final, as on the embedded ledger.
    chain_id
        The id that the chain must have; None for any.
    timeout
        Seconds to wait for a transaction at most.

    Raises
    ------
    Malformed
        The address is not one.
    WrongContract
        The address does not hold this version's registry, or not yet under so many blocks.
    WrongChain
        The chain has another id.
    Unreachable
        The chain does not answer.
    """

    def __init__(
        self,
        provider: BaseProvider,
        address: str,
        account: LedgerAccount | None = None,
        gas_price: int = 0,
        *,
        confirmations: int = 0,
        chain_id: int | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        if not Web3.is_address(address):
            raise Malformed("ledger.address", "not an address")
        self._chain = Sender(provider, gas_price, confirmations, chain_id, timeout)
        self.address = Web3.to_checksum_address(address)
        self.account = account
        with self._chain.answering():
            code = bytes(self._chain.web3.eth.get_code(self.address, self._chain.settled()))
            if keccak(code).hex() != _artefact()["runtime_keccak256"]:
                raise WrongContract("ledger.address", "it does not hold this version's registry")
        self._functions = self._chain.web3.eth.contract(self.address, abi=_artefact()["abi"]).functions

    @classmethod
    def deploy(
        cls,
        provider: BaseProvider,
        account: LedgerAccount,
        gas_price: int = 0,
        *,
        confirmations: int = 0,
        chain_id: int | None = None,
        timeout: float = TIMEOUT,
    ) -> Self:
        """Deploy a registry, whose first administrator the account becomes."""
        chain = Sender(provider, gas_price, confirmations, chain_id, timeout)
        try:
            receipt = chain.send(account, None, bytes.fromhex(_artefact()["bytecode"].removeprefix("0x")))
        except Superseded:
            raise TransactionFailed("ledger.deploy", "another transaction of the account took its place") from None
        if receipt["status"] != 1:
            raise TransactionFailed("ledger.deploy", "the registry could not be deployed")
        address = receipt["contractAddress"]
        return cls(
            provider, address, account, gas_price, confirmations=confirmations, chain_id=chain_id, timeout=timeout
        )

    def acting_as(self, account: LedgerAccount | None) -> "Ledger":
        """The same registry, written from another account."""
        chain = self._chain
        return Ledger(
            chain.web3.provider,
            self.address,
            account,
            chain.gas_price,
            confirmations=chain.confirmations,
            chain_id=chain.wanted_chain_id,
            timeout=chain.timeout,
        )

    # Administration.

    def grant(self, account: str, role: Role) -> Confirmation:
        """Give an account (its address) a role. Administrators."""
        return self._write("grant", account, _flag(role))

    def revoke(self, account: str, role: Role) -> Confirmation:
        """Take a role from an account; what it did before stays. Administrators, but not their own administration."""
        return self._write("revoke", account, _flag(role))

    def has_role(self, account: str, role: Role) -> bool:
        """Whether an account has a role now."""
        return bool(self._read("roles", account) & _flag(role))

    def open_dataset(self, name: str, department: str, schema_id: int) -> Confirmation:
        """Say which department (its address) answers for a dataset and, once, its schema. Administrators."""
        return self._write("open_dataset", _text("dataset", name, 64), department, schema_id)

    def hand_dataset(self, name: str, department: str) -> Confirmation:
        """Say which department (its address) answers for a dataset from now on; its roots stay. Administrators."""
        return self._write("hand_dataset", _text("dataset", name, 64), department)

    def dataset(self, name: str) -> Dataset | None:
        """A dataset by name; None if none was opened."""
        department, schema_id = self._read("dataset", _text("dataset", name, 64))
        return Dataset(name, department, schema_id) if int(department, 16) else None

    def datasets(self) -> tuple[str, ...]:
        """Names of all datasets, in the order of their opening."""
        return tuple(self._pages("datasets_from"))

    def publish(self, kind: str, identifier: bytes, digest: bytes) -> Confirmation:
        """Publish, once, a document's digest (32 bytes) under its kind and identifier (32 bytes). Administrators."""
        return self._write("publish", _text("kind", kind, 32), _word("id", identifier), _word("digest", digest))

    def published(self, kind: str, identifier: bytes) -> bytes | None:
        """The digest published under a kind and identifier; None if none was."""
        return _digest(self._read("published", _text("kind", kind, 32), _word("id", identifier)))

    # Departments.

    def anchor(self, dataset: str, epoch: int, root: int, size: int) -> Confirmation:
        """Anchor the root of a dataset's tree after ``size`` records. The dataset's department."""
        return self._write("anchor", _text("dataset", dataset, 64), epoch, root, size)

    def is_root(self, dataset: str, root: int) -> bool:
        """Whether a root was ever anchored for a dataset by its department."""
        return self._read("is_root", _text("dataset", dataset, 64), root)

    def roots(self, dataset: str, start: int = 0) -> tuple[Anchor, ...]:
        """Every anchored root of a dataset, oldest first, from number ``start``."""
        return tuple(Anchor(*item) for item in self._pages("anchors_from", _text("dataset", dataset, 64), start=start))

    # Operators.

    def anchor_head(self, size: int, root: bytes) -> Confirmation:
        """Anchor a head of the submission log, larger than every one before. Operators."""
        return self._write("anchor_head", size, _word("root", root))

    def ensure_head(self, size: int, root: bytes) -> None:
        """Have a head of the log anchored, once, whatever became of earlier attempts. Operators.

        An attempt that was given up, or whose process ended, may have been mined since: the head is then there already,
        and it is waited for until it counts.
        """
        try:
            self.anchor_head(size, root)
        except NotGrowing:
            newest = _head(self._read_at("latest", "head", size))
            if newest is None or newest.root != root:
                raise
            self._chain.wait_until(lambda: self.head(size) is not None, "the log's head")

    def head(self, size: int) -> AnchoredHead | None:
        """The anchored head of this size; None if there is none."""
        return _head(self._read("head", size))

    def latest_head(self) -> AnchoredHead | None:
        """The newest anchored head; None before the first."""
        return _head(self._read("latest_head"))

    def heads(self) -> tuple[AnchoredHead, ...]:
        """Every anchored head, oldest first."""
        return tuple(AnchoredHead(*item) for item in self._pages("heads_from"))

    def enter_release(self, dataset: str, request: bytes, head_size: int) -> Confirmation:
        """Enter a release, by the digest of its request (32 bytes), in its dataset's list. Operators."""
        return self._write("enter_release", _text("dataset", dataset, 64), _word("request", request), head_size)

    def ensure_release(self, dataset: str, request: bytes, head_size: int) -> None:
        """Have a release entered, once, whatever became of earlier attempts, as :meth:`ensure_head` does. Operators."""
        try:
            self.enter_release(dataset, request, head_size)
        except AlreadyRegistered:
            self._chain.wait_until(lambda: self.release(dataset, request) is not None, "the release")

    def release(self, dataset: str, request: bytes) -> EnteredRelease | None:
        """The entry of a request in a dataset's list of releases; None if it was not entered."""
        place, item = self._read("release", _text("dataset", dataset, 64), _word("request", request))
        return EnteredRelease(place - 1, *item) if place else None

    def releases(self, dataset: str, start: int = 0) -> tuple[EnteredRelease, ...]:
        """The releases entered for a dataset, oldest first, from number ``start``."""
        items = self._pages("releases_from", _text("dataset", dataset, 64), start=start)
        return tuple(EnteredRelease(number, *item) for number, item in enumerate(items, start))

    def submit_filing(self, dataset: str, inputs: Sequence[int], proof: bytes) -> Confirmation:
        """Have the contract verify a filing and spend the nullifier of its schema, subject and period. Operators.

        Parameters
        ----------
        inputs
            Of the statement, :data:`FILING_INPUTS` integers.
        proof
            256 bytes, as :meth:`zkcore.groth16.Proof.to_bytes` writes them.
        """
        return self._write("submit_filing", _text("dataset", dataset, 64), _inputs(inputs), _words(proof))

    # Banks.

    def register_scorecard(self, model_hash: int) -> Confirmation:
        """Register a public scorecard by its Poseidon hash, once. Banks."""
        return self._write("register_scorecard", model_hash)

    def scorecard(self, model_hash: int) -> RegisteredScorecard | None:
        """Who registered a scorecard, and when; None if nobody did."""
        account, time = self._read("scorecard", model_hash)
        return RegisteredScorecard(model_hash, account, time) if time else None

    # Verification by the contract.

    def register_verifying_key(self, schema_id: int, key: VerifyingKey) -> Confirmation:
        """Register, once, the Groth16 key that verifies filings of a schema. Administrators."""
        return self._write("register_verifying_key", schema_id, _key(key))

    def verifying_key_digest(self, schema_id: int) -> bytes | None:
        """Digest of the key registered for a schema, as :meth:`VerifyingKey.digest` has it; None if there is none."""
        return _digest(self._read("verifying_key_digest", schema_id))

    def verify_filing(self, inputs: Sequence[int], proof: bytes) -> bool:
        """Whether a filing's proof holds, as the contract finds. Raises where proof or inputs are malformed."""
        return self._read("verify_filing", _inputs(inputs), _words(proof))

    def nullifier_spent(self, schema_id: int, subject: int, period: int) -> bool:
        """Whether a filing of this schema, subject and period was accepted on chain."""
        return self._read("is_spent", schema_id, subject, period)

    # How.

    def _function(self, name: str, arguments: Sequence[Any]) -> ContractFunction:
        try:
            return self._functions[name](*arguments)
        except (Web3Exception, TypeError, ValueError) as error:
            raise Malformed(f"ledger.{name}", "an argument is not of the contract's type") from error

    def _read(self, name: str, *arguments: Any) -> Any:
        return self._read_at(self._chain.settled(), name, *arguments)

    def _read_at(self, block: Any, name: str, *arguments: Any) -> Any:
        with self._chain.answering(), _refusals(name):
            function = self._function(name, arguments)
            try:
                return function.call({"gas": GAS_LIMIT}, block_identifier=block)
            except BadFunctionCallOutput:
                raise WrongContract("ledger.address", "the registry is not there, or not any more") from None

    def _pages(self, name: str, *arguments: Any, start: int = 0) -> Iterator[Any]:
        # All pages of one block, so that they fit together.
        block = self._chain.settled()
        page = self._read_at(block, name, *arguments, start)
        while page:
            yield from page
            start += len(page)
            page = self._read_at(block, name, *arguments, start) if len(page) == PAGE else []

    def _write(self, name: str, *arguments: Any) -> Confirmation:
        account = self.account
        if account is None:
            raise NotPermitted(f"ledger.{name}", "the ledger was opened to read only")
        function = self._function(name, arguments)
        data = bytes.fromhex(function._encode_transaction_data().removeprefix("0x"))
        for _ in range(ATTEMPTS):
            self._simulate(name, function, account)
            try:
                receipt = self._chain.send(account, self.address, data)
            except Superseded:
                # Signed anew under the next nonce, if it is still wanted on the state as it is now.
                continue
            if receipt["status"] != 1:
                # Something came in between; the state now says what.
                self._simulate(name, function, account)
                raise TransactionFailed(f"ledger.{name}", "the transaction failed")
            return Confirmation(bytes(receipt["transactionHash"]), receipt["blockNumber"], receipt["gasUsed"])
        raise Unreachable("ledger", f"other transactions of the account took this one's place {ATTEMPTS} times")

    def _simulate(self, name: str, function: ContractFunction, account: LedgerAccount) -> None:
        transaction: Any = {"from": account.address, "gas": GAS_LIMIT, "gasPrice": self._chain.gas_price}
        with self._chain.answering(), _refusals(name):
            function.call(transaction)


@cache
def _artefact() -> dict[str, Any]:
    return json.loads(files("services.ledger").joinpath("registry.json").read_text(encoding="utf-8"))


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """Turn the contract's reason for reverting into the refusal of that name."""
    try:
        yield
    except ContractLogicError as error:
        reason = _reason(error)
        if reason not in REASONS:
            raise TransactionFailed(f"ledger.{name}", "the contract refused without a reason") from None
        kind, why = REASONS[reason]
        raise kind(f"ledger.{name}", why) from None
    except Web3Exception as error:
        raise TransactionFailed(f"ledger.{name}", f"the chain answers with {type(error).__name__}") from None


def _reason(error: ContractLogicError) -> str:
    """What the contract gave as its reason: from the revert's data, or from the message where a client sends none."""
    if isinstance(error.data, str):
        found = re.search(r"0x([0-9a-f]*)$", error.data, re.IGNORECASE)
        data = bytes.fromhex(found[1]) if found and len(found[1]) % 2 == 0 else b""
        if data[:4] == ERROR_SELECTOR:
            return str(decode(["string"], data[4:])[0])
    return str(error.message).rsplit(": ", 1)[-1].strip()


def _flag(role: Role) -> int:
    if role not in ROLES:
        raise Malformed("role", f"a {role} has nothing to do on the ledger")
    return ROLES[role]


def _head(item: tuple[int, bytes, str, int]) -> AnchoredHead | None:
    return AnchoredHead(*item) if item[0] else None


def _digest(word: bytes) -> bytes | None:
    return word if any(word) else None


def _text(part: str, text: str, longest: int) -> str:
    if not 0 < len(text.encode()) <= longest:
        raise WrongLength(part, f"a name on the ledger has 1 to {longest} bytes")
    return text


def _word(part: str, value: bytes) -> bytes:
    if len(value) != 32:
        raise WrongLength(part, f"32 bytes are wanted, not {len(value)}")
    return value


def _words(proof: bytes) -> list[int]:
    if len(proof) != 256:
        raise WrongLength("proof", f"a proof has 256 bytes, not {len(proof)}")
    return [int.from_bytes(proof[place : place + 32], "big") for place in range(0, 256, 32)]


def _inputs(inputs: Sequence[int]) -> list[int]:
    if len(inputs) != FILING_INPUTS:
        raise WrongLength("inputs", f"a filing has {FILING_INPUTS} public inputs, not {len(inputs)}")
    return list(inputs)


def _key(key: VerifyingKey) -> tuple[Any, ...]:
    if key.n_public != FILING_INPUTS:
        raise WrongLength("verifying_key.ic", f"a filing has {FILING_INPUTS} public inputs, not {key.n_public}")
    points = key.to_bytes()[-32 * (2 + 3 * 4 + 2 * (FILING_INPUTS + 1)) :]
    words = iter(int.from_bytes(points[at : at + 32], "big") for at in range(0, len(points), 32))

    def take(count: int) -> list[int]:
        return list(islice(words, count))

    return take(2), take(4), take(4), take(4), [take(2) for _ in range(FILING_INPUTS + 1)]
