"""Keys of public test primes: "toy" has 512 bits and is for tests alone, the others have lengths that are in use."""

import json
from pathlib import Path

import pytest

from homomorphic.paillier import PrivateKey, PublicKey, randomness_base
from homomorphic.threshold import KeyShare, ThresholdKey, deal_from_primes

_VECTORS = json.loads((Path(__file__).parent.parent / "vectors/homomorphic/test_primes.json").read_text())


def safe_primes(bits: int) -> tuple[int, int]:
    p, q = (int(value, 16) for value in _VECTORS["safe_primes"][str(bits)])
    return p, q


def keypair(bits: int) -> PrivateKey:
    p, q = safe_primes(bits)
    return PrivateKey(p, q, PublicKey(p * q, randomness_base(p * q), toy_key_for_tests=bits < 2048))


@pytest.fixture(scope="session")
def toy() -> PrivateKey:
    return keypair(512)


@pytest.fixture(scope="session", params=[2048, 3072])
def private_key(request: pytest.FixtureRequest) -> PrivateKey:
    return keypair(request.param)


@pytest.fixture(scope="session")
def toy_committee() -> tuple[ThresholdKey, list[KeyShare]]:
    return deal_from_primes(*safe_primes(512), parties=5, threshold=3, toy_key_for_tests=True)


@pytest.fixture(scope="session")
def committee() -> tuple[ThresholdKey, list[KeyShare]]:
    return deal_from_primes(*safe_primes(3072), parties=3, threshold=2)
