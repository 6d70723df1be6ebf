"""All methods of a running network behind a gate, called in process: no sockets, so thousands of calls are cheap."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from services.access import METHODS, Gate
from services.identity import Identity, Role
from services.server import Server
from tests.services import parties
from tests.services.calls import path_of
from tests.services.conftest import Running
from tests.services.fuzzing import Material, values_of
from tests.services.test_access import all_methods
from tests.services.test_replay import CALLERS
from tests.services.test_tampering import Flows

HEALTH, REFLECTION = "/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
OF_GRPC: dict[str, Message] = {
    f"{HEALTH}Check": health_pb2.HealthCheckRequest(service="zkshare.v1.LogService"),
    f"{HEALTH}List": health_pb2.HealthListRequest(),
    f"{HEALTH}Watch": health_pb2.HealthCheckRequest(service="zkshare.v1.LogService"),
    REFLECTION: reflection_pb2.ServerReflectionRequest(file_containing_symbol="zkshare.v1.LogService"),
}
"""Honest requests of gRPC's own services, which stand behind the same gate."""
ENDLESS = {f"{HEALTH}Watch", "/zkshare.v1.CreditService/WatchRequests"}
"""Streams of which the first message is read."""


class Ended(Exception):
    """A call that was refused."""

    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(f"{code.name}: {why}")
        self.code = code


class Context:
    """What servicers and gate use of gRPC's context."""

    def __init__(self, identity: Identity) -> None:
        self._properties = {"transport_security_type": [b"ssl"], "x509_pem_cert": [identity.peer.to_pem()]}

    def auth_context(self) -> Mapping[str, list[bytes]]:
        return self._properties

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Sequence[tuple[str, bytes]] = ()
    ) -> NoReturn:
        raise Ended(code, details)


class Handlers:
    """Takes servicers as a server does, and keeps the handlers of their methods."""

    def __init__(self) -> None:
        self.by_path: dict[str, grpc.RpcMethodHandler] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same handlers in another form."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self.by_path |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


Answers = list[Message]


@dataclass
class Target:
    """A method, an honest request and its answer, and what mutations draw from."""

    method: MethodDescriptor
    behaviour: Any
    identity: Identity
    request: bytes
    material: Material
    honest: Answers = field(default_factory=list)

    @property
    def path(self) -> str:
        return path_of(self.method)

    async def call(self, request: bytes) -> Answers:
        """What is answered to a request; raises Ended."""
        sent: Any = self._stream(request) if self.method.client_streaming else request
        answering = self.behaviour(sent, Context(self.identity))
        if not self.method.server_streaming:
            return [await answering]
        answers = []
        try:
            async for answer in answering:
                answers.append(answer)
                if self.path in ENDLESS:
                    break
        finally:
            await answering.aclose()
        return answers

    async def _stream(self, request: bytes) -> AsyncIterator[bytes]:
        yield request
        yield self.request

    def read(self, request: bytes) -> Message:
        """The request as its receiver sees it, fields that it does not know left out."""
        message = GetMessageClass(self.method.input_type).FromString(request)
        message.DiscardUnknownFields()
        return message


class Targets:
    """All methods of a running network, behind a gate that keeps no audit log."""

    def __init__(self, running: Running, failures: list[Any]) -> None:
        self.running = running
        self.failures = failures
        network = running.network
        node, trustee = network.node, network.trustees["trustee-1"]
        self.servers = [node._server, trustee._server, network.departments[parties.DEPARTMENT]._server]
        self.by_path: dict[str, Target] = {}

    async def make(self, flows: Flows) -> None:
        handlers, gate = Handlers(), Gate("fuzzed", self.running.network.parameters.authority)
        for server in reversed(self.servers):  # gRPC's own services are those of the node
            join(server, handlers)
        requests, texts = {name: message.SerializeToString() for name, message in OF_GRPC.items()}, []
        for method in all_methods():
            if (name := path_of(method)) not in requests:
                start = len(self.running.tap.passed)
                await flows.flow(method)()
                for kind, way, seen in self.running.tap.passed[start:]:
                    if way == "request":
                        requests.setdefault(kind, seen)
            texts.append(GetMessageClass(method.input_type).FromString(requests[name]))
        values = values_of(texts)
        for method, example in zip(all_methods(), texts, strict=True):
            name = path_of(method)
            guarded = gate.guard(name, handlers.by_path[name])
            behaviour = guarded.stream_stream or guarded.unary_stream or guarded.unary_unary
            material = Material(example, list(requests.values()), values)
            self.by_path[name] = Target(method, behaviour, self._caller(name), requests[name], material)
        for target in self.by_path.values():
            try:
                target.honest = await target.call(target.request)
            except Ended:
                raise AssertionError((target.path, self.failures)) from None
        assert not self.failures

    def _caller(self, name: str) -> Identity:
        roles = METHODS[name]
        role = Role.ENTERPRISE if Role.ENTERPRISE in roles else min(roles)
        return self.running.network.identity(role, CALLERS[role])


def join(server: Server | None, handlers: Handlers) -> None:
    """Registers all services of a server, as it does when it starts."""
    assert server is not None
    names = [servicer.DESCRIPTOR.full_name for servicer in server._servicers]
    for servicer in server._servicers:
        servicer.join(handlers)  # type: ignore[arg-type]
    server._health.join(handlers)  # type: ignore[arg-type]
    describing = reflection.aio.ReflectionServicer(names)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(describing, handlers)
