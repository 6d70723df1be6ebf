"""Channels to servers whose certificates the authority has not taken back.

gRPC checks that a server's certificate is one of the authority's and names the party that was asked for, but shows it
to nobody. So a channel first makes a TLS handshake of its own, looks the certificate up in the authority's list
(:mod:`services.revocation`), and then lets gRPC talk to a server with exactly that certificate: whoever comes between
with another one, also of the same party, is not talked to. The list is looked at again before every call and every
message of a stream; a party whose certificate was renewed is met again with the new one.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import grpc.aio

from services.identity import Authority, Identity, PeerIdentity, Role, party_uri, server_name

LOOK_SECONDS = 10.0
"""Time in which a server must have shown its certificate."""
CLOSING_SECONDS = 60.0
"""Time in which calls must end that began on a connection that is not used for new ones."""
ENDED = frozenset({grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.TRANSIENT_FAILURE})
"""States of a connection that was left or broke; one that was just made is idle no more when it is first used."""

Call = Any
"""A call of :mod:`grpc.aio`, which has a type for each kind of method."""


@dataclass(frozen=True)
class _Connection:
    peer: PeerIdentity
    channel: grpc.aio.Channel


class VettedChannel(grpc.aio.Channel):
    """A channel to one party, as :mod:`grpc.aio` has them, on which no revoked certificate is accepted.

    Calls fail with :class:`services.identity.Revoked` while the party has no other certificate, with the status
    UNAVAILABLE while it cannot be reached or proven to be the party.

    Parameters
    ----------
    identity
        Who calls.
    authority
        Whose certificate the server must have, with its list of revoked ones.
    options, interceptors
        As gRPC takes them.
    """

    def __init__(
        self,
        identity: Identity,
        authority: Authority,
        host: str,
        port: int,
        role: Role,
        name: str,
        options: Sequence[tuple[str, Any]] = (),
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        self._identity = identity
        self._authority = authority
        self._host, self._port = host, port
        self._role, self._name = role, name
        self._options, self._interceptors = options, interceptors
        self._connection: _Connection | None = None
        self._looking: asyncio.Task[_Connection] | None = None
        self._left: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> "VettedChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Ends all calls, after `grace` seconds if told, and closes."""
        self._closed = True
        old = [task for task in (self._looking, *self._left) if task is not None]
        for task in old:
            task.cancel()
        await asyncio.gather(*old, return_exceptions=True)
        if self._connection is not None:
            await self._connection.channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The state of its connection; idle before the first."""
        there = self._connection
        return grpc.ChannelConnectivity.IDLE if there is None else there.channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Waits until the connection is in another state."""
        await (await self._vetted()).channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits until it is connected."""
        await (await self._vetted()).channel.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See :mod:`grpc.aio`."""
        return _Method(self, "unary_unary", args, kwargs, _Answer)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See :mod:`grpc.aio`."""
        return _Method(self, "unary_stream", args, kwargs, _Answers)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See :mod:`grpc.aio`."""
        return _Method(self, "stream_unary", args, kwargs, _Answer)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See :mod:`grpc.aio`."""
        return _Method(self, "stream_stream", args, kwargs, _Answers)

    def _good(self) -> _Connection | None:
        """The connection, if it may be used as it is; one that ended may have been to a certificate that is renewed."""
        there = self._connection
        if there is None or there.channel.get_state() in ENDED:
            return None
        return None if self._authority.is_revoked(there.peer) else there

    def _check(self) -> None:
        if self._connection is not None:
            self._authority.check_revoked(self._connection.peer)

    async def _vetted(self) -> _Connection:
        if self._closed:
            raise grpc.aio.UsageError("the channel is closed")
        good = self._good()
        if good is not None:
            return good
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(lambda done: done.cancelled() or done.exception())  # all may have left
        return await asyncio.shield(self._looking)

    async def _look(self) -> _Connection:
        """Meets the server, now or anew. Calls that run on an older connection have some time to end."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                certificate = await self._shown()
        except (OSError, TimeoutError) as error:
            _unavailable(f"{self._host}:{self._port} cannot be reached: {self._why(error)}")
        peer = self._authority.check(certificate)
        there = self._identity.channel(
            f"{self._host}:{self._port}", self._role, self._name, self._options, self._interceptors, peer
        )
        there.get_state(try_to_connect=True)
        await there.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
        if self._connection is not None:
            leaving = asyncio.create_task(self._connection.channel.close(CLOSING_SECONDS))
            self._left.add(leaving)
            leaving.add_done_callback(self._left.discard)
        self._connection = _Connection(peer, there)
        return self._connection

    def _why(self, error: OSError) -> str:
        if isinstance(error, ssl.CertificateError):
            return f"its certificate is not one of {party_uri(self._role, self._name)} by this authority, valid now"
        kinds = {
            ConnectionRefusedError: "nothing listens there",
            socket.gaierror: "there is no such host",
            TimeoutError: f"no connection in {LOOK_SECONDS:.0f} s",
        }
        return kinds.get(
            type(error), "no TLS 1.3 is spoken there" if isinstance(error, ssl.SSLError) else "no connection"
        )

    async def _shown(self) -> bytes:
        """The certificate that the server shows, DER; TLS has checked its signature and that it names the party."""
        _, writer = await asyncio.open_connection(
            self._host,
            self._port,
            ssl=self._identity.client_context(),
            server_hostname=server_name(self._role, self._name),
        )
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return certificate


class _Method:
    """A method of a channel; its calls go by the connection that is there when they are made."""

    def __init__(
        self, channel: VettedChannel, kind: str, args: Any, kwargs: Any, waiting: "type[_Answer | _Answers]"
    ) -> None:
        self._channel = channel
        self._kind, self._args, self._kwargs = kind, args, kwargs
        self._waiting = waiting
        self._of: tuple[_Connection, Callable[..., Call]] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        there = self._channel._good()
        if there is not None and self._waiting is _Answer:
            return self._on(there)(*args, **kwargs)

        async def call() -> Call:
            return self._on(await self._channel._vetted())(*args, **kwargs)

        return self._waiting(call, self._channel._check)

    def _on(self, there: _Connection) -> Callable[..., Call]:
        if self._of is None or self._of[0] is not there:
            self._of = there, getattr(there.channel, self._kind)(*self._args, **self._kwargs)
        return self._of[1]


class _Answer:
    """A call with one response that begins when its server has been met."""

    def __init__(self, call: Callable[[], Awaitable[Call]], _check: Callable[[], None]) -> None:
        self._call = call

    def __await__(self) -> Generator[Any, None, Any]:
        return self._response().__await__()

    async def _response(self) -> Any:
        return await (await self._call())


class _Answers:
    """A call with many responses, each given on only while its server's certificate is not revoked."""

    def __init__(self, call: Callable[[], Awaitable[Call]], check: Callable[[], None]) -> None:
        self._begun = asyncio.create_task(_begin(call))
        self._check = check

    async def __aiter__(self) -> AsyncIterator[Any]:
        call = await self._begun
        try:
            async for response in call:
                self._check()
                yield response
        finally:
            call.cancel()

    async def read(self) -> Any:
        """The next response, or gRPC's mark of the end."""
        call = await self._begun
        response = await call.read()
        self._check()
        return response

    def cancel(self) -> None:
        """Ends the call; once more is harmless."""
        if not self._begun.cancel() and not self._begun.cancelled() and not self._begun.exception():
            self._begun.result().cancel()


async def _begin(call: Callable[[], Awaitable[Call]]) -> Call:
    return await call()


def _unavailable(why: str) -> NoReturn:
    nothing = grpc.aio.Metadata()
    raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, why, None)
