"""Kernels of one thing alone: chains of products that wait for one another, streams that do not, a pairing's halves."""

from typing import Any

from homomorphic.pairs import multiply
from zkcore import fp12
from zkcore.cpu import BACKEND
from zkcore.field import fp_zero
from zkcore.field_lanes import WIDTH
from zkcore.kernel import kernel
from zkcore.lane_rows import fr_lanes_zero, load_rows, store_rows
from zkcore.number import load, store
from zkcore.pairing import final_exponentiation, load_fp12, miller, store_fp12
from zkcore.tower import fp2_zero, fp12_multiply

STREAMS = 8
LANE_STREAMS = 4


@kernel
def fp_chain(times: Any, rows: Any) -> Any:
    """Row 0 times row 1, so many times."""
    a, b = load(fp_zero(), rows, 0), load(fp_zero(), rows, 1)
    for _ in range(times):
        a = a * b
    store(rows, 0, a)


@kernel
def fp_stream(times: Any, rows: Any) -> Any:
    """Rows 0 to 7 times row 8, so many times."""
    like, b = fp_zero(), load(fp_zero(), rows, STREAMS)
    a0, a1, a2, a3 = load(like, rows, 0), load(like, rows, 1), load(like, rows, 2), load(like, rows, 3)
    a4, a5, a6, a7 = load(like, rows, 4), load(like, rows, 5), load(like, rows, 6), load(like, rows, 7)
    for _ in range(times):
        a0, a1, a2, a3 = a0 * b, a1 * b, a2 * b, a3 * b
        a4, a5, a6, a7 = a4 * b, a5 * b, a6 * b, a7 * b
    store(rows, 0, a0)
    store(rows, 1, a1)
    store(rows, 2, a2)
    store(rows, 3, a3)
    store(rows, 4, a4)
    store(rows, 5, a5)
    store(rows, 6, a6)
    store(rows, 7, a7)


@kernel
def fp12_chain(times: Any, rows: Any) -> Any:
    """Element 0 of Fp12 times element 1, so many times."""
    a, b = load_fp12(fp2_zero(), rows, 0), load_fp12(fp2_zero(), rows, 1)
    for _ in range(times):
        a = fp12_multiply(a, b)
    store_fp12(rows, 0, a)


@kernel
def miller_loop(firsts: Any, seconds: Any, work: Any, lines: Any, points: Any, out: Any) -> Any:
    """Miller's loop alone, see :func:`zkcore.pairing.miller`."""
    store_fp12(out, 0, fp12.parts(miller(fp_zero(), firsts, seconds, work, lines, points)))


@kernel
def exponentiation(rows: Any, out: Any) -> Any:
    """The final exponentiation alone."""
    store_fp12(out, 0, fp12.parts(final_exponentiation(fp12.fastest(load_fp12(fp2_zero(), rows, 0)))))


if BACKEND == "avx512ifma":

    @kernel
    def fr_lanes_stream(times: Any, rows: Any) -> Any:
        """Four blocks of eight rows times the fifth block, so many times, each lane by itself."""
        like = fr_lanes_zero()
        b = load_rows(like, rows, 4 * WIDTH)
        a0, a1 = load_rows(like, rows, 0), load_rows(like, rows, WIDTH)
        a2, a3 = load_rows(like, rows, 2 * WIDTH), load_rows(like, rows, 3 * WIDTH)
        for _ in range(times):
            a0, a1, a2, a3 = a0 * b, a1 * b, a2 * b, a3 * b
        store_rows(rows, 0, a0)
        store_rows(rows, WIDTH, a1)
        store_rows(rows, 2 * WIDTH, a2)
        store_rows(rows, 3 * WIDTH, a3)

    @kernel
    def pairs_chain(times: Any, x: Any, b: Any, t: Any, modulus: Any, limbs: Any) -> Any:
        """A block of eight numbers modulo N^2 times another, so many times, each lane by itself."""
        for _ in range(times):
            multiply(x, 0, x, 0, b, 0, t, modulus, limbs)
