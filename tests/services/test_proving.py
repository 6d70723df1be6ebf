"""The verification service: verdicts, bad items by name, keys that are none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from services import proving
from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.gathering import Size
from services.identity import Role
from services.known_roots import KnownRoots
from services.proving import VerificationServicer
from services.server import Workers, answered, channel
from services.status import retry_delay
from services.verification import SubmissionVerifier
from tests.services import parties
from tests.services.conftest import Running
from zkcore.bn254 import P, R
from zkcore.errors import Refused

BATCHES = ("count", "sum")

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def stub(running: Running) -> AsyncIterator[Any]:
    network = running.network
    bank = network.identity(Role.BANK, "bank")
    async with channel(bank, network.node.address, Role.OPERATOR, "operator") as there:
        yield rpc.VerificationServiceStub(there)


@pytest.fixture(scope="session")
def items(running: Running) -> list[pb.ProofItem]:
    verifier = SubmissionVerifier(running.network.parameters, KnownRoots(running.network.ledger).of)
    reads = [verifier._read(running.submissions[name], {}) for name in parties.FILED[:3]]
    return [
        pb.ProofItem(
            proof=read.proof.to_bytes(), public_inputs=[value.to_bytes(32, "big") for value in read.public_inputs]
        )
        for read in reads
    ]


@pytest.fixture
def key(running: Running) -> bytes:
    return running.network.parameters.named("filing").filing_key.to_bytes()


async def test_verdicts(stub: Any, items: list[pb.ProofItem], key: bytes) -> None:
    mixed = pb.ProofItem(proof=items[0].proof, public_inputs=items[1].public_inputs)
    for item, valid in ((items[0], True), (mixed, False)):
        assert (await stub.Verify(pb.VerifyRequest(verifying_key=key, item=item))).valid is valid
    batch = pb.VerifyBatchRequest(verifying_key=key, items=[items[0], mixed, items[1], mixed, items[2]])
    assert list((await stub.VerifyBatch(batch)).invalid) == [1, 3]


async def test_callers_at_the_same_time_share_batches_and_get_their_own_answers(
    running: Running, stub: Any, items: list[pb.ProofItem], key: bytes
) -> None:
    """Valid, false and malformed proofs and another key, mixed as they come."""
    other = running.network.parameters.named("filing").score_key.to_bytes()
    false = pb.ProofItem(proof=items[0].proof, public_inputs=items[1].public_inputs)
    infinity = pb.ProofItem(proof=bytes(256), public_inputs=items[0].public_inputs)
    elsewhere = pb.ProofItem(proof=items[0].proof, public_inputs=[bytes(32)] * 7)
    kinds = [(key, items[0]), (key, false), (key, infinity), (other, elsewhere), (key, items[1])]
    expected = [True, False, "point_at_infinity", False, True]
    batches, proofs = (REGISTRY.get_sample_value(f"zkshare_verification_batch_size_{each}") for each in BATCHES)

    async def ask(number: int) -> bool | str:
        verifying_key, item = kinds[number % len(kinds)]
        try:
            return (await answered(stub.Verify(pb.VerifyRequest(verifying_key=verifying_key, item=item)))).valid
        except Refused as refused:
            return refused.check

    answers = await asyncio.gather(*(ask(number) for number in range(100)))
    assert answers == expected * 20
    more = [REGISTRY.get_sample_value(f"zkshare_verification_batch_size_{each}") for each in BATCHES]
    assert proofs and batches and more[0] and more[1]
    assert more[1] - proofs == 100 and more[0] - batches < 50


async def test_malformed_items_are_named(stub: Any, items: list[pb.ProofItem], key: bytes) -> None:
    infinity = pb.ProofItem(proof=bytes(256), public_inputs=items[0].public_inputs)
    short = pb.ProofItem(proof=items[0].proof, public_inputs=items[0].public_inputs[:-1])
    with pytest.raises(Refused) as caught:
        await answered(stub.VerifyBatch(pb.VerifyBatchRequest(verifying_key=key, items=[items[0], infinity])))
    assert (caught.value.check, caught.value.part) == ("point_at_infinity", "items[1].proof.a")
    for some, invalid in (([items[0], short], [1]), ([short], [0]), ([short] * 40, list(range(40)))):
        batch = pb.VerifyBatchRequest(verifying_key=key, items=some)
        assert list((await stub.VerifyBatch(batch)).invalid) == invalid
    for bad in (infinity, short):
        with pytest.raises(Refused):
            await answered(stub.Verify(pb.VerifyRequest(verifying_key=key, item=bad)))
    with pytest.raises(Refused) as caught:
        await answered(stub.Verify(pb.VerifyRequest(verifying_key=key[:-1], item=items[0])))
    assert caught.value.check in ("malformed", "wrong_length")


async def test_columns(stub: Any, items: list[pb.ProofItem], key: bytes) -> None:
    """Verdicts by position, as many as a message takes; lengths that do not fit are refused."""
    inputs = [b"".join(item.public_inputs) for item in items]
    false, infinity = items[0].proof + inputs[1], bytes(256) + inputs[0]
    rows = [items[0].proof + inputs[0], false, infinity, items[1].proof + inputs[1]] * 1024
    request = pb.VerifyColumnsRequest(
        verifying_key=key,
        proofs=b"".join(row[:256] for row in rows),
        public_inputs=b"".join(row[256:] for row in rows),
    )
    response = await stub.VerifyColumns(request)
    assert list(response.invalid) == list(range(1, 4096, 4))
    assert [each.index for each in response.malformed] == list(range(2, 4096, 4))
    assert {(each.check, each.part) for each in response.malformed} == {("POINT_AT_INFINITY", "proof.a")}
    for column in ("proofs", "public_inputs"):
        for altered in (getattr(request, column)[:-1], getattr(request, column)[:-32], getattr(request, column) * 2):
            bad = pb.VerifyColumnsRequest()
            bad.CopyFrom(request)
            setattr(bad, column, altered)
            with pytest.raises(Refused) as caught:
                await answered(stub.VerifyColumns(bad))
            assert caught.value.check in ("malformed", "wrong_length") and column in caught.value.part


async def test_a_stream_answers_in_order_and_outlives_refusals(
    running: Running, stub: Any, items: list[pb.ProofItem], key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large and small messages, refused and false ones, more than are at work at a time; a full queue is a refusal."""
    inputs = [b"".join(item.public_inputs) for item in items]
    good = pb.VerifyColumnsRequest(verifying_key=key, proofs=items[0].proof, public_inputs=inputs[0])
    many = pb.VerifyColumnsRequest(verifying_key=key, proofs=items[0].proof * 300, public_inputs=inputs[0] * 300)
    false = pb.VerifyColumnsRequest(verifying_key=key, proofs=items[0].proof, public_inputs=inputs[1])
    short = pb.VerifyColumnsRequest(verifying_key=key, proofs=items[0].proof, public_inputs=inputs[0][:-32])
    no_key = pb.VerifyColumnsRequest(verifying_key=key[:-1], proofs=items[0].proof, public_inputs=inputs[0])

    async def told(requests: list[pb.VerifyColumnsRequest]) -> list[Any]:
        sent = iter([pb.VerifyStreamRequest(columns=request) for request in requests])
        responses = [response async for response in stub.VerifyStream(sent)]
        return [each.refusal.check or list(each.verdicts.invalid) for each in responses]

    asked = [many, good, short, false, good, no_key, many, false] * 3
    refused = await told([no_key])
    assert refused[0] in ("MALFORMED", "WRONG_LENGTH")
    assert await told(asked) == [[], [], "WRONG_LENGTH", [0], [], refused[0], [], [0]] * 3
    monkeypatch.setattr(running.network.node._verification._gatherer, "_limit", Size(299, 1 << 26))
    assert await told([many, good]) == ["BUSY", []]


