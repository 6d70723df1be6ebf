"""Proof that a committed integer has at most so many bits: a Bulletproof on Baby Jubjub.

In words: "I know x in [0, 2^n) and s such that P = x G + s H", n one of 8, 16, 32, 64. The ranges of
:mod:`homomorphic.proofs.range` and :mod:`homomorphic.proofs.weights` rest on it.

Bunz, Bootle, Boneh, Poelstra, Wuille and Maxwell 2018, "Bulletproofs: short proofs for confidential transactions and
more", section 4.2: the bits of x and the bits less one are committed to as vectors, three relations between them are
folded into one inner product of vectors of n numbers, and log2 n rounds (section 3) halve the vectors until a number
each is left. The verifier unrolls all rounds into one sum of multiples of points (section 3.1), and the sums of many
proofs are joined by random weights (section 6.2), where all proofs share the 2n + 3 fixed points. Made non-interactive
by Fiat and Shamir; that many rounds lose nothing of note by it is shown by Attema, Fehr and Klooss 2022.

Sound, without slack, as long as discrete logarithms on Baby Jubjub are hard (about 125 bits): the fixed points are
hashed to the curve, so that nobody knows a relation between them. Everything is compared times the cofactor, so what
is proved is that 8 P = 8 (x G + s H); points need to lie on the curve, not in its prime subgroup. Perfectly hiding.

The prover's first four points, made of the secrets, take the same work for every secret; its arithmetic on Python's
integers is not constant-time. The rounds reveal what is already masked, and run at full speed.

>>> import secrets
>>> from zkcore import babyjubjub, pedersen
>>> blinding = secrets.randbelow(babyjubjub.ORDER)
>>> statement = Statement(pedersen.commit(1_000_000, blinding), 32, b"context")
>>> proof = prove(statement, 1_000_000, blinding)
>>> verify(statement, proof)
True
>>> verify_batch([(statement, proof), (Statement(statement.commitment, 16, b"context"), proof)])
[1]
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from homomorphic.encoding import Reader, Writer, width
from homomorphic.proofs.batch import bad_of_batch, check_point
from zkcore import babyjubjub, pedersen
from zkcore.babyjubjub import IDENTITY, ORDER, FixedBases, Point
from zkcore.babyjubjub_msm import multi_multiply
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/committed-range/v1"

RANGES = (8, 16, 32, 64)
"""Lengths in bits that can be proved."""

_MOST = max(RANGES)
_CHALLENGE_BITS = 248
_TAG = b"zks-bprf"
_FIRST_POINTS = ("a", "s", "t1", "t2")
_NUMBERS = ("tau", "mu", "t", "left", "right")


@cache
def _generators() -> tuple[tuple[Point, ...], tuple[Point, ...], Point]:
    """The points g_i, h_i and u."""
    g = tuple(babyjubjub.hash_to_curve(b"range g %d" % i) for i in range(_MOST))
    h = tuple(babyjubjub.hash_to_curve(b"range h %d" % i) for i in range(_MOST))
    return g, h, babyjubjub.hash_to_curve(b"range u")


@cache
def _secret_bases() -> FixedBases:
    """H, then the g_i, then the h_i, for scalars that are secret."""
    g, h, _ = _generators()
    return FixedBases([pedersen.H, *g, *h])


def _commit(blinding: int, left: Sequence[int], right: Sequence[int]) -> Point:
    none = [0] * (_MOST - len(left))
    return _secret_bases().combine([blinding, *left, *none, *right, *none])


def _inner(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True)) % ORDER


def _inverse(value: int) -> int:
    return pow(value, -1, ORDER)


def _powers(base: int, count: int) -> list[int]:
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * base % ORDER)
    return powers


@dataclass(frozen=True)
class Statement:
    """What is proved: of which commitment (a point of Baby Jubjub), how many bits, and for which context."""

    commitment: Point
    bits: int
    context: bytes

    def check(self) -> None:
        """Refuse what no proof can be about; raises OutOfRange, NotOnCurve, PointAtInfinity."""
        if self.bits not in RANGES:
            raise OutOfRange("bits", f"ranges of {', '.join(map(str, RANGES))} bits are proved, not of {self.bits}")
        check_point(self.commitment, "commitment")


class _Challenges:
    """The Fiat-Shamir challenges in their order, each 1 to 2^248: every public value and every message goes in."""

    def __init__(self, statement: Statement) -> None:
        self._transcript = Transcript(PROTOCOL)
        self._transcript.append("context", statement.context)
        self._transcript.append_int("bits", statement.bits)
        self._transcript.append("P", babyjubjub.to_bytes(statement.commitment))

    def _next(self, label: str) -> int:
        return 1 + self._transcript.challenge(label, _CHALLENGE_BITS)

    def y_and_z(self, a: Point, s: Point) -> tuple[int, int]:
        """After the vectors are committed to."""
        self._transcript.append("A", babyjubjub.to_bytes(a))
        self._transcript.append("S", babyjubjub.to_bytes(s))
        return self._next("y"), self._next("z")

    def x(self, t1: Point, t2: Point) -> int:
        """After the polynomial is committed to."""
        self._transcript.append("T1", babyjubjub.to_bytes(t1))
        self._transcript.append("T2", babyjubjub.to_bytes(t2))
        return self._next("x")

    def base(self, tau: int, mu: int, t: int) -> int:
        """After the inner product is told: the multiple of u that holds it."""
        for label, value in (("tau", tau), ("mu", mu), ("t", t)):
            self._transcript.append_int(label, value)
        return self._next("u")

    def round(self, left: Point, right: Point) -> int:
        """After the two points of one halving."""
        self._transcript.append("L", babyjubjub.to_bytes(left))
        self._transcript.append("R", babyjubjub.to_bytes(right))
        return self._next("halving")


@dataclass(frozen=True)
class CommittedRangeProof:
    """The proof, by the paper's names.

    Parameters
    ----------
    a, s, t1, t2
        Points A, S, T1, T2.
    tau, mu, t
        tau_x, mu and the inner product t, below the subgroup's order.
    rounds
        Points L, R, L, R, ... of the halvings, 2 log2 n of them.
    left, right
        The two numbers that are left, below the subgroup's order.
    """

    a: Point
    s: Point
    t1: Point
    t2: Point
    tau: int
    mu: int
    t: int
    rounds: tuple[Point, ...]
    left: int
    right: int

    def write(self, writer: Writer) -> Writer:
        """Append the proof to a message: number of rounds, the points, the numbers."""
        writer.integer(len(self.rounds) // 2, 1)
        for point in (self.a, self.s, self.t1, self.t2, *self.rounds):
            writer.raw(babyjubjub.to_bytes(point))
        return writer.integers((getattr(self, name) for name in _NUMBERS), width(ORDER))

    @classmethod
    def read(cls, reader: Reader) -> "CommittedRangeProof":
        """Take a proof from a message; raises Malformed, OutOfRange. Verify checks the points."""
        count = reader.integer(1)
        points = [
            (reader.integer_below(R, "point"), reader.integer_below(R, "point"))
            for _ in range(len(_FIRST_POINTS) + 2 * count)
        ]
        a, s, t1, t2, *rounds = points
        tau, mu, t, left, right = (reader.integer_below(ORDER, name) for name in _NUMBERS)
        return cls(a, s, t1, t2, tau, mu, t, tuple(rounds), left, right)

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, then as :meth:`write`."""
        return self.write(Writer(_TAG)).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "CommittedRangeProof":
        """Read a proof strictly; raises as :meth:`read`."""
        reader = Reader(data, _TAG, "range_proof")
        proof = cls.read(reader)
        reader.end()
        return proof


