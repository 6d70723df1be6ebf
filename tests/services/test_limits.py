"""Limits of a caller: rate, calls at once, size, time; one caller's excess is nobody else's; memory is bounded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.zkshare.v1 import log_pb2, log_pb2_grpc, submission_pb2, submission_pb2_grpc
from services.certificate_authority import CertificateAuthority
from services.errors import MessageTooLarge, OverLimit
from services.identity import Role
from services.limits import LARGE, SMALL_MESSAGE, Callers, Limits
from services.retry import repeated
from services.server import FREE_PORT, Guard, Server, Servicer, channel
from services.status import from_rpc_error, retry_delay
from services.web.connect import ConnectApplication
from services.web.server import WebServer
from tests.services.test_web import trusting


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 50), st.integers(1, 50), st.lists(st.tuples(st.floats(0, 3), st.integers(0, 40)), max_size=20))
def test_never_more_than_burst_and_rate(rate: int, burst: int, visits: list[tuple[float, int]]) -> None:
    clock = Clock()
    callers = Callers(Limits(calls_a_second=rate, burst=burst), clock)
    admitted = 0
    for pause, calls in visits:
        clock.now += pause
        for _ in range(calls):
            try:
                with callers.call("a"):
                    admitted += 1
            except OverLimit as refused:
                assert 0 < refused.seconds <= 1 / rate + 1e-9
    assert admitted <= burst + rate * clock.now + 1e-6


def test_coming_back_when_told_succeeds_and_others_are_not_touched() -> None:
    clock = Clock()
    callers = Callers(Limits(calls_a_second=2, burst=3), clock)
    for _ in range(3):
        with callers.call("a"):
            pass
    with pytest.raises(OverLimit) as refused, callers.call("a"):
        pass
    with callers.call("b"):
        pass
    clock.now += refused.value.seconds
    with callers.call("a"):
        pass


def test_calls_at_once_are_counted_until_they_end_however_they_end() -> None:
    callers = Callers(Limits(at_once=1))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), callers.call("a"):
            with pytest.raises(OverLimit), callers.call("a"):
                pass
            with callers.call("b"):
                pass
            raise ZeroDivisionError


def test_memory_is_bounded_over_many_callers() -> None:
    clock = Clock()
    callers = Callers(Limits(calls_a_second=10, burst=10), clock, most=100)
    with callers.call("stays"):
        for number in range(10_000):
            clock.now += 0.05
            with callers.call(f"caller {number}"):
                pass
            assert len(callers) <= 100
        clock.now += 10
        for number in range(99):
            with callers.call(f"later {number}"):
                pass
        assert len(callers) <= 100
    with pytest.raises(OverLimit):
        for number in range(101):  # all in one moment: the newest waits, rather than that one who is over is forgotten
            with callers.call(f"at once {number}"):
                pass


def test_sizes_by_method() -> None:
    limits = Limits(message_bytes=1 << 20)
    limits.check_size("/any", SMALL_MESSAGE)
    with pytest.raises(MessageTooLarge):
        limits.check_size("/any", SMALL_MESSAGE + 1)
    for method in LARGE:
        limits.check_size(method, 1 << 20)
        with pytest.raises(MessageTooLarge):
            limits.check_size(method, (1 << 20) + 1)


class LogService(log_pb2_grpc.LogServiceServicer):
    """Answers, or waits until it is let go."""

    DESCRIPTOR = log_pb2.DESCRIPTOR.services_by_name["LogService"]

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.waiting = 0

    def join(self, server: grpc.aio.Server) -> None:
        log_pb2_grpc.add_LogServiceServicer_to_server(self, server)

    async def GetHead(self, request: Any, context: Any) -> log_pb2.GetHeadResponse:
        return log_pb2.GetHeadResponse(current=log_pb2.LogHead(size=1, root=bytes(32)))

    async def GetConsistency(self, request: Any, context: Any) -> log_pb2.GetConsistencyResponse:
        self.waiting += 1
        try:
            await self.free.wait()
        finally:
            self.waiting -= 1
        return log_pb2.GetConsistencyResponse()


class SubmissionService(submission_pb2_grpc.SubmissionServiceServicer):
    DESCRIPTOR = submission_pb2.DESCRIPTOR.services_by_name["SubmissionService"]

    def join(self, server: grpc.aio.Server) -> None:
        submission_pb2_grpc.add_SubmissionServiceServicer_to_server(self, server)

    async def SubmitMany(self, requests: Any, context: Any) -> AsyncIterator[submission_pb2.SubmitManyResponse]:
        async for request in requests:
            yield submission_pb2.SubmitManyResponse(receipt=request.submission)


class House:
    """A server with given limits, and callers of it."""

    def __init__(self, **limits: int) -> None:
        self.authority = CertificateAuthority.create()
        self.log = LogService()
        self.servicers: list[Servicer] = [self.log, SubmissionService()]
        self.identity = self.authority.issue(Role.OPERATOR, "node")
        self.server = Server(self.identity, FREE_PORT, self.servicers, Guard(Limits(**limits)))
        self.channels: list[grpc.aio.Channel] = []

    async def __aenter__(self) -> "House":
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.log.free.set()
        for there in self.channels:
            await there.close(None)
        await self.server.stop(0)

    def connect(self, name: str, role: Role = Role.ENTERPRISE) -> grpc.aio.Channel:
        self.channels.append(channel(self.authority.issue(role, name), self.server.address, Role.OPERATOR, "node"))
        return self.channels[-1]


async def test_one_over_the_rate_is_told_when_to_come_again_and_hurts_nobody() -> None:
    async with House(calls_a_second=1, burst=20) as house:
        greedy = log_pb2_grpc.LogServiceStub(house.connect("greedy"))
        again = log_pb2_grpc.LogServiceStub(house.connect("greedy"))  # a second connection, a new certificate
        other = log_pb2_grpc.LogServiceStub(house.connect("other"))

        async def flood() -> list[object]:
            request = log_pb2.GetHeadRequest()
            calls = [stub.GetHead(request) for stub in (greedy, again) for _ in range(100)]
            return await asyncio.gather(*calls, return_exceptions=True)

        flooding = asyncio.create_task(flood())
        for _ in range(20):
            await other.GetHead(log_pb2.GetHeadRequest())
        outcomes = await flooding
        refused = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert 20 <= len(outcomes) - len(refused) < 100
        for error in refused:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert from_rpc_error(error).check == "over_limit"
            assert 0 < (retry_delay(error) or 0) <= 1
        await repeated(greedy.GetHead, log_pb2.GetHeadRequest(), 60)  # who waits as told is served


async def test_calls_at_once_by_caller() -> None:
    async with House(at_once=2) as house:
        stub = log_pb2_grpc.LogServiceStub(house.connect("greedy"))
        request = log_pb2.GetConsistencyRequest(first=1, second=2)
        held = [asyncio.create_task(_done(stub.GetConsistency(request))) for _ in range(2)]
        while house.log.waiting < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetHead(log_pb2.GetHeadRequest())
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_delay(caught.value)
        await log_pb2_grpc.LogServiceStub(house.connect("other")).GetHead(log_pb2.GetHeadRequest())
        held[0].cancel()  # a caller that goes away frees its place
        while house.log.waiting > 1:
            await asyncio.sleep(0.01)
        await repeated(stub.GetHead, log_pb2.GetHeadRequest(), 60)
        house.log.free.set()
        await held[1]


async def _done(call: Any) -> Any:
    return await call


async def test_a_large_message_is_refused_for_good() -> None:
    async with House() as house:
        there = house.connect("large")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await there.unary_unary("/zkshare.v1.LogService/GetHead")(bytes(SMALL_MESSAGE + 1))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert from_rpc_error(caught.value).check == "message_too_large" and retry_delay(caught.value) is None


async def test_a_stream_is_held_back_and_loses_nothing() -> None:
    async with House(calls_a_second=100, burst=5) as house:
        there = house.connect("streams")

        async def requests() -> AsyncIterator[submission_pb2.SubmitManyRequest]:
            for number in range(40):
                yield submission_pb2.SubmitManyRequest(submission=b"%d" % number)

        started = asyncio.get_running_loop().time()
        stub = submission_pb2_grpc.SubmissionServiceStub(there)
        answers = [int(answer.receipt) async for answer in stub.SubmitMany(requests())]
        assert answers == list(range(40))
        assert asyncio.get_running_loop().time() - started > 0.3  # 36 messages beyond the burst, at 100 a second


async def test_the_second_door_shares_the_allowance(tmp_path: Path) -> None:
    async with House(calls_a_second=1, burst=3) as house:
        web = WebServer(house.identity, FREE_PORT, ConnectApplication(house.server.gate, house.servicers))
        await web.start()
        try:
            identity = house.authority.issue(Role.ENTERPRISE, "both")
            async with httpx.AsyncClient(verify=trusting(identity, tmp_path, identity)) as client:
                url = f"https://localhost:{web.address.port}/zkshare.v1.LogService/GetHead"
                there = channel(identity, house.server.address, Role.OPERATOR, "node")
                async with there:
                    for _ in range(3):
                        await log_pb2_grpc.LogServiceStub(there).GetHead(log_pb2.GetHeadRequest())
                answers = await asyncio.gather(*(client.post(url, json={}) for _ in range(20)))
            refused = [answer.json() for answer in answers if answer.status_code == 429]
            assert refused and all(each["code"] == "resource_exhausted" for each in refused)
            types = {detail["type"] for each in refused for detail in each["details"]}
            assert types == {"google.rpc.ErrorInfo", "google.rpc.RetryInfo"}
        finally:
            await web.stop()
