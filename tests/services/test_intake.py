"""What a node checks before it works out a proof: what is refused or known by looking costs no arithmetic.

The real checks run; what they are given is counted on its way.
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from circuits.schema import Schema
from homomorphic.proofs import link
from services.api.zkshare.v1.submission_pb2 import Submission
from services.errors import Unreachable
from services.identity import Role
from services.journal import Journal
from services.known_roots import KnownRoots
from services.ledger import Anchor
from services.network import OPERATOR
from services.parameters import Dataset, PublicParameters
from services.server import Workers
from services.statements import canonical
from services.store.opening import open_database
from services.submission import Intake
from services.verification import Accepted, SubmissionVerifier
from tests.services import parties
from tests.services.conftest import Running
from tests.services.test_network import refused
from zkcore.errors import Malformed, Refused
from zkcore.groth16 import PreparedVerifyingKey

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST, SECOND = parties.FILED[:2]


@dataclass
class Counted:
    """Proofs that one verifier worked out, Groth16 and links, and questions to the ledger.

    The network's trustees verify what they follow beside it, in other threads.
    """

    groth16: int = 0
    links: int = 0
    questions: int = 0
    here: threading.local = field(default_factory=threading.local)

    def watch(self, verifier: SubmissionVerifier, patch: pytest.MonkeyPatch) -> None:
        """Begins to count what a verifier does."""
        verify = verifier.verify_batch

        def watched(entries: Sequence[bytes]) -> list[Accepted | Refused]:
            self.here.on = True
            try:
                return verify(entries)
            finally:
                self.here.on = False

        patch.setattr(verifier, "verify_batch", watched)

    def now(self) -> tuple[int, int]:
        return self.groth16, self.links


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted, proofs, links = Counted(), PreparedVerifyingKey.verify_batch, link.verify_batch

    def count_proofs(self: PreparedVerifyingKey, items: Iterable[Any], threads: int = 1) -> list[int]:
        listed = list(items)
        counted.groth16 += len(listed) if getattr(counted.here, "on", False) else 0
        return proofs(self, listed, threads)

    def count_links(items: Sequence[Any]) -> list[int]:
        counted.links += len(items) if getattr(counted.here, "on", False) else 0
        return links(items)

    monkeypatch.setattr(PreparedVerifyingKey, "verify_batch", count_proofs)
    monkeypatch.setattr(link, "verify_batch", count_links)
    return counted


@dataclass
class Anchors:
    """The network's ledger, which may be away."""

    running: Running
    counted: Counted
    gone: bool = False
    more: list[Anchor] = field(default_factory=list)

    def roots(self, dataset: str, start: int = 0) -> list[Anchor]:
        self.counted.questions += 1
        if self.gone:
            raise Unreachable("ledger", "no answer")
        return [*self.running.network.ledger.roots(dataset), *self.more][start:]


@dataclass
class Taking:
    """An intake with a journal of its own."""

    intake: Intake
    journal: Journal
    anchors: Anchors
    database: Path

    async def all(self, *bodies: bytes) -> list[bytes | Refused]:
        """What becomes of records that come at the same time."""
        return await asyncio.gather(*(self._one(body) for body in bodies))

    async def _one(self, body: bytes) -> bytes | Refused:
        try:
            return await self.intake.submit(body)
        except Refused as refused:
            return refused


@pytest_asyncio.fixture(loop_scope="session")
async def taking(
    running: Running, counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Taking]:
    network, workers, anchors = running.network, Workers(2), Anchors(running, counted)
    database = open_database(tmp_path / "store.db")
    journal = Journal(database, tmp_path / "segments")
    verifier = SubmissionVerifier(network.parameters, KnownRoots(anchors).of)
    counted.watch(verifier, monkeypatch)
    intake = Intake(journal, verifier, network.identity(Role.OPERATOR, OPERATOR), workers)
    await intake.start()
    yield Taking(intake, journal, anchors, tmp_path / "store.db")
    await intake.stop()
    journal.close()
    database.close()
    workers.close()


def checks(outcomes: Iterable[bytes | Refused]) -> list[str]:
    return [outcome.check if isinstance(outcome, Refused) else "" for outcome in outcomes]


def altered(running: Running, **changes: Any) -> bytes:
    submission = Submission.FromString(running.submissions[FIRST])
    for name, value in changes.items():
        setattr(submission, name, value)
    return canonical(submission)


async def test_what_the_log_holds_is_not_verified_again(running: Running, taking: Taking, counted: Counted) -> None:
    body, other = running.submissions[FIRST], running.submissions[SECOND]
    (first,) = await taking.all(body)
    assert isinstance(first, bytes) and counted.now() == (1, 1)
    assert await taking.all(*[body] * 20) == [first] * 20
    assert counted.now() == (1, 1) and taking.journal.size == 1
    again, second = await taking.all(body, other)  # one that is new beside one that is not
    assert again == first and second not in (first, None)
    assert counted.now() == (2, 2) and taking.journal.size == 2
    taking.anchors.gone = True  # nothing needs the ledger to find a receipt
    assert await taking.all(body, other) == [first, second] and counted.now() == (2, 2)


async def test_the_same_bytes_at_once_are_verified_once(running: Running, taking: Taking, counted: Counted) -> None:
    receipts = await taking.all(*[running.submissions[FIRST]] * 12)
    assert len(set(receipts)) == 1 and isinstance(receipts[0], bytes)
    assert counted.now() == (1, 1) and taking.journal.size == 1
    forged = altered(running, proof=Submission.FromString(running.submissions[SECOND]).proof, period="2026Q3")
    assert checks(await taking.all(*[forged] * 12)) == ["proof_invalid"] * 12
    assert counted.now() == (2, 1) and taking.journal.size == 1


