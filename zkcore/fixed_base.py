"""Sums of known points times public scalars: for every point a table of its multiples, then additions only.

The table of a point holds d 64^i times it for i < 43 and d = 1 to 32; a scalar below 2^255 is written in digits from
-31 to 32, so that a sum costs at most 43 mixed additions a point. Digits that are zero are skipped, so this is for
public scalars only.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.curve import add, add_affine, double, load_affine, normalise, projective, store_projective
from zkcore.field import fp_zero
from zkcore.kernel import kernel, merged

WIDTH = 6
WINDOWS = -(-256 // WIDTH)
MULTIPLES = 1 << WIDTH - 1


@kernel
def _fill(rows: Any, index: Any, work: Any, table: Any) -> Any:
    base = projective(load_affine(fp_zero(), rows, index))
    for window in range(WINDOWS):
        multiple = base
        for i in range(MULTIPLES):
            store_projective(work, window * MULTIPLES + i, multiple)
            multiple = add(multiple, base)
        for _ in range(WIDTH):
            base = double(base)
    normalise(fp_zero(), work, table)


def fixed_base_tables(rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Tables ``uint64[n, WINDOWS, MULTIPLES, 2, 4]`` of affine points of G1 ``uint64[n, 2, 4]``, Montgomery form."""
    tables = np.empty((len(rows), WINDOWS, MULTIPLES, 2, 4), dtype=np.uint64)
    work = np.empty((WINDOWS * MULTIPLES, 3, 4), dtype=np.uint64)
    for index, table in enumerate(tables):
        _fill(rows, index, work, table.reshape(-1, 2, 4))
    return tables


@merged
def add_fixed_base(total: Any, tables: Any, scalars: Any) -> Any:
    """``total`` plus the sum of the tables' points times the rows of ``scalars``, canonical ``uint64[n, 4]``."""
    for j in range(scalars.shape[0]):
        carry = np.int64(0)
        for window in range(WINDOWS):
            place, shift = (window * WIDTH) >> 6, np.uint64((window * WIDTH) & 63)
            word = scalars[j, place] >> shift
            if shift > np.uint64(64 - WIDTH) and place < 3:
                word |= scalars[j, place + 1] << (np.uint64(64) - shift)
            digit = np.int64(word & np.uint64(2 * MULTIPLES - 1)) + carry
            carry = np.int64(digit > MULTIPLES)
            digit -= carry * 2 * MULTIPLES
            if digit != 0:
                x, y = load_affine(total[0], tables, (j * WINDOWS + window) * MULTIPLES + abs(digit) - 1)
                total = add_affine(total, (x, y if digit > 0 else -y))
    return total
