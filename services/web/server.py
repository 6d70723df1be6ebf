"""An HTTPS server inside a party's event loop: TLS 1.3, and the caller's certificate handed to the application.

A client may come without a certificate, and one that it shows must be of the party's authority. Which requests need
one is for the application to say. Applications find the certificate (DER) under ``peer_certificate`` in the scope's
state, or None there.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.identity import Identity
from services.server import Address, Server

PEER = "peer_certificate"
KEEP_ALIVE_SECONDS = 15
CONNECTIONS = 512
"""Connections and requests beyond which a client is told to come back later (503)."""

_log = structlog.get_logger("zkshare.web")


class _Protocol(H11Protocol):
    """HTTP/1.1 that puts the client's certificate into the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, PEER: tls.getpeercert(binary_form=True) if tls else None}


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def open_doors(first: Server, second: "WebServer | None") -> None:
    """Starts a party's servers, the first before the second, or neither. Raises OSError."""
    await first.start()
    if second is not None:
        try:
            await second.start()
        except OSError:
            await first.stop(0)
            raise


class WebServer:
    """Serves one ASGI application. Use :meth:`start`, then :attr:`address`."""

    def __init__(self, identity: Identity, listen: Address, application: Any) -> None:
        self._identity = identity
        self._application = application
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.address = listen

    async def start(self) -> None:
        """Binds the port and serves.

        Raises
        ------
        OSError
            The port cannot be had.
        """
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        config = uvicorn.Config(
            self._application,
            http=_Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=64 * 1024,
            ssl_context_factory=lambda _config, _default: self._identity.web_context(),
        )
        opened = _listening(self.address)  # here, since uvicorn ends the whole process if a port cannot be had
        port = opened.getsockname()[1]
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[opened]))
        while not self._server.started:
            if self._task.done():
                raise OSError(f"web: {self.address} cannot be served at") from self._task.exception()
            await asyncio.sleep(0.01)
        self.address = Address(self.address.host, port)
        _log.info("serving", party=f"{self._identity.role}/{self._identity.name}", url=f"https://{self.address}/")

    async def stop(self) -> None:
        """Lets running requests end for some seconds, then closes."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(SystemExit):
            await asyncio.wait_for(self._task, 10)
        self._server = None


def _listening(address: Address) -> socket.socket:
    host = address.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, address.port), family=family)
    except OSError as error:
        raise OSError(f"web: {address} cannot be listened at: {error.strerror}") from None
