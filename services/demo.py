"""``zkshare demo``: the whole job on one machine, from records to verified answers, and six cheats that are refused.

All parties are real servers on loopback with identities, databases and ledger accounts of their own
(:mod:`services.network`). What the demonstration alone knows is the plain truth, which it shows beside the answers.
"""

import asyncio
import dataclasses
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from circuits import credit_score, filing
from circuits.record import Opening, Record
from circuits.schema import VALUE_BITS
from homomorphic.threshold import KeyShare, PartialDecryption, deal
from services import query as sql
from services import statements
from services.api.zkshare.v1.submission_pb2 import Submission
from services.client import Answer, PendingScore
from services.enterprise import Enterprise
from services.keys import circuit_keys, home
from services.network import DatasetPlan, LocalNetwork, NetworkPlan
from services.policy import OTHER
from services.query import Aggregate, Query
from services.sample_job import CREDIT_BUREAU, TAX_BUREAU, Job, credit_records, credit_schema, credit_scorecard
from services.sealing import seal
from services.terminal import Step, Terminal
from zkcore.bn254 import R
from zkcore.errors import Malformed, Refused
from zkcore.merkle import MerkleTree

KEY_BITS = 3072
THRESHOLD = 2
BANK, OTHER_BANK = "bank", "another-bank"
CHEAT = "cheating-enterprise"
AT_ONCE = 16
STEPS = 6


@dataclass
class Outcome:
    """What came out, for people and as JSON."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    score: dict[str, Any] = field(default_factory=dict)
    refused: list[dict[str, str]] = field(default_factory=list)
    receipt: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As a JSON value."""
        return dataclasses.asdict(self)

    @property
    def right(self) -> bool:
        """Whether every answer is the truth and every cheat was refused."""
        answers = all(answer["values"] == answer["truth"] for answer in self.answers)
        return answers and self.score["score"] == self.score["truth"] and all(item["reason"] for item in self.refused)


def run(job: Job, terminal: Terminal) -> Outcome:
    """Run the demonstration.

    Raises
    ------
    zkcore.errors.Refused
        If the query is not one that can be answered.
    """
    sql.parse(job.query, {job.schema.name: job.schema})  # refused before anything is set up
    directory = (home() / "demo").resolve()
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700, parents=True)
    return asyncio.run(_Demonstration(job, terminal, directory).run())


class _CorruptibleShare(KeyShare):
    """A share whose owner answers wrongly once it is told to cheat."""

    cheating: ClassVar[bool] = False

    def partial_decrypt_batch(self, items: Sequence[tuple[int, bytes]]) -> list[PartialDecryption]:
        honest = super().partial_decrypt_batch(items)
        if not self.cheating:
            return honest
        square = self.key.public_key.square
        return [dataclasses.replace(answer, value=answer.value * self.key.base % square) for answer in honest]


