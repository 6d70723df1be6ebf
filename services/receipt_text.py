"""An aggregate receipt in plain words, for a terminal and for the page."""

from fractions import Fraction
from typing import Any

from services.receipts import Verified


def readable(value: str | int | Fraction) -> str | int:
    """A value of an answer: an average that is no whole number as an exact fraction, e.g. "7/2"."""
    return str(value) if isinstance(value, Fraction) else value


def explain(verified: Verified) -> list[str]:
    """What a verified receipt shows: the question, who asked and answered, who stands for it, and a line a group."""
    by = f"decrypted by trustees {', '.join(map(str, verified.trustees))}"
    lines = [
        f"valid: {verified.query.text}",
        f"asked by {verified.querier}, answered by {verified.operator.uri} at {verified.time.isoformat()}",
        f"{by if verified.attested else 'counts only, by the word of the operator'}; "
        f"log head of {verified.head.size} entries, on the ledger",
    ]
    if verified.release is not None:
        lines.append(f"entered on the ledger as release {verified.release} of {verified.query.dataset}")
    for row in verified.rows:
        values = zip(verified.columns, row.values, strict=True)
        lines.append("  " + ", ".join(f"{name} = {readable(value)}" for name, value in values))
    return lines


def as_data(verified: Verified) -> dict[str, Any]:
    """What a verified receipt shows, as a JSON value."""
    rows = [
        {
            "group": "(other)" if row.other else ", ".join(row.group),
            "records": row.count,
            "values": dict(zip(verified.columns, (readable(value) for value in row.values), strict=True)),
        }
        for row in verified.rows
    ]
    return {
        "query": verified.query.text,
        "querier": verified.querier,
        "operator": verified.operator.uri,
        "time": verified.time.isoformat(),
        "head": {"size": verified.head.size, "root": verified.head.root.hex()},
        "release": verified.release,
        "trustees": list(verified.trustees),
        "answers": rows,
        "withheld": [", ".join(group) for group in verified.withheld],
    }
