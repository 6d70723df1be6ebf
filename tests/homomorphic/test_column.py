"""Columns against phe and single ciphertexts, on both back ends, with what must be refused."""

import gc
import itertools
import secrets
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import phe
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic import arrow, modular
from homomorphic import column as column_module
from homomorphic.ciphertext_rows import sum_of_buffers
from homomorphic.column import CiphertextColumn
from homomorphic.errors import NotAUnit, TrivialCiphertext, WrongKey, WrongScale
from homomorphic.modular import LaneFactors, LaneModulus, PlainFactors, PlainModulus
from homomorphic.packing import Packing, slots_in
from homomorphic.paillier import PrivateKey, PublicKey, generate_keypair, randomness_base
from tests.homomorphic.conftest import keypair
from zkcore.cpu import BACKEND
from zkcore.errors import Malformed, OutOfRange, WrongLength

TOY = keypair(512)
KEY = TOY.public_key
N = KEY.n
KINDS = [PlainModulus, *([LaneModulus] if BACKEND == "avx512ifma" else [])]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__, autouse=True, scope="module")
def kind(request: pytest.FixtureRequest) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_module, "square_modulus", request.param)
        patch.setattr(modular, "prime_factors", FACTORS[request.param])
        forget()
        yield request.param
    forget()


FACTORS: dict[Any, Any] = {PlainModulus: PlainFactors, LaneModulus: LaneFactors}


def forget() -> None:
    column_module._arithmetic.cache_clear()
    TOY.__dict__.pop("factors", None)


