"""All enterprises of a local network file their records, each with its own certificate and its own proofs."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from services.connection import opened
from services.enterprise import Enterprise, kept_provers
from services.identity import Identity
from services.local.folder import Folder
from services.local.setup import add_enterprise
from services.outbox import Outbox
from services.record_book import opened_book
from services.records import read_records
from services.server import Workers

AT_ONCE = 8
"""Enterprises that file at the same time."""


@dataclass(frozen=True)
class Filed:
    """A record that the log holds, and the file of its receipt."""

    subject: str
    period: str
    position: int
    receipt: Path


async def file_all(folder: Folder, records: Path | None, progress: Callable[[str, float], None]) -> list[Filed]:
    """File the records of the network's dataset; what was filed before gets its receipt again.

    Parameters
    ----------
    records
        A CSV file of more records, which the department commits first; of those that it has already it keeps its own.
    progress
        Told what is being done, and the fraction of it that is done.
    """
    facts = folder.facts()
    progress("the department's records", 0.0)
    due = await asyncio.to_thread(_committed, folder, records)
    for subject in dict.fromkeys(subject for subject, _ in due):
        await asyncio.to_thread(add_enterprise, folder, subject)
    gate, workers, filed = asyncio.Semaphore(AT_ONCE), Workers(os.cpu_count() or 1), []
    try:
        async with opened("enterprise", folder.enterprise(facts.scored), {}) as first:
            provers = kept_provers(first)

            async def one(subject: str, period: str) -> None:
                async with gate:
                    home = folder.enterprise(subject).parent
                    identity = await workers.run(Identity.load, home / "identity")
                    connection = replace(first, identity=identity, workers=workers)
                    outbox = Outbox(home / "outbox")
                    agent = Enterprise.of(connection, lambda request: False, provers, outbox)
                    await agent.start()
                    try:
                        receipt = await agent.submit(facts.dataset, period)
                    finally:
                        await agent.stop()
                filed.append(Filed(subject, period, receipt.position, outbox.receipt_file(facts.dataset, period)))
                progress("encrypt, prove, submit, check the receipt", len(filed) / len(due))

            try:
                async with asyncio.TaskGroup() as group:
                    for subject, period in due:
                        group.create_task(one(subject, period))
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None
    finally:
        workers.close()
    return sorted(filed, key=lambda each: each.position)


def _committed(folder: Folder, records: Path | None) -> list[tuple[str, str]]:
    """Commits what is new; subject and period of the records that are to be filed."""
    facts = folder.facts()
    with opened_book(folder.party(facts.department, "department"), {}) as (book, parameters, _):
        committed = book.subjects(facts.dataset)
        if records is None:
            return committed
        read = read_records(records, parameters.named(facts.dataset).schema)
        known = set(committed)
        new = [record for record in read if (record.subject, record.period) not in known]
        if new:
            book.commit(facts.dataset, new)
        return [(record.subject, record.period) for record in read]
