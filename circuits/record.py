"""Records, the leaves that commit to them, and the openings that their owners hold.

    leaf = Poseidon(schema_id, subject, period, attributes, blinding, packed private fields)

A signed field is carried as value + 2^63; three carried fields x, y, z are packed into one number
x + 2^64 y + 2^128 z. So a leaf is one hash of 6 to 16 inputs, never of as many as an inner node of its tree has (five).
``subject``, ``period`` and ``attributes`` enter as 248-bit digests of their canonical encoding; the blinding is a
uniform field element, so that a leaf hides its record.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from circuits.schema import PERIODS, VALUE_BITS, Schema, digest_248
from zkcore import poseidon
from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, Unsatisfied, WrongLength
from zkcore.formats import json_text
from zkcore.merkle import ARITY, DEPTH, SIBLINGS, MerklePath

SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
FIELDS_PACKED = 3
"""Carried fields in one field element: 192 bits."""


def subject_id(subject: str) -> int:
    """The subject as a public input (248 bits)."""
    if not SUBJECT.fullmatch(subject):
        raise Malformed("subject", "a subject is 1 to 64 letters, digits, dots, underscores and hyphens")
    return digest_248("subject", subject.encode())


def period_id(period: str) -> int:
    """The period as a public input (248 bits)."""
    form, words = PERIODS[""]
    if not form.fullmatch(period):
        raise Malformed("period", f"a period is {words}")
    return digest_248("period", period.encode())


def attributes_id(schema: Schema, attributes: Mapping[str, str]) -> int:
    """The public attributes as one public input (248 bits); names and values with their lengths, in schema order."""
    encoded = b""
    for text in (part for attribute in schema.attributes for part in (attribute.name, attributes[attribute.name])):
        encoded += len(text.encode()).to_bytes(4, "big") + text.encode()
    return digest_248("attributes", encoded)


def packed(carried: Sequence[int]) -> list[int]:
    """Carried fields, three a number, as a leaf has them."""
    return [
        sum(value << VALUE_BITS * place for place, value in enumerate(carried[start : start + FIELDS_PACKED]))
        for start in range(0, len(carried), FIELDS_PACKED)
    ]


@dataclass(frozen=True)
class Record:
    """One enterprise's record of one period. The private values do not show in its representation.

    Raises
    ------
    Malformed
        If attributes or fields are not those of the schema.
    OutOfRange
        If a value does not fit its field's type.
    Unsatisfied
        If the values violate a rule of the schema.
    """

    schema: Schema = field(repr=False)
    subject: str
    period: str
    attributes: Mapping[str, str]
    values: Mapping[str, int] = field(repr=False)

    def __post_init__(self) -> None:
        subject_id(self.subject)
        self.schema.check_period(self.period)
        self.schema.check_attributes(self.attributes.items())
        expected = [item.name for item in self.schema.fields]
        if sorted(self.values) != sorted(expected):
            raise Malformed("values", f"the schema has the fields {', '.join(expected)}")
        for item in self.schema.fields:
            value = self.values[item.name]
            if not isinstance(value, int) or not 0 <= value + item.offset < 1 << VALUE_BITS:
                raise OutOfRange(f"values.{item.name}", f"not an integer of type {item.type}")
        for rule in self.schema.rules:
            if not rule.holds(self.values):
                raise Unsatisfied(f"rules.{rule.name}", f"the record violates {rule.relation}")

    def carried(self) -> list[int]:
        """The private values in the schema's order, signed ones with 2^63 added."""
        return [self.values[item.name] + item.offset for item in self.schema.fields]

    def leaf(self, blinding: int) -> int:
        """Commitment to the record with a blinding in ``[0, R)``."""
        identity = (self.schema.schema_id, subject_id(self.subject), period_id(self.period))
        attributes = attributes_id(self.schema, self.attributes)
        return poseidon.hash([*identity, attributes, blinding, *packed(self.carried())])


@dataclass(frozen=True)
class Opening:
    """What the owner of a record holds: the record, its blinding, and where its leaf lies under which root."""

    record: Record
    blinding: int = field(repr=False)
    root: int
    path: MerklePath = field(repr=False)

    def to_bytes(self) -> bytes:
        """JSON; as secret as the record."""
        record = self.record
        document = {
            "subject": record.subject,
            "period": record.period,
            "attributes": dict(record.attributes),
            "values": dict(record.values),
            "blinding": str(self.blinding),
            "root": str(self.root),
            "index": self.path.index,
            "siblings": [str(sibling) for sibling in self.path.siblings],
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, schema: Schema) -> "Opening":
        """Read what :meth:`to_bytes` wrote, for a record of this schema.

        Raises
        ------
        Malformed, OutOfRange, WrongLength, Unsatisfied
            With the part that is wrong; no private value is quoted.
        """
        document: Any = json_text.loads(data, "opening")
        kinds = {
            "subject": str,
            "period": str,
            "attributes": dict,
            "values": dict,
            "blinding": str,
            "root": str,
            "index": int,
            "siblings": list,
        }
        if not isinstance(document, dict) or document.keys() != kinds.keys():
            raise Malformed("opening", f"has the keys {', '.join(kinds)}")
        for key, kind in kinds.items():
            if type(document[key]) is not kind:
                raise Malformed(f"opening.{key}", "of another type")
        if any(type(value) is not str for value in document["attributes"].values()):
            raise Malformed("opening.attributes", "not texts")
        if any(type(value) is not int for value in document["values"].values()):
            raise Malformed("opening.values", "not whole numbers")
        record = Record(schema, document["subject"], document["period"], document["attributes"], document["values"])
        siblings = tuple(_element(f"opening.siblings[{i}]", item) for i, item in enumerate(document["siblings"]))
        if len(siblings) != DEPTH * SIBLINGS:
            raise WrongLength("opening.siblings", f"a path has {DEPTH * SIBLINGS} siblings")
        if not 0 <= document["index"] < ARITY**DEPTH:
            raise OutOfRange("opening.index", "no leaf of the tree")
        return cls(
            record,
            _element("opening.blinding", document["blinding"]),
            _element("opening.root", document["root"]),
            MerklePath(document["index"], siblings),
        )


def _element(part: str, text: Any) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"0|[1-9][0-9]{0,77}", text) or int(text) >= R:
        raise OutOfRange(part, "not an element of the scalar field in decimal digits")
    return int(text)
