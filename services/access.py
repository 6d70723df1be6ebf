"""Who may call what, checked at one place.

:data:`METHODS` names every method of every service with the roles that may call it; :class:`Gate` is the server
interceptor that holds callers to it. A method that is not in the table is open to nobody. The gate also parses and
validates each request by the rules of its proto, holds each caller to its limits (:mod:`services.limits`), turns
refusals into rich statuses, keeps what goes wrong inside from leaking, logs one line a call (method, caller, outcome,
never contents), and writes calls that change or reveal something to the audit log (:mod:`services.audit`).

Rights that depend on contents (a record's subject, a querier's datasets) are checked where the contents are known.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from typing import Any, TypeVar

import grpc
import grpc.aio
import protovalidate
import structlog
from google.protobuf.message import DecodeError, Message
from opentelemetry import trace

from services.audit import AuditLog
from services.errors import NotPermitted, Unreachable
from services.identity import Authority, PeerIdentity, Role
from services.identity import caller as calling_party
from services.limits import USUAL, Account, Callers, Limits
from services.metrics import CALL_SECONDS, CALLS, COHORT_REFUSALS
from services.status import abort, code_of
from services.store import StoreError
from zkcore.errors import Malformed, Refused

ANYONE = frozenset(Role)
ENTERPRISE = frozenset({Role.ENTERPRISE})
BANK = frozenset({Role.BANK})

METHODS: dict[str, frozenset[Role]] = {
    "/zkshare.v1.SubmissionService/Submit": ENTERPRISE,
    "/zkshare.v1.SubmissionService/SubmitMany": ENTERPRISE,
    "/zkshare.v1.SubmissionService/GetReceipt": ENTERPRISE,
    "/zkshare.v1.LogService/GetHead": ANYONE,
    "/zkshare.v1.LogService/GetInclusion": ANYONE,
    "/zkshare.v1.LogService/GetConsistency": ANYONE,
    "/zkshare.v1.LogService/StreamEntries": frozenset({Role.TRUSTEE}),
    "/zkshare.v1.AggregateService/Query": frozenset({Role.TAX_AGENCY}),
    "/zkshare.v1.ReleaseService/GetQuery": frozenset({Role.OPERATOR, Role.TRUSTEE}),
    "/zkshare.v1.CreditService/RequestScore": BANK,
    "/zkshare.v1.CreditService/GetScore": BANK,
    "/zkshare.v1.CreditService/ListRequests": ENTERPRISE,
    "/zkshare.v1.CreditService/WatchRequests": ENTERPRISE,
    "/zkshare.v1.CreditService/SubmitScoreProof": ENTERPRISE,
    "/zkshare.v1.CreditService/Decline": ENTERPRISE,
    "/zkshare.v1.VerificationService/Verify": ANYONE,
    "/zkshare.v1.VerificationService/VerifyBatch": ANYONE,
    "/zkshare.v1.VerificationService/VerifyColumns": ANYONE,
    "/zkshare.v1.VerificationService/VerifyStream": ANYONE,
    "/zkshare.v1.TrusteeService/DecryptShare": frozenset({Role.OPERATOR}),
    "/zkshare.v1.DepartmentService/ListDatasets": ANYONE,
    "/zkshare.v1.DepartmentService/GetOpening": ENTERPRISE,
    "/grpc.health.v1.Health/Check": ANYONE,
    "/grpc.health.v1.Health/List": ANYONE,
    "/grpc.health.v1.Health/Watch": ANYONE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ANYONE,
}

LONG_LIVED = frozenset(
    {
        "/zkshare.v1.CreditService/WatchRequests",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
"""Streams that end when the caller or the server wants, not after a time."""

AUDITED = frozenset(
    {
        "/zkshare.v1.SubmissionService/Submit",
        "/zkshare.v1.SubmissionService/SubmitMany",
        "/zkshare.v1.SubmissionService/GetReceipt",
        "/zkshare.v1.LogService/StreamEntries",
        "/zkshare.v1.AggregateService/Query",
        "/zkshare.v1.ReleaseService/GetQuery",
        "/zkshare.v1.CreditService/RequestScore",
        "/zkshare.v1.CreditService/GetScore",
        "/zkshare.v1.CreditService/ListRequests",
        "/zkshare.v1.CreditService/WatchRequests",
        "/zkshare.v1.CreditService/SubmitScoreProof",
        "/zkshare.v1.CreditService/Decline",
        "/zkshare.v1.TrusteeService/DecryptShare",
        "/zkshare.v1.DepartmentService/GetOpening",
    }
)
"""Methods that change something, or reveal what is not for everybody."""

PROTECTING = frozenset({"cohort_too_small", "atom_too_small", "mixed_keys"})
"""Checks that refuse a query so that no cohort shows a single record."""

_log = structlog.get_logger("zkshare.access")

Behaviour = Callable[..., Any]
M = TypeVar("M", bound=Message)


class Gate(grpc.aio.ServerInterceptor):
    """Server interceptor that lets a call through to its servicer or refuses it.

    Parameters
    ----------
    party
        Name of the party whose server it guards, for the log.
    authority
        Whose certificates callers have, as the transport has checked; it may have taken one back since.
    limits
        What each caller may ask.
    """

    def __init__(self, party: str, authority: Authority, limits: Limits = USUAL) -> None:
        self._party = party
        self._authority = authority
        self._limits = limits
        self._callers = Callers(limits)
        self._guarded: dict[str, grpc.RpcMethodHandler] = {}
        self.audit: AuditLog | None = None
        self._log = _log.bind(party=party)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        method = handler_call_details.method
        if method not in self._guarded:
            handler = await continuation(handler_call_details)
            if handler is None:  # gRPC answers UNIMPLEMENTED
                return handler
            self._guarded[method] = self.guard(method, handler)
        return self._guarded[method]

    def guard(self, method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        """The handler of a method behind this gate; it takes encoded requests."""
        behaviour: Any = handler.stream_stream or handler.stream_unary or handler.unary_stream or handler.unary_unary
        guarded = self._stream if handler.response_streaming else self._unary
        kind = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        parse: Any = handler.request_deserializer
        return kind(guarded(method, behaviour, parse), None, handler.response_serializer)

    def _unary(self, method: str, behaviour: Behaviour, parse: Callable[[bytes], Message]) -> Behaviour:
        async def call(request: Any, context: grpc.aio.ServicerContext) -> Any:
            started = time.monotonic()
            caller: PeerIdentity | None = None
            entry: _Entry | None = None
            try:
                caller = calling_party(context)
                self._authority.check_revoked(caller)
                with self._callers.call(caller.uri) as account:
                    _permit(method, caller)
                    async with asyncio.timeout(self._limits.seconds):
                        entry = await self._entry(method, caller)
                        checked = self._checked(method, request, parse, account, entry)
                        response = await behaviour(checked, context)
                        if entry is not None:
                            await entry.close("OK")
            except BaseException as error:
                await self._fail(method, caller, started, error, context, entry)
                raise
            self._done(method, caller, started)
            return response

        return call

    def _stream(self, method: str, behaviour: Behaviour, parse: Callable[[bytes], Message]) -> Behaviour:
        limit = None if method in LONG_LIVED else self._limits.seconds

        async def call(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            started = time.monotonic()
            caller: PeerIdentity | None = None
            entry: _Entry | None = None
            try:
                caller = calling_party(context)
                self._authority.check_revoked(caller)
                with self._callers.call(caller.uri) as account:
                    _permit(method, caller)
                    async with asyncio.timeout(limit):
                        entry = await self._entry(method, caller)
                        checked = self._checked(method, request, parse, account, entry)
                        if entry is not None:  # a stream reveals as it goes: on disk before its first message
                            await entry.open()
                        async for response in behaviour(checked, context):
                            self._authority.check_revoked(caller)  # a stream may last for years
                            yield response
                        if entry is not None:
                            await entry.close("OK")
            except GeneratorExit:
                if entry is not None:
                    entry.close_later("CANCELLED")
                raise
            except BaseException as error:
                await self._fail(method, caller, started, error, context, entry)
                raise
            self._done(method, caller, started)

        return call

    async def _entry(self, method: str, caller: PeerIdentity) -> "_Entry | None":
        """The audit log's entry of a call that must have one; raises Unreachable while none can be written."""
        if self.audit is None or method not in AUDITED:
            return None
        await self.audit.ready()
        return _Entry(self.audit, method, caller)

    def _checked(
        self, method: str, request: Any, parse: Callable[[bytes], Message], account: Account, entry: "_Entry | None"
    ) -> Any:
        """The request, or stream of requests, counted, parsed and held to size and the rules of its proto."""
        if isinstance(request, bytes):
            return self._one(method, request, parse, entry)

        async def each() -> AsyncIterator[Message]:
            async for item in request:
                await self._callers.take(account)
                yield self._one(method, item, parse, entry)

        return each()

    def _one(self, method: str, encoded: bytes, parse: Callable[[bytes], Message], entry: "_Entry | None") -> Message:
        self._limits.check_size(method, len(encoded))
        if entry is not None:
            entry.take(encoded)
        return validated(encoded, parse)

    def _done(self, method: str, caller: PeerIdentity, started: float) -> None:
        self._log.info("call", method=method, caller=_name(caller), outcome="ok", ms=_milliseconds(started))
        self._count(method, started, "ok")

    def _count(self, method: str, started: float, outcome: str) -> None:
        CALLS.labels(self._party, method, outcome).inc()
        if outcome in PROTECTING:
            COHORT_REFUSALS.labels(outcome).inc()
        if method not in LONG_LIVED:
            CALL_SECONDS.labels(self._party, method).observe(time.monotonic() - started)

    async def _fail(
        self,
        method: str,
        caller: PeerIdentity | None,
        started: float,
        error: BaseException,
        context: grpc.aio.ServicerContext,
        entry: "_Entry | None",
    ) -> None:
        """Logs a failed call and ends it with a status, if it still can be ended; raises what gRPC raises then."""
        await _close(entry, error)
        log = self._log.bind(method=method, caller=_name(caller), ms=_milliseconds(started))
        self._count(method, started, error.check if isinstance(error, Refused) else type(error).__name__)
        if isinstance(error, StoreError):
            log.error("call", outcome="store", kind=type(error).__name__, why=str(error))
            await abort(context, Unreachable("store", "it cannot be read or written now"))
        if isinstance(error, Refused):
            log.info("call", outcome=error.check, part=error.part)
            await abort(context, error)
        if isinstance(error, TimeoutError):
            log.warning("call", outcome="deadline_exceeded")
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the call took too long")
        if isinstance(error, asyncio.CancelledError):
            log.info("call", outcome="cancelled")
            return
        if isinstance(error, grpc.aio.AbortError):  # a servicer of gRPC's own, such as health, refused
            log.info("call", outcome="aborted")
            return
        log.error("call", outcome="internal", kind=type(error).__name__, where=_where(error))
        await context.abort(grpc.StatusCode.INTERNAL, "the server failed; its log says where")


