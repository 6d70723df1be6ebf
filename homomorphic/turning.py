"""Big-endian rows of bytes to limbs and back, eight rows at a time: inner steps of kernels that read or write rows."""

from typing import Any

import numpy as np

from zkcore.kernel import inner
from zkcore.lanes import limb_of_words, turn_back, turn_rows, u64x8, word_of_limbs
from zkcore.number import load, store, zero_of
from zkcore.registers import LANES, LIMB_BITS

_zero = zero_of(u64x8)


@inner
def swapped(x: Any) -> Any:
    """The eight bytes of a word in reverse order."""
    ones, twos = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
    x = ((x >> np.uint64(8)) & ones) | ((x & ones) << np.uint64(8))
    x = ((x >> np.uint64(16)) & twos) | ((x & twos) << np.uint64(16))
    return (x >> np.uint64(32)) | (x << np.uint64(32))


@inner
def limbs_of_rows(turned: Any, words: Any, first: Any, missing: Any) -> Any:
    """Eight rows of ``words`` from row ``first`` as registers of 64 bits, least significant first, a row to a lane.

    A lane without a row gets the number ``missing``. What lies in ``turned`` beyond a row's width stays.
    """
    count, width = words.shape
    quick = width >> 3 << 3 if first + LANES <= count else 0
    for at in range(0, quick, LANES):
        turn_rows(turned, at, words, first * width + width - LANES - at, width)
    for lane in range(LANES):
        if first + lane < count:
            for at in range(quick, width):
                turned[at, lane] = swapped(words[first + lane, width - 1 - at])
        else:
            for at in range(width):
                turned[at, lane] = np.uint64(0)
            turned[0, lane] = missing


@inner
def limb_at(turned: Any, j: Any) -> Any:
    """Limb j of the numbers in ``turned``."""
    bit = LIMB_BITS * j
    at = bit >> 6
    return limb_of_words(load(_zero(), turned, at), load(_zero(), turned, at + 1), np.uint64(bit & 63))


@inner
def _limb(blocks: Any, at: Any, j: Any, limbs: Any) -> Any:
    """Limb j of a block of so many limbs that begins with register ``at``, 0 beyond them."""
    return load(_zero(), blocks, at + j) if j < limbs else _zero()


@inner
def rows_of_limbs(words: Any, first: Any, blocks: Any, at: Any, limbs: Any, turned: Any) -> Any:
    """The inverse of :func:`limbs_of_rows` and :func:`limb_at`: limbs from register ``at`` to rows from ``first``.

    What does not fit into a row's width is left out. ``turned`` is room for ``width`` registers.
    """
    count, width = words.shape
    for k in range(width):
        j = 64 * k // LIMB_BITS
        low, middle = _limb(blocks, at, j, limbs), _limb(blocks, at, j + 1, limbs)
        store(turned, k, word_of_limbs(low, middle, _limb(blocks, at, j + 2, limbs), np.uint64(64 * k - LIMB_BITS * j)))
    quick = width >> 3 << 3 if first + LANES <= count else 0
    for k in range(0, quick, LANES):
        turn_back(words, first * width + width - LANES - k, width, turned, k)
    for lane in range(min(LANES, count - first)):
        for k in range(quick, width):
            words[first + lane, width - 1 - k] = swapped(turned[k, lane])
