"""The proof of a well-made key: honest keys pass, keys that are not well made can't be proved."""

import secrets
from dataclasses import fields, replace

import gmpy2
import pytest

from homomorphic.errors import NotAUnit, WrongKey
from homomorphic.paillier import PrivateKey, PublicKey, randomness_base
from homomorphic.proofs.key import ROOTS, KeyProof, Statement, prove, verify
from tests.homomorphic.conftest import keypair
from zkcore.errors import Malformed, OutOfRange, WrongLength

TOY = keypair(512)
KEY = TOY.public_key
STATEMENT = Statement(KEY, b"context")


def test_well_made_keys_are_proved(private_key: PrivateKey) -> None:
    statement = Statement(private_key.public_key, b"context")
    proof = prove(statement, private_key)
    assert verify(statement, proof)
    assert KeyProof.from_bytes(proof.to_bytes()) == proof
    assert ROOTS == 8


def test_every_value_counts() -> None:
    proof = prove(STATEMENT, TOY)
    other_base = PublicKey(KEY.n, randomness_base(KEY.n), toy_key_for_tests=True)
    assert not verify(replace(STATEMENT, context=b"contexT"), proof)
    assert not verify(replace(STATEMENT, public_key=other_base), proof)
    changed = [replace(proof, v=proof.v + 1), replace(proof, v=KEY.n - proof.v)]
    changed += [replace(proof, y=(*proof.y[:i], proof.y[i] + 1, *proof.y[i + 1 :])) for i in range(ROOTS)]
    changed += [replace(proof, y=(*proof.y[:i], KEY.n - proof.y[i], *proof.y[i + 1 :])) for i in range(ROOTS)]
    changed.append(replace(proof, y=proof.y[::-1]))
    assert not any(verify(STATEMENT, other) for other in changed)
    assert {field.name for field in fields(KeyProof)} == {"bits", "v", "y"}


def test_a_base_that_is_no_power_is_not_proved() -> None:
    """h (1 + N) has the same residue modulo N and hides a message in every ciphertext."""
    bad = PublicKey(KEY.n, int(KEY.h * (1 + KEY.n) % KEY.square), toy_key_for_tests=True)
    statement = Statement(bad, b"")
    private = PrivateKey(TOY.p, TOY.q, bad)
    assert not verify(statement, prove(statement, private))


def test_a_modulus_that_is_not_coprime_to_its_order_is_not_proved() -> None:
    """N = p q with q dividing p - 1: only one number in q has an N-th root."""
    q = int(gmpy2.next_prime(secrets.randbits(100) | 1 << 99))
    p = next(p for k in range(2, 10**5, 2) if gmpy2.is_prime(p := k * q + 1))
    n = p * q
    key = PublicKey(n, randomness_base(n), toy_key_for_tests=True)
    statement = Statement(key, b"")
    order = (p - 1) * (q - 1)
    # the best that its maker can do: roots where they exist
    rest = n // gmpy2.gcd(n, order)
    guess = gmpy2.invert(rest, order // q)
    y = tuple(int(gmpy2.powmod(x, guess, n)) for x in statement.challenges())
    v = next(v for v in range(2, 100) if gmpy2.powmod(v, n, n * n) != key.h)
    assert not verify(statement, KeyProof(key.bits, v, y))
    assert any(gmpy2.powmod(root, n, n) != x for root, x in zip(y, statement.challenges(), strict=True))


def test_malformed_proofs_are_refused() -> None:
    proof = prove(STATEMENT, TOY)
    for value, refusal in ((0, OutOfRange), (-1, OutOfRange), (KEY.n, OutOfRange), (TOY.p, NotAUnit)):
        with pytest.raises(refusal, match=r"key_proof\.v"):
            verify(STATEMENT, replace(proof, v=value))
        with pytest.raises(refusal, match=r"key_proof\.y\[7\]"):
            verify(STATEMENT, replace(proof, y=(*proof.y[:7], value)))
    with pytest.raises(WrongLength):
        verify(STATEMENT, replace(proof, y=proof.y[:7]))
    with pytest.raises(WrongKey):
        verify(STATEMENT, replace(proof, bits=2048))
    with pytest.raises(WrongKey):
        prove(Statement(keypair(512).public_key, b""), TOY)
    data = proof.to_bytes()
    for spoilt in (data[:-1], data + b"\0", b"zks-xxxx" + data[8:], b""):
        with pytest.raises(Malformed):
            KeyProof.from_bytes(spoilt)
