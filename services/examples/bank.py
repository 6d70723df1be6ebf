"""A bank decides on credit: it asks an enterprise whether its score reaches a cut-off, and learns that one bit.

    python -m services.examples.bank bank.toml scorecard.json vat 2026Q2 600 mill-1 mill-2

What comes back was proved by the enterprise over the record that its department vouches for, and verified here, before
it is printed. The evidence of each answer goes to a file that ``zkshare receipt verify`` checks.
"""

import json
import sys
from pathlib import Path

from circuits.scorecard import Scorecard
from services import evidence
from services.client import SyncBankClient
from services.errors import Declined, Expired


def main(config: str, scorecard: str, dataset: str, period: str, cut_off: str, *enterprises: str) -> None:
    """Ask each enterprise and print what it answered."""
    card = Scorecard.from_dict(json.loads(Path(scorecard).read_text()))
    with SyncBankClient.connect(config) as bank:
        bank.register(card, dataset)  # its hash is on the ledger from then on: everybody is scored alike
        asked = {name: bank.request_score(name, dataset, period, card, int(cut_off)) for name in enterprises}
        for name, pending in asked.items():
            try:
                score = bank.score(pending, timeout=120)
            except (Declined, Expired) as refusal:
                print(f"{name}: no answer ({refusal.check}: {refusal.why})")
                continue
            print(f"{name}: {'reaches' if score.passed else 'is below'} {cut_off}")
            Path(f"{name}.score.json").write_bytes(evidence.write_score(pending.signed, score))


if __name__ == "__main__":
    main(*sys.argv[1:])
