"""Certificates, signatures and mutual TLS: what is accepted, and everything that must not be."""

import contextlib
import datetime
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, timedelta
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from services.certificate_authority import CertificateAuthority
from services.files import InsecureKeyFile
from services.identity import (
    KEY_FILE,
    P256_ORDER,
    Authority,
    Identity,
    NotIssuedByAuthority,
    OutsideValidity,
    PeerIdentity,
    Role,
    Unauthenticated,
    WrongUsage,
    caller,
    parse_party_uri,
    party_uri,
)
from zkcore.errors import Malformed, WrongLength

NOW = datetime.datetime.now(UTC)
AUTHORITY = CertificateAuthority.create(now=NOW - timedelta(days=9))
BANK = AUTHORITY.issue(Role.BANK, "Bank of Examples")


def certificate(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    signer: CertificateAuthority = AUTHORITY,
    uris: tuple[str, ...] = ("zkshare://bank/x",),
    usages: tuple[x509.ObjectIdentifier, ...] | None = (ExtendedKeyUsageOID.CLIENT_AUTH,),
    is_authority: bool = False,
    signs: bool = True,
) -> bytes:
    """A certificate that departs from what the authority issues in whatever way the test asks for (DER)."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]))
        .issuer_name(signer._certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.KeyUsage(signs, False, False, False, False, False, False, False, False), critical=True)
    )
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=True)
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_issued_certificate_names_the_party() -> None:
    for role in Role:
        identity = AUTHORITY.issue(role, "Société Générale & Co / 北京")
        peer = AUTHORITY.check(identity.peer.certificate)
        assert (peer.role, peer.name) == (role, "Société Générale & Co / 北京")
        assert peer == PeerIdentity.from_pem(identity.peer.to_pem())
        assert peer.uri.startswith(f"zkshare://{role}/Soci%C3%A9t%C3%A9%20")


def test_hosts_are_names_or_addresses() -> None:
    for host in ("", "a b", "https://node", "node:7443", "é.example", "x" * 64, ".".join(["x" * 60] * 5)):
        with pytest.raises(Malformed, match="neither an address nor a host's name"):
            AUTHORITY.issue(Role.BANK, "bank", [host])
    AUTHORITY.issue(Role.BANK, "bank", ["::1", "10.0.0.1", "node-1.example.org", "my_host"])


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_party_uri_is_one_to_one(name: str) -> None:
    try:
        uri = party_uri(Role.ENTERPRISE, name)
    except Malformed:
        return
    assert uri.isascii()
    assert parse_party_uri(uri) == (Role.ENTERPRISE, name)


@pytest.mark.parametrize("name", ["", " x", "x ", "a\nb", "a\0b", "e\u0301", "x" * 201, "\u202eevil"])
def test_names_that_could_be_mistaken_are_refused(name: str) -> None:
    with pytest.raises(Malformed):
        AUTHORITY.issue(Role.BANK, name)


@pytest.mark.parametrize(
    "uri",
    [
        "zkshare://king/x",
        "https://bank/x",
        "zkshare://bank/",
        "zkshare://bank",
        "zkshare://bank/a%2fb",
        "zkshare://bank/%41",
        "zkshare://bank/a/b",
        "zkshare://bank/%ff",
        "ZKSHARE://bank/x",
        "zkshare://Bank/x",
    ],
)
def test_uris_not_in_canonical_form_are_refused(uri: str) -> None:
    with pytest.raises(Malformed):
        PeerIdentity(certificate(uris=(uri,)))


def test_certificates_of_another_kind_are_refused() -> None:
    for refusal, der in (
        (Malformed, certificate(uris=())),
        (Malformed, certificate(uris=("zkshare://bank/x", "zkshare://bank/y"))),
        (WrongUsage, certificate(usages=None)),
        (WrongUsage, certificate(usages=(ExtendedKeyUsageOID.SERVER_AUTH,))),
        (WrongUsage, certificate(usages=(ExtendedKeyUsageOID.CODE_SIGNING,))),
        (WrongUsage, certificate(is_authority=True)),
        (WrongUsage, certificate(signs=False)),
        (WrongUsage, certificate(key=ec.generate_private_key(ec.SECP384R1()))),
        (WrongUsage, certificate(key=rsa.generate_private_key(65537, 2048))),
        (Malformed, b""),
        (Malformed, BANK.peer.certificate[:-1]),
        (Malformed, BANK.peer.certificate + b"\0"),
    ):
        with pytest.raises(refusal):
            AUTHORITY.check(der)
    assert AUTHORITY.check(certificate()).name == "x"


def test_certificate_of_another_authority_is_refused() -> None:
    other = CertificateAuthority.create()
    with pytest.raises(NotIssuedByAuthority):
        AUTHORITY.check(other.issue(Role.BANK, "Bank of Examples").peer.certificate)
    with pytest.raises(NotIssuedByAuthority):
        AUTHORITY.check(certificate(signer=other))
    with pytest.raises(WrongUsage):
        Authority.from_pem(BANK.peer.to_pem())
    with pytest.raises(Malformed):
        Authority.from_pem(b"no certificate")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_flipped_bit_anywhere_is_refused() -> None:
    whole = BANK.peer.certificate
    for bit in range(8 * len(whole)):
        changed = (int.from_bytes(whole, "big") ^ (1 << bit)).to_bytes(len(whole), "big")
        with pytest.raises((Malformed, WrongUsage, NotIssuedByAuthority)):
            AUTHORITY.check(changed)


def test_validity_is_checked_at_the_time_that_matters() -> None:
    short = AUTHORITY.issue(Role.BANK, "x", lifetime=timedelta(days=2), now=NOW - timedelta(days=3))
    with pytest.raises(OutsideValidity):
        AUTHORITY.check(short.peer.certificate)
    assert AUTHORITY.check(short.peer.certificate, at=NOW - timedelta(days=2)).name == "x"
    with pytest.raises(OutsideValidity):
        AUTHORITY.check(short.peer.certificate, at=NOW - timedelta(days=4))
    aged = CertificateAuthority.create(lifetime=timedelta(days=1))
    late = aged.issue(Role.BANK, "x", lifetime=timedelta(days=9))
    with pytest.raises(OutsideValidity):
        aged.check(late.peer.certificate, at=NOW + timedelta(days=3))


def test_order_of_p256() -> None:
    first = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
    last = ec.derive_private_key(P256_ORDER - 1, ec.SECP256R1()).public_key().public_numbers()
    assert first.x == last.x and first.y != last.y


def test_signature_binds_party_purpose_and_message() -> None:
    signature = BANK.sign("receipt", b"message")
    assert len(signature) == 64
    assert BANK.peer.verify("receipt", b"message", signature)
    assert not BANK.peer.verify("consent", b"message", signature)
    assert not BANK.peer.verify("receipt", b"massage", signature)
    assert not BANK.peer.verify("receip", b"tmessage", signature)
    assert not AUTHORITY.issue(Role.BANK, "Bank of Examples").peer.verify("receipt", b"message", signature)


def test_every_tampered_bit_of_a_signature_is_noticed() -> None:
    signature = BANK.sign("receipt", b"message")
    for bit in range(512):
        bad = (int.from_bytes(signature, "big") ^ (1 << bit)).to_bytes(64, "big")
        with contextlib.suppress(Malformed):
            assert not BANK.peer.verify("receipt", b"message", bad)


def test_signatures_out_of_range_or_with_the_larger_s_are_refused() -> None:
    r, s = BANK.sign("p", b"m")[:32], BANK.sign("p", b"m")[32:]
    larger = (P256_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    order = P256_ORDER.to_bytes(32, "big")
    for bad in (r + larger, bytes(32) + s, r + bytes(32), order + s, r + order, b"\xff" * 64):
        with pytest.raises(Malformed):
            BANK.peer.verify("p", b"m", bad)
    for bad in (b"", r, r + s + b"\0"):
        with pytest.raises(WrongLength):
            BANK.peer.verify("p", b"m", bad)


def test_signature_is_the_standard_one() -> None:
    """OpenSSL, given the message that the docstring describes, accepts the signature and makes the same r."""
    message = b"zkshare signature v1\x00" + b"\x00\x07receipt" + b"message"
    standard = BANK._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(standard)
    ours = BANK.sign("receipt", b"message")
    assert int.from_bytes(ours[:32], "big") == r
    assert int.from_bytes(ours[32:], "big") in (s, P256_ORDER - s)


@pytest.fixture
def files_for_everybody() -> Iterator[None]:
    """New files are readable and writable by all, unless their maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_files_are_private_and_load_again(tmp_path: Path, files_for_everybody: None) -> None:
    BANK.save(tmp_path / "bank")
    AUTHORITY.save(tmp_path / "authority")
    for place in ("bank", "authority"):
        assert stat.S_IMODE((tmp_path / place).stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / place / KEY_FILE).stat().st_mode) == 0o600
    again = Identity.load(tmp_path / "bank")
    assert BANK.peer.verify("p", b"m", again.sign("p", b"m"))
    issued = CertificateAuthority.load(tmp_path / "authority").issue(Role.TRUSTEE, "t")
    assert AUTHORITY.check(issued.peer.certificate).role is Role.TRUSTEE
    with pytest.raises(FileExistsError):
        BANK.save(tmp_path / "bank")
    (tmp_path / "bank" / KEY_FILE).chmod(0o640)
    with pytest.raises(InsecureKeyFile):
        Identity.load(tmp_path / "bank")