def prove(statement: Statement, value: int, blinding: int) -> CommittedRangeProof:
    """Prove a statement that is true.

    Parameters
    ----------
    value
        x, secret, in ``[0, 2^bits)``.
    blinding
        s, secret, in ``[0, l)``.

    Raises
    ------
    Refused
        What :meth:`Statement.check` refuses; OutOfRange for a witness out of its domain.
    """
    statement.check()
    n = statement.bits
    if not 0 <= value < 1 << n:
        raise OutOfRange("value", f"does not lie in [0, 2^{n})")
    if not 0 <= blinding < ORDER:
        raise OutOfRange("blinding", "is not below the subgroup's order")
    challenges = _Challenges(statement)
    bits = [value >> i & 1 for i in range(n)]
    alpha, rho, tau1, tau2 = (secrets.randbelow(ORDER) for _ in range(4))
    mask_left, mask_right = ([secrets.randbelow(ORDER) for _ in range(n)] for _ in range(2))
    a = _commit(alpha, bits, [bit - 1 for bit in bits])
    s = _commit(rho, mask_left, mask_right)
    y, z = challenges.y_and_z(a, s)

    y_powers = _powers(y, n)
    left0 = [bit - z for bit in bits]
    right0 = [power * (bit - 1 + z) + (z * z << i) for i, (power, bit) in enumerate(zip(y_powers, bits, strict=True))]
    right1 = [power * mask % ORDER for power, mask in zip(y_powers, mask_right, strict=True)]
    t1 = pedersen.commit(_inner(left0, right1) + _inner(mask_left, right0), tau1)
    t2 = pedersen.commit(_inner(mask_left, right1), tau2)
    x = challenges.x(t1, t2)
    left = [(c0 + c1 * x) % ORDER for c0, c1 in zip(left0, mask_left, strict=True)]
    right = [(c0 + c1 * x) % ORDER for c0, c1 in zip(right0, right1, strict=True)]
    t = _inner(left, right)
    tau = (tau2 * x * x + tau1 * x + z * z * blinding) % ORDER
    mu = (alpha + rho * x) % ORDER
    rounds, last_left, last_right = _halve(
        challenges, challenges.base(tau, mu, t), left, right, _powers(_inverse(y), n)
    )
    return CommittedRangeProof(a, s, t1, t2, tau, mu, t, rounds, last_left, last_right)


