"""Proof that a partial decryption was made with the party's share.

In words: "the c_i that I answer for the ciphertext C is C^(2 Delta s_i), for the same s_i that my public verification
key v_i = V^(Delta s_i) holds". It is an equality of discrete logarithms in the squares modulo N^2, a cyclic group of
unknown order: log of c_i^2 to the base C^4 = log of v_i to the base V.

Chaum and Pedersen 1992, carried to groups of unknown order by Shoup 2000 and to Paillier by Fouque, Poupard and Stern
2000 and by Damgard and Jurik 2001 (section 4.1), made non-interactive by Fiat and Shamir:

    prover    r uniform in [0, 2^(K + 180)) where the secret Delta s_i is below 2^K, K public
              a = (C^4)^r,  b = V^r,  e = H(transcript) of 100 bits,  z = r + e Delta s_i  (over the integers)
    verifier  0 <= z < 2^(K + 180) + 2^(K + 100),  a, b, c_i units modulo N^2,
              (C^4)^z = a (c_i^2)^e  and  V^z = b v_i^e   modulo N^2, each up to sign

*Up to sign*: both sides are squared before they are compared. Where many equations are joined with random weights an
error of -1 would slip through half of the time; squared, one proof and a batch of proofs accept exactly the same. It
gives a cheat nothing, as C^4, c_i^2, V and v_i are squares and -1 is none.

Sound because p', q', p and q all exceed 2^100, so that a difference of two challenges is invertible; z hides s_i but
for 2^-80. The prover's powers are those of :mod:`homomorphic.paillier` for secret exponents.

>>> from homomorphic import threshold
>>> key, shares = threshold.deal(128, parties=3, threshold=2, toy_key_for_tests=True)
>>> ciphertext, _ = key.public_key.encrypt(42)
>>> partial = shares[0].partial_decrypt(ciphertext, b"query 7")
>>> statement = key.statement(ciphertext, partial, b"query 7")
>>> verify(statement, partial.proof)
True
>>> verify(key.statement(ciphertext, partial, b"query 8"), partial.proof)
False
"""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
from gmpy2 import mpz

from homomorphic.encoding import Reader, Writer, width
from homomorphic.errors import WrongKey
from homomorphic.paillier import PublicKey
from homomorphic.proofs.batch import (
    CHALLENGE_BITS,
    SLACK_BITS,
    WEIGHT_BITS,
    bad_of_batch,
    check_one_key,
    response_bound,
)
from homomorphic.secret import Secret
from zkcore.errors import OutOfRange
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/decryption-share/v1"

MOST_EXPONENT_BITS = 1 << 15
"""The longest secret exponent, so that a proof stays short whatever a message says."""


@dataclass(frozen=True)
class Statement:
    """What is proved.

    Parameters
    ----------
    public_key
        The key N, h.
    base
        V, a generator of the squares modulo N^2.
    verification_keys
        All the v_i of the committee, in the order of the indices 1, 2, ...
    exponent_bits
        K, the length of the secret exponents.
    index
        Which party answers, from 1.
    ciphertext
        C.
    value
        c_i, the partial decryption.
    context
        What the answer is for, e.g. a digest of the query; the proof holds for no other.
    """

    public_key: PublicKey
    base: int
    verification_keys: tuple[int, ...]
    exponent_bits: int
    index: int
    ciphertext: int
    value: int
    context: bytes

    def check(self) -> None:
        """Refuse what no proof can be about: an index of nobody, a C that is no ciphertext, another number no unit."""
        if not 2 * self.public_key.bits <= self.exponent_bits <= MOST_EXPONENT_BITS:
            raise OutOfRange("exponent_bits", f"{self.exponent_bits} is no length of a share's exponent")
        if not 1 <= self.index <= len(self.verification_keys):
            raise OutOfRange("partial.index", f"no party has the index {self.index}")
        self.public_key.check_unit(self.base, "base")
        for i, value in enumerate(self.verification_keys, 1):
            self.public_key.check_unit(value, f"verification_keys[{i}]")
        self.public_key.check(self.ciphertext, "ciphertext")
        self.public_key.check_unit(self.value, "partial.value")

    def challenge(self, a: int, b: int) -> int:
        """The Fiat-Shamir challenge: every public value goes into it."""
        key = self.public_key
        transcript = Transcript(PROTOCOL)
        transcript.append("context", self.context)
        transcript.append("key", key.fingerprint)
        transcript.append("base", key.ciphertext_to_bytes(self.base))
        for verification_key in self.verification_keys:
            transcript.append("verification key", key.ciphertext_to_bytes(verification_key))
        transcript.append_int("exponent bits", self.exponent_bits)
        transcript.append_int("index", self.index)
        transcript.append("ciphertext", key.ciphertext_to_bytes(self.ciphertext))
        transcript.append("value", key.ciphertext_to_bytes(self.value))
        transcript.append("a", key.ciphertext_to_bytes(a))
        transcript.append("b", key.ciphertext_to_bytes(b))
        return transcript.challenge("e", CHALLENGE_BITS)


