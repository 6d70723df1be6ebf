"""Threshold Paillier: any t of n parties decrypt together, fewer learn nothing.

N = p q of safe primes p = 2p' + 1, q = 2q' + 1. The exponent d, 0 modulo p'q' and 1 modulo N, decrypts: C^(2d) = (1 +
N)^(2m). It is shared by a random polynomial f of degree t - 1 with f(0) = d over Z_{N p'q'}; party i holds s_i =
f(i). A party answers C with c_i = C^(2 Delta s_i), Delta = n!, and proves it against v_i = V^(Delta s_i)
(:mod:`homomorphic.proofs.decryption`), V a generator of the squares modulo N^2. With the integer Lagrange
coefficients lambda_i = Delta prod_{j != i} j / (j - i) of any t valid answers,

    prod c_i^(2 lambda_i) = C^(4 Delta^2 d) = (1 + N)^(4 Delta^2 m)   (mod N^2).

Shoup 2000; Fouque, Poupard and Stern 2000; Damgard and Jurik 2001, section 4. A whole column is answered with one proof
(:mod:`homomorphic.proofs.column_decryption`). Shares can be handed on to another committee, with another t and n and
the same public key (:mod:`homomorphic.resharing`); it then holds shares of a public multiple of d.

Here a *dealer* makes the key: it knows everything until it forgets, so it must be trusted and its machine with it.
Who holds a :class:`ThresholdKey` and answers can tell nothing about how they were made, so that a distributed
generation can take the dealer's place. Fewer than t parties learn nothing of a plaintext; fewer than n - t + 1 can't
stop the others. Partial decryption takes the powers of :mod:`homomorphic.paillier` for secret exponents; dealing is not
constant-time.

Dealing takes as long as finding two safe primes. For a modulus of 3072 bits each takes 1,500 candidates of about a
millisecond on average. Sixteen keys of 3072 bits took 0.6 to 6.2 s each, 2.0 on average, on one core of a Zen 5;
``progress`` tells how far it is.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import factorial

import gmpy2
from gmpy2 import mpz

from homomorphic.column import CiphertextColumn
from homomorphic.encoding import Reader, Writer, width
from homomorphic.errors import NotAUnit, NotEnoughShares, WrongJacobiSymbol, WrongKey, WrongKeyLength, WrongShare
from homomorphic.paillier import KEY_BITS, PublicKey, randomness_base
from homomorphic.primes import Progress, safe_prime
from homomorphic.proofs import column_decryption, decryption
from homomorphic.proofs.decryption import DecryptionProof, Statement, Witness
from homomorphic.secret import Secret
from zkcore.errors import Malformed, OutOfRange, WrongLength

MOST_PARTIES = 16
"""The largest committee."""

MOST_GROWTH = 1 << 13
"""Bits by which resharing may lengthen shares: some 27 times at the largest committees, more at smaller ones."""

_KEY_TAG = b"zks-ptk2"
_SHARE_TAG = b"zks-pks2"
_PARTIAL_TAG = b"zks-ppd2"
_COLUMN_TAG = b"zks-pcd1"


def check_committee(parties: int, threshold: int) -> None:
    if not 1 <= parties <= MOST_PARTIES:
        raise OutOfRange("parties", f"a committee has 1 to {MOST_PARTIES} parties, not {parties}")
    if not 1 <= threshold <= parties:
        raise OutOfRange("threshold", f"{threshold} of {parties} parties can't be asked for")


def _is_smooth(value: int) -> bool:
    """Whether all prime factors of a positive integer are those of MOST_PARTIES!."""
    for prime in (p for p in range(2, MOST_PARTIES + 1) if gmpy2.is_prime(p)):
        value = int(gmpy2.remove(value, prime)[0])
    return value == 1


def lagrange(indices: Collection[int], parties: int, at: int = 0) -> dict[int, int]:
    """lambda_i = Delta prod_{j != i} (j - at) / (j - i) for each of the indices, Delta = parties!, of any sign.

    The sum of lambda_i f(i) is Delta f(at) for a polynomial f of a degree below the number of indices.
    """
    coefficients = {}
    for i in indices:
        numerator, denominator = factorial(parties), 1
        for j in indices:
            if j != i:
                numerator *= j - at
                denominator *= j - i
        coefficients[i], remainder = divmod(numerator, denominator)
        assert remainder == 0  # Delta clears every denominator (Shoup 2000, section 4)
    return coefficients


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
class PartialColumn:
    """One party's answer for a column: its index from 1, a value c_i a row, and the proof that its share made them."""

    index: int
    values: CiphertextColumn
    proof: DecryptionProof

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the key's length in bits, index, number of rows, values, proof."""
        writer = Writer(_COLUMN_TAG).integer(self.proof.bits, 2).integer(self.index, 1).integer(len(self.values), 4)
        return self.proof.write(writer.raw(self.values.to_bytes())).to_bytes()

    @classmethod
    def from_bytes(cls, public_key: PublicKey, data: bytes) -> "PartialColumn":
        """Read an answer strictly; raises Malformed, OutOfRange, WrongKey, TrivialCiphertext, NotAUnit."""
        reader = Reader(data, _COLUMN_TAG, "partial")
        bits = reader.integer(2)
        if bits != public_key.bits:
            raise WrongKey("partial", f"is for a key of {bits} bits, not {public_key.bits}")
        index, rows = reader.integer(1), reader.integer(4)
        values = CiphertextColumn.from_bytes(public_key, reader.raw(rows * public_key.ciphertext_bytes))
        proof = DecryptionProof.read(reader, bits)
        reader.end()
        return cls(index, values, proof)


