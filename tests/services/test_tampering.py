"""Every field of every message, altered one at a time on its way: somebody who relies on it refuses it.

The fields are found by walking the descriptors, so a field that is added to a proto must either be refused when it is
altered or be listed, with the reason, among those on which nothing relies.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from services import scoring, statements
from services.api.zkshare.v1 import credit_pb2, credit_pb2_grpc, verification_pb2, verification_pb2_grpc
from services.client import PendingScore
from services.enterprise import DepartmentAddress
from services.errors import Declined
from services.identity import Role
from services.journal import Journal
from services.known_roots import KnownRoots
from services.log import Head
from services.release_list import ReleaseList
from services.releases import Releases
from services.replication import Replica
from services.sealing import seal
from services.server import answered, channel, streamed
from services.store.sqlite import SqliteDatabase
from services.verification import SubmissionVerifier
from tests.services import parties
from tests.services.calls import messages, methods, path_of
from tests.services.conftest import Running
from tests.services.tampering import CARRIED, SIGNED, Alteration, alterations
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTHING_RELIES_ON = {
    "zkshare.v1.SubmitManyResponse.refusal": "a refused record is not in the log, whatever the reason given",
    "zkshare.v1.SubmissionRefusal.check": "as above",
    "zkshare.v1.SubmissionRefusal.part": "as above",
    "zkshare.v1.SubmissionRefusal.why": "as above",
    "zkshare.v1.QueryResponse.faults": "the operator's word; the receipt holds without it",
    "zkshare.v1.TrusteeFault.trustee": "as above",
    "zkshare.v1.TrusteeFault.check": "as above",
    "zkshare.v1.TrusteeFault.part": "as above",
    "zkshare.v1.TrusteeFault.why": "as above",
    "zkshare.v1.GetScoreRequest.wait_ms": "only how long the bank waits",
    "zkshare.v1.GetScoreResponse.reason": "an enterprise's free text beside a refusal",
    "zkshare.v1.DeclineRequest.reason": "as above",
    "zkshare.v1.VerifyResponse.valid": "whoever asks a node to verify trusts the node, as the service says",
    "zkshare.v1.VerifyBatchResponse.invalid": "as above",
    "zkshare.v1.VerifyColumnsResponse.invalid": "as above",
    "zkshare.v1.VerifyColumnsResponse.malformed": "as above",
    "zkshare.v1.VerifyStreamResponse.verdicts": "as above",
    "zkshare.v1.VerifyStreamResponse.refusal": "as above",
    "zkshare.v1.VerificationRefusal.check": "as above",
    "zkshare.v1.VerificationRefusal.part": "as above",
    "zkshare.v1.VerificationRefusal.why": "as above",
    "zkshare.v1.MalformedProof.index": "as above",
    "zkshare.v1.MalformedProof.check": "as above",
    "zkshare.v1.MalformedProof.part": "as above",
    "zkshare.v1.MalformedProof.why": "as above",
}
"""Fields that nobody checks, and why nothing follows from them."""

WITHHOLDING = {
    "zkshare.v1.ListRequestsResponse.requests": {"emptied", "last left out", "last twice", "reversed"},
    "zkshare.v1.ListDatasetsResponse.datasets": {"emptied", "last left out", "last twice"},
    "zkshare.v1.VerifyBatchRequest.items": {"last left out", "last twice"},
}
"""Alterations that leave out, repeat or reorder: a party can always keep silent; no such list claims to be complete."""

Flow = Callable[[], Awaitable[object]]


class Flows:
    """For each method an honest exchange that uses it, and that ends well only if everything that was said holds."""

    def __init__(self, running: Running, directory: Path) -> None:
        self.running = running
        self.network = running.network
        self.directory = directory
        self.name = parties.FILED[2]
        self.enterprise = self.network.enterprises[self.name]
        self.bank = self.network.banks["bank"]
        self.submission = running.submissions[self.name]
        self.receipt = running.receipts[self.name]
        self.replicas = 0
        self.answered: PendingScore | None = None
        self.left: PendingScore | None = None

    def flow(self, method: MethodDescriptor) -> Flow:
        return getattr(self, f"{method.containing_service.name}_{method.name}")

    async def SubmissionService_Submit(self) -> None:
        await self.enterprise.file(self.submission)

    async def SubmissionService_SubmitMany(self) -> None:
        for outcome in await self.enterprise.file_many([self.submission]):
            if isinstance(outcome, Refused):
                raise outcome

    async def SubmissionService_GetReceipt(self) -> None:
        await self.enterprise.receipt("filing", parties.PERIOD, self.submission)

    async def LogService_GetHead(self) -> None:
        await self.enterprise.confirm(self.receipt)

    LogService_GetInclusion = LogService_GetHead
    LogService_GetConsistency = LogService_GetHead

    async def LogService_StreamEntries(self) -> None:
        """A new trustee follows the log to its first anchored head."""
        self.replicas += 1
        database = SqliteDatabase(self.directory / f"replica-{self.replicas}.sqlite")
        identity, node = self.network.identity(Role.TRUSTEE, "trustee-1"), self.network.node
        verifier = SubmissionVerifier(self.network.parameters, KnownRoots(self.network.ledger).of)
        first = self.network.ledger.heads()[0]
        async with channel(identity, node.address, Role.OPERATOR, "operator") as there:
            replica = Replica(
                Journal(database, self.directory / f"replica-{self.replicas}.segments"),
                verifier,
                self.network.ledger,
                there,
                self.network.workers,
            )
            await replica.follow(Head(first.size, first.root))
        database.close()

    async def AggregateService_Query(self) -> None:
        sql = "SELECT COUNT(*), SUM(profit) FROM filing WHERE industry IN ('cloth', 'steel') GROUP BY industry"
        await self.network.tax_agencies["tax-agency"].query(sql)

    TrusteeService_DecryptShare = AggregateService_Query

    async def ReleaseService_GetQuery(self) -> None:
        """A trustee with nothing in hand takes the ledger's list of releases."""
        if not self.network.ledger.releases("filing"):
            await self.AggregateService_Query()
        self.replicas += 1
        database = SqliteDatabase(self.directory / f"releases-{self.replicas}.sqlite")
        trustee, node = self.network.trustees["trustee-1"], self.network.node
        identity = self.network.identity(Role.TRUSTEE, "trustee-1")
        async with channel(identity, node.address, Role.OPERATOR, "operator") as there:
            releases = ReleaseList(
                Releases(database),
                trustee._journal,
                self.network.parameters,
                self.network.ledger,
                self.network.workers,
                trustee._reach,
            )
            releases.meet({"operator": there})
            await releases.follow("filing")
        database.close()

    async def request(self) -> PendingScore:
        return await self.bank.request_score(self.name, "filing", parties.PERIOD, parties.scorecard(), cut_off=500)

    async def CreditService_RequestScore(self) -> None:
        await self.request()

    async def CreditService_GetScore(self) -> None:
        if self.answered is None:
            self.answered = await self.request()
            assert await self.enterprise.answer(self.answered.signed)
        self.answered.answered = False
        await self.bank.score(self.answered, timeout=0.3)

    async def CreditService_ListRequests(self) -> None:
        if self.left is None:
            self.left = await self.request()
        for signed in await self.enterprise.requests():
            await self.enterprise.read(signed)

    async def CreditService_WatchRequests(self) -> None:
        if self.left is None:
            self.left = await self.request()
        stub = credit_pb2_grpc.CreditServiceStub(self.enterprise._channel)
        async for response in streamed(stub.WatchRequests(credit_pb2.WatchRequestsRequest())):
            await self.enterprise.read(response.request)
            break

    async def CreditService_SubmitScoreProof(self) -> None:
        pending = await self.request()
        assert await self.enterprise.answer(pending.signed)
        await self.bank.score(pending, timeout=0.3)

    async def CreditService_Decline(self) -> None:
        pending = await self.request()
        self.running.consent = False
        try:
            assert not await self.enterprise.answer(pending.signed)
        finally:
            self.running.consent = True
        try:
            await self.bank.score(pending, timeout=0.3)
        except Declined:
            return

    def proof_item(self) -> verification_pb2.ProofItem:
        verifier = SubmissionVerifier(self.network.parameters, KnownRoots(self.network.ledger).of)
        read = verifier._read(self.submission, {})
        inputs = [value.to_bytes(32, "big") for value in read.public_inputs]
        return verification_pb2.ProofItem(proof=read.proof.to_bytes(), public_inputs=inputs)

    async def VerificationService_Verify(self) -> None:
        key = self.network.parameters.named("filing").filing_key.to_bytes()
        stub = verification_pb2_grpc.VerificationServiceStub(self.enterprise._channel)
        request = verification_pb2.VerifyRequest(verifying_key=key, item=self.proof_item())
        if not (await answered(stub.Verify(request))).valid:
            raise Refused("proof", "invalid")

    async def VerificationService_VerifyBatch(self) -> None:
        key = self.network.parameters.named("filing").filing_key.to_bytes()
        stub = verification_pb2_grpc.VerificationServiceStub(self.enterprise._channel)
        request = verification_pb2.VerifyBatchRequest(verifying_key=key, items=[self.proof_item()] * 2)
        if (await answered(stub.VerifyBatch(request))).invalid:
            raise Refused("proof", "invalid")

    def columns(self) -> verification_pb2.VerifyColumnsRequest:
        key, item = self.network.parameters.named("filing").filing_key.to_bytes(), self.proof_item()
        proofs, inputs = item.proof * 2, b"".join(item.public_inputs) * 2
        return verification_pb2.VerifyColumnsRequest(verifying_key=key, proofs=proofs, public_inputs=inputs)

    async def VerificationService_VerifyColumns(self) -> None:
        stub = verification_pb2_grpc.VerificationServiceStub(self.enterprise._channel)
        response = await answered(stub.VerifyColumns(self.columns()))
        if response.invalid or response.malformed:
            raise Refused("proof", "invalid")

    async def VerificationService_VerifyStream(self) -> None:
        stub = verification_pb2_grpc.VerificationServiceStub(self.enterprise._channel)
        requests = [verification_pb2.VerifyStreamRequest(columns=self.columns())] * 2
        responses = [response async for response in streamed(stub.VerifyStream(iter(requests)))]
        if len(responses) != 2 or any(
            each.HasField("refusal") or each.verdicts.invalid or each.verdicts.malformed for each in responses
        ):
            raise Refused("proof", "invalid")

    async def DepartmentService_ListDatasets(self) -> None:
        department = self.network.departments[parties.DEPARTMENT]
        await self.enterprise.datasets(DepartmentAddress(parties.DEPARTMENT, department.address))

    async def DepartmentService_GetOpening(self) -> None:
        self.enterprise._openings.clear()
        await self.enterprise.opening("filing", parties.PERIOD)


