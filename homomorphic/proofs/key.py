"""Proof that a public key is well made.

In words: "N shares no factor with the order of its units, so that decryption has one answer, and h is an N-th power
modulo N^2, so that it only randomizes". For N, N-th roots modulo N of numbers that a hash chooses: where a prime d
divides both N and the order of the units, at most one number in d has an N-th root. Trial division shows d > 2^16, so
eight roots leave a cheat one try in 2^128 (Goldberg, Reyzin, Sagga and Baldimtsi 2019, "Efficient noninteractive
certification of RSA moduli and beyond", theorem 1; after Gennaro, Micciancio and Rabin 1998). For h, the root v with
h = v^N itself: it is part of the public key of Damgard, Jurik and Nielsen 2010 (section 4) and gives nothing away.

    prover    x_1 ... x_8 = H(transcript),  y_i = x_i^(1/N) mod N,  v = h^(1/N) mod N
    verifier  y_i^N = x_i mod N for every i,  v^N = h mod N^2,  v with the Jacobi symbol of -1

It does not show that N has two factors only, that they are safe primes or large (a maker who wants its key broken can
always give it away), nor that -v is a square.

>>> from homomorphic.paillier import generate_keypair
>>> public_key, private_key = generate_keypair(2048)
>>> statement = Statement(public_key, b"filing authority, 2026")
>>> proof = prove(statement, private_key)
>>> verify(statement, proof)
True
>>> verify(Statement(public_key, b"another"), proof)
False
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
from gmpy2 import mpz

from homomorphic.encoding import Reader, Writer, width
from homomorphic.errors import NotAUnit, WrongKey
from homomorphic.paillier import TRIAL_DIVISION_BOUND, PrivateKey, PublicKey, power_of_secret
from homomorphic.proofs.batch import bad_of_batch
from zkcore.errors import OutOfRange, WrongLength
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/key/v1"

SOUNDNESS_BITS = 128
ROOTS = -(-SOUNDNESS_BITS // (TRIAL_DIVISION_BOUND.bit_length() - 1))
"""How many roots are shown: each leaves a cheat a chance below 1 / 2^16."""

_TAG = b"zks-pkpf"
_CHALLENGE_BITS = 256


@dataclass(frozen=True)
class Statement:
    """What is proved: of which key, and for which context (e.g. who publishes it)."""

    public_key: PublicKey
    context: bytes

    def challenges(self) -> list[mpz]:
        """The numbers modulo N whose roots are asked for, uniform but for 2^-128."""
        transcript = Transcript(PROTOCOL)
        transcript.append("context", self.context)
        transcript.append("key", self.public_key.to_bytes())
        pieces = -(-(self.public_key.bits + SOUNDNESS_BITS) // _CHALLENGE_BITS)
        numbers = []
        for _ in range(ROOTS):
            number = mpz(0)
            for _ in range(pieces):
                number = number << _CHALLENGE_BITS | transcript.challenge("x", _CHALLENGE_BITS)
            numbers.append(number % self.public_key.modulus)
        return numbers


@dataclass(frozen=True)
class KeyProof:
    """The proof: the root v of h, the roots y_i; ``bits`` is the key's length, for the encoding."""

    bits: int
    v: int
    y: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the key's length in bits, v, the y_i."""
        return Writer(_TAG).integer(self.bits, 2).integers((self.v, *self.y), width(1 << self.bits)).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "KeyProof":
        """Read a proof strictly; raises Malformed. The key's length is checked by verify."""
        reader = Reader(data, _TAG, "key_proof")
        bits = reader.integer(2)
        v, *y = (reader.integer(width(1 << bits)) for _ in range(ROOTS + 1))
        reader.end()
        return cls(bits, v, tuple(y))


def prove(statement: Statement, private_key: PrivateKey) -> KeyProof:
    """Prove that the holder's own key is well made; raises WrongKey for another's."""
    key = statement.public_key
    if private_key.public_key != key:
        raise WrongKey("private_key", "does not belong to the statement's key")
    order = (mpz(private_key.p) - 1) * (private_key.q - 1)
    root = gmpy2.invert(key.modulus, order)  # exists: a private key was checked to have no common factor
    v, *y = (
        int(power_of_secret(number, root, key.modulus)) for number in [key.h % key.modulus, *statement.challenges()]
    )
    return KeyProof(key.bits, v, tuple(y))


def _check(statement: Statement, proof: KeyProof) -> tuple[Statement, KeyProof]:
    """Refuse what is malformed, pass on what is not."""
    key = statement.public_key
    if proof.bits != key.bits:
        raise WrongKey("key_proof", f"is for a key of {proof.bits} bits, not {key.bits}")
    if len(proof.y) != ROOTS:
        raise WrongLength("key_proof.y", f"{len(proof.y)} roots, not {ROOTS}")
    for part, value in (("v", proof.v), *((f"y[{i}]", value) for i, value in enumerate(proof.y))):
        if not 0 < value < key.n:
            raise OutOfRange(f"key_proof.{part}", "does not lie in (0, N)")
        if gmpy2.gcd(value, key.modulus) != 1:
            raise NotAUnit(f"key_proof.{part}", "shares a factor with the modulus")
    return statement, proof


def _holds(statement: Statement, proof: KeyProof) -> bool:
    key = statement.public_key
    if gmpy2.jacobi(proof.v, key.modulus) != gmpy2.jacobi(-1, key.modulus):
        return False
    if gmpy2.powmod(proof.v, key.n, key.square) != key.h:
        return False
    return all(gmpy2.powmod(y, key.n, key.modulus) == x for y, x in zip(proof.y, statement.challenges(), strict=True))


def verify(statement: Statement, proof: KeyProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    WrongKey, WrongLength, OutOfRange, NotAUnit
        The proof is for a key of another length or has another number of roots; a root outside ``(0, N)`` or no unit.
    """
    return _holds(*_check(statement, proof))


def verify_batch(items: Sequence[tuple[Statement, KeyProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them.

    Each is about another modulus, so nothing can be joined: it takes as long as one by one.
    """
    return bad_of_batch(items, lambda item: _check(*item), lambda some: all(_holds(*item) for item in some))
