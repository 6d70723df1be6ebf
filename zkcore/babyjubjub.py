"""Baby Jubjub: the twisted Edwards curve over the scalar field of BN254 (ERC-2494).

a x^2 + y^2 = 1 + d x^2 y^2 with a = 168700, d = 168696, order 8 l with l prime of 251 bits; a is a square and d is not,
so that the addition law is complete (Bernstein, Birkner, Joye, Lange and Peters 2008, section 6). Points are affine
pairs ``(x, y)``; the identity is ``(0, 1)``. About 125-bit security.

:func:`multiply` and :class:`FixedBases` do the same work for every scalar, by fixed windows whose tables are read
whole, without a branch or an address that depends on it; the conversion of Python's integers before and after is not
constant-time, nor is anything else here.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from zkcore import edwards
from zkcore.bn254 import R
from zkcore.errors import Malformed, NotOnCurve, OutOfRange, WrongLength
from zkcore.field import decode, encode, fr, fr_load, fr_zero, inverse, invert_rows, store
from zkcore.kernel import kernel
from zkcore.limbs import to_limbs

Point = tuple[int, int]

A, D = edwards.A, edwards.D
COFACTOR = 8
ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041
"""Order l of the prime subgroup (ERC-2494)."""
GENERATOR: Point = (
    5299619240641551281634865583518297030282874472190772894086521144482721001553,
    16950150798460657717958625567821834550301663161624707787222815936182638968203,
)
"""Generator of the prime subgroup, called base point B in ERC-2494."""
IDENTITY: Point = (0, 1)


def on_curve(point: Point) -> bool:
    """Whether both coordinates are canonical field elements and satisfy the curve's equation."""
    x, y = point
    if not (0 <= x < R and 0 <= y < R):
        return False
    xx, yy = x * x % R, y * y % R
    return (A * xx + yy - 1 - D * xx * yy) % R == 0


def add(p: Point, q: Point) -> Point:
    """Sum of two points of the curve."""
    x1, y1, z1 = _add((*p, 1), (*q, 1))
    return _affine(x1, y1, z1)


def negate(point: Point) -> Point:
    """The inverse of a point."""
    return (-point[0] % R, point[1])


_WINDOWS = 256 // edwards.WINDOW
_ENTRIES = 1 << edwards.WINDOW


@kernel
def _multiply(base: Any, scalar: Any, table: Any, out: Any) -> Any:
    """``out`` becomes scalar times base, both affine; ``table`` is ``uint64[2^WINDOW, 3, 4]``."""
    point = fr_load(base, 0), fr_load(base, 1), edwards.identity()[2]
    total = edwards.identity()
    for k in range(table.shape[0]):
        edwards.store_projective(table, k, total)
        total = edwards.add(total, point)
    total = edwards.identity()
    for place in range(_WINDOWS - 1, -1, -1):
        for _ in range(edwards.WINDOW):
            total = edwards.double(total)
        total = edwards.add(total, edwards.pick_projective(table, edwards.window_of(scalar, place)))
    factor = inverse(total[2])
    store(out, 0, total[0] * factor)
    store(out, 1, total[1] * factor)


@kernel
def _fill(bases: Any, table: Any) -> Any:
    """Multiples 0 to 2^WINDOW - 1 of 2^(WINDOW k) times each base, affine: ``uint64[n WINDOWS 2^WINDOW, 2, 4]``."""
    z, scratch = np.empty((table.shape[0], 4), np.uint64), np.empty((table.shape[0], 4), np.uint64)
    i = 0
    for base in range(bases.shape[0]):
        point = fr_load(bases, 2 * base), fr_load(bases, 2 * base + 1), edwards.identity()[2]
        for _ in range(_WINDOWS):
            total = edwards.identity()
            for _ in range(_ENTRIES):
                store(table, 2 * i, total[0])
                store(table, 2 * i + 1, total[1])
                store(z, i, total[2])
                total = edwards.add(total, point)
                i += 1
            point = total
    invert_rows(fr_zero(), z, scratch)
    for k in range(table.shape[0]):
        x, y = edwards.load_affine(table, k)
        store(table, 2 * k, x * fr_load(z, k))
        store(table, 2 * k + 1, y * fr_load(z, k))


@kernel
def _combine(table: Any, scalars: Any, out: Any) -> Any:
    total = edwards.identity()
    for base in range(scalars.shape[0]):
        for place in range(_WINDOWS):
            digit = edwards.window_of(scalars[base], place)
            entry = edwards.pick_affine(table, (base * _WINDOWS + place) * _ENTRIES, digit)
            total = edwards.add_affine(total, entry)
    factor = inverse(total[2])
    store(out, 0, total[0] * factor)
    store(out, 1, total[1] * factor)


