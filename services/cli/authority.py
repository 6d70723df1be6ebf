"""``zkshare authority``: the network's certificate authority, and the certificates that it issues."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.asking import telling
from services.cli.output import AsJson, read_bytes, say

if TYPE_CHECKING:
    from services.identity import Role

app = typer.Typer(no_args_is_help=True, add_completion=False)

Place = Annotated[Path, typer.Argument(metavar="AUTHORITY", help="The authority's folder, with its secret key.")]

RoleName = Annotated[
    str, typer.Argument(metavar="ROLE", help="operator, trustee, department, enterprise, bank or tax_agency.")
]
PartyName = Annotated[str, typer.Argument(metavar="NAME", help="The party's name.")]
Hosts = Annotated[list[str] | None, typer.Option(help="Host name or address that it serves at; may be repeated.")]
Days = Annotated[int, typer.Option(min=1, help="How long the certificate is valid.")]


@app.callback()
def authority_app() -> None:
    """The network's certificate authority: who it says is a trustee, a bank, an enterprise, is one."""


@app.command("create")
def create(
    folder: Place,
    days: Annotated[int, typer.Option(min=1, help="How long it is valid.")] = 3650,
    as_json: AsJson = False,
) -> None:
    """Make an authority: its certificate, authority.pem, is for everybody; key.pem is the network's deepest secret."""
    from datetime import timedelta

    from services.certificate_authority import CertificateAuthority

    with telling(as_json):
        made = CertificateAuthority.create(timedelta(days=days))
        made.save(folder)
    data = {"fingerprint": made.fingerprint.hex(), "folder": str(folder)}
    say(as_json, data, f"authority {made.fingerprint.hex()}: {folder}")


@app.command("request")
def request(
    folder: Annotated[Path, typer.Argument(help="New folder of the identity; the key that is made there stays there.")],
    as_json: AsJson = False,
) -> None:
    """Make a party's key and a request for its certificate, on the party's own machine; send request.pem alone."""
    from services import certificate_requests

    with telling(as_json):
        file = certificate_requests.request(folder)
    say(as_json, {"request": str(file)}, f"send this to the authority: {file}")


@app.command("sign")
def sign(
    folder: Place,
    request_file: Annotated[Path, typer.Argument(metavar="REQUEST", help="The party's request.pem.")],
    role: RoleName,
    name: PartyName,
    out: Annotated[Path, typer.Argument(help="Folder for certificate.pem and authority.pem, to be sent back.")],
    host: Hosts = None,
    days: Days = 365,
    as_json: AsJson = False,
) -> None:
    """Issue a certificate on a request; make sure first, by another way, that it comes from this party."""
    from datetime import timedelta

    from services.certificate_authority import LOOPBACK, CertificateAuthority
    from services.certificate_requests import requested_key
    from services.files import write_atomically
    from services.identity import AUTHORITY_FILE, CERTIFICATE_FILE

    with telling(as_json):
        issuer, key = CertificateAuthority.load(folder), requested_key(read_bytes(request_file))
        peer = issuer.certify(key, _role(role), name, [*LOOPBACK, *(host or [])], timedelta(days=days))
        write_atomically(out / CERTIFICATE_FILE, peer.to_pem())
        write_atomically(out / AUTHORITY_FILE, issuer.to_pem())
    until = peer.x509.not_valid_after_utc.isoformat()
    data = {"uri": peer.uri, "valid_until": until, "folder": str(out)}
    say(as_json, data, f"{peer.uri} until {until}: {out}")


@app.command("issue")
def issue(
    folder: Place,
    role: RoleName,
    name: PartyName,
    out: Annotated[Path, typer.Argument(help="New folder for the identity: certificate, secret key, authority.")],
    host: Hosts = None,
    days: Days = 365,
    as_json: AsJson = False,
) -> None:
    """Make key and certificate at once, for a party of one's own; other parties make their keys with `request`."""
    from datetime import timedelta

    from services.certificate_authority import LOOPBACK, CertificateAuthority
    from zkcore.errors import Malformed

    with telling(as_json):
        if out.exists():
            raise Malformed(str(out), "exists already; keys are never overwritten, name a new folder")
        issuer = CertificateAuthority.load(folder)
        identity = issuer.issue(_role(role), name, [*LOOPBACK, *(host or [])], timedelta(days=days))
        identity.save(out)
    until = identity.peer.x509.not_valid_after_utc.isoformat()
    data = {"uri": identity.peer.uri, "valid_until": until, "folder": str(out)}
    say(as_json, data, f"{identity.peer.uri} until {until}: {out}")


@app.command("revoke")
def revoke(
    folder: Place,
    certificate: Annotated[list[Path], typer.Argument(help="The certificate.pem of each identity to take back.")],
    as_json: AsJson = False,
) -> None:
    """Take certificates back, from now on: adds to revoked.pem in the authority's folder, and never removes.

    Give every party the file, into its folder of the network's parameters; those that run read it within a second.
    """
    from services.certificate_authority import CertificateAuthority
    from services.identity import PeerIdentity
    from services.revocation import REVOKED_FILE

    with telling(as_json):
        peers = [PeerIdentity.from_pem(read_bytes(path)) for path in certificate]
        count = CertificateAuthority.load(folder).revoke(peers, folder / REVOKED_FILE)
    file, uris = folder / REVOKED_FILE, [peer.uri for peer in peers]
    data = {"revoked": uris, "file": str(file), "certificates": count}
    say(as_json, data, f"revoked {', '.join(uris)}; give every party {file} ({count} certificates)")


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(help="Folder of an identity.")],
    within: Annotated[int, typer.Option(help="Exit status 1 if it ends within so many days.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say whose an identity is and until when: for a timer that reminds of renewals."""
    from datetime import UTC, datetime, timedelta

    from services.identity import Identity

    with telling(as_json):
        peer = Identity.load(folder).peer
    ends = peer.x509.not_valid_after_utc
    soon = ends <= datetime.now(UTC) + timedelta(days=within)
    say(
        as_json,
        {"uri": peer.uri, "valid_until": ends.isoformat(), "soon": soon},
        f"{peer.uri} until {ends.isoformat()}",
    )
    raise typer.Exit(1 if soon else 0)


def _role(name: str) -> "Role":
    from services.identity import Role
    from zkcore.errors import Malformed

    if name not in set(Role):
        raise Malformed("ROLE", f"{name!r} is none of {', '.join(Role)}")
    return Role(name)
