"""Number-theoretic transforms over the scalar field of BN254: between coefficients and values at roots of unity.

Sizes are powers of two up to 2^28, the largest that divides R - 1. Arrays are ``uint64[n, 4]`` in Montgomery form and
are changed in place. The two inner transforms (Cooley and Tukey 1965, Gentleman and Sande 1966) each go between natural
and bit-reversed order, so that a transform followed by its inverse never permutes; twiddle factors are kept in
bit-reversed order, one for each block of a stage. A stage that exceeds the cache is followed, half by half, by all
stages that fit into it. Where the processor has lanes, all stages but those of the smallest three sizes run in them.

The root of unity of order 2^28 is the least quadratic non-residue to the power (R - 1) / 2^28, as in circom and
arkworks. No branch depends on the values.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import R
from zkcore.cpu import BACKEND
from zkcore.errors import WrongLength
from zkcore.field import encode, fr, fr_load, store
from zkcore.field_lanes import LIMBS, RADIX, WIDTH
from zkcore.kernel import inner, kernel
from zkcore.lane_rows import fr_lanes_zero, load_everywhere, load_rows, store_rows

Rows = NDArray[np.uint64]

TWO_ADICITY = (R - 1 & 1 - R).bit_length() - 1
"""The largest k such that 2^k divides R - 1: 28."""

NON_RESIDUE = next(x for x in range(2, R) if pow(x, (R - 1) // 2, R) == R - 1)
_LARGEST_ROOT = pow(NON_RESIDUE, (R - 1) >> TWO_ADICITY, R)
_CACHED_BITS = 13
"""Blocks of 2^13 elements, 256 KiB, are taken through all remaining stages before the next block is touched."""


def root_of_unity(bits: int) -> int:
    """A primitive root of unity of order ``2^bits``.

    Raises
    ------
    WrongLength
        If there is none: ``bits`` is not in 0 to 28.
    """
    if not 0 <= bits <= TWO_ADICITY:
        raise WrongLength("bits", f"the scalar field has roots of unity of order 2^0 to 2^{TWO_ADICITY}")
    return pow(_LARGEST_ROOT, 1 << (TWO_ADICITY - bits), R)


@kernel
def powers(base: Any, first: Any, out: Any) -> Any:
    """``out[i] = first base^i``; ``base`` and ``first`` are ``uint64[1, 4]``, all in Montgomery form."""
    factor, power = fr_load(base, 0), fr_load(first, 0)
    for i in range(out.shape[0]):
        store(out, i, power)
        power = power * factor


@inner
def _next_reversed(j: Any, size: Any) -> Any:
    """The reversal of i + 1 from that of i, for i + 1 below ``size``: the carry runs from the highest bit down."""
    carry = size >> 1
    while j & carry:
        j ^= carry
        carry >>= 1
    return j | carry


@kernel
def bit_reverse(rows: Any, bits: Any) -> Any:
    """Exchange elements whose indices are each other's reversal, in ``bits`` bits."""
    j = 0
    for i in range(rows.shape[0]):
        if i > 0:
            j = _next_reversed(j, rows.shape[0])
        if i < j:
            a, b = fr_load(rows, i), fr_load(rows, j)
            store(rows, i, b)
            store(rows, j, a)


@inner
def _decompose_one_by_one(rows: Any, start: Any, half: Any, block: Any, twiddles: Any, wide: Any) -> Any:
    """One stage, (a, b) to (a + t b, a - t b), on a block of two halves."""
    twiddle = fr_load(twiddles, block)
    for i in range(start, start + half):
        a, b = fr_load(rows, i), fr_load(rows, i + half) * twiddle
        store(rows, i, a + b)
        store(rows, i + half, a - b)


@inner
def _compose_one_by_one(rows: Any, start: Any, half: Any, block: Any, twiddles: Any, wide: Any) -> Any:
    """One stage, (a, b) to (a + b, t (a - b))."""
    twiddle = fr_load(twiddles, block)
    for i in range(start, start + half):
        a, b = fr_load(rows, i), fr_load(rows, i + half)
        store(rows, i, a + b)
        store(rows, i + half, (a - b) * twiddle)


@inner
def _decompose_in_lanes(rows: Any, start: Any, half: Any, block: Any, twiddles: Any, wide: Any) -> Any:
    if half < WIDTH:
        _decompose_one_by_one(rows, start, half, block, twiddles, wide)
    else:
        twiddle = load_everywhere(fr_lanes_zero(), wide, block)
        for i in range(start, start + half, WIDTH):
            a, b = load_rows(twiddle, rows, i), load_rows(twiddle, rows, i + half) * twiddle
            store_rows(rows, i, a + b)
            store_rows(rows, i + half, a - b)


@inner
def _compose_in_lanes(rows: Any, start: Any, half: Any, block: Any, twiddles: Any, wide: Any) -> Any:
    if half < WIDTH:
        _compose_one_by_one(rows, start, half, block, twiddles, wide)
    else:
        twiddle = load_everywhere(fr_lanes_zero(), wide, block)
        for i in range(start, start + half, WIDTH):
            a, b = load_rows(twiddle, rows, i), load_rows(twiddle, rows, i + half)
            store_rows(rows, i, a + b)
            store_rows(rows, i + half, (a - b) * twiddle)


_IN_LANES = BACKEND == "avx512ifma"
_decompose = _decompose_in_lanes if _IN_LANES else _decompose_one_by_one
_compose = _compose_in_lanes if _IN_LANES else _compose_one_by_one


