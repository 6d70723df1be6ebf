"""Sealed answers: only the bank that asked can read a score, not the node that carries it.

Hybrid public-key encryption (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, about
128-bit security, not against quantum computers. The bank makes a key for each request; its public half is in the signed
request, whose identity is the ``info``, so a sealed answer opens for that request alone. Sealing does not say who
sealed: the proof inside does. The size of the answer is the same for every score.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from zkcore.errors import Malformed, Refused

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LABEL = b"zkshare score proof v1\x00"


class NotSealedToThis(Refused):
    """A sealed answer does not open: it was made for another request, or altered."""


class SealingKey:
    """The private half of a request's key. Secret: its repr shows nothing, and it serves one request."""

    def __init__(self) -> None:
        self._key = X25519PrivateKey.generate()

    def __repr__(self) -> str:
        return "<SealingKey, hidden>"

    def __reduce__(self) -> str:
        raise TypeError("a sealing key is not serialised")

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes (RFC 7748)."""
        return self._key.public_key().public_bytes_raw()

    def open(self, request_id: bytes, sealed: bytes) -> bytes:
        """What was sealed for this request; raises :class:`NotSealedToThis`."""
        try:
            return _SUITE.decrypt(sealed, self._key, info=_LABEL + request_id)
        except (InvalidTag, ValueError):
            raise NotSealedToThis("sealed_proof", "it was made for another request, or altered") from None


def seal(public_key: bytes, request_id: bytes, content: bytes) -> bytes:
    """Content that only the holder of the request's key can read; raises Malformed for a key that is none."""
    try:
        return _SUITE.encrypt(content, X25519PublicKey.from_public_bytes(public_key), info=_LABEL + request_id)
    except ValueError:
        raise Malformed("sealing_key", "not an X25519 public key") from None
