"""Who a party is: X.509 certificates (RFC 5280), mutual TLS for gRPC, and signatures with the same key.

A party is a *role* and a *name*, written as the URI ``zkshare://<role>/<name>`` in its certificate's subject
alternative names; an enterprise's name is the subject of its records. Keys are ECDSA P-256 (about 128-bit security),
signatures SHA-256 with RFC 6979 nonces, 64 bytes ``r || s`` with the smaller ``s``, over a message that names its
purpose so that a signature made for one cannot serve another. Private-key arithmetic is OpenSSL's, constant-time for
this curve. Connections use TLS 1.3 and nothing older (set in ``services/__init__.py``).

An authority issues the certificates (:mod:`services.certificate_authority` is a development one), and what it took
back stands on a list of its own (:mod:`services.revocation`), which :class:`Authority` looks at. Nothing here protects
a machine whose key file was read.
"""

import os
import ssl
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote, unquote

import grpc
import grpc.aio
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.files import read_secret, write_secret
from services.revocation import RevokedCertificates
from zkcore.errors import Malformed, Refused, WrongLength

P256_ORDER = 2**256 - 2**224 + 2**192 - 0x4319055258E8617B0C46353D039CDAAF
"""Order of P-256's group (FIPS 186-5, SP 800-186)."""

SIGNATURE_SIZE = 64
"""Bytes of a signature."""

CERTIFICATE_FILE, KEY_FILE, AUTHORITY_FILE = "certificate.pem", "key.pem", "authority.pem"
LONGEST_NAME = 200

UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What parsing a malformed certificate may raise."""


class NotIssuedByAuthority(Refused):
    """A certificate does not come from the authority that is trusted."""


class OutsideValidity(Refused):
    """A certificate is used before or after the time it is valid for."""


class Revoked(Refused):
    """A certificate was taken back by its authority before the time it is used at."""


class WrongUsage(Refused):
    """A certificate was issued for another use, or with a kind of key that is not used here."""


class Unauthenticated(Refused):
    """A call came without a client certificate."""


class Role(StrEnum):
    """What a party may be."""

    ADMIN = "admin"
    OPERATOR = "operator"
    TRUSTEE = "trustee"
    DEPARTMENT = "department"
    ENTERPRISE = "enterprise"
    BANK = "bank"
    TAX_AGENCY = "tax_agency"


class CallContext(Protocol):
    """The part of a gRPC servicer context that says who calls."""

    def auth_context(self) -> Any:
        """Properties of the transport's authenticated peer, each a list of byte strings."""


