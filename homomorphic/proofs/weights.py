"""Proof that a result was computed with committed weights.

In words: "I know weights w_j in [-2^63, 2^63), blindings s_j and rho such that W_j = w_j G + s_j H on Baby Jubjub for
every j, and the ciphertext C = (prod_j c_j^(w_j)) h^rho modulo N^2", for public ciphertexts c_j: C holds the sum of
the w_j times what the c_j hold, with the very weights that were committed to, and perhaps approved, beforehand. A
constant term is the weight of the public ciphertext ``public_key.unhidden(1)``, which hides nothing; one longer than 64
bits is the sum of several, of ``unhidden(1 << 32)`` and so on.

The technique of the link proof (:mod:`homomorphic.proofs.link`; Chase, Orru, Perrin and Zaverucha 2022, ePrint
2022/1593) on the homomorphism that takes weights to ciphertexts (for Paillier as in Damgard and Jurik 2001, proof of a
correct multiplication), made non-interactive by Fiat and Shamir:

    prover    alpha_j uniform in [0, 2^244), beta_j in Z_l, tau in [0, 2^(|N|/2 + 180))
              A = (prod_j c_j^(alpha_j)) h^tau mod N^2,   B_j = alpha_j G + beta_j H
              e = H(transcript) of 100 bits
              z_j = alpha_j + e (w_j + 2^63),  r = tau + e rho  (both over the integers),  u_j = beta_j + e s_j mod l
    verifier  0 <= z_j < 2^244 + 2^164, r and u_j in their ranges, C, A and c_j units modulo N^2, points on the curve,
              (prod_j c_j^(z_j - 2^63 e)) h^r = A C^e mod N^2  up to sign,
              8 (z_j G + u_j H) = 8 (B_j + e (W_j + 2^63 G))  for every j,
              and a proof that every W_j + 2^63 G holds an integer in [0, 2^64)

The last are Bulletproofs (:mod:`homomorphic.proofs.committed_range`). With them the weights are used exactly, without
slack: from two accepting transcripts whose challenges differ by d, the difference of the z_j is (w_j + 2^63) d modulo
l; both are below l/2 in size, so they are equal as integers, and C^d is prod_j c_j^(w_j d) times a power of h, up to
sign; d can be inverted modulo N, and h is an N-th power (:mod:`homomorphic.proofs.key`). Without them a response could
stand for a fraction modulo l. The weights are hidden but for 2^-80, and C itself is rerandomized by h^rho.

*Up to sign*: both sides modulo N^2 are squared before they are compared, as in the link proof; c and -c decrypt to the
same. The prover's powers are those of :mod:`homomorphic.paillier` for secret exponents.

>>> import secrets
>>> from homomorphic import paillier
>>> from zkcore import babyjubjub, pedersen
>>> key, private_key = paillier.generate_keypair(2048)
>>> ciphertexts = (key.encrypt(100)[0], key.encrypt(7)[0], int(key.unhidden(1)))
>>> weights = [3, -2, 500]
>>> blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in weights]
>>> commitments = tuple(pedersen.commit(w, s) for w, s in zip(weights, blindings))
>>> result, rho = combine(key, ciphertexts, weights)
>>> private_key.decrypt(result)
786
>>> statement = Statement(key, ciphertexts, commitments, result, b"request 12")
>>> proof = prove(statement, weights, rho, blindings)
>>> verify(statement, proof)
True
>>> verify_batch([(statement, proof), (Statement(key, ciphertexts, commitments[::-1], result, b"request 12"), proof)])
[1]
"""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
from gmpy2 import mpz

from homomorphic.encoding import Reader, Writer, width
from homomorphic.errors import WrongKey
from homomorphic.packing import VALUE_BITS
from homomorphic.paillier import PublicKey
from homomorphic.proofs import committed_range
from homomorphic.proofs.batch import (
    CHALLENGE_BITS,
    SLACK_BITS,
    WEIGHT_BITS,
    bad_of_batch,
    check_one_key,
    check_point,
    response_bound,
)
from homomorphic.proofs.committed_range import CommittedRangeProof
from zkcore import babyjubjub, pedersen
from zkcore.babyjubjub import ORDER, Point
from zkcore.babyjubjub_msm import multi_multiply
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/weights/v1"

