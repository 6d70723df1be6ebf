"""The page, its data, receipts, health and metrics over HTTP; everything read-only.

``/`` is the page; ``/overview.json`` is what it lists; ``/receipts/ID.json`` is a receipt; a receipt POSTed to
``/receipts/verify`` is verified. These are public. Beside them lies what :mod:`services.web.monitor` answers.
"""

import asyncio
import json
import time
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.server import Workers
from services.web.monitor import Monitor
from services.web.view import PublicView
from zkcore.errors import Refused

RECEIPT_LIMIT = 16 * 1024 * 1024
UPLOAD_SECONDS = 20.0
FRESH_SECONDS = 2.0
"""How long an overview is served again before it is made anew, so that visitors cost little."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=31536000",
}
TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class _Headers:
    """Puts the security headers on every response."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        await self._app(scope, receive, with_headers)


class Page:
    """The page's application.

    Parameters
    ----------
    view
        What it shows.
    monitor
        Answers for the node's health, readiness and metrics.
    """

    def __init__(self, view: PublicView, monitor: Monitor, workers: Workers) -> None:
        self._view = view
        self._workers = workers
        self._overview: tuple[float, bytes] | None = None
        self._showing, self._verifying = asyncio.Lock(), asyncio.Lock()
        folder = files("services.web") / "static"
        self._files = {name: (folder / name).read_bytes() for name in TYPES}
        self.application = Starlette(
            routes=[
                Route("/", self._file),
                *(Route(f"/{name}", self._file) for name in TYPES),
                Route("/overview.json", self._show),
                Route("/receipts/verify", self._verify, methods=["POST"]),
                Route("/receipts/{request_id}.json", self._receipt),
                *monitor.routes,
            ],
            middleware=[Middleware(_Headers)],
        )

    async def _file(self, request: Request) -> Response:
        name = request.url.path.removeprefix("/") or "index.html"
        return Response(self._files[name], media_type=TYPES[name])

    async def _show(self, request: Request) -> Response:
        async with self._showing:  # those who come while it is made wait for it
            if self._overview is None or time.monotonic() - self._overview[0] > FRESH_SECONDS:
                try:
                    content = json.dumps(await self._workers.run(self._view.overview)).encode()
                except Refused as error:
                    raise HTTPException(503, str(error)) from error
                self._overview = (time.monotonic(), content)
            return Response(self._overview[1], media_type="application/json")

    async def _receipt(self, request: Request) -> Response:
        try:
            request_id = bytes.fromhex(request.path_params["request_id"])
        except ValueError:
            raise HTTPException(404) from None
        receipt = await self._workers.run(self._view.receipt, request_id)
        if receipt is None:
            raise HTTPException(404)
        return Response(receipt, media_type="application/json")

    async def _verify(self, request: Request) -> Response:
        if self._verifying.locked():  # anybody may ask, so strangers get one receipt's memory and time between them
            raise HTTPException(503, "another receipt is being verified; try again in a moment", {"retry-after": "2"})
        async with self._verifying:
            content = bytearray()
            try:
                async with asyncio.timeout(UPLOAD_SECONDS):
                    async for chunk in request.stream():
                        content += chunk
                        if len(content) > RECEIPT_LIMIT:
                            raise HTTPException(413, "a receipt has at most 16 MiB")
            except TimeoutError:
                raise HTTPException(408, f"the receipt did not arrive within {UPLOAD_SECONDS:.0f} seconds") from None
            return JSONResponse(await self._workers.run(self._view.verify, bytes(content)))