@dataclass(frozen=True)
class CombinedColumn:
    """Plaintexts in ``[0, N)``, the indices of the parties whose answers made them, and of those that were wrong."""

    plaintexts: list[int]
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
    multiple
        The shares are of this multiple of d: 1 as dealt, a product of factorials after resharing.
    growth
        Bits by which shares may be longer than N^2: 0 as dealt.

    Raises
    ------
    OutOfRange, WrongLength, NotAUnit, TrivialCiphertext, WrongJacobiSymbol
    """

    public_key: PublicKey
    threshold: int
    parties: int
    base: int
    verification_keys: tuple[int, ...]
    multiple: int = 1
    growth: int = 0

    def __post_init__(self) -> None:
        check_committee(self.parties, self.threshold)
        if len(self.verification_keys) != self.parties:
            raise WrongLength("verification_keys", f"{len(self.verification_keys)} for {self.parties} parties")
        named = [("base", self.base)]
        named += [(f"verification_keys[{i}]", value) for i, value in enumerate(self.verification_keys, 1)]
        for part, value in named:
            self.public_key.check(value, part)
            if gmpy2.jacobi(value, self.public_key.modulus) != 1:
                raise WrongJacobiSymbol(part, "is not a square")
        if not 0 <= self.growth <= MOST_GROWTH:
            raise OutOfRange("growth", f"does not lie in [0, {MOST_GROWTH}]")
        if not 1 <= self.multiple < 1 << MOST_GROWTH or not _is_smooth(self.multiple):
            raise OutOfRange("multiple", "is not a product of factorials of committees' sizes")

    @property
    def share_bits(self) -> int:
        """What shares are shorter than, in bits."""
        return 2 * self.public_key.bits + self.growth

    @property
    def exponent_bits(self) -> int:
        """What Delta times a share is shorter than, in bits."""
        return self.share_bits + factorial(MOST_PARTIES).bit_length()

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of the key's bytes (32 bytes)."""
        return hashlib.sha256(b"zkshare/threshold-key-fingerprint/v1" + self.to_bytes()).digest()

    def is_consistent(self) -> bool:
        """Whether the verification keys belong to one sharing with this threshold, as far as it shows without shares.

        True if they are powers of V by the values of one polynomial of degree t - 1 whose value at 0 is a multiple of
        p'q' and not of N, up to signs: any t shares then decrypt to the same. A dealer could still have shared a
        multiple of d; whoever decrypts a ciphertext of a known number sees it.
        """
        square, first = self.public_key.square, range(1, self.threshold + 1)

        def power_at(x: int) -> mpz:
            """V^(Delta^2 f(x)), squared, from the first verification keys."""
            product = mpz(1)
            for i, coefficient in lagrange(first, self.parties, x).items():
                product = product * gmpy2.powmod(self.verification_keys[i - 1], 2 * coefficient, square) % square
            return product

        at_zero, exponent = power_at(0), 2 * factorial(self.parties)
        if at_zero == 1 or at_zero % self.public_key.modulus != 1:
            return False
        return all(
            gmpy2.powmod(self.verification_keys[j - 1], exponent, square) == power_at(j)
            for j in range(self.threshold + 1, self.parties + 1)
        )

    def statement(self, ciphertext: int, partial: PartialDecryption, context: bytes) -> Statement:
        """What the proof of a partial decryption is about."""
        return self._statement(partial.index, ciphertext, partial.value, context)

    def _statement(self, index: int, ciphertext: int, value: int, context: bytes) -> Statement:
        keys = self.verification_keys
        bound = self.fingerprint + context
        return Statement(self.public_key, self.base, keys, self.exponent_bits, index, ciphertext, value, bound)

    def column_statement(
        self, ciphertexts: CiphertextColumn, partial: PartialColumn, context: bytes
    ) -> column_decryption.Statement:
        """What the proof of a column's partial decryption is about."""
        return self._column_statement(partial.index, ciphertexts, partial.values, context)

    def _column_statement(
        self, index: int, ciphertexts: CiphertextColumn, values: CiphertextColumn, context: bytes
    ) -> column_decryption.Statement:
        bound = self.fingerprint + context
        keys, bits = self.verification_keys, self.exponent_bits
        return column_decryption.Statement(self.base, keys, bits, index, ciphertexts, values, bound)

    def verify_share(self, ciphertext: int, partial: PartialDecryption, context: bytes) -> bool:
        """Whether a party used its share on ``ciphertext`` for ``context``; raises Refused on what is malformed."""
        return decryption.verify(self.statement(ciphertext, partial, context), partial.proof)

    def verify_shares(self, items: Sequence[tuple[int, PartialDecryption, bytes]]) -> list[int]:
        """Positions of those of (ciphertext, answer, context) that do not convince, malformed ones among them.

        Faster than one by one, most of all for answers to the same ciphertexts.
        """
        return decryption.verify_batch(
            [(self.statement(ciphertext, partial, context), partial.proof) for ciphertext, partial, context in items]
        )

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
        items = [(self.statement(ciphertext, partial, context), partial.proof) for partial in partials]
        valid, wrong = self._sort_out([partial.index for partial in partials], lambda: decryption.verify_batch(items))
        square, product = self.public_key.square, mpz(1)
        for at, coefficient in self._coefficients(valid).items():
            product = product * gmpy2.powmod(partials[at].value, coefficient, square) % square
        return Combined(self._plaintext(product), tuple(valid), wrong)

    def combine_column(
        self, ciphertexts: CiphertextColumn, partials: Sequence[PartialColumn], context: bytes
    ) -> CombinedColumn:
        """The plaintexts of a column, as :meth:`combine`.

        Raises
        ------
        WrongKey
            The column is encrypted under another key.
        WrongShare, NotEnoughShares
            As :meth:`combine`.
        """
        if ciphertexts.public_key.fingerprint != self.public_key.fingerprint:
            raise WrongKey("column", "is encrypted under another key")
        items = [(self.column_statement(ciphertexts, partial, context), partial.proof) for partial in partials]
        indices = [partial.index for partial in partials]
        valid, wrong = self._sort_out(indices, lambda: column_decryption.verify_batch(items))
        powers = [partials[at].values * coefficient for at, coefficient in self._coefficients(valid).items()]
        product = powers[0]
        for power in powers[1:]:
            product = product + power
        return CombinedColumn([self._plaintext(row) for row in product.to_ciphertexts()], tuple(valid), wrong)

    def _sort_out(
        self, indices: Sequence[int], verify: Callable[[], list[int]]
    ) -> tuple[dict[int, int], tuple[int, ...]]:
        """The valid answers that are used, by index with their positions, and the indices of the wrong ones."""
        if len(set(indices)) != len(indices):
            raise WrongShare("partials", "two answers are in the name of the same party")
        bad = verify()
        wrong = tuple(sorted(indices[i] for i in bad))
        valid = sorted((index, i) for i, index in enumerate(indices) if i not in bad)
        if len(valid) < self.threshold:
            why = f"{len(valid)} valid partial decryptions where {self.threshold} are needed"
            raise NotEnoughShares("partials", why + (f"; wrong: {', '.join(map(str, wrong))}" if wrong else ""), wrong)
        return dict(valid[: self.threshold]), wrong

    def _coefficients(self, valid: dict[int, int]) -> dict[int, int]:
        """2 lambda_i by the positions of the valid answers."""
        return {valid[i]: 2 * coefficient for i, coefficient in lagrange(valid, self.parties).items()}

    def _plaintext(self, product: int | mpz) -> int:
        """The plaintext from prod c_i^(2 lambda_i)."""
        n = self.public_key.modulus
        power, remainder = divmod(mpz(product) - 1, n)
        if remainder:
            raise NotAUnit("partials", "do not combine to a plaintext: the committee's key is not well made")
        return int(power * gmpy2.invert(4 * factorial(self.parties) ** 2 * self.multiple, n) % n)

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the public key's length and bytes, the other fields in their order."""
        public = self.public_key.to_bytes()
        writer = Writer(_KEY_TAG).integer(len(public), 4).raw(public)
        writer.integer(self.threshold, 1).integer(self.parties, 1)
        writer.integers((self.base, *self.verification_keys), self.public_key.ciphertext_bytes)
        length = width(self.multiple + 1)
        return writer.integer(length, 2).integer(self.multiple, length).integer(self.growth, 2).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, *, toy_key_for_tests: bool = False) -> "ThresholdKey":
        """Read a key strictly; raises Malformed and what the constructors raise."""
        reader = Reader(data, _KEY_TAG, "threshold_key")
        public_key = PublicKey.from_bytes(reader.raw(reader.integer(4)), toy_key_for_tests=toy_key_for_tests)
        threshold, parties = reader.integer(1), reader.integer(1)
        check_committee(parties, threshold)
        base, *verification_keys = (reader.integer(public_key.ciphertext_bytes) for _ in range(parties + 1))
        length = reader.integer(2)
        multiple, growth = reader.integer(length), reader.integer(2)
        reader.end()
        if length != width(multiple + 1):
            raise Malformed("threshold_key", "the multiple is wider than it needs to be")
        return cls(public_key, threshold, parties, base, tuple(verification_keys), multiple, growth)


