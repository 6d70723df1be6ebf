"""A party's gRPC server and its clients' channels: mutual TLS, one gate, bounded messages, health and reflection.

CPU work runs in a pool of threads (:class:`Workers`); the kernels release the interpreter lock, so the event loop stays
free. TLS 1.3 is the floor on both sides.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_reflection.v1alpha import reflection

from services.access import Gate
from services.audit import AuditHead, AuditLog
from services.errors import Busy
from services.health import HealthServicer
from services.identity import Authority, Identity, Role
from services.limits import MESSAGE_LIMIT, USUAL, Limits
from services.metrics import WAITING
from services.status import from_rpc_error, received
from services.store import StoreError
from services.tracing import client_interceptors, server_interceptors
from services.vetted import VettedChannel
from zkcore.errors import Refused

P = ParamSpec("P")
T = TypeVar("T")

STREAMS_PER_CONNECTION = 256
OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.so_reuseport", 0),
)
RECONNECTING: tuple[tuple[str, Any], ...] = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)
"""A party that was restarted is met again within two seconds; gRPC alone waits up to two minutes."""
NOTE_SECONDS = 60.0
"""How often the audit log's head is logged."""
READY_SECONDS = 2.0
"""How often a party looks whether it has what it needs."""
DEADLINE = 60.0
"""Seconds after which a client gives up on a call unless it says otherwise."""

_log = structlog.get_logger("zkshare.server")

# A gRPC server that was never started tells so at DEBUG while it is freed, itself among the record's arguments: whoever
# keeps the record then holds freed memory (grpcio 1.85, AioServer.__dealloc__).
logging.getLogger("grpc._cython.cygrpc").setLevel(logging.INFO)


class Workers:
    """Threads for CPU work and for calls that block, with a bound on what waits.

    Parameters
    ----------
    threads
        Number of threads.
    waiting
        Calls taken on beyond those that run; one more is refused as :class:`services.errors.Busy`.
    """

    def __init__(self, threads: int = 2, waiting: int = 1024) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="zkshare")
        self._threads = threads
        self._limit = threads + waiting
        self._taken = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, worked out in a thread."""
        return await self.begin(function, *args, **kwargs)

    def begin(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Has the function's result worked out in a thread."""
        if self._taken >= self._limit:
            raise Busy("server", "too much work is waiting; try again in a moment")
        self._taken += 1
        WAITING.inc()
        try:
            begun = asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))
        except BaseException:
            self._end()
            raise
        begun.add_done_callback(self._end)
        return begun

    def _end(self, _: object = None) -> None:
        self._taken -= 1
        WAITING.dec()

    def share(self) -> int:
        """How many threads a call that begins may use by itself: all if it is alone, one if others run or wait."""
        return self._threads if self._taken == 1 else 1

    def close(self) -> None:
        """Waits for what runs, drops what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Repeated:
    """Work that a party does by itself again and again; a failure is logged, and the next round tries anew.

    Parameters
    ----------
    work
        What to do.
    seconds
        How long to wait between rounds.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], seconds: float) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends, if it had begun; a round at work is cancelled."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self._work()
            except Exception as error:
                why = f"{error.part} [{error.check}]" if isinstance(error, Refused) else type(error).__name__
                _log.warning("will try again", work=self._name, why=why)


@dataclass(frozen=True)
class Needs:
    """What a party cannot work without: by name, a call that fails as Refused or StoreError while it is not there."""

    workers: Workers
    checks: Mapping[str, Callable[[], object]]

    async def met(self) -> dict[str, bool]:
        """Of each whether it is there now."""
        return {name: await self._holds(check) for name, check in self.checks.items()}

    async def _holds(self, check: Callable[[], object]) -> bool:
        try:
            await self.workers.run(check)
        except (StoreError, Refused):
            return False
        return True


class Servicer(Protocol):
    """A servicer that knows which service it implements and how to join a server."""

    DESCRIPTOR: ServiceDescriptor

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""


