"""The first key of a circuit, from powers of tau: where a ceremony's second phase begins, as snarkjs 0.7 begins it.

Every point is a sum of the file's points with Lagrange's polynomials, weighted by the constraint system's coefficients
(Groth 2016, section 3.2, with gamma = delta = 1; layout: :mod:`zkcore.groth16.proving_key`). Unlike snarkjs this also
checks, by random sums, that the file's points are powers of one tau and that its sums are theirs. All is public.
"""

import hashlib
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R
from zkcore.curve import G1Point, G2Point
from zkcore.errors import PointAtInfinity, Refused, WrongLength
from zkcore.field import enter_rows, fp, fr, leave_rows
from zkcore.formats.points import g1_to_bytes, g2_to_bytes
from zkcore.formats.ptau import ALPHA_TAU_G1, BETA_TAU_G1, TAU_G1, TAU_G2, PowersOfTau
from zkcore.groth16.ceremony_kernels import combine_g1, combine_g2
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
_HASHED_BLOCK = 1 << 14
_ENTRIES_A_TASK = 4096


class WrongPowers(Refused):
    """The points of a powers-of-tau file do not belong together."""


def blake(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=HASH_BYTES).digest()


def _uncompressed(rows: Rows) -> bytes:
    """Affine rows in Montgomery form, of either group, as :mod:`zkcore.formats.points` writes points."""
    canonical = np.array(rows, np.uint64, order="C")
    leave_rows(fp, canonical)
    data = np.ascontiguousarray(canonical.reshape(len(rows), 2, -1)).astype("<u8").view(np.uint8)[:, :, ::-1].copy()
    return data.tobytes()


# Sums of points.


def weighted_sum(group: Group[Any], points: Rows, scalars: Rows, executor: Any) -> Any:
    total = MultiScalarSum(group, points, scalars)
    run(total.tasks(), executor)
    return group.decode(total.result()[np.newaxis])[0]


def random_weights(count: int) -> Rows:
    """Numbers of 128 bits, ``uint64[count, 4]``."""
    rows = np.zeros((count, 4), np.uint64)
    rows[:, :2] = np.frombuffer(secrets.token_bytes(16 * count), np.uint64).reshape(count, 2)
    return rows


def same_ratio(first: G1Point, second: G1Point, g2_first: G2Point, g2_second: G2Point) -> bool:
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
    if not same_ratio(first1[0], first1[1], first2[0], first2[1]):
        raise WrongPowers("ptau section 3", "tau in G2 is not tau in G1")
    for section, rows in ((2, tau1), (4, alpha), (5, beta)):
        weights = random_weights(len(rows) - 1)
        if len(weights) and not same_ratio(
            weighted_sum(g1, rows[:-1], weights, executor),
            weighted_sum(g1, rows[1:], weights, executor),
            first2[0],
            first2[1],
        ):
            raise WrongPowers(f"ptau section {section}", "the points are not multiplied by tau each time")
    weights = random_weights(size - 1)
    if len(weights) and not same_ratio(
        first1[0],
        first1[1],
        weighted_sum(g2, tau2[:-1], weights, executor),
        weighted_sum(g2, tau2[1:], weights, executor),
    ):
        raise WrongPowers("ptau section 3", "the points are not multiplied by tau each time")
    if not same_ratio(G1_GENERATOR, g1.decode(beta[:1])[0], G2_GENERATOR, g2.decode(ptau.beta_g2())[0]):
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
    weights = random_weights(len(sums))
    coefficients = weights.copy()
    enter_rows(fr, coefficients)
    domain(len(sums).bit_length() - 1).interpolate(coefficients)
    leave_rows(fr, coefficients)
    if weighted_sum(group, sums, weights, executor) != weighted_sum(
        group, powers, coefficients[: len(powers)], executor
    ):
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


def first_key(
    r1cs: R1CS, ptau: PowersOfTau, threads: int = 1, progress: Progress | None = None
) -> tuple[ProvingKey, bytes]:
    """The first key of a constraint system, with delta = 1, and the circuit's digest (64 bytes).

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
    made = key, _circuit_digest(key, ptau)
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
    return blake(*parts)


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
