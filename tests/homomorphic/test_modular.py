"""Both kinds of arithmetic modulo n^2 against Python's integers, on random numbers and on the edges of the ranges."""

import itertools
import math
import secrets
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic import lane_modulus
from homomorphic.modular import LaneModulus, PlainModulus, from_rows, to_rows
from homomorphic.row_total import LaneRowTotal, PlainRowTotal
from zkcore.cpu import BACKEND

KINDS = [PlainModulus, *([LaneModulus] if BACKEND == "avx512ifma" else [])]
TOTALS: dict[Any, Any] = {PlainModulus: PlainRowTotal, LaneModulus: LaneRowTotal}
MODULI = [2**64 + 13, 2**103 - 1, 2**104 - 3, 3**200, 2**1024 - 105, 2**1536 + 9, 2**2048 - 1, 2**3072 - 1, 2**4096 - 1]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def width(n: int) -> int:
    return -(-2 * n.bit_length() // 8)


def numbers(n: int, count: int) -> list[int]:
    """Numbers modulo n^2, the edges of pairs among them."""
    edges = [0, 1, n - 1, n, n + 1, n * n - 1, n * n - n, 2 * n - 1]
    return [*edges, *(secrets.randbelow(n * n) for _ in range(count))][:count]


@pytest.mark.parametrize("n", MODULI)
@pytest.mark.parametrize("count", [1, 8, 19])
def test_arithmetic_is_that_of_integers(kind: Any, n: int, count: int) -> None:
    m, square, w = kind(n), n * n, width(n)
    a, b = numbers(n, count), numbers(n, count)[::-1]
    x, y = m.enter(to_rows(a, w)), m.enter(to_rows(b, w))

    def out(column: Any, rows: int = count) -> list[int]:
        return from_rows(m.leave(column, rows, w))

    assert out(x) == a
    product = m.multiply(x, y)
    assert out(product) == [i * j % square for i, j in zip(a, b, strict=True)]
    constant = m.multiply(x, m.constant(b[-1]))
    assert out(constant) == [i * b[-1] % square for i in a]
    # results are as good as fresh numbers
    for _ in range(3):
        product = m.multiply(product, product)
    assert out(product) == [pow(i * j, 8, square) for i, j in zip(a, b, strict=True)]
    units = [value for value in a if value % n] or [1]
    expected = 1
    for value in units:
        expected = expected * value % square
    assert out(m.total(m.enter(to_rows(units, w))), 1) == [expected]
    large = [value for value in units if value > 1] or [2]
    expected = 1
    for value in large:
        expected = expected * value % square
    assert row_total(kind, n, to_rows(large, w)) == expected
    for bad in (0, 1, square, (1 << 8 * w) - 1):
        assert not TOTALS[kind](n).add(to_rows([*large[1:], bad, 2], w))


def row_total(kind: Any, n: int, *parts: Any) -> int:
    total = TOTALS[kind](n)
    assert all(total.add(part) for part in parts)
    return int(total.value())


def test_totals_of_many_rows(kind: Any) -> None:
    n = 2**104 - 3
    values = [2 + secrets.randbelow(n * n - 2) for _ in range(1003)]
    expected = 1
    for value in values:
        expected = expected * value % (n * n)
    rows = to_rows(values, 26)
    assert row_total(kind, n, rows) == row_total(kind, n, rows[:5], rows[5:6], rows[6:]) == expected
    unaligned = np.frombuffer(b"." + rows.tobytes(), np.uint8)[1:].reshape(rows.shape)
    assert row_total(kind, n, unaligned) == expected


@pytest.mark.parametrize("n", [2**103 - 1, 2**1536 + 9, 2**3072 - 1])
def test_powers(kind: Any, n: int) -> None:
    m, square, w = kind(n), n * n, width(n)
    bases = [3, *numbers(n, 10)[1:]]
    for bits in (1, 7, 32, 64, 130):
        exponents = [0, 1, (1 << bits) - 1, *(secrets.randbits(bits) for _ in range(7))]
        exponents = [min(e, (1 << bits) - 1) for e in exponents]
        powers = m.power(m.enter(to_rows(bases, w)), to_rows(exponents, 17), bits)
        assert from_rows(m.leave(powers, 10, w)) == [pow(b, e, square) for b, e in zip(bases, exponents, strict=True)]
    powers = m.power(m.enter(to_rows(bases, w)), to_rows([12345], 2), 14)
    assert from_rows(m.leave(powers, 10, w)) == [pow(b, 12345, square) for b in bases]


@pytest.mark.parametrize("n", [2**104 - 3, 2**1536 + 9])
def test_powers_of_a_fixed_base(kind: Any, n: int) -> None:
    m, square, w = kind(n), n * n, width(n)
    base, bits = pow(3, secrets.randbits(64), square), 100
    table = m.fixed_base(base, bits)
    exponents = [0, 1, 2**100 - 1, 2**99, *(secrets.randbits(100) for _ in range(150))]
    starts = numbers(n, len(exponents))
    powers = m.fixed_power(m.enter(to_rows(starts, w)), table, to_rows(exponents, 13))
    expected = [s * pow(base, e, square) % square for s, e in zip(starts, exponents, strict=True)]
    assert from_rows(m.leave(powers, len(exponents), w)) == expected


@pytest.mark.parametrize("n", [2**104 - 3, 2**1536 + 9], ids=int.bit_length)
@pytest.mark.parametrize("count", [1, 9, 200])
def test_products_of_powers(kind: Any, n: int, count: int) -> None:
    m, square, w = kind(n), n * n, width(n)
    bases = [value if value % n else 3 for value in numbers(n, count)]
    for bits in (1, 100):
        exponents = [(1 << bits) - 1, 0, *(secrets.randbits(bits) for _ in bases), *([0] * 16)][:count]
        expected = 1
        for base, exponent in zip(bases, exponents, strict=True):
            expected = expected * pow(base, exponent, square) % square
        product = m.product_of_powers(m.enter(to_rows(bases, w)), to_rows(exponents, 13), bits)
        assert from_rows(m.leave(product, 1, w)) == [expected]


@pytest.mark.parametrize("n", [2**103 - 1, 2**1536 + 9])
@pytest.mark.parametrize("count", [1, 8, 9, 150])
def test_threads_inverses_choices_and_dot_products(
    kind: Any, n: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_modulus, "_PIECE", 4)
    m, square, w = kind(n), n * n, width(n)
    bases = [value if math.gcd(value, n) == 1 else 1 for value in numbers(n, count)]
    rows = to_rows(bases, w)
    column, table = m.enter(rows), m.fixed_base(3, 40)
    order, starts = np.arange(count)[::-1].copy(), np.arange(0, count + 1)

    def out(column: Any, rows: int = count) -> list[int]:
        return from_rows(m.leave(column, rows, w))

    inverse = [pow(base, -1, square) for base in bases]
    assert out(m.inverses(column)) == inverse
    chosen = np.arange(count) % 3 == 0
    mixed = m.choose(chosen, m.inverses(column), column)
    assert out(mixed) == [i if c else b for i, b, c in zip(inverse, bases, chosen, strict=True)]
    for bits in (1, 5, 33):
        exponents = [secrets.randbits(bits) for _ in bases]
        powers = to_rows(exponents, 5)
        product = 1
        for base, exponent in zip(bases, exponents, strict=True):
            product = product * pow(base, exponent, square) % square
        for threads in (1, 2, 3):
            assert out(m.dot(column, powers, bits, threads), 1) == [product]
            assert out(m.power(column, powers, bits, threads)) == out(m.power(column, powers, bits))
            assert out(m.fixed_power(column, table, powers, threads)) == out(m.fixed_power(column, table, powers))
    for threads in (2, 3, 100):
        assert out(m.enter(rows, threads)) == bases
        assert m.leave(column, count, w, threads).tobytes() == rows.tobytes()
        assert out(m.multiply(column, mixed, threads)) == out(m.multiply(column, mixed))
        assert out(m.total(column, threads), 1) == out(m.total(column), 1)
        assert out(m.totals(column, order, starts, threads)) == bases[::-1]


def test_rows_wider_than_the_modulus_are_reduced(kind: Any) -> None:
    n = 2**1536 + 9
    values = [0, 1, 2**6144 - 1, n**3, *(secrets.randbits(6144) for _ in range(6))]
    m = kind(n)
    assert from_rows(m.leave(m.enter(to_rows(values, 768)), 10, width(n))) == [value % (n * n) for value in values]


def test_plaintexts(kind: Any) -> None:
    n = 2**1536 + 9
    m = kind(n)
    values = [0, 1, n - 1, 2**64 - 1, *(secrets.randbelow(n) for _ in range(7))]
    column = m.enter_plaintexts(to_rows(values, 200))
    assert from_rows(m.leave(column, 11, width(n))) == [1 + value * n for value in values]


def test_groups_selections_and_concatenations(kind: Any) -> None:
    n = 2**103 - 1
    m, square, w = kind(n), n * n, width(n)
    values = [secrets.randbelow(square) for _ in range(45)]
    column = m.enter(to_rows(values, w))
    order = np.array([3, 1, 44, *range(10, 33), 7], np.int64)
    starts = np.array([0, 2, 2, 3, 26, 27], np.int64)
    expected = []
    for first, last in itertools.pairwise(starts):
        product = 1
        for row in order[first:last]:
            product = product * values[row] % square
        expected.append(product)
    assert from_rows(m.leave(m.totals(column, order, starts), 5, w)) == expected
    assert from_rows(m.leave(m.take(column, order), len(order), w)) == [values[row] for row in order]
    parts = [(m.enter(to_rows(values[a:b], w)), b - a) for a, b in ((0, 8), (8, 11), (11, 27), (27, 45))]
    assert from_rows(m.leave(m.join(parts), 45, w)) == values
    assert from_rows(m.leave(m.join([*parts[:1], parts[2]]), 24, w)) == values[:8] + values[11:27]
    # what lies past the end does not count
    total = 1
    for value in values:
        total = total * value % square
    for again in (m.join(parts), m.take(column, np.arange(45)), m.multiply(column, m.enter(to_rows([1] * 45, w)))):
        assert from_rows(m.leave(m.total(again), 1, w)) == [total]


@given(st.integers(2**63, 2**700), st.lists(st.tuples(st.integers(0), st.integers(0)), min_size=1, max_size=9))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("kind", KINDS)
def test_any_modulus(kind: Any, half: int, pairs: list[tuple[int, int]]) -> None:
    n = 2 * half + 1
    m, square, w = kind(n), n * n, width(n)
    a, b = [x % square for x, _ in pairs], [y % square for _, y in pairs]
    product = m.multiply(m.enter(to_rows(a, w)), m.enter(to_rows(b, w)))
    assert from_rows(m.leave(product, len(a), w)) == [x * y % square for x, y in zip(a, b, strict=True)]
