"""The proof of knowing a plaintext: for every plaintext, for lengths in use, and for nobody who does not know it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.paillier import PrivateKey
from homomorphic.proofs.plaintext import PlaintextProof, Statement, prove, verify, verify_batch
from tests.homomorphic.proved import CONTEXT, KEY, OTHER_KEY
from zkcore.errors import OutOfRange


@given(st.one_of(st.sampled_from([0, 1, KEY.n - 1, 2**64 - 1]), st.integers(0, KEY.n - 1)))
@settings(max_examples=25, deadline=None)
def test_every_plaintext_is_proved(plaintext: int) -> None:
    ciphertext, rho = KEY.encrypt(plaintext)
    statement = Statement(KEY, ciphertext, CONTEXT)
    proof = prove(statement, plaintext, rho)
    assert verify(statement, proof)
    assert not verify(statement, prove(statement, (plaintext + 1) % KEY.n, rho))
    assert not verify(statement, prove(statement, plaintext, rho ^ 1))


@given(st.lists(st.integers(0, KEY.n - 1), min_size=2, max_size=2), st.integers(-100, 100))
@settings(max_examples=15, deadline=None)
def test_what_is_computed_from_ciphertexts_has_its_sum_and_multiples(plaintexts: list[int], k: int) -> None:
    """The proof follows the homomorphism: c d and c (1 + kN) are proved by m + m' and m + k, where rho stays short."""
    (c, rho), (d, _) = (KEY.encrypt(plaintext) for plaintext in plaintexts)
    shifted = Statement(KEY, KEY.add_plain(c, k), CONTEXT)
    assert verify(shifted, prove(shifted, (plaintexts[0] + k) % KEY.n, rho))
    total = Statement(KEY, KEY.add(c, d), CONTEXT)
    assert not verify(total, prove(total, sum(plaintexts) % KEY.n, rho))  # the other rho is not known


def test_lengths_in_use(private_key: PrivateKey) -> None:
    key = private_key.public_key
    ciphertext, rho = key.encrypt(key.n - 1)
    statement = Statement(key, ciphertext, CONTEXT)
    proof = prove(statement, key.n - 1, rho)
    assert verify(statement, proof)
    assert PlaintextProof.from_bytes(proof.to_bytes()) == proof


def test_bad_items_are_named() -> None:
    items = []
    for plaintext in range(9):
        ciphertext, rho = KEY.encrypt(plaintext)
        statement = Statement(KEY, ciphertext, CONTEXT)
        items.append((statement, prove(statement, plaintext if plaintext not in (2, 7) else 0, rho)))
    assert verify_batch(items) == [2, 7]
    items[4] = (Statement(KEY, 0, CONTEXT), items[4][1])
    assert verify_batch(items) == [2, 4, 7]


def test_what_the_prover_refuses() -> None:
    ciphertext, rho = KEY.encrypt(5)
    statement = Statement(KEY, ciphertext, CONTEXT)
    for plaintext, randomness in ((-1, rho), (KEY.n, rho), (5, -1), (5, 1 << KEY.randomness_bits)):
        with pytest.raises(OutOfRange):
            prove(statement, plaintext, randomness)
    other = Statement(OTHER_KEY, ciphertext, CONTEXT)
    assert not verify(other, prove(other, 5, rho))
