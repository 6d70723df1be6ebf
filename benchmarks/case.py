"""What is measured: a case is one operation at one size, run by several contenders on the same input.

A suite (:mod:`benchmarks.suites`) lists cases without doing any work; a case's material is made when its turn comes.
The contenders are this project and its peers (:mod:`benchmarks.peers`). What a contender returns is brought into a
canonical form and compared with the truth before any of its times is kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS = "zkshare"
BEST, PORTABLE = "best", "portable"
"""Back ends: the best of this processor, and the one that every processor has."""

Value = int | str


def same(value: Any) -> Any:
    """The value itself."""
    return value


@dataclass(frozen=True)
class Contender:
    """One side of a case.

    Attributes
    ----------
    name
        Of the project, with a remark after a comma where it takes part more than once.
    operation
        What is timed; called many times.
    result
        Brings what the operation returned into the form that is compared with the case's truth; not timed.
    count
        Items that one call handles; times are divided by it.
    reading
        Takes the figure out of what the operation returned, for costs and for programs that are measured outside.
    """

    name: str
    operation: Callable[[], Any]
    result: Callable[[Any], Any] = same
    count: int = 1
    reading: Callable[[Any], float] | None = None


@dataclass(frozen=True)
class Gap:
    """A contender that can't take part, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Limit:
    """What the processor allows at best.

    Attributes
    ----------
    kernel
        The measured throughput on which the bound rests: the name of a case of the field suite or of the machine's.
    operations
        How many of the kernel's operations (or bytes) an item needs by its algorithm.
    why
        Where that number comes from.
    """

    kernel: str
    operations: float
    why: str


@dataclass(frozen=True)
class Trial:
    """A case made ready.

    Attributes
    ----------
    contenders
        Who takes part, and who can't.
    truth
        The result that every contender must come to, by a way independent of them.
    limit
        The physical bound of our own kernel, if one is known.
    once
        Whether the first call is the only sample, as of a scenario that takes minutes.
    """

    contenders: Sequence[Contender | Gap]
    truth: Any
    limit: Limit | None = None
    once: bool = False


@dataclass(frozen=True)
class Case:
    """One operation at one size.

    Attributes
    ----------
    suite, name, parameters
        Together its identity.
    prepare
        Makes the material.
    unit
        Of an item's figure: ``s``, ``B``, ``gas``, ``constraints``, ``J``.
    clock
        Which time is the figure: ``cpu`` of this process, fit for one core of a busy machine, or ``wall``.
    cores
        How many processor cores the case may use; one core is pinned.
    backend
        The back end of this project that the case is about.
    seconds
        About how long it takes, for the time left.
    quick
        Whether the quick set has it.
    grows
        The parameter whose growth a fit is made over.
    """

    suite: str
    name: str
    parameters: Mapping[str, Value]
    prepare: Callable[[], Trial]
    unit: str = "s"
    clock: str = "cpu"
    cores: int = 1
    backend: str = BEST
    seconds: float = 2.0
    quick: bool = True
    grows: str | None = None

    @property
    def id(self) -> str:
        """Suite, name, parameters and back end in one line."""
        shown = ",".join(f"{name}={value}" for name, value in self.parameters.items())
        tail = f" [{self.backend}]" if self.backend != BEST else ""
        return f"{self.suite}/{self.name}" + (f"({shown})" if shown else "") + tail

    def is_named(self, text: str) -> bool:
        """Whether a text names it: a parameter with its value, as ``records=100000``, or a part of its line."""
        name, _, value = text.partition("=")
        return str(self.parameters[name]) == value if name in self.parameters else text in self.id


@dataclass(frozen=True)
class Options:
    """What a run was asked for; None leaves the choice to the suite."""

    suites: tuple[str, ...]
    full: bool = False
    sizes: tuple[int, ...] | None = None
    threads: tuple[int, ...] | None = None
    backends: tuple[str, ...] = (BEST, PORTABLE)
    peers: tuple[str, ...] | None = None
    budget: float | None = None
    """Seconds of samples for each contender of a case."""
    only: str | None = None
    """Cases whose identity contains this text."""
    also: tuple[str, ...] = ()
    """Cases of the full set that one of these texts names are measured beside the quick set."""

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Options":
        """Options that were JSON in between."""
        items: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
        return cls(**items)

    def seconds_each(self) -> float:
        """Seconds of samples for each contender of a case."""
        return self.budget if self.budget is not None else (1.0 if self.full else 0.3)

    def keeps(self, case: Case) -> bool:
        """Whether a case belongs to the run."""
        if self.only is not None and self.only not in case.id:
            return False
        chosen = self.full or case.quick or self.only is not None or any(case.is_named(text) for text in self.also)
        if case.backend not in self.backends or not chosen:
            return False
        size = case.parameters.get(case.grows) if case.grows else None
        if self.sizes is not None and size is not None and size not in self.sizes:
            return False
        threads = case.parameters.get("threads")
        return self.threads is None or threads is None or threads in self.threads


Suite = Callable[[Options], Iterator[Case]]
