"""Poseidon over the scalar field of BN254, equal to circomlib's for 1 to 16 inputs.

Grassi, Khovratovich, Rechberger, Roy and Schofnegger 2019 (ePrint 2019/458), with x^5, 8 full rounds, the numbers of
partial rounds for 128-bit security that circomlib uses, capacity 1 with initial value 0, and the first word of the
state as output. Round constants and matrix are derived by the paper's Grain generator (its appendix E), not pasted.

The hash is computed with the paper's sparse form of the partial rounds (its appendix B). Between the conversions of
Python's integers no branch or address depends on what is hashed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength
from zkcore.field import encode, fr, fr_load, fr_zero, from_montgomery, square, store, to_montgomery
from zkcore.kernel import inner, kernel
from zkcore.limbs import below, from_limbs, to_limbs

Rows = NDArray[np.uint64]

FULL_ROUNDS = 8
PARTIAL_ROUNDS = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)
"""Partial rounds for states of 2, 3, ... 17 words (ePrint 2019/458, section 5.5, rounded as circomlib does)."""
LARGEST_INPUT = len(PARTIAL_ROUNDS)
_FIELD_BITS = 254


@dataclass(frozen=True)
class Parameters:
    """One instance: a state of ``width`` words.

    Attributes
    ----------
    round_constants
        One row of ``width`` integers for each of the ``full_rounds + partial_rounds`` rounds.
    matrix
        The linear layer, ``width`` rows.
    """

    width: int
    full_rounds: int
    partial_rounds: int
    round_constants: tuple[tuple[int, ...], ...]
    matrix: tuple[tuple[int, ...], ...]


@inner
def _next_bit(register: Any) -> Any:
    """Step the generator, whose last 80 bits are in a ring that ends with the place of the oldest."""
    at = np.intp(register[80])
    bit = register[at] ^ register[(at + 13) % 80] ^ register[(at + 23) % 80]
    bit ^= register[(at + 38) % 80] ^ register[(at + 51) % 80] ^ register[(at + 62) % 80]
    register[at] = bit
    register[80] = (at + 1) % 80
    return bit


@kernel
def _skip(register: Any, count: Any) -> Any:
    for _ in range(count):
        _next_bit(register)


@kernel
def _grain(register: Any, bound: Any, out: Any) -> Any:
    """Draw numbers of 254 bits, ``uint64[n, 4]``, below the bound, ``uint64[4]``.

    The generator shrinks itself: of each two bits the first says whether the second counts.
    """
    for n in range(out.shape[0]):
        is_below = False
        while not is_below:
            out[n] = 0
            bits = 0
            while bits < _FIELD_BITS:
                counts, bit = _next_bit(register), _next_bit(register)
                if counts:
                    bits += 1
                    place = _FIELD_BITS - bits
                    out[n, place >> 6] |= np.uint64(bit) << np.uint64(place & 63)
            for k in range(3, -1, -1):
                if out[n, k] != bound[k]:
                    is_below = out[n, k] < bound[k]
                    break


class _Grain:
    """The self-shrinking Grain generator of an instance's constants (ePrint 2019/458, appendix E)."""

    def __init__(self, width: int, partial_rounds: int) -> None:
        seed = "".join(
            f"{value:0{length}b}"
            for value, length in (
                (1, 2),  # a prime field
                (0, 4),  # the S-box is a power
                (_FIELD_BITS, 12),
                (width, 12),
                (FULL_ROUNDS, 10),
                (partial_rounds, 10),
                ((1 << 30) - 1, 30),
            )
        )
        self._register = np.array([*map(int, seed), 0], np.uint8)
        _skip(self._register, 160)

    def numbers(self, count: int, bound: int) -> list[int]:
        """The next numbers of 254 bits that are below a bound."""
        out = np.empty((count, 4), np.uint64)
        _grain(self._register, to_limbs([bound])[0], out)
        return from_limbs(out)