class _Entry:
    """What the audit log says of one call. A stream's digest is the SHA-256 over those of its messages."""

    def __init__(self, audit: AuditLog, method: str, caller: PeerIdentity) -> None:
        self._audit = audit
        span = trace.get_current_span().get_span_context()
        self._fields = {
            "caller": caller.uri,
            "certificate": caller.fingerprint.hex(),
            "method": method,
            "trace": trace.format_trace_id(span.trace_id) if span.is_valid else "",
        }
        self._closed = False
        self._messages = 0
        self._last, self._all = b"", sha256()

    def take(self, encoded: bytes) -> None:
        """Counts a message of the request in."""
        self._messages += 1
        self._last = sha256(encoded).digest()
        self._all.update(self._last)

    async def open(self) -> None:
        """Writes that a stream began."""
        await self._audit.record(**self._said("BEGUN", ""))

    async def close(self, code: str, check: str = "") -> None:
        """Writes how the call ended, once: if that failed, the log counts it as missing."""
        if not self._closed:
            self._closed = True
            await self._audit.record(**self._said(code, check))

    def close_later(self, code: str) -> None:
        """The same for a call that nobody waits for."""
        if not self._closed:
            self._closed = True
            self._audit.record_later(**self._said(code, ""))

    def _said(self, code: str, check: str) -> dict[str, Any]:
        digest = self._last if self._messages == 1 else self._all.digest()
        said = {**self._fields, "messages": self._messages, "request": digest.hex(), "outcome": code}
        return said | {"check": check} if check else said


