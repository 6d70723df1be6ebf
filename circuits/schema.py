"""Schemas: what the records of a dataset look like, which part is public, and what every record is proved to obey.

A schema is a small TOML text. Its identity is a digest of its canonical text, so that two parties who name the same
identity mean the same fields, units, rules and minimum cohort.
"""

import ast
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from zkcore.errors import Malformed, OutOfRange, WrongLength

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
FIELD_TYPES = ("u64", "i64")
SIGNED_OFFSET = 1 << 63
"""What is added to a signed field, so that it is carried as a 64-bit natural number."""
VALUE_BITS = 64
MOST_FIELDS = 31
MOST_ATTRIBUTES = 16
LARGEST_COEFFICIENT = 1 << 63
PERIODS = {
    "": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}"), "1 to 32 letters, digits, dots, underscores and hyphens"),
    "year": (re.compile(r"[0-9]{4}"), "a year, e.g. 2026"),
    "half": (re.compile(r"[0-9]{4}H[12]"), "half a year, e.g. 2026H1"),
    "quarter": (re.compile(r"[0-9]{4}Q[1-4]"), "a quarter, e.g. 2026Q2"),
    "month": (re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])"), "a month, e.g. 2026-06"),
}
"""Kinds of periods that a dataset's records may be of, any name unless told: form, and how it is described."""
_RESERVED = {"subject", "period"}


@dataclass(frozen=True)
class Attribute:
    """A public attribute: text that queries select and group by."""

    name: str
    description: str = ""


@dataclass(frozen=True)
class Field:
    """A private field: an integer of 64 bits in the smallest unit, natural (``u64``) or signed (``i64``)."""

    name: str
    type: str
    unit: str
    description: str = ""

    @property
    def offset(self) -> int:
        """What is added to a value before it is committed, encrypted and proved about."""
        return SIGNED_OFFSET if self.type == "i64" else 0


@dataclass(frozen=True)
class Rule:
    """A linear relation between fields that every record obeys, e.g. ``vat_due = output_vat - input_vat``."""

    name: str
    relation: str

    @cached_property
    def terms(self) -> tuple[dict[str, int], int]:
        """Coefficients by field, and the constant, of left minus right side: both together are 0 for every record."""
        sides = self.relation.split("=")
        if len(sides) != 2:
            raise Malformed(f"rules.{self.name}.relation", "a relation has one '=', e.g. total = net + tax")
        left, right = (self._side(side) for side in sides)
        names = {**left, **right}
        terms = {name: left.get(name, 0) - right.get(name, 0) for name in names}
        constant = terms.pop("", 0)
        if any(abs(value) > LARGEST_COEFFICIENT for value in (*terms.values(), constant)):
            raise OutOfRange(f"rules.{self.name}.relation", "numbers in a relation are at most 2^63 in size")
        return {name: value for name, value in terms.items() if value}, constant

    def holds(self, values: Mapping[str, int]) -> bool:
        """Whether a record's values obey the rule."""
        terms, constant = self.terms
        return sum(factor * values[name] for name, factor in terms.items()) + constant == 0

    def _side(self, text: str) -> dict[str, int]:
        part = f"rules.{self.name}.relation"
        try:
            return self._linear(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
            if isinstance(error, Malformed):
                raise
            raise Malformed(part, "not a sum of fields, numbers and multiples such as 3 * net") from None

    def _linear(self, node: ast.expr) -> dict[str, int]:
        """Coefficients by field name; the constant stands under the empty name."""
        match node:
            case ast.Name(id=name):
                return {name: 1}
            case ast.Constant(value=int(value)) if not isinstance(node.value, bool):
                return {"": value}
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return {name: -value for name, value in self._linear(operand).items()}
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operator, right=right):
                sign = 1 if isinstance(operator, ast.Add) else -1
                total = self._linear(left)
                for name, value in self._linear(right).items():
                    total[name] = total.get(name, 0) + sign * value
                return total
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                a, b = self._linear(left), self._linear(right)
                if a.keys() - {""} and b.keys() - {""}:
                    raise Malformed(f"rules.{self.name}.relation", "fields are not multiplied with each other")
                factor, other = (a.get("", 0), b) if not a.keys() - {""} else (b.get("", 0), a)
                return {name: factor * value for name, value in other.items()}
        raise Malformed(f"rules.{self.name}.relation", "only +, -, and multiplication by a number are allowed")


