"""Threshold Paillier: any t of n parties decrypt together, fewer learn nothing.

N = p q of safe primes p = 2p' + 1, q = 2q' + 1. The exponent d, 0 modulo p'q' and 1 modulo N, decrypts: C^(2d) = (1 +
N)^(2m). It is shared by a random polynomial f of degree t - 1 with f(0) = d over Z_{N p'q'}; party i holds s_i =
f(i). A party answers C with c_i = C^(2 Delta s_i), Delta = n!, and proves it against v_i = V^(Delta s_i)
(:mod:`homomorphic.proofs.decryption`), V a generator of the squares modulo N^2. With the integer Lagrange
coefficients lambda_i = Delta prod_{j != i} j / (j - i) of any t valid answers,

    prod c_i^(2 lambda_i) = C^(4 Delta^2 d) = (1 + N)^(4 Delta^2 m)   (mod N^2).

Shoup 2000; Fouque, Poupard and Stern 2000; Damgard and Jurik 2001, section 4.

Here a *dealer* makes the key: it knows everything until it forgets, so it must be trusted and its machine with it.
Who holds a :class:`ThresholdKey` and answers can tell nothing about how they were made, so that a distributed
generation can take the dealer's place. Fewer than t parties learn nothing of a plaintext; fewer than n - t + 1 can't
stop the others. Partial decryption takes the powers of :mod:`homomorphic.paillier` for
secret exponents; dealing is not constant-time.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import factorial

import gmpy2
from gmpy2 import mpz

from homomorphic.encoding import Reader, Writer, width
from homomorphic.errors import NotAUnit, NotEnoughShares, WrongJacobiSymbol, WrongKey, WrongKeyLength, WrongShare
from homomorphic.paillier import KEY_BITS, PublicKey, randomness_base
from homomorphic.primes import Progress, safe_prime
from homomorphic.proofs import decryption
from homomorphic.proofs.decryption import MOST_PARTIES, DecryptionProof, Statement, Witness
from homomorphic.secret import Secret
from zkcore.errors import OutOfRange, WrongLength

_KEY_TAG = b"zks-ptk1"
_SHARE_TAG = b"zks-pks1"
_PARTIAL_TAG = b"zks-ppd1"


def _check_committee(parties: int, threshold: int) -> None:
    if not 1 <= parties <= MOST_PARTIES:
        raise OutOfRange("parties", f"a committee has 1 to {MOST_PARTIES} parties, not {parties}")
    if not 1 <= threshold <= parties:
        raise OutOfRange("threshold", f"{threshold} of {parties} parties can't be asked for")


@dataclass(frozen=True)
class PartialDecryption:
    """One party's answer: its index from 1, the value c_i modulo N^2, and the proof that its share made it."""

    index: int
    value: int
    proof: DecryptionProof

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the key's length in bits, index, value, proof."""
        bits = self.proof.bits
        writer = Writer(_PARTIAL_TAG).integer(bits, 2).integer(self.index, 1).integer(self.value, width(1 << 2 * bits))
        return self.proof.write(writer).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "PartialDecryption":
        """Read an answer strictly; raises Malformed, OutOfRange. What depends on the key is checked with the proof."""
        reader = Reader(data, _PARTIAL_TAG, "partial")
        bits = reader.integer(2)
        index, value = reader.integer(1), reader.integer(width(1 << 2 * bits))
        proof = DecryptionProof.read(reader, bits)
        reader.end()
        return cls(index, value, proof)


@dataclass(frozen=True)
class Combined:
    """A plaintext, the indices of the parties whose answers made it, and of those whose answers were wrong."""

    plaintext: int
    used: tuple[int, ...]
    wrong: tuple[int, ...]


