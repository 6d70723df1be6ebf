"""The second phase of a ceremony: keys for one circuit whose trapdoor nobody knows, as snarkjs 0.7 makes them.

From powers of tau that many people made (the first phase) come the first keys of a circuit, with delta = 1. Each
contributor multiplies delta by a secret number and forgets it (Bowe, Gabizon and Miers 2017, "Scalable multi-party
computation for zk-SNARK parameters in the random beacon model"); the keys are sound if one of them did. A last
contribution from a public random beacon keeps the last person from choosing the outcome. Anyone can check the whole
chain from the constraint system and the powers of tau: :func:`verify`.

Unlike snarkjs, :func:`begin` also checks that the file's points are powers of one tau and that its sums with Lagrange's
polynomials are theirs; who contributed to them is the first phase's own question.

A contributor's number comes from :mod:`secrets`, mixed with what the contributor types; it is overwritten where NumPy
holds it, while Python's integers stay in memory until they are collected. See :mod:`zkcore.groth16.ceremony_kernels`
on timing.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R
from zkcore.cpu import BACKEND
from zkcore.curve import G1Point, G2Point
from zkcore.errors import OutOfRange, PointAtInfinity, Refused, WrongLength
from zkcore.field import enter_rows, fp, fr, leave_rows
from zkcore.field_lanes import fp_lanes
from zkcore.formats.points import g1_to_bytes, g2_to_bytes
from zkcore.formats.ptau import ALPHA_TAU_G1, BETA_TAU_G1, TAU_G1, TAU_G2, PowersOfTau
from zkcore.groth16.ceremony_kernels import WINDOW, combine_g1, combine_g2, scale_g1
from zkcore.groth16.chacha import Stream
from zkcore.groth16.keys import VerifyingKey
from zkcore.groth16.proving_key import ProvingKey
from zkcore.groth16.trusted_setup import with_public_rows
from zkcore.groups import Group, g1, g2
from zkcore.limbs import from_limbs, to_limbs
from zkcore.msm import MultiScalarSum
from zkcore.ntt import domain
from zkcore.pairing import pairing_product_is_one
from zkcore.r1cs import R1CS, SparseMatrix
from zkcore.tasks import Progress, pool, run

Rows = NDArray[np.uint64]

HASH_BYTES = 64
LONGEST_NAME, LONGEST_BEACON = 255, 255
ITERATIONS = range(10, 41)
"""Of a beacon: the logarithm of how often its value is hashed; nobody could check more."""

_NUMBER = fp_lanes if BACKEND == "avx512ifma" else fp
_HASHED_BLOCK = 1 << 14
_POINTS_A_TASK = 2048
_ENTRIES_A_TASK = 4096


class WrongPowers(Refused):
    """The points of a powers-of-tau file do not belong together."""


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
        return _blake(self.encoded())


@dataclass(frozen=True)
class Contributions:
    """The circuit's digest (64 bytes, BLAKE2b over the first keys) and the contributions in order."""

    circuit_digest: bytes
    contributions: tuple[Contribution, ...] = ()

    def transcript(self, base: G1Point, product: G1Point) -> bytes:
        """The transcript of a contribution with these points behind all of these."""
        parts = [contribution.encoded() for contribution in self.contributions]
        return _blake(self.circuit_digest, *parts, g1_to_bytes(base), g1_to_bytes(product))

    def before(self, index: int) -> "Contributions":
        """Those before number ``index``."""
        return replace(self, contributions=self.contributions[:index])


def _blake(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=HASH_BYTES).digest()


def _uncompressed(rows: Rows) -> bytes:
    """Affine rows in Montgomery form, of either group, as :mod:`zkcore.formats.points` writes points."""
    canonical = np.array(rows, np.uint64, order="C")
    leave_rows(fp, canonical)
    data = np.ascontiguousarray(canonical.reshape(len(rows), 2, -1)).astype("<u8").view(np.uint8)[:, :, ::-1].copy()
    return data.tobytes()


# Sums of points.


def _sum(group: Group[Any], points: Rows, scalars: Rows, executor: Any) -> Any:
    total = MultiScalarSum(group, points, scalars)
    run(total.tasks(), executor)
    return group.decode(total.result()[np.newaxis])[0]


