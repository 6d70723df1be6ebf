"""``zkshare registry``: the contract on the ledger, the accounts that write to it, and what is published there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.asking import telling
from services.cli.output import AsJson, say

if TYPE_CHECKING:
    from web3.providers.base import BaseProvider

    from services.identity import Role
    from services.ledger import Ledger

app = typer.Typer(no_args_is_help=True, add_completion=False)

Where = Annotated[str, typer.Option("--ledger", help="Ledger file, or URL of a JSON-RPC endpoint.")]
Address = Annotated[str, typer.Option("--registry", help="Address of the registry.")]
Key = Annotated[Path, typer.Option("--key", help="Key file of the administrator's account.")]


@app.callback()
def registry_app() -> None:
    """The registry on the ledger: who may write what, and what all parties agreed on."""


@app.command("account")
def account(
    file: Annotated[Path, typer.Argument(help="New key file, for its owner only.")], as_json: AsJson = False
) -> None:
    """Make an account to write to the ledger from; its address is for the administrator."""
    from services.ledger import LedgerAccount

    with telling(as_json):
        made = LedgerAccount.create()
        made.save(file)
    say(as_json, {"address": made.address, "file": str(file)}, made.address)


@app.command("deploy")
def deploy(ledger: Where, key: Key, as_json: AsJson = False) -> None:
    """Put a new registry on the ledger; the account becomes its administrator."""
    from services.ledger import Ledger, LedgerAccount

    with telling(as_json), _provider(ledger) as provider:
        made = Ledger.deploy(provider, LedgerAccount.load(key))
    say(as_json, {"registry": made.address}, made.address)


@app.command("grant")
def grant(
    role: Annotated[str, typer.Argument(help="operator, department, bank or admin.")],
    address: Annotated[str, typer.Argument(help="The account's address.")],
    ledger: Where,
    registry: Address,
    key: Key,
    as_json: AsJson = False,
) -> None:
    """Let an account write what its role writes."""
    with telling(as_json), _opened(ledger, registry, key) as opened:
        opened.grant(address, _role(role))
    say(as_json, {"role": role, "address": address}, f"{address} has the role {role}")


@app.command("revoke")
def revoke(
    role: Annotated[str, typer.Argument(help="operator, department, bank or admin.")],
    address: Annotated[str, typer.Argument(help="The account's address.")],
    ledger: Where,
    registry: Address,
    key: Key,
    as_json: AsJson = False,
) -> None:
    """Take a role from an account, e.g. one whose key was lost or stolen; what it wrote stays."""
    with telling(as_json), _opened(ledger, registry, key) as opened:
        opened.revoke(address, _role(role))
    say(as_json, {"role": role, "address": address}, f"{address} has the role {role} no more")


@app.command("hand")
def hand(
    dataset: Annotated[str, typer.Argument(help="The dataset's name.")],
    address: Annotated[str, typer.Argument(help="Address of the department's new account, which has the role.")],
    ledger: Where,
    registry: Address,
    key: Key,
    as_json: AsJson = False,
) -> None:
    """Let another account of a department anchor a dataset's records; what was anchored before stays valid."""
    with telling(as_json), _opened(ledger, registry, key) as opened:
        opened.hand_dataset(dataset, address)
    say(as_json, {"dataset": dataset, "address": address}, f"{address} answers for {dataset}")


@app.command("publish")
def publish(
    network: Annotated[Path, typer.Argument(help="Folder of the network's public parameters.")],
    ledger: Where,
    registry: Address,
    key: Key,
    department: Annotated[
        list[str] | None, typer.Option(help="dataset=0x...: the account of its department; for datasets new here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish what all parties agree on; what is there already stays, so a new dataset or committee is added so."""
    from services import parameter_files
    from zkcore.errors import Malformed

    added: list[str] = []
    with telling(as_json), _opened(ledger, registry, key) as opened:
        parameters = parameter_files.load(network)
        accounts = dict(item.partition("=")[::2] for item in department or [])
        strangers = set(accounts) - set(parameters.schemas)
        if strangers:
            raise Malformed("--department", f"the network has no dataset {min(strangers)}")
        for dataset in parameters.datasets:
            if opened.dataset(dataset.name) is not None:
                continue
            if dataset.name not in accounts:
                raise Malformed("--department", f"say {dataset.name}=0x..., the account of its department")
            opened.open_dataset(dataset.name, accounts[dataset.name], dataset.schema.schema_id)
            opened.register_verifying_key(dataset.schema.schema_id, dataset.filing_key)
            added.append(f"dataset {dataset.name}")
        for kind, identifier, digest in parameters.digests():
            if opened.published(kind, identifier) is None:
                opened.publish(kind, identifier, digest)
                added.append(f"{kind} {identifier.hex()[:16]}")
        parameters.check_published(opened)
    say(as_json, {"added": added}, "\n".join(added) or "all of it was there already")


def _role(name: str) -> "Role":
    from services.identity import Role
    from services.ledger.chain import ROLES
    from zkcore.errors import Malformed

    if name not in {str(role) for role in ROLES}:
        raise Malformed("ROLE", f"{name!r} is none of {', '.join(ROLES)}")
    return Role(name)


@contextmanager
def _provider(ledger: str) -> "Iterator[BaseProvider]":
    from web3 import HTTPProvider

    from services.ledger import EmbeddedProvider

    if "://" in ledger:
        yield HTTPProvider(ledger)
        return
    embedded = EmbeddedProvider(Path(ledger))
    try:
        yield embedded
    finally:
        embedded.close()


@contextmanager
def _opened(ledger: str, registry: str, key: Path) -> "Iterator[Ledger]":
    from services.ledger import Ledger, LedgerAccount

    with _provider(ledger) as provider:
        yield Ledger(provider, registry, LedgerAccount.load(key))
