"""Make the demonstration's records from the two public data sets that README.md names.

    python -m services.schemas.data.convert forbes2000.csv credit_data.csv

writes ``forbes2000.csv`` and ``credit.csv`` beside this file.
"""

import csv
import sys
from decimal import Decimal
from pathlib import Path

CODES = {
    "Home": ("", "ignore", "other", "owner", "parents", "priv", "rent"),
    "Marital": ("", "divorced", "married", "separated", "single", "widow"),
    "Records": ("no", "yes"),
    "Job": ("", "fixed", "freelance", "others", "partime"),
}
NUMBERS = ("Seniority", "Time", "Age", "Expenses", "Income", "Assets", "Debt", "Amount", "Price")
ORDER = ("Seniority", "Home", "Time", "Age", "Marital", "Records", "Job", *NUMBERS[3:])
FORBES_PERIOD = "2004"


def millions(billions: str) -> int:
    """An amount in billions, with two decimals, as whole millions; 0 where the source has none."""
    return int(Decimal(billions or "0") * 1000)


def forbes(source: Path) -> list[list[str]]:
    """Rows of the filing dataset, header first."""
    header = ["subject", "period", "country", "category", "profits_reported"]
    header += ["sales", "profits", "assets", "market_value"]
    rows = [header]
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            amounts = [millions(row[name]) for name in ("sales", "profits", "assets", "marketvalue")]
            public = [row["country"], row["category"], "yes" if row["profits"] else "no"]
            rows.append([row["name"].replace("`", "'"), FORBES_PERIOD, *public, *map(str, amounts)])
    return rows


def credit(source: Path) -> list[list[str]]:
    """Rows of the credit applications, header first; the outcome is kept for fitting and is no field."""
    rows = [["application", "outcome", *(name.lower() for name in ORDER)]]
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = [
                CODES[name].index(row[name]) if name in CODES else int(Decimal(row[name] or "-1")) for name in ORDER
            ]
            rows.append([row["rownames"], row["Status"], *map(str, values)])
    return rows


def write(rows: list[list[str]], target: Path) -> None:
    """Write rows as CSV."""
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    here = Path(__file__).parent
    write(forbes(Path(sys.argv[1])), here / "forbes2000.csv")
    write(credit(Path(sys.argv[2])), here / "credit.csv")