def _random(count: int) -> Rows:
    """Numbers of 128 bits, ``uint64[count, 4]``."""
    rows = np.zeros((count, 4), np.uint64)
    rows[:, :2] = np.frombuffer(secrets.token_bytes(16 * count), np.uint64).reshape(count, 2)
    return rows


def _same_ratio(first: G1Point, second: G1Point, g2_first: G2Point, g2_second: G2Point) -> bool:
    """Whether second / first = g2_second / g2_first, none of them neutral."""
    if None in (first, second, g2_first, g2_second):
        return False
    return pairing_product_is_one([first, g1.negate(second)], [g2_second, g2_first])


def _check_powers(ptau: PowersOfTau, bits: int, executor: Any) -> None:
    """Refuse points that are no powers of one tau, up to what 2^bits rows need; all by random sums."""
    size = 1 << bits
    tau1 = ptau.powers(TAU_G1, min(2 * size, (2 << ptau.power) - 1))
    tau2, alpha, beta = (ptau.powers(section, size) for section in (TAU_G2, ALPHA_TAU_G1, BETA_TAU_G1))
    first1, first2 = g1.decode(tau1[:2]), g2.decode(ptau.powers(TAU_G2, 2))
    if first1[0] != G1_GENERATOR or first2[0] != G2_GENERATOR:
        raise WrongPowers("ptau section 2", "the first power is not the generator")
    if not _same_ratio(first1[0], first1[1], first2[0], first2[1]):
        raise WrongPowers("ptau section 3", "tau in G2 is not tau in G1")
    for section, rows in ((2, tau1), (4, alpha), (5, beta)):
        weights = _random(len(rows) - 1)
        if len(weights) and not _same_ratio(
            _sum(g1, rows[:-1], weights, executor), _sum(g1, rows[1:], weights, executor), first2[0], first2[1]
        ):
            raise WrongPowers(f"ptau section {section}", "the points are not multiplied by tau each time")
    weights = _random(size - 1)
    if len(weights) and not _same_ratio(
        first1[0], first1[1], _sum(g2, tau2[:-1], weights, executor), _sum(g2, tau2[1:], weights, executor)
    ):
        raise WrongPowers("ptau section 3", "the points are not multiplied by tau each time")
    if not _same_ratio(G1_GENERATOR, g1.decode(beta[:1])[0], G2_GENERATOR, g2.decode(ptau.beta_g2())[0]):
        raise WrongPowers("ptau section 6", "beta in G2 is not beta in G1")
    _check_lagrange(g1, tau1, ptau.lagrange(TAU_G1, bits + 1), 12, executor)
    for group, rows, section in (
        (g1, tau1, TAU_G1),
        (g2, tau2, TAU_G2),
        (g1, alpha, ALPHA_TAU_G1),
        (g1, beta, BETA_TAU_G1),
    ):
        _check_lagrange(group, rows[:size], ptau.lagrange(section, bits), section + 10, executor)


def _check_lagrange(group: Group[Any], powers: Rows, sums: Rows, section: int, executor: Any) -> None:
    """Refuse sums that are not those of the powers with Lagrange's polynomials: for random weights w_i,

    sum of w_i L_i(tau) = sum of c_j tau^j, c the coefficients of the polynomial with the values w_i.
    """
    weights = _random(len(sums))
    coefficients = weights.copy()
    enter_rows(fr, coefficients)
    domain(len(sums).bit_length() - 1).interpolate(coefficients)
    leave_rows(fr, coefficients)
    if _sum(group, sums, weights, executor) != _sum(group, powers, coefficients[: len(powers)], executor):
        raise WrongPowers(f"ptau section {section}", "the sums with Lagrange's polynomials are not those of the powers")


# The first keys.


