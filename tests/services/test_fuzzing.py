"""Every method meets mutated requests: none crashes it, none hangs it, none that means something else is accepted.

Requests go through the gate to the servicers in process, without sockets, so that thousands are cheap; some go over
gRPC and over HTTP as well. What a method may answer to a request that still reads is said for each of them in
:data:`RIGHT`; a method without a line there fails the test.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio
import structlog
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.access import METHODS
from services.api.zkshare.v1.submission_pb2 import Submission
from services.log import verify_consistency, verify_inclusion
from services.server import channel
from services.statements import parse_canonical
from services.status import CUT_SHORT
from tests.services.calls import path_of
from tests.services.conftest import Running
from tests.services.fuzzing import Mutation, mutated, mutations
from tests.services.in_process import HEALTH, REFLECTION, Answers, Context, Ended, Target, Targets
from tests.services.test_access import all_methods
from tests.services.test_replay import READ, Again, _state
from tests.services.test_tampering import Flows
from tests.services.test_web import trusting
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOGETHER = 100
"""Requests that are sent at the same time: what hypothesis calls an example."""
QUICK, MANY = 100, 10_000
"""Mutated requests of each method."""
WIRED = 25
"""Mutated requests of each method over each kind of connection."""
SECONDS = 60
"""Time after which requests sent together count as hung."""

REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
}
"""How a request that is wrong may end; anything else is the server's own failure."""


@pytest.fixture(scope="module")
def failures() -> Iterator[list[Any]]:
    """Where servers failed inside; no other line is kept, since there are hundreds of thousands."""
    configuration, kept = structlog.get_config(), []

    def drop(logger: Any, name: str, event: Any) -> Any:
        if event.get("outcome") == "internal":
            kept.append(event)
        raise structlog.DropEvent

    structlog.configure(processors=[drop])
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.WARNING)
    yield kept
    logging.getLogger().setLevel(level)
    structlog.configure(**configuration)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def targets(running: Running, tmp_path_factory: pytest.TempPathFactory, failures: list[Any]) -> Targets:
    made = Targets(running, failures)
    await made.make(Flows(running, tmp_path_factory.mktemp("replicas")))
    return made


Right = Callable[[Target, Running, Message, Answers], bool]
"""Whether a request, as its receiver sees it, may be answered so."""


def said(target: Target, answers: Answers) -> Any:
    """What must be the same when a request is answered again."""
    return [READ.get(target.path, bytes)(answer.SerializeToString(deterministic=True)) for answer in answers]


def same(target: Target, running: Running, request: Message, answers: Answers) -> bool:
    """Only the honest request is answered, as it was before."""
    return request == target.material.example and said(target, answers) == said(target, target.honest)


def score(target: Target, running: Running, request: Any, answers: Any) -> bool:
    """What became of a request of the caller's own, however long it says that it would wait."""
    stored = running.network.node._credit._requests.get(request.request_id)
    (answer,) = answers
    told = (answer.state, answer.sealed_proof, answer.reason)
    return stored.bank == target.identity.name and told == (stored.state, stored.sealed_proof, stored.reason)


def many(target: Target, running: Running, request: Message, answers: Any) -> bool:
    """The honest record behind it has its receipt, and it has none unless it is the same."""
    honest, (first, behind) = target.honest[0], answers
    return behind == honest and (first == honest if request == target.material.example else first.HasField("refusal"))


def inclusion(target: Target, running: Running, request: Any, answers: Any) -> bool:
    (answer,), log = answers, running.network.node._journal.log
    head = log.head(request.size)
    return answer.leaf_hash == log.leaf(request.index) and verify_inclusion(
        answer.leaf_hash, request.index, head, answer.path
    )


def consistency(target: Target, running: Running, request: Any, answers: Any) -> bool:
    (answer,), log = answers, running.network.node._journal.log
    return verify_consistency(log.head(request.first), log.head(request.second), answer.path)


def entries(target: Target, running: Running, request: Any, answers: Any) -> bool:
    bodies = running.network.node._journal.bodies(request.start, request.end)
    return [(answer.index, answer.entry) for answer in answers] == list(enumerate(bodies, request.start))