@dataclass(frozen=True, repr=False)
class Witness(Secret):
    """What the prover knows: ``exponent`` = Delta s_i."""

    exponent: int


@dataclass(frozen=True)
class DecryptionProof:
    """The proof: ``a`` and ``b`` modulo N^2, the response ``z``.

    ``bits`` is the key's length and ``exponent_bits`` the secret exponent's, for the encoding.
    """

    bits: int
    exponent_bits: int
    a: int
    b: int
    z: int

    def write(self, writer: Writer) -> Writer:
        """Append the proof to a message."""
        writer.integer(self.exponent_bits, 2).integers((self.a, self.b), width(1 << 2 * self.bits))
        return writer.integer(self.z, width(response_bound(self.exponent_bits)))

    @classmethod
    def read(cls, reader: Reader, bits: int) -> "DecryptionProof":
        """Take a proof for a key of ``bits`` bits from a message."""
        exponent_bits, length = reader.integer(2), width(1 << 2 * bits)
        a, b = reader.integer(length), reader.integer(length)
        return cls(bits, exponent_bits, a, b, reader.integer_below(response_bound(exponent_bits), "proof.z"))


def prove(statement: Statement, witness: Witness) -> DecryptionProof:
    """Prove a statement that is true; raises what :meth:`Statement.check` raises."""
    return prove_batch([statement], witness)[0]


def prove_batch(statements: Sequence[Statement], witness: Witness) -> list[DecryptionProof]:
    """Prove statements about one party's share and one key, all at once: faster than one by one.

    Raises
    ------
    WrongKey
        The statements are about different keys; and what :meth:`Statement.check` raises.
    """
    if len({(one.public_key.fingerprint, one.base, one.exponent_bits) for one in statements}) > 1:
        raise WrongKey("statements", "are about different keys")
    if not statements:
        return []
    for statement in statements:
        statement.check()
    key, base = statements[0].public_key, statements[0].base
    exponent_bits = statements[0].exponent_bits
    bits = exponent_bits + CHALLENGE_BITS + SLACK_BITS
    nonces = [secrets.randbits(bits) for _ in statements]
    fourths = [int(gmpy2.powmod(statement.ciphertext, 4, key.square)) for statement in statements]
    powers = key.powers(fourths + [base] * len(nonces), nonces + nonces, bits)
    proofs = []
    for statement, r, a, b in zip(statements, nonces, powers, powers[len(nonces) :], strict=False):
        e = statement.challenge(a, b)
        proofs.append(DecryptionProof(key.bits, exponent_bits, a, b, r + e * witness.exponent))
    return proofs


def check(statement: Statement, proof: DecryptionProof) -> tuple[Statement, DecryptionProof]:
    """Refuse what is malformed, pass on what is not."""
    statement.check()
    key = statement.public_key
    if (proof.bits, proof.exponent_bits) != (key.bits, statement.exponent_bits):
        raise WrongKey("partial.proof", f"is for a key of {proof.bits} bits or for longer shares, not for this key")
    key.check_unit(proof.a, "partial.proof.a")
    key.check_unit(proof.b, "partial.proof.b")
    if not 0 <= proof.z < response_bound(statement.exponent_bits):
        raise OutOfRange("partial.proof.z", "is not below its bound")
    return statement, proof


def hold(items: Sequence[tuple[Statement, DecryptionProof]]) -> bool:
    """Whether both equations of every item hold up to sign, by one random combination of all of them.

    The powers by the long responses are gathered by base first: proofs about the same ciphertext, and all proofs of one
    committee, share an exponentiation.
    """
    key = items[0][0].public_key
    square = key.square
    long: defaultdict[int, int] = defaultdict(int)
    short: defaultdict[int, int] = defaultdict(int)
    for statement, proof in items:
        first, second = secrets.randbits(WEIGHT_BITS), secrets.randbits(WEIGHT_BITS)
        e = statement.challenge(proof.a, proof.b)
        long[statement.ciphertext] += 4 * first * proof.z
        long[statement.base] += second * proof.z
        short[proof.a] += first
        short[statement.value] += 2 * first * e
        short[proof.b] += second
        short[statement.verification_keys[statement.index - 1]] += second * e
    left = mpz(1)
    bits = max(1, *(exponent.bit_length() for exponent in long.values()))
    for power in key.powers(list(long), list(long.values()), bits):
        left = left * power % square
    right = key.product_of_powers(list(short), list(short.values()))
    return bool((left * left - right * right) % square == 0)


def verify(statement: Statement, proof: DecryptionProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    Refused
        The statement or the proof is malformed: not ciphertexts, a response out of its range, another key's length.
    """
    return hold([check(statement, proof)])


def verify_batch(items: Sequence[tuple[Statement, DecryptionProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them; the key is the same in all.

    Raises
    ------
    WrongKey
        The items are about different keys.
    """
    check_one_key(items)
    return bad_of_batch(items, lambda item: check(*item), hold)
