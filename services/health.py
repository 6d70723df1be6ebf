"""gRPC's health service (grpc.health.v1) of a party: whether it can do its work, for who asks and for who watches.

All services of a party need the same things, so all have one state. That of gRPC's own library does not list services,
and writes to a stream that the gate (:mod:`services.access`) must see; this one yields.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as rpc

from services.errors import NotFound


class HealthServicer(rpc.HealthServicer):
    """Tells the state that was last reported; not serving until one is.

    Parameters
    ----------
    services
        Full names of the party's services; the empty name stands for the party as a whole.
    """

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["Health"]

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset({"", *services})
        self._serving = False
        self._ended = False
        self._news = asyncio.Condition()

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_HealthServicer_to_server(self, server)

    async def report(self, serving: bool) -> None:
        """Takes whether the party can do its work now."""
        async with self._news:
            self._serving = serving and not self._ended
            self._news.notify_all()

    async def end(self) -> None:
        """Not serving from now on; who watches is told, and the streams end so that the server can stop."""
        self._ended = True
        await self.report(False)

    async def Check(self, request: pb.HealthCheckRequest, context: grpc.aio.ServicerContext) -> pb.HealthCheckResponse:
        if request.service not in self._services:
            raise NotFound("service", "the party has no such service")
        return pb.HealthCheckResponse(status=self._state())

    async def List(self, request: pb.HealthListRequest, context: grpc.aio.ServicerContext) -> pb.HealthListResponse:
        state = pb.HealthCheckResponse(status=self._state())
        return pb.HealthListResponse(statuses=dict.fromkeys(sorted(self._services), state))

    async def Watch(
        self, request: pb.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        told: pb.HealthCheckResponse.ServingStatus | None = None
        while (state := await self._next(request.service, told)) != told:
            told = state
            yield pb.HealthCheckResponse(status=state)

    async def _next(self, service: str, told: int | None) -> pb.HealthCheckResponse.ServingStatus:
        """The state as soon as it is another than what was told, or as it is at the end."""
        async with self._news:
            while True:
                state = self._state() if service in self._services else pb.HealthCheckResponse.SERVICE_UNKNOWN
                if state != told or self._ended:
                    return state
                await self._news.wait()

    def _state(self) -> pb.HealthCheckResponse.ServingStatus:
        return pb.HealthCheckResponse.SERVING if self._serving else pb.HealthCheckResponse.NOT_SERVING
