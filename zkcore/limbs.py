"""Integers as rows of 64-bit limbs: the form in which whole columns of numbers enter and leave kernels."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import OutOfRange

LIMBS = 4
"""Limbs of 64 bits, least significant first, that a number below 2^256 takes."""


def to_limbs(values: Iterable[int], *, part: str = "values") -> NDArray[np.uint64]:
    """Rows ``uint64[n, 4]`` of the integers, least significant limb first.

    Raises
    ------
    OutOfRange
        An integer is negative or not below 2^256.
    """
    try:
        joined = b"".join([value.to_bytes(8 * LIMBS, "little") for value in values])
    except OverflowError:
        raise OutOfRange(part, "an integer is negative or not below 2^256") from None
    return np.frombuffer(bytearray(joined), dtype="<u8").reshape(-1, LIMBS)


def limbs_of_bytes(data: bytes) -> NDArray[np.uint64]:
    """Rows ``uint64[n, 4]`` of integers of 32 bytes each, big-endian, laid one after the other."""
    return np.frombuffer(data, dtype=">u8").reshape(-1, LIMBS)[:, ::-1].astype("<u8")


def from_limbs(rows: NDArray[np.uint64]) -> list[int]:
    """Integers of ``uint64[..., 4]``, in order."""
    joined = np.ascontiguousarray(rows, dtype="<u8").tobytes()
    return [int.from_bytes(joined[at : at + 8 * LIMBS], "little") for at in range(0, len(joined), 8 * LIMBS)]


def below(rows: NDArray[np.uint64], bound: int) -> bool:
    """Whether every number of ``uint64[n, 4]`` is less than ``bound``, which is below 2^256."""
    limbs = to_limbs([bound])[0]
    if bool((rows[:, LIMBS - 1] < limbs[LIMBS - 1]).all()):  # so it is for nearly every column of honest numbers
        return True
    less = np.zeros(len(rows), np.bool_)
    for k in range(LIMBS):  # from the least significant on, a higher limb that differs decides
        less = (rows[:, k] < limbs[k]) | ((rows[:, k] == limbs[k]) & less)
    return bool(less.all())
