"""A tax agency adds up what enterprises filed without seeing a filing.

    python -m services.examples.tax_agency tax_agency.toml "SELECT COUNT(*), SUM(vat_due) FROM vat"

The sums were decrypted by the trustees together and come with their proofs; all of it is verified here before a row is
printed. The receipt goes to a file that anyone can check with ``zkshare receipt verify``.
"""

import asyncio
import sys
from pathlib import Path

from services.client import TaxAgencyClient
from zkcore.errors import Refused


async def main(config: str, *queries: str) -> None:
    """Ask each query and print the rows of its answer."""
    async with TaxAgencyClient.connect(config) as agency:
        for number, sql in enumerate(queries, 1):
            try:
                answer = await agency.query(sql, timeout=120)
            except Refused as refusal:  # e.g. too few enterprises, so that the answer would tell of single ones
                print(f"refused: {refusal.why} [{refusal.check}]")
                continue
            for row in answer.verified.rows:
                print(*row.values, sep="\t")
            Path(f"answer-{number}.json").write_bytes(answer.receipt)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
