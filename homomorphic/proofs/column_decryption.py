"""Proof that a whole column was partially decrypted with the party's share.

In words: "every row c_k that I answer for the row C_k of a column is C_k^(2 Delta s_i), up to sign, for the same s_i
that my public verification key holds". One proof of :mod:`homomorphic.proofs.decryption`, about

    C* = prod_k C_k^(r_k),   c* = prod_k c_k^(r_k)   modulo N^2

for r_k of 128 bits that a hash draws from the whole statement, the answers included: the small-exponents test of
Bellare, Garay and Rabin 1998 ("Fast batch verification for modular exponentiation and digital signatures"), as for
batches of equal logarithms in Peng, Boyd, Dawson and Lee 2004.

Sound because the squares modulo N^2 have no small subgroup (N is a product of safe primes), so that a row that is
wrong by more than its sign spoils c* but with probability 2^-128. The sign of a row does nothing: answers are squared
before they are combined. A wrong column is named by its party, not by its rows.

>>> from homomorphic import threshold
>>> from homomorphic.column import CiphertextColumn
>>> key, shares = threshold.deal(128, parties=3, threshold=2, toy_key_for_tests=True)
>>> column = CiphertextColumn.encrypt(key.public_key, [5, 6, 7])
>>> partials = [share.partial_decrypt_column(column, b"query 7") for share in shares]
>>> statement = key.column_statement(column, partials[0], b"query 7")
>>> verify(statement, partials[0].proof)
True
>>> verify(key.column_statement(column[::-1], partials[0], b"query 7"), partials[0].proof)
False
>>> key.combine_column(column, partials, b"query 7").plaintexts
[5, 6, 7]
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from homomorphic.column import CiphertextColumn
from homomorphic.errors import WrongKey
from homomorphic.proofs import decryption
from homomorphic.proofs.batch import WEIGHT_BITS, bad_of_batch
from homomorphic.proofs.decryption import DecryptionProof, Witness
from zkcore.errors import WrongLength
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/decryption-column/v1"

_SEED_BITS = 256


@dataclass(frozen=True)
class Statement:
    """What is proved.

    Parameters
    ----------
    base, verification_keys, exponent_bits, index, context
        As :class:`homomorphic.proofs.decryption.Statement`.
    ciphertexts, values
        The C_k and the c_k, columns of one key.
    """

    base: int
    verification_keys: tuple[int, ...]
    exponent_bits: int
    index: int
    ciphertexts: CiphertextColumn
    values: CiphertextColumn
    context: bytes

    def folded(self) -> decryption.Statement:
        """The statement about one row that stands for all; raises WrongKey, WrongLength for columns that do not fit."""
        key = self.ciphertexts.public_key
        if self.values.public_key.fingerprint != key.fingerprint:
            raise WrongKey("partial.values", "are of another key")
        if len(self.values) != len(self.ciphertexts):
            raise WrongLength("partial.values", f"{len(self.values)} rows for {len(self.ciphertexts)} ciphertexts")
        transcript = Transcript(PROTOCOL)
        transcript.append("context", self.context)
        transcript.append("key", key.fingerprint)
        transcript.append_int("index", self.index)
        transcript.append("ciphertexts", hashlib.sha256(self.ciphertexts.to_bytes()).digest())
        transcript.append("values", hashlib.sha256(self.values.to_bytes()).digest())
        seed = transcript.challenge("seed", _SEED_BITS).to_bytes(_SEED_BITS // 8, "big")
        drawn = hashlib.shake_256(seed).digest(len(self.values) * WEIGHT_BITS // 8)
        step = WEIGHT_BITS // 8
        weights = [int.from_bytes(drawn[at : at + step], "big") for at in range(0, len(drawn), step)]
        (ciphertext,) = (self.ciphertexts @ weights).to_ciphertexts()
        (value,) = (self.values @ weights).to_ciphertexts()
        keys, bits = self.verification_keys, self.exponent_bits
        return decryption.Statement(key, self.base, keys, bits, self.index, ciphertext, value, seed)


def prove(statement: Statement, witness: Witness) -> DecryptionProof:
    """Prove a statement that is true; raises what :meth:`Statement.folded` and the proof of one row raise."""
    return decryption.prove(statement.folded(), witness)


def verify(statement: Statement, proof: DecryptionProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    Refused
        The statement or the proof is malformed.
    """
    return decryption.verify(statement.folded(), proof)


def verify_batch(items: Sequence[tuple[Statement, DecryptionProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them; the key is the same in all.

    Raises
    ------
    WrongKey
        The items are about different keys.
    """
    if len({statement.ciphertexts.public_key.fingerprint for statement, _ in items}) > 1:
        raise WrongKey("items", "are about different keys")
    return bad_of_batch(
        items,
        lambda item: decryption.check(item[0].folded(), item[1]),
        decryption.hold,
    )