def test_key_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    BANK.save(tmp_path / "a")
    AUTHORITY.issue(Role.BANK, "other").save(tmp_path / "b")
    (tmp_path / "a" / KEY_FILE).unlink()
    (tmp_path / "b" / KEY_FILE).rename(tmp_path / "a" / KEY_FILE)
    with pytest.raises(Malformed):
        Identity.load(tmp_path / "a")
    (tmp_path / "a" / KEY_FILE).write_bytes(b"not a key")
    with pytest.raises(Malformed):
        Identity.load(tmp_path / "a")


def test_secrets_hide_themselves() -> None:
    import pickle

    for secret in (BANK, AUTHORITY):
        scalar = secret._key.private_numbers().private_value
        assert str(scalar) not in repr(secret) and f"{scalar:x}" not in repr(secret)
        with pytest.raises(TypeError):
            pickle.dumps(secret)


class Echo(grpc.GenericRpcHandler):
    """Answers with the party that called."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return caller(context).uri.encode()

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    node = AUTHORITY.issue(Role.OPERATOR, "node")
    number = server.add_secure_port("127.0.0.1:0", node.server_credentials())
    await server.start()
    yield number
    await server.stop(0)


async def ask(identity: Identity, port: int, role: Role = Role.OPERATOR, name: str = "node") -> bytes:
    async with identity.channel(f"127.0.0.1:{port}", role, name) as channel:
        return await channel.unary_unary("/test/Echo")(b"", timeout=10)


async def test_server_knows_its_caller(port: int) -> None:
    assert await ask(BANK, port) == BANK.peer.uri.encode()


async def test_server_turns_away_who_is_not_of_its_authority(port: int) -> None:
    stranger = CertificateAuthority.create().issue(Role.BANK, "Bank of Examples")
    trusting = Identity(stranger.peer, stranger._key, Authority(AUTHORITY._certificate))
    expired = AUTHORITY.issue(Role.BANK, "x", lifetime=timedelta(days=1), now=NOW - timedelta(days=2))
    for identity in (trusting, expired):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await ask(identity, port)
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    anonymous = grpc.ssl_channel_credentials(AUTHORITY.to_pem())
    async with grpc.aio.secure_channel(f"localhost:{port}", anonymous) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/test/Echo")(b"", timeout=10)


async def test_client_talks_only_to_the_party_it_asked_for(port: int) -> None:
    """Any party's certificate is good for localhost, so the client pins role and name."""
    for role, name in ((Role.OPERATOR, "other"), (Role.TRUSTEE, "node")):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await ask(BANK, port, role, name)
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    stranger = CertificateAuthority.create().issue(Role.BANK, "Bank of Examples")
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(stranger, port)