@dataclass(frozen=True)
class PeerIdentity:
    """A party as others see it: its certificate, read strictly.

    Being well-formed is all that this type promises; :meth:`Authority.check` says whether the certificate is genuine.
    """

    certificate: bytes
    """X.509 certificate, DER."""

    def __post_init__(self) -> None:
        self._public_key, self._party  # noqa: B018  # read once now, so that a malformed certificate has no PeerIdentity

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read from PEM. Raises Malformed or WrongUsage."""
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except UNREADABLE:
            raise Malformed("certificate", "not a PEM certificate") from None
        return cls(certificate.public_bytes(serialization.Encoding.DER))

    def to_pem(self) -> bytes:
        """The certificate in PEM."""
        return self.x509.public_bytes(serialization.Encoding.PEM)

    @property
    def role(self) -> Role:
        """What the party is."""
        return self._party[0]

    @property
    def name(self) -> str:
        """Its name; for an enterprise the subject of its records."""
        return self._party[1]

    @cached_property
    def uri(self) -> str:
        """``zkshare://<role>/<name>``, the name percent-encoded."""
        return party_uri(self.role, self.name)

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of what the authority signed (32 bytes), the same however its signature is written."""
        return sha256(self.x509.tbs_certificate_bytes).digest()

    @cached_property
    def x509(self) -> x509.Certificate:
        """The parsed certificate."""
        try:
            certificate = x509.load_der_x509_certificate(self.certificate)
        except UNREADABLE:
            raise Malformed("certificate", "not a DER certificate") from None
        # The parser takes a signature whose length in bits is not whole bytes; nobody writes one but to make a variant.
        if not self.certificate.endswith(b"\0" + certificate.signature):
            raise Malformed("certificate", "not a DER certificate")
        return certificate

    def verify(self, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether this party signed ``message`` for ``purpose``. Raises WrongLength or Malformed on a bad encoding."""
        if len(signature) != SIGNATURE_SIZE:
            raise WrongLength("signature", f"a signature has {SIGNATURE_SIZE} bytes, not {len(signature)}")
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if not (0 < r < P256_ORDER and 0 < s <= P256_ORDER // 2):
            raise Malformed("signature", "r or s is out of range, or s is not the smaller of its two values")
        try:
            self._public_key.verify(encode_dss_signature(r, s), _signed(purpose, message), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def check_time(self, at: datetime) -> None:
        """Raise OutsideValidity unless the certificate is valid at that time."""
        if not self.x509.not_valid_before_utc <= at <= self.x509.not_valid_after_utc:
            raise OutsideValidity("certificate", f"{self.uri} is not valid at {at.isoformat()}")

    @cached_property
    def _public_key(self) -> ec.EllipticCurvePublicKey:
        return _p256_public_key(self.x509)

    @cached_property
    def _party(self) -> tuple[Role, str]:
        _check_leaf_usage(self.x509)
        try:
            names = self.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, *UNREADABLE):
            raise Malformed("certificate", "no subject alternative names") from None
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        if len(uris) != 1:
            raise Malformed("certificate", "exactly one URI must name the party")
        return parse_party_uri(uris[0])


class Identity:
    """A party's own certificate and private key. Secret: its repr shows neither key nor path."""

    def __init__(self, peer: PeerIdentity, key: ec.EllipticCurvePrivateKey, authority: "Authority") -> None:
        if key.public_key() != peer._public_key:
            raise Malformed("key", "the private key does not belong to the certificate")
        self.peer = peer
        self.authority = authority
        self._key = key

    def __repr__(self) -> str:
        return f"<Identity {self.peer.uri}, key hidden>"

    def __reduce__(self) -> str:
        raise TypeError("an identity is not serialised by accident; use save()")

    @property
    def role(self) -> Role:
        """What the party is."""
        return self.peer.role

    @property
    def name(self) -> str:
        """Its name."""
        return self.peer.name

    def sign(self, purpose: str, message: bytes) -> bytes:
        """Sign ``message`` for ``purpose`` (e.g. ``"aggregate receipt"``): 64 bytes r || s."""
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self._key.sign(_signed(purpose, message), algorithm))
        return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")

    def server_credentials(self) -> grpc.ServerCredentials:
        """Credentials of a gRPC server that admits only callers with a certificate of the same authority."""
        return grpc.ssl_server_credentials(
            [(key_pem(self._key), self.peer.to_pem())],
            root_certificates=self.authority.to_pem(),
            require_client_auth=True,
        )

    def web_context(self) -> ssl.SSLContext:
        """TLS 1.3 of an HTTPS server; a client may come without a certificate, or with one of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.authority.to_pem().decode())
        self._show(context)
        return context

    def _show(self, context: ssl.SSLContext) -> None:
        """Puts certificate and key into a context. OpenSSL takes a key from a file only: one in memory, unnamed."""
        descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(key_pem(self._key) + self.peer.to_pem())
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)

    def client_context(self) -> ssl.SSLContext:
        """TLS 1.3 of a client that shows this identity, for a server of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=self.authority.to_pem().decode())
        context.set_alpn_protocols(["h2"])
        self._show(context)
        return context

    def channel_credentials(self, server: PeerIdentity | None = None) -> grpc.ChannelCredentials:
        """Credentials of a gRPC client that shows this identity. Use :meth:`channel` to pin the server's as well.

        With `server`, no certificate but that one is taken: gRPC accepts a chain that ends in what it is told to trust,
        and from a certificate that is no authority's none goes on.
        """
        trusted = self.authority.to_pem() if server is None else server.to_pem()
        return grpc.ssl_channel_credentials(trusted, key_pem(self._key), self.peer.to_pem())

    def channel(
        self,
        target: str,
        role: Role,
        name: str,
        options: Sequence[tuple[str, Any]] = (),
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        server: PeerIdentity | None = None,
    ) -> grpc.aio.Channel:
        """Channel to the server ``role``/``name`` at ``target``; a server with any other identity is not talked to.

        With `server`, nor is one with any other certificate.
        """
        pinned = ("grpc.ssl_target_name_override", server_name(role, name))
        credentials = self.channel_credentials(server)
        return grpc.aio.secure_channel(target, credentials, [*options, pinned], interceptors=interceptors)

    def save(self, directory: Path) -> None:
        """Write certificate, key (mode 0600) and the authority's certificate into a directory (made, mode 0700)."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(directory / KEY_FILE, key_pem(self._key))
        (directory / CERTIFICATE_FILE).write_bytes(self.peer.to_pem())
        (directory / AUTHORITY_FILE).write_bytes(self.authority.to_pem())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote. Refuses a key file that others may read."""
        key = read_key(directory / KEY_FILE)
        authority = Authority.from_pem((directory / AUTHORITY_FILE).read_bytes())
        return cls(PeerIdentity.from_pem((directory / CERTIFICATE_FILE).read_bytes()), key, authority)


