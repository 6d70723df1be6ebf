"""Signed statements: what a party said, checkable by those who hear it from another.

A :class:`Signed` holds the exact bytes of a statement (a proto message in canonical serialization), an ECDSA P-256
signature over them under a purpose that names the kind of statement, and the signer's certificate. Who reads one holds
it to the certificate authority, so a node that passes it on can neither alter it nor make one up.
"""

import hashlib
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import Message

from services.access import validated
from services.api.zkshare.v1.identity_pb2 import Signed
from services.errors import BadSignature, Expired
from services.identity import Authority, Identity, PeerIdentity
from zkcore.errors import Malformed

M = TypeVar("M", bound=Message)

QUERY = "aggregate query"
SCORE_REQUEST = "score request"


def canonical(message: Message) -> bytes:
    """The one serialization of a message that statements and log entries use: fields in order of their numbers."""
    return message.SerializeToString(deterministic=True)


def parse_canonical(encoded: bytes, kind: type[M], part: str) -> M:
    """The message that `encoded` canonically serializes.

    Raises
    ------
    zkcore.errors.Malformed
        If the bytes are another serialization, hold a field that the message does not have, or break a rule of its
        proto.
    """
    message = validated(encoded, kind.FromString)
    message_without_unknown = kind()
    message_without_unknown.CopyFrom(message)
    message_without_unknown.DiscardUnknownFields()
    if canonical(message_without_unknown) != encoded:
        raise Malformed(part, "the bytes are not the canonical serialization of the message")
    return message


def sign(identity: Identity, purpose: str, statement: Message) -> Signed:
    """The statement with the identity's signature and certificate."""
    encoded = canonical(statement)
    return Signed(statement=encoded, signature=identity.sign(purpose, encoded), certificate=identity.peer.certificate)


def read(signed: Signed, purpose: str, kind: type[M], authority: Authority, now: float) -> tuple[M, PeerIdentity]:
    """The statement and who signed it.

    Parameters
    ----------
    purpose
        Kind of statement expected; the signature must have been made for it.
    now
        Time at which the certificate must be valid, seconds since 1970-01-01 UTC.

    Raises
    ------
    services.errors.BadSignature
        If the signature is not the certificate holder's over these bytes for this purpose.
    zkcore.errors.Refused
        If certificate or statement are malformed, or the certificate is not one of the authority's.
    """
    signer = authority.check(signed.certificate, datetime.fromtimestamp(now, UTC))
    if not signer.verify(purpose, signed.statement, signed.signature):
        raise BadSignature("signature", f"it is not {signer.uri}'s over this statement")
    return parse_canonical(signed.statement, kind, "statement"), signer


def digest(purpose: str, signed: Signed) -> bytes:
    """Identity of a statement: SHA-256 over its purpose and bytes, 32 bytes."""
    label = purpose.encode()
    return hashlib.sha256(
        b"zkshare statement v1\x00" + len(label).to_bytes(2, "big") + label + signed.statement
    ).digest()


def check_expiry(part: str, expires_at: int, now: float, longest: float) -> None:
    """Refuses a statement whose time is over, or that would last longer than `longest` seconds from now."""
    if expires_at <= now:
        raise Expired(part, "its time is over")
    if expires_at > now + longest:
        raise Expired(part, f"it would last longer than {longest:.0f} seconds")
