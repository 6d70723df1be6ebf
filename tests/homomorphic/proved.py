"""One true statement with its proof of every kind, under a key of 512 bits that is for tests alone."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from homomorphic.packing import Packing
from homomorphic.paillier import PublicKey, randomness_base
from homomorphic.proofs import committed_range, decryption, key, link, plaintext, range, weights
from homomorphic.threshold import deal_from_primes
from tests.homomorphic.conftest import keypair, safe_primes
from zkcore import babyjubjub, pedersen

TOY = keypair(512)
KEY = TOY.public_key
OTHER_KEY = PublicKey(KEY.n, randomness_base(KEY.n), toy_key_for_tests=True)
CONTEXT = b"what it is for"


@dataclass(frozen=True)
class Proved:
    """A module of :mod:`homomorphic.proofs`, a statement of its kind and a proof that convinces."""

    module: Any
    statement: Any
    proof: Any


def blindings(count: int) -> list[int]:
    return [secrets.randbelow(babyjubjub.ORDER) for _ in [None] * count]


def commitments(values: list[int], their_blindings: list[int]) -> tuple[babyjubjub.Point, ...]:
    return tuple(pedersen.commit(value, s) for value, s in zip(values, their_blindings, strict=True))


def of_plaintext() -> Proved:
    ciphertext, rho = KEY.encrypt(1234)
    statement = plaintext.Statement(KEY, ciphertext, CONTEXT)
    return Proved(plaintext, statement, plaintext.prove(statement, 1234, rho))


def of_link() -> Proved:
    values, s = [7, 2**64 - 1], blindings(2)
    ciphertext, rho = KEY.encrypt(Packing(2).pack(values))
    statement = link.Statement(KEY, ciphertext, commitments(values, s), CONTEXT)
    return Proved(link, statement, link.prove(statement, values, rho, s))


def of_range() -> Proved:
    values = [7, 255]
    ciphertext, rho = KEY.encrypt(Packing(2).pack(values))
    statement = range.Statement(KEY, ciphertext, 2, 8, CONTEXT)
    return Proved(range, statement, range.prove(statement, values, rho))


def of_committed_range() -> Proved:
    (s,) = blindings(1)
    statement = committed_range.Statement(pedersen.commit(200, s), 8, CONTEXT)
    return Proved(committed_range, statement, committed_range.prove(statement, 200, s))


def of_weights() -> Proved:
    used, s = [3, -4], blindings(2)
    ciphertexts = (KEY.encrypt(10)[0], KEY.encrypt(20)[0])
    result, rho = weights.combine(KEY, ciphertexts, used)
    statement = weights.Statement(KEY, ciphertexts, commitments(used, s), result, CONTEXT)
    return Proved(weights, statement, weights.prove(statement, used, rho, s))


def of_key() -> Proved:
    statement = key.Statement(KEY, CONTEXT)
    return Proved(key, statement, key.prove(statement, TOY))


COMMITTEE = deal_from_primes(*safe_primes(512), parties=3, threshold=2, toy_key_for_tests=True)


def of_decryption() -> Proved:
    committee, shares = COMMITTEE
    ciphertext, _ = committee.public_key.encrypt(99)
    partial = shares[0].partial_decrypt(ciphertext, CONTEXT)
    return Proved(decryption, committee.statement(ciphertext, partial, CONTEXT), partial.proof)


KINDS: dict[str, Callable[[], Proved]] = {
    "plaintext": of_plaintext,
    "link": of_link,
    "range": of_range,
    "committed range": of_committed_range,
    "weights": of_weights,
    "key": of_key,
    "decryption": of_decryption,
}
