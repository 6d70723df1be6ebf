"""Verification of one proof under a key that will not be used again, as one kernel on plain memory.

The key is not prepared: its points are checked and the product of four pairings is computed,

    e(-A, B) e(alpha, beta) e(C, delta) e(L, gamma) = 1  with  L = ic[0] + sum of x[j] ic[j + 1]

(Groth 2016, section 3.2). :mod:`zkcore.groth16.once` keeps the kernel's machine code and calls it without Numba.
"""

from typing import Any

from numba import carray, types

from zkcore import fp12
from zkcore.curve import (
    add,
    affine,
    in_subgroup,
    is_neutral,
    load_affine,
    multiply,
    on_curve,
    projective,
    store_affine,
)
from zkcore.field import fp_load, fp_zero, to_montgomery
from zkcore.groth16.once import INVALID, OFF_CURVE, OUTSIDE, PAIRS, VALID
from zkcore.kernel import alone
from zkcore.number import store
from zkcore.pairing import LINES, final_exponentiation, miller
from zkcore.tower import fp2_zero, fp12_equal, fp12_one

_WORDS = types.CPointer(types.uint64)
SIGNATURE = (_WORDS, _WORDS, _WORDS, _WORDS, types.int64)


@alone
def verify_single(firsts_at: Any, seconds_at: Any, public_at: Any, work_at: Any, n_public: Any) -> Any:
    """What is the matter with the proof, plus 4 times the index of the point that is at fault.

    The memory is that of :func:`zkcore.groth16.once.verify_once`: affine points of G1 (a, alpha, c, room for L and the
    points of ``ic``) and of G2, the public inputs, all canonical, and room for :func:`zkcore.pairing.miller`. Points
    are counted in that order.
    """
    n_first = PAIRS + n_public + 1
    firsts, seconds = carray(firsts_at, (n_first, 8)), carray(seconds_at, (PAIRS, 16))
    for i in range(2 * n_first):
        store(firsts, i, to_montgomery(fp_load(firsts, i)))
    for i in range(4 * PAIRS):
        store(seconds, i, to_montgomery(fp_load(seconds, i)))
    for i in range(n_first):
        if i != PAIRS - 1 and not on_curve(load_affine(fp_zero(), firsts, i)):
            return OFF_CURVE + 4 * i
    for i in range(PAIRS):
        point = load_affine(fp2_zero(), seconds, i)
        if not on_curve(point):
            return OFF_CURVE + 4 * (n_first + i)
        if not in_subgroup(projective(point)):
            return OUTSIDE + 4 * (n_first + i)
    public = carray(public_at, (n_public, 4))
    total = projective(load_affine(fp_zero(), firsts, PAIRS))
    for j in range(n_public):
        total = add(total, multiply(projective(load_affine(fp_zero(), firsts, PAIRS + 1 + j)), public[j], 256))
    a = load_affine(fp_zero(), firsts, 0)
    store_affine(firsts, 0, (a[0], -a[1]))
    store_affine(firsts, PAIRS - 1, affine(total))
    count = PAIRS - 1 if is_neutral(total) else PAIRS
    lines, points = carray(work_at, (0, LINES, 2, 2, 4)), carray(work_at, (0, 8))
    f = miller(fp_zero(), firsts[:count], seconds[:count], carray(work_at, (PAIRS, 24)), lines, points)
    return VALID if fp12_equal(fp12.parts(final_exponentiation(f)), fp12_one(fp2_zero())) else INVALID
