"""``zkshare receipt``: receipts of aggregate queries."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import AsJson, malformed, read_bytes, say
from zkcore.errors import Refused

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def receipt_app() -> None:
    """Receipts of aggregate queries."""


@app.command("verify")
def receipt_verify(
    receipt: Annotated[Path, typer.Argument(help="The receipt's file.")],
    authority: Annotated[
        Path | None, typer.Option(help="Certificate of the network's authority; authority.pem beside the receipt.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option(help="Ledger file, or URL of a JSON-RPC endpoint; ledger.sqlite beside the receipt.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="Address of the registry contract; the one in registry.txt beside the receipt.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the receipt of an aggregate query, offline but for the ledger, and show its answer."""
    from web3 import HTTPProvider

    from services import receipts
    from services.identity import Authority
    from services.ledger import EmbeddedProvider, Ledger
    from services.query import Unsupported
    from services.receipt_text import explain, readable
    from zkcore.errors import Malformed, OutOfRange, WrongLength

    beside = receipt.parent
    try:
        content = read_bytes(receipt)
        trusted = Authority.from_pem(read_bytes(authority or beside / "authority.pem"))
        where = ledger or str(beside / "ledger.sqlite")
        address = registry or read_bytes(beside / "registry.txt").decode("ascii", "replace").strip()
        provider = HTTPProvider(where) if "://" in where else EmbeddedProvider(Path(where), read_only=True)
        chain = Ledger(provider, address)
    except (Refused, ValueError, OSError) as error:
        malformed(as_json, str(error))
    try:
        verified = receipts.verify(content, trusted, chain)
    except (Malformed, WrongLength, OutOfRange, Unsupported) as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except Refused as error:
        data = {"valid": False, "check": error.check, "part": error.part, "why": error.why}
        say(as_json, data, f"invalid: {error}")
        raise typer.Exit(1) from None
    rows = [
        {
            "group": "(other)" if row.other else ", ".join(row.group),
            "records": row.count,
            "values": dict(zip(verified.columns, (readable(value) for value in row.values), strict=True)),
        }
        for row in verified.rows
    ]
    data = {
        "valid": True,
        "query": verified.query.text,
        "querier": verified.querier,
        "operator": verified.operator.uri,
        "time": verified.time.isoformat(),
        "head": {"size": verified.head.size, "root": verified.head.root.hex()},
        "trustees": list(verified.trustees),
        "answers": rows,
        "withheld": [", ".join(group) for group in verified.withheld],
    }
    say(as_json, data, "\n".join(explain(verified)))