def _halve(
    challenges: _Challenges, base: int, left: list[int], right: list[int], h_factors: list[int]
) -> tuple[tuple[Point, ...], int, int]:
    """The rounds of section 3 for the bases g_i, h_factors[i] h_i and base u.

    The bases are never folded: the base number k of m left is a sum of those g_i with i = k modulo m, times factors.
    """
    n = len(left)
    g, h, u = _generators()
    bases = [*g[:n], *h[:n], u]
    g_factors, h_factors = [1] * n, list(h_factors)
    rounds = []
    m = n
    while m > 1:
        m //= 2
        left_low, left_high, right_low, right_high = left[:m], left[m:], right[:m], right[m:]
        scalars_l, scalars_r = [0] * (2 * n), [0] * (2 * n)
        for i in range(n):
            k, high = i % m, i % (2 * m) >= m
            g_scalars, h_scalars = (scalars_l, scalars_r) if high else (scalars_r, scalars_l)
            g_scalars[i] = g_factors[i] * (left_low if high else left_high)[k] % ORDER
            h_scalars[n + i] = h_factors[i] * (right_low if high else right_high)[k] % ORDER
        point_l = multi_multiply(bases, [*scalars_l, base * _inner(left_low, right_high) % ORDER])
        point_r = multi_multiply(bases, [*scalars_r, base * _inner(left_high, right_low) % ORDER])
        x = challenges.round(point_l, point_r)
        inverse = _inverse(x)
        rounds += [point_l, point_r]
        left = [(x * low + inverse * high) % ORDER for low, high in zip(left_low, left_high, strict=True)]
        right = [(inverse * low + x * high) % ORDER for low, high in zip(right_low, right_high, strict=True)]
        for i in range(n):
            high = i % (2 * m) >= m
            g_factors[i] = g_factors[i] * (x if high else inverse) % ORDER
            h_factors[i] = h_factors[i] * (inverse if high else x) % ORDER
    return tuple(rounds), left[0], right[0]


def _check(statement: Statement, proof: CommittedRangeProof) -> tuple[Statement, CommittedRangeProof]:
    """Refuse what is malformed, pass on what is not."""
    statement.check()
    if len(proof.rounds) != 2 * (statement.bits.bit_length() - 1):
        raise WrongLength("range_proof.rounds", f"{len(proof.rounds)} points for {statement.bits} bits")
    named = [(name, getattr(proof, name)) for name in _FIRST_POINTS]
    named += [(f"rounds[{i}]", point) for i, point in enumerate(proof.rounds)]
    for name, point in named:
        check_point(point, f"range_proof.{name}")
    for name in _NUMBERS:
        if not 0 <= getattr(proof, name) < ORDER:
            raise OutOfRange(f"range_proof.{name}", "is not below the subgroup's order")
    return statement, proof


