"""Work of many callers, gathered for a few milliseconds and done as one batch: dynamic batching.

Checking proofs together costs a fraction of checking them one by one, but callers come one by one. A
:class:`Gatherer` lets the first caller wait a moment for others, then hands everything that waits to one call in a
worker thread. While batches are at work the next one grows by itself, so under load nobody waits for the sake of
waiting. What waits is bounded, in units of work and in bytes: what is too much is refused as
:class:`services.errors.Busy`, which tells the caller when to come again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar, cast

from services.errors import Busy, Unreachable
from services.metrics import QUEUED
from services.server import Workers
from zkcore.errors import Refused

T = TypeVar("T")
R = TypeVar("R")


class Size(NamedTuple):
    """What an item counts for: units of work, and bytes of memory while it waits."""

    units: int
    bytes: int


class _Call(Generic[R]):
    """What one caller awaits: the results of its items, all of them or what the first failure was."""

    __slots__ = ("done", "left", "results")

    def __init__(self, count: int) -> None:
        self.done: asyncio.Future[list[R | Refused]] = asyncio.get_running_loop().create_future()
        self.results: list[R | Refused | None] = [None] * count
        self.left = count

    def take(self, place: int, result: R | Refused) -> None:
        """Takes the result of an item."""
        self.results[place] = result
        self.left -= 1
        if not self.left and not self.done.done():  # else its caller gave up
            self.done.set_result(cast(list[R | Refused], self.results))

    def fail(self, error: BaseException) -> None:
        """Ends it with what its batch failed with."""
        if not self.done.done():
            self.done.set_exception(error)


class _Entry(NamedTuple, Generic[T, R]):
    """An item, what it counts for, since when it waits, and whose it is at which place."""

    item: T
    size: Size
    since: float
    call: _Call[R]
    place: int


class Gatherer(Generic[T, R]):
    """Does the work of many callers in batches.

    Parameters
    ----------
    work
        Gives for every item of a batch its result or why it is refused; runs in a worker thread. What it raises
        reaches every caller of the batch.
    size
        What an item counts for.
    most
        Units after which a batch takes up no further item.
    enough
        Units for which a batch waits no longer.
    waiting
        What may wait.
    seconds
        How long the first of a batch waits for others.
    at_once
        Batches that may be at work side by side.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Sequence[R | Refused]],
        size: Callable[[T], Size],
        workers: Workers,
        most: int,
        waiting: Size,
        seconds: float = 0.002,
        at_once: int = 2,
        enough: int = 256,
    ) -> None:
        self._work = work
        self._workers = workers
        self._most = most
        self._enough = enough
        self._limit = waiting
        self._size = size
        self._seconds = seconds
        self._entries: deque[_Entry[T, R]] = deque()
        self._units = 0
        self._bytes = 0
        self._room = asyncio.Event()
        self._idle = at_once
        self._working: set[asyncio.Future[Sequence[R | Refused]]] = set()
        self._next: asyncio.TimerHandle | None = None
        self._open = False

    async def start(self) -> None:
        """Begins to work."""
        self._open = True

    async def stop(self) -> None:
        """Finishes the batches at hand, refuses what still waits and what comes."""
        self._open = False
        if self._next is not None:
            self._next.cancel()
        if self._working:
            await asyncio.wait(self._working)
        while self._entries:
            self._take().call.fail(Unreachable("node", "it is shutting down"))
        self._room.set()

    async def one(self, item: T, patient: bool = False) -> R:
        """The result of one item; raises what it is refused for, and as :meth:`each`."""
        (result,) = await self.each([item], patient)
        if isinstance(result, Refused):
            raise result
        return result

    async def each(self, items: Sequence[T], patient: bool = False) -> list[R | Refused]:
        """Results and refusals of several items, in their order.

        Parameters
        ----------
        patient
            Wait for room where others are refused as Busy: for streams, whose senders are held back meanwhile.

        Raises
        ------
        services.errors.Busy
            Too much is waiting.
        services.errors.Unreachable
            The party is shutting down.
        """
        now, call = time.monotonic(), _Call[R](len(items))
        entries = [_Entry(item, self._size(item), now, call, place) for place, item in enumerate(items)]
        units, size = sum(entry.size.units for entry in entries), sum(entry.size.bytes for entry in entries)
        while patient and self._open and not self._fits(units, size):
            self._room.clear()
            await self._room.wait()
        if not self._open:
            raise Unreachable("node", "it is shutting down")
        if not self._fits(units, size):
            raise Busy("node", "too much is waiting; try again in a moment")
        if not entries:
            return []
        self._entries.extend(entries)
        self._count(units, size)
        self._begin_in(0.0)  # once everybody who is about to ask has asked
        return await call.done

    def _fits(self, units: int, size: int) -> bool:
        return self._units + units <= self._limit.units and self._bytes + size <= self._limit.bytes

    def _count(self, units: int, size: int) -> None:
        self._units += units
        self._bytes += size
        QUEUED.inc(units)

    def _begin_in(self, seconds: float) -> None:
        """Sees to it that batches are begun after so many seconds at the latest."""
        loop = asyncio.get_running_loop()
        if self._next is None or self._next.when() > loop.time() + seconds:
            if self._next is not None:
                self._next.cancel()
            self._next = loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._next = None
        self._begin()

    def _begin(self) -> None:
        """Begins batches as long as one may begin now."""
        while self._open and self._entries and self._idle:
            left = self._entries[0].since + self._seconds - time.monotonic()
            if left > 0 and self._units < self._enough:
                self._begin_in(left)
                return
            if entries := self._gather():
                self._start(entries)

    def _start(self, entries: list[_Entry[T, R]]) -> None:
        try:
            working = self._workers.begin(self._work, [entry.item for entry in entries])
        except Busy as busy:
            for entry in entries:
                entry.call.fail(busy)
            return
        self._idle -= 1
        self._working.add(working)
        working.add_done_callback(partial(self._end, entries))

    def _end(self, entries: Sequence[_Entry[T, R]], done: "asyncio.Future[Sequence[R | Refused]]") -> None:
        """Gives each caller what came of its item, or what the batch failed with; begins what waits."""
        self._idle += 1
        self._working.discard(done)
        self._begin()  # first of all, so that the workers have something to do
        if done.cancelled():
            error: BaseException | None = Unreachable("node", "it is shutting down")
        else:
            error = done.exception()
        if error is not None:
            for entry in entries:
                entry.call.fail(error)
            return
        for entry, outcome in zip(entries, done.result(), strict=True):
            entry.call.take(entry.place, outcome)

    def _gather(self) -> list[_Entry[T, R]]:
        """The next batch; empty if the callers of all that waits gave up."""
        # Half of what waits is left to the other if two have nothing to do.
        most = min(self._most, max(self._enough, -(-self._units // self._idle)))
        entries: list[_Entry[T, R]] = []
        units = 0
        while self._entries and units < most:
            entry = self._take()
            if not entry.call.done.done():
                entries.append(entry)
                units += entry.size.units
        return entries

    def _take(self) -> _Entry[T, R]:
        entry = self._entries.popleft()
        self._count(-entry.size.units, -entry.size.bytes)
        self._room.set()
        return entry