@cache
def parameters(width: int) -> Parameters:
    """The instance with a state of ``width`` words, 2 to 17.

    Raises
    ------
    WrongLength
        If there is none of that width.
    """
    if not 2 <= width <= LARGEST_INPUT + 1:
        raise WrongLength("width", f"Poseidon is defined for 2 to {LARGEST_INPUT + 1} words")
    partial_rounds = PARTIAL_ROUNDS[width - 2]
    grain, rounds = _Grain(width, partial_rounds), FULL_ROUNDS + partial_rounds
    numbers = grain.numbers(rounds * width, R)
    constants = tuple(tuple(numbers[start : start + width]) for start in range(0, rounds * width, width))
    # A Cauchy matrix 1 / (x_i + y_j); its points must differ, or the generator goes on.
    points: list[int] = []
    while len(set(points)) < 2 * width:
        points = [value % R for value in grain.numbers(2 * width, 1 << _FIELD_BITS)]
    matrix = tuple(tuple(pow(x + y, -1, R) for y in points[width:]) for x in points[:width])
    return Parameters(width, FULL_ROUNDS, partial_rounds, constants, matrix)


def powers(width: int) -> int:
    """How many fifth powers the permutation of ``width`` words takes."""
    return FULL_ROUNDS * width + PARTIAL_ROUNDS[width - 2]


def _product(left: list[list[int]], right: list[list[int]]) -> list[list[int]]:
    columns = list(zip(*right, strict=True))
    return [[sum(a * b for a, b in zip(row, column, strict=True)) % R for column in columns] for row in left]


def _inverse(matrix: list[list[int]]) -> list[list[int]]:
    """Inverse by elimination (Gauss, Jordan) of a matrix without leading minors that are zero, as a Cauchy matrix."""
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        factor = pow(rows[i][i], -1, R)
        rows[i] = [value * factor % R for value in rows[i]]
        for k in range(size):
            if k != i:
                rows[k] = [(a - rows[k][i] * b) % R for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[size:] for row in rows]


@cache
def tables(width: int) -> tuple[Rows, Rows, Rows, Rows]:
    """Constants of the kernel in Montgomery form (ePrint 2019/458, appendix B).

    Full rounds' constants ``[8, width, 4]``; dense matrices ``[2, width, width, 4]``, the second for the round before
    the partial ones; partial rounds' constants ``[partial, 4]``; sparse matrices ``[partial, 2 width - 1, 4]``, each a
    first row, then the first column below it.

    A partial round adds (k, d), raises word 0 to the fifth power, and applies the matrix M = [[m, v], [w, N]]. The
    part d passes the power unchanged and joins the next round's constants as M (0, d). M is the product of the sparse
    [[m, v / N], [w, 1]] and diag(1, N); the latter exchanges with the power and joins the round before.
    """
    instance = parameters(width)
    half, partial = instance.full_rounds // 2, instance.partial_rounds
    matrix = [list(row) for row in instance.matrix]
    constants = [list(row) for row in instance.round_constants]
    scalars = []
    for index in range(half, half + partial):
        first, *rest = constants[index]
        scalars.append(first)
        moved = _product(matrix, [[value] for value in (0, *rest)])
        constants[index + 1] = [(a + b) % R for a, (b,) in zip(constants[index + 1], moved, strict=True)]
    corner, block = matrix[0][0], [row[1:] for row in matrix[1:]]
    inverse = _inverse(block)
    row, column = [matrix[0][1:]], [[line[0]] for line in matrix[1:]]
    power = [[int(i == j) for j in range(width - 1)] for i in range(width - 1)]
    sparse = []
    for _ in range(partial):  # from the last round to the first
        row = _product(row, inverse)
        sparse.append([corner, *row[0], *(value for (value,) in column)])
        column, power = _product(block, column), _product(block, power)
    before = [matrix[0], *_product(power, matrix[1:])]
    full = constants[:half] + constants[half + partial :]
    flat = [number for rows in (full, matrix, before) for line in rows for number in line]
    flat += scalars + [number for line in reversed(sparse) for number in line]
    encoded = encode(fr, flat)
    ends = np.cumsum([8 * width, 2 * width * width, partial])
    rounds, dense, added, tail = np.split(encoded, ends)
    return (
        np.ascontiguousarray(rounds),
        np.ascontiguousarray(dense),
        np.ascontiguousarray(added),
        np.ascontiguousarray(tail),
    )


@inner
def _power(x: Any, powers: Any, at: Any) -> Any:
    """x^5; x^2, x^4 and it are written to ``powers``."""
    second = square(x)
    fourth = square(second)
    fifth = fourth * x
    store(powers, at, second)
    store(powers, at + 1, fourth)
    store(powers, at + 2, fifth)
    return fifth


