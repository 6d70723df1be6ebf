"""The record of a run: one JSON file with raw samples, written after every case so that a run can be taken up again.

Its form is :data:`SCHEMA`, described in ``benchmarks/README.md``.
"""

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.case import Case, Limit, Options
from benchmarks.measure import Measurement

SCHEMA = "zkshare-benchmarks/2"


class UnreadableRecord(ValueError):
    """The file is no record of this version; the message says what is the matter."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A case's measurements, as the record has them."""

    id: str
    suite: str
    name: str
    parameters: dict[str, Any]
    unit: str
    clock: str
    cores: int
    backend: str
    grows: str | None
    limit: Limit | None
    contenders: tuple[Measurement, ...]
    load: float | None = None
    megahertz: float | None = None
    joules: float | None = None
    seconds: float = 0.0
    compiled: float = 0.0

    @classmethod
    def of(cls, case: Case, limit: Limit | None, measurements: list[Measurement], **circumstances: Any) -> "Result":
        """What came out of a case."""
        return cls(
            case.id,
            case.suite,
            case.name,
            dict(case.parameters),
            case.unit,
            case.clock,
            case.cores,
            case.backend,
            case.grows,
            limit,
            tuple(measurements),
            **circumstances,
        )

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Result":
        """Read it from the record."""
        try:
            limit = Limit(**value["limit"]) if value["limit"] else None
            contenders = tuple(Measurement(**item) for item in value["contenders"])
            return cls(**{**value, "limit": limit, "contenders": contenders})
        except (KeyError, TypeError) as error:
            raise UnreadableRecord(f"a result is not of the form {SCHEMA}: {error}") from None

    def find(self, contender: str) -> Measurement | None:
        """A contender's measurement by name."""
        return next((item for item in self.contenders if item.name == contender), None)


class Record:
    """A run's record.

    Attributes
    ----------
    head
        Everything but the results.
    results
        By the cases' identities, in the order in which they were measured.
    """

    def __init__(self, head: dict[str, Any], results: dict[str, Result] | None = None) -> None:
        self.head = head
        self.results = results or {}

    @classmethod
    def begin(cls, name: str, options: Options, peers: dict[str, Any]) -> "Record":
        """A new record of this machine and code."""
        return cls(
            {
                "schema": SCHEMA,
                "run": {"name": name, "started": _now(), "finished": None, "options": dataclasses.asdict(options)},
                "code": machine.commit(),
                "machine": machine.describe(),
                "versions": machine.versions(),
                "peers": peers,
            }
        )

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read a record; raises UnreadableRecord, OSError."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UnreadableRecord(f"{path} is not JSON: {error}") from None
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise UnreadableRecord(f"{path} is not of the form {SCHEMA}")
        missing = {"run", "code", "machine", "versions", "peers", "results"} - value.keys()
        if missing:
            raise UnreadableRecord(f"{path} lacks {', '.join(sorted(missing))}")
        results = [Result.from_dict(item) for item in value.pop("results")]
        return cls(value, {result.id: result for result in results})

    def write(self, path: Path) -> None:
        """Write it so that at any time the file is either the old or the new one."""
        value = {**self.head, "results": [dataclasses.asdict(result) for result in self.results.values()]}
        text = json.dumps(value, indent=1, ensure_ascii=False)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text + "\n", encoding="utf-8")
        os.replace(beside, path)

    def finish(self) -> None:
        """Note the end."""
        self.head["run"]["finished"] = _now()

    def of_suite(self, suite: str) -> Iterator[Result]:
        """The results of one suite."""
        return (result for result in self.results.values() if result.suite == suite)

    @property
    def suites(self) -> list[str]:
        """The suites that have results, in order."""
        return list(dict.fromkeys(result.suite for result in self.results.values()))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
