"""Transforms against evaluation by Horner's rule, and their laws."""

import secrets
from hashlib import sha256
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import ntt
from zkcore.bn254 import R
from zkcore.errors import WrongLength
from zkcore.field import decode, encode, fr, fr_load, store
from zkcore.field_lanes import LIMBS, RADIX
from zkcore.ntt import NON_RESIDUE, TWO_ADICITY, Domain, domain, domain_bytes, root_of_unity

elements = st.one_of(st.sampled_from([0, 1, R - 1]), st.integers(0, R - 1))


def evaluate(coefficients: list[int], x: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % R
    return value


def test_roots_of_unity() -> None:
    assert (TWO_ADICITY, NON_RESIDUE) == (28, 5)
    assert root_of_unity(28) == 19103219067921713944291392827692070036145651957329286315305642004821462161904
    for bits in range(1, 29):
        assert pow(root_of_unity(bits), 1 << (bits - 1), R) == R - 1
    for bits in (-1, 29):
        with pytest.raises(WrongLength):
            root_of_unity(bits)


@pytest.mark.parametrize("bits", range(7))
def test_the_definition(bits: int) -> None:
    roots = Domain(bits)
    coefficients = [secrets.randbelow(R) for _ in range(1 << bits)]
    values = [evaluate(coefficients, pow(roots.root, i, R)) for i in range(1 << bits)]
    shift = root_of_unity(bits + 1)
    on_coset = [evaluate(coefficients, shift * pow(roots.root, i, R)) for i in range(1 << bits)]
    rows = encode(fr, coefficients)
    roots.evaluate(rows)
    assert decode(fr, rows) == values
    moved = rows.copy()
    roots.shift_to_coset(moved)
    assert decode(fr, moved) == on_coset
    roots.interpolate(rows)
    assert decode(fr, rows) == coefficients


@given(st.lists(elements, min_size=8, max_size=8), st.lists(elements, min_size=8, max_size=8), elements)
@settings(deadline=None, max_examples=25)
def test_linear(left: list[int], right: list[int], factor: int) -> None:
    combined = encode(fr, [(a + factor * b) % R for a, b in zip(left, right, strict=True)])
    parts = encode(fr, left), encode(fr, right)
    for rows in (combined, *parts):
        domain(3).evaluate(rows)
    a, b = (decode(fr, rows) for rows in parts)
    assert decode(fr, combined) == [(x + factor * y) % R for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("bits", [13, 14, 15])
def test_sizes_beyond_a_block(bits: int) -> None:
    """There and back, and one value of the transform by Horner's rule."""
    roots = domain(bits)
    rows = np.frombuffer(bytearray(secrets.token_bytes(32 << bits)), np.uint64).reshape(-1, 4).copy()
    rows[:, 3] >>= np.uint64(3)
    coefficients, original = decode(fr, rows), rows.copy()
    roots.evaluate(rows)
    for index in (1, (1 << bits) - 3):
        assert decode(fr, rows[index]) == [evaluate(coefficients, pow(roots.root, index, R))]
    moved = rows.copy()
    roots.shift_to_coset(moved)
    point = root_of_unity(bits + 1) * pow(roots.root, 5, R)
    assert decode(fr, moved[5]) == [evaluate(coefficients, point)]
    roots.interpolate(rows)
    assert (rows == original).all()


@numba.njit
def horner(rows, at, out):
    x, value = fr_load(at, 0), fr_load(rows, rows.shape[0] - 1)
    for i in range(rows.shape[0] - 2, -1, -1):
        value = value * x + fr_load(rows, i)
    store(out, 0, value)


@pytest.mark.slow
def test_thirty_million_elements() -> None:
    """There and back, and values at random places by Horner's rule, on the domain and on its coset; 3.6 GB."""
    bits = 25
    roots, places = Domain(bits), [secrets.randbelow(1 << bits) for _ in range(3)]
    rows = np.frombuffer(bytearray(secrets.token_bytes(32 << bits)), np.uint64).reshape(-1, 4)
    rows[:, 3] >>= np.uint64(3)
    before, out = sha256(rows).digest(), np.empty((1, 4), np.uint64)

    def values(shift: int) -> list[int]:
        found = []
        for place in places:
            horner(rows, encode(fr, [shift * pow(roots.root, place, R) % R]), out)
            found += decode(fr, out)
        return found

    on_domain, on_coset = values(1), values(root_of_unity(bits + 1))
    roots.evaluate(rows)
    assert decode(fr, rows[places]) == on_domain
    roots.interpolate(rows)
    assert sha256(rows).digest() == before
    roots.evaluate(rows)
    roots.shift_to_coset(rows)
    assert decode(fr, rows[places]) == on_coset


def reversal(index: int, bits: int) -> int:
    return int(f"{index:0{bits}b}"[::-1], 2)


def sparse(path: Path, count: int) -> np.ndarray:
    """So many rows of zeros in a file without blocks: memory is taken for what is written alone."""
    return np.asarray(np.memmap(path, np.uint64, "w+", shape=(count, 4)))


@numba.njit
def decompose_one(rows, outer, fits, twiddles, wide):
    ntt._decompose_all(rows, outer, fits, twiddles, wide)


@numba.njit
def compose_one(rows, outer, fits, twiddles, wide):
    ntt._compose_all(rows, outer, fits, twiddles, wide)


@pytest.mark.parametrize("bits", [9, 20, 27, 28])
def test_blocks_of_the_largest_sizes(bits: int, tmp_path: Path) -> None:
    """Where the array has 8 GB, of which little is touched: the last four stages of a transform, and back.

    They turn a residue of the polynomial into values at 16 powers of the root, which all have the same 16th power;
    the exponents are the places in the array reversed.
    """
    size, block, root = 1 << bits, 16, root_of_unity(bits)
    rows, twiddles = sparse(tmp_path / "rows", size), sparse(tmp_path / "twiddles", size // 2)
    wide = sparse(tmp_path / "wide", size // block)

    def lay_powers(root: int, outer: int) -> None:
        for stage in (1, 2, 4, 8):
            for index in range(outer * stage, (outer + 1) * stage):
                twiddles[index] = encode(fr, [pow(root, reversal(index, bits - 1), R)])[0]
        wide[outer] = encode(fr, [pow(root, reversal(outer, bits - 1), R) * 2 ** (RADIX * LIMBS - 256) % R])[0]

    for outer in (0, 1, size // (2 * block), size // block - 1):
        places = range(block * outer, block * (outer + 1))
        points = [pow(root, reversal(place, bits), R) for place in places]
        assert len({pow(point, block, R) for point in points}) == 1
        coefficients = [secrets.randbelow(R) for _ in range(block)]
        rows[places.start : places.stop] = encode(fr, coefficients)
        lay_powers(root, outer)
        decompose_one(rows, outer, block, twiddles, wide)
        values = decode(fr, rows[places.start : places.stop])
        assert values == [evaluate(coefficients, point) for point in points]
        lay_powers(pow(root, -1, R), outer)
        compose_one(rows, outer, block, twiddles, wide)
        assert decode(fr, rows[places.start : places.stop]) == [block * value % R for value in coefficients]


@numba.njit
def first_wrong_reversal(bits):
    """The first index for which the running reversal is not that by exchange of halves, of their halves and so on."""
    size, j = 1 << bits, 0
    for i in range(size):
        if i > 0:
            j = ntt._next_reversed(j, size)
        k = np.uint64(i)
        for shift, mask in (
            (1, 0x5555555555555555),
            (2, 0x3333333333333333),
            (4, 0x0F0F0F0F0F0F0F0F),
            (8, 0x00FF00FF00FF00FF),
            (16, 0x0000FFFF0000FFFF),
            (32, 0x00000000FFFFFFFF),
        ):
            low = np.uint64(mask)
            k = (k >> np.uint64(shift)) & low | (k & low) << np.uint64(shift)
        if np.uint64(j) != k >> np.uint64(64 - bits):
            return i
    return -1


@pytest.mark.parametrize("bits", [1, 2, 13, 20, 28])
def test_reversed_indices(bits: int) -> None:
    assert first_wrong_reversal(bits) == -1


@pytest.mark.parametrize("kernel", [ntt.to_reversed, ntt.from_reversed])
@pytest.mark.parametrize("bits", [3, 13, 14, 28])
def test_every_stage_covers_the_array(kernel, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the array: halves from 2^(bits - 1) down to 1 or up, each with blocks from the first to the last."""
    size, seen = 1 << bits, {}

    def stage(rows, start, half, block, twiddles, wide):
        assert start == 2 * half * block and start + 2 * half <= size and 0 <= block < max(1, size // 2)
        seen.setdefault(half, set()).add(block)

    def ends(*bounds):
        every = range(*bounds)
        return every if len(every) < 3 else (every[0], every[len(every) // 2], every[-1])

    def every_stage(name):
        python = getattr(ntt, name).py_func
        return lambda *arguments: python(*arguments)

    monkeypatch.setattr(ntt, "range", ends, raising=False)
    for name in ("_decompose_all", "_compose_all"):
        monkeypatch.setattr(ntt, name, every_stage(name))
    for name in ("_decompose", "_compose"):
        monkeypatch.setattr(ntt, name, stage)
    kernel.py_func(np.broadcast_to(np.uint64(0), (size, 4)), None, None)
    halves = list(seen)
    assert halves == sorted(halves, reverse=kernel is ntt.to_reversed)
    assert sorted(halves) == [1 << k for k in range(bits)]
    for half, blocks in seen.items():
        assert {0, size // (2 * half) - 1} <= blocks


@pytest.mark.parametrize("bits", [0, 1, 5, 12])
def test_memory_is_known_beforehand(bits: int) -> None:
    roots = Domain(bits)
    roots.shift_to_coset(np.zeros((1 << bits, 4), np.uint64))
    held = sum(array.nbytes for array in (*roots._forward, *roots._backward, roots._scale, roots._coset))
    assert held <= domain_bytes(bits) <= held + 1024
    assert domain_bytes(28) < 20 << 30


def test_other_sizes_are_refused() -> None:
    for transform in (domain(3).evaluate, domain(3).interpolate, domain(3).shift_to_coset):
        with pytest.raises(WrongLength):
            transform(np.zeros((4, 4), np.uint64))
    with pytest.raises(WrongLength):
        Domain(29)