def _entries(matrices: Sequence[tuple[SparseMatrix, int]], n_wires: int) -> tuple[Any, ...]:
    """Entries of matrices by wire: starts, rows (each matrix's moved by its offset), sizes at most R / 2, and signs."""
    columns, rows, coefficients = [], [], []
    for matrix, offset in matrices:
        columns.append(matrix.column)
        rows.append(np.repeat(np.arange(len(matrix.row_start) - 1), np.diff(matrix.row_start)) + offset)
        coefficients.append(matrix.coefficient)
    column = np.concatenate(columns)
    order = np.argsort(column, kind="stable")
    starts = np.searchsorted(column[order], np.arange(n_wires + 1)).astype(np.int64)
    distinct, place = np.unique(np.concatenate(coefficients)[order], axis=0, return_inverse=True)
    numbers = from_limbs(distinct)
    signs = np.array([2 * number > R for number in numbers], np.bool_)
    sizes = to_limbs([min(number, R - number) for number in numbers])
    place = place.reshape(-1)
    return starts, np.concatenate(rows)[order].astype(np.int64), sizes[place], signs[place]


def _combined(group: Group[Any], points: Rows, entries: tuple[Any, ...], executor: Any) -> Rows:
    """For every wire the sum of its entries' points; affine rows."""
    starts, *others = entries
    words = 4 * group.coordinates
    out = np.empty((len(starts) - 1, 3, words), np.uint64)
    flat = points.reshape(len(points), 2 * words)
    kernel = combine_g1 if group is g1 else combine_g2
    tasks, first = [], 0
    while first < len(out):
        last = int(np.searchsorted(starts, starts[first] + _ENTRIES_A_TASK, side="right"))
        last = min(max(last, first + 1), len(out))
        tasks.append(partial(kernel, flat, starts, *others, first, out[first:last]))
        first = last
    run(tasks, executor)
    return group.normalise(out.reshape((len(out), 3, 4) if group is g1 else (len(out), 3, 2, 4)))


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
    tell = progress or (lambda fraction: None)
    rows = r1cs.n_constraints + r1cs.n_public + 1
    bits, n_wires, n_public = (rows - 1).bit_length(), r1cs.n_wires, r1cs.n_public
    if bits > ptau.power:
        raise WrongLength("ptau", f"it reaches 2^{ptau.power} rows, and the circuit has {rows}: take a larger file")
    a = with_public_rows(r1cs.a, n_public)
    size = 1 << bits
    with pool(threads) as executor:
        _check_powers(ptau, bits, executor)
        tell(0.3)
        tau1, tau2, alpha, beta = (ptau.lagrange(s, bits) for s in (TAU_G1, TAU_G2, ALPHA_TAU_G1, BETA_TAU_G1))
        points_a = _combined(g1, tau1, _entries([(a, 0)], n_wires), executor)
        of_b = _entries([(r1cs.b, 0)], n_wires)
        points_b = _combined(g1, tau1, of_b, executor)
        tell(0.5)
        points_b2 = _combined(g2, tau2, of_b, executor)
        tell(0.8)
        linked = _entries([(a, 0), (r1cs.b, size), (r1cs.c, 2 * size)], n_wires)
        points_k = _combined(g1, np.concatenate([beta, alpha, tau1]), linked, executor)
    alpha1, beta1 = ptau.powers(ALPHA_TAU_G1, 1), ptau.powers(BETA_TAU_G1, 1)
    ic = g1.decode(points_k[: n_public + 1])
    for j, point in enumerate(ic):
        if point is None:
            raise PointAtInfinity(f"ic[{j}]", "the constraint system leaves a public input free")
    verifying_key = VerifyingKey(
        g1.decode(alpha1)[0], g2.decode(ptau.beta_g2())[0], G2_GENERATOR, G2_GENERATOR, tuple(ic)
    )
    key = ProvingKey(
        r1cs_digest=r1cs.digest(),
        n_public=n_public,
        n_wires=n_wires,
        domain_bits=bits,
        a=a,
        b=r1cs.b,
        verifying_key=verifying_key,
        constants=np.concatenate([beta1, g1.encode([G1_GENERATOR])]),
        points_a=points_a,
        points_b=points_b,
        points_b2=points_b2,
        points_c=points_k[n_public + 1 :],
        points_h=np.ascontiguousarray(ptau.lagrange(TAU_G1, bits + 1)[1::2]),
    )
    tell(0.9)
    made = key, Contributions(_circuit_digest(key, ptau))
    tell(1.0)
    return made


