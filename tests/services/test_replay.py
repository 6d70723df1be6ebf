"""Replays: for every method the table says how one is met, and every request is sent again to see it."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor

from homomorphic.threshold import PartialDecryption
from services.access import AUDITED, METHODS
from services.api.zkshare.v1 import aggregate_pb2, credit_pb2, trustee_pb2
from services.api.zkshare.v1.identity_pb2 import Signed
from services.identity import Role
from services.network import OPERATOR
from services.replay import REPLAYS, SIGNED, Replay
from services.server import Address, channel
from services.status import from_rpc_error
from tests.services import parties
from tests.services.calls import methods, path_of
from tests.services.conftest import Running
from tests.services.test_access import all_methods, path
from tests.services.test_tampering import Flows

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERY = "/zkshare.v1.AggregateService/Query"
REQUEST_SCORE = "/zkshare.v1.CreditService/RequestScore"
DECRYPT_SHARE = "/zkshare.v1.TrusteeService/DecryptShare"
CALLERS = {Role.ENTERPRISE: parties.FILED[2], Role.BANK: "bank", Role.TAX_AGENCY: "tax-agency"}
CALLERS |= {Role.OPERATOR: OPERATOR, Role.TRUSTEE: "trustee-1"}


@pytest.fixture(scope="module")
def flows(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Flows:
    return Flows(running, tmp_path_factory.mktemp("replicas"))


async def test_every_method_says_how_a_replay_is_met() -> None:
    assert set(REPLAYS) == {path(method) for method in all_methods()} == set(METHODS)
    changing = {name for name, replay in REPLAYS.items() if replay is not Replay.READS}
    assert changing <= AUDITED, "what changes something is in the audit log"


async def test_every_method_with_a_signed_request_is_in_the_table() -> None:
    signed = {
        path_of(method)
        for method in methods()
        if any(field.message_type == Signed.DESCRIPTOR for field in method.input_type.fields)
    }
    assert signed == set(SIGNED)
    assert all(REPLAYS[name] is not Replay.READS for name in signed)


class Again:
    """Sends bytes that passed before, as the party that sent them or as another."""

    def __init__(self, running: Running) -> None:
        self.network = running.network

    def where(self, name: str) -> tuple[Address, Role, str]:
        if "TrusteeService" in name:
            return self.network.trustees["trustee-1"].address, Role.TRUSTEE, "trustee-1"
        if "DepartmentService" in name:
            office = self.network.departments[parties.DEPARTMENT]
            return office.address, Role.DEPARTMENT, parties.DEPARTMENT
        return self.network.node.address, Role.OPERATOR, OPERATOR

    async def send(self, method: MethodDescriptor, request: bytes, caller: str | None = None) -> list[bytes]:
        name = path_of(method)
        roles = METHODS[name]
        role = Role.ENTERPRISE if Role.ENTERPRISE in roles else min(roles)
        identity = self.network.identity(role, caller or CALLERS[role])
        async with channel(identity, *self.where(name)) as there:
            kind = ("stream" if method.client_streaming else "unary") + (
                "_stream" if method.server_streaming else "_unary"
            )
            call = getattr(there, kind)(name)(iter([request]) if method.client_streaming else request, timeout=60)
            if not method.server_streaming:
                return [await call]
            return [await call.read()]


@pytest.mark.parametrize("method", methods(), ids=path_of)
async def test_every_request_sent_again(running: Running, flows: Flows, method: MethodDescriptor) -> None:
    name = path_of(method)
    start = len(running.tap.passed)
    await flows.flow(method)()
    passed = [(way, encoded) for kind, way, encoded in running.tap.passed[start:] if kind == name]
    request = [encoded for way, encoded in passed if way == "request"][-1]
    again, before = Again(running), _state(running)
    answers = await asyncio.gather(*(again.send(method, request) for _ in range(3)))
    if REPLAYS[name] is Replay.SAME_ANSWER:
        said = READ.get(name, bytes)
        originals = [said(encoded) for way, encoded in passed if way == "response"]
        for (answer,) in answers:
            assert said(answer) in originals
    assert _state(running) == before, "a replay changed something"


def _receipt(encoded: bytes) -> bytes:
    """A query's receipt: which trustee was late the first time is not told again."""
    return aggregate_pb2.QueryResponse.FromString(encoded).receipt