@inner
def _linear_layer(state: Any, powers: Any, at: Any, matrix: Any, entry: Any) -> Any:
    """The state becomes the matrix from ``entry`` on times the fifth powers of its words, written from ``at`` on."""
    width = state.shape[0]
    for i in range(width):
        total = fr_load(matrix, entry + i * width) * fr_load(powers, at + 2)
        for j in range(1, width):
            total = total + fr_load(matrix, entry + i * width + j) * fr_load(powers, at + 3 * j + 2)
        store(state, i, total)


@inner
def permute(state: Any, tables: Any, powers: Any, at: Any) -> Any:
    """Permute a state ``uint64[width, 4]`` and write down the powers on the way, all in Montgomery form.

    ``tables`` are those of :func:`tables`. Rows ``at`` and on of ``powers`` become x^2, x^4 and x^5 of every word that
    is raised, in the order of the rounds and of the words in a round: three times :func:`powers` rows.
    """
    full, dense, partial, sparse = tables
    width = state.shape[0]
    half = full.shape[0] // (2 * width)
    for round in range(2 * half):
        for i in range(width):
            _power(fr_load(state, i) + fr_load(full, round * width + i), powers, at + 3 * i)
        _linear_layer(state, powers, at, dense, width * width if round == half - 1 else 0)
        at += 3 * width
        if round == half - 1:
            for place in range(partial.shape[0]):
                first = _power(fr_load(state, 0) + fr_load(partial, place), powers, at)
                at += 3
                entry = place * (2 * width - 1)
                total = fr_load(sparse, entry) * first
                for j in range(1, width):
                    word = fr_load(state, j)
                    total = total + fr_load(sparse, entry + j) * word
                    store(state, j, word + fr_load(sparse, entry + width - 1 + j) * first)
                store(state, 0, total)


@kernel
def _hash_rows(rows: Any, tables: Any, out: Any) -> Any:
    width = rows.shape[1] + 1
    state = np.empty((width, 4), np.uint64)
    powers = np.empty((3 * (tables[0].shape[0] + tables[2].shape[0]), 4), np.uint64)
    for n in range(rows.shape[0]):
        store(state, 0, fr_zero())
        for i in range(1, width):
            store(state, i, to_montgomery(fr_load(rows, n * (width - 1) + i - 1)))
        permute(state, tables, powers, 0)
        store(out, n, from_montgomery(fr_load(state, 0)))
    state[:] = 0
    powers[:] = 0


def hash(inputs: Sequence[int]) -> int:
    """Poseidon of 1 to 16 field elements.

    Raises
    ------
    WrongLength
        If there are no inputs or more than 16.
    OutOfRange
        If an input is not in ``[0, R)``.
    """
    if not 1 <= len(inputs) <= LARGEST_INPUT:
        raise WrongLength("inputs", f"Poseidon takes 1 to {LARGEST_INPUT} inputs, not {len(inputs)}")
    for index, value in enumerate(inputs):
        if not 0 <= value < R:
            raise OutOfRange(f"inputs[{index}]", "not an element of the scalar field")
    out = np.empty((1, 4), np.uint64)
    _hash_rows(to_limbs(inputs)[np.newaxis], tables(len(inputs) + 1), out)
    return from_limbs(out)[0]


def hash_rows(rows: Rows) -> Rows:
    """Poseidon of each row, ``uint64[n, k, 4]`` to ``uint64[n, 4]``, canonical, k from 1 to 16.

    Raises
    ------
    WrongLength, OutOfRange
        As for :func:`hash`.
    """
    count, width = rows.shape[:2]
    if not 1 <= width <= LARGEST_INPUT:
        raise WrongLength("rows", f"Poseidon takes 1 to {LARGEST_INPUT} inputs, not {width}")
    if not below(rows.reshape(-1, 4), R):
        raise OutOfRange("rows", "not an element of the scalar field")
    out = np.empty((count, 4), np.uint64)
    _hash_rows(np.array(rows, order="C"), tables(width + 1), out)
    return out


def chain(values: Sequence[int]) -> int:
    """Poseidon of any number of field elements from 1 up.

    Up to 16 are hashed at once. More are hashed 16 at first, then each next 15 together with the hash so far, which
    comes first; callers fix the number of values, so that no two lengths are ever confused.
    """
    digest = hash(values[:LARGEST_INPUT])
    for start in range(LARGEST_INPUT, len(values), LARGEST_INPUT - 1):
        digest = hash([digest, *values[start : start + LARGEST_INPUT - 1]])
    return digest