@pytest.fixture(scope="session")
def flows(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Flows:
    return Flows(running, tmp_path_factory.mktemp("replicas"))


async def examples(flows: Flows, method: MethodDescriptor) -> dict[str, Message]:
    """The last request and response of an honest exchange."""
    tap, path = flows.running.tap, path_of(method)
    start = len(tap.passed)
    await flows.flow(method)()
    found = {direction: encoded for name, direction, encoded in tap.passed[start:] if name == path}
    kinds = {"request": method.input_type, "response": method.output_type}
    return {
        direction: message_factory.GetMessageClass(kinds[direction]).FromString(encoded)
        for direction, encoded in found.items()
    }


def expected_to_pass(alteration: Alteration) -> bool:
    return alteration.field in NOTHING_RELIES_ON or alteration.how in WITHHOLDING.get(alteration.field, set())


EXERCISED: set[str] = set()


@pytest.mark.parametrize("method", methods(), ids=path_of)
async def test_every_altered_field_is_refused(flows: Flows, method: MethodDescriptor) -> None:
    tap, path = flows.running.tap, path_of(method)
    honest = await examples(flows, method)
    assert set(honest) == {"request", "response"}
    survivors = []
    for direction, example in honest.items():
        for alteration in alterations(example):
            EXERCISED.add(alteration.field)
            if expected_to_pass(alteration):
                continue
            tap.alter(path, direction, alteration.apply)
            try:
                await flows.flow(method)()
            except Refused:
                assert tap.edited, f"{direction} {alteration}: refused before it was altered"
            else:
                survivors.append(f"{direction} {alteration}")
            finally:
                tap.leave()
    assert not survivors
    await flows.flow(method)()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pending(flows: Flows) -> tuple[PendingScore, credit_pb2.ScoreProof]:
    """A request of a bank and the enterprise's proof for it."""
    pending = await flows.request()
    opening = await flows.enterprise.opening("filing", parties.PERIOD)
    return pending, flows.network.provers["filing"].score(opening, pending.request)


def judge(flows: Flows, pending: PendingScore, proof: credit_pb2.ScoreProof) -> scoring.Score:
    parsed = statements.parse_canonical(statements.canonical(proof), credit_pb2.ScoreProof, "score_proof")
    network = flows.network
    return scoring.verify(pending.request, parsed, network.parameters, network.ledger, network.clock())


async def test_every_altered_field_of_a_score_proof_is_refused(
    flows: Flows, pending: tuple[PendingScore, credit_pb2.ScoreProof]
) -> None:
    request, proof = pending
    assert judge(flows, request, proof).passed is True
    for alteration in alterations(proof):
        EXERCISED.add(alteration.field)
        with pytest.raises(Refused):
            judge(flows, request, alteration.apply(proof))  # type: ignore[arg-type]
            pytest.fail(str(alteration))


async def test_a_score_proof_answers_no_request_that_differs_in_any_field(
    flows: Flows, pending: tuple[PendingScore, credit_pb2.ScoreProof]
) -> None:
    """Each altered statement is signed anew by the bank that it names, so that only what the proof binds can tell."""
    request, proof = pending
    network, clock = flows.network, flows.network.clock
    statement = credit_pb2.ScoreStatement.FromString(request.signed.statement)
    for alteration in alterations(statement):
        altered = alteration.apply(statement)
        assert isinstance(altered, credit_pb2.ScoreStatement)
        signer = network.authority.issue(Role.BANK, altered.bank or "bank")
        signed = statements.sign(signer, statements.SCORE_REQUEST, altered)
        request_id = statements.digest(statements.SCORE_REQUEST, signed)
        with pytest.raises(Refused):
            other = scoring.read_request(signed, network.parameters, clock())
            sealed = seal(request.request.sealing_key, request.request_id, statements.canonical(proof))
            request.sealing_key.open(request_id, sealed)
            pytest.fail(f"{alteration}: opened under another request")
        with pytest.raises(Refused):
            other = scoring.read_request(signed, network.parameters, clock())
            if alteration.field == "zkshare.v1.ScoreStatement.sealing_key":
                raise Refused("sealing_key", "what is sealed to one key opens with no other: see the test of sealing")
            scoring.verify(other, proof, network.parameters, network.ledger, clock())
            pytest.fail(f"{alteration}: the proof answers another request")


async def test_no_field_was_forgotten() -> None:
    """Runs after the others: they must have altered every field of every message."""
    if not EXERCISED:
        pytest.skip("needs the tests before it")
    every = {field.full_name for message in messages() for field in message.fields}
    assert set(NOTHING_RELIES_ON) | set(WITHHOLDING) | set(SIGNED) | set(CARRIED) <= every
    assert every <= EXERCISED | set(NOTHING_RELIES_ON)