class _Demonstration:
    """The six steps over one network."""

    def __init__(self, job: Job, terminal: Terminal, directory: Path) -> None:
        self._job = job
        self._terminal = terminal
        self._directory = directory
        self._outcome = Outcome()
        self._query: Query = sql.parse(job.query, {job.schema.name: job.schema})
        self._credit = credit_schema()
        self._network: LocalNetwork
        self._threads = os.cpu_count() or 1

    async def run(self) -> Outcome:
        steps = (
            ("parties", "The parties come up", self._bring_up),
            ("commit", "Departments commit the records and anchor the roots", self._commit),
            ("submit", "Enterprises encrypt, prove and submit", self._submit),
            ("query", "The tax agency asks, the trustees decrypt", self._ask),
            ("score", "The bank asks for a private score", self._score),
            ("cheats", "Six cheats are tried", self._cheat),
        )
        try:
            for name, title, work in steps:
                with self._terminal.step(name, title) as step:
                    report = await work(step)
                report()
        finally:
            if hasattr(self, "_network"):
                await self._network.stop()
        self._outcome.seconds = self._terminal.seconds
        return self._outcome

    async def _bring_up(self, step: Step) -> Callable[[], None]:
        subjects = list(dict.fromkeys(record.subject for record in self._job.records))
        if CHEAT in subjects:
            raise Malformed("records", f"the subject {CHEAT} is the demonstration's own; use another name")
        plans = []
        for schema, department in ((self._job.schema, TAX_BUREAU), (self._credit, CREDIT_BUREAU)):
            step.detail(f"circuits and keys of {schema.name} (the first run compiles and makes them)")
            filing_circuit = await asyncio.to_thread(filing.build, schema)
            filing_keys = await asyncio.to_thread(circuit_keys, filing_circuit, step.fraction)
            score_circuit = await asyncio.to_thread(credit_score.build, schema)
            score_keys = await asyncio.to_thread(circuit_keys, score_circuit, step.fraction)
            plans.append(DatasetPlan(schema, department, filing_circuit, filing_keys, score_circuit, score_keys))
        step.detail(f"threshold key of {KEY_BITS} bits")
        key, shares = await asyncio.to_thread(
            deal, KEY_BITS, 3, THRESHOLD, lambda tested, expected: step.fraction(min(0.99, tested / expected))
        )
        shares[1] = _CorruptibleShare(shares[1].index, shares[1].value, shares[1].key)
        plan = NetworkPlan(tuple(plans), key, tuple(shares), enterprises=(*subjects, CHEAT), banks=(BANK, OTHER_BANK))
        self._network = LocalNetwork(
            plan, self._directory, consent=lambda request: True, threads=self._threads, progress=step.detail
        )
        await self._network.start()
        (self._directory / "authority.pem").write_bytes(self._network.parameters.authority.to_pem())
        (self._directory / "registry.txt").write_text(self._network.ledger.address + "\n", encoding="utf-8")
        return lambda: self._terminal.say(
            f"{len(subjects)} enterprises, {len(plan.trustees)} trustees (any {THRESHOLD} decrypt), "
            f"{len(plans)} departments, {len(plan.banks)} banks, a tax agency; "
            f"ledger at {self._network.ledger.address}; circuits' keys from a {filing_keys.origin}"
        )

    async def _commit(self, step: Step) -> Callable[[], None]:
        records = list(self._job.records)
        # The cheat's record is committed like any other, and never honestly filed.
        records.append(dataclasses.replace(records[0], subject=CHEAT))
        subjects = list(dict.fromkeys(record.subject for record in records))
        step.detail(TAX_BUREAU)
        await self._network.departments[TAX_BUREAU].commit(self._job.schema.name, records)
        step.detail(CREDIT_BUREAU)
        self._applications = {record.subject: record for record in credit_records(self._credit, subjects)}
        await self._network.departments[CREDIT_BUREAU].commit(self._credit.name, list(self._applications.values()))
        step.detail("openings go to their owners")
        await self._each(
            records, lambda agent, record: agent.opening(self._job.schema.name, record.period), step.fraction
        )
        roots = len(self._network.ledger.roots(self._job.schema.name)) + len(
            self._network.ledger.roots(self._credit.name)
        )
        return lambda: self._terminal.say(f"{len(records)} records, {roots} roots on the ledger")

    async def _submit(self, step: Step) -> Callable[[], None]:
        dataset = self._job.schema.name
        step.detail("encrypt, prove, submit, check the receipt")
        receipts = await self._each(
            self._job.records, lambda agent, record: agent.submit(dataset, record.period), step.fraction
        )
        step.detail("the node anchors its log")
        await self._network.node.anchor()
        return lambda: self._terminal.say(f"{len(receipts)} filings accepted, each with a signed receipt")

    async def _each(
        self,
        records: Sequence[Record],
        call: Callable[[Enterprise, Record], Awaitable[Any]],
        progress: Callable[[float], None],
    ) -> list[Any]:
        """Results of a call for each record's enterprise, a few at a time."""
        gate, done = asyncio.Semaphore(AT_ONCE), 0

        async def one(record: Record) -> Any:
            nonlocal done
            async with gate:
                result = await call(self._network.enterprises[record.subject], record)
            done += 1
            progress(done / len(records))
            return result

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(record)) for record in records]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _ask(self, step: Step) -> Callable[[], None]:
        step.detail("trustees replicate the log, check every proof, then the query")
        agency = self._network.tax_agencies["tax-agency"]
        answer = await agency.query(self._job.query)
        self._read_answer(answer)
        path = self._directory / "receipt.json"
        path.write_bytes(answer.receipt)
        self._outcome.receipt = str(path)
        step.detail("another process verifies the receipt offline")
        verdict = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "services.cli", "receipt", "verify", str(path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent.parent,  # this very package, whatever lies in the working directory
        )
        if verdict.returncode:
            raise Malformed("receipt", f"does not verify: {verdict.stdout}{verdict.stderr}".strip())
        return self._show_answer

    def _read_answer(self, answer: Answer) -> None:
        verified = answer.verified
        for row in verified.rows:
            members = [
                record
                for record in self._job.records
                if self._query.matches(record.attributes, record.period)
                and (
                    self._query.group_of(record.attributes, record.period) in verified.merged
                    if row.other
                    else self._query.group_of(record.attributes, record.period) == row.group
                )
            ]
            self._outcome.answers.append(
                {
                    "group": OTHER if row.other else _group_name(row.group),
                    "values": {
                        column.label: _plain(value)
                        for column, value in zip(self._query.columns, row.values, strict=True)
                        if column.aggregate is not None
                    },
                    "truth": {
                        column.label: _plain(_truth(column.aggregate, column.name, members))
                        for column in self._query.columns
                        if column.aggregate is not None
                    },
                }
            )
        self._outcome.merged = [_group_name(group) for group in verified.merged]
        self._outcome.withheld = [_group_name(group) for group in verified.withheld]

    def _show_answer(self) -> None:
        labels = list(self._outcome.answers[0]["values"]) if self._outcome.answers else []
        rows = []
        for answer in self._outcome.answers:
            verdict = "the same" if answer["values"] == answer["truth"] else "DIFFERENT"
            rows.append([answer["group"], *(_shown(answer["values"][label]) for label in labels)])
            rows.append([f"  plain truth: {verdict}", *(_shown(answer["truth"][label]) for label in labels)])
        heading = ", ".join(self._query.group_by) or "all"
        self._terminal.table(self._query.text, [heading, *labels], rows)
        minimum = self._job.schema.minimum_cohort
        if self._outcome.merged:
            self._terminal.say(
                f"{OTHER} holds {len(self._outcome.merged)} groups of fewer than {minimum} enterprises each: "
                + ", ".join(self._outcome.merged)
            )
        if self._outcome.withheld:
            self._terminal.say(
                f"withheld, fewer than {minimum} enterprises even together: {', '.join(self._outcome.withheld)}"
            )
        self._terminal.say("receipt, verified offline by another process:")
        self._terminal.say_unbroken(self._outcome.receipt)

    async def _score(self, step: Step) -> Callable[[], None]:
        card, bank = credit_scorecard(), self._network.banks[BANK]
        record = next(iter(self._applications.values()))
        agent = self._network.enterprises[record.subject]
        step.detail("the bank registers its scorecard on the ledger")
        await bank.register(card, self._credit.name)
        truth = card.score(record.values)
        cut_off = truth - 10

        async def asked(cut: int | None) -> tuple[PendingScore, Any]:
            pending = await bank.request_score(record.subject, self._credit.name, record.period, card, cut)
            await agent.answer_requests()
            return pending, await bank.score(pending)

        step.detail("score: the enterprise consents and proves, the bank verifies")
        self._pending, score = await asked(None)
        step.detail("pass or fail: the bank learns one bit")
        _, verdict = await asked(cut_off)
        self._outcome.score = {
            "enterprise": record.subject,
            "scorecard": card.name,
            "score": score.score,
            "truth": truth,
            "cut_off": cut_off,
            "passes": verdict.passed,
        }
        return lambda: self._terminal.say(
            f"{record.subject}: score {score.score} (plain truth {truth}); asked only whether it reaches "
            f"{cut_off}: {'pass' if verdict.passed else 'fail'}"
        )

    async def _cheat(self, step: Step) -> Callable[[], None]:
        cheats: tuple[tuple[str, Callable[[], Awaitable[str]]], ...] = (
            ("a ciphertext altered after its proof", self._altered_ciphertext),
            ("a record that was never anchored", self._unanchored_record),
            ("a value out of range", self._value_out_of_range),
            ("a cohort below the minimum", self._small_cohort),
            ("a score proof replayed for another bank", self._replayed_score),
            ("a trustee that answers with a wrong share", self._wrong_share),
        )
        for cheat, attempt in cheats:
            step.detail(cheat)
            try:
                reason = await attempt()
            except Refused as refused:
                reason = str(refused)
            self._outcome.refused.append({"cheat": cheat, "reason": reason})
        rows = [[item["cheat"], item["reason"] or "NOT REFUSED"] for item in self._outcome.refused]
        return lambda: self._terminal.table("Refused", ["cheat", "reason"], rows, numbers_from=2)

    @property
    def _cheat_agent(self) -> Enterprise:
        return self._network.enterprises[CHEAT]

    async def _cheat_opening(self) -> Opening:
        return await self._cheat_agent.opening(self._job.schema.name, self._job.records[0].period)

    async def _altered_ciphertext(self) -> str:
        dataset = self._job.schema.name
        honest = await self._cheat_agent.prepare(dataset, self._job.records[0].period)
        submission = Submission.FromString(honest)
        key = self._network.parameters.threshold_key.public_key
        larger = key.add_plain(int.from_bytes(submission.ciphertext, "big"), 1)
        submission.ciphertext = key.ciphertext_to_bytes(larger)
        await self._cheat_agent.file(statements.canonical(submission))
        return ""

    async def _unanchored_record(self) -> str:
        record = (await self._cheat_opening()).record
        return await self._file_invented(record)

    async def _file_invented(self, record: Record) -> str:
        """Files a record that the cheat committed to in a tree of its own."""
        tree, blinding = MerkleTree(), secrets.randbelow(R)
        tree.append(record.leaf(blinding))
        invented = Opening(record, blinding, tree.root, tree.path(0))
        prover = self._network.provers[self._job.schema.name]
        await self._cheat_agent.file(await self._network.workers.run(prover.submission, invented))
        return ""

    async def _value_out_of_range(self) -> str:
        opening = await self._cheat_opening()
        first = self._job.schema.fields[0]
        record = dataclasses.replace(opening.record)
        # Past the checks of Record, as a cheat with a program of its own would.
        object.__setattr__(record, "values", {**record.values, first.name: (1 << VALUE_BITS) - first.offset})
        return await self._file_invented(record)

    async def _small_cohort(self) -> str:
        await self._network.tax_agencies["tax-agency"].query(self._small_query())
        return ""

    def _small_query(self) -> str:
        """A query about fewer enterprises than the minimum, if a public attribute singles some out; else about none."""
        schema = self._job.schema
        total = f"SELECT COUNT(*), SUM({schema.fields[0].name}) FROM {schema.name}"  # noqa: S608 (checked names)
        for attribute in schema.attributes:
            values = [record.attributes[attribute.name] for record in self._job.records]
            value = min(set(values), key=values.count)
            if values.count(value) < schema.minimum_cohort:
                return f"{total} WHERE \"{attribute.name}\" = '{value.replace(chr(39), chr(39) * 2)}'"
        return f"{total} WHERE period = 'none'"

    async def _replayed_score(self) -> str:
        there = self._network.banks[OTHER_BANK]
        asked = self._pending.request
        pending = await there.request_score(asked.subject, asked.dataset, asked.period, asked.scorecard)
        opening = await self._network.enterprises[asked.subject].opening(asked.dataset, asked.period)
        proof = await self._network.workers.run(self._network.provers[asked.dataset].score, opening, asked)
        sealed = seal(pending.sealing_key.public, pending.request_id, statements.canonical(proof))
        await there.accept(pending, sealed)
        return ""

    async def _wrong_share(self) -> str:
        _CorruptibleShare.cheating = True
        try:
            answer = await self._network.tax_agencies["tax-agency"].query(self._job.query)
        finally:
            _CorruptibleShare.cheating = False
        again = Outcome()
        before, self._outcome = self._outcome, again
        self._read_answer(answer)
        self._outcome = before
        if not answer.faults or again.answers != before.answers:
            return ""
        named = "; ".join(f"{fault.trustee}: {fault.why} [{fault.check}]" for fault in answer.faults)
        others = " and ".join(f"trustee-{index}" for index in answer.verified.trustees)
        return f"{named}; {others} gave the same answer without it"