async def _close(entry: _Entry | None, error: BaseException) -> None:
    """Writes down how a call failed; what cannot be written is counted, and the call ends as it would have."""
    if entry is None:
        return
    if isinstance(error, asyncio.CancelledError):
        entry.close_later("CANCELLED")
        return
    check = error.check if isinstance(error, Refused) else ""
    with contextlib.suppress(Unreachable):
        await entry.close(_code(error), check)


def _code(error: BaseException) -> str:
    if isinstance(error, StoreError):
        return "UNAVAILABLE"
    if isinstance(error, Refused):
        return code_of(error).name
    return "DEADLINE_EXCEEDED" if isinstance(error, TimeoutError) else "INTERNAL"


def _permit(method: str, caller: PeerIdentity) -> None:
    if caller.role not in METHODS.get(method, frozenset()):
        raise NotPermitted("caller.role", f"a certificate of role {caller.role} does not open {method}")


def validated(encoded: bytes, parse: Callable[[bytes], M]) -> M:
    """The message that `encoded` holds, if it keeps the rules of its proto.

    Raises
    ------
    zkcore.errors.Malformed
        If it is not an encoding of the message, or breaks a rule; the part is the field's path.
    """
    try:
        message = parse(encoded)
    except (DecodeError, ValueError) as error:
        raise Malformed("message", "the bytes are not an encoding of the message") from error
    check(message)
    return message


def check(message: Message) -> None:
    """Holds a message to the rules of its proto; raises :class:`zkcore.errors.Malformed` naming the field."""
    violations = protovalidate.collect_violations(message, fail_fast=True)
    if violations:
        first = violations[0].proto
        path = ".".join(
            f"{element.field_name}[{element.subscript.value}]" if element.subscript else element.field_name
            for element in (first.field.elements if first.field else ())
        )
        raise Malformed(path or message.DESCRIPTOR.name, first.message)


def _name(caller: PeerIdentity | None) -> str | None:
    return None if caller is None else f"{caller.role}/{caller.name}"


def _milliseconds(started: float) -> float:
    return round(1000 * (time.monotonic() - started), 1)


def _where(error: BaseException) -> str:
    """File and line that raised, without values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
