"""The ledger: registry contract and the calls on it, over any web3 provider.

- :class:`Ledger`: what the parties anchor, register and look up; ``registry.vy`` is the contract, ``registry.json`` its
  compiled artefact (made anew by ``python -m services.ledger.build``).
- :class:`EmbeddedProvider`: a ledger in a file, for one machine, tests and offline verification.
- :class:`LedgerAccount`: a party's key on the ledger.
"""

from services.ledger.blocks import LedgerDamaged
from services.ledger.chain import (
    Anchor,
    AnchoredHead,
    Confirmation,
    Dataset,
    EnteredRelease,
    Ledger,
    RegisteredScorecard,
)
from services.ledger.embedded import EmbeddedProvider
from services.ledger.transactions import LedgerAccount

__all__ = [
    "Anchor",
    "AnchoredHead",
    "Confirmation",
    "Dataset",
    "EmbeddedProvider",
    "EnteredRelease",
    "Ledger",
    "LedgerAccount",
    "LedgerDamaged",
    "RegisteredScorecard",
]