@dataclass(frozen=True)
class ThresholdKey:
    """The public half of a committee's key; one that exists has passed every check.

    Parameters
    ----------
    public_key
        What everybody encrypts with.
    threshold, parties
        How many of how many parties decrypt, ``1 <= threshold <= parties <= 16``.
    base
        V, a square modulo N^2.
    verification_keys
        v_1 ... v_n, squares modulo N^2.

    Raises
    ------
    OutOfRange, WrongLength, NotAUnit, TrivialCiphertext, WrongJacobiSymbol
    """

    public_key: PublicKey
    threshold: int
    parties: int
    base: int
    verification_keys: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_committee(self.parties, self.threshold)
        if len(self.verification_keys) != self.parties:
            raise WrongLength("verification_keys", f"{len(self.verification_keys)} for {self.parties} parties")
        named = [("base", self.base)]
        named += [(f"verification_keys[{i}]", value) for i, value in enumerate(self.verification_keys, 1)]
        for part, value in named:
            self.public_key.check(value, part)
            if gmpy2.jacobi(value, self.public_key.modulus) != 1:
                raise WrongJacobiSymbol(part, "is not a square")

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of the key's bytes (32 bytes)."""
        return hashlib.sha256(b"zkshare/threshold-key-fingerprint/v1" + self.to_bytes()).digest()

    def statement(self, ciphertext: int, partial: PartialDecryption, context: bytes) -> Statement:
        """What the proof of a partial decryption is about."""
        key = self.public_key
        bound = self.threshold.to_bytes(1, "big") + context
        return Statement(key, self.base, self.verification_keys, partial.index, ciphertext, partial.value, bound)

    def verify_share(self, ciphertext: int, partial: PartialDecryption, context: bytes) -> bool:
        """Whether a party used its share on ``ciphertext`` for ``context``; raises Refused on what is malformed."""
        return decryption.verify(self.statement(ciphertext, partial, context), partial.proof)

    def combine(self, ciphertext: int, partials: Sequence[PartialDecryption], context: bytes) -> Combined:
        """The plaintext, from any ``threshold`` valid answers; wrong and malformed answers are named and left out.

        Raises
        ------
        OutOfRange, TrivialCiphertext, NotAUnit
            ``ciphertext`` is not one.
        WrongShare
            Two answers are in the name of the same party.
        NotEnoughShares
            Fewer than ``threshold`` valid answers are left; ``.wrong`` names the bad ones.
        """
        self.public_key.check(ciphertext)
        indices = [partial.index for partial in partials]
        if len(set(indices)) != len(indices):
            raise WrongShare("partials", "two answers are in the name of the same party")
        bad = decryption.verify_batch([(self.statement(ciphertext, p, context), p.proof) for p in partials])
        wrong = tuple(sorted(indices[i] for i in bad))
        valid = sorted((p.index, p.value) for i, p in enumerate(partials) if i not in bad)
        if len(valid) < self.threshold:
            why = f"{len(valid)} valid partial decryptions where {self.threshold} are needed"
            raise NotEnoughShares("partials", why + (f"; wrong: {', '.join(map(str, wrong))}" if wrong else ""), wrong)
        used = dict(valid[: self.threshold])
        return Combined(self._interpolate(used), tuple(used), wrong)

    def _interpolate(self, values: dict[int, int]) -> int:
        """The plaintext from ``threshold`` valid values by index."""
        n, square = self.public_key.modulus, self.public_key.square
        delta = factorial(self.parties)
        product = mpz(1)
        for i, value in values.items():
            numerator, denominator = delta, 1
            for j in values:
                if j != i:
                    numerator *= j
                    denominator *= j - i
            coefficient, remainder = divmod(numerator, denominator)
            assert remainder == 0  # Delta = n! clears every denominator (Shoup 2000, section 4)
            product = product * gmpy2.powmod(value, 2 * coefficient, square) % square
        power, remainder = divmod(product - 1, n)
        if remainder:
            raise NotAUnit("partials", "do not combine to a plaintext: the committee's key is not well made")
        return int(power * gmpy2.invert(4 * delta * delta, n) % n)

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the public key's length and bytes, threshold, parties, base, verification keys."""
        public = self.public_key.to_bytes()
        writer = Writer(_KEY_TAG).integer(len(public), 4).raw(public)
        writer.integer(self.threshold, 1).integer(self.parties, 1)
        return writer.integers((self.base, *self.verification_keys), self.public_key.ciphertext_bytes).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, *, toy_key_for_tests: bool = False) -> "ThresholdKey":
        """Read a key strictly; raises Malformed and what the constructors raise."""
        reader = Reader(data, _KEY_TAG, "threshold_key")
        public_key = PublicKey.from_bytes(reader.raw(reader.integer(4)), toy_key_for_tests=toy_key_for_tests)
        threshold, parties = reader.integer(1), reader.integer(1)
        _check_committee(parties, threshold)
        base, *verification_keys = (reader.integer(public_key.ciphertext_bytes) for _ in range(parties + 1))
        reader.end()
        return cls(public_key, threshold, parties, base, tuple(verification_keys))


