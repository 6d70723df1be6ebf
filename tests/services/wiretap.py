"""A tap on every connection of a network: it keeps what passes and, when told, alters one message on its way."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

Edit = Callable[[Message], Message]


@dataclass
class Tap:
    """What passed, as (method, direction, bytes), and the edit that is applied to messages of one method."""

    passed: list[tuple[str, str, bytes]] = field(default_factory=list)
    method: str = ""
    direction: str = ""
    edit: Edit | None = None
    edited: int = 0
    garble: Callable[[bytes], bytes] | None = None

    def garbled(self, method: str, garble: Callable[[bytes], bytes]) -> None:
        """Alter the bytes of this method's responses from now on, before gRPC decodes them."""
        self.method, self.garble = method, garble

    def alter(self, method: str, direction: str, edit: Edit) -> None:
        """Alter messages of this method in this direction ("request" or "response") from now on."""
        self.method, self.direction, self.edit, self.edited = method, direction, edit, 0

    def leave(self) -> None:
        """Alter nothing any more."""
        self.edit = self.garble = None

    def __call__(self, method: str | bytes, direction: str, message: Any) -> Any:
        name = method if isinstance(method, str) else method.decode()
        if self.edit is not None and (name, direction) == (self.method, self.direction):
            message = self.edit(message)
            self.edited += 1
        if message is None:  # what gRPC could not decode
            return None
        encoded = message if isinstance(message, bytes) else message.SerializeToString()
        self.passed.append((name, direction, encoded))
        return message

    def interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """Interceptors of a channel that is tapped."""
        return [_UnaryUnary(self), _UnaryStream(self), _StreamStream(self)]


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        method = client_call_details.method
        call = await continuation(client_call_details, self._tap(method, "request", request))
        return self._tap(method, "response", await call)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        method = client_call_details.method
        call = await continuation(client_call_details, self._tap(method, "request", request))
        return _tapped(self._tap, method, "response", call)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        method = client_call_details.method
        call = await continuation(client_call_details, _tapped(self._tap, method, "request", request_iterator))
        return _tapped(self._tap, method, "response", call)


async def _tapped(tap: Tap, method: str, direction: str, messages: Any) -> AsyncIterator[Any]:
    if not hasattr(messages, "__aiter__"):  # requests may come from an ordinary iterator as well
        for message in messages:
            yield tap(method, direction, message)
        return
    async for message in messages:
        yield tap(method, direction, message)


def tapped_channel(tap: Tap) -> Callable[..., grpc.aio.Channel]:
    """A replacement for ``grpc.aio.secure_channel`` whose channels the tap listens to."""
    secure_channel = grpc.aio.secure_channel

    def make(*args: Any, **kwargs: Any) -> grpc.aio.Channel:
        kwargs["interceptors"] = [*kwargs.get("interceptors", ()), *tap.interceptors()]
        made = secure_channel(*args, **kwargs)
        for kind in ("unary_unary", "unary_stream", "stream_stream"):
            setattr(made, kind, _garbling(tap, getattr(made, kind)))
        return made

    return make


def _garbling(tap: Tap, kind: Callable[..., Any]) -> Callable[..., Any]:
    def method(name: str, *args: Any, response_deserializer: Any = None, **kwargs: Any) -> Any:
        def decoded(encoded: bytes) -> Any:
            if tap.garble is not None and tap.method == name:
                encoded = tap.garble(encoded)
            return response_deserializer(encoded) if response_deserializer else encoded

        return kind(name, *args, response_deserializer=decoded, **kwargs)

    return method
