"""What the demonstration and a local network run on: the data that comes with the software, or a user's own.

A dataset to file and query, of companies or of the user's; and a dataset of applications for credit with a scorecard
over it, given to the same enterprises, for private scores. Their sources: ``services/schemas/data/README.md``.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from circuits.record import Record
from circuits.schema import Schema
from circuits.scorecard import Scorecard
from services.records import read_records
from zkcore.errors import Malformed, OutOfRange

DATA = Path(__file__).parent / "schemas"
DEFAULT_QUERY = "SELECT category, COUNT(*), SUM(sales), SUM(profits), AVG(assets) FROM filing GROUP BY category"
DEFAULT_ENTERPRISES = 40
TAX_BUREAU, CREDIT_BUREAU = "tax-bureau", "credit-bureau"
CREDIT_PERIOD = "2004"


@dataclass(frozen=True)
class Job:
    """What the demonstration runs on.

    Attributes
    ----------
    schema, records
        The dataset that is filed and queried.
    query
        What the tax agency asks.
    """

    schema: Schema
    records: Sequence[Record]
    query: str


def check_enterprises(enterprises: int | None) -> None:
    """Refuse a number of enterprises that makes no sense."""
    if enterprises is not None and not 2 <= enterprises <= 2000:
        raise OutOfRange("--enterprises", "from 2 to 2000")


def default_job(enterprises: int, query: str | None) -> Job:
    """The first companies of the Forbes 2000 list of 2004."""
    schema = Schema.from_toml((DATA / "filing.toml").read_text(encoding="utf-8"))
    return Job(schema, read_records(DATA / "data" / "forbes2000.csv", schema)[:enterprises], query or DEFAULT_QUERY)


def own_job(schema_file: Path, records_file: Path, query: str | None, enterprises: int | None) -> Job:
    """A user's own schema and records; without a query, totals of all fields by the first public attribute.

    Raises
    ------
    zkcore.errors.Refused
        If a file cannot be read or does not fit; the message names the place.
    """
    try:
        text = schema_file.read_text(encoding="utf-8")
    except OSError as error:
        raise Malformed(str(schema_file), error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise Malformed(str(schema_file), "not UTF-8 text") from None
    schema = Schema.from_toml(text)
    if schema.name == credit_schema().name:
        raise Malformed("schema.name", f"the demonstration has a dataset {schema.name!r} of its own; use another name")
    if query is None:
        sums = ", ".join(f"SUM({item.name})" for item in schema.fields)
        group = [attribute.name for attribute in schema.attributes][:1]
        query = f"SELECT {', '.join([*group, 'COUNT(*)', sums])} FROM {schema.name}"  # noqa: S608 (checked names)
        query += f" GROUP BY {group[0]}" if group else ""
    return Job(schema, read_records(records_file, schema)[:enterprises], query)


def credit_schema() -> Schema:
    """The schema of the applications for credit by which enterprises are scored."""
    return Schema.from_toml((DATA / "credit.toml").read_text(encoding="utf-8"))


def credit_scorecard() -> Scorecard:
    """The scorecard over them."""
    document = json.loads((DATA / "credit_scorecard.json").read_text(encoding="utf-8"))
    return Scorecard.from_dict(document["scorecard"])


def credit_records(schema: Schema, subjects: Sequence[str]) -> list[Record]:
    """Applications from the file, given to the enterprises in its order, as if each were the applicant."""
    with (DATA / "data" / "credit.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [item.name for item in schema.fields]
    return [
        Record(schema, subject, CREDIT_PERIOD, {}, {name: int(row[name]) for name in names})
        for subject, row in zip(subjects, rows, strict=False)
    ]