async def test_other_bytes_are_no_resubmission(running: Running, taking: Taking, counted: Counted) -> None:
    """Nothing but the very bytes is answered with the receipt: what differs is verified, and refused."""
    body = running.submissions[FIRST]
    (first,) = await taking.all(body)
    link_proof = bytearray(Submission.FromString(body).link_proof)
    link_proof[40] ^= 1
    others = [altered(running, link_proof=bytes(link_proof)), body + b"\xa2\x06\x01x", body[:-1]]
    assert checks(await taking.all(*others)) == ["link_invalid", "malformed", "malformed"]
    assert counted.now() == (2, 2)
    another = await running.network.enterprises[FIRST].prepare("filing", parties.PERIOD)
    assert checks(await taking.all(another, body)) == ["already_submitted", ""]
    assert counted.now() == (3, 3) and await taking.all(body) == [first]


async def test_roots_that_nobody_anchored_cost_one_question(running: Running, taking: Taking, counted: Counted) -> None:
    await taking.all(running.submissions[FIRST])
    before, proofs = counted.questions, counted.now()
    made_up = [altered(running, root=number.to_bytes(32, "big"), period=f"p{number}") for number in range(2, 42)]
    assert checks(await taking.all(*made_up)) == ["not_anchored"] * 40
    assert counted.questions == before + 1 and counted.now() == proofs
    taking.anchors.more.append(Anchor(9, 7, 99, "0x", 0))  # a root that has come since
    assert checks(await taking.all(altered(running, root=(7).to_bytes(32, "big")))) == ["proof_invalid"]
    taking.anchors.more.clear()  # and was rolled back
    assert checks(await taking.all(altered(running, root=(7).to_bytes(32, "big")))) == ["not_anchored"]
    taking.anchors.gone, before = True, counted.questions
    assert checks(await taking.all(*made_up)) == ["unreachable"] * 40 and counted.questions == before + 1


async def test_nobody_else_is_answered_and_a_node_looks_first(
    running: Running, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over connections, at the node of the network, which holds the records of both."""
    counted.watch(running.network.node._intake._verifier, monkeypatch)
    first, second = (running.network.enterprises[name] for name in (FIRST, SECOND))
    body, size = running.submissions[FIRST], running.network.node._journal.size
    assert (await refused(second.file(body))).check == "wrong_subject"
    assert await first.file(body) == running.receipts[FIRST]
    assert await first.file_many([body] * 3) == [running.receipts[FIRST]] * 3
    root = (5).to_bytes(32, "big")
    assert (await refused(first.file(altered(running, root=root, period="1999")))).check == "not_anchored"
    assert counted.now() == (0, 0) and running.network.node._journal.size == size
    assert (await refused(first.file(altered(running, period="1999")))).check == "proof_invalid"
    assert counted.now() == (1, 0)  # the count can tell


async def test_periods_that_the_schema_does_not_allow(
    running: Running, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a schema that names its periods: the same submissions, held against a network that has it."""
    parameters, (dataset,) = running.network.parameters, running.network.parameters.datasets
    schema = Schema.from_toml('periods = "quarter"\n' + parties.SCHEMA)
    strict = PublicParameters(
        parameters.authority,
        parameters.operator,
        parameters.trustees,
        parameters.threshold_key,
        (Dataset(schema, dataset.filing_key, dataset.score_key),),
    )
    verifier = SubmissionVerifier(strict, KnownRoots(running.network.ledger).of)
    counted.watch(verifier, monkeypatch)
    schema_id = schema.schema_id.to_bytes(32, "big")
    periods = ["2026", "2026Q5", "2026Q22", "2026q2", "x", "2026-06"]
    for verdict in verifier.verify_batch([altered(running, schema_id=schema_id, period=period) for period in periods]):
        assert isinstance(verdict, Refused)
        assert (verdict.check, verdict.part) == ("malformed", "submission.period")
    assert counted.now() == (0, 0)
    (verdict,) = verifier.verify_batch([altered(running, schema_id=schema_id, period="2026Q3")])
    assert isinstance(verdict, Refused) and verdict.check == "proof_invalid" and counted.now() == (1, 0)
    bank, seen = running.network.banks["bank"], len(running.tap.passed)
    monkeypatch.setattr(bank, "_parameters", strict)
    with pytest.raises(Malformed, match="a quarter"):  # nor is a score over such a record asked for
        await bank.request_score(FIRST, "filing", "2026", parties.scorecard())
    assert "RequestScore" not in str([name for name, *_ in running.tap.passed[seen:]])


async def test_a_store_that_cannot_be_read(running: Running, taking: Taking, counted: Counted) -> None:
    body = running.submissions[FIRST]
    (first,) = await taking.all(body)
    with sqlite3.connect(taking.database) as other:
        other.execute("ALTER TABLE entry_body RENAME TO away")
    (lost,) = set(checks(await taking.all(body, running.submissions[SECOND])))
    assert lost == "unreachable" and counted.now() == (1, 1)
    with sqlite3.connect(taking.database) as other:
        other.execute("ALTER TABLE away RENAME TO entry_body")
    assert await taking.all(body) == [first] and counted.now() == (1, 1)