EDGES = [0, 1, -1, 2**64 - 1, -(2**63), N // 2, -(N // 2)]
signed = st.one_of(st.sampled_from(EDGES), st.integers(-(N // 2), N // 2))
fields = settings(max_examples=15, deadline=None)


def enc(values: Any) -> CiphertextColumn:
    return CiphertextColumn.encrypt(KEY, values)


def centred(value: int) -> int:
    value %= N
    return value - N if value > N // 2 else value


# Laws


@given(st.lists(signed, min_size=1, max_size=20))
@fields
def test_decryption_undoes_encryption(kind: Any, values: list[int]) -> None:
    column = enc(values)
    assert len(column) == len(values)
    assert column.decrypt(TOY) == values
    assert [centred(TOY.decrypt(c)) for c in column.to_ciphertexts()] == values


@given(st.lists(st.tuples(signed, signed, st.integers(-(2**40), 2**40)), min_size=1, max_size=12))
@fields
def test_arithmetic(kind: Any, rows: list[tuple[int, int, int]]) -> None:
    a, b, factors = (list(values) for values in zip(*rows, strict=True))
    x, y = enc(a), enc(b)
    assert (x + y).decrypt(TOY) == [centred(i + j) for i, j in zip(a, b, strict=True)]
    assert (x + b).decrypt(TOY) == [centred(i + j) for i, j in zip(a, b, strict=True)]
    assert (-x).decrypt(TOY) == [centred(-i) for i in a]
    assert x.sum().decrypt(TOY) == [centred(sum(a))]
    if all(factors):
        assert (x * factors).decrypt(TOY) == [centred(i * f) for i, f in zip(a, factors, strict=True)]
        assert (x @ factors).decrypt(TOY) == [centred(sum(i * f for i, f in zip(a, factors, strict=True)))]
    fresh = x.rerandomize()
    assert fresh.decrypt(TOY) == a
    assert not set(fresh.to_ciphertexts()) & set(x.to_ciphertexts())


def test_operations_are_those_on_single_ciphertexts() -> None:
    a, b = enc(list(range(11))), enc(list(range(11, 22)))
    x, y = a.to_ciphertexts(), b.to_ciphertexts()
    assert (a + b).to_ciphertexts() == [KEY.add(i, j) for i, j in zip(x, y, strict=True)]
    assert (a + list(range(-5, 6))).to_ciphertexts() == [
        KEY.add_plain(i, v) for i, v in zip(x, range(-5, 6), strict=True)
    ]
    factors = [3, -7, 1, 0, 2**33, -1, 5, 6, 7, 8, -9]
    assert (a * factors).to_ciphertexts() == [KEY.multiply(i, f) for i, f in zip(x, factors, strict=True)]
    assert (a * 12).to_ciphertexts() == [KEY.multiply(i, 12) for i in x]
    assert a.sum().to_ciphertexts() == [KEY.sum(x)]


def test_sums_by_groups() -> None:
    values = [secrets.randbelow(2**64) for _ in range(100)]
    groups = [secrets.randbelow(7) for _ in values]
    groups[:7] = range(7)
    sums = enc(values).sum(groups)
    assert sums.decrypt(TOY) == [sum(v for v, g in zip(values, groups, strict=True) if g == k) for k in range(7)]
    assert enc([5, 6]).sum(np.array([1, 0])).decrypt(TOY) == [6, 5]


def test_both_back_ends_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = secrets.token_bytes(1 << 16)
    monkeypatch.setattr(column_module.secrets, "token_bytes", lambda count: tape[:count])
    results = []
    for each in KINDS:
        monkeypatch.setattr(column_module, "square_modulus", each)
        monkeypatch.setattr(modular, "prime_factors", FACTORS[each])
        for owner, threads in ((None, 1), (None, 2), (TOY, 1), (TOY, 3)):
            forget()
            column = CiphertextColumn.encrypt(KEY, [*range(-8, 30), N // 2], owner=owner, threads=threads)
            made = [
                column,
                column.add(column, threads=threads),
                column.multiply(77, threads=threads),
                column.multiply(range(-19, 20), threads=threads),
                column.dot(range(-19, 20), threads=threads),
                column.sum(threads=threads),
                column.sum([0, 1, 2] * 13, threads=threads),
                column[3:],
                column.rerandomize(owner=owner, threads=threads),
                -column,
            ]
            results.append([one.to_bytes(threads=threads) for one in made])
            assert column.decrypt(TOY, threads=threads) == [*range(-8, 30), N // 2]
    assert all(result == results[0] for result in results)
    monkeypatch.undo()
    forget()
    rho = int.from_bytes(tape[: KEY.randomness_bits // 8], "big")
    assert results[0][0][: KEY.ciphertext_bytes] == KEY.ciphertext_to_bytes(KEY.encrypt_with(N - 8, rho))


def test_arrays_are_taken_as_they_are() -> None:
    for array in (
        np.array([0, 1, 2**63 - 1, -1, -(2**63)], np.int64),
        np.array([0, 5, 2**63 - 1], np.int64),
        np.array([0, 2**64 - 1], np.uint64),
    ):
        assert enc(array).decrypt(TOY) == array.tolist()
        assert (enc([1] * len(array)) + array).decrypt(TOY) == [value + 1 for value in array.tolist()]


def test_fixed_point_numbers() -> None:
    prices = KEY.encrypt([19.99, 5.01, -0.004, 2], scale=100)
    assert prices.scale == 100
    assert TOY.decrypt(prices) == [1999, 501, 0, 200]
    assert prices.decrypt_fractions(TOY) == [Fraction(1999, 100), Fraction(501, 100), Fraction(0), Fraction(2)]
    exact = KEY.encrypt([Decimal("1.25"), Fraction(-3, 4), 7, Decimal(10) ** 30], scale=4)
    assert exact.decrypt_fractions(TOY) == [Fraction(5, 4), Fraction(-3, 4), 7, 10**30]
    assert prices.add([0.01, 1, Fraction(1, 2), Decimal("-2")]).decrypt(TOY) == [2000, 601, 50, 0]
    assert KEY.encrypt(np.array([0.125, -2.5, 1e9]), scale=8).decrypt(TOY) == [1, -20, 8 * 10**9]
    assert KEY.encrypt(np.array([2**62, -3]), scale=1000).decrypt(TOY) == [2**62 * 1000, -3000]
    assert KEY.encrypt(np.array([7, 8], np.int8), scale=1000).decrypt(TOY) == [7000, 8000]
    product = prices.multiply([0.5, -1.5, 2.5, 1.5], scale=10)
    assert product.scale == 1000
    assert product.decrypt_fractions(TOY) == [Fraction(p, 1000) for p in (9995, -7515, 0, 3000)]
    assert prices.dot([0.5, -1.5, 2.5, 1.5], scale=10).decrypt(TOY) == [9995 - 7515 + 3000]
    assert prices.sum().scale == prices[1:].scale == (prices * 3).scale == prices.rerandomize().scale == 100
    assert CiphertextColumn.from_bytes(KEY, prices.to_bytes(), scale=100).decrypt_fractions(TOY)[1] == Fraction(
        501, 100
    )


def test_numbers_that_are_no_multiples_are_refused() -> None:
    for values, scale in (
        ([0, 0.5], 1),
        (np.array([0, 0.5]), 1),
        (np.array([0, 2.0]), 1),
        ([0, Fraction(1, 3)], 10),
        ([0, Decimal("0.001")], 100),
        ([0, Decimal("NaN")], 100),
        ([0, float("nan")], 100),
        (np.array([0, np.inf]), 100),
        ([0, 1e300], 100),
        (np.array([0, 1e14]), 1000),
        ([0, Decimal(N)], 2),
    ):
        with pytest.raises(OutOfRange, match=r"values\[1\]" if scale > 1 or isinstance(values, list) else "values"):
            KEY.encrypt(values, scale=scale)
    for scale in (0, -1):
        with pytest.raises(OutOfRange, match="scale"):
            KEY.encrypt([1], scale=scale)
    with pytest.raises(TypeError):
        KEY.encrypt(["1"])
    a, b = KEY.encrypt([1], scale=10), KEY.encrypt([1], scale=100)
    for use in (lambda: a + b, lambda: a - b, lambda: a.grow(b), lambda: CiphertextColumn.concatenate([b, a])):
        with pytest.raises(WrongScale):
            use()


def test_the_owner_encrypts_likewise() -> None:
    values = [*EDGES, *range(100)]
    for threads in (1, 2):
        assert TOY.decrypt(TOY.encrypt(values, threads=threads), threads=threads) == values
    fresh = KEY.encrypt(values).rerandomize(owner=TOY)
    assert TOY.decrypt(fresh) == values
    other = keypair(512)
    if other.public_key.n == N:
        other = generate_keypair(512, toy_key_for_tests=True)[1]
    for use in (lambda: CiphertextColumn.encrypt(KEY, [1], owner=other), lambda: fresh.rerandomize(owner=other)):
        with pytest.raises(WrongKey):
            use()


def test_decryption_to_arrays() -> None:
    values = [0, 1, -1, 2**63 - 1, -(2**63), 2**62, -12345]
    array = KEY.encrypt(values).decrypt_int64(TOY)
    assert array.dtype == np.int64
    assert array.tolist() == values
    for large in (2**63, -(2**63) - 1, 2**64, N // 2, -(N // 2)):
        with pytest.raises(OutOfRange, match=r"column\[1\]"):
            KEY.encrypt([0, large]).decrypt_int64(TOY)


def test_factors_as_arrays_and_of_any_sign() -> None:
    column = KEY.encrypt([3, -4, 5])
    for factors in (
        [-(2**40), 0, 7],
        np.array([-(2**63), 2**63 - 1, -1], np.int64),
        np.array([2**64 - 1, 0, 1], np.uint64),
        np.array([1, 2, -3], np.int8),
        [N // 8, -(N // 10), N // 11],
    ):
        plain = [int(factor) for factor in factors]
        assert (column * factors).decrypt(TOY) == [centred(x * f) for x, f in zip([3, -4, 5], plain, strict=True)]
        assert (column @ factors).decrypt(TOY) == [centred(sum(x * f for x, f in zip([3, -4, 5], plain, strict=True)))]
    assert (column * -2).decrypt(TOY) == [-6, 8, -10]
    assert (column - KEY.encrypt([1, 1, 1])).decrypt(TOY) == [2, -5, 4]
    for use in (lambda: column * [1, 2, 0.5], lambda: column * 0.5, lambda: column @ [1, Fraction(1, 2), 0]):
        with pytest.raises(OutOfRange, match="factors"):
            use()


def test_columns_grow() -> None:
    column = KEY.encrypt([1, 2, 3])
    assert column.grow([4, 5]).grow(KEY.encrypt([6])).decrypt(TOY) == [1, 2, 3, 4, 5, 6]
    assert column.decrypt(TOY) == [1, 2, 3]
    with pytest.raises(OutOfRange):
        column.grow([N])


def test_sums_of_buffers() -> None:
    column = enc(list(range(30)))
    for threads in (1, 2, 7):
        for cuts in ([0, 30], [0, 1], [0, 9], [0, 7, 7, 8, 30]):
            buffers = [column[a:b].to_bytes() if a < b else b"" for a, b in itertools.pairwise(cuts)]
            total = sum_of_buffers(KEY, buffers, threads)
            assert total == column[: cuts[-1]].sum().to_ciphertexts()[0]
    width = KEY.ciphertext_bytes
    for bad, refusal in ((N, NotAUnit), (0, TrivialCiphertext), (1, TrivialCiphertext), (N * N, OutOfRange)):
        with pytest.raises(refusal, match=r"column\[12\]"):
            sum_of_buffers(KEY, [column[:11].to_bytes(), column[:1].to_bytes() + bad.to_bytes(width, "big")], 2)
    for buffers in ([], [b""], [b"1"], [column.to_bytes(), b"1"]):
        with pytest.raises(WrongLength):
            sum_of_buffers(KEY, buffers)


def test_slices_and_concatenation() -> None:
    values = list(range(50))
    column = enc(values)
    for index in (slice(3, 20), slice(None, None, -3), slice(48, None)):
        assert column[index].decrypt(TOY) == values[index]
    assert column[[7, 7, -1, 0]].decrypt(TOY) == [7, 7, 49, 0]
    assert column[np.array([9, 2])].sum().decrypt(TOY) == [11]
    joined = CiphertextColumn.concatenate([column[:3], column[3:11], column[11:]])
    assert joined.to_bytes() == column.to_bytes()
    assert joined.sum().to_bytes() == column.sum().to_bytes()


# Lengths in use


def test_phe_both_ways(private_key: PrivateKey) -> None:
    key = private_key.public_key
    theirs = phe.PaillierPublicKey(key.n)
    their_private = phe.PaillierPrivateKey(theirs, private_key.p, private_key.q)
    values = [0, 1, 2**64 - 1, -(2**63)]
    column = CiphertextColumn.encrypt(key, values)
    assert [their_private.raw_decrypt(c) for c in column.to_ciphertexts()] == [value % key.n for value in values]
    foreign = CiphertextColumn.from_ciphertexts(key, [theirs.raw_encrypt(value % key.n) for value in values])
    assert foreign.decrypt(private_key) == values
    assert (foreign + column).decrypt(private_key) == [2 * value for value in values]


def test_all_slots_full_with_2_to_the_32_summands(private_key: PrivateKey) -> None:
    key = private_key.public_key
    packing = Packing(slots_in(key.bits))
    full = CiphertextColumn.encrypt(key, [packing.pack([2**64 - 1] * packing.slots)] * 3)
    total = (full * [2**31, 2**30, 2**30]).sum().decrypt(private_key)[0]
    assert packing.unpack(total) == [2**32 * (2**64 - 1)] * packing.slots


def test_bytes_both_ways(private_key: PrivateKey) -> None:
    key = private_key.public_key
    column = CiphertextColumn.encrypt(key, list(range(10)))
    data = column.to_bytes()
    assert data == b"".join(key.ciphertext_to_bytes(c) for c in column.to_ciphertexts())
    for buffer in (data, memoryview(data), np.frombuffer(data, np.uint8)):
        again = CiphertextColumn.from_bytes(key, buffer)
        assert again.to_bytes() == data
        assert again.decrypt(private_key) == list(range(10))


def test_arrow_both_ways() -> None:
    column = enc(list(range(20)))
    array = pa.array(column)
    assert array.type == pa.binary(KEY.ciphertext_bytes)
    assert b"".join(array.to_pylist()) == column.to_bytes()
    for part in (array, array[3:11], pa.concat_arrays([array, array])):
        again = CiphertextColumn.from_arrow(KEY, part)
        assert again.to_bytes() == b"".join(part.to_pylist())
    assert pa.array(column, pa.binary()).to_pylist() == array.to_pylist()


def test_arrow_is_not_copied_and_stays_as_long_as_it_is_needed() -> None:
    column = enc(list(range(20)))
    data = column.to_bytes()
    array = pa.array(column)
    rows = arrow.rows_of(array, KEY.ciphertext_bytes)
    assert rows.ctypes.data == array.buffers()[1].address
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 1
    del array, column
    gc.collect()
    assert rows.tobytes() == data


def test_arrow_arrays_outlive_the_interpreter() -> None:
    """What is still alive at the end is given back without a crash."""
    code = (
        "import builtins, pyarrow as pa\n"
        "from homomorphic.arrow import rows_of\n"
        "from homomorphic.paillier import generate_keypair\n"
        "column = generate_keypair(256, toy_key_for_tests=True)[0].encrypt([1, 2, 3])\n"
        "array = pa.array(column)\n"
        "kept = [array, rows_of(array, 64), pa.table({'x': array})]\n"
        "kept.append(kept)\n"
        "builtins.kept = kept\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Refusals


def test_arrow_arrays_of_another_shape_are_refused() -> None:
    width = KEY.ciphertext_bytes
    good = enc([1]).to_bytes()
    for array in (
        pa.array([1, 2]),
        pa.array([good]),
        pa.array([good, None], pa.binary(width)),
        pa.array([good], pa.binary(width)).dictionary_encode(),
        pa.chunked_array([pa.array([good], pa.binary(width))]),
        [good],
    ):
        with pytest.raises(Malformed):
            CiphertextColumn.from_arrow(KEY, array)
    for array in (pa.array([good[1:]], pa.binary(width - 1)), pa.array([], pa.binary(width))):
        with pytest.raises(WrongLength):
            CiphertextColumn.from_arrow(KEY, array)
    with pytest.raises(OutOfRange, match=r"column\[1\]"):
        CiphertextColumn.from_arrow(KEY, pa.array([good, b"\xff" * width], pa.binary(width)))


def test_values_that_do_not_fit_are_refused() -> None:
    for value in (N // 2 + 1, -(N // 2) - 1, N - 1, N, -N):
        with pytest.raises(OutOfRange, match=r"values\[1\]"):
            enc([0, value])
        with pytest.raises(OutOfRange, match=r"summand\[0\]"):
            enc([0]).__add__([value])
    with pytest.raises(WrongLength):
        enc([])


def test_columns_that_do_not_fit_are_refused() -> None:
    column = enc([1, 2, 3])
    other = PublicKey(N, randomness_base(N), toy_key_for_tests=True)
    stranger = CiphertextColumn.encrypt(other, [1, 2, 3])
    for use in (lambda: column + stranger, lambda: CiphertextColumn.concatenate([column, stranger])):
        with pytest.raises(WrongKey):
            use()
    with pytest.raises(WrongKey):
        stranger.decrypt(TOY)
    for use in (
        lambda: column + enc([1]),
        lambda: column + np.arange(2),
        lambda: column * [1, 2],
        lambda: column.sum([0, 1]),
        lambda: column[3:],
        lambda: CiphertextColumn.concatenate([]),
    ):
        with pytest.raises(WrongLength):
            use()
    for groups in ([0, 0, 2], [-1, 0, 1]):
        with pytest.raises(OutOfRange):
            column.sum(groups)


def test_bytes_that_are_no_ciphertexts_are_refused() -> None:
    good = enc([1, 2]).to_ciphertexts()
    square = N * N
    for bad, refusal in (
        (0, TrivialCiphertext),
        (1, TrivialCiphertext),
        (square, OutOfRange),
        (square + 1, OutOfRange),
        (2 ** (8 * KEY.ciphertext_bytes) - 1, OutOfRange),
        (N, NotAUnit),
        (TOY.p * 256, NotAUnit),
    ):
        data = b"".join(value.to_bytes(KEY.ciphertext_bytes, "big") for value in (good[0], bad, good[1]))
        with pytest.raises(refusal, match=r"column\[1\]"):
            CiphertextColumn.from_bytes(KEY, data)
        with pytest.raises(refusal, match=r"column\[1\]"):
            CiphertextColumn.from_ciphertexts(KEY, [good[0], bad, good[1]])
    for fine in (2, 256, square - 1, square - 2):
        CiphertextColumn.from_ciphertexts(KEY, [fine])
    for data in (b"", b"\1" * (KEY.ciphertext_bytes + 1)):
        with pytest.raises(WrongLength):
            CiphertextColumn.from_bytes(KEY, data)
    with pytest.raises(OutOfRange):
        CiphertextColumn.from_ciphertexts(KEY, [-1])


def test_groups_are_whole_numbers_in_lists_and_arrays() -> None:
    column = KEY.encrypt([1, 2, 3])
    for groups in ([0, 1, 0], np.array([0, 1, 0], np.uint64), np.array([0, 1, 0], np.int8)):
        assert TOY.decrypt(column.sum(groups)) == [4, 2]
    for wrong in ([0.0, 1.0, 0.0], [0, 1 << 64, 0], [False, True, False], [0, -1, 0], [0, 2, 0], [[0], [1], [0]]):
        with pytest.raises((OutOfRange, WrongLength)):
            column.sum(wrong)  # type: ignore[arg-type]
