"""The product modulo n^2 of numbers as they lie in memory, big-endian, without a form of their own in between.

Beside the two reductions and three products of half length of a product in :mod:`homomorphic.pairs`, a number costs one
reduction to enter (:mod:`homomorphic.positive_pairs`). Rows are public: what is done depends on how many there are, and
ends at a number that lies out of range. The machine code is kept and called by :mod:`zkcore.machine_code`.
"""

from typing import Any

import numpy as np
from numba import carray, types

from homomorphic.positive_pairs import enter, multiply_by
from homomorphic.turning import limb_at, limbs_of_rows
from zkcore.kernel import alone, inner
from zkcore.lanes import (
    both,
    broadcast,
    carry,
    prefetch,
    sign,
    u64x8,
)
from zkcore.number import constant, load, store, zero_of
from zkcore.registers import LANES

_zero = zero_of(u64x8)
_one = constant(1)

LINE = 8
"""Words that come from memory together."""

_WORDS = types.CPointer(types.uint64)
SIGNATURE = (*[_WORDS] * 10, types.int64)


@inner
def _outside(raw: Any, bound: Any, limbs: Any) -> Any:
    """Negative in lanes whose number is 0, 1, or not below ``bound``."""
    borrow = rest = _zero()
    for j in range(limbs):
        x = load(_zero(), raw, j)
        borrow = carry(x - broadcast(bound, j) + borrow)
        rest = rest + (x if j else x - both(x, _one(_zero())))
    return (_zero() - _one(_zero()) - sign(borrow)) + sign(rest - _one(_zero()))


@alone
def multiply_rows(
    rows_at: Any,
    total_at: Any,
    sizes_at: Any,
    bound_at: Any,
    modulus_at: Any,
    over_at: Any,
    x_at: Any,
    t_at: Any,
    raw_at: Any,
    turned_at: Any,
    count: Any,
) -> Any:
    """Multiply ``total = (a0, A)``, ``uint64[2 limbs, 8]``, by rows, each into its lane and divided by R^2.

    The memory is that of :class:`homomorphic.row_total.LaneRowTotal`: rows ``uint64[count, width]`` of bytes as they
    lie, the total, what does not change (limbs and width, n^2, the modulus, R modulo n), and room. A lane without a row
    in the last eight is multiplied by 2. Gives 1, and leaves the total spoilt, where a row lies outside (1, n^2), else
    0.
    """
    sizes: Any = carray(sizes_at, (2,))
    limbs: Any = np.intp(sizes[0])
    width: Any = np.intp(sizes[1])
    words, total = carray(rows_at, (count, width)), carray(total_at, (2 * limbs, LANES))
    bound, modulus, over = carray(bound_at, (2 * limbs,)), carray(modulus_at, (limbs + 1,)), carray(over_at, (limbs,))
    x, t = carray(x_at, (2 * limbs, LANES)), carray(t_at, (4 * limbs, LANES))
    raw, turned = carray(raw_at, (2 * limbs, LANES)), carray(turned_at, (2 * limbs + 2, LANES))
    wrong = first = 0
    while first < count and not wrong:
        limbs_of_rows(turned, words, first, np.uint64(2))
        first += LANES
        for j in range(2 * limbs):
            store(raw, j, limb_at(turned, j))
            prefetch(words, first * width + LINE * j)
        store(x, 0, sign(_outside(raw, bound, 2 * limbs)))
        for lane in range(LANES):
            wrong |= x[0, lane]
        enter(x, raw, modulus, limbs)
        multiply_by(total, 0, x, t, modulus, over, limbs)
    return 1 if wrong else 0