@inner
def _decompose_all(rows: Any, outer: Any, fits: Any, twiddles: Any, wide: Any) -> Any:
    """All stages of block number ``outer`` of ``fits`` elements."""
    size = fits
    while size > 1:
        blocks = fits // size
        for block in range(outer * blocks, (outer + 1) * blocks):
            _decompose(rows, block * size, size >> 1, block, twiddles, wide)
        size >>= 1


@inner
def _compose_all(rows: Any, outer: Any, fits: Any, twiddles: Any, wide: Any) -> Any:
    """What undoes :func:`_decompose_all`, but for a factor of ``fits``, with the inverse powers."""
    size = 2
    while size <= fits:
        blocks = fits // size
        for block in range(outer * blocks, (outer + 1) * blocks):
            _compose(rows, block * size, size >> 1, block, twiddles, wide)
        size <<= 1


@kernel
def to_reversed(rows: Any, twiddles: Any, wide: Any) -> Any:
    """Transform from natural to bit-reversed order, with powers of the root in bit-reversed order.

    ``wide`` holds the first of them times 16, one for each block of 16 elements, for lanes.
    """
    size = rows.shape[0]
    fits = min(size, 1 << _CACHED_BITS)
    while size > fits:
        for block in range(rows.shape[0] // size):
            _decompose(rows, block * size, size >> 1, block, twiddles, wide)
        size >>= 1
    for outer in range(rows.shape[0] // fits):
        _decompose_all(rows, outer, fits, twiddles, wide)


@kernel
def from_reversed(rows: Any, twiddles: Any, wide: Any) -> Any:
    """Transform from bit-reversed to natural order, with powers of the root as :func:`to_reversed` takes them."""
    fits = min(rows.shape[0], 1 << _CACHED_BITS)
    for outer in range(rows.shape[0] // fits):
        _compose_all(rows, outer, fits, twiddles, wide)
    size = 2 * fits
    while size <= rows.shape[0]:
        for block in range(rows.shape[0] // size):
            _compose(rows, block * size, size >> 1, block, twiddles, wide)
        size <<= 1


@kernel
def multiply_rows(rows: Any, factors: Any) -> Any:
    """``rows[i] *= factors[i]``."""
    for i in range(rows.shape[0]):
        store(rows, i, fr_load(rows, i) * fr_load(factors, i))


@kernel
def scale_rows(rows: Any, factor: Any) -> Any:
    """``rows[i] *= factor`` for one factor ``uint64[1, 4]``."""
    scale = fr_load(factor, 0)
    for i in range(rows.shape[0]):
        store(rows, i, fr_load(rows, i) * scale)


def _element(value: int) -> Rows:
    return encode(fr, [value % R])


def domain_bytes(bits: int) -> int:
    """Bytes that a :class:`Domain` holds once all its transforms were used: 64 to 68 for each of its elements."""
    size = 1 << bits
    wide = size // (2 * WIDTH) if _IN_LANES else 0
    return 32 * (2 * (max(1, size // 2) + wide) + size) + 1024


class Domain:
    """The 2^bits-th roots of unity, with what is computed once for them; :func:`domain_bytes` says what it takes.

    Raises
    ------
    WrongLength
        If ``bits`` is not in 0 to 28.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.size = 1 << bits
        self.root = root_of_unity(bits)
        self._forward, self._backward = self._twiddles(self.root), self._twiddles(pow(self.root, -1, R))
        self._scale = _element(pow(self.size, -1, R))
        self._coset: Rows | None = None

    def _twiddles(self, root: int) -> tuple[Rows, Rows]:
        rows = np.empty((max(1, self.size // 2), 4), np.uint64)
        powers(_element(root), _element(1), rows)
        bit_reverse(rows, max(0, self.bits - 1))
        wide = rows[: self.size // (2 * WIDTH) if _IN_LANES else 0].copy()
        scale_rows(wide, _element(1 << (RADIX * LIMBS - 256)))
        return rows, wide

    def _checked(self, rows: Rows) -> Rows:
        if rows.shape != (self.size, 4):
            raise WrongLength("rows", f"the domain has {self.size} elements, the array has the shape {rows.shape}")
        return rows

    def evaluate(self, rows: Rows) -> None:
        """Values at root^0, root^1, ... of the polynomial with these coefficients."""
        to_reversed(self._checked(rows), *self._forward)
        bit_reverse(rows, self.bits)

    def interpolate(self, rows: Rows) -> None:
        """Coefficients of the polynomial with these values."""
        to_reversed(self._checked(rows), *self._backward)
        bit_reverse(rows, self.bits)
        scale_rows(rows, self._scale)

    def shift_to_coset(self, rows: Rows) -> None:
        """From a polynomial's values at root^i to those at g root^i, g the root of unity of order 2^(bits + 1).

        Raises
        ------
        WrongLength
            The array has another size than the domain, or the domain has 2^28 elements, and there is no such g.
        """
        if self._coset is None:
            shift, coset = root_of_unity(self.bits + 1), np.empty((self.size, 4), np.uint64)
            powers(_element(shift), self._scale, coset)
            bit_reverse(coset, self.bits)
            self._coset = coset
        to_reversed(self._checked(rows), *self._backward)
        multiply_rows(rows, self._coset)
        from_reversed(rows, *self._forward)


@cache
def domain(bits: int) -> Domain:
    """The domain of ``2^bits`` roots, made once."""
    return Domain(bits)