MOST_WEIGHTS = 255
"""The longest dot product."""

_OFFSET = 1 << (VALUE_BITS - 1)
_Z_BOUND = response_bound(VALUE_BITS)
assert _Z_BOUND < ORDER // 2  # what makes equality modulo l an equality of integers

_TAG = b"zks-wgts"


def _r_bound(bits: int) -> int:
    return response_bound(bits // 2)


def _check_weights(weights: Sequence[int], count: int) -> None:
    if len(weights) != count:
        raise WrongLength("weights", f"{len(weights)} weights for {count} ciphertexts")
    for j, weight in enumerate(weights):
        if not -_OFFSET <= weight < _OFFSET:
            raise OutOfRange(f"weights[{j}]", "does not lie in [-2^63, 2^63)")


def _product(key: PublicKey, ciphertexts: Sequence[int], exponents: Sequence[int], bits: int) -> mpz:
    """prod ciphertexts[j]^(exponents[j]) for secret exponents below 2^bits."""
    product = mpz(1)
    for power in key.powers(ciphertexts, exponents, bits):
        product = product * power % key.square
    return product


def combine(public_key: PublicKey, ciphertexts: Sequence[int], weights: Sequence[int]) -> tuple[int, int]:
    """A ciphertext of the sum of weights times what ciphertexts hold, modulo N, rerandomized.

    Returns
    -------
    (result, rho)
        ``rho`` is the secret randomness that :func:`prove` needs.

    Raises
    ------
    Refused
        Something is no ciphertext; WrongLength, OutOfRange for another number of weights, one outside [-2^63, 2^63).
    """
    _check_weights(weights, len(ciphertexts))
    for j, ciphertext in enumerate(ciphertexts):
        public_key.check(ciphertext, f"ciphertexts[{j}]")
    rho = secrets.randbits(public_key.randomness_bits)
    shifted = _product(public_key, ciphertexts, [weight + _OFFSET for weight in weights], VALUE_BITS)
    back = gmpy2.powmod(public_key.sum(ciphertexts), -_OFFSET, public_key.square)
    return int(shifted * back * public_key.mask(rho) % public_key.square), rho


@dataclass(frozen=True)
class Statement:
    """What is proved.

    Parameters
    ----------
    public_key
        The key N, h of the ciphertexts.
    ciphertexts
        The c_j.
    commitments
        The W_j, points of Baby Jubjub, one a ciphertext.
    result
        C, the ciphertext of the weighted sum.
    context
        What the proof is for; it holds for no other.
    """

    public_key: PublicKey
    ciphertexts: tuple[int, ...]
    commitments: tuple[Point, ...]
    result: int
    context: bytes

    def check(self) -> None:
        """Refuse what no proof can be about.

        Raises
        ------
        WrongLength, OutOfRange, TrivialCiphertext, NotAUnit, NotOnCurve, PointAtInfinity
        """
        count = len(self.ciphertexts)
        if not 1 <= count <= MOST_WEIGHTS:
            raise WrongLength("ciphertexts", f"{count} where 1 to {MOST_WEIGHTS} are weighted")
        if len(self.commitments) != count:
            raise WrongLength("commitments", f"{len(self.commitments)} commitments for {count} ciphertexts")
        for j, ciphertext in enumerate(self.ciphertexts):
            self.public_key.check(ciphertext, f"ciphertexts[{j}]")
        for j, point in enumerate(self.commitments):
            check_point(point, f"commitments[{j}]")
        self.public_key.check(self.result, "result")

    def transcript(self) -> Transcript:
        """A transcript with every public value."""
        key = self.public_key
        transcript = Transcript(PROTOCOL)
        transcript.append("context", self.context)
        transcript.append("key", key.fingerprint)
        transcript.append_int("ciphertexts", len(self.ciphertexts))
        for ciphertext in self.ciphertexts:
            transcript.append("c", key.ciphertext_to_bytes(ciphertext))
        for point in self.commitments:
            transcript.append("W", babyjubjub.to_bytes(point))
        transcript.append("C", key.ciphertext_to_bytes(self.result))
        return transcript

    def challenge(self, a: int, b: Sequence[Point]) -> int:
        """The Fiat-Shamir challenge: every public value goes into it."""
        transcript = self.transcript()
        transcript.append("A", self.public_key.ciphertext_to_bytes(a))
        for point in b:
            transcript.append("B", babyjubjub.to_bytes(point))
        return transcript.challenge("e", CHALLENGE_BITS)

    def ranges(self) -> list[committed_range.Statement]:
        """That every W_j + 2^63 G holds an integer in [0, 2^64)."""
        context = self.transcript().challenge("context of the ranges", 256).to_bytes(32, "big")
        offset = pedersen.commit(_OFFSET, 0)
        points = [babyjubjub.add(point, offset) for point in self.commitments]
        return [committed_range.Statement(point, VALUE_BITS, context) for point in points]


@dataclass(frozen=True)
class WeightsProof:
    """The proof: A modulo N^2, points B_j, responses z_j, u_j, r, a range proof a weight.

    ``bits`` is the key's length, for the encoding.
    """

    bits: int
    a: int
    b: tuple[Point, ...]
    z: tuple[int, ...]
    u: tuple[int, ...]
    r: int
    ranges: tuple[CommittedRangeProof, ...]

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, the key's length in bits, number of weights, A, B_j, z_j, u_j, r, range proofs."""
        writer = Writer(_TAG).integer(self.bits, 2).integer(len(self.b), 1)
        writer.integer(self.a, width(1 << 2 * self.bits))
        for point in self.b:
            writer.raw(babyjubjub.to_bytes(point))
        writer.integers(self.z, width(_Z_BOUND)).integers(self.u, width(ORDER))
        writer.integer(self.r, width(_r_bound(self.bits)))
        for proof in self.ranges:
            proof.write(writer)
        return writer.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "WeightsProof":
        """Read a proof strictly; raises Malformed, OutOfRange. Verify checks that it is for the key, and the points."""
        reader = Reader(data, _TAG, "weights_proof")
        bits, count = reader.integer(2), reader.integer(1)
        a = reader.integer(width(1 << 2 * bits))
        b = tuple((reader.integer_below(R, f"b[{j}]"), reader.integer_below(R, f"b[{j}]")) for j in range(count))
        z = tuple(reader.integer_below(_Z_BOUND, f"z[{j}]") for j in range(count))
        u = tuple(reader.integer_below(ORDER, f"u[{j}]") for j in range(count))
        r = reader.integer_below(_r_bound(bits), "r")
        ranges = tuple(CommittedRangeProof.read(reader) for _ in range(count))
        reader.end()
        return cls(bits, a, b, z, u, r, ranges)


def prove(statement: Statement, weights: Sequence[int], rho: int, blindings: Sequence[int]) -> WeightsProof:
    """Prove a statement that is true.

    Parameters
    ----------
    weights
        The w_j, secret, each in ``[-2^63, 2^63)``.
    rho
        The randomness that :func:`combine` gave, secret.
    blindings
        The s_j, secret, each in ``[0, l)``.

    Raises
    ------
    Refused
        What :meth:`Statement.check` refuses; WrongLength, OutOfRange for a witness out of its domain.
    """
    statement.check()
    key, count = statement.public_key, len(statement.ciphertexts)
    _check_weights(weights, count)
    if len(blindings) != count:
        raise WrongLength("blindings", f"{len(blindings)} blindings for {count} commitments")
    for j, blinding in enumerate(blindings):
        if not 0 <= blinding < ORDER:
            raise OutOfRange(f"blindings[{j}]", "is not below the subgroup's order")
    if not 0 <= rho < 1 << key.randomness_bits:
        raise OutOfRange("rho", "does not lie in [0, 2^(|N|/2))")
    shifted = [weight + _OFFSET for weight in weights]
    alpha_bits = VALUE_BITS + CHALLENGE_BITS + SLACK_BITS
    alpha = [secrets.randbits(alpha_bits) for _ in range(count)]
    beta = [secrets.randbelow(ORDER) for _ in range(count)]
    tau_bits = key.randomness_bits + CHALLENGE_BITS + SLACK_BITS
    tau = secrets.randbits(tau_bits)
    a = int(_product(key, statement.ciphertexts, alpha, alpha_bits) * key.mask(tau, tau_bits) % key.square)
    b = tuple(pedersen.commit(x, s) for x, s in zip(alpha, beta, strict=True))
    e = statement.challenge(a, b)
    return WeightsProof(
        bits=key.bits,
        a=a,
        b=b,
        z=tuple(x + e * weight for x, weight in zip(alpha, shifted, strict=True)),
        u=tuple((x + e * s) % ORDER for x, s in zip(beta, blindings, strict=True)),
        r=tau + e * rho,
        ranges=tuple(
            committed_range.prove(each, weight, s)
            for each, weight, s in zip(statement.ranges(), shifted, blindings, strict=True)
        ),
    )


Checked = tuple[Statement, WeightsProof, int]


def _check(statement: Statement, proof: WeightsProof) -> Checked:
    """Refuse what is malformed; statement, proof and challenge of what is not. The range proofs are not looked at."""
    statement.check()
    key, count = statement.public_key, len(statement.ciphertexts)
    if proof.bits != key.bits:
        raise WrongKey("weights_proof", f"is for a key of {proof.bits} bits, not {key.bits}")
    for name in ("b", "z", "u", "ranges"):
        if len(getattr(proof, name)) != count:
            raise WrongLength(f"weights_proof.{name}", f"{len(getattr(proof, name))} items for {count} weights")
    key.check_unit(proof.a, "weights_proof.a")
    for j in range(count):
        check_point(proof.b[j], f"weights_proof.b[{j}]")
        if not 0 <= proof.z[j] < _Z_BOUND:
            raise OutOfRange(f"weights_proof.z[{j}]", "is not below its bound")
        if not 0 <= proof.u[j] < ORDER:
            raise OutOfRange(f"weights_proof.u[{j}]", "is not below the subgroup's order")
    if not 0 <= proof.r < _r_bound(key.bits):
        raise OutOfRange("weights_proof.r", "is not below its bound")
    return statement, proof, statement.challenge(proof.a, proof.b)


def _hold(items: Sequence[Checked]) -> bool:
    """Whether the equations of every item (with its challenge) hold, by one random combination of all of them.

    The powers of the c_j are gathered by base: results computed from the same record share them.
    """
    key = items[0][0].public_key
    left: defaultdict[int, int] = defaultdict(int)
    right: defaultdict[int, int] = defaultdict(int)
    r = z = u = 0
    points, scalars = [], []
    for statement, proof, e in items:
        weight = secrets.randbits(WEIGHT_BITS)
        r += weight * proof.r
        right[proof.a] += weight
        right[statement.result] += weight * e
        for j, (ciphertext, commitment) in enumerate(zip(statement.ciphertexts, statement.commitments, strict=True)):
            left[ciphertext] += weight * proof.z[j]
            right[ciphertext] += weight * e * _OFFSET
            weight_j = secrets.randbits(WEIGHT_BITS)
            z += weight_j * (proof.z[j] - e * _OFFSET)
            u += weight_j * proof.u[j]
            points += [proof.b[j], commitment]
            scalars += [weight_j, weight_j * e]
    used = gmpy2.powmod(key.h, r, key.square) * key.product_of_powers(list(left), list(left.values()))
    made = key.product_of_powers(list(right), list(right.values()))
    if (used * used - made * made) % key.square:
        return False
    cofactor = babyjubjub.COFACTOR
    left_point = multi_multiply([pedersen.G, pedersen.H], [z % ORDER, u % ORDER])
    right_point = multi_multiply(points, scalars)
    return babyjubjub.multiply(left_point, cofactor) == babyjubjub.multiply(right_point, cofactor)


def verify(statement: Statement, proof: WeightsProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    Refused
        The statement or the proof is malformed, in any of its parts.
    """
    checked = _check(statement, proof)
    ranges = zip(statement.ranges(), proof.ranges, strict=True)
    return all([_hold([checked]), *(committed_range.verify(*item) for item in ranges)])


def verify_batch(items: Sequence[tuple[Statement, WeightsProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them; the key is the same in all.

    Raises
    ------
    WrongKey
        The items are about different keys.
    """
    check_one_key(items)
    bad = set(bad_of_batch(items, lambda item: _check(*item), _hold))
    ranges, owners = [], []
    for i, (statement, proof) in enumerate(items):
        if i not in bad:
            ranges += list(zip(statement.ranges(), proof.ranges, strict=True))
            owners += [i] * len(proof.ranges)
    return sorted(bad | {owners[i] for i in committed_range.verify_batch(ranges)})