class Authority:
    """The certificate authority's public side: what every verifier trusts.

    Parameters
    ----------
    revoked
        File of the certificates that it took back; there need not be one yet.

    Raises
    ------
    Malformed, WrongUsage, OSError
        The certificate is no authority's; the list is not one of this authority, or cannot be read.
    """

    def __init__(self, certificate: x509.Certificate, revoked: Path | None = None) -> None:
        try:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        except (x509.ExtensionNotFound, *UNREADABLE):
            raise WrongUsage("authority", "not the certificate of an authority") from None
        if not (constraints.ca and usage.key_cert_sign):
            raise WrongUsage("authority", "not the certificate of an authority")
        _p256_public_key(certificate)
        self._certificate = certificate
        self._revoked = RevokedCertificates(revoked, certificate)

    @classmethod
    def from_pem(cls, pem: bytes, revoked: Path | None = None) -> "Authority":
        """Read the authority's certificate. Raises Malformed or WrongUsage."""
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except UNREADABLE:
            raise Malformed("authority", "not a PEM certificate") from None
        return Authority(certificate, revoked)

    def to_pem(self) -> bytes:
        """The authority's certificate in PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the authority's certificate (32 bytes)."""
        return self._certificate.fingerprint(hashes.SHA256())

    def issued(self, certificate: bytes) -> PeerIdentity:
        """Read a DER certificate that must come from this authority, whatever the time that it is valid for.

        Raises
        ------
        Malformed, WrongUsage, NotIssuedByAuthority
        """
        peer = PeerIdentity(certificate)
        try:
            peer.x509.verify_directly_issued_by(self._certificate)
        except (TypeError, InvalidSignature, *UNREADABLE):
            raise NotIssuedByAuthority("certificate", f"{peer.uri} was issued by someone else") from None
        return peer

    def check(self, certificate: bytes, at: datetime | None = None) -> PeerIdentity:
        """Read a DER certificate that must come from this authority and be valid at a time (now when None).

        For a signature on a document of the past, ``at`` is the time the document was made.

        Raises
        ------
        Malformed, WrongUsage, NotIssuedByAuthority, OutsideValidity, Revoked
        """
        peer = self.issued(certificate)
        at = at or datetime.now(UTC)
        peer.check_time(at)
        self.check_revoked(peer, at)
        if not self._certificate.not_valid_before_utc <= at <= self._certificate.not_valid_after_utc:
            raise OutsideValidity("authority", f"the authority's certificate is not valid at {at.isoformat()}")
        return peer

    def is_revoked(self, peer: PeerIdentity) -> bool:
        """Whether a certificate of this authority was taken back."""
        since = self._revoked.since(peer.x509.serial_number)
        return since is not None and datetime.now(UTC) >= since

    def check_revoked(self, peer: PeerIdentity, at: datetime | None = None) -> None:
        """Raise Revoked if a certificate of this authority was taken back at that time (now when None)."""
        since = self._revoked.since(peer.x509.serial_number)
        if since is not None and (at or datetime.now(UTC)) >= since:
            raise Revoked("certificate", f"{peer.uri} was revoked at {since.isoformat()}")


