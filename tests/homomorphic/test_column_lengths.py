"""Columns at the lengths in use, on this processor's back end, against phe and gmpy2."""

import secrets

import gmpy2
import numpy as np
import phe
import pytest

from homomorphic.ciphertext_rows import sum_of_buffers
from homomorphic.column import CiphertextColumn
from homomorphic.packing import Packing, slots_in
from homomorphic.paillier import PrivateKey, PublicKey, generate_keypair, randomness_base


@pytest.fixture(scope="module", params=[2048, 3072, 4096])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return generate_keypair(request.param)[1]


def edges(key: PrivateKey) -> list[int]:
    half = key.public_key.n // 2
    return [0, 1, -1, 2**64 - 1, 2**64, -(2**64) + 1, half, -half, half - 1, secrets.randbelow(half)]


def centred(value: int, n: int) -> int:
    return (value + n // 2) % n - n // 2


def test_edges_and_laws_against_phe_and_gmpy2(key: PrivateKey) -> None:
    public, n, square = key.public_key, key.public_key.n, key.public_key.square
    theirs = phe.PaillierPublicKey(n)
    their_private = phe.PaillierPrivateKey(theirs, key.p, key.q)
    values = edges(key)
    column, owners = public.encrypt(values), key.encrypt(values)
    for made in (column, owners, column.rerandomize(), owners.rerandomize(owner=key)):
        assert key.decrypt(made) == values
        assert [their_private.raw_decrypt(c) for c in made.to_ciphertexts()] == [value % n for value in values]
    foreign = CiphertextColumn.from_ciphertexts(public, [theirs.raw_encrypt(value % n) for value in values])
    assert key.decrypt(foreign) == values
    x, y = column.to_ciphertexts(), foreign.to_ciphertexts()
    assert (column + foreign).to_ciphertexts() == [a * b % square for a, b in zip(x, y, strict=True)]
    factors = [1, -1, 2**32 - 1, -(2**31), 0, 7, 2**64, 3, 2, 5]
    powers = [gmpy2.powmod(c, f, square) for c, f in zip(x, factors, strict=True)]
    assert (column * factors).to_ciphertexts() == powers
    product = gmpy2.mpz(1)
    for power in powers:
        product = product * power % square
    assert (column @ factors).to_ciphertexts() == [product]
    assert key.decrypt(column @ factors) == [centred(sum(v * f for v, f in zip(values, factors, strict=True)), n)]
    assert key.decrypt(column.sum()) == [centred(sum(values), n)]
    assert key.decrypt(column.sum([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])) == [
        centred(sum(values[:5]), n),
        centred(sum(values[5:]), n),
    ]
    assert sum_of_buffers(public, [column.to_bytes()], 2) == column.sum().to_ciphertexts()[0]
    assert CiphertextColumn.from_bytes(public, column.to_bytes()).to_bytes() == column.to_bytes()


def test_all_slots_full_with_2_to_the_32_summands(key: PrivateKey) -> None:
    packing = Packing(slots_in(key.public_key.bits))
    full = key.public_key.encrypt([packing.pack([2**64 - 1] * packing.slots)] * 4)
    total = key.decrypt(full @ [2**31, 2**30, 2**29, 2**29])[0]
    assert packing.unpack(total) == [2**32 * (2**64 - 1)] * packing.slots


def test_arrays(key: PrivateKey) -> None:
    array = np.array([-(2**63), 2**63 - 1, 0, 5], np.int64)
    assert (key.public_key.encrypt(array)).decrypt_int64(key).tolist() == array.tolist()


def test_keys_of_phe() -> None:
    theirs, their_private = phe.generate_paillier_keypair(n_length=2048)
    public = PublicKey(theirs.n, randomness_base(theirs.n))
    private = PrivateKey(their_private.p, their_private.q, public)
    values = [0, 1, 2**64 - 1, -(2**63)]
    for column in (public.encrypt(values), private.encrypt(values)):
        assert [their_private.raw_decrypt(c) for c in column.to_ciphertexts()] == [v % theirs.n for v in values]
    encrypted = [theirs.encrypt(value) for value in values]
    column = CiphertextColumn.from_ciphertexts(public, [number.ciphertext() for number in encrypted])
    assert private.decrypt(column + values) == [2 * value for value in values]
    handed_back = phe.EncryptedNumber(theirs, (column + values).to_ciphertexts()[2])
    assert their_private.decrypt(handed_back) == 2 * values[2]
