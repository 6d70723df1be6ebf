"""Calls that are made again when time may heal them: exponential backoff with full jitter, within one deadline.

Only for calls that may be repeated without harm: reads, and writes that the server knows again, because the same bytes
are the same record, request, answer or query. Made again is what came back as UNAVAILABLE, and as RESOURCE_EXHAUSTED if
the server said when to come back (google.rpc.RetryInfo); without that it means a message that is too large, which no
waiting makes smaller. A server's time is kept to: the wait is never shorter, and jitter comes on top.

gRPC's own retry policy is not used: it reads a header of its own and not RetryInfo, and hides what it did.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio
import structlog

from services.status import from_rpc_error, received, retry_delay

T = TypeVar("T")

_log = structlog.get_logger("zkshare.retry")


@dataclass(frozen=True)
class Backoff:
    """How often and after what time a call is made again.

    Attributes
    ----------
    attempts
        Most calls, the first included.
    first, longest
        Seconds: the bound of the first wait, which doubles with each call, and the bound of any.
    """

    attempts: int = 6
    first: float = 0.1
    longest: float = 5.0

    def wait(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures: at random below the bound, and not before the server asked."""
        bound = min(self.longest, self.first * 2 ** (failures - 1))
        return (asked or 0.0) + bound * secrets.randbelow(1 << 20) / (1 << 20)


BACKOFF = Backoff()


async def repeated(method: Callable[..., Awaitable[T]], request: Any, timeout: float, backoff: Backoff = BACKOFF) -> T:
    """The response of a call that may be repeated without harm, made again while that may help and time is left.

    Parameters
    ----------
    method
        A unary method of a stub.
    timeout
        Seconds for all calls and the waits between them.

    Raises
    ------
    zkcore.errors.Refused
        What the last call was refused for.
    """
    until, failures = time.monotonic() + timeout, 0
    while True:
        try:
            return received(await method(request, timeout=max(0.001, until - time.monotonic())))
        except grpc.aio.AioRpcError as error:
            failures += 1
            asked = retry_delay(error)
            wait = backoff.wait(failures, asked)
            lasting = error.code() is not grpc.StatusCode.UNAVAILABLE and (
                error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or asked is None
            )
            if lasting or failures >= backoff.attempts or time.monotonic() + wait >= until:
                raise from_rpc_error(error) from None
            _log.info("call again", failures=failures, code=error.code().name, seconds=round(wait, 2))
        await asyncio.sleep(wait)