def _values(encoded: bytes) -> list[tuple[int, int]]:
    """A trustee's shares; the proof of a share is made anew each time."""
    shares = trustee_pb2.DecryptShareResponse.FromString(encoded).partial_decryptions
    return [(share.index, share.value) for share in map(PartialDecryption.from_bytes, shares)]


READ: dict[str, Callable[[bytes], object]] = {QUERY: _receipt, DECRYPT_SHARE: _values}
"""What must be the same in an answer, where that is not all of it."""


def _state(running: Running) -> Any:
    """What the parties hold: entries, releases, requests with their answers."""
    node, trustee = running.network.node, running.network.trustees["trustee-1"]
    rows = node._database.query("SELECT request_id, state, sealed_proof, reason FROM score_request ORDER BY sequence")
    releases = [
        party._database.query("SELECT request, head_size FROM release ORDER BY number") for party in (node, trustee)
    ]
    return node._journal.size, rows, releases, running.network.ledger.releases("filing")


async def refused(sending: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sending
    return from_rpc_error(caught.value).check


def _method(name: str) -> MethodDescriptor:
    return next(method for method in methods() if path_of(method) == name)


async def _sent(running: Running, flows: Flows, name: str) -> bytes:
    start = len(running.tap.passed)
    await flows.flow(_method(name))()
    return [encoded for kind, way, encoded in running.tap.passed[start:] if (kind, way) == (name, "request")][-1]


@pytest.mark.parametrize("name", sorted(SIGNED))
async def test_signed_requests_end_with_their_time(
    running: Running, flows: Flows, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, again, before = await _sent(running, flows, name), Again(running), _state(running)
    node, trustee = running.network.node, running.network.trustees["trustee-1"]
    for late in (SIGNED[name] + 1.0, 400 * 24 * 3600.0):
        for party in (node._aggregate, node._credit, trustee):
            monkeypatch.setattr(party, "_clock", lambda late=late: running.network.clock() + late)
        assert await refused(again.send(_method(name), request)) in ("expired", "outside_validity")
    assert _state(running) == before


@pytest.mark.parametrize(("name", "other"), [(QUERY, "other agency"), (REQUEST_SCORE, "other bank")])
async def test_signed_requests_are_of_no_use_to_another_caller(
    running: Running, flows: Flows, name: str, other: str
) -> None:
    request = await _sent(running, flows, name)
    assert await refused(Again(running).send(_method(name), request, other)) == "not_permitted"


async def test_a_statement_is_of_no_use_for_another_purpose(running: Running, flows: Flows) -> None:
    query = aggregate_pb2.QueryRequest.FromString(await _sent(running, flows, QUERY)).query
    encoded = credit_pb2.RequestScoreRequest(request=query).SerializeToString()
    assert await refused(Again(running).send(_method(REQUEST_SCORE), encoded)) in ("bad_signature", "not_permitted")


async def test_an_answer_takes_no_other_in_its_place(running: Running, flows: Flows) -> None:
    name = "/zkshare.v1.CreditService/SubmitScoreProof"
    answer = credit_pb2.SubmitScoreProofRequest.FromString(await _sent(running, flows, name))
    again, before = Again(running), _state(running)
    answer.sealed_proof = answer.sealed_proof[:-1] + bytes([answer.sealed_proof[-1] ^ 1])
    assert await refused(again.send(_method(name), answer.SerializeToString())) == "already_answered"
    decline = credit_pb2.DeclineRequest(request_id=answer.request_id, reason="no").SerializeToString()
    assert await refused(again.send(_method("/zkshare.v1.CreditService/Decline"), decline)) == "already_answered"
    assert _state(running) == before
