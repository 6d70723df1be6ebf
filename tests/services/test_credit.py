"""The post between banks and enterprises: who may leave, see and answer a request, once and in time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services import credit, statements
from services.api.zkshare.v1 import credit_pb2 as pb
from services.api.zkshare.v1 import credit_pb2_grpc as rpc
from services.api.zkshare.v1.identity_pb2 import Signed
from services.certificate_authority import CertificateAuthority
from services.credit import CreditServicer, ScoreRequests
from services.identity import Identity, Role
from services.server import FREE_PORT, Server, Workers, answered, channel
from services.store.opening import open_database
from zkcore.errors import Refused

NOW = 1_800_000_000.0
AUTHORITY = CertificateAuthority.create()
IDENTITIES = {
    name: AUTHORITY.issue(role, name)
    for role, name in [
        (Role.OPERATOR, "node"),
        (Role.BANK, "bank"),
        (Role.BANK, "other bank"),
        (Role.ENTERPRISE, "mill"),
        (Role.ENTERPRISE, "mine"),
    ]
}
SEALED = b"s" * 64


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def connect(tmp_path: Path, clock: Clock) -> AsyncIterator[Any]:
    database, workers = open_database(tmp_path / "node.sqlite"), Workers()
    servicer = CreditServicer(ScoreRequests(database), AUTHORITY, workers, clock)
    server = Server(IDENTITIES["node"], FREE_PORT, [servicer])
    await server.start()
    async with contextlib.AsyncExitStack() as stack:

        async def connect(name: str) -> rpc.CreditServiceStub:
            there = channel(IDENTITIES[name], server.address, Role.OPERATOR, "node")
            return rpc.CreditServiceStub(await stack.enter_async_context(there))

        yield connect
    await server.stop(0)
    workers.close()
    database.close()


def request(signer: Identity | None = None, **changes: Any) -> Signed:
    terms: dict[str, Any] = {
        "bank": "bank",
        "subject": "mill",
        "schema_id": b"\x01" * 32,
        "period": "2026",
        "scorecard": b"{}",
        "kind": pb.SCORE_KIND_SCORE,
        "nonce": b"n" * 16,
        "expires_at": int(NOW) + 3600,
        "sealing_key": b"k" * 32,
        **changes,
    }
    return statements.sign(signer or IDENTITIES["bank"], statements.SCORE_REQUEST, pb.ScoreStatement(**terms))


async def leave(stub: Any, signed: Signed) -> bytes:
    return (await answered(stub.RequestScore(pb.RequestScoreRequest(request=signed)))).request_id


async def refusal(call: Any) -> str:
    with pytest.raises(Refused) as caught:
        await answered(call)
    return caught.value.check


async def test_a_request_is_left_seen_answered_and_fetched(connect: Any) -> None:
    bank, mill = await connect("bank"), await connect("mill")
    signed = request()
    request_id = await leave(bank, signed)
    assert request_id == statements.digest(statements.SCORE_REQUEST, signed)
    assert await leave(bank, signed) == request_id, "the same request again is the same request"
    assert list((await mill.ListRequests(pb.ListRequestsRequest())).requests) == [signed]
    assert (await bank.GetScore(pb.GetScoreRequest(request_id=request_id))).state == pb.SCORE_STATE_OPEN
    answer = pb.SubmitScoreProofRequest(request_id=request_id, sealed_proof=SEALED)
    await mill.SubmitScoreProof(answer)
    await mill.SubmitScoreProof(answer)
    response = await bank.GetScore(pb.GetScoreRequest(request_id=request_id))
    assert (response.state, response.sealed_proof) == (pb.SCORE_STATE_ANSWERED, SEALED)
    assert not (await mill.ListRequests(pb.ListRequestsRequest())).requests
    other = pb.SubmitScoreProofRequest(request_id=request_id, sealed_proof=SEALED + b"!")
    assert await refusal(mill.SubmitScoreProof(other)) == "already_answered"
    assert await refusal(mill.Decline(pb.DeclineRequest(request_id=request_id))) == "already_answered"


async def test_declining(connect: Any) -> None:
    bank, mill = await connect("bank"), await connect("mill")
    request_id = await leave(bank, request())
    await mill.Decline(pb.DeclineRequest(request_id=request_id, reason="not now"))
    response = await bank.GetScore(pb.GetScoreRequest(request_id=request_id))
    assert (response.state, response.reason, response.sealed_proof) == (pb.SCORE_STATE_DECLINED, "not now", b"")


async def test_nobody_learns_who_is_there(connect: Any) -> None:
    """A request for a name that nobody has ends as one for an enterprise whose agent is away."""
    bank = await connect("bank")
    seen = [
        await bank.GetScore(pb.GetScoreRequest(request_id=await leave(bank, request(subject=subject)), wait_ms=50))
        for subject in ("mill", "nobody")
    ]
    assert seen == [pb.GetScoreResponse(state=pb.SCORE_STATE_OPEN)] * 2


async def test_each_sees_only_its_own(connect: Any) -> None:
    request_id = await leave(await connect("bank"), request())
    assert (
        await refusal((await connect("other bank")).GetScore(pb.GetScoreRequest(request_id=request_id))) == "not_found"
    )
    mine = await connect("mine")
    assert not (await mine.ListRequests(pb.ListRequestsRequest())).requests
    answer = pb.SubmitScoreProofRequest(request_id=request_id, sealed_proof=SEALED)
    assert await refusal(mine.SubmitScoreProof(answer)) == "not_found"
    assert await refusal(mine.Decline(pb.DeclineRequest(request_id=request_id))) == "not_found"
    unknown = pb.GetScoreRequest(request_id=b"\x00" * 32)
    assert await refusal((await connect("bank")).GetScore(unknown)) == "not_found"


async def test_refuses_requests_that_are_not_the_banks_own(connect: Any) -> None:
    bank = await connect("bank")

    async def check(signed: Signed) -> str:
        return await refusal(bank.RequestScore(pb.RequestScoreRequest(request=signed)))

    assert await check(request(IDENTITIES["other bank"], bank="other bank")) == "not_permitted"
    assert await check(request(bank="other bank")) == "not_permitted"
    assert await check(request(IDENTITIES["mill"])) == "not_permitted"
    signed = request()
    for altered in (
        Signed(statement=request(cut_off=1).statement, signature=signed.signature, certificate=signed.certificate),
        Signed(statement=signed.statement, signature=request(cut_off=1).signature, certificate=signed.certificate),
        Signed(
            statement=signed.statement,
            signature=signed.signature,
            certificate=IDENTITIES["other bank"].peer.certificate,
        ),
    ):
        assert await check(altered) == "bad_signature"
    stranger = CertificateAuthority.create().issue(Role.BANK, "bank")
    assert await check(request(stranger)) == "not_issued_by_authority"
    query = statements.sign(IDENTITIES["bank"], statements.QUERY, pb.ScoreStatement.FromString(signed.statement))
    assert await check(query) == "bad_signature", "a signature made for another purpose"
    longer = Signed.FromString(signed.SerializeToString())
    longer.statement += b"\xa2\x06\x01x"  # field 100, which the statement does not have
    longer.signature = IDENTITIES["bank"].sign(statements.SCORE_REQUEST, longer.statement)
    assert await check(longer) == "malformed"


async def test_time_runs_out(connect: Any, clock: Clock) -> None:
    bank, mill = await connect("bank"), await connect("mill")
    for expires_at in (int(NOW), int(NOW) - 1, int(NOW + credit.LONGEST_REQUEST) + 1):
        late = pb.RequestScoreRequest(request=request(expires_at=expires_at))
        assert await refusal(bank.RequestScore(late)) == "expired"
    request_id = await leave(bank, request())
    clock.now += 3600
    assert (await bank.GetScore(pb.GetScoreRequest(request_id=request_id))).state == pb.SCORE_STATE_EXPIRED
    assert not (await mill.ListRequests(pb.ListRequestsRequest())).requests
    answer = pb.SubmitScoreProofRequest(request_id=request_id, sealed_proof=SEALED)
    assert await refusal(mill.SubmitScoreProof(answer)) == "expired"


async def test_waiting_ends_with_the_answer(connect: Any) -> None:
    bank, mill = await connect("bank"), await connect("mill")
    request_id = await leave(bank, request())
    waiting = asyncio.ensure_future(answered(bank.GetScore(pb.GetScoreRequest(request_id=request_id, wait_ms=20_000))))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await mill.SubmitScoreProof(pb.SubmitScoreProofRequest(request_id=request_id, sealed_proof=SEALED))
    assert (await asyncio.wait_for(waiting, 5)).state == pb.SCORE_STATE_ANSWERED
    other = await leave(bank, request(nonce=b"m" * 16))
    response = await bank.GetScore(pb.GetScoreRequest(request_id=other, wait_ms=50))
    assert response.state == pb.SCORE_STATE_OPEN


async def test_watching_gives_old_and_new_requests_in_order(connect: Any) -> None:
    bank, mill = await connect("bank"), await connect("mill")
    first, second, third = (request(nonce=bytes([n]) * 16) for n in range(3))
    await leave(bank, first)
    watch = mill.WatchRequests(pb.WatchRequestsRequest())
    assert (await asyncio.wait_for(watch.read(), 5)).request == first
    await leave(bank, second)
    await leave(bank, request(subject="mine"))
    await leave(bank, third)
    assert [(await asyncio.wait_for(watch.read(), 5)).request for _ in range(2)] == [second, third]
    watch.cancel()


async def test_open_requests_are_bounded(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit, "OPEN_REQUESTS", 2)
    bank = await connect("bank")
    first = request()
    for signed in (first, request(nonce=b"1" * 16)):
        await leave(bank, signed)
    full = pb.RequestScoreRequest(request=request(nonce=b"2" * 16))
    assert await refusal(bank.RequestScore(full)) == "busy"
    await leave(bank, first)


async def test_requests_survive_a_restart(location: Path | str) -> None:
    signed = request()
    request_id = statements.digest(statements.SCORE_REQUEST, signed)
    database = open_database(location)
    ScoreRequests(database).add(request_id, pb.ScoreStatement.FromString(signed.statement), signed, NOW)
    database.close()
    database = open_database(location)
    assert ScoreRequests(database).get(request_id).signed == statements.canonical(signed)
    assert ScoreRequests(database).open("mill", 0, NOW) == [(1, signed)]
    database.close()