def _encode(points: Sequence[Point]) -> Any:
    return encode(fr, [coordinate for point in points for coordinate in point]).reshape(-1, 2, 4)


def multiply(point: Point, scalar: int) -> Point:
    """``scalar`` times a point of the curve, for any integer; the work is the same for every one."""
    out = np.empty((2, 4), np.uint64)
    table = np.empty((_ENTRIES, 3, 4), np.uint64)
    _multiply(_encode([point]), to_limbs([scalar % (COFACTOR * ORDER)])[0], table, out)
    x, y = decode(fr, out)
    return x, y


class FixedBases:
    """Points with tables of their multiples (64 KiB each), for sums of multiples of them whose scalars are secret."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._count = len(points)
        self._table = np.empty((len(points) * _WINDOWS * _ENTRIES, 2, 4), np.uint64)
        _fill(_encode(points), self._table)

    def combine(self, scalars: Sequence[int]) -> Point:
        """Sum of ``scalars[i]`` times point i, for any integers; the work is the same for all.

        Raises
        ------
        WrongLength
            If there is not one scalar for each point.
        """
        if len(scalars) != self._count:
            raise WrongLength("scalars", f"{len(scalars)} scalars for {self._count} points")
        out = np.empty((2, 4), np.uint64)
        _combine(self._table, to_limbs([scalar % (COFACTOR * ORDER) for scalar in scalars]), out)
        x, y = decode(fr, out)
        return x, y


def in_subgroup(point: Point) -> bool:
    """Whether a point of the curve lies in the subgroup of prime order."""
    return multiply(point, ORDER) == IDENTITY


def to_bytes(point: Point) -> bytes:
    """x then y, 32 bytes each, big-endian."""
    return point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def from_bytes(data: bytes, part: str = "point") -> Point:
    """Read what :func:`to_bytes` wrote.

    Raises
    ------
    Malformed
        If there are not 64 bytes.
    OutOfRange
        If a coordinate is not below the modulus.
    NotOnCurve
        If the point is not on the curve. The subgroup is not checked; see :func:`in_subgroup`.
    """
    if len(data) != 64:
        raise Malformed(part, f"a point is 64 bytes, not {len(data)}")
    point = (int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big"))
    if max(point) >= R:
        raise OutOfRange(part, "a coordinate is not below the field's modulus")
    if not on_curve(point):
        raise NotOnCurve(part, "the point does not satisfy the equation of Baby Jubjub")
    return point


def hash_to_curve(message: bytes) -> Point:
    """A generator of the prime subgroup whose discrete logarithms nobody knows.

    Try and increment: y = SHA-256(domain, message, counter) mod R until the equation has a solution; of the two the
    even x is taken, multiplied by the cofactor, and the identity is passed over. For fixed public inputs only: the time
    tells the number of tries.
    """
    counter = 0
    while True:
        digest = sha256(b"zkshare Baby Jubjub generator v1\x00" + message + counter.to_bytes(4, "big")).digest()
        y = int.from_bytes(digest, "big") % R
        yy = y * y % R
        x = _square_root((1 - yy) * pow(A - D * yy, -1, R) % R)
        if x is not None:
            point = x if x % 2 == 0 else R - x, y
            for _ in range(COFACTOR.bit_length() - 1):
                point = add(point, point)
            if point != IDENTITY:
                return point
        counter += 1


def _add(p: tuple[int, int, int], q: tuple[int, int, int]) -> tuple[int, int, int]:
    """Projective unified addition, "add-2008-bbjlp" (Bernstein et al. 2008, section 6)."""
    x1, y1, z1 = p
    x2, y2, z2 = q
    a = z1 * z2 % R
    b = a * a % R
    c, d = x1 * x2 % R, y1 * y2 % R
    e = D * c * d % R
    f, g = b - e, b + e
    x3 = a * f * ((x1 + y1) * (x2 + y2) - c - d) % R
    y3 = a * g * (d - A * c) % R
    return x3, y3, f * g % R


def _affine(x: int, y: int, z: int) -> Point:
    inverse = pow(z, -1, R)
    return x * inverse % R, y * inverse % R


def _square_root(value: int) -> int | None:
    """A square root modulo R, by Tonelli and Shanks (R - 1 = 2^28 times an odd number); None if there is none."""
    if pow(value, (R - 1) // 2, R) not in (0, 1):
        return None
    odd, twos = R - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    non_residue = next(n for n in range(2, R) if pow(n, (R - 1) // 2, R) == R - 1)
    c, root, t = pow(non_residue, odd, R), pow(value, (odd + 1) // 2, R), pow(value, odd, R)
    while t > 1:
        order, square = 0, t
        while square != 1:
            square, order = square * square % R, order + 1
        factor = pow(c, 1 << (twos - order - 1), R)
        root, c, twos = root * factor % R, factor * factor % R, order
        t = t * c % R
    return root
