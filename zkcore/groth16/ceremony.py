"""The second phase of a ceremony: keys for one circuit whose trapdoor nobody knows, as snarkjs 0.7 makes them.

From powers of tau that many people made (the first phase) come the first keys of a circuit, with delta = 1. Each
contributor multiplies delta by a secret number and forgets it (Bowe, Gabizon and Miers 2017, "Scalable multi-party
computation for zk-SNARK parameters in the random beacon model"); the keys are sound if one of them did. A last
contribution from a public random beacon keeps the last person from choosing the outcome. Anyone can check the whole
chain from the constraint system and the powers of tau: :func:`verify`.

How the first keys are made and what is checked of the powers: :mod:`zkcore.groth16.first_key`; who contributed to the
powers is the first phase's own question.

A contributor's number comes from :mod:`secrets`, mixed with what the contributor types; it is overwritten where NumPy
holds it, while Python's integers stay in memory until they are collected. See :mod:`zkcore.groth16.ceremony_kernels`
on timing.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, R
from zkcore.cpu import BACKEND
from zkcore.curve import G1Point, G2Point
from zkcore.errors import OutOfRange, Refused, WrongLength
from zkcore.field import enter_rows, fp, leave_rows
from zkcore.field_lanes import fp_lanes
from zkcore.formats.points import g1_to_bytes, g2_to_bytes
from zkcore.formats.ptau import PowersOfTau
from zkcore.groth16.ceremony_kernels import WINDOW, scale_g1
from zkcore.groth16.chacha import Stream
from zkcore.groth16.first_key import blake, first_key, random_weights, same_ratio, weighted_sum
from zkcore.groth16.proving_key import ProvingKey
from zkcore.groups import g1, g2
from zkcore.r1cs import R1CS, SparseMatrix
from zkcore.tasks import Progress, pool, run

Rows = NDArray[np.uint64]

LONGEST_NAME, LONGEST_BEACON = 255, 255
ITERATIONS = range(10, 41)
"""Of a beacon: the logarithm of how often its value is hashed; nobody could check more."""

_NUMBER = fp_lanes if BACKEND == "avx512ifma" else fp
_POINTS_A_TASK = 2048


class WrongTranscript(Refused):
    """A contribution does not build on those before it."""


class WrongContribution(Refused):
    """A contribution's points do not show one number multiplied into delta."""


class WrongCircuit(Refused):
    """The keys belong to another constraint system or other powers of tau."""


@dataclass(frozen=True)
class Beacon:
    """A public random value (at most 255 bytes), hashed 2^iterations times by SHA-256 before it is used."""

    value: bytes
    iterations: int

    def __post_init__(self) -> None:
        if not 0 < len(self.value) <= LONGEST_BEACON:
            raise WrongLength("beacon.value", f"it has {len(self.value)} bytes, not 1 to {LONGEST_BEACON}")
        if self.iterations not in ITERATIONS:
            raise OutOfRange("beacon.iterations", f"it is not from {ITERATIONS[0]} to {ITERATIONS[-1]}")

    def stream(self) -> Stream:
        """What is drawn from it."""
        value = self.value
        for _ in range(1 << self.iterations):
            value = hashlib.sha256(value).digest()
        return Stream(value)


@dataclass(frozen=True)
class Contribution:
    """One step of the ceremony.

    Attributes
    ----------
    delta
        delta in G1 after it.
    base, product
        A point of G1 and its product with the contributed number.
    product_g2
        The number's product with a point of G2 that the transcript determines.
    transcript
        64 bytes: digest of all before it, and of base and product.
    name
        Whose it is, as its maker says.
    beacon
        What determined the number, or None if a person did.
    """

    delta: G1Point
    base: G1Point
    product: G1Point
    product_g2: G2Point
    transcript: bytes
    name: str = ""
    beacon: Beacon | None = None

    def encoded(self) -> bytes:
        """What the transcripts after it take in."""
        points = map(g1_to_bytes, (self.delta, self.base, self.product))
        return b"".join(points) + g2_to_bytes(self.product_g2) + self.transcript

    def digest(self) -> bytes:
        """64 bytes that the contributor publishes: BLAKE2b of the contribution."""
        return blake(self.encoded())


@dataclass(frozen=True)
class Contributions:
    """The circuit's digest (64 bytes, BLAKE2b over the first keys) and the contributions in order."""

    circuit_digest: bytes
    contributions: tuple[Contribution, ...] = ()

    def transcript(self, base: G1Point, product: G1Point) -> bytes:
        """The transcript of a contribution with these points behind all of these."""
        parts = [contribution.encoded() for contribution in self.contributions]
        return blake(self.circuit_digest, *parts, g1_to_bytes(base), g1_to_bytes(product))

    def before(self, index: int) -> "Contributions":
        """Those before number ``index``."""
        return replace(self, contributions=self.contributions[:index])