def caller(context: CallContext, at: datetime | None = None) -> PeerIdentity:
    """The party that makes a gRPC call, from the certificate that its TLS connection was admitted with.

    The chain was checked in the handshake; here the certificate's usage, its URI and, since a connection may outlive
    it, its validity now (or ``at``).

    Raises
    ------
    Unauthenticated, Malformed, WrongUsage, OutsideValidity
    """
    properties = context.auth_context()
    pem = properties.get("x509_pem_cert")
    if properties.get("transport_security_type") != [b"ssl"] or not pem:
        raise Unauthenticated("caller", "the connection carries no client certificate")
    peer = _read_peer(pem[0])
    peer.check_time(at or datetime.now(UTC))
    return peer


def party_uri(role: Role, name: str) -> str:
    """``zkshare://<role>/<name>`` with the name percent-encoded. Raises Malformed for a name that cannot be one."""
    if not 0 < len(name) <= LONGEST_NAME or name != name.strip() or not name.isprintable():
        raise Malformed("name", f"a name has 1 to {LONGEST_NAME} printable characters and no space around it")
    if name != unicodedata.normalize("NFC", name):
        raise Malformed("name", "a name is written in Unicode's composed form (NFC)")
    return f"zkshare://{Role(role)}/{quote(name, safe='')}"


def parse_party_uri(uri: str) -> tuple[Role, str]:
    """Role and name of a party's URI, which must be written exactly as :func:`party_uri` writes it."""
    scheme, _, rest = uri.partition("://")
    role, _, name = rest.partition("/")
    if scheme != "zkshare" or role not in set(Role):
        raise Malformed("certificate", "its URI does not name a party of this system")
    party = Role(role), unquote(name)
    if party_uri(*party) != uri:
        raise Malformed("certificate", "its URI is not written in canonical form")
    return party


@lru_cache(maxsize=4096)
def _read_peer(pem: bytes) -> PeerIdentity:
    return PeerIdentity.from_pem(pem)


def server_name(role: Role, name: str) -> str:
    """DNS name that stands for a party in its certificate, so that a client can ask TLS for this party and no other."""
    return f"{sha256(party_uri(role, name).encode()).hexdigest()[:32]}.zkshare.internal"


def _signed(purpose: str, message: bytes) -> bytes:
    label = purpose.encode()
    return b"zkshare signature v1\x00" + len(label).to_bytes(2, "big") + label + message


def _check_leaf_usage(certificate: x509.Certificate) -> None:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        raise WrongUsage("certificate", "it does not say what it may be used for") from None
    if constraints.ca or not usage.digital_signature or ExtendedKeyUsageOID.CLIENT_AUTH not in extended:
        raise WrongUsage("certificate", "it was not issued to a party of this system")


def _p256_public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    try:
        key = certificate.public_key()
    except UNREADABLE:
        raise Malformed("certificate", "its public key is malformed") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise WrongUsage("certificate", "its key is not on P-256")
    return key


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key in PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in a file that others may not read. Raises Malformed, WrongUsage or OSError."""
    try:
        key = serialization.load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise error if isinstance(error, Refused) else Malformed(path.name, "not a private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise WrongUsage(path.name, "the key is not on P-256")
    return key
