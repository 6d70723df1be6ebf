"""The gate: a rule for every method, roles, rules of the protos, errors that leak nothing, time limits."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services import access
from services.api import generate
from services.api.zkshare.v1 import credit_pb2, log_pb2, log_pb2_grpc, submission_pb2, submission_pb2_grpc
from services.certificate_authority import CertificateAuthority
from services.errors import AlreadySubmitted
from services.identity import Role, caller
from services.limits import LARGE, Limits
from services.server import Address, Guard, Server, Servicer, channel
from services.status import Refusal, from_rpc_error
from services.store import Unavailable

SECRET = "the-value-4711-must-not-leave"


def all_methods() -> Iterator[MethodDescriptor]:
    for name in generate.protos():
        path = name.removesuffix(".proto").replace("/", ".")
        for service in importlib.import_module(f"services.api.{path}_pb2").DESCRIPTOR.services_by_name.values():
            yield from service.methods
    for module in (health_pb2, reflection_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def test_every_method_has_a_rule_and_every_rule_a_method() -> None:
    assert set(access.METHODS) == {path(method) for method in all_methods()}
    assert all(access.METHODS.values()), "a method that nobody may call"
    assert set(access.METHODS) >= access.LONG_LIVED | access.AUDITED | LARGE


class LogService(log_pb2_grpc.LogServiceServicer):
    """Answers that go wrong in every way."""

    DESCRIPTOR = log_pb2.DESCRIPTOR.services_by_name["LogService"]

    def join(self, server: grpc.aio.Server) -> None:
        log_pb2_grpc.add_LogServiceServicer_to_server(self, server)

    async def GetHead(self, request: Any, context: grpc.aio.ServicerContext) -> log_pb2.GetHeadResponse:
        name = caller(context).name.encode().ljust(32, b"\x00")
        return log_pb2.GetHeadResponse(current=log_pb2.LogHead(size=1, root=name))

    async def GetInclusion(self, request: Any, context: grpc.aio.ServicerContext) -> log_pb2.GetInclusionResponse:
        if request.size == 2:
            raise Unavailable("disk full")
        raise RuntimeError(SECRET)

    async def GetConsistency(self, request: Any, context: grpc.aio.ServicerContext) -> log_pb2.GetConsistencyResponse:
        await asyncio.sleep(60)
        raise AssertionError

    async def StreamEntries(self, request: Any, context: Any) -> AsyncIterator[log_pb2.StreamEntriesResponse]:
        for index in range(request.start, request.end):
            if index == 3:
                raise AlreadySubmitted("entry", "at three")
            yield log_pb2.StreamEntriesResponse(index=index, entry=b"x")


class SubmissionService(submission_pb2_grpc.SubmissionServiceServicer):
    DESCRIPTOR = submission_pb2.DESCRIPTOR.services_by_name["SubmissionService"]

    def join(self, server: grpc.aio.Server) -> None:
        submission_pb2_grpc.add_SubmissionServiceServicer_to_server(self, server)

    async def SubmitMany(self, requests: Any, context: Any) -> AsyncIterator[submission_pb2.SubmitManyResponse]:
        async for request in requests:
            yield submission_pb2.SubmitManyResponse(receipt=request.submission)


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create()


@pytest.fixture
async def server(authority: CertificateAuthority) -> AsyncIterator[Server]:
    running = Server(authority.issue(Role.OPERATOR, "node"), Address(), [LogService(), SubmissionService()])
    await running.start()
    yield running
    await running.stop(0)


@pytest.fixture
def connect(authority: CertificateAuthority, server: Server) -> Any:
    def connect(role: Role = Role.TRUSTEE, name: str = "someone", issuer: CertificateAuthority | None = None) -> Any:
        return channel((issuer or authority).issue(role, name), server.address, Role.OPERATOR, "node")

    return connect


def refusal(caught: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> Refusal:
    back = from_rpc_error(caught.value)
    assert isinstance(back, Refusal)
    return back


async def test_admits_by_role_and_tells_the_servicer_who_calls(connect: Any) -> None:
    for role in Role:
        async with connect(role, "Müller & Söhne") as there:
            response = await log_pb2_grpc.LogServiceStub(there).GetHead(log_pb2.GetHeadRequest())
            assert response.current.root.rstrip(b"\x00").decode() == "Müller & Söhne"


async def test_refuses_by_role_on_every_guarded_method(connect: Any) -> None:
    for method in all_methods():
        allowed = access.METHODS[path(method)]
        for role in set(Role) - allowed:
            if method.containing_service.name not in ("LogService", "SubmissionService"):
                continue
            async with connect(role) as there:
                make = there.unary_stream if method.server_streaming else there.unary_unary
                call = make(path(method))(b"")
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    if method.server_streaming:
                        await call.read()
                    else:
                        await call
                assert refusal(caught).check == "not_permitted", (path(method), role)
                assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_a_method_without_a_rule_is_open_to_nobody(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(access.METHODS, "/zkshare.v1.LogService/GetHead")
    async with connect() as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log_pb2_grpc.LogServiceStub(there).GetHead(log_pb2.GetHeadRequest())
    assert refusal(caught).check == "not_permitted"


async def test_refuses_certificates_of_another_authority(connect: Any, server: Server) -> None:
    async with connect(issuer=CertificateAuthority.create()) as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log_pb2_grpc.LogServiceStub(there).GetHead(log_pb2.GetHeadRequest(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    async with grpc.aio.insecure_channel(str(server.address)) as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log_pb2_grpc.LogServiceStub(there).GetHead(log_pb2.GetHeadRequest(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_holds_requests_to_the_rules_of_their_protos(connect: Any) -> None:
    async with connect(Role.ENTERPRISE) as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log_pb2_grpc.LogServiceStub(there).GetInclusion(log_pb2.GetInclusionRequest(index=1, size=0))
        assert (refusal(caught).check, refusal(caught).part) == ("malformed", "size")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await there.unary_unary("/zkshare.v1.LogService/GetInclusion")(b"\xff\xff\xff")
        assert refusal(caught).check == "malformed"

        async def requests() -> AsyncIterator[submission_pb2.SubmitManyRequest]:
            yield submission_pb2.SubmitManyRequest(submission=b"good")
            yield submission_pb2.SubmitManyRequest(submission=b"")

        answers = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for answer in submission_pb2_grpc.SubmissionServiceStub(there).SubmitMany(requests()):
                answers.append(answer.receipt)
        assert answers == [b"good"] and refusal(caught).part == "submission"


def test_parts_name_the_element_of_a_list() -> None:
    response = credit_pb2.ListRequestsResponse(requests=[{"statement": b"x"}])
    with pytest.raises(Exception, match=r"requests\[0\]\.signature"):
        access.check(response)


async def test_what_goes_wrong_inside_does_not_leak(connect: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connect() as there:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await log_pb2_grpc.LogServiceStub(there).GetInclusion(log_pb2.GetInclusionRequest(index=0, size=1))
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert SECRET not in str(caught.value) and SECRET not in str(logs)
    (line,) = [line for line in logs if line.get("outcome") == "internal"]
    assert line["kind"] == "RuntimeError" and "GetInclusion" in line["where"]


async def test_a_store_that_fails_is_said_to_be_unreachable(connect: Any) -> None:
    async with connect() as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log_pb2_grpc.LogServiceStub(there).GetInclusion(log_pb2.GetInclusionRequest(index=0, size=2))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE and refusal(caught).part == "store"


async def test_calls_have_an_end(authority: CertificateAuthority) -> None:
    servicers: list[Servicer] = [LogService()]
    node = authority.issue(Role.OPERATOR, "node")
    running = Server(node, Address(), servicers, Guard(Limits(seconds=1)))
    await running.start()
    try:
        async with channel(authority.issue(Role.BANK, "b"), running.address, Role.OPERATOR, "node") as there:
            request = log_pb2.GetConsistencyRequest(first=1, second=2)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await log_pb2_grpc.LogServiceStub(there).GetConsistency(request)
    finally:
        await running.stop(0)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_stream_may_end_in_a_refusal(connect: Any) -> None:
    seen = []
    async with connect() as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for entry in log_pb2_grpc.LogServiceStub(there).StreamEntries(
                log_pb2.StreamEntriesRequest(start=0, end=9)
            ):
                seen.append(entry.index)
    assert seen == [0, 1, 2] and refusal(caught).check == "already_submitted"


async def test_health_and_reflection(connect: Any, server: Server) -> None:
    async with connect() as there:
        stub = health_pb2_grpc.HealthStub(there)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="zkshare.v1.LogService"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="nothing"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(there).ServerReflectionInfo(iter([request]))
        names = [service.name async for answer in answers for service in answer.list_services_response.service]
        assert "zkshare.v1.LogService" in names


async def test_logs_name_callers_and_outcomes(connect: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connect(Role.BANK, "b") as there:
            await log_pb2_grpc.LogServiceStub(there).GetHead(log_pb2.GetHeadRequest())
    (line,) = [line for line in logs if line["event"] == "call"]
    assert line["caller"] == "bank/b" and line["outcome"] == "ok" and line["party"] == "operator/node"
