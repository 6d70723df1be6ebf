"""Ethereum's precompiled contracts 6, 7 and 8 by EIP-196 and EIP-197.

Points are as :mod:`zkcore.formats.points` has them. Addition and multiplication read an input as if it were followed by
zeros without end, and ignore what is beyond their arguments; the pairing check takes exactly pairs. What the EIPs call
failure is a typed error here. Gas is not these functions' business.
"""

from zkcore.errors import WrongLength
from zkcore.formats.points import G1_BYTES, G2_BYTES, g1_from_bytes, g1_to_bytes, g2_from_bytes
from zkcore.groups import g1
from zkcore.pairing import pairing_product_is_one


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
