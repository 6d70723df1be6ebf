"""Certificates that the authority took back: its list (RFC 5280, section 5), read anew whenever its file changes.

The file is ``revoked.pem`` in the folder of the network's parameters. It is signed by the authority, so it may come by
any way, and it only ever grows: a party that runs keeps what it has read, whatever becomes of the file. Where there is
no file nothing is revoked, so a party is as up to date as the file it was given; the list's own time to live is not
looked at.
"""

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.files import write_atomically
from zkcore.errors import Malformed

REVOKED_FILE = "revoked.pem"
LOOK_SECONDS = 1.0
"""How often a party looks whether the file has changed."""
LONGEST = 16 * 2**20

_log = structlog.get_logger("zkshare.revocation")


class RevokedCertificates:
    """When certificates were revoked, by their serial numbers; threads may share it.

    Parameters
    ----------
    file
        The authority's list; None for none.
    authority
        Certificate of the authority that must have signed it.
    """

    def __init__(self, file: Path | None, authority: x509.Certificate) -> None:
        self._file = file
        self._authority = authority
        self._lock = threading.Lock()
        self._known: dict[int, datetime] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0
        if file is not None and file.exists():
            self._stamp = _stamp(file)
            self._known = read(file, authority)

    def since(self, serial: int) -> datetime | None:
        """When the certificate of this serial number was revoked; None if it was not."""
        if self._file is not None and time.monotonic() - self._looked > LOOK_SECONDS:
            with self._lock:
                self._looked = time.monotonic()
                self._read_anew(self._file)
        return self._known.get(serial)

    def _read_anew(self, file: Path) -> None:
        try:
            stamp = _stamp(file)
            if stamp != self._stamp:
                self._known = {**read(file, self._authority), **self._known}
                self._stamp = stamp
                _log.info("revocations read", certificates=len(self._known))
        except FileNotFoundError:
            return
        except (OSError, Malformed) as error:
            _log.error("revocations cannot be read; those known before hold", why=str(error))


def read(file: Path, authority: x509.Certificate) -> dict[int, datetime]:
    """The serial numbers in a list and when each was revoked. Raises Malformed, or OSError if it cannot be read."""
    content = file.read_bytes()
    if len(content) > LONGEST:
        raise Malformed(file.name, f"has more than {LONGEST} bytes")
    try:
        listed = x509.load_pem_x509_crl(content)
        key = authority.public_key()
        genuine = isinstance(key, ec.EllipticCurvePublicKey) and listed.is_signature_valid(key)
        if not genuine or listed.issuer != authority.subject:
            raise Malformed(file.name, "is not signed by the network's authority")
        return {revoked.serial_number: revoked.revocation_date_utc for revoked in listed}
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Malformed(file.name, "is no list of revoked certificates") from None


def write(
    file: Path, revoked: Mapping[int, datetime], authority: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """Sign a list and write it. Nobody looks at its time to live; RFC 5280 wants one."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now)
        .next_update(now + timedelta(days=3650))
    )
    for serial, at in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        builder = builder.add_revoked_certificate(entry)
    write_atomically(file, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size