def _truth(aggregate: Aggregate, name: str | None, members: Sequence[Record]) -> int | Fraction:
    if aggregate is Aggregate.COUNT or name is None:
        return len(members)
    total = sum(record.values[name] for record in members)
    return total if aggregate is Aggregate.SUM else Fraction(total, len(members))


def _group_name(group: tuple[str, ...]) -> str:
    return ", ".join(group) or "(all)"


def _plain(value: str | int | Fraction) -> str | int | float:
    """A value as JSON has it: averages as the nearest floating-point number."""
    return float(value) if isinstance(value, Fraction) else value


def _shown(value: int | float | str) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def show_end(outcome: Outcome, terminal: Terminal) -> None:
    """Times per step, whether all was right, and where to go next."""
    total = outcome.seconds["total"]
    terminal.table("Time", ["step", "seconds"], [[name, f"{value:.1f}"] for name, value in outcome.seconds.items()])
    if outcome.right:
        terminal.say(f"Every answer is the plain truth and every cheat was refused, in {total:.0f} s.", "bold green")
    else:
        terminal.say("An answer differs from the plain truth, or a cheat was not refused.", "bold red")
    terminal.say("Next:")
    terminal.say_unbroken(f"zkshare receipt verify {outcome.receipt}")
    terminal.say_unbroken('zkshare demo --schema my.toml --records my.csv --query "SELECT ..."')
    terminal.say_unbroken("zkshare demo --enterprises 2000")