def verdict(target: Target, running: Running, request: Any, answers: Any) -> bool:
    return answers[0].valid is (request == target.material.example)


def verdicts(target: Target, running: Running, request: Any, answers: Any) -> bool:
    example: Any = target.material.example
    same_key = request.verifying_key == example.verifying_key
    wrong = [index for index, item in enumerate(request.items) if not same_key or item != example.items[0]]
    return list(answers[0].invalid) == wrong


def columns(target: Target, running: Running, request: Any, answers: Any) -> bool:
    return _judged(target.material.example, request, answers[0])


def stream(target: Target, running: Running, request: Any, answers: Any) -> bool:
    """The honest message behind it has its verdicts, whatever became of it."""
    honest, (first, behind) = target.honest[0], answers
    example: Any = target.material.example
    refused = first.HasField("refusal")
    return behind == honest and (refused or _judged(example.columns, request.columns, first.verdicts))


def _judged(example: Any, request: Any, answer: Any) -> bool:
    """Whether the verdicts are those on what was asked, of which the example's first row alone holds."""
    same_key = request.verifying_key == example.verifying_key
    right = _rows(example)[0]
    wrong = [index for index, row in enumerate(_rows(request)) if not same_key or row != right]
    return sorted([*answer.invalid, *(each.index for each in answer.malformed)]) == wrong


def _rows(request: Any) -> list[tuple[bytes, bytes]]:
    """The proofs of two columns, each with its inputs."""
    proofs, inputs = request.proofs, request.public_inputs
    count = len(proofs) // 256
    width = len(inputs) // count
    return [(proofs[256 * n : 256 * (n + 1)], inputs[width * n : width * (n + 1)]) for n in range(count)]


def health(target: Target, running: Running, request: Any, answers: Any) -> bool:
    serving = health_pb2.HealthCheckResponse.SERVING
    known = {"", *(service.DESCRIPTOR.full_name for service in running.network.node._server._servicers)}
    return (answers[0].status == serving) is (request.service in known)


def reflected(target: Target, running: Running, request: Any, answers: Any) -> bool:
    """Each request has one answer; what is told are public protos."""
    asked = [answer.original_request for answer in answers]
    for each in asked:
        each.DiscardUnknownFields()
    return asked == [request, target.material.example]


RIGHT: dict[str, Right] = {
    "/zkshare.v1.SubmissionService/Submit": same,
    "/zkshare.v1.SubmissionService/SubmitMany": many,
    "/zkshare.v1.SubmissionService/GetReceipt": same,
    "/zkshare.v1.LogService/GetHead": same,
    "/zkshare.v1.LogService/GetInclusion": inclusion,
    "/zkshare.v1.LogService/GetConsistency": consistency,
    "/zkshare.v1.LogService/StreamEntries": entries,
    "/zkshare.v1.AggregateService/Query": same,
    "/zkshare.v1.ReleaseService/GetQuery": same,
    "/zkshare.v1.CreditService/RequestScore": same,
    "/zkshare.v1.CreditService/GetScore": score,
    "/zkshare.v1.CreditService/ListRequests": same,
    "/zkshare.v1.CreditService/WatchRequests": same,
    "/zkshare.v1.CreditService/SubmitScoreProof": same,
    "/zkshare.v1.CreditService/Decline": same,
    "/zkshare.v1.VerificationService/Verify": verdict,
    "/zkshare.v1.VerificationService/VerifyBatch": verdicts,
    "/zkshare.v1.VerificationService/VerifyColumns": columns,
    "/zkshare.v1.VerificationService/VerifyStream": stream,
    "/zkshare.v1.TrusteeService/DecryptShare": same,
    "/zkshare.v1.DepartmentService/ListDatasets": same,
    "/zkshare.v1.DepartmentService/GetOpening": same,
    f"{HEALTH}Check": health,
    f"{HEALTH}List": same,
    f"{HEALTH}Watch": health,
    REFLECTION: reflected,
}


async def test_every_method_says_what_it_may_answer(targets: Targets) -> None:
    assert set(RIGHT) == set(METHODS) == set(targets.by_path) == {path_of(method) for method in all_methods()}


