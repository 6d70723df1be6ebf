"""``zkshare submit``: records filed encrypted, with proofs."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.asking import Config, Directory, Out, keep_receipt, local, see_place, telling
from services.cli.output import AsJson, say

app = typer.Typer(add_completion=False)


@app.command()
def submit(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Your record's bundle, as the department issued it; asked of the department if not said. In a local "
            "network: a CSV file of more records.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="The dataset; the network's one if not said.")] = None,
    period: Annotated[str | None, typer.Option(help="The record's period; the bundle's if not said.")] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File (mode 0600) whose first line opens the bundle.")
    ] = None,
    out: Out = None,
    config: Config = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """File your record: encrypted, proved, with a signed receipt. In a local network: every enterprise's records."""
    with telling(as_json):
        if config is None:
            _submit_all(file, directory, as_json)
        else:
            _submit_one(config, file, dataset, period, passphrase_file, out, as_json)


def _submit_all(records: Path | None, directory: Path | None, as_json: bool) -> None:
    import asyncio

    from services.local.filings import file_all
    from services.terminal import Terminal

    folder = local(directory)
    folder.facts()
    terminal = Terminal(1, data_on_stdout=as_json)
    with terminal.step("submit", "Enterprises encrypt, prove and submit") as step:

        def progress(what: str, done: float) -> None:
            step.detail(what)
            step.fraction(done)

        filed = asyncio.run(file_all(folder, records, progress))
    data = [
        {"subject": each.subject, "period": each.period, "position": each.position, "receipt": str(each.receipt)}
        for each in filed
    ]
    text = f"    {len(filed)} records are in the log, each with a signed receipt, e.g.\n    {filed[-1].receipt}"
    say(as_json, {"filed": data}, text)


def _submit_one(
    config: Path,
    bundle: Path | None,
    dataset: str | None,
    period: str | None,
    passphrase_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from services import bundles, evidence
    from services.client import SyncEnterprise
    from services.key_files import read_passphrase
    from zkcore.errors import Malformed

    see_place(out)
    with SyncEnterprise.connect(config) as enterprise:
        names = sorted(enterprise.parameters.schemas)
        if dataset is None and len(names) > 1:
            raise Malformed("--dataset", f"say which: {', '.join(names)}")
        name = dataset or names[0]
        if bundle is not None:
            passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
            opening = bundles.load(bundle, enterprise.parameters.named(name).schema, passphrase)
            if period not in (None, opening.record.period):
                raise Malformed("--period", f"the bundle is of {opening.record.period}")
            period = opening.record.period
            enterprise.take(name, opening)
        if period is None:
            raise Malformed("--period", "say of which period, or name the bundle")
        receipt = enterprise.submit(name, period)
        outbox = enterprise.outbox
        keep_receipt(
            out,
            evidence.write_filing(
                outbox.receipt_file(name, period).read_bytes(), outbox.submission_file(name, period).read_bytes()
            ),
        )
    data = {
        "dataset": name,
        "period": period,
        "position": receipt.position,
        "leaf": receipt.leaf.hex(),
        "head": {"size": receipt.head.size, "root": receipt.head.root.hex()},
        "time": receipt.time.isoformat(),
        "receipt": str(out) if out else None,
    }
    text = f"filed {name} {period}: entry {receipt.position} of the log, receipt of {receipt.time.isoformat()} verified"
    say(as_json, data, text + (f"\nreceipt: {out}" if out else ""))