@dataclass(frozen=True, repr=False)
class KeyShare(Secret):
    """One party's share of a committee's key.

    Parameters
    ----------
    index
        The party, from 1.
    value
        s_i, secret, of at most ``key.share_bits`` bits.
    key
        The committee's key. A share that does not fit its verification key is refused (WrongShare).
    """

    index: int
    value: int
    key: ThresholdKey

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.key.parties:
            raise OutOfRange("share.index", f"no party has the index {self.index}")
        if not 0 < self.value < 1 << self.key.share_bits:
            raise OutOfRange("share", "is not below its bound")
        key = self.key
        power = key.public_key.powers([key.base], [self._exponent], key.exponent_bits)[0]
        if power != key.verification_keys[self.index - 1]:
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
        values = self._answers([ciphertext for ciphertext, _ in items])
        statements = [
            self.key._statement(self.index, ciphertext, value, context)
            for (ciphertext, context), value in zip(items, values, strict=True)
        ]
        proofs = decryption.prove_batch(statements, Witness(self._exponent))
        return [PartialDecryption(self.index, value, proof) for value, proof in zip(values, proofs, strict=True)]

    def _answers(self, ciphertexts: Sequence[int]) -> list[int]:
        """C^(2 Delta s_i) for each ciphertext."""
        exponents = [2 * self._exponent] * len(ciphertexts)
        return self.key.public_key.powers(ciphertexts, exponents, self.key.exponent_bits + 1)

    def partial_decrypt_column(self, ciphertexts: CiphertextColumn, context: bytes) -> PartialColumn:
        """Use the share on a column of ciphertexts, for one context, with one proof for all rows.

        Raises
        ------
        WrongKey
            The column is encrypted under another key.
        """
        key = self.key.public_key
        if ciphertexts.public_key.fingerprint != key.fingerprint:
            raise WrongKey("column", "is encrypted under another key")
        values = CiphertextColumn.from_ciphertexts(key, self._answers(ciphertexts.to_ciphertexts()))
        statement = self.key._column_statement(self.index, ciphertexts, values, context)
        return PartialColumn(self.index, values, column_decryption.prove(statement, Witness(self._exponent)))

    def to_bytes(self) -> bytes:
        """Canonical encoding, not encrypted: tag, index, s_i, then the committee's key."""
        length = width(1 << self.key.share_bits)
        writer = Writer(_SHARE_TAG).integer(self.index, 1).integer(length, 2).integer(self.value, length)
        return writer.raw(self.key.to_bytes()).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, *, toy_key_for_tests: bool = False) -> "KeyShare":
        """Read a share strictly; raises Malformed and what the constructors raise."""
        reader = Reader(data, _SHARE_TAG, "share")
        index, length = reader.integer(1), reader.integer(2)
        value = reader.integer(length)
        key = ThresholdKey.from_bytes(reader.rest(), toy_key_for_tests=toy_key_for_tests)
        if length != width(1 << key.share_bits):
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
    check_committee(parties, threshold)
    primes = safe_primes(bits, progress, toy_key_for_tests=toy_key_for_tests)
    return deal_from_primes(*primes, parties, threshold, toy_key_for_tests=toy_key_for_tests)


