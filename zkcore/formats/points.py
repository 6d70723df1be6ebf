"""Points of G1 and G2 in bytes as EIP-197 writes them.

Integers take 32 bytes, big-endian; in Fp2 the imaginary part comes first; the neutral element is all zero. Whether a
point is on its curve is for whoever uses it to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkcore.bn254 import P
from zkcore.errors import OutOfRange, WrongLength

if TYPE_CHECKING:  # the curve's module compiles kernels; reading bytes does not need them
    from zkcore.curve import G1Point, G2Point

G1_BYTES, G2_BYTES = 64, 128


def g1_to_bytes(point: G1Point) -> bytes:
    """64 bytes, x before y."""
    return b"".join(number.to_bytes(32, "big") for number in point or (0, 0))


def g2_to_bytes(point: G2Point) -> bytes:
    """128 bytes, x1 x0 y1 y0 for x0 + x1 i and y0 + y1 i."""
    x, y = point or ((0, 0), (0, 0))
    return b"".join(number.to_bytes(32, "big") for number in (x[1], x[0], y[1], y[0]))


def _coordinates(data: bytes, count: int, part: str) -> list[int]:
    if len(data) != 32 * count:
        raise WrongLength(part, f"a point takes {32 * count} bytes")
    numbers = [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]
    if any(number >= P for number in numbers):
        raise OutOfRange(part, "a coordinate is not below the field's modulus")
    return numbers


def g1_from_bytes(data: bytes, part: str) -> G1Point:
    """The point of 64 bytes, its coordinates in range; whether it is on the curve is not looked at.

    Raises
    ------
    WrongLength
        There are not 64 bytes.
    OutOfRange
        A coordinate is not below the field's modulus.
    """
    x, y = _coordinates(data, 2, part)
    return (x, y) if x or y else None


def g2_from_bytes(data: bytes, part: str) -> G2Point:
    """The point of 128 bytes; as :func:`g1_from_bytes`."""
    x1, x0, y1, y0 = _coordinates(data, 4, part)
    return ((x0, x1), (y0, y1)) if x0 or x1 or y0 or y1 else None
