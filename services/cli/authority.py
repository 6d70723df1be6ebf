"""``zkshare authority``: the network's certificate authority, and the certificates that it issues."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.asking import telling
from services.cli.output import AsJson, say

app = typer.Typer(no_args_is_help=True, add_completion=False)

Place = Annotated[Path, typer.Argument(metavar="AUTHORITY", help="The authority's folder, with its secret key.")]


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

    from services.identity import CertificateAuthority

    with telling(as_json):
        made = CertificateAuthority.create(timedelta(days=days))
        made.save(folder)
    data = {"fingerprint": made.fingerprint.hex(), "folder": str(folder)}
    say(as_json, data, f"authority {made.fingerprint.hex()}: {folder}")


@app.command("issue")
def issue(
    folder: Place,
    role: Annotated[
        str, typer.Argument(help="operator, trustee, department, enterprise, bank, tax_agency or regulator.")
    ],
    name: Annotated[str, typer.Argument(help="The party's name.")],
    out: Annotated[Path, typer.Argument(help="New folder for the identity: certificate, secret key, authority.")],
    host: Annotated[
        list[str] | None, typer.Option(help="Host name or address that it serves at; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How long the certificate is valid.")] = 365,
    as_json: AsJson = False,
) -> None:
    """Issue an identity. To renew one, issue it again into a new folder, put that in the old one's place, restart."""
    from datetime import timedelta

    from services.identity import LOOPBACK, CertificateAuthority, Role
    from zkcore.errors import Malformed

    with telling(as_json):
        if role not in set(Role):
            raise Malformed("ROLE", f"{role!r} is none of {', '.join(Role)}")
        if out.exists():
            raise Malformed(str(out), "exists already; keys are never overwritten, name a new folder")
        issuer = CertificateAuthority.load(folder)
        identity = issuer.issue(Role(role), name, [*LOOPBACK, *(host or [])], timedelta(days=days))
        identity.save(out)
    until = identity.peer.x509.not_valid_after_utc.isoformat()
    say(
        as_json,
        {"uri": identity.peer.uri, "valid_until": until, "folder": str(out)},
        f"{identity.peer.uri} until {until}: {out}",
    )


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
