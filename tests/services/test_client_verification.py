"""The client that has proofs verified: callers share messages, each gets its own verdict, nobody is left waiting."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.certificate_authority import CertificateAuthority
from services.client import SyncVerificationClient, VerificationClient
from services.client.verification import MOST, ON_THE_WAY, SHARED_FROM
from services.errors import AnswerMismatch, Busy, Unreachable
from services.identity import Role
from services.known_roots import KnownRoots
from services.server import FREE_PORT, Server
from services.streams import InOrder
from services.verification import SubmissionVerifier
from tests.services import client_files, parties
from tests.services.conftest import Running
from zkcore.bn254 import P, R
from zkcore.errors import OutOfRange, PointAtInfinity, Refused, WrongLength
from zkcore.groth16 import Proof, VerifyingKey

pytestmark = pytest.mark.asyncio(loop_scope="session")

AUTHORITY = CertificateAuthority.create()
STREAM = "/zkshare.v1.VerificationService/VerifyStream"


@dataclass(frozen=True)
class Proved:
    """A key and three proofs of it with their inputs."""

    key: VerifyingKey
    items: list[tuple[Proof, list[int]]]


@pytest.fixture(scope="session")
def proved(running: Running) -> Proved:
    verifier = SubmissionVerifier(running.network.parameters, KnownRoots(running.network.ledger).of)
    reads = [verifier._read(running.submissions[name], {}) for name in parties.FILED[:3]]
    key = running.network.parameters.named("filing").filing_key
    return Proved(key, [(read.proof, read.public_inputs) for read in reads])


@pytest_asyncio.fixture(loop_scope="session")
async def client(running: Running) -> AsyncIterator[VerificationClient]:
    client = VerificationClient(running.network.node.address, running.network.identity(Role.BANK, "bank"), "operator")
    await client.start()
    yield client
    await client.stop()


async def test_callers_share_messages_and_get_their_own_verdicts(
    running: Running, client: VerificationClient, proved: Proved
) -> None:
    """Valid, false and malformed proofs, as numbers and as bytes, under two keys, as they come."""
    (first, inputs), (second, others), _ = proved.items
    score_key = running.network.parameters.named("filing").score_key
    joined = b"".join(value.to_bytes(32, "big") for value in inputs)
    infinity = bytes(64) + first.to_bytes()[64:]
    off_curve = first.to_bytes()[:63] + bytes([first.to_bytes()[63] ^ 1]) + first.to_bytes()[64:]
    kinds: list[tuple[Any, ...]] = [
        (proved.key, first, inputs),
        (proved.key, first, others),
        (proved.key, first.to_bytes(), joined),
        (proved.key, infinity, inputs),
        (score_key, first, [0] * score_key.n_public),
        (proved.key, second, others),
        (proved.key, off_curve, inputs),
        (proved.key, first, [inputs[0] + R, *inputs[1:]]),
    ]
    expected = [True, False, True, "point_at_infinity", False, True, False, False]

    async def ask(number: int) -> bool | str:
        try:
            return await client.verify(*kinds[number % len(kinds)])
        except Refused as refused:
            return refused.check

    start = len(running.tap.passed)
    assert await asyncio.gather(*(ask(number) for number in range(400))) == expected * 50
    messages = [encoded for path, way, encoded in running.tap.passed[start:] if (path, way) == (STREAM, "request")]
    assert 2 <= len(messages) <= 8


async def test_many_at_once_in_their_order(client: VerificationClient, proved: Proved) -> None:
    (first, inputs), (second, others), _ = proved.items
    items = [(first, inputs), (first, others), (second, others)] * 100
    assert await client.verify_many(proved.key, items) == [True, False, True] * 100
    assert await client.verify_many(proved.key, []) == []
    with pytest.raises(Refused, match="neutral element"):
        await client.verify_many(proved.key, [(first, inputs), (bytes(256), inputs)])


async def test_what_is_no_proof_is_not_sent(client: VerificationClient, proved: Proved) -> None:
    proof, inputs = proved.items[0]
    bad: list[tuple[Any, Any, type[Refused]]] = [
        (proof.to_bytes()[:-1], inputs, WrongLength),
        (proof, inputs[:-1], WrongLength),
        (proof, [*inputs, 1], WrongLength),
        (proof, [-1, *inputs[1:]], OutOfRange),
        (proof, [1 << 256, *inputs[1:]], OutOfRange),
        (Proof((proof.a[0] + P, proof.a[1]), proof.b, proof.c), inputs, OutOfRange),  # type: ignore[index]
        (Proof(None, proof.b, proof.c), inputs, PointAtInfinity),
    ]
    for some_proof, some_inputs, refusal in bad:
        with pytest.raises(refusal):
            await client.verify(proved.key, some_proof, some_inputs)
    assert await client.verify(proved.key, proof, inputs)


async def test_waiting_for_each(running: Running, proved: Proved, tmp_path: Path) -> None:
    file = client_files.write(tmp_path, running, Role.TAX_AGENCY, "tax-agency")
    (first, inputs), (_, others), _ = proved.items

    def work() -> None:
        with SyncVerificationClient.connect(Role.TAX_AGENCY, file) as client:
            verdicts: list[bool] = []
            threads = [
                threading.Thread(target=lambda: verdicts.append(client.verify(proved.key, first, inputs)))
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert verdicts == [True] * 8
            assert not client.verify(proved.key, first, others)
            assert client.verify_many(proved.key, [(first, inputs), (first, others)]) == [True, False]

    await asyncio.to_thread(work)


class Told(rpc.VerificationServiceServicer):
    """A node that answers as it is told, and keeps how many proofs each message had."""

    DESCRIPTOR = pb.DESCRIPTOR.services_by_name["VerificationService"]

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.streams = 0
        self.breaks = False
        self.free = asyncio.Event()
        self.free.set()
        self.answer: Callable[[grpc.aio.ServicerContext], Awaitable[pb.VerifyColumnsResponse]] | None = None

    def join(self, server: grpc.aio.Server) -> None:
        rpc.add_VerificationServiceServicer_to_server(self, server)

    async def VerifyColumns(
        self, request: pb.VerifyColumnsRequest, context: grpc.aio.ServicerContext
    ) -> pb.VerifyColumnsResponse:
        self.sizes.append(len(request.proofs) // 256)
        await self.free.wait()
        return await self.answer(context) if self.answer else pb.VerifyColumnsResponse()

    async def VerifyStream(
        self, requests: AsyncIterator[pb.VerifyStreamRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.VerifyStreamResponse]:
        self.streams += 1
        streams = InOrder[pb.VerifyStreamRequest, pb.VerifyColumnsResponse](
            lambda request: self.VerifyColumns(request.columns, context), 4
        )
        async for outcome in streams.answers(requests):
            if isinstance(outcome, Refused):
                yield pb.VerifyStreamResponse(refusal=pb.VerificationRefusal(check="BUSY"))
            else:
                yield pb.VerifyStreamResponse(verdicts=outcome)
            if self.breaks:
                self.breaks = False
                raise Unreachable("node", "it is shutting down")


@pytest_asyncio.fixture(loop_scope="session")
async def told() -> AsyncIterator[tuple[Told, VerificationClient]]:
    servicer = Told()
    server = Server(AUTHORITY.issue(Role.OPERATOR, "node"), FREE_PORT, [servicer])
    await server.start()
    client = VerificationClient(server.address, AUTHORITY.issue(Role.BANK, "bank"), "node", timeout=20)
    await client.start()
    yield servicer, client
    servicer.free.set()
    await client.stop()
    await server.stop(0)


async def test_messages_on_the_way_are_few_and_bounded(told: tuple[Told, VerificationClient], proved: Proved) -> None:
    servicer, client = told
    servicer.free.clear()
    proof, inputs = proved.items[0][0].to_bytes(), bytes(32 * proved.key.n_public)
    many = 2 * MOST * ON_THE_WAY
    asking = [asyncio.create_task(client.verify(proved.key, proof, inputs)) for _ in range(many)]
    while len(servicer.sizes) < ON_THE_WAY:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert servicer.sizes == [MOST] * ON_THE_WAY
    servicer.free.set()
    assert await asyncio.gather(*asking) == [True] * many
    assert max(servicer.sizes) == MOST and sum(servicer.sizes) == many

    servicer.sizes.clear()
    await asyncio.gather(*(client.verify(proved.key, proof, inputs) for _ in range(2 * SHARED_FROM)))
    assert servicer.sizes == [SHARED_FROM] * 2, "shared out, so that both ends stay at work"


async def test_who_gives_up_does_not_disturb_the_others(told: tuple[Told, VerificationClient], proved: Proved) -> None:
    servicer, client = told
    servicer.free.clear()
    proof, inputs = proved.items[0]
    asking = [asyncio.create_task(client.verify(proved.key, proof, inputs)) for _ in range(4)]
    while not servicer.sizes:
        await asyncio.sleep(0.01)
    asking[1].cancel()
    servicer.free.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [bool, asyncio.CancelledError, bool, bool]


async def test_asked_again_when_the_node_is_busy(told: tuple[Told, VerificationClient], proved: Proved) -> None:
    servicer, client = told

    async def busy(context: grpc.aio.ServicerContext) -> pb.VerifyColumnsResponse:
        servicer.answer = None
        raise Busy("node", "too much is waiting")

    servicer.answer = busy
    assert await client.verify(proved.key, *proved.items[0])
    assert servicer.sizes == [1, 1]


async def test_a_stream_that_breaks_loses_nobodys_verdict(
    told: tuple[Told, VerificationClient], proved: Proved
) -> None:
    """What was not answered is asked again in a call of its own; later messages go by another stream."""
    servicer, client = told
    servicer.free.clear()
    asking = [asyncio.create_task(client.verify(proved.key, *proved.items[0])) for _ in range(2 * SHARED_FROM)]
    while len(servicer.sizes) < 2:
        await asyncio.sleep(0.01)
    servicer.breaks = True
    servicer.free.set()
    assert await asyncio.gather(*asking) == [True] * len(asking)
    assert servicer.sizes == [SHARED_FROM] * 3 and servicer.streams == 1
    assert await client.verify(proved.key, *proved.items[0])
    assert servicer.sizes[3:] == [1] and servicer.streams == 2


async def test_a_stream_is_ended_after_a_time(
    told: tuple[Told, VerificationClient], proved: Proved, monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer, client = told
    monkeypatch.setattr("services.client.verification.STREAM_SECONDS", 0.05)
    servicer.free.clear()
    asking = asyncio.create_task(client.verify(proved.key, *proved.items[0]))
    await asyncio.sleep(0.2)
    servicer.free.set()
    assert await asking and servicer.streams == 1, "what was sent before is still answered"
    assert await client.verify(proved.key, *proved.items[0]) and servicer.streams == 2
    assert servicer.sizes == [1, 1]


@pytest.mark.parametrize(
    "response",
    [
        pb.VerifyColumnsResponse(invalid=[1]),
        pb.VerifyColumnsResponse(invalid=[0, 0]),
        pb.VerifyColumnsResponse(invalid=[0], malformed=[pb.MalformedProof(index=0, check="OUT_OF_RANGE")]),
        pb.VerifyColumnsResponse(malformed=[pb.MalformedProof(index=7, check="OUT_OF_RANGE")]),
    ],
)
async def test_verdicts_on_other_proofs_are_refused(
    told: tuple[Told, VerificationClient], proved: Proved, response: pb.VerifyColumnsResponse
) -> None:
    servicer, client = told

    async def answer(context: grpc.aio.ServicerContext) -> pb.VerifyColumnsResponse:
        return response

    servicer.answer = answer
    with pytest.raises(AnswerMismatch):
        await client.verify(proved.key, *proved.items[0])


async def test_nobody_waits_for_ever(told: tuple[Told, VerificationClient], proved: Proved) -> None:
    servicer, client = told
    client._timeout = 0.3
    servicer.free.clear()
    with pytest.raises(Unreachable):
        await client.verify(proved.key, *proved.items[0])
    client._timeout = 20
    waiting = [asyncio.create_task(client.verify(proved.key, *proved.items[0])) for _ in range(3)]
    while len(servicer.sizes) < 2:
        await asyncio.sleep(0.01)
    waiting.append(asyncio.create_task(client.verify(proved.key, *proved.items[0])))
    await asyncio.sleep(0)
    await client.stop()
    assert {type(answer) for answer in await asyncio.gather(*waiting, return_exceptions=True)} == {Unreachable}
    with pytest.raises(Unreachable):
        await client.verify(proved.key, *proved.items[0])
    await client.start()
