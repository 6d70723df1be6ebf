"""Points as Ethereum writes them, and the precompiled contracts 6, 7 and 8 on them, by EIP-196 and EIP-197.

Integers take 32 bytes, big-endian; in Fp2 the imaginary part comes first; the neutral element is all zero. Addition and
multiplication read an input as if it were followed by zeros without end, and ignore what is beyond their arguments;
the pairing check takes exactly pairs. What the EIPs call failure is a typed error here. Gas is not these functions'
business.
"""

from zkcore.bn254 import P
from zkcore.curve import G1Point, G2Point
from zkcore.errors import OutOfRange, WrongLength
from zkcore.groups import g1
from zkcore.pairing import pairing_product_is_one

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


def _padded(data: bytes, length: int) -> bytes:
    return data[:length].ljust(length, b"\0")


def ecadd(data: bytes) -> bytes:
    """Contract 6: 64 bytes, the sum of the two points of G1 that the input begins with.

    Raises
    ------
    OutOfRange, NotOnCurve
        A coordinate is not below the modulus, or a point not on the curve.
    """
    padded = _padded(data, 2 * G1_BYTES)
    p, q = g1_from_bytes(padded[:64], "input[0:64]"), g1_from_bytes(padded[64:], "input[64:128]")
    return g1_to_bytes(g1.add(p, q))


def ecmul(data: bytes) -> bytes:
    """Contract 7: 64 bytes, the point of G1 that the input begins with times the 256-bit number after it.

    Raises
    ------
    OutOfRange, NotOnCurve
        A coordinate is not below the modulus, or the point not on the curve.
    """
    padded = _padded(data, G1_BYTES + 32)
    return g1_to_bytes(g1.multiply(g1_from_bytes(padded[:64], "input[0:64]"), int.from_bytes(padded[64:], "big")))


def ecpairing(data: bytes) -> bytes:
    """Contract 8: 32 bytes, the number 1 if the product of the pairings of the input's pairs is 1, else 0.

    Raises
    ------
    WrongLength
        The input does not consist of whole pairs of 192 bytes.
    OutOfRange, NotOnCurve, NotInSubgroup
        A coordinate is not below the modulus, a point not on its curve, or one of G2 outside the subgroup.
    """
    size = G1_BYTES + G2_BYTES
    if len(data) % size:
        raise WrongLength("input", f"not a multiple of {size} bytes")
    starts = range(0, len(data), size)
    firsts = [g1_from_bytes(data[at : at + 64], f"input[{at}:{at + 64}]") for at in starts]
    seconds = [g2_from_bytes(data[at + 64 : at + size], f"input[{at + 64}:{at + size}]") for at in starts]
    return int(pairing_product_is_one(firsts, seconds)).to_bytes(32, "big")
