"""A development authority: one self-signed key in a file, no intermediate authorities; it issues certificates and takes
them back.

An institution's own authority can issue the same certificates: P-256, the URI, the DNS name by which clients pin the
party (the first 32 hexadecimal digits of the URI's SHA-256, then ``.zkshare.internal``), digital signature, client and
server authentication.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.files import write_secret
from services.identity import (
    AUTHORITY_FILE,
    KEY_FILE,
    Authority,
    Identity,
    PeerIdentity,
    Role,
    key_pem,
    party_uri,
    read_key,
    server_name,
)
from services.revocation import read, write
from zkcore.errors import Malformed

LOOPBACK = ("localhost", "127.0.0.1")
CLOCK_SKEW = timedelta(minutes=5)
"""How much before its making a certificate is valid, for parties whose clocks are behind."""


class CertificateAuthority(Authority):
    """A development authority: issues certificates with a key it keeps. Secret: its repr hides the key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        super().__init__(certificate)
        if key.public_key() != certificate.public_key():
            raise Malformed("key", "the private key does not belong to the authority's certificate")
        self._key = key

    def __repr__(self) -> str:
        return f"<CertificateAuthority {self.fingerprint.hex()[:16]}, key hidden>"

    def __reduce__(self) -> str:
        raise TypeError("an authority is not serialised by accident; use save()")

    @classmethod
    def create(cls, lifetime: timedelta = timedelta(days=3650), now: datetime | None = None) -> Self:
        """A new authority with a fresh key, valid from ``now`` (the present when None)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zkshare development authority")])
        certificate = (
            _certificate(subject, subject, key.public_key(), now or datetime.now(UTC), lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    def issue(
        self,
        role: Role,
        name: str,
        hosts: Iterable[str] = LOOPBACK,
        lifetime: timedelta = timedelta(days=365),
        now: datetime | None = None,
    ) -> Identity:
        """Make a key and a certificate for a party, good for client and server side of TLS and for signatures.

        Parameters
        ----------
        hosts
            Host names and IP addresses that the party serves at.
        now
            Time from which the certificate is valid (the present when None).
        """
        key = ec.generate_private_key(ec.SECP256R1())
        peer = self.certify(key.public_key(), role, name, hosts, lifetime, now)
        return Identity(peer, key, Authority(self._certificate))

    def certify(
        self,
        key: ec.EllipticCurvePublicKey,
        role: Role,
        name: str,
        hosts: Iterable[str] = LOOPBACK,
        lifetime: timedelta = timedelta(days=365),
        now: datetime | None = None,
    ) -> PeerIdentity:
        """A certificate for a party that made its key itself; parameters as for :meth:`issue`."""
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(party_uri(role, name)),
            x509.DNSName(server_name(role, name)),
            *map(_host_name, hosts),
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"zkshare {role}")])
        certificate = (
            _certificate(subject, self._certificate.subject, key, now or datetime.now(UTC), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_authority_key_identifier(self._certificate), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return PeerIdentity(certificate.public_bytes(serialization.Encoding.DER))

    def revoke(self, peers: Iterable[PeerIdentity], file: Path, now: datetime | None = None) -> int:
        """Put certificates on the list in a file, which is made where there is none; how many are on it then.

        One that is on it keeps its time. Raises NotIssuedByAuthority, Malformed or OSError; nothing is written then.
        """
        listed = dict(read(file, self._certificate)) if file.exists() else {}
        for peer in peers:
            self.issued(peer.certificate)
            listed.setdefault(peer.x509.serial_number, now or datetime.now(UTC))
        write(file, listed, self._certificate, self._key)
        return len(listed)

    def save(self, directory: Path) -> None:
        """Write the authority's certificate and key (mode 0600) into a directory (made, mode 0700)."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(directory / KEY_FILE, key_pem(self._key))
        (directory / AUTHORITY_FILE).write_bytes(self.to_pem())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote. Refuses a key file that others may read."""
        authority = Authority.from_pem((directory / AUTHORITY_FILE).read_bytes())
        return cls(authority._certificate, read_key(directory / KEY_FILE))


HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-zA-Z0-9_-]{1,63}(\.[a-zA-Z0-9_-]{1,63})*")
"""A host name (RFC 1123), with the underscore that some have."""


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        if not HOST_NAME.fullmatch(host):
            raise Malformed("host", f"{host!r} is neither an address nor a host's name") from None
        return x509.DNSName(host)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - CLOCK_SKEW)
        .not_valid_after(start + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