class _Sum:
    """The sum of multiples of points that is the neutral element when every proof added to it convinces."""

    def __init__(self) -> None:
        self._g, self._h = [0] * _MOST, [0] * _MOST
        self._u = self._value = self._blinding = 0
        self._points: list[Point] = []
        self._scalars: list[int] = []

    def add(self, statement: Statement, proof: CommittedRangeProof) -> None:
        """Add both equations of a proof (section 4.1, 65 and 66 f.), each with a random weight."""
        n = statement.bits
        challenges = _Challenges(statement)
        y, z = challenges.y_and_z(proof.a, proof.s)
        x = challenges.x(proof.t1, proof.t2)
        base = challenges.base(proof.tau, proof.mu, proof.t)
        halvings = [challenges.round(*pair) for pair in zip(proof.rounds[::2], proof.rounds[1::2], strict=True)]
        inverses = [_inverse(challenge) for challenge in halvings]
        first, second = 1 + secrets.randbelow(ORDER - 1), 1 + secrets.randbelow(ORDER - 1)

        # t G + tau H = delta G + z^2 P + x T1 + x^2 T2
        delta = (z - z * z) * sum(_powers(y, n)) - z**3 * ((1 << n) - 1)
        self._value += first * (proof.t - delta)
        self._blinding += first * proof.tau
        self._multiples([statement.commitment, proof.t1, proof.t2], [-first * z * z, -first * x, -first * x * x])

        # sum (left s_i + z) g_i + sum (right / s_i y^-i - z - z^2 2^i y^-i) h_i + base (left right - t) u + mu H
        #     = A + x S + sum (x_k^2 L_k + x_k^-2 R_k)
        factors = [1]  # s_i, the product of x_k or 1 / x_k by the bits of i, the first round at the highest bit
        for challenge, inverse in zip(halvings, inverses, strict=True):
            factors = [factor * side % ORDER for factor in factors for side in (inverse, challenge)]
        for i, (factor, reverse, power) in enumerate(
            zip(factors, reversed(factors), _powers(_inverse(y), n), strict=True)
        ):
            self._g[i] += second * (proof.left * factor + z)
            self._h[i] += second * (power * (proof.right * reverse - (z * z << i)) - z)
        self._u += second * base * (proof.left * proof.right - proof.t)
        self._blinding += second * proof.mu
        self._multiples([proof.a, proof.s], [-second, -second * x])
        squares = [square for pair in zip(halvings, inverses, strict=True) for square in (pair[0] ** 2, pair[1] ** 2)]
        self._multiples(proof.rounds, [-second * square for square in squares])

    def _multiples(self, points: Sequence[Point], scalars: Sequence[int]) -> None:
        self._points += points
        self._scalars += scalars

    def is_neutral(self) -> bool:
        """Whether the sum, times the cofactor, is the neutral element."""
        g, h, u = _generators()
        points = [*g, *h, u, pedersen.G, pedersen.H, *self._points]
        scalars = [*self._g, *self._h, self._u, self._value, self._blinding, *self._scalars]
        total = multi_multiply(points, [scalar % ORDER for scalar in scalars])
        return babyjubjub.multiply(total, babyjubjub.COFACTOR) == IDENTITY


def _hold(items: Sequence[tuple[Statement, CommittedRangeProof]]) -> bool:
    total = _Sum()
    for statement, proof in items:
        total.add(statement, proof)
    return total.is_neutral()


def verify(statement: Statement, proof: CommittedRangeProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    Refused
        The statement or the proof is malformed: points off the curve or neutral, numbers out of their ranges, another
        number of rounds.
    """
    return _hold([_check(statement, proof)])


def verify_batch(items: Sequence[tuple[Statement, CommittedRangeProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them."""
    return bad_of_batch(items, lambda item: _check(*item), _hold)