async def judge(running: Running, target: Target, request: bytes, answering: Awaitable[Answers]) -> str:
    """What is wrong with how a mutated request ended; empty if nothing is."""
    try:
        answers = await answering
    except Ended as ended:
        return "" if ended.code in REFUSED else f"ended as {ended}"
    try:
        read = target.read(request)
    except DecodeError:
        return "it was answered, and is not an encoding of the message"
    if RIGHT[target.path](target, running, read, answers):
        return ""
    return "answered wrongly" if read == target.material.example else f"accepted: {changed(target, read)}"


def changed(target: Target, read: Message) -> list[str]:
    """The lines in which a message differs from the honest one."""
    honest = str(target.material.example).splitlines()
    return [line for line in str(read).splitlines() if line not in honest] or ["something left out"]


async def send(targets: Targets, name: str, requests: Sequence[bytes]) -> None:
    """Sends requests at the same time, and looks at how each ended and at what changed."""
    target, before = targets.by_path[name], _state(targets.running)
    async with asyncio.timeout(SECONDS):
        wrong = await asyncio.gather(*(judge(targets.running, target, each, target.call(each)) for each in requests))
    for request, why in zip(requests, wrong, strict=True):
        assert not why, f"{name} {request[:400].hex()}: {why} {targets.failures[-1:]}"
    assert _state(targets.running) == before, "a mutated request changed something"


Batch = list[list[Mutation]]
BATCHES: st.SearchStrategy[Batch] = st.builds(mutations, st.integers(0, 2**64 - 1), st.just(TOGETHER))
PATHS = sorted(METHODS)
SENT: dict[str, int] = {}


def fuzzed(target: Target, batch: Batch) -> list[bytes]:
    """The mutated requests of a batch; those that came out as they were are left out."""
    made = (mutated(target.material, target.request, how) for how in batch)
    return [request for request in made if request != target.request]


def thinned(target: Target, requests: list[bytes]) -> list[bytes]:
    """Of requests that get as far as proofs or decryption, which cost a hundred times as much, one of sixteen."""
    costly = [request for request in requests if costs(target, request)]
    return [request for request in requests if request not in costly] + costly[::16]


COSTLY = [
    "/zkshare.v1.SubmissionService/Submit",
    "/zkshare.v1.SubmissionService/SubmitMany",
    "/zkshare.v1.TrusteeService/DecryptShare",
]


def costs(target: Target, request: bytes) -> bool:
    """Whether a request is checked by arithmetic, since nothing before that refuses it."""
    example: Any = target.material.example
    try:
        read: Any = target.read(request)
        if target.method.name == "DecryptShare":
            return (read.query, read.head) == (example.query, example.head)
        return parse_canonical(read.submission, Submission, "submission").subject == target.identity.peer.name
    except (DecodeError, Refused):
        return False


def fuzzing(count: int) -> settings:
    """How hypothesis goes about it: the same mutations each run, more than `count` as some do nothing or are left."""
    return settings(
        max_examples=-(-count * 13 // 10 // TOGETHER) if count >= MANY else 1,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],  # what fails names the one request already
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("name", PATHS)
@fuzzing(QUICK)
@given(batch=BATCHES)
async def test_mutated_requests(targets: Targets, name: str, batch: Batch) -> None:
    await send(targets, name, fuzzed(targets.by_path[name], batch))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in PATHS if name not in COSTLY])
@fuzzing(MANY)
@given(batch=BATCHES)
async def test_many_mutated_requests(targets: Targets, name: str, batch: Batch) -> None:
    await send_until_many(targets, name, fuzzed(targets.by_path[name], batch))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", COSTLY)
