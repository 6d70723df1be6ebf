"""Proof that a ciphertext holds the committed integers.

In words: "I know integers x_j below 2^64, blindings s_j and rho such that the ciphertext c = (1 + N sum_j x_j 2^(96
j)) h^rho modulo N^2, and P_j = x_j G + s_j H on Baby Jubjub for every j". That the x_j are below 2^64, and that the
P_j lie in the subgroup of prime order l, is proved elsewhere (the filing circuit range-checks the x_j and makes the
P_j); without such a proof this one says nothing about c, so its context must be the digest of that proof's public
inputs.

The technique is that of Chase, Orru, Perrin and Zaverucha 2022 (ePrint 2022/1593) for equality of discrete logarithms
across groups, carried to Paillier and made non-interactive by Fiat and Shamir:

    prover    alpha_j uniform in [0, 2^244), beta_j in Z_l, tau in [0, 2^(|N|/2 + 180))
              A = (1 + N sum_j alpha_j 2^(96 j)) h^tau mod N^2,   B_j = alpha_j G + beta_j H
              e = H(transcript) of 100 bits
              z_j = alpha_j + e x_j,   w = tau + e rho  (both over the integers),   u_j = beta_j + e s_j mod l
    verifier  0 <= z_j < 2^244 + 2^164, w and u_j in their ranges, c and A units modulo N^2, every point on the curve,
              (1 + N sum_j z_j 2^(96 j)) h^w = A c^e mod N^2  up to sign,
              8 (z_j G + u_j H) = 8 (B_j + e P_j)  for every j

Why it binds: from two accepting transcripts with challenges that differ by d, the difference of the z_j is x_j d
modulo l; both are below l/2 in size, so they are equal as integers, and the Paillier equation then says that c
decrypts to sum_j x_j 2^(96 j), since d is below the factors of N. z_j and w hide x_j and rho but for a statistical
2^-80; the equation on Baby Jubjub is taken times the cofactor, so that B_j needs only to lie on the curve.

*Up to sign*: both sides modulo N^2 are squared before they are compared. Joined with random weights, an error of -1
would slip through half of the time; squared, one proof and a batch of proofs accept exactly the same. It gives a
cheat nothing: -1 is an N-th power modulo N^2, so c and -c decrypt to the same plaintext.

A batch is one multi-exponentiation modulo N^2 and one multi-scalar multiplication, with a random weight of 128 bits
for each equation. The prover's power of h is one of :mod:`homomorphic.paillier` for secret exponents; its
multiplications on Baby Jubjub are not constant-time in alpha and beta.

>>> import secrets
>>> from homomorphic import paillier
>>> from homomorphic.packing import Packing
>>> from zkcore import babyjubjub, pedersen
>>> key, _ = paillier.generate_keypair(2048)
>>> values = [1_000, 2_000]
>>> blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
>>> ciphertext, rho = key.encrypt(Packing(2).pack(values))
>>> commitments = tuple(pedersen.commit(x, s) for x, s in zip(values, blindings))
>>> statement = Statement(key, ciphertext, commitments, b"digest of the public inputs")
>>> proof = prove(statement, values, rho, blindings)
>>> verify(statement, proof)
True
>>> verify_batch([(statement, proof), (Statement(key, ciphertext, commitments[::-1], statement.context), proof)])
[1]
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2

from homomorphic.encoding import Reader, Writer, width
from homomorphic.errors import SlotOverflow, WrongKey
from homomorphic.packing import SLOT_BITS, VALUE_BITS, Packing
from homomorphic.paillier import PublicKey
from homomorphic.proofs.batch import (
    CHALLENGE_BITS,
    SLACK_BITS,
    WEIGHT_BITS,
    bad_of_batch,
    check_one_key,
    check_point,
    response_bound,
)
from zkcore import babyjubjub, pedersen
from zkcore.babyjubjub import Point
from zkcore.babyjubjub_msm import multi_multiply
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/link/v1"

_ALPHA_BITS = VALUE_BITS + CHALLENGE_BITS + SLACK_BITS
_Z_BOUND = response_bound(VALUE_BITS)
assert _Z_BOUND < babyjubjub.ORDER // 2  # what makes equality modulo l an equality of integers

_TAG = b"zks-link"


def _w_bound(bits: int) -> int:
    return response_bound(bits // 2)


def _packed(values: Sequence[int]) -> int:
    """sum of values[j] 2^(96 j), also for integers wider than a slot."""
    return sum(value << (SLOT_BITS * j) for j, value in enumerate(values))


@dataclass(frozen=True)
class Statement:
    """What is proved.

    Parameters
    ----------
    public_key
        The key N, h of the ciphertext.
    ciphertext
        c, holding one value a slot of 96 bits.
    commitments
        P_j, one a slot, points ``(x, y)`` of Baby Jubjub.
    context
        What the proof is for: the digest of the public inputs of the proof that made the commitments.
    """

    public_key: PublicKey
    ciphertext: int
    commitments: tuple[Point, ...]
    context: bytes

    def check(self) -> None:
        """Refuse what no proof can be about.

        Raises
        ------
        OutOfRange, TrivialCiphertext, NotAUnit, NotOnCurve, PointAtInfinity, SlotOverflow
        """
        self.public_key.check(self.ciphertext, "ciphertext")
        Packing(len(self.commitments)).fit(self.public_key.bits)
        for j, point in enumerate(self.commitments):
            check_point(point, f"commitments[{j}]")

    def challenge(self, a: int, b: Sequence[Point]) -> int:
        """The Fiat-Shamir challenge: every public value goes into it."""
        key = self.public_key
        transcript = Transcript(PROTOCOL)
        transcript.append("context", self.context)
        transcript.append("key", key.fingerprint)
        transcript.append("ciphertext", key.ciphertext_to_bytes(self.ciphertext))
        transcript.append_int("commitments", len(self.commitments))
        for point in self.commitments:
            transcript.append("P", babyjubjub.to_bytes(point))
        transcript.append("A", key.ciphertext_to_bytes(a))
        for point in b:
            transcript.append("B", babyjubjub.to_bytes(point))
        return transcript.challenge("e", CHALLENGE_BITS)


@dataclass(frozen=True)
class LinkProof:
    """The proof: A modulo N^2, points B_j, responses z_j, u_j, w; ``bits`` is the key's length, for the encoding."""

    bits: int
    a: int
    b: tuple[Point, ...]
    z: tuple[int, ...]
    u: tuple[int, ...]
    w: int

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the key's length in bits, number of values, A, the B_j, the z_j, the u_j, w."""
        writer = Writer(_TAG).integer(self.bits, 2).integer(len(self.b), 1)
        writer.integer(self.a, width(1 << 2 * self.bits))
        for point in self.b:
            writer.raw(babyjubjub.to_bytes(point))
        writer.integers(self.z, width(_Z_BOUND)).integers(self.u, width(babyjubjub.ORDER))
        return writer.integer(self.w, width(_w_bound(self.bits))).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "LinkProof":
        """Read a proof strictly; verify checks that it is for the key.

        Raises
        ------
        Malformed, OutOfRange, NotOnCurve, PointAtInfinity
        """
        reader = Reader(data, _TAG, "link_proof")
        bits, count = reader.integer(2), reader.integer(1)
        a = reader.integer(width(1 << 2 * bits))
        b = tuple((reader.integer_below(R, f"b[{j}]"), reader.integer_below(R, f"b[{j}]")) for j in range(count))
        z = tuple(reader.integer_below(_Z_BOUND, f"z[{j}]") for j in range(count))
        u = tuple(reader.integer_below(babyjubjub.ORDER, f"u[{j}]") for j in range(count))
        w = reader.integer_below(_w_bound(bits), "w")
        reader.end()
        for j, point in enumerate(b):
            check_point(point, f"link_proof.b[{j}]")
        return cls(bits, a, b, z, u, w)