def _circuit_digest(key: ProvingKey, ptau: PowersOfTau) -> bytes:
    """BLAKE2b over the first keys, with tau^(i + n) - tau^i for i < n - 1 in the place of H's points.

    snarkjs reads those in blocks of 2^14 and therefore takes in i = n - 1 too where there are several blocks; a file of
    just enough powers has no such point, and what follows in the file is read for it.
    """
    size = 1 << key.domain_bits
    vk, beta1 = key.verifying_key, key.constants[:1]
    header = g1_to_bytes(vk.alpha) + _uncompressed(beta1) + g2_to_bytes(vk.beta)
    header += g2_to_bytes(vk.gamma) + g1_to_bytes(G1_GENERATOR) + g2_to_bytes(G2_GENERATOR)
    powers = ptau.powers(TAU_G1, min(2 * size, (2 << ptau.power) - 1))
    count = size if size > _HASHED_BLOCK and ptau.power > key.domain_bits else size - 1
    entries = (
        np.arange(0, 2 * count + 1, 2),
        np.stack([np.arange(size, size + count), np.arange(count)], axis=1).reshape(-1),
        to_limbs([1] * (2 * count)),
        np.tile(np.array([False, True]), count),
    )
    differences = _uncompressed(_combined(g1, powers, entries, None))
    if size > _HASHED_BLOCK and count < size:
        differences += _difference_to_no_point(ptau.behind_tau_g1, g1.decode(powers[size - 1 : size])[0])
    parts = [header, *_counted(g1.encode(vk.ic)), (size - 1).to_bytes(4, "big"), differences]
    for rows in (key.points_c, key.points_a, key.points_b, key.points_b2):
        parts += _counted(rows)
    return _blake(*parts)


def _counted(rows: Rows) -> tuple[bytes, bytes]:
    return len(rows).to_bytes(4, "big"), _uncompressed(rows)


def _difference_to_no_point(data: bytes, point: G1Point) -> bytes:
    """What snarkjs's field arithmetic makes of 64 bytes that are no point, minus a point.

    Its numbers have 256 bits and one subtraction of the modulus after each operation, which is exact for numbers below
    the modulus; these bytes need not be. Jacobian coordinates, sum of two affine points (Bernstein and Lange,
    "mmadd-2007-bl").
    """
    if point is None:
        raise WrongPowers("ptau section 2", "a power is the neutral element")
    full = 1 << 256

    def add(a: int, b: int) -> int:
        return (a + b - P) % full if a + b >= P else a + b

    def subtract(a: int, b: int) -> int:
        return (a - b) % full if a >= b else (a - b + P) % full

    def multiply(a: int, b: int) -> int:
        reduced = (a * b + a * b * -pow(P, -1, full) % full * P) >> 256
        return (reduced - P) % full if reduced >= P else reduced

    x1, y1 = (int.from_bytes(data[at : at + 32], "little") for at in (0, 32))
    x2, y2 = point[0] * full % P, -point[1] * full % P
    h, r = subtract(x2, x1), subtract(y2, y1)
    r = add(r, r)
    i = multiply(h, h)
    i = add(i, i)
    i = add(i, i)
    j, v = multiply(h, i), multiply(x1, i)
    x3 = subtract(subtract(multiply(r, r), j), add(v, v))
    y1_j = multiply(y1, j)
    y3 = subtract(multiply(r, subtract(v, x3)), add(y1_j, y1_j))
    z3 = add(h, h)
    inverse = pow(z3, -1, P) * full  # z3 is in Montgomery form, as x3 and y3
    return g1_to_bytes((x3 * inverse**2 * pow(full, -1, P) % P, y3 * inverse**3 * pow(full, -1, P) % P))


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
    if not _same_ratio(G1_GENERATOR, delta1, G2_GENERATOR, delta2):
        raise WrongCircuit("delta_2", "it is not delta in G2")
    with pool(threads) as executor:
        for name in ("points_c", "points_h"):
            ours, theirs = getattr(first, name), getattr(key, name)
            weights = _random(len(ours))
            before, after = (_sum(g1, rows, weights, executor) for rows in (ours, theirs))
            unchanged = before == after and (before is None or delta2 == G2_GENERATOR)
            if not unchanged and not _same_ratio(after, before, G2_GENERATOR, delta2):
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
        if not _same_ratio(each.base, each.product, challenge, each.product_g2):
            raise WrongContribution(f"{part}.product", "its points in G1 and G2 show different numbers")
        if not _same_ratio(delta, each.delta, challenge, each.product_g2):
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
