"""Refusals keep their check, part and reason over the wire."""

import asyncio
import pickle
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from google.rpc import code_pb2, error_details_pb2

from services import errors, identity, network, status
from services.api.zkshare.v1 import log_pb2
from zkcore.errors import Malformed, OutOfRange, Refused


def everything_refused(kind: type[Refused] = Refused) -> set[type[Refused]]:
    return {kind}.union(*(everything_refused(child) for child in kind.__subclasses__()))


def as_rpc_error(refused: Refused) -> grpc.aio.AioRpcError:
    message = status.to_status(refused)
    code = status.BY_NUMBER[message.code]
    trailing = grpc.aio.Metadata((status.DETAILS, message.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, message.message)


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (OutOfRange("submission.root", "not below the modulus"), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.AlreadySubmitted("submission", "another record"), grpc.StatusCode.ALREADY_EXISTS),
        (errors.NotPermitted("caller.role", "no"), grpc.StatusCode.PERMISSION_DENIED),
        (errors.Busy("server", "queue full"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Malformed("ünïcode/part", "größer als erlaubt ☃"), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_round_trip(refused: Refused, code: grpc.StatusCode) -> None:
    back = status.from_rpc_error(as_rpc_error(refused))
    assert isinstance(back, status.Refusal)
    assert (back.check, back.part, back.why, back.code) == (refused.check, refused.part, refused.why, code)
    assert str(back) == str(refused)
    again = pickle.loads(pickle.dumps(back))
    assert (again.check, again.part, again.why, again.code) == (back.check, back.part, back.why, back.code)
    relayed = status.from_rpc_error(as_rpc_error(back))
    assert (relayed.check, relayed.part, relayed.why) == (refused.check, refused.part, refused.why)
    assert isinstance(relayed, status.Refusal) and relayed.code == code


def test_what_time_may_heal_says_when_to_come_again() -> None:
    for refused in (errors.Busy("node", "queue full"), errors.Unreachable("store", "disk full")):
        info, retry = status.to_status(refused).details
        assert info.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
        delay = error_details_pb2.RetryInfo()
        assert retry.Unpack(delay) and 0 < delay.retry_delay.ToMilliseconds() < 10_000
    assert len(status.to_status(errors.NotFound("record", "none")).details) == 1


def test_long_reasons_are_cut() -> None:
    back = status.from_rpc_error(as_rpc_error(Malformed("part", "ß" * 5000)))
    assert len(back.why.encode()) <= status.MAX_WHY and back.why.startswith("ßß") and back.why.endswith("…")


def test_transport_failures_are_named() -> None:
    lost = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "no route")
    assert isinstance(status.from_rpc_error(lost), errors.Unreachable)
    cut = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), status.CUT_SHORT)
    assert isinstance(status.from_rpc_error(cut), errors.Unreachable)
    other = grpc.aio.AioRpcError(grpc.StatusCode.UNIMPLEMENTED, grpc.aio.Metadata(), grpc.aio.Metadata(), "what?")
    refusal = status.from_rpc_error(other)
    assert isinstance(refusal, status.Refusal) and refusal.check == "unimplemented" and refusal.why == "what?"


async def test_a_stream_that_is_refused_while_it_is_written() -> None:
    """gRPC's client may lose the reason; it is not taken for a failure inside the server then."""

    async def refuse(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        await status.abort(context, errors.NotPermitted("caller.role", "no"))
        yield b""

    async def records() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(65536)
            await asyncio.sleep(0)

    server = grpc.aio.server()
    method = {"Take": grpc.stream_stream_rpc_method_handler(refuse)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Streams", method),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as there:
            for _ in range(20):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await there.stream_stream("/test.Streams/Take")(records()).read()
                assert status.from_rpc_error(caught.value).check in ("not_permitted", "unreachable")
    finally:
        await server.stop(0)


@pytest.mark.parametrize("details", [b"\xff\xff", b"", log_pb2.LogHead(size=3).SerializeToString()])
def test_foreign_details_are_not_trusted(details: bytes) -> None:
    trailing = grpc.aio.Metadata((status.DETAILS, details))
    error = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), trailing, "broken")
    refusal = status.from_rpc_error(error)
    assert isinstance(refusal, status.Refusal) and refusal.check == "internal"


def test_every_refusal_has_a_code_and_a_name_fit_for_the_wire() -> None:
    assert errors and identity and network
    kinds = [
        kind
        for kind in everything_refused() - {status.Refusal}
        if kind.__module__.split(".")[0] not in ("tests", "test")
    ]
    names = [kind.__new__(kind).check for kind in kinds]
    assert len(names) == len(set(names)) > 20, "two refusals share a name"
    assert set(status.CODES) <= set(names)
    for name in names:
        assert status.REASON.fullmatch(name.upper())
        message = status.to_status(status.Refusal(name, "part", "why", grpc.StatusCode.ABORTED))
        assert message.code == code_pb2.ABORTED
    for code in status.CODES.values():
        assert code in status.BY_NUMBER and code != code_pb2.OK