def prove(statement: Statement, values: Sequence[int], rho: int, blindings: Sequence[int]) -> LinkProof:
    """Prove a statement that is true.

    Parameters
    ----------
    values
        The x_j, secret, each in ``[0, 2^64)``.
    rho
        The randomness of the ciphertext, secret.
    blindings
        The s_j, secret, each in ``[0, l)``.

    Raises
    ------
    Refused
        What :meth:`Statement.check` refuses; WrongLength, SlotOverflow, OutOfRange for a witness out of its domain.
    """
    statement.check()
    key, count = statement.public_key, len(statement.commitments)
    if len(values) != count or len(blindings) != count:
        raise WrongLength("witness", f"{len(values)} values and {len(blindings)} blindings for {count} commitments")
    for j, (value, blinding) in enumerate(zip(values, blindings, strict=True)):
        if not 0 <= value < 1 << VALUE_BITS:
            raise SlotOverflow(f"values[{j}]", f"does not lie in [0, 2^{VALUE_BITS})")
        if not 0 <= blinding < babyjubjub.ORDER:
            raise OutOfRange(f"blindings[{j}]", "is not below the subgroup's order")
    if not 0 <= rho < 1 << key.randomness_bits:
        raise OutOfRange("rho", "does not lie in [0, 2^(|N|/2))")

    alpha = [secrets.randbits(_ALPHA_BITS) for _ in range(count)]
    beta = [secrets.randbelow(babyjubjub.ORDER) for _ in range(count)]
    tau_bits = key.randomness_bits + CHALLENGE_BITS + SLACK_BITS
    tau = secrets.randbits(tau_bits)
    a = int(key.unhidden(_packed(alpha)) * key.mask(tau, tau_bits) % key.square)
    b = tuple(pedersen.commit(x, s) for x, s in zip(alpha, beta, strict=True))
    e = statement.challenge(a, b)
    return LinkProof(
        bits=key.bits,
        a=a,
        b=b,
        z=tuple(x + e * value for x, value in zip(alpha, values, strict=True)),
        u=tuple((x + e * s) % babyjubjub.ORDER for x, s in zip(beta, blindings, strict=True)),
        w=tau + e * rho,
    )


