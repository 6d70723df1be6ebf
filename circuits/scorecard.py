"""Scorecards: points for the bin that each characteristic falls into, added to a base.

A characteristic names a field, ascending cut points c_1 < c_2 < ..., and one number of points a bin: the first bin
holds values below c_1, the last those from the last cut point on. A scorecard is public; its Poseidon hash on the
ledger says which one a bank means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from circuits.schema import SIGNED_OFFSET, VALUE_BITS, Schema, check_text
from zkcore import poseidon
from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, WrongLength

MOST_CHARACTERISTICS = 12
MOST_BINS = 8
LARGEST_POINTS = 1 << 24
SCORE_OFFSET = 1 << 31
"""What is added to a score, so that it is carried as a 32-bit natural number."""
UNREACHED = 1 << VALUE_BITS
"""The carried cut point that stands for none: no 64-bit value reaches it."""


@dataclass(frozen=True)
class Characteristic:
    """Points by the bin that a field's value falls into; ``len(points) == len(cuts) + 1``."""

    field: str
    cuts: tuple[int, ...]
    points: tuple[int, ...]

    def points_for(self, value: int) -> int:
        """Points of the bin that holds a value."""
        return self.points[sum(value >= cut for cut in self.cuts)]


@dataclass(frozen=True)
class Scorecard:
    """A scorecard over the fields of one schema.

    Raises
    ------
    WrongLength
        If there are no characteristics or more than 12, or one has more than 8 bins or not one number a bin.
    OutOfRange
        If cut points do not ascend, or points or base exceed 2^24 in size.
    """

    name: str
    base: int
    characteristics: tuple[Characteristic, ...]

    def __post_init__(self) -> None:
        check_text("scorecard.name", self.name)
        if not 1 <= len(self.characteristics) <= MOST_CHARACTERISTICS:
            raise WrongLength("scorecard.characteristics", f"a scorecard has 1 to {MOST_CHARACTERISTICS}")
        if abs(self.base) > LARGEST_POINTS:
            raise OutOfRange("scorecard.base", "at most 2^24 in size")
        for item in self.characteristics:
            part = f"scorecard.{item.field}"
            if len(item.points) != len(item.cuts) + 1 or not 2 <= len(item.points) <= MOST_BINS:
                raise WrongLength(part, f"2 to {MOST_BINS} bins, and one cut point fewer")
            if any(a >= b for a, b in zip(item.cuts, item.cuts[1:], strict=False)):
                raise OutOfRange(f"{part}.cuts", "cut points ascend")
            if any(abs(points) > LARGEST_POINTS for points in item.points):
                raise OutOfRange(f"{part}.points", "at most 2^24 in size")
            if not all(-SIGNED_OFFSET <= cut < UNREACHED for cut in item.cuts):
                raise OutOfRange(f"{part}.cuts", "cut points are 64-bit integers")

    def score(self, values: Mapping[str, int]) -> int:
        """The score of a record's values."""
        return self.base + sum(item.points_for(values[item.field]) for item in self.characteristics)

    def table(self, schema: Schema) -> list[int]:
        """The scorecard as the field elements that are hashed, of one length for every scorecard.

        The carried base, then for each of 12 characteristics: the field's index; 7 carried cut points (2^64 where there
        are fewer); the points of 8 bins as field elements (the last repeated). Unused characteristics have field 0, no
        cut points and no points.

        Raises
        ------
        Malformed
            If the schema has no such field.
        OutOfRange
            If a cut point is not a value of its field's type.
        """
        names = [field.name for field in schema.fields]
        table = [(self.base + SCORE_OFFSET) % R]
        for item in self.characteristics:
            if item.field not in names:
                raise Malformed(f"scorecard.{item.field}", f"{schema.name} has the fields {', '.join(names)}")
            index = names.index(item.field)
            cuts = [cut + schema.fields[index].offset for cut in item.cuts]
            if any(not 0 <= cut < UNREACHED for cut in cuts):
                raise OutOfRange(f"scorecard.{item.field}.cuts", "a cut point is no value of the field's type")
            table.append(index)
            table += cuts + [UNREACHED] * (MOST_BINS - 1 - len(cuts))
            table += [points % R for points in (*item.points, *[item.points[-1]] * (MOST_BINS - len(item.points)))]
        for _ in range(MOST_CHARACTERISTICS - len(self.characteristics)):
            table += [0] + [UNREACHED] * (MOST_BINS - 1) + [0] * MOST_BINS
        return table

    def model_hash(self, schema: Schema) -> int:
        """Poseidon of the table under the schema's identity: what the ledger holds and a score proof states."""
        return poseidon.chain([schema.schema_id, *self.table(schema)])

    def to_dict(self) -> dict[str, Any]:
        """As a JSON value."""
        return {
            "name": self.name,
            "base": self.base,
            "characteristics": [
                {"field": item.field, "cuts": list(item.cuts), "points": list(item.points)}
                for item in self.characteristics
            ],
        }

    @classmethod
    def from_dict(cls, document: Any) -> "Scorecard":
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        Malformed, WrongLength, OutOfRange
            With the part that is wrong.
        """
        _check(document, "scorecard", {"name": str, "base": int, "characteristics": list})
        items = []
        for index, item in enumerate(document["characteristics"]):
            part = f"scorecard.characteristics[{index}]"
            _check(item, part, {"field": str, "cuts": list, "points": list})
            if any(type(number) is not int for number in (*item["cuts"], *item["points"])):
                raise Malformed(part, "cut points and points are whole numbers")
            items.append(Characteristic(item["field"], tuple(item["cuts"]), tuple(item["points"])))
        return cls(document["name"], document["base"], tuple(items))


def _check(document: Any, part: str, kinds: Mapping[str, type]) -> None:
    if not isinstance(document, dict) or document.keys() != kinds.keys():
        raise Malformed(part, f"has the keys {', '.join(kinds)}")
    for key, kind in kinds.items():
        if type(document[key]) is not kind:
            raise Malformed(f"{part}.{key}", f"not of type {kind.__name__}")
