"""``zkshare receipt``: receipts of queries, of filings and of scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from services.cli.asking import Config, Directory, advised
from services.cli.output import AsJson, malformed, read_bytes, say
from zkcore.errors import Malformed, Refused

if TYPE_CHECKING:
    from services.identity import Authority
    from services.ledger import Ledger

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def receipt_app() -> None:
    """Receipts of queries, of filings and of scores."""


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
    network: Annotated[
        Path | None, typer.Option(help="Folder of the network's public parameters; needed for filings and scores.")
    ] = None,
    config: Config = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt, offline but for the ledger, and show what it proves.

    Where authority, ledger and registry are is said by options, by your TOML file, by the folder of a local network, or
    by files beside the receipt; if nothing is said and nothing lies there, by the usual folder of a local network.
    """
    try:
        content = read_bytes(receipt)
        if not (authority or ledger or registry or network):
            config = config or _client_file(receipt, directory)
        if config is not None:
            held = _configured(config)
        else:
            held = _told(receipt.parent, authority, ledger, registry, network)
    except Refused as error:
        malformed(as_json, advised(error, str(error)), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    try:
        data, lines = _verified(content, held)
    except Refused as error:
        _end(error, as_json)
    say(as_json, {"valid": True} | data, "\n".join(lines))


def _client_file(receipt: Path, directory: Path | None) -> Path | None:
    """A configuration that says where authority, ledger and registry are; None if they lie beside the receipt."""
    from services.local.folder import Folder, default_folder

    if directory is None and any((receipt.parent / name).exists() for name in ("authority.pem", "registry.txt")):
        return None
    folder = Folder(directory or default_folder())
    if directory is None and not folder.is_set_up:
        return None
    folder.facts()
    return folder.tax_agency


class _Held(NamedTuple):
    """What a receipt is held against: the parameters' folder only if one was named."""

    authority: "Authority"
    ledger: "Ledger"
    network: Path | None


def _configured(config: Path) -> _Held:
    """What a party's configuration names."""
    from services.configuration import load_public
    from services.connection import open_ledger
    from services.parameter_files import load_authority

    network, place = load_public(config)
    ledger, _ = open_ledger(place)
    return _Held(load_authority(network), ledger, network)


def _told(
    beside: Path, authority: Path | None, ledger: str | None, registry: str | None, network: Path | None
) -> _Held:
    """What options name, or files beside the receipt."""
    from web3 import HTTPProvider

    from services.identity import Authority
    from services.ledger import EmbeddedProvider, Ledger
    from services.revocation import REVOKED_FILE

    folder = authority.parent if authority else network or beside
    trusted = Authority.from_pem(read_bytes(_there(authority or folder / "authority.pem")), folder / REVOKED_FILE)
    where = ledger or str(_there(beside / "ledger.sqlite"))
    address = registry or read_bytes(_there(beside / "registry.txt")).decode("ascii", "replace").strip()
    provider = HTTPProvider(where) if "://" in where else EmbeddedProvider(Path(where), read_only=True)
    return _Held(trusted, Ledger(provider, address), network)


def _there(path: Path) -> Path:
    if not path.exists():
        raise Malformed(
            str(path),
            "there is no such file; a receipt is held against its network's authority.pem, ledger.sqlite and "
            "registry.txt: put them beside it, or name them with --authority, --ledger and --registry",
        )
    return path


def _verified(content: bytes, held: _Held) -> tuple[dict[str, Any], list[str]]:
    """What a receipt proves, as data and in words."""
    from services import evidence, parameter_files, receipts
    from services.receipt_text import as_data, explain

    kind = evidence.kind(content)
    if kind is None:
        verified = receipts.verify(content, held.authority, held.ledger)
        return as_data(verified), explain(verified)
    if held.network is None:
        raise Malformed("--network", f"a {kind} is held against the network's public parameters; name their folder")
    parameters = parameter_files.load(held.network)
    parameters.check_published(held.ledger)
    if kind == evidence.FILING:
        filing = evidence.verify_filing(content, parameters)
        data = {
            "dataset": filing.dataset,
            "subject": filing.subject,
            "period": filing.period,
            "position": filing.receipt.position,
            "operator": filing.operator,
            "time": filing.receipt.time.isoformat(),
        }
        said = f"{filing.operator} took it at {filing.receipt.time.isoformat()} as entry {filing.receipt.position}"
        return data, [f"valid: {filing.subject}'s record of {filing.dataset} {filing.period}", said]
    score = evidence.verify_score(content, parameters, held.ledger)
    asked, passed = score.request, score.passed
    data = {
        "bank": asked.bank,
        "subject": asked.subject,
        "dataset": asked.dataset,
        "period": asked.period,
        "scorecard": asked.scorecard.name,
        "score": score.score,
        "cut_off": None if passed is None else asked.cut_off,
        "passes": passed,
    }
    outcome = f"score {score.score}" if passed is None else f"{'reaches' if passed else 'is below'} {asked.cut_off}"
    return data, [
        f"valid: {asked.subject}: {outcome}",
        f"asked by {asked.bank}, proved by {asked.subject}: {asked.scorecard.name} over {asked.dataset} {asked.period}",
    ]


def _end(error: Refused, as_json: bool) -> NoReturn:
    """Status 2 for what is malformed, 1 for what does not hold."""
    from services.query import Unsupported
    from zkcore.errors import OutOfRange, WrongLength

    if isinstance(error, Malformed | WrongLength | OutOfRange | Unsupported):
        malformed(as_json, str(error), check=error.check, part=error.part)
    data = {"valid": False, "check": error.check, "part": error.part, "why": error.why}
    say(as_json, data, f"invalid: {error}")
    raise typer.Exit(1)