@dataclass(frozen=True, repr=False)
class KeyShare(Secret):
    """One party's share of a committee's key.

    Parameters
    ----------
    index
        The party, from 1.
    value
        s_i, secret, below N^2.
    key
        The committee's key. A share that does not fit its verification key is refused (WrongShare).
    """

    index: int
    value: int
    key: ThresholdKey

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.key.parties:
            raise OutOfRange("share.index", f"no party has the index {self.index}")
        if not 0 < self.value < self.key.public_key.square:
            raise OutOfRange("share", "is not below its bound")
        public_key = self.key.public_key
        bits = decryption.secret_bits(public_key.bits)
        if public_key.powers([self.key.base], [self._exponent], bits)[0] != self.key.verification_keys[self.index - 1]:
            raise WrongShare("share", "does not fit its verification key")

    @property
    def _exponent(self) -> int:
        return factorial(self.key.parties) * self.value

    def partial_decrypt(self, ciphertext: int, context: bytes) -> PartialDecryption:
        """Use the share on a ciphertext, for one context.

        Whoever calls this decides that the ciphertext may be decrypted: the share answers for anything that is a
        ciphertext. Raises what :meth:`PublicKey.check` raises.
        """
        return self.partial_decrypt_batch([(ciphertext, context)])[0]

    def partial_decrypt_batch(self, items: Sequence[tuple[int, bytes]]) -> list[PartialDecryption]:
        """:meth:`partial_decrypt` of pairs (ciphertext, context), in less time than one by one."""
        key = self.key.public_key
        for ciphertext, _ in items:
            key.check(ciphertext)
        if not items:
            return []
        exponent = 2 * self._exponent
        ciphertexts = [ciphertext for ciphertext, _ in items]
        values = key.powers(ciphertexts, [exponent] * len(items), decryption.secret_bits(key.bits) + 1)
        none = DecryptionProof(key.bits, 0, 0, 0)
        answers = [PartialDecryption(self.index, value, none) for value in values]
        statements = [
            self.key.statement(c, answer, context) for (c, context), answer in zip(items, answers, strict=True)
        ]
        proofs = decryption.prove_batch(statements, Witness(self._exponent))
        return [PartialDecryption(self.index, value, proof) for value, proof in zip(values, proofs, strict=True)]

    def to_bytes(self) -> bytes:
        """Canonical encoding, not encrypted: tag, index, s_i, then the committee's key."""
        length = self.key.public_key.ciphertext_bytes
        writer = Writer(_SHARE_TAG).integer(self.index, 1).integer(length, 2).integer(self.value, length)
        return writer.raw(self.key.to_bytes()).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, *, toy_key_for_tests: bool = False) -> "KeyShare":
        """Read a share strictly; raises Malformed and what the constructors raise."""
        reader = Reader(data, _SHARE_TAG, "share")
        index, length = reader.integer(1), reader.integer(2)
        value = reader.integer(length)
        key = ThresholdKey.from_bytes(reader.rest(), toy_key_for_tests=toy_key_for_tests)
        if length != key.public_key.ciphertext_bytes:
            raise WrongKey("share", "has the width of another key")
        return cls(index, value, key)


def deal(
    bits: int, parties: int, threshold: int, progress: Progress | None = None, *, toy_key_for_tests: bool = False
) -> tuple[ThresholdKey, list[KeyShare]]:
    """Make a committee's key: a few seconds at 3072 bits.

    The dealer knows the whole key while this runs and forgets it on return.

    Parameters
    ----------
    bits
        Length of the modulus, one of :data:`homomorphic.paillier.KEY_BITS`.
    parties, threshold
        ``threshold`` of ``parties`` decrypt, at most 16 parties.
    progress
        Called with candidates tested and candidates expected over both primes; luck may pass the expectation.

    Returns
    -------
    (ThresholdKey, list[KeyShare])
        The public half, and one share a party, to be handed to that party alone.
    """
    _check_committee(parties, threshold)
    if bits not in KEY_BITS and not (toy_key_for_tests and bits % 2 == 0):
        raise WrongKeyLength("bits", f"keys are {', '.join(map(str, KEY_BITS))} bits long, not {bits}")
    p = safe_prime(bits // 2, progress and (lambda tested, expected: progress(min(tested, expected), 2 * expected)))
    q = p
    while q == p:
        q = safe_prime(bits // 2, progress and (lambda tested, expected: progress(expected + tested, 2 * expected)))
    return deal_from_primes(p, q, parties, threshold, toy_key_for_tests=toy_key_for_tests)


def deal_from_primes(
    p: int, q: int, parties: int, threshold: int, *, toy_key_for_tests: bool = False
) -> tuple[ThresholdKey, list[KeyShare]]:
    """As :func:`deal`, from two different safe primes of equal length that nobody else may know."""
    _check_committee(parties, threshold)
    n = p * q
    public_key = PublicKey(n, randomness_base(n), toy_key_for_tests)
    if p == q or not all(gmpy2.is_prime(x, 25) and gmpy2.is_prime(x // 2, 25) for x in (p, q)):
        raise OutOfRange("primes", "are not two different safe primes")
    square = public_key.square
    half_order = (p // 2) * (q // 2)
    order = n * half_order
    d = int(half_order * gmpy2.invert(half_order, n))  # 0 modulo p'q', 1 modulo N
    coefficients = [d] + [secrets.randbelow(order) for _ in range(threshold - 1)]
    values = [sum(c * i**k for k, c in enumerate(coefficients)) % order for i in range(1, parties + 1)]
    while True:
        y = secrets.randbelow(int(square))
        base = int(gmpy2.powmod(y, 2, square))
        # A square generates when none of the prime factors p, q, p', q' of the group's order is missing from its order.
        if gmpy2.gcd(y, n) == 1 and all(
            gmpy2.powmod(base, order // factor, square) != 1 for factor in (p, q, p // 2, q // 2)
        ):
            break
    delta = factorial(parties)
    exponents = [delta * value for value in values]
    keys = tuple(public_key.powers([base] * parties, exponents, decryption.secret_bits(public_key.bits)))
    key = ThresholdKey(public_key, threshold, parties, base, keys)
    return key, [KeyShare(i, value, key) for i, value in enumerate(values, 1)]