@fuzzing(MANY * 3 // 2)
@given(batch=BATCHES)
async def test_many_mutated_requests_of_costly_methods(targets: Targets, name: str, batch: Batch) -> None:
    await send_until_many(targets, name, thinned(targets.by_path[name], fuzzed(targets.by_path[name], batch)))


async def send_until_many(targets: Targets, name: str, requests: list[bytes]) -> None:
    """Sends requests unless enough were sent."""
    if SENT.get(name, 0) < MANY:
        SENT[name] = SENT.get(name, 0) + len(requests)
        await send(targets, name, requests)


@pytest.mark.parametrize("name", PATHS)
@fuzzing(WIRED)
@given(batch=BATCHES)
async def test_mutated_requests_over_grpc(targets: Targets, name: str, batch: Batch) -> None:
    running, target = targets.running, targets.by_path[name]
    method, before = target.method, _state(running)
    kind = ("stream" if method.client_streaming else "unary") + ("_stream" if method.server_streaming else "_unary")
    async with channel(target.identity, *Again(running).where(name)) as there:
        wire = replace(target, behaviour=Wire(getattr(there, kind)(name), GetMessageClass(method.output_type)))
        for request in fuzzed(target, batch)[:WIRED]:
            for _ in range(8):  # until it is told why, since gRPC's client may lose that
                why = await judge(running, wire, request, wire.call(request))
                if CUT_SHORT not in why:
                    break
            assert not why, f"{name} {request[:400].hex()}: {why}"
    assert _state(running) == before


@dataclass
class Wire:
    """A method over a connection, called as its behaviour is in process."""

    method: Any
    answer: type[Message]

    def __call__(self, request: Any, context: Context) -> Any:
        call = self.method(request, timeout=SECONDS)
        return self._each(call) if hasattr(call, "__aiter__") else self._one(call)

    async def _one(self, call: Any) -> Message:
        try:
            return self.answer.FromString(await call)
        except grpc.aio.AioRpcError as error:
            raise Ended(error.code(), error.details() or "") from None

    async def _each(self, call: Any) -> AsyncIterator[Message]:
        try:
            async for answer in call:
                yield self.answer.FromString(answer)
        except grpc.aio.AioRpcError as error:
            raise Ended(error.code(), error.details() or "") from None
        finally:
            call.cancel()


BY_NAME = {code.value[1].replace(" ", "_"): code for code in grpc.StatusCode}
OTHERS = ("TrusteeService", "DepartmentService", "Health", "ServerReflection")
UNARY_OF_NODE = [
    path_of(method)
    for method in all_methods()
    if not method.client_streaming and not method.server_streaming and method.containing_service.name not in OTHERS
]


@pytest.mark.parametrize("form", ["json", "proto"])
@pytest.mark.parametrize("name", UNARY_OF_NODE)
@fuzzing(WIRED)
@given(batch=BATCHES)
async def test_mutated_requests_over_http(
    targets: Targets, tmp_path_factory: pytest.TempPathFactory, name: str, form: str, batch: Batch
) -> None:
    running, target = targets.running, targets.by_path[name]
    honest = target.request if form == "proto" else json_format.MessageToJson(target.material.example).encode()
    bodies = [body for how in batch[:WIRED] if (body := mutated(target.material, honest, how)) != honest]
    context = trusting(target.identity, tmp_path_factory.mktemp("identity"), target.identity)
    kind, url, before = type(target.material.example), f"https://{running.network.node.web_address}", _state(running)
    async with httpx.AsyncClient(base_url=url, verify=context, timeout=SECONDS) as client:
        for body in bodies:
            response = await client.post(name, content=body, headers={"content-type": f"application/{form}"})
            answer = over_http(target, form, response)
            try:
                request = body if form == "proto" else json_format.Parse(body, kind()).SerializeToString()
            except (json_format.ParseError, UnicodeDecodeError):
                request = b"\xff"  # not an encoding of the message: it must have been refused
            why = await judge(running, target, request, answer)
            assert not why, f"{name} {body[:400]!r}: {why}"
    assert _state(running) == before


async def over_http(target: Target, form: str, response: httpx.Response) -> Answers:
    """The answer that an HTTP response carries; raises Ended."""
    if response.status_code != 200:
        assert response.status_code < 500, f"{target.path}: {response.status_code} {response.text[:300]}"
        told = response.json()
        raise Ended(BY_NAME[told["code"]], told.get("message", ""))
    kind = GetMessageClass(target.method.output_type)
    return [kind.FromString(response.content) if form == "proto" else json_format.Parse(response.text, kind())]


@pytest.mark.slow
async def test_there_were_many_of_each_method() -> None:
    """Runs after the test of many."""
    if not SENT:
        pytest.skip("needs the test before it")
    assert set(SENT) == set(METHODS) and min(SENT.values()) >= MANY, SENT
