"""What watches over a process asks of it over HTTP, and the second door of a party that has no page.

``/health`` answers while the process lives, ``/ready`` says what the party needs and if it has it. Both are public;
``/metrics`` asks for a certificate of the authority.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.identity import Authority, Identity
from services.metrics import exposition
from services.server import Address, Server, Servicer
from services.web.connect import ConnectApplication, routed
from services.web.server import PEER, WebServer
from zkcore.errors import Refused

Ready = Callable[[], Awaitable[dict[str, bool]]]


class Monitor:
    """Answers for a party.

    Parameters
    ----------
    authority
        Whose certificates may see the metrics.
    ready
        Says, by name, what the party needs and whether it has it.
    """

    def __init__(self, authority: Authority, ready: Ready) -> None:
        self._authority = authority
        self._ready = ready
        self.routes = [
            Route("/health", self._health),
            Route("/ready", self._is_ready),
            Route("/metrics", self._metrics),
        ]

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def _is_ready(self, request: Request) -> Response:
        parts = await self._ready()
        return JSONResponse({"ready": all(parts.values()), **parts}, 200 if all(parts.values()) else 503)

    async def _metrics(self, request: Request) -> Response:
        certificate = request.scope.get("state", {}).get(PEER)
        if certificate is None:
            raise HTTPException(401, "the metrics ask for a certificate of the authority")
        try:
            self._authority.check(certificate, datetime.now(UTC))
        except Refused as error:
            raise HTTPException(403, str(error)) from error
        return Response(exposition(), media_type="text/plain; version=0.0.4")


def second_door(
    identity: Identity, listen: Address, authority: Authority, server: Server, servicers: list[Servicer]
) -> WebServer:
    """The second door of a party without a page: what watches over it, and its services as JSON."""
    application = Starlette(routes=Monitor(authority, server.ready).routes)
    return WebServer(identity, listen, routed(application, ConnectApplication(server.gate, servicers)))
