"""Sealed answers open for the request they were made for, and hide what they hold."""

import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from services.sealing import NotSealedToThis, SealingKey, seal
from zkcore.errors import Malformed

REQUEST, OTHER = b"\x01" * 32, b"\x02" * 32


def test_opens_for_its_request_alone() -> None:
    key = SealingKey()
    sealed = seal(key.public, REQUEST, b"content")
    assert key.open(REQUEST, sealed) == b"content"
    assert b"content" not in sealed and seal(key.public, REQUEST, b"content") != sealed
    with pytest.raises(NotSealedToThis):
        key.open(OTHER, sealed)
    with pytest.raises(NotSealedToThis):
        SealingKey().open(REQUEST, sealed)


def test_every_altered_byte_is_noticed() -> None:
    key = SealingKey()
    sealed = seal(key.public, REQUEST, b"content")
    for index in range(len(sealed)):
        altered = bytearray(sealed)
        altered[index] ^= 1
        with pytest.raises(NotSealedToThis):
            key.open(REQUEST, bytes(altered))
    for cut in (b"", sealed[:20], sealed[:-1], sealed + b"\x00"):
        with pytest.raises(NotSealedToThis):
            key.open(REQUEST, cut)


@pytest.mark.parametrize("bad", [b"", b"\x01" * 31, bytes(32)])
def test_refuses_keys_that_are_none(bad: bytes) -> None:
    with pytest.raises(Malformed):
        seal(bad, REQUEST, b"content")


def test_the_key_stays_hidden() -> None:
    key = SealingKey()
    assert repr(key) == "<SealingKey, hidden>"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def expand(secret: bytes, info: bytes, size: int) -> bytes:
    output = block = b""
    while len(output) < size:
        mac = HMAC(secret, SHA256())
        mac.update(block + info + bytes([len(output) // 32 + 1]))
        block = mac.finalize()
        output += block
    return output[:size]


def extract(salt: bytes, secret: bytes) -> bytes:
    mac = HMAC(salt or bytes(32), SHA256())
    mac.update(secret)
    return mac.finalize()


def test_follows_rfc_9180() -> None:
    """Opened by a second implementation, written from the RFC's sections 4.1 and 5.1 with HKDF and AES-GCM alone."""
    key = SealingKey()
    sealed = seal(key.public, REQUEST, b"content")
    private: X25519PrivateKey = key._key
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    encapsulated, ciphertext = sealed[:32], sealed[32:]
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    kem, suite = b"KEM" + (0x20).to_bytes(2, "big"), b"HPKE" + bytes([0, 0x20, 0, 1, 0, 2])

    def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
        return extract(salt, b"HPKE-v1" + suite_id + label + secret)

    def labeled_expand(suite_id: bytes, secret: bytes, label: bytes, info: bytes, size: int) -> bytes:
        return expand(secret, size.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info, size)

    eae = labeled_extract(kem, b"", b"eae_prk", shared)
    secret = labeled_expand(kem, eae, b"shared_secret", encapsulated + key.public, 32)
    info = b"zkshare score proof v1\x00" + REQUEST
    context = (
        b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(suite, b"", b"info_hash", info)
    )
    schedule = labeled_extract(suite, secret, b"secret", b"")
    aead_key = labeled_expand(suite, schedule, b"key", context, 32)
    nonce = labeled_expand(suite, schedule, b"base_nonce", context, 12)
    assert AESGCM(aead_key).decrypt(nonce, ciphertext, b"") == b"content"
