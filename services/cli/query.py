"""``zkshare query``: a verified answer to a question about encrypted records."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.asking import Config, Directory, Out, Timeout, keep_receipt, local, see_place, telling
from services.cli.output import AsJson

if TYPE_CHECKING:
    from services.client import Answer

app = typer.Typer(add_completion=False)


@app.command()
def query(
    sql: Annotated[
        str, typer.Argument(help="SELECT attributes, COUNT(*), SUM(field), AVG(field) FROM ... GROUP BY ...")
    ],
    out: Out = None,
    head: Annotated[
        int,
        typer.Option(
            min=0, max=2**63 - 1, help="Size of an earlier head of the log to ask at; the newest if not said."
        ),
    ] = 0,
    timeout: Timeout = 120.0,
    config: Config = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Ask a query as a tax agency; the answer is verified, by trustees' proofs and the ledger, before it is shown."""
    import json

    with telling(as_json):
        from services.client import SyncTaxAgencyClient

        see_place(out)
        if config is None:
            folder = local(directory)
            folder.facts()
            config = folder.tax_agency
        with SyncTaxAgencyClient.connect(config) as agency:
            answer = agency.query(sql, head, timeout=timeout)
        keep_receipt(out, answer.receipt)
    if as_json:
        typer.echo(json.dumps(_data(answer) | {"receipt": str(out) if out else None}, indent=2, ensure_ascii=False))
    else:
        _show(answer)
        if out is not None:
            typer.echo(f"    receipt: {out}")


def _data(answer: "Answer") -> dict[str, Any]:
    from services.receipt_text import as_data

    faults = [{"trustee": each.trustee, "check": each.check, "why": each.why} for each in answer.faults]
    return as_data(answer.verified) | {"faults": faults}


def _show(answer: "Answer") -> None:
    from fractions import Fraction

    from services.policy import OTHER
    from services.terminal import Terminal

    def shown(value: str | int | Fraction) -> str:
        if isinstance(value, str):
            return value
        return f"{float(value):,.2f}" if isinstance(value, Fraction) else f"{value:,}"

    verified, terminal = answer.verified, Terminal(1, data_on_stdout=False)
    names = len(verified.query.group_by)
    rows = [[shown(value) for value in row.values] for row in verified.rows]
    first = next((i for i, column in enumerate(verified.query.columns) if column.aggregate is not None), names)
    terminal.say_unbroken(verified.query.text)
    terminal.table("", list(verified.columns), rows, numbers_from=first)
    if verified.merged:
        merged = ", ".join(", ".join(group) for group in verified.merged)
        terminal.say(f"{OTHER} holds groups of fewer than {verified.minimum} enterprises each: {merged}")
    if verified.withheld:
        withheld = ", ".join(", ".join(group) for group in verified.withheld)
        terminal.say(f"withheld, fewer than {verified.minimum} enterprises even together: {withheld}")
    by = f"trustees {', '.join(map(str, verified.trustees))} decrypted and proved it"
    terminal.say(
        f"verified: {by if verified.attested else 'counts only, by the word of the operator'}; "
        f"log of {verified.head.size} records, its head on the ledger"
    )
    for fault in answer.faults:
        terminal.say(f"without {fault.trustee}: {fault.why} [{fault.check}]", "yellow")