def safe_primes(bits: int, progress: Progress | None = None, *, toy_key_for_tests: bool = False) -> tuple[int, int]:
    """The factors of a modulus of ``bits`` bits, as :func:`deal` looks for them; secret."""
    if bits not in KEY_BITS and not (toy_key_for_tests and bits % 2 == 0):
        raise WrongKeyLength("bits", f"keys are {', '.join(map(str, KEY_BITS))} bits long, not {bits}")
    p = safe_prime(bits // 2, progress and (lambda tested, expected: progress(min(tested, expected), 2 * expected)))
    q = p
    while q == p:
        q = safe_prime(bits // 2, progress and (lambda tested, expected: progress(expected + tested, 2 * expected)))
    return p, q


def deal_from_primes(
    p: int, q: int, parties: int, threshold: int, *, toy_key_for_tests: bool = False
) -> tuple[ThresholdKey, list[KeyShare]]:
    """As :func:`deal`, from two different safe primes of equal length that nobody else may know."""
    check_committee(parties, threshold)
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
    bits = max(exponent.bit_length() for exponent in exponents)
    keys = tuple(public_key.powers([base] * parties, exponents, bits))
    key = ThresholdKey(public_key, threshold, parties, base, keys)
    return key, [KeyShare(i, value, key) for i, value in enumerate(values, 1)]
