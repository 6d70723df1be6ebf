"""Proof of knowing what a ciphertext holds.

In words: "I know the m for which c decrypts to m". Whoever must prove it can't pass off another's ciphertext, or one
derived from another's, as its own.

The protocol is that of Schnorr 1991 over Paillier's homomorphism, as in Cramer, Damgard and Nielsen 2001 ("Multiparty
computation from threshold homomorphic encryption", proof of plaintext knowledge for Paillier), here for c = (1 + m N)
h^rho, and made non-interactive by Fiat and Shamir:

    prover    alpha uniform in Z_N, tau uniform in [0, 2^(|N|/2 + 180)),  A = (1 + alpha N) h^tau mod N^2
              e = H(transcript) of 100 bits,  z = alpha + e m mod N,  w = tau + e rho  (over the integers)
    verifier  z in [0, N), w in [0, 2^(|N|/2 + 180) + 2^(|N|/2 + 100)), c and A units modulo N^2,
              (1 + z N) h^w = A c^e mod N^2  up to sign

Two accepting transcripts whose challenges differ by d give c^d = (1 + dz N) h^dw up to sign, so that c decrypts to
dz / d modulo N: d is below 2^100 and the factors of N above, so it can be inverted, and h is an N-th power
(:mod:`homomorphic.proofs.key`). No rho is extracted, since nobody can divide dw by d: what is proved is the plaintext.
z is uniform; w hides rho but for 2^-80. *Up to sign* (both sides are squared before they are compared, so that -1 can't
pass a random combination half of the time) gives a cheat nothing: c and -c decrypt to the same.

It says nothing about the size of m: see :mod:`homomorphic.proofs.range`. The prover's powers are those of
:mod:`homomorphic.paillier` for secret exponents.

>>> from homomorphic import paillier
>>> key, _ = paillier.generate_keypair(2048)
>>> ciphertext, rho = key.encrypt(42)
>>> statement = Statement(key, ciphertext, b"enterprise 7, filing of 2026Q2")
>>> proof = prove(statement, 42, rho)
>>> verify(statement, proof)
True
>>> verify_batch([(statement, proof), (Statement(key, ciphertext, b"enterprise 8"), proof)])
[1]
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2

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
from zkcore.errors import OutOfRange
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/plaintext/v1"

_TAG = b"zks-know"


def _w_bound(bits: int) -> int:
    return response_bound(bits // 2)


@dataclass(frozen=True)
class Statement:
    """What is proved: of which ciphertext under which key, and for which context (e.g. who proves, and for what)."""

    public_key: PublicKey
    ciphertext: int
    context: bytes

    def check(self) -> None:
        """Refuse what is no ciphertext; raises OutOfRange, TrivialCiphertext, NotAUnit."""
        self.public_key.check(self.ciphertext)

    def challenge(self, a: int) -> int:
        """The Fiat-Shamir challenge: every public value goes into it."""
        key = self.public_key
        transcript = Transcript(PROTOCOL)
        transcript.append("context", self.context)
        transcript.append("key", key.fingerprint)
        transcript.append("ciphertext", key.ciphertext_to_bytes(self.ciphertext))
        transcript.append("A", key.ciphertext_to_bytes(a))
        return transcript.challenge("e", CHALLENGE_BITS)


@dataclass(frozen=True)
class PlaintextProof:
    """The proof: A modulo N^2, responses z and w; ``bits`` is the key's length, for the encoding."""

    bits: int
    a: int
    z: int
    w: int

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the key's length in bits, A, z, w."""
        writer = Writer(_TAG).integer(self.bits, 2).integer(self.a, width(1 << 2 * self.bits))
        return writer.integer(self.z, width(1 << self.bits)).integer(self.w, width(_w_bound(self.bits))).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "PlaintextProof":
        """Read a proof strictly; raises Malformed, OutOfRange. Verify checks that it is for the key."""
        reader = Reader(data, _TAG, "plaintext_proof")
        bits = reader.integer(2)
        a, z = reader.integer(width(1 << 2 * bits)), reader.integer(width(1 << bits))
        w = reader.integer_below(_w_bound(bits), "w")
        reader.end()
        return cls(bits, a, z, w)


def prove(statement: Statement, plaintext: int, rho: int) -> PlaintextProof:
    """Prove a statement that is true.

    Parameters
    ----------
    plaintext
        m, secret, in ``[0, N)``.
    rho
        The randomness of the ciphertext, secret, in ``[0, 2^(|N|/2))``.

    Raises
    ------
    Refused
        What :meth:`Statement.check` refuses; OutOfRange for a witness out of its domain.
    """
    statement.check()
    key = statement.public_key
    key.check_plaintext(plaintext)
    if not 0 <= rho < 1 << key.randomness_bits:
        raise OutOfRange("rho", "does not lie in [0, 2^(|N|/2))")
    alpha = secrets.randbelow(key.n)
    tau_bits = key.randomness_bits + CHALLENGE_BITS + SLACK_BITS
    tau = secrets.randbits(tau_bits)
    a = int(key.unhidden(alpha) * key.mask(tau, tau_bits) % key.square)
    e = statement.challenge(a)
    return PlaintextProof(key.bits, a, (alpha + e * plaintext) % key.n, tau + e * rho)


def _check(statement: Statement, proof: PlaintextProof) -> tuple[Statement, PlaintextProof, int]:
    """Refuse what is malformed; statement, proof and challenge of what is not."""
    statement.check()
    key = statement.public_key
    if proof.bits != key.bits:
        raise WrongKey("plaintext_proof", f"is for a key of {proof.bits} bits, not {key.bits}")
    key.check_unit(proof.a, "plaintext_proof.a")
    key.check_plaintext(proof.z, "plaintext_proof.z")
    if not 0 <= proof.w < _w_bound(key.bits):
        raise OutOfRange("plaintext_proof.w", "is not below its bound")
    return statement, proof, statement.challenge(proof.a)


def _hold(items: Sequence[tuple[Statement, PlaintextProof, int]]) -> bool:
    """Whether the equation of every item (with its challenge) holds, by one random combination of all of them."""
    key = items[0][0].public_key
    weights = [secrets.randbits(WEIGHT_BITS) for _ in items]
    z = sum(weight * proof.z for weight, (_, proof, _) in zip(weights, items, strict=True))
    w = sum(weight * proof.w for weight, (_, proof, _) in zip(weights, items, strict=True))
    left = key.unhidden(z) * gmpy2.powmod(key.h, w, key.square)
    bases = [proof.a for _, proof, _ in items] + [statement.ciphertext for statement, _, _ in items]
    challenges = [weight * e for weight, (_, _, e) in zip(weights, items, strict=True)]
    right = key.product_of_powers(bases, weights + challenges)
    return bool((left * left - right * right) % key.square == 0)


def verify(statement: Statement, proof: PlaintextProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    Refused
        The statement or the proof is malformed: a number out of its range, no unit, another key's length.
    """
    return _hold([_check(statement, proof)])


def verify_batch(items: Sequence[tuple[Statement, PlaintextProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them; the key is the same in all.

    Raises
    ------
    WrongKey
        The items are about different keys.
    """
    check_one_key(items)
    return bad_of_batch(items, lambda item: _check(*item), _hold)
