"""What one caller may ask of a party: size of a message, calls a second, calls at once, time of a call.

A caller is a role and name as its certificate has them, so that several connections, both doors and a renewed
certificate share one allowance. The rate is a token bucket: a call takes one token, and so does every message that a
caller streams after it; a call that finds none is refused with the time after which one is there, a stream is held back
until then. What a caller uses up is its own: nobody else's allowance is less for it.

Of each caller some numbers are kept while it calls, and until its bucket is full again; then it is forgotten, which
changes nothing. Those kept are bounded by :data:`CALLERS`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.errors import MessageTooLarge, OverLimit
from services.metrics import CALLERS_KNOWN, LIMITED

MESSAGE_LIMIT = 20 * 1024 * 1024
"""Bytes of the largest message either side takes: an aggregate receipt of 16 MiB with room to spare."""
SMALL_MESSAGE = 256 * 1024
"""Bytes of the largest request of a method that takes no lists: a verifying key and the inputs of one proof fit."""
LARGE = frozenset(
    {
        "/zkshare.v1.VerificationService/VerifyBatch",
        "/zkshare.v1.VerificationService/VerifyColumns",
        "/zkshare.v1.VerificationService/VerifyStream",
        "/zkshare.v1.TrusteeService/DecryptShare",
    }
)
"""Methods that take lists: their requests may be as large as a message may be."""
CALLERS = 16384
"""Callers of whom numbers are kept."""


@dataclass(frozen=True)
class Limits:
    """What a party grants each caller.

    Attributes
    ----------
    message_bytes
        Bytes of a request; of methods that take no lists :data:`SMALL_MESSAGE` if that is less.
    calls_a_second
        Calls, and messages of streams, in the long run.
    burst
        Calls that may come at once after a pause.
    at_once
        Calls that may run at the same time, streams included.
    seconds
        Time of a call, whatever deadline its caller sets; streams of no fixed end are left out.
    """

    message_bytes: int = MESSAGE_LIMIT
    calls_a_second: int = 10_000
    burst: int = 20_000
    at_once: int = 1024
    seconds: int = 300

    def check_size(self, method: str, size: int) -> None:
        """Refuses a request of more bytes than its method may have, as :class:`services.errors.MessageTooLarge`."""
        most = self.message_bytes if method in LARGE else min(self.message_bytes, SMALL_MESSAGE)
        if size > most:
            LIMITED.labels("message_bytes").inc()
            raise MessageTooLarge("message", f"it has {size} bytes; a request of this method has at most {most}")


USUAL = Limits()


@dataclass
class Account:
    """What one caller has left."""

    tokens: float
    since: float
    running: int = 0


class Callers:
    """The allowances of all callers of one party.

    Parameters
    ----------
    clock
        Seconds that never go back.
    most
        Callers of whom numbers are kept.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic, most: int = CALLERS) -> None:
        self._limits = limits
        self._clock = clock
        self._most = most
        self._accounts: OrderedDict[str, Account] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    @contextmanager
    def call(self, caller: str) -> Iterator[Account]:
        """Counts a call while the block runs; its account is for :meth:`take`.

        Raises
        ------
        services.errors.OverLimit
            The caller has no call left now.
        """
        account = self._account(caller)
        if account.running >= self._limits.at_once:
            LIMITED.labels("at_once").inc()
            raise OverLimit("caller", f"{self._limits.at_once} of its calls are running", 1.0)
        wait = self._wait(account)
        if wait:
            LIMITED.labels("calls_a_second").inc()
            raise OverLimit("caller", f"it calls more than {self._limits.calls_a_second} times a second", wait)
        account.tokens -= 1
        account.running += 1
        try:
            yield account
        finally:
            account.running -= 1

    async def take(self, account: Account) -> None:
        """Counts a further message of a stream; waits until the caller may send it."""
        held = False
        while wait := self._wait(account):
            if not held:
                LIMITED.labels("held_back").inc()
                held = True
            await asyncio.sleep(wait)
        account.tokens -= 1

    def _account(self, caller: str) -> Account:
        account = self._accounts.get(caller)
        if account is None:
            self._forget()
            if len(self._accounts) >= self._most:
                LIMITED.labels("callers").inc()
                raise OverLimit("server", "too many callers at once", 1.0)
            account = self._accounts[caller] = Account(float(self._limits.burst), self._clock())
        self._accounts.move_to_end(caller)
        CALLERS_KNOWN.set(len(self._accounts))
        return account

    def _wait(self, account: Account) -> float:
        """Fills the bucket for the time that passed; seconds until it has a token."""
        now = self._clock()
        account.tokens = min(
            float(self._limits.burst), account.tokens + (now - account.since) * self._limits.calls_a_second
        )
        account.since = now
        return max(0.0, 1 - account.tokens) / self._limits.calls_a_second

    def _forget(self) -> None:
        """Forgets callers, those who called longest ago first, of whom forgetting changes nothing."""
        full_after = self._limits.burst / self._limits.calls_a_second
        for caller, account in list(zip(self._accounts, self._accounts.values(), strict=True))[:8]:
            if account.running:
                self._accounts.move_to_end(caller)  # a stream that stays open must not hide those behind it
            elif self._clock() - account.since >= full_after:
                del self._accounts[caller]