def _check(statement: Statement, proof: LinkProof) -> tuple[Statement, LinkProof, int]:
    """Refuse what is malformed; statement, proof and challenge of what is not."""
    statement.check()
    key, count = statement.public_key, len(statement.commitments)
    if proof.bits != key.bits:
        raise WrongKey("link_proof", f"is for a key of {proof.bits} bits, not {key.bits}")
    for name, items in (("b", proof.b), ("z", proof.z), ("u", proof.u)):
        if len(items) != count:
            raise WrongLength(f"link_proof.{name}", f"{len(items)} items for {count} commitments")
    key.check_unit(proof.a, "link_proof.a")
    for j in range(count):
        check_point(proof.b[j], f"link_proof.b[{j}]")
        if not 0 <= proof.z[j] < _Z_BOUND:
            raise OutOfRange(f"link_proof.z[{j}]", "is not below its bound")
        if not 0 <= proof.u[j] < babyjubjub.ORDER:
            raise OutOfRange(f"link_proof.u[{j}]", "is not below the subgroup's order")
    if not 0 <= proof.w < _w_bound(key.bits):
        raise OutOfRange("link_proof.w", "is not below its bound")
    return statement, proof, statement.challenge(proof.a, proof.b)


def verify(statement: Statement, proof: LinkProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    Refused
        The statement or the proof is malformed: numbers out of their ranges, no units, points off the curve, another
        number of values, another key's length.
    """
    return _hold([_check(statement, proof)])


def _hold(items: Sequence[tuple[Statement, LinkProof, int]]) -> bool:
    """Whether every equation of every item (with its challenge) holds, by one random combination of all of them."""
    key = items[0][0].public_key
    order = babyjubjub.ORDER
    plaintext = w = z = u = 0
    weights, weighted_challenges = [], []
    points, scalars = [], []
    for statement, proof, e in items:
        weight = secrets.randbits(WEIGHT_BITS)
        plaintext += weight * _packed(proof.z)
        w += weight * proof.w
        weights.append(weight)
        weighted_challenges.append(weight * e)
        for j, commitment in enumerate(statement.commitments):
            weight = secrets.randbits(WEIGHT_BITS)
            z += weight * proof.z[j]
            u += weight * proof.u[j]
            points += [proof.b[j], commitment]
            scalars += [weight, weight * e]
    with gmpy2.context(allow_release_gil=True):  # it takes tens of milliseconds, in which a server would be deaf
        left = key.unhidden(plaintext) * gmpy2.powmod(key.h, w, key.square)
    bases = [proof.a for _, proof, _ in items] + [statement.ciphertext for statement, _, _ in items]
    right = key.product_of_powers(bases, weights + weighted_challenges)
    if (left * left - right * right) % key.square:
        return False
    cofactor = babyjubjub.COFACTOR
    left_point = multi_multiply([pedersen.G, pedersen.H], [z % order, u % order])
    right_point = multi_multiply(points, scalars)
    return babyjubjub.multiply(left_point, cofactor) == babyjubjub.multiply(right_point, cofactor)


def verify_batch(items: Sequence[tuple[Statement, LinkProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them; the key is the same in all.

    Raises
    ------
    WrongKey
        The items are about different keys.
    """
    check_one_key(items)
    return bad_of_batch(items, lambda item: _check(*item), _hold)
