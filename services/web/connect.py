"""The gRPC services for curl and browsers: the Connect protocol and gRPC-Web, same servicers, same gate.

    curl --cert party.pem --key key.pem --cacert authority.pem \
         -H 'content-type: application/json' -d '{}' https://node:8443/zkshare.v1.LogService/GetHead

Every call goes through :class:`services.access.Gate` as a gRPC call does, so that roles, rules of the proto, limits and
the log are the same. A refusal arrives as Connect's error with the same ``ErrorInfo`` that gRPC callers get.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, NoReturn

import grpc
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from protobuf.wkt import Any as AnyMessage
from starlette.responses import JSONResponse

from services.access import Gate
from services.limits import MESSAGE_LIMIT
from services.server import Servicer
from services.status import DETAILS
from services.web.server import PEER

_certificate: ContextVar[bytes | None] = ContextVar("certificate", default=None)


_STRANGER = JSONResponse(
    {"code": Code.UNAUTHENTICATED.value, "message": "caller: the connection carries no client certificate"}, 401
)


class CallContext:
    """What servicers and the gate use of gRPC's context, for a call that came over HTTP."""

    def __init__(self, certificate: bytes | None, request: RequestContext[Any, Any]) -> None:
        self._certificate = certificate
        self._request = request

    def auth_context(self) -> Mapping[str, list[bytes]]:
        """As gRPC has it: the certificate that the TLS connection was admitted with."""
        if self._certificate is None:
            return {}
        pem = load_der_x509_certificate(self._certificate).public_bytes(Encoding.PEM)
        return {"transport_security_type": [b"ssl"], "x509_pem_cert": [pem]}

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """The request's headers."""
        return tuple(self._request.request_headers.allitems())

    def peer(self) -> str:
        """Address of the caller."""
        return str(self._request.client_address or "")

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline."""
        milliseconds = self._request.timeout_ms
        return None if milliseconds is None else milliseconds / 1000

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, bytes]] = ()
    ) -> NoReturn:
        """Ends the call with Connect's form of the status."""
        infos = [
            ErrorDetail(AnyMessage(type_url=detail.type_url, value=detail.value))
            for key, value in trailing_metadata
            if key == DETAILS
            for detail in status_pb2.Status.FromString(value).details
        ]
        raise ConnectError(Code(code.value[1].replace(" ", "_")), details, infos)


class ConnectApplication(ConnectASGIApplication[None]):
    """The ASGI application of some servicers behind one gate."""

    def __init__(self, gate: Gate, servicers: Iterable[Servicer]) -> None:
        self.services = tuple(servicers)
        super().__init__(
            service=None,
            endpoints=lambda _service: dict(
                _endpoint(gate, servicer, method)
                for servicer in self.services
                for method in servicer.DESCRIPTOR.methods
            ),
            read_max_bytes=MESSAGE_LIMIT,
            codecs=[google_protobuf_binary_codec(), google_protobuf_json_codec(ignore_unknown_fields=False)],
        )

    @property
    def path(self) -> str:
        """Where the services' paths begin."""
        return "/"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        certificate = scope.get("state", {}).get(PEER)
        if certificate is None and scope["type"] == "http":  # before a stranger's message is taken into memory
            await _STRANGER(scope, receive, send)
            return
        token = _certificate.set(certificate)
        try:
            await super().__call__(scope, receive, send)
        finally:
            _certificate.reset(token)


def _endpoint(gate: Gate, servicer: Servicer, method: MethodDescriptor) -> tuple[str, Any]:
    service = method.containing_service
    streams = method.client_streaming, method.server_streaming
    request_type, response_type = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    path = f"/{service.full_name}/{method.name}"
    plain = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[streams](getattr(servicer, method.name), request_type.FromString, response_type.SerializeToString)
    guarded = gate.guard(path, plain)
    behaviour: Any = guarded.stream_stream or guarded.stream_unary or guarded.unary_stream or guarded.unary_unary

    def bytes_of(request: Any) -> Any:
        """The message, or messages, as the gate takes them: the gate parses and holds them to the rules."""
        if isinstance(request, Message):
            return request.SerializeToString()

        async def each() -> AsyncIterator[bytes]:
            async for message in request:
                yield message.SerializeToString()

        return each()

    def call(request: Any, context: RequestContext[Any, Any]) -> Any:
        return behaviour(bytes_of(request), CallContext(_certificate.get(), context))

    kind, make = {
        (False, False): (StreamType.UNARY, Endpoint.unary),
        (False, True): (StreamType.SERVER_STREAM, Endpoint.server_stream),
        (True, False): (StreamType.CLIENT_STREAM, Endpoint.client_stream),
        (True, True): (StreamType.BIDI_STREAM, Endpoint.bidi_stream),
    }[streams]
    info = MethodInfo(
        name=method.name,
        service_name=service.full_name,
        input=request_type,
        output=response_type,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=kind,
    )
    build: Any = make
    return path, build(method=info, function=call)


def routed(pages: Any, services: ConnectApplication) -> Any:
    """One application: paths of gRPC methods go to `services`, everything else to `pages`."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        called = scope["type"] == "http" and scope["path"].startswith("/zkshare.v1.")
        await (services if called else pages)(scope, receive, send)

    return application
