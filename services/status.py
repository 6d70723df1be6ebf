"""Refusals on the wire: rich gRPC statuses and back.

A :class:`zkcore.errors.Refused` becomes a ``google.rpc.Status`` with an ``ErrorInfo`` (Google API improvement proposal
193): ``reason`` is the check in upper snake case, ``domain`` is ``zkshare``, the metadata are ``part`` and ``why``.
What time may heal carries a ``RetryInfo`` besides. The client raises a refusal again as a :class:`Refusal`.
Any other exception of a server becomes INTERNAL without details, so that nothing of its inside leaks.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from services import errors
from zkcore.errors import Malformed, Refused

T = TypeVar("T")

DOMAIN = "zkshare"
DETAILS = "grpc-status-details-bin"
MAX_PART, MAX_WHY = 256, 1024
REASON = re.compile(r"[A-Z][A-Z0-9_]{0,62}")

CODES: dict[str, int] = {
    "unauthenticated": code_pb2.UNAUTHENTICATED,
    "not_issued_by_authority": code_pb2.UNAUTHENTICATED,
    "outside_validity": code_pb2.UNAUTHENTICATED,
    "revoked": code_pb2.UNAUTHENTICATED,
    "not_permitted": code_pb2.PERMISSION_DENIED,
    "wrong_subject": code_pb2.PERMISSION_DENIED,
    "declined": code_pb2.PERMISSION_DENIED,
    "bad_signature": code_pb2.PERMISSION_DENIED,
    "not_found": code_pb2.NOT_FOUND,
    "already_submitted": code_pb2.ALREADY_EXISTS,
    "already_answered": code_pb2.ALREADY_EXISTS,
    "replayed": code_pb2.ALREADY_EXISTS,
    "expired": code_pb2.FAILED_PRECONDITION,
    "not_anchored": code_pb2.FAILED_PRECONDITION,
    "not_entered": code_pb2.FAILED_PRECONDITION,
    "query_withheld": code_pb2.FAILED_PRECONDITION,
    "release_lost": code_pb2.FAILED_PRECONDITION,
    "another_head": code_pb2.FAILED_PRECONDITION,
    "cohort_too_small": code_pb2.FAILED_PRECONDITION,
    "atom_too_small": code_pb2.FAILED_PRECONDITION,
    "mixed_keys": code_pb2.FAILED_PRECONDITION,
    "cohort_mismatch": code_pb2.FAILED_PRECONDITION,
    "product_mismatch": code_pb2.FAILED_PRECONDITION,
    "log_mismatch": code_pb2.FAILED_PRECONDITION,
    "too_few_shares": code_pb2.UNAVAILABLE,
    "unreachable": code_pb2.UNAVAILABLE,
    "busy": code_pb2.RESOURCE_EXHAUSTED,
    "over_limit": code_pb2.RESOURCE_EXHAUSTED,
}
"""gRPC code of a refusal by the name of its check; INVALID_ARGUMENT for all others."""

RETRY_MILLISECONDS = {"busy": 250, "unreachable": 2000}
"""When a caller may come again, by the name of the check."""

CUT_SHORT = "Internal error from Core"
"""What gRPC's client says where a server ended a stream that was still being written: the status that the server gave
is lost then (grpc/grpc issue 36066)."""

BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class Refusal(Refused):
    """A refusal that came over the wire, or was kept: ``check`` is the name it was given, ``code`` its gRPC code."""

    def __init__(self, check: str, part: str, why: str, code: grpc.StatusCode) -> None:
        super().__init__(part, why)
        self._check = check
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return Refusal, (self._check, self.part, self.why, self.code)

    @property
    def check(self) -> str:
        """Name of the check that failed, in snake case."""
        return self._check


def error_info(refused: Refused) -> error_details_pb2.ErrorInfo:
    """A refusal as the detail that carries it, part and reason cut to what headers hold."""
    metadata = {"part": _cut(refused.part, MAX_PART), "why": _cut(refused.why, MAX_WHY)}
    return error_details_pb2.ErrorInfo(reason=refused.check.upper(), domain=DOMAIN, metadata=metadata)


def to_status(refused: Refused) -> status_pb2.Status:
    """The rich status of a refusal."""
    number = CODES.get(refused.check, code_pb2.INVALID_ARGUMENT)
    if isinstance(refused, Refusal):
        number = refused.code.value[0]
    info = error_info(refused)
    status = status_pb2.Status(code=number, message=f"{info.metadata['part']}: {info.metadata['why']}")
    status.details.add().Pack(info)
    milliseconds = RETRY_MILLISECONDS.get(refused.check)
    if isinstance(refused, errors.OverLimit):
        milliseconds = max(1, math.ceil(1000 * refused.seconds))
    if milliseconds is not None:
        delay = Duration()
        delay.FromMilliseconds(milliseconds)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def code_of(refused: Refused) -> grpc.StatusCode:
    """The gRPC code of a refusal."""
    return BY_NUMBER[to_status(refused).code]


async def abort(context: grpc.aio.ServicerContext, refused: Refused) -> NoReturn:
    """End a call with a refusal."""
    status = to_status(refused)
    await context.abort(
        BY_NUMBER[status.code],
        status.message.encode("ascii", "replace").decode("ascii"),
        trailing_metadata=((DETAILS, status.SerializeToString()),),
    )


def from_rpc_error(error: grpc.aio.AioRpcError) -> Refused:
    """The refusal in a failed call.

    A status without details of this project, e.g. from the transport, becomes :class:`services.errors.Unreachable` when
    trying again may help, and otherwise a :class:`Refusal` named after its code.
    """
    for info in _details(error, error_details_pb2.ErrorInfo):
        if info.domain == DOMAIN and REASON.fullmatch(info.reason):
            part, why = info.metadata.get("part", ""), info.metadata.get("why", "")
            return Refusal(info.reason.lower(), _cut(part, MAX_PART), _cut(why, MAX_WHY), error.code())
    if error.code() is grpc.StatusCode.INTERNAL and error.details() == CUT_SHORT:
        return errors.Unreachable("connection", "the other side ended the stream while it was written; why was lost")
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        why = "no answer came in the time that was allowed" if late else error.details() or error.code().name
        return errors.Unreachable("connection", why)
    return Refusal(error.code().name.lower(), "call", error.details() or "no details", error.code())


def received(response: T | None) -> T:
    """A response as gRPC gives it, which is None for one that it could not decode: raises zkcore.errors.Malformed."""
    if response is None:
        raise Malformed("response", "the bytes are not an encoding of the message")
    return response


def retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    """Seconds after which the server of a failed call says to come again (RetryInfo); None if it does not say."""
    for info in _details(error, error_details_pb2.RetryInfo):
        return max(0.0, info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None


def _details(error: grpc.aio.AioRpcError, kind: type[Any]) -> list[Any]:
    """The details of a kind in the rich status of a failed call; none if it has none that can be read."""
    trailing: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()  # type: ignore[assignment]
    found = []
    try:
        for key, value in trailing:
            if key == DETAILS:
                status = status_pb2.Status()
                status.ParseFromString(value if isinstance(value, bytes) else value.encode("latin-1"))
                for detail in status.details:
                    if detail.Unpack(info := kind()):
                        found.append(info)
    except (DecodeError, UnicodeError):
        return []
    return found


def _cut(text: str, size: int) -> str:
    """Text of at most `size` bytes of UTF-8."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= size else encoded[: size - 3].decode("utf-8", "ignore") + "…"
