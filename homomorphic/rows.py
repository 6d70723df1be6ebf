"""Integers of equal width one after the other: big-endian rows of bytes, ``uint8[n, width]``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]


def to_rows(values: Sequence[int], width: int) -> Bytes:
    """Big-endian rows ``uint8[n, width]`` of integers in ``[0, 2^(8 width))``."""
    return np.frombuffer(b"".join([int(value).to_bytes(width, "big") for value in values]), np.uint8).reshape(-1, width)


def from_rows(rows: Bytes) -> list[int]:
    """Integers of big-endian rows."""
    data, width = np.ascontiguousarray(rows).tobytes(), rows.shape[1]
    return [int.from_bytes(data[at : at + width], "big") for at in range(0, len(data), width)]


def words_of(rows: Bytes) -> Words:
    """Rows as words in the same order in memory, padded in front to whole words; read-only."""
    missing = -rows.shape[1] % 8
    if missing:
        rows = np.pad(rows, ((0, 0), (missing, 0)))
    rows = np.ascontiguousarray(rows)
    if rows.ctypes.data % 8:
        rows = rows.copy()
    words = rows.view(np.uint64)
    words.flags.writeable = False  # whether they were or not: kernels are compiled for one type
    return words


def exponent_words(rows: Bytes) -> Words:
    """Exponents with the low word first."""
    return np.ascontiguousarray(words_of(rows).byteswap()[:, ::-1])