async def test_caller_without_certificate_is_refused() -> None:
    class Plain:
        def auth_context(self) -> dict[str, list[bytes]]:
            return {}

    class Insecure:
        def auth_context(self) -> dict[str, list[bytes]]:
            return {"transport_security_type": [b"insecure"], "x509_pem_cert": [BANK.peer.to_pem()]}

    class Tls:
        def auth_context(self) -> dict[str, list[bytes]]:
            return {"transport_security_type": [b"ssl"], "x509_pem_cert": [BANK.peer.to_pem()]}

    for context in (Plain(), Insecure()):
        with pytest.raises(Unauthenticated):
            caller(context)
    assert caller(Tls()).name == BANK.name
    with pytest.raises(OutsideValidity):
        caller(Tls(), at=NOW + timedelta(days=366))


SERVE = """
import services, asyncio, sys, pathlib, grpc
from services.identity import Identity
async def serve():
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", Identity.load(pathlib.Path(sys.argv[1])).server_credentials())
    await server.start()
    print(port, flush=True)
    await asyncio.sleep(60)
asyncio.run(serve())
"""


def test_nothing_older_than_tls_1_3_is_spoken(tmp_path: Path) -> None:
    AUTHORITY.issue(Role.OPERATOR, "node").save(tmp_path / "node")
    BANK.save(tmp_path / "bank")
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", SERVE, str(tmp_path / "node")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())

            def handshake(version: ssl.TLSVersion) -> str | None:
                context = ssl.create_default_context(cafile=tmp_path / "bank" / "authority.pem")
                context.load_cert_chain(tmp_path / "bank" / "certificate.pem", tmp_path / "bank" / "key.pem")
                context.minimum_version = context.maximum_version = version
                context.set_alpn_protocols(["h2"])
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
                    context.wrap_socket(plain, server_hostname="localhost") as wrapped,
                ):
                    return wrapped.version()

            assert handshake(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
            with pytest.raises((ssl.SSLError, ConnectionError)):
                handshake(ssl.TLSVersion.TLSv1_2)
        finally:
            server.kill()


def test_certificates_pass_openssl_own_verification() -> None:
    """An independent path validation (the webpki profile of the cryptography package) accepts what is issued."""
    from cryptography.x509.verification import PolicyBuilder, Store

    store = Store([AUTHORITY._certificate])
    verified = PolicyBuilder().store(store).build_client_verifier().verify(BANK.peer.x509, [])
    assert x509.UniformResourceIdentifier(BANK.peer.uri) in verified.subjects
