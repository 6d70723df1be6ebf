"""What a node shows the public: what stands on the ledger, how far its log reaches, and what it has answered.

Nothing here comes from a record: sizes and roots stand on the ledger, answers and cohort sizes in receipts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services import receipts
from services.identity import Authority
from services.ledger import Ledger
from services.log import Head
from services.receipt_text import explain
from services.releases import Releases
from zkcore.errors import Refused

NEWEST_ROOTS, NEWEST_HEADS, NEWEST_QUERIES = 20, 20, 100
"""How many of each the page lists, newest first."""


@dataclass(frozen=True)
class PublicView:
    """The public side of a node; every method may take a while, so call them from a worker thread.

    Attributes
    ----------
    operator
        Name of the operator.
    authority
        Whose certificates receipts are held against.
    ledger
        Read only.
    head
        The log's head now.
    releases
        The answers given.
    """

    operator: str
    authority: Authority
    ledger: Ledger
    head: Callable[[], Head]
    releases: Releases

    def overview(self) -> dict[str, Any]:
        """All that the page lists, as a JSON value."""
        head, heads = self.head(), self.ledger.heads()
        return {
            "operator": self.operator,
            "log": {
                "size": head.size,
                "root": head.root.hex(),
                "anchored": heads[-1].size if heads else 0,
                "heads": [
                    {"size": each.size, "root": each.root.hex(), "time": _time(each.time)}
                    for each in heads[: -NEWEST_HEADS - 1 : -1]
                ],
            },
            "datasets": [self._dataset(name) for name in self.ledger.datasets()],
            "queries": [
                {
                    "id": answered.request.hex(),
                    "dataset": answered.dataset,
                    "query": answered.query,
                    "querier": answered.querier,
                    "time": _time(answered.time),
                    "records": answered.head_size,
                    "cohorts": list(answered.cohort_sizes),
                    "receipt": answered.has_receipt,
                }
                for answered in self.releases.newest(NEWEST_QUERIES)
            ],
        }

    def receipt(self, request: bytes) -> bytes | None:
        """The receipt of an answered request."""
        return self.releases.receipt(request)

    def verify(self, receipt: bytes) -> dict[str, Any]:
        """What a receipt shows, in words, or why it shows nothing."""
        try:
            verified = receipts.verify(receipt, self.authority, self.ledger)
        except Refused as error:
            return {"valid": False, "check": error.check, "part": error.part, "why": error.why}
        return {"valid": True, "lines": explain(verified)}

    def _dataset(self, name: str) -> dict[str, Any]:
        entry, roots = self.ledger.dataset(name), self.ledger.roots(name)
        return {
            "name": name,
            "department": entry.department if entry else "",
            "records": roots[-1].size if roots else 0,
            "roots": [
                {"epoch": root.epoch, "root": f"{root.root:064x}", "size": root.size, "time": _time(root.time)}
                for root in roots[: -NEWEST_ROOTS - 1 : -1]
            ],
        }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
