"""The suites: each lists its cases without doing any work."""

from collections.abc import Iterator
from importlib import import_module

from benchmarks.case import Case, Options

SUITES = (
    "field",
    "pairing",
    "verify",
    "batch",
    "prove",
    "paillier",
    "threshold",
    "proofs",
    "aggregate",
    "services",
    "end-to-end",
)


def cases_of(suite: str, options: Options) -> Iterator[Case]:
    """The cases of a suite that belong to the run."""
    module = import_module(f"{__name__}.{suite.replace('-', '_')}")
    return (case for case in module.cases(options) if options.keeps(case))
