"""Health, readiness and metrics of a party: they tell the truth, to who asks and to who watches."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import grpc.aio
import httpx
import pytest
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as rpc

from services import server as server_module
from services.certificate_authority import CertificateAuthority
from services.errors import Unreachable
from services.identity import Role
from services.server import FREE_PORT, Guard, Needs, Server, Workers, channel
from services.store import Unavailable
from services.web.monitor import second_door
from services.web.server import WebServer, open_doors
from tests.services.test_access import LogService
from tests.services.test_web import trusting

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
LOG = "zkshare.v1.LogService"
SECONDS = 20


@dataclass
class Watched:
    """A party whose database and ledger come and go."""

    server: Server
    door: WebServer
    authority: CertificateAuthority
    gone: dict[str, Exception] = field(default_factory=dict)

    def check(self, name: str) -> None:
        assert threading.current_thread() is not threading.main_thread(), "a check that blocks the event loop"
        if name in self.gone:
            raise self.gone[name]

    @cached_property
    def stub(self) -> rpc.HealthStub:
        return rpc.HealthStub(self.channel)

    @cached_property
    def channel(self) -> grpc.aio.Channel:
        return channel(self.authority.issue(Role.BANK, "bank"), self.server.address, Role.OPERATOR, "node")


@pytest.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr(server_module, "READY_SECONDS", 0.02)
    authority, workers = CertificateAuthority.create(), Workers(1)
    identity, service = authority.issue(Role.OPERATOR, "node"), LogService()
    needs = Needs(workers, {name: lambda name=name: made.check(name) for name in ("database", "ledger")})
    server = Server(identity, FREE_PORT, [service], Guard(audit=tmp_path / "audit"), needs)
    made = Watched(server, second_door(identity, FREE_PORT, identity.authority, server, [service]), authority)
    await server.start()
    await made.door.start()
    yield made
    await made.channel.close()
    await made.door.stop()
    await server.stop(0)
    workers.close()


@pytest.mark.parametrize("error", [Unavailable("disk full"), Unreachable("ledger", "no answer")])
async def test_what_is_missing_shows_and_what_is_back_shows(watched: Watched, error: Exception, tmp_path: Path) -> None:
    watching = watched.stub.Watch(pb.HealthCheckRequest(service=LOG))
    url, context = f"https://{watched.door.address}", trusting(watched.authority.issue(Role.BANK, "b"), tmp_path, None)
    async with asyncio.timeout(SECONDS), httpx.AsyncClient(base_url=url, verify=context) as client:
        assert (await watching.read()).status == SERVING
        for name in ("database", "ledger"):
            watched.gone[name] = error
            assert (await watching.read()).status == NOT_SERVING
            assert (await watched.stub.Check(pb.HealthCheckRequest())).status == NOT_SERVING
            response = await client.get("/ready")
            expected = {"ready": False, "database": True, "ledger": True, "audit": True, name: False}
            assert (response.status_code, response.json()) == (503, expected)
            assert (await client.get("/health")).json() == {"alive": True}
            watched.gone.clear()
            assert (await watching.read()).status == SERVING
            assert (await client.get("/ready")).status_code == 200
    watching.cancel()


async def test_all_services_are_listed_with_their_state(watched: Watched) -> None:
    statuses = (await watched.stub.List(pb.HealthListRequest())).statuses
    assert {name: each.status for name, each in statuses.items()} == {"": SERVING, LOG: SERVING}
    unknown = watched.stub.Watch(pb.HealthCheckRequest(service="nothing"))
    assert (await unknown.read()).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
    unknown.cancel()


async def test_who_watches_is_told_of_the_end(watched: Watched) -> None:
    watching = watched.stub.Watch(pb.HealthCheckRequest())
    async with asyncio.timeout(SECONDS):
        assert (await watching.read()).status == SERVING
        await watched.server.stop(grace=SECONDS)  # it need not wait for who watches
        assert (await watching.read()).status == NOT_SERVING
        assert await watching.read() is grpc.aio.EOF


async def test_a_port_that_is_taken_is_told(watched: Watched) -> None:
    of = (watched.authority.issue(Role.TRUSTEE, "trustee-1"), watched.server.address, [])
    with pytest.raises(OSError, match=rf"listen: {watched.server.address} cannot be listened at"):
        await Server(*of).start()
    taken = WebServer(of[0], watched.door.address, lambda: None)
    first = Server(of[0], FREE_PORT, [])
    with pytest.raises(OSError, match=rf"web: {watched.door.address} cannot be listened at"):
        await open_doors(first, taken)
    async with channel(watched.authority.issue(Role.BANK, "bank"), first.address, Role.TRUSTEE, "trustee-1") as there:
        with pytest.raises(grpc.aio.AioRpcError, match="nothing listens there"):  # the first is closed again
            await rpc.HealthStub(there).Check(pb.HealthCheckRequest())


async def test_metrics_ask_for_a_certificate(watched: Watched, tmp_path: Path) -> None:
    bank, url = watched.authority.issue(Role.BANK, "bank"), f"https://{watched.door.address}"
    await watched.stub.Check(pb.HealthCheckRequest())
    async with httpx.AsyncClient(base_url=url, verify=trusting(bank, tmp_path, None)) as client:
        assert (await client.get("/metrics")).status_code == 401
    async with httpx.AsyncClient(base_url=url, verify=trusting(bank, tmp_path, bank)) as client:
        assert (
            'zkshare_calls_total{method="/grpc.health.v1.Health/Check",outcome="ok"'
            in (await client.get("/metrics")).text
        )
        called = await client.post(f"/{LOG}/GetHead", json={})
        assert called.status_code == 200 and called.json()["current"]["size"] == "1"