@dataclass(frozen=True)
class Address:
    """Where a party listens; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


FREE_PORT = Address()
"""A port that is free, on loopback."""


@dataclass(frozen=True)
class Guard:
    """How a party guards itself.

    Attributes
    ----------
    limits
        What each caller may ask.
    audit
        File of the audit log; None for none.
    """

    limits: Limits = USUAL
    audit: Path | None = None


GUARD = Guard()
"""Usual limits, no audit log."""


class Server:
    """A gRPC server of one party, made of its servicers.

    Use :meth:`start`, then :attr:`address`; :meth:`stop` lets running calls end before it closes.

    Parameters
    ----------
    guard
        Limits of its callers, and where its audit log is.
    needs
        What the party cannot work without: it reports itself as not serving while something of it is missing.
    authority
        Whose certificates callers have, with its list of revoked ones; the identity's own, without a list, unless told.
    """

    def __init__(
        self,
        identity: Identity,
        listen: Address,
        servicers: Iterable[Servicer],
        guard: Guard = GUARD,
        needs: Needs | None = None,
        authority: Authority | None = None,
    ) -> None:
        self._guard = guard
        self._needs = needs
        self._identity = identity
        self._listen = listen
        self._servicers = tuple(servicers)
        self._server: grpc.aio.Server | None = None
        self._health = HealthServicer(servicer.DESCRIPTOR.full_name for servicer in self._servicers)
        self._party = f"{identity.role}/{identity.name}"
        self.gate = Gate(self._party, authority or identity.authority, self._guard.limits)
        self._noting = Repeated("audit head", self._note_head, NOTE_SECONDS)
        self._watching = Repeated("watch", self._watch, READY_SECONDS)
        self._noted: AuditHead | None = None
        self.address = listen

    async def start(self) -> None:
        """Opens the audit log, binds the port and serves."""
        if self._guard.audit is not None:
            self.gate.audit = await asyncio.to_thread(AuditLog, self._guard.audit, self._party)
            await self._note_head()
            self._noting.start()
        server = grpc.aio.server(interceptors=[*server_interceptors(), self.gate], options=OPTIONS)
        names = [servicer.DESCRIPTOR.full_name for servicer in self._servicers]
        for servicer in self._servicers:
            servicer.join(server)
        self._health.join(server)
        described = [*names, self._health.DESCRIPTOR.full_name, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(described, server)
        try:
            port = server.add_secure_port(str(self._listen), self._identity.server_credentials())
        except RuntimeError:  # gRPC does not say why
            why = "another process does, or it is no address of this machine"
            raise OSError(f"listen: {self._listen} cannot be listened at: {why}") from None
        await server.start()
        await self._watch()
        self._watching.start()
        self._server = server
        self.address = Address(self._listen.host, port)
        _log.info("serving", party=self._party, address=str(self.address), services=names)

    async def ready(self) -> dict[str, bool]:
        """What the party needs to do its work, by name, and whether it has it now."""
        met = {} if self._needs is None else await self._needs.met()
        if self.gate.audit is not None:
            met["audit"] = await self.gate.audit.works()
        return met

    async def _watch(self) -> None:
        """Tells gRPC's health service whether the party can do its work."""
        await self._health.report(all((await self.ready()).values()))

    async def stop(self, grace: float = 5.0) -> None:
        """Reports itself as not serving, lets running calls end for `grace` seconds, closes."""
        if self._server is None:
            return
        await self._watching.stop()
        await self._health.end()
        await self._server.stop(grace)
        self._server = None
        if self.gate.audit is not None:
            await self._noting.stop()
            await self.gate.audit.close()
            await self._note_head()

    async def _note_head(self) -> None:
        """Logs the audit log's head if it moved, so that a shortened file shows against the log lines."""
        if self.gate.audit is not None and self.gate.audit.head != self._noted:
            self._noted = self.gate.audit.head
            _log.info("audit head", party=self._party, records=self._noted.size, hash=self._noted.hash)


def channel(
    identity: Identity, address: Address, role: Role, name: str, authority: Authority | None = None
) -> grpc.aio.Channel:
    """A channel that shows `identity` and talks to the party of that role and name alone.

    `authority` is whose certificate that party has, with its list of revoked ones; the identity's own, without a list,
    unless told.
    """
    options, tracing = (*OPTIONS, *RECONNECTING), client_interceptors()
    return VettedChannel(
        identity, authority or identity.authority, address.host, address.port, role, name, options, tracing
    )


async def streamed(call: AsyncIterable[T]) -> AsyncIterator[T]:
    """The responses of a stream; its failure raised as the refusal that it carries."""
    try:
        async for response in call:
            yield received(response)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None


async def answered(call: Awaitable[T]) -> T:
    """A call's response; its failure raised as the refusal that it carries."""
    try:
        return received(await call)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from None
