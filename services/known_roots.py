"""The roots of datasets that the ledger holds, kept so that looking one up costs nothing, whoever made it up.

What is kept is brought up to date by one short question to the ledger: for the newest anchor that is known and those
behind it. If that anchor is gone, or another, as its time would tell, the chain was rolled back, and all are read anew.
"""

import threading
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from services.ledger import Anchor


class Anchors(Protocol):
    """The part of a ledger that lists a dataset's anchors."""

    def roots(self, dataset: str, start: int = 0) -> Sequence[Anchor]:
        """Every anchored root of a dataset from number `start`, oldest first."""


@dataclass(frozen=True)
class _Known:
    """A dataset's roots, how many anchors they are from, and the newest of those."""

    roots: frozenset[int] = frozenset()
    count: int = 0
    newest: Anchor | None = None


class KnownRoots:
    """What a ledger holds of datasets' roots. Any thread may use it."""

    def __init__(self, ledger: Anchors) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def of(self, dataset: str) -> Set[int]:
        """The roots of a dataset as the ledger holds them now; raises what the ledger refuses."""
        with self._lock:
            known = self._known.get(dataset, _Known())
            found = self._ledger.roots(dataset, max(known.count - 1, 0))
            if known.newest is not None and (not found or found[0] != known.newest):
                known, found = _Known(), self._ledger.roots(dataset)
            more = found[1:] if known.count else found
            if more:
                roots = known.roots.union(anchor.root for anchor in more)
                known = _Known(roots, known.count + len(more), more[-1])
            self._known[dataset] = known
            return known.roots