async def test_closing_ends_streams_that_nobody_uses(items: list[pb.ProofItem], key: bytes) -> None:
    """So that a server that stops need not wait for them."""
    workers, sent = Workers(), asyncio.Queue[pb.VerifyStreamRequest]()
    servicer = VerificationServicer(workers)
    await servicer.start()

    async def requests() -> AsyncIterator[pb.VerifyStreamRequest]:
        while True:
            yield await sent.get()

    context: Any = None
    answers = servicer.VerifyStream(requests(), context)
    inputs = b"".join(items[0].public_inputs)
    columns = pb.VerifyColumnsRequest(verifying_key=key, proofs=items[0].proof, public_inputs=inputs)
    sent.put_nowait(pb.VerifyStreamRequest(columns=columns))
    assert (await anext(answers)).HasField("verdicts")
    idle = asyncio.ensure_future(anext(answers, None))
    await asyncio.sleep(0.01)
    assert not idle.done()
    await servicer.close()
    assert await idle is None
    await servicer.stop()
    workers.close()


async def test_columns_without_inputs_are_refused_by_length(stub: Any, items: list[pb.ProofItem], key: bytes) -> None:
    for proofs, inputs in ((items[0].proof, b""), (items[0].proof * 2, b"".join(items[0].public_inputs))):
        request = pb.VerifyColumnsRequest(verifying_key=key, proofs=proofs, public_inputs=inputs)
        with pytest.raises(Refused) as caught:
            await answered(stub.VerifyColumns(request))
        assert (caught.value.check, caught.value.part) == ("wrong_length", "public_inputs")


