"""Accounts and signed legacy transactions (EIP-155), the one kind that every chain this system meets understands."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import rlp
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.constants import SECPK1_N
from eth_keys.exceptions import BadSignature, ValidationError
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from services.files import read_secret, write_secret
from services.ledger.evm import Call
from zkcore.errors import Malformed


class LedgerAccount:
    """A party's account on the ledger: a secp256k1 key (about 128-bit security). Secret: its repr hides the key.

    Signing is libsecp256k1's (the coincurve package), with RFC 6979 nonces and constant-time.
    """

    def __init__(self, key: bytes) -> None:
        self._account: LocalAccount = Account.from_key(key)
        self.sending = threading.Lock()
        """Held from asking for the next nonce to its use."""

    def __repr__(self) -> str:
        return f"<LedgerAccount {self.address}, key hidden>"

    def __reduce__(self) -> str:
        raise TypeError("a ledger account is not serialised by accident; use save()")

    @classmethod
    def create(cls) -> Self:
        """A new account with a fresh key."""
        return cls(bytes(Account.create().key))

    @property
    def address(self) -> str:
        """The account's address, with checksum (EIP-55)."""
        return self._account.address

    def sign_transaction(
        self, nonce: int, gas_price: int, gas: int, to: str | None, data: bytes, chain_id: int
    ) -> bytes:
        """A signed legacy transaction that moves no currency, ready to send. ``to`` None makes a contract."""
        fields: dict[str, Any] = {
            "nonce": nonce,
            "gasPrice": gas_price,
            "gas": gas,
            "to": to or "",
            "value": 0,
            "data": data,
            "chainId": chain_id,
        }
        return bytes(self._account.sign_transaction(fields).raw_transaction)

    def save(self, path: Path) -> None:
        """Write the key to a new file (mode 0600)."""
        write_secret(path, bytes(self._account.key).hex().encode() + b"\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote. Refuses a file that others may read."""
        content = read_secret(path)
        try:
            return cls(bytes.fromhex(content.decode("ascii").strip()))
        except (ValueError, ValidationError):
            raise Malformed(path.name, "not a ledger account's key") from None


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A legacy transaction as it lies in a block, its sender recovered from the signature."""

    raw: bytes
    hash: bytes
    nonce: int
    gas_price: int
    value: int
    chain_id: int
    call: Call
    signature: tuple[int, int, int]

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read strictly. Raises Malformed for anything but a canonical EIP-155 transaction with a valid signature."""
        try:
            items = rlp.decode(raw)
            if not isinstance(items, list) or len(items) != 9 or not all(isinstance(item, bytes) for item in items):
                raise Malformed("transaction", "not a legacy transaction")
            nonce, gas_price, gas, value, v, r, s = (
                rlp.sedes.big_endian_int.deserialize(items[place]) for place in (0, 1, 2, 4, 6, 7, 8)
            )
        except rlp.exceptions.RLPException:
            raise Malformed("transaction", "not a legacy transaction") from None
        if len(items[3]) not in (0, 20) or v < 35 or not (0 < r < SECPK1_N and 0 < s <= SECPK1_N // 2):
            raise Malformed("transaction", "its recipient or signature is malformed")
        try:
            sender = to_canonical_address(Account.recover_transaction(raw))
        except (BadSignature, ValueError):
            raise Malformed("transaction", "its signature belongs to no key") from None
        call = Call(sender, items[3] or None, items[5], gas)
        return cls(raw, keccak(raw), nonce, gas_price, value, (v - 35) // 2, call, (v, r, s))
