"""Records from a CSV file: one column each for ``subject``, ``period``, the public attributes and the private fields.

Other columns are ignored. A subject's name becomes the name in its certificate: letters, digits, dots, underscores and
hyphens stay, accents are dropped, and what else there is becomes a hyphen; two subjects must not become the same.
"""

import csv
import re
import unicodedata
from pathlib import Path

from circuits.record import Record
from circuits.schema import Schema
from zkcore.errors import Malformed, Refused

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")


def party_name(subject: str) -> str:
    """The name in a certificate for a subject's name, e.g. ``Credit-Agricole`` for ``Crédit Agricole``."""
    plain = unicodedata.normalize("NFKD", subject).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-._")[:64]


def read_records(path: Path, schema: Schema) -> list[Record]:
    """The records in a file, in its order.

    Raises
    ------
    Malformed
        If columns are missing, a row is short, a value is not a whole number, or a subject has two records of a period;
        the message names file, line and column.
    zkcore.errors.Refused
        If a record does not fit the schema; the message names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Malformed(str(path), error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise Malformed(str(path), "not UTF-8 text") from None
    reader = csv.DictReader(text.splitlines(), strict=True)
    attributes = [attribute.name for attribute in schema.attributes]
    fields = [field.name for field in schema.fields]
    wanted = ["subject", "period", *attributes, *fields]
    missing = [name for name in wanted if name not in (reader.fieldnames or [])]
    if missing:
        raise Malformed(f"{path}: columns", f"missing: {', '.join(missing)}; the schema needs {', '.join(wanted)}")
    records: list[Record] = []
    seen: dict[tuple[str, str], str] = {}
    try:
        for row in reader:
            records.append(_record(row, schema, f"{path}, line {reader.line_num}", attributes, fields))
            subject = row["subject"].strip()
            other = seen.setdefault((records[-1].subject, records[-1].period), subject)
            if len(seen) < len(records):
                raise Malformed(
                    f"{path}, line {reader.line_num}: subject",
                    f"a second record of {records[-1].subject} for {records[-1].period}"
                    + (f", which {other!r} is called as well" if other != subject else ""),
                )
    except csv.Error as error:
        raise Malformed(f"{path}, line {reader.line_num}", f"not CSV: {error}") from None
    if not records:
        raise Malformed(str(path), "no records")
    return records


def _record(row: dict[str, str], schema: Schema, where: str, attributes: list[str], fields: list[str]) -> Record:
    for name in ("subject", "period", *attributes, *fields):
        if row[name] is None:
            raise Malformed(f"{where}: {name}", "missing")
    values = {}
    for name in fields:
        text = row[name].strip()
        if not _WHOLE_NUMBER.fullmatch(text):
            raise Malformed(f"{where}: {name}", "not a whole number of at most 20 digits, in the field's unit")
        values[name] = int(text)
    subject = party_name(row["subject"])
    if not subject:
        raise Malformed(f"{where}: subject", "no letter or digit in it")
    try:
        public = {name: unicodedata.normalize("NFC", row[name].strip()) for name in attributes}
        return Record(schema, subject, row["period"].strip(), public, values)
    except Refused as refused:
        raise type(refused)(f"{where}: {refused.part}", refused.why) from None