async def test_edge_values_in_columns_are_named_by_row(stub: Any, items: list[pb.ProofItem], key: bytes) -> None:
    """Each number of a proof, and each input, at and above its modulus, in a row among good ones."""
    rows: list[tuple[bytes, bytes]] = []
    good = items[0].proof, b"".join(items[0].public_inputs)
    malformed, false = [], []
    for modulus, column in ((P, 0), (R, 1)):
        for at in range(0, len(good[column]), 32):
            for number in (modulus, (1 << 256) - 1):
                altered = list(good)
                altered[column] = good[column][:at] + number.to_bytes(32, "big") + good[column][at + 32 :]
                (malformed, false)[column].append(len(rows))
                rows += [(altered[0], altered[1]), good]
    for number in (0, 1, P - 1):  # in range, but not a point of the curve, or not the proof's
        for at in range(0, 256, 32):
            false.append(len(rows))
            rows += [(good[0][:at] + number.to_bytes(32, "big") + good[0][at + 32 :], good[1]), good]
    request = pb.VerifyColumnsRequest(
        verifying_key=key, proofs=b"".join(a for a, _ in rows), public_inputs=b"".join(b for _, b in rows)
    )
    response = await stub.VerifyColumns(request)
    assert list(response.invalid) == false
    assert [each.index for each in response.malformed] == malformed
    assert {each.check for each in response.malformed} == {"OUT_OF_RANGE"}


async def test_who_comes_to_a_full_queue_is_told_when_to_come_again(
    running: Running, stub: Any, items: list[pb.ProofItem], key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = b"".join(items[0].public_inputs)
    calls = (
        (stub.Verify, pb.VerifyRequest(verifying_key=key, item=items[0])),
        (stub.VerifyBatch, pb.VerifyBatchRequest(verifying_key=key, items=items[:1])),
        (stub.VerifyColumns, pb.VerifyColumnsRequest(verifying_key=key, proofs=items[0].proof, public_inputs=inputs)),
    )
    for limit in (Size(0, 1 << 20), Size(1 << 20, len(items[0].proof + inputs) - 1)):
        monkeypatch.setattr(running.network.node._verification._gatherer, "_limit", limit)
        for method, request in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(request)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert retry_delay(caught.value) == 0.25
    monkeypatch.undo()
    for method, request in calls:
        await method(request)


async def test_few_keys_are_kept_prepared(
    running: Running, stub: Any, items: list[pb.ProofItem], key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "PREPARED_KEYS", 1)
    other = running.network.parameters.named("filing").score_key.to_bytes()
    for verifying_key in (key, other, key):
        item = items[0] if verifying_key == key else pb.ProofItem(proof=items[0].proof, public_inputs=[bytes(32)] * 7)
        answer = await stub.Verify(pb.VerifyRequest(verifying_key=verifying_key, item=item))
        assert answer.valid is (verifying_key == key)
