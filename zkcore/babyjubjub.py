"""Baby Jubjub: the twisted Edwards curve over the scalar field of BN254 (ERC-2494).

a x^2 + y^2 = 1 + d x^2 y^2 with a = 168700, d = 168696, order 8 l with l prime of 251 bits; a is a square and d is not,
so that the addition law is complete (Bernstein, Birkner, Joye, Lange and Peters 2008, section 6). Points are affine
pairs ``(x, y)``; the identity is ``(0, 1)``. About 125-bit security. Nothing here is constant-time.
"""

from hashlib import sha256

from zkcore.bn254 import R
from zkcore.errors import Malformed, NotOnCurve, OutOfRange

Point = tuple[int, int]

A = 168700
D = 168696
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


def multiply(point: Point, scalar: int) -> Point:
    """``scalar`` times a point of the curve; a negative scalar multiplies the inverse."""
    if scalar < 0:
        return multiply(negate(point), -scalar)
    total, power = (0, 1, 1), (*point, 1)
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power = _add(power, power)
        scalar >>= 1
    return _affine(*total)


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
            point = multiply((x if x % 2 == 0 else R - x, y), COFACTOR)
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