def begin(
    r1cs: R1CS, ptau: PowersOfTau, threads: int = 1, progress: Progress | None = None
) -> tuple[ProvingKey, Contributions]:
    """The first keys of a constraint system, with delta = 1: not to be used before others contributed.

    Parameters
    ----------
    r1cs
        The constraint system.
    ptau
        Powers of tau, prepared for phase 2.
    threads
        How many threads multiply points.
    progress
        Called with the fraction done, from 0 to 1.

    Raises
    ------
    WrongLength
        The constraint system needs more powers.
    WrongPowers
        The points of the file do not belong together.
    Malformed, OutOfRange, NotOnCurve, NotInSubgroup
        The file is not prepared, or a point is none.
    """
    key, digest = first_key(r1cs, ptau, threads, progress)
    return key, Contributions(digest)


# Contributions.


def _scaled(rows: Rows, number: int, executor: Any, progress: Progress | None = None) -> Rows:
    """Points of G1 times one secret number."""
    count, width, words = len(rows), _NUMBER.lanes, _NUMBER.size
    out = np.zeros((-(-count // width) * width, 2, 4), np.uint64)
    out[:count] = rows
    leave_rows(fp, out)
    steps = range(256 - WINDOW, -1, -WINDOW)
    digits = np.array([number >> place & (1 << WINDOW) - 1 for place in steps], np.uint8)

    def task(first: int) -> None:
        part = out[first : first + _POINTS_A_TASK]
        groups = len(part) // width
        table, work, prefix = (np.empty((n, words), np.uint64) for n in (3 << WINDOW, 3 * groups, groups))
        scale_g1(part, digits, table, work, prefix)

    run([partial(task, first) for first in range(0, len(out), _POINTS_A_TASK)], executor, progress)
    digits[:] = 0
    enter_rows(fp, out)
    return out[:count]


def contribute(
    key: ProvingKey,
    contributions: Contributions,
    entropy: bytes = b"",
    name: str = "",
    threads: int = 1,
    progress: Progress | None = None,
) -> tuple[ProvingKey, Contributions]:
    """Multiply a secret number into delta, and forget it.

    Parameters
    ----------
    key, contributions
        What the contributor before handed on.
    entropy
        Anything a person typed; mixed with :mod:`secrets`, which alone is enough.
    name
        Who contributes, at most 255 bytes of UTF-8.
    threads, progress
        As for :func:`begin`.

    Raises
    ------
    WrongLength
        The name is too long.
    """
    number = 0
    while not number:
        number = int.from_bytes(hashlib.blake2b(secrets.token_bytes(64) + entropy, digest_size=64).digest(), "big") % R
    base = g1.multiply(G1_GENERATOR, 1 + secrets.randbelow(R - 1))
    return _extended(key, contributions, number, base, name, None, threads, progress)


def apply_beacon(
    key: ProvingKey,
    contributions: Contributions,
    beacon: Beacon,
    name: str = "",
    threads: int = 1,
    progress: Progress | None = None,
) -> tuple[ProvingKey, Contributions]:
    """The last contribution, determined by a public random value; otherwise as :func:`contribute`."""
    stream = beacon.stream()
    number, base = stream.element(R), stream.g1()
    return _extended(key, contributions, number, base, name, beacon, threads, progress)


def _extended(
    key: ProvingKey,
    contributions: Contributions,
    number: int,
    base: G1Point,
    name: str,
    beacon: Beacon | None,
    threads: int,
    progress: Progress | None,
) -> tuple[ProvingKey, Contributions]:
    if len(name.encode()) > LONGEST_NAME:
        raise WrongLength("name", f"it has more than {LONGEST_NAME} bytes")
    product = g1.multiply(base, number)
    transcript = contributions.transcript(base, product)
    delta1 = g1.multiply(g1.decode(key.constants[1:])[0], number)
    added = Contribution(delta1, base, product, g2.multiply(_challenge(transcript), number), transcript, name, beacon)
    inverse = pow(number, -1, R)
    with pool(threads) as executor:
        scaled = _scaled(np.concatenate([key.points_c, key.points_h]), inverse, executor, progress)
    verifying_key = replace(key.verifying_key, delta=g2.multiply(key.verifying_key.delta, number))
    new = replace(
        key,
        verifying_key=verifying_key,
        constants=np.concatenate([key.constants[:1], g1.encode([delta1])]),
        points_c=scaled[: len(key.points_c)],
        points_h=scaled[len(key.points_c) :],
    )
    return new, replace(contributions, contributions=(*contributions.contributions, added))


def _challenge(transcript: bytes) -> G2Point:
    """The point of G2 that a transcript determines."""
    return Stream(transcript[:32]).g2()


# Verification.


def verify(
    r1cs: R1CS,
    ptau: PowersOfTau,
    key: ProvingKey,
    contributions: Contributions,
    threads: int = 1,
    progress: Progress | None = None,
) -> list[bytes]:
    """Check that keys come from these powers of tau, for this constraint system, through these contributions.

    Returns
    -------
    digests
        Of the contributions in order, 64 bytes each, to be compared with those that the contributors published.

    Raises
    ------
    WrongTranscript, WrongContribution
        A contribution does not follow from those before it, or does not show its number; names it by its place.
    WrongCircuit
        The keys are for something else, or were changed on the way; the part says what differs.
    Refused
        What :func:`begin` refuses.
    """
    delta = _check_chain(contributions)
    first, made = begin(r1cs, ptau, threads, progress)
    if made.circuit_digest != contributions.circuit_digest:
        raise WrongCircuit("circuit_digest", "it is that of another circuit or of other powers of tau")
    _check_unchanged(key, first)
    delta1, delta2 = g1.decode(key.constants[1:])[0], key.verifying_key.delta
    if delta1 != delta:
        raise WrongCircuit("delta_1", "it is not the delta of the last contribution")
    if not same_ratio(G1_GENERATOR, delta1, G2_GENERATOR, delta2):
        raise WrongCircuit("delta_2", "it is not delta in G2")
    with pool(threads) as executor:
        for name in ("points_c", "points_h"):
            ours, theirs = getattr(first, name), getattr(key, name)
            weights = random_weights(len(ours))
            before, after = (weighted_sum(g1, rows, weights, executor) for rows in (ours, theirs))
            unchanged = before == after and (before is None or delta2 == G2_GENERATOR)
            if not unchanged and not same_ratio(after, before, G2_GENERATOR, delta2):
                raise WrongCircuit(name, "the points are not those of the first keys divided by delta")
    return [contribution.digest() for contribution in contributions.contributions]


def _check_chain(contributions: Contributions) -> G1Point:
    """Refuse a chain that does not hold; delta in G1 at its end."""
    delta: G1Point = G1_GENERATOR
    for index, each in enumerate(contributions.contributions):
        part = f"contributions[{index}]"
        if each.transcript != contributions.before(index).transcript(each.base, each.product):
            raise WrongTranscript(f"{part}.transcript", "it is not the digest of what is before it")
        challenge = _challenge(each.transcript)
        if not same_ratio(each.base, each.product, challenge, each.product_g2):
            raise WrongContribution(f"{part}.product", "its points in G1 and G2 show different numbers")
        if not same_ratio(delta, each.delta, challenge, each.product_g2):
            raise WrongContribution(f"{part}.delta", "delta was multiplied by another number than it shows")
        if each.beacon is not None:
            stream = each.beacon.stream()
            number, base = stream.element(R), stream.g1()
            if (each.base, each.product) != (base, g1.multiply(base, number)):
                raise WrongContribution(f"{part}.beacon", "the number is not the beacon's")
        delta = each.delta
    return delta


def _check_unchanged(key: ProvingKey, first: ProvingKey) -> None:
    """Refuse keys that differ from the first ones where contributions change nothing."""
    for name in ("n_wires", "n_public", "domain_bits"):
        if getattr(key, name) != getattr(first, name):
            raise WrongCircuit(name, "it is not that of the constraint system")
    for name in ("alpha", "beta", "gamma", "ic"):
        if getattr(key.verifying_key, name) != getattr(first.verifying_key, name):
            raise WrongCircuit(name, "it is not that of the first keys")
    for name in ("points_a", "points_b", "points_b2"):
        if not np.array_equal(getattr(key, name), getattr(first, name)):
            raise WrongCircuit(name, "the points are not those of the first keys")
    if not np.array_equal(key.constants[0], first.constants[0]):
        raise WrongCircuit("beta_1", "it is not that of the first keys")
    for name in ("a", "b"):
        ours, theirs = getattr(first, name), getattr(key, name)
        if not _same_matrix(ours, theirs):
            raise WrongCircuit(name, "the matrix is not that of the constraint system")


def _same_matrix(ours: SparseMatrix, theirs: SparseMatrix) -> bool:
    rows = len(theirs.row_start)
    if rows > len(ours.row_start) or (ours.row_start[rows:] != ours.row_start[-1]).any():
        return False
    same = np.array_equal(ours.row_start[:rows], theirs.row_start) and np.array_equal(ours.column, theirs.column)
    return same and np.array_equal(ours.coefficient, theirs.coefficient)
