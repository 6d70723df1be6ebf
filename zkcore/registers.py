"""How numbers lie in memory for the lanes of :mod:`zkcore.lanes`, known without importing Numba."""

import numpy as np
from numpy.typing import NDArray

LANES = 8
LIMB_BITS = 52
LIMB_MASK = (1 << LIMB_BITS) - 1
_ALIGNMENT = 64


def aligned(*shape: int) -> NDArray[np.uint64]:
    """Zeros ``uint64[shape]`` that begin at a multiple of 64 bytes, so that a register never straddles a cache line."""
    words = int(np.prod(shape))
    raw = np.zeros(words + _ALIGNMENT // 8, np.uint64)
    start = -raw.ctypes.data % _ALIGNMENT // 8
    return raw[start : start + words].reshape(shape)
