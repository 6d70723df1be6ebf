"""The number types against Python's integers: laws, edge values, memory forms, inversion, and the cost of a product."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore.bn254 import P, R
from zkcore.errors import OutOfRange
from zkcore.field import (
    FieldType,
    decode,
    encode,
    fp,
    fp_load,
    fp_zero,
    fr,
    fr_load,
    fr_zero,
    inverse,
    invert_rows,
    is_zero,
    load,
    one,
    select,
    square,
    store,
)
from zkcore.kernel import inner, kernel
from zkcore.limbs import from_limbs, to_limbs

EDGES = [0, 1, 2, (1 << 64) - 1, 1 << 64, (1 << 128) - 1, 1 << 192, (1 << 253) - 1]
RESULTS = 9


@inner
def _operations(a, b, out):
    store(out, 0, a + b)
    store(out, 1, a - b)
    store(out, 2, a * b)
    store(out, 3, -a)
    store(out, 4, square(a))
    store(out, 5, inverse(a))
    store(out, 6, select(a == b, one(a), a - a))
    store(out, 7, select(is_zero(a), one(a), a - a))
    c = a
    c += b
    c *= a - b
    c -= -b
    store(out, 8, (c + c) - (a + a + a) * b)


@kernel
def _fp_operations(rows, out):
    _operations(fp_load(rows, 0), fp_load(rows, 1), out)


@kernel
def _fr_operations(rows, out):
    _operations(fr_load(rows, 0), fr_load(rows, 1), out)


@kernel
def _fp_invert(rows, scratch):
    invert_rows(fp_zero(), rows, scratch)


@kernel
def _fr_invert(rows, scratch):
    invert_rows(fr_zero(), rows, scratch)


FIELDS = [(fp, _fp_operations, _fp_invert), (fr, _fr_operations, _fr_invert)]
NAMES = ["fp", "fr"]


def expected(a: int, b: int, modulus: int) -> list[int]:
    c = (a + b) * (a - b) + b
    values = [a + b, a - b, a * b, -a, a * a, pow(a, modulus - 2, modulus), int(a == b), int(a == 0)]
    return [value % modulus for value in [*values, 2 * c - 3 * a * b]]


def check(field: FieldType, operations, a: int, b: int) -> None:
    out = np.zeros((RESULTS, 4), dtype=np.uint64)
    operations(encode(field, [a, b]), out)
    assert decode(field, out) == expected(a, b, field.modulus)
    assert all(value < field.modulus for value in from_limbs(out)), "memory must hold canonical Montgomery form"


@pytest.mark.parametrize(("field", "operations", "invert"), FIELDS, ids=NAMES)
def test_edge_values(field, operations, invert) -> None:
    edges = [*EDGES, *(field.modulus - value for value in EDGES[1:])]
    for a in edges:
        for b in edges:
            check(field, operations, a, b)


@pytest.mark.parametrize(("field", "operations", "invert"), FIELDS, ids=NAMES)
@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_agrees_with_integers(field, operations, invert, data) -> None:
    element = st.integers(0, field.modulus - 1)
    check(field, operations, data.draw(element), data.draw(element))


@pytest.mark.parametrize(("field", "operations", "invert"), FIELDS, ids=NAMES)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_inverts_many_at_once_and_leaves_zeros(field, operations, invert, data) -> None:
    element = st.one_of(st.just(0), st.integers(0, field.modulus - 1))
    values = data.draw(st.lists(element, max_size=12))
    rows = encode(field, values)
    invert(rows, np.empty_like(rows))
    assert decode(field, rows) == [pow(value, -1, field.modulus) if value else 0 for value in values]


@kernel
def _walk(rows, out):
    """Long mixed chains keep values inside their redundant range."""
    a, b = fp_load(rows, 0), fp_load(rows, 1)
    for _ in range(2000):
        a, b = a * b + a - b, (a + a + b) * (b - a) - a
    store(out, 0, a)
    store(out, 1, b)


def test_long_chains_stay_in_range() -> None:
    a, b = P - 1, P - 2
    out = np.zeros((2, 4), dtype=np.uint64)
    _walk(encode(fp, [a, b]), out)
    for _ in range(2000):
        a, b = (a * b + a - b) % P, ((2 * a + b) * (b - a) - a) % P
    assert decode(fp, out) == [a, b]


@kernel
def _largest_representatives(out):
    """Operands just below twice the modulus, the worst that an operation can hand to a multiplication."""
    worst = load(fp_zero(), out, 0)
    store(out, 0, worst * worst)
    store(out, 1, worst + worst)
    store(out, 2, worst - worst)
    store(out, 3, -worst)


def test_largest_representatives() -> None:
    out = to_limbs([2 * P - 1, 0, 0, 0])
    _largest_representatives(out)
    inverse_radix = pow(1 << 256, -1, P)
    assert from_limbs(out) == [inverse_radix * (P - 1) ** 2 % P, P - 2, 0, 1]


@pytest.mark.parametrize("field", [fp, fr], ids=NAMES)
@pytest.mark.parametrize("wrong", [-1, 0, 1 << 256])
def test_encoding_refuses_what_is_not_canonical(field: FieldType, wrong: int) -> None:
    with pytest.raises(OutOfRange) as refusal:
        encode(field, [0, wrong or field.modulus], part="public[1]")
    assert refusal.value.part == "public[1]"


def test_types_differ_by_modulus() -> None:
    assert (fp.modulus, fr.modulus) == (P, R)
    with pytest.raises(ValueError):
        FieldType("small", 97)


@kernel
def _mixed(rows):
    return fp_load(rows, 0) == fr_load(rows, 0)


def test_fields_do_not_mix() -> None:
    from numba.core.errors import TypingError

    with pytest.raises(TypingError):
        _mixed(np.zeros((1, 4), dtype=np.uint64))
    assert operator.eq(fp, fr) is False


@given(st.lists(st.integers(0, (1 << 256) - 1), max_size=5))
@settings(max_examples=50)
def test_limbs_round_trip(values: list[int]) -> None:
    rows = to_limbs(values)
    assert rows.shape == (len(values), 4)
    assert from_limbs(rows) == values


@pytest.mark.parametrize("wrong", [-1, 1 << 256])
def test_limbs_refuse_wider_integers(wrong: int) -> None:
    with pytest.raises(OutOfRange):
        to_limbs([1, wrong], part="witness")