@dataclass(frozen=True)
class Schema:
    """A dataset's schema.

    Attributes
    ----------
    name
        Name of the dataset: lower case, digits, underscores.
    attributes, fields, rules
        Public attributes (at most 16), private fields (1 to 31), rules.
    minimum_cohort
        Fewest enterprises that an answer may be about.
    periods
        What the periods of all records are, one of :data:`PERIODS`.
    """

    name: str
    attributes: tuple[Attribute, ...]
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = ()
    minimum_cohort: int = 10
    description: str = ""
    periods: str = ""

    def __post_init__(self) -> None:
        for part, text in self._texts():
            check_text(part, text)
        if self.periods not in PERIODS:
            kinds = ", ".join(kind for kind in PERIODS if kind)
            raise Malformed("schema.periods", f"periods are one of {kinds}; left out, they are any text")
        columns = [attribute.name for attribute in self.attributes] + [field.name for field in self.fields]
        for name in [self.name, *columns, *(rule.name for rule in self.rules)]:
            if not NAME.fullmatch(name):
                raise Malformed("schema.name", f"{name!r} is not lower-case letters, digits and underscores")
        for name in columns:
            if columns.count(name) > 1 or name in _RESERVED:
                raise Malformed(f"schema.{name}", "the name stands for another column")
        if not 1 <= len(self.fields) <= MOST_FIELDS:
            raise WrongLength("schema.fields", f"a schema has 1 to {MOST_FIELDS} private fields")
        if len(self.attributes) > MOST_ATTRIBUTES:
            raise WrongLength("schema.attributes", f"a schema has at most {MOST_ATTRIBUTES} public attributes")
        for field in self.fields:
            if field.type not in FIELD_TYPES:
                raise Malformed(f"schema.fields.{field.name}.type", f"a type is one of {', '.join(FIELD_TYPES)}")
        for rule in self.rules:
            for name in rule.terms[0]:
                if name not in {field.name for field in self.fields}:
                    raise Malformed(f"rules.{rule.name}.relation", f"{name!r} is not a private field")
        if not 2 <= self.minimum_cohort < 1 << 32:
            raise OutOfRange("schema.minimum_cohort", "a cohort has at least 2 records")

    @cached_property
    def schema_id(self) -> int:
        """Identity: SHA-256 of the canonical text cut to 248 bits."""
        return digest_248("schema", self.to_toml().encode())

    def check_attributes(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The attributes of a record by name, in the schema's order, which is the order they must come in.

        Raises
        ------
        Malformed
            If names are missing, unknown or in another order, or a value is not text of 1 to 256 bytes.
        """
        listed = list(pairs)
        expected = [attribute.name for attribute in self.attributes]
        if [name for name, _ in listed] != expected:
            raise Malformed("attributes", f"the schema has, in this order: {', '.join(expected) or 'none'}")
        for name, value in listed:
            if not value:
                raise Malformed(f"attributes.{name}", "empty")
            check_text(f"attributes.{name}", value)
        return dict(listed)

    def check_period(self, period: str) -> None:
        """Refuse, as Malformed, a period that no record of this schema can have."""
        form, words = PERIODS[self.periods]
        if not form.fullmatch(period):
            raise Malformed("period", f"a period of {self.name} is {words}")

    def to_toml(self) -> str:
        """Canonical text: the same for equal schemas, and read back by :meth:`from_toml`."""
        lines = [
            f"name = {_quoted(self.name)}",
            f"description = {_quoted(self.description)}",
            f"minimum_cohort = {self.minimum_cohort}",
            *([f"periods = {_quoted(self.periods)}"] if self.periods else []),
        ]
        tables: Sequence[tuple[str, Sequence[Any], Sequence[str]]] = (
            ("attributes", self.attributes, ("name", "description")),
            ("fields", self.fields, ("name", "type", "unit", "description")),
            ("rules", self.rules, ("name", "relation")),
        )
        for table, items, keys in tables:
            for item in items:
                lines += ["", f"[[{table}]]", *(f"{key} = {_quoted(getattr(item, key))}" for key in keys)]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> "Schema":
        """Read a schema; unknown keys are refused.

        Raises
        ------
        Malformed, OutOfRange, WrongLength
            With the key that is wrong.
        """
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise Malformed("schema", f"not TOML: {error}") from None
        return cls.from_dict(document)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Schema":
        """Read a schema from the values of its TOML text."""
        known = {"name", "description", "minimum_cohort", "periods", "attributes", "fields", "rules"}
        _check_keys("schema", document, known, {"name", "fields"})
        minimum = document.get("minimum_cohort", 10)
        if not isinstance(minimum, int) or isinstance(minimum, bool):
            raise Malformed("schema.minimum_cohort", "not a whole number")
        return cls(
            name=_text(document, "name", "schema"),
            attributes=tuple(
                Attribute(**item) for item in _items(document, "attributes", {"name"}, {"name", "description"})
            ),
            fields=tuple(
                Field(**item)
                for item in _items(
                    document, "fields", {"name", "type", "unit"}, {"name", "type", "unit", "description"}
                )
            ),
            rules=tuple(Rule(**item) for item in _items(document, "rules", {"name", "relation"}, {"name", "relation"})),
            minimum_cohort=minimum,
            description=_text(document, "description", "schema") if "description" in document else "",
            periods=_text(document, "periods", "schema") if "periods" in document else "",
        )

    def _texts(self) -> Iterable[tuple[str, str]]:
        yield "schema.description", self.description
        for attribute in self.attributes:
            yield f"attributes.{attribute.name}.description", attribute.description
        for field in self.fields:
            yield f"fields.{field.name}.unit", field.unit
            yield f"fields.{field.name}.description", field.description
        for rule in self.rules:
            yield f"rules.{rule.name}.relation", rule.relation


def digest_248(kind: str, content: bytes) -> int:
    """SHA-256 under a label, cut to its first 248 bits: a number that is below the field's modulus."""
    return int.from_bytes(sha256(f"zkshare {kind} v1\x00".encode() + content).digest()[:31], "big")


def check_text(part: str, text: str) -> None:
    """Refuse text over 256 bytes, with control characters, or that is not in Unicode's normal form C."""
    if len(text.encode("utf-8", "surrogatepass")) > 256:
        raise WrongLength(part, "text has at most 256 bytes")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise Malformed(part, "text has no control characters or line breaks")
    if unicodedata.normalize("NFC", text) != text:
        raise Malformed(part, "text is in Unicode normal form C")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _check_keys(part: str, table: Mapping[str, Any], known: set[str], needed: set[str]) -> None:
    for key in table:
        if key not in known:
            raise Malformed(f"{part}.{key}", f"unknown; known are {', '.join(sorted(known))}")
    for key in sorted(needed - table.keys()):
        raise Malformed(f"{part}.{key}", "missing")


def _text(table: Mapping[str, Any], key: str, part: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise Malformed(f"{part}.{key}", "not a text")
    return value


def _items(document: Mapping[str, Any], table: str, needed: set[str], known: set[str]) -> list[dict[str, str]]:
    items = document.get(table, [])
    if not isinstance(items, list):
        raise Malformed(f"schema.{table}", f"written as [[{table}]]")
    for index, item in enumerate(items):
        part = f"{table}[{index}]"
        if not isinstance(item, dict):
            raise Malformed(part, f"written as [[{table}]]")
        _check_keys(part, item, known, needed)
        for key in item:
            _text(item, key, part)
    return items
