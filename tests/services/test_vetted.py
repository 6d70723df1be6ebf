"""Streams on channels that first look at the server's certificate: they may be cancelled at any time, and again."""

import asyncio

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.certificate_authority import CertificateAuthority
from services.identity import Role
from services.server import FREE_PORT, Server, channel
from tests.services import client_files

AUTHORITY = CertificateAuthority.create()
CALLER = AUTHORITY.issue(Role.BANK, "caller")
PARTY = (Role.TRUSTEE, "trustee-1")
SECONDS = 20


def watched(there: grpc.aio.Channel) -> grpc.aio.UnaryStreamCall:
    return health_pb2_grpc.HealthStub(there).Watch(health_pb2.HealthCheckRequest())


async def test_a_stream_that_never_began_is_cancelled_twice() -> None:
    """Before the server is met, and when that is over: the second time says nothing, and nothing waits for ever."""
    server = Server(AUTHORITY.issue(*PARTY), FREE_PORT, [])
    await server.start()
    try:
        async with asyncio.timeout(SECONDS), channel(CALLER, server.address, *PARTY) as there:
            call = watched(there)
            call.cancel()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call.read()
            call.cancel()
            begun = watched(there)  # the channel is as good as before
            assert (await begun.read()).status == health_pb2.HealthCheckResponse.SERVING
            begun.cancel()
            begun.cancel()
            with pytest.raises(asyncio.CancelledError):
                await begun.read()
    finally:
        await server.stop(0)


async def test_a_stream_whose_server_is_not_there_is_cancelled_twice() -> None:
    async with asyncio.timeout(SECONDS), channel(CALLER, client_files.CLOSED, *PARTY) as there:
        call = watched(there)
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            call.cancel()
