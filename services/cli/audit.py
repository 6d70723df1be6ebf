"""``zkshare audit``: the audit log of a process, verified and shown."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.output import AsJson, malformed, say

app = typer.Typer(no_args_is_help=True, add_completion=False)

File = Annotated[Path, typer.Argument(help="The audit log's file.")]


@app.callback()
def audit_app() -> None:
    """The audit log of a process, verified and shown."""


@app.command("verify")
def audit_verify(
    file: File,
    head: Annotated[
        str | None, typer.Option(help="Hash of a record noted earlier, e.g. from a log line; it must be in the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify that no record was altered, moved or left out; with a head, that none up to it was cut off either.

    Exit status 0 the chain holds, 1 it does not, 2 the file cannot be read, or the head is no hash.
    """
    from services.audit import AuditBroken

    if head is not None and not re.fullmatch("[0-9a-fA-F]{64}", head):
        malformed(as_json, '--head: must be a hash of 64 hexadecimal digits, as a line "audit head" has it')
    try:
        records, hashes = _read(file)
        if head is not None and head.lower() not in hashes:
            raise AuditBroken("head", "no record has this hash: the file was cut off before it, or written anew")
    except AuditBroken as error:
        data = {"valid": False, "check": error.check, "part": error.part, "why": error.why}
        say(as_json, data, f"invalid: {error}")
        raise typer.Exit(1) from None
    except OSError as error:
        malformed(as_json, f"{file}: {error.strerror}")
    missing = sum(record.get("missing", 0) for record in records)
    own = hashes[-1] if hashes else None
    text = f"valid: {len(records)} records, head {own}" + (f"; {missing} could not be written" if missing else "")
    if head is None:
        text += "\nwhether its end was cut off shows with --head and a hash that was noted elsewhere"
    say(as_json, {"valid": True, "records": len(records), "head": own, "missing": missing}, text)


@app.command("show")
def audit_show(file: File, as_json: AsJson = False) -> None:
    """Show the records, held against their chain, and the head."""
    from services.audit import AuditBroken

    try:
        records, hashes = _read(file)
    except AuditBroken as error:
        malformed(as_json, str(error), "invalid")
    except OSError as error:
        malformed(as_json, f"{file}: {error.strerror}")
    own = hashes[-1] if hashes else None
    lines = [*(_line(record) for record in records), f"head {own}"]
    chained = [{**record, "hash": each} for record, each in zip(records, hashes, strict=True)]
    say(as_json, {"records": chained, "head": own}, "\n".join(lines))


def _read(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    from services.audit import read

    with file.open("rb") as opened:
        found = list(read(opened, file.name))
    return [record for record, _ in found], [own for _, own in found]


def _line(record: dict[str, Any]) -> str:
    start = f"{record['number']:>6}  {record['time']}  "
    if "note" in record:
        more = ", ".join(f"{key} {record[key]}" for key in ("bytes", "missing", "party") if key in record)
        return f"{start}-- {record['note']}" + (f" ({more})" if more else "")
    method = record["method"].removeprefix("/zkshare.v1.")
    outcome = f"{record['outcome']} {record.get('check', '')}".rstrip()
    return f"{start}{record['caller']}  {method}  {outcome}  {record['request'][:16]}"
