"""Requests for certificates (PKCS #10, RFC 2986): a party makes its key itself, and the authority never sees it.

A request shows the public key and proves possession of the private one; nothing else in it is believed. Role, name and
hosts are what the authority's keeper says who was asked, out of band, whose request it is.
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.files import write_atomically, write_secret
from services.identity import KEY_FILE, key_pem
from zkcore.errors import Malformed

REQUEST_FILE = "request.pem"


def request(folder: Path) -> Path:
    """Make a key (mode 0600) in a folder of one's own, and the request that goes to the authority; returns its file.

    Raises FileExistsError if the folder has a key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(folder / KEY_FILE, key_pem(key))
    signed = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    write_atomically(folder / REQUEST_FILE, signed.public_bytes(serialization.Encoding.PEM))
    return folder / REQUEST_FILE


def requested_key(encoded: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a request whose maker holds the private one; raises Malformed."""
    try:
        read = x509.load_pem_x509_csr(encoded)
        key = read.public_key()
        holds = read.is_signature_valid
    except ValueError:
        raise Malformed("request", "is not a request for a certificate in PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Malformed("request", "its key is not on P-256")
    if not holds:
        raise Malformed("request", "it is not signed by its own key")
    return key
