"""Handing a threshold key to another committee: new t, new n, new shares, the same public key.

Any t of the old parties, the *dealers*, each share their own share among the new parties, over the integers, since
nobody knows the order N p'q'. With Delta = n!, Delta' = n'!, and the lambda_i of the dealers
(:mod:`homomorphic.threshold`), dealer i takes

    g_i(x) = Delta' lambda_i Delta s_i + a_1 x + ... + a_(t'-1) x^(t'-1),   a_k uniform in [0, 2^A),

sends g_i(j) to the new party j in secret, and publishes F_k = V^(a_k). The new share s'_j = sum_i g_i(j) is that of a
polynomial whose value at 0 is Delta' Delta^2 times the old one, which the new key keeps as its ``multiple``.

*Verifiable by everybody*: the constant term's F_0 = V^(Delta' lambda_i Delta s_i) = v_i^(Delta' lambda_i) follows from
the dealer's old verification key, and the new verification keys are v'_j = V^(Delta' s'_j) = (prod_i prod_k
F_k^(j^k))^(Delta'). So anyone can compute the new committee's key from the old one and the published dealings, and
compare (:meth:`Resharing.new_key`). A new party checks V^(g_i(j)) = prod_k F_k^(j^k), up to sign, for what each dealer
sent it, and names the dealer whose number does not fit; the committee then starts again without that dealer.

*Secret*: as g_i(0) is a multiple of Delta' and the a_k are longer than it by 80 bits and the length of t', the numbers
of any t' - 1 new parties are spread as for any other share, but for a statistical distance below t t' 2^-80. The t old
parties can still decrypt until they destroy their shares, which nothing here can force. Old and new answers can't be
mixed: their proofs bind the committee's key. Shares grow with each resharing, by some 110 bits (3 of 5) to 320 (16 of
16); a key says how much, and refuses to grow beyond :data:`homomorphic.threshold.MOST_GROWTH`.

Desmedt and Jajodia 1997 (redistribution to other access structures); Wong, Wang and Wing 2002 (verifiable
redistribution); Frankel, Gemmell, MacKenzie and Yung 1997 and Rabin 1998 (polynomials over the integers for orders that
nobody knows); Feldman 1987 (published powers of the coefficients). The dealers' powers are those of
:mod:`homomorphic.paillier` for secret exponents; arithmetic on Python's integers is not constant-time.

>>> from homomorphic import threshold
>>> old_key, old_shares = threshold.deal(128, parties=3, threshold=2, toy_key_for_tests=True)
>>> resharing = Resharing(old_key, dealers=(1, 3), threshold=3, parties=4)
>>> dealt = [resharing.deal(old_shares[i - 1]) for i in resharing.dealers]
>>> dealings = [dealing for dealing, _ in dealt]
>>> new_key = resharing.new_key(dealings)
>>> new_shares = [resharing.receive(j, dealings, [sent[j - 1] for _, sent in dealt]) for j in range(1, 5)]
>>> new_key.public_key == old_key.public_key
True
>>> ciphertext, _ = old_key.public_key.encrypt(42)
>>> new_key.combine(ciphertext, [share.partial_decrypt(ciphertext, b"") for share in new_shares[1:]], b"").plaintext
42
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
from homomorphic.errors import WrongDealing, WrongJacobiSymbol, WrongKey
from homomorphic.proofs.batch import SLACK_BITS
from homomorphic.secret import Secret
from homomorphic.threshold import MOST_GROWTH, KeyShare, ThresholdKey, check_committee, lagrange
from zkcore.errors import Malformed, OutOfRange, WrongLength

_DEALING_TAG = b"zks-deal"
_SUB_SHARE_TAG = b"zks-subs"
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Dealing:
    """What a dealer publishes: its index, F_1 ... F_(t'-1), and the digest of the resharing that they are for."""

    resharing: bytes
    dealer: int
    commitments: tuple[int, ...]
    bits: int

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, digest, the key's length in bits, index, number of commitments, commitments."""
        writer = Writer(_DEALING_TAG).raw(self.resharing).integer(self.bits, 2).integer(self.dealer, 1)
        return writer.integer(len(self.commitments), 1).integers(self.commitments, width(1 << 2 * self.bits)).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Dealing":
        """Read a dealing strictly; raises Malformed. The resharing checks what depends on it."""
        reader = Reader(data, _DEALING_TAG, "dealing")
        digest, bits, dealer = reader.raw(_DIGEST_BYTES), reader.integer(2), reader.integer(1)
        length = width(1 << 2 * bits)
        commitments = tuple(reader.integer(length) for _ in range(reader.integer(1)))
        reader.end()
        return cls(digest, dealer, commitments, bits)


@dataclass(frozen=True, repr=False)
class SubShare(Secret):
    """g_i(j), what dealer i sends to the new party j and nobody else may see; not encrypted by :meth:`to_bytes`."""

    resharing: bytes
    dealer: int
    receiver: int
    value: int

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, digest, both indices, length of the value, the value."""
        length = width(self.value + 1)
        writer = Writer(_SUB_SHARE_TAG).raw(self.resharing).integer(self.dealer, 1).integer(self.receiver, 1)
        return writer.integer(length, 2).integer(self.value, length).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "SubShare":
        """Read one strictly; raises Malformed. The resharing checks what depends on it."""
        reader = Reader(data, _SUB_SHARE_TAG, "sub_share")
        digest, dealer, receiver = reader.raw(_DIGEST_BYTES), reader.integer(1), reader.integer(1)
        length = reader.integer(2)
        value = reader.integer(length)
        reader.end()
        if length != width(value + 1):
            raise Malformed("sub_share", "the value is wider than it needs to be")
        return cls(digest, dealer, receiver, value)


@dataclass(frozen=True)
class Resharing:
    """Who hands which key to what committee.

    Parameters
    ----------
    old_key
        The committee's key that is handed on.
    dealers
        Indices of exactly ``old_key.threshold`` old parties, ascending.
    threshold, parties
        Those of the new committee, at least 2 (who alone can decrypt needs no committee).

    Raises
    ------
    OutOfRange, WrongLength
        A committee that can't be; dealers that are not so many different old parties; a key that has grown too long.
    """

    old_key: ThresholdKey
    dealers: tuple[int, ...]
    threshold: int
    parties: int

    def __post_init__(self) -> None:
        check_committee(self.parties, self.threshold)
        if self.threshold < 2:
            raise OutOfRange("threshold", "a key is handed on to committees whose threshold is at least 2")
        if len(self.dealers) != self.old_key.threshold:
            raise WrongLength("dealers", f"{len(self.dealers)} dealers, not {self.old_key.threshold}")
        if list(self.dealers) != sorted({i for i in self.dealers if 1 <= i <= self.old_key.parties}):
            raise OutOfRange("dealers", "are not different old parties in ascending order")
        if self._growth > MOST_GROWTH:
            raise OutOfRange("old_key", "has been handed on too often; a new key must be dealt")

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of what is agreed on (32 bytes); dealings and numbers in transit name the resharing by it."""
        agreed = bytes([*self.dealers, self.threshold, self.parties])
        return hashlib.sha256(b"zkshare/resharing/v1" + self.old_key.fingerprint + agreed).digest()

    @cached_property
    def _factors(self) -> dict[int, int]:
        """Delta' lambda_i of the dealers: g_i(0) is the factor times Delta s_i."""
        coefficients = lagrange(self.dealers, self.old_key.parties)
        return {i: factorial(self.parties) * coefficient for i, coefficient in coefficients.items()}

    @property
    def _coefficient_bits(self) -> int:
        """A: what hides g_i(0) from t' - 1 new parties."""
        largest = max(abs(factor) for factor in self._factors.values()) * factorial(self.old_key.parties)
        return self.old_key.share_bits + (largest * self.threshold).bit_length() + SLACK_BITS

    @property
    def _sub_share_bits(self) -> int:
        """What g_i(j) is shorter than: t' terms of at most 2^A n'^(t'-1)."""
        return self._coefficient_bits + (self.threshold * self.parties ** (self.threshold - 1)).bit_length()

    @property
    def _growth(self) -> int:
        share_bits = self._sub_share_bits + len(self.dealers).bit_length()
        return share_bits - 2 * self.old_key.public_key.bits

    def deal(self, share: KeyShare) -> tuple[Dealing, list[SubShare]]:
        """What a dealer publishes, and what it sends to the new parties 1, 2, ... in secret.

        Raises
        ------
        WrongKey, OutOfRange
            The share is of another key; its holder is not among the dealers.
        """
        if share.key.fingerprint != self.old_key.fingerprint:
            raise WrongKey("share", "is not of the key that is handed on")
        if share.index not in self.dealers:
            raise OutOfRange("share.index", f"party {share.index} is not among the dealers")
        key, bits = self.old_key.public_key, self._coefficient_bits
        constant = self._factors[share.index] * factorial(self.old_key.parties) * share.value
        while True:
            coefficients = [secrets.randbits(bits) for _ in range(self.threshold - 1)]
            values = [_evaluate([constant, *coefficients], j) for j in range(1, self.parties + 1)]
            if min(values) > 0:  # a negative constant outweighs them once in 2^80 times
                break
        commitments = key.powers([self.old_key.base] * len(coefficients), coefficients, bits)
        dealing = Dealing(self.digest, share.index, tuple(commitments), key.bits)
        return dealing, [SubShare(self.digest, share.index, j, value) for j, value in enumerate(values, 1)]

    def check(self, dealing: Dealing) -> None:
        """Refuse a dealing that can't be of this resharing.

        Raises
        ------
        WrongKey, OutOfRange, WrongLength, TrivialCiphertext, NotAUnit, WrongJacobiSymbol
        """
        if dealing.resharing != self.digest:
            raise WrongKey("dealing", "is of another resharing")
        if dealing.dealer not in self.dealers:
            raise OutOfRange("dealing.dealer", f"party {dealing.dealer} is not among the dealers")
        key = self.old_key.public_key
        if dealing.bits != key.bits:
            raise WrongKey("dealing", f"is for a key of {dealing.bits} bits, not {key.bits}")
        if len(dealing.commitments) != self.threshold - 1:
            raise WrongLength("dealing.commitments", f"{len(dealing.commitments)} of them, not {self.threshold - 1}")
        for k, value in enumerate(dealing.commitments, 1):
            key.check(value, f"dealing.commitments[{k}]")
            if gmpy2.jacobi(value, key.modulus) != 1:
                raise WrongJacobiSymbol(f"dealing.commitments[{k}]", "is not a square up to sign")

    def _check_all(self, dealings: Sequence[Dealing]) -> None:
        if tuple(dealing.dealer for dealing in dealings) != self.dealers:
            raise WrongLength("dealings", "are not one of each dealer in ascending order")
        for dealing in dealings:
            self.check(dealing)

    def _power_at(self, dealing: Dealing, j: int) -> mpz:
        """V^(g_i(j)) = prod_k F_k^(j^k), from what is public."""
        key, i = self.old_key.public_key, dealing.dealer
        constant = gmpy2.powmod(self.old_key.verification_keys[i - 1], self._factors[i], key.square)
        powers = [j**k for k in range(1, self.threshold)]
        return constant * key.product_of_powers(dealing.commitments, powers) % key.square

    def new_key(self, dealings: Sequence[Dealing]) -> ThresholdKey:
        """The new committee's key, from the old one and the dealings; anyone can compute it.

        Raises
        ------
        WrongLength, and what :meth:`check` raises
            There is not one dealing of each dealer, in ascending order.
        """
        self._check_all(dealings)
        old, square = self.old_key, self.old_key.public_key.square
        verification_keys = []
        for j in range(1, self.parties + 1):
            power = mpz(1)
            for dealing in dealings:
                power = power * self._power_at(dealing, j) % square
            verification_keys.append(int(gmpy2.powmod(power, factorial(self.parties), square)))
        multiple = old.multiple * factorial(old.parties) ** 2 * factorial(self.parties)
        keys = tuple(verification_keys)
        return ThresholdKey(
            old.public_key, self.threshold, self.parties, old.base, keys, multiple=multiple, growth=self._growth
        )

    def receive(self, index: int, dealings: Sequence[Dealing], sub_shares: Sequence[SubShare]) -> KeyShare:
        """The new share of party ``index``, from what the dealers published and what they sent it.

        Raises
        ------
        WrongDealing
            Numbers do not fit what their dealers published, or are missing; ``.wrong`` names those dealers.
        WrongLength, OutOfRange, and what :meth:`check` raises
            As :meth:`new_key`; no party has this index.
        """
        if not 1 <= index <= self.parties:
            raise OutOfRange("index", f"no party has the index {index}")
        key = self.new_key(dealings)
        sent = {each.dealer: each for each in sub_shares}
        wrong = tuple(
            dealing.dealer for dealing in dealings if not self._fits(dealing, sent.get(dealing.dealer), index)
        )
        if wrong:
            raise WrongDealing("sub_shares", f"those of {', '.join(map(str, wrong))} do not fit their dealings", wrong)
        return KeyShare(index, sum(sent[i].value for i in self.dealers), key)

    def _fits(self, dealing: Dealing, sub_share: SubShare | None, index: int) -> bool:
        """Whether what a dealer sent is g_i(index), up to the sign of V^(g_i(index))."""
        if sub_share is None or (sub_share.resharing, sub_share.receiver) != (self.digest, index):
            return False
        if not 0 < sub_share.value < 1 << self._sub_share_bits:
            return False
        key = self.old_key.public_key
        (power,) = key.powers([self.old_key.base], [sub_share.value], self._sub_share_bits)
        published = self._power_at(dealing, index)
        return bool((mpz(power) ** 2 - published**2) % key.square == 0)


def _evaluate(coefficients: Sequence[int], x: int) -> int:
    """The polynomial with these coefficients, the constant one first, at x."""
    value = 0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value
