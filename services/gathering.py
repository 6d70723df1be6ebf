"""Work of many callers, gathered for a few milliseconds and done as one batch: dynamic batching.

Checking proofs together costs a fraction of checking them one by one, but callers come one by one. A
:class:`Gatherer` lets the first caller wait a moment for others, then hands everything that waits to one call in a
worker thread. While batches are at work the next one grows by itself, so under load nobody waits for the sake of
waiting. What waits is bounded, in units of work and in bytes: what is too much is refused as
:class:`services.errors.Busy`, which tells the caller when to come again.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

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


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T, R]):
    """An item, what it counts for, since when it waits, and where its result is awaited."""

    item: T
    size: Size
    since: float
    result: asyncio.Future[R | Refused]


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
        self._at_once = at_once
        self._entries: deque[_Entry[T, R]] = deque()
        self._units = 0
        self._bytes = 0
        self._arrival = asyncio.Event()
        self._room = asyncio.Event()
        self._gathering = asyncio.Lock()
        self._idle = at_once
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to work."""
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._at_once)]

    async def stop(self) -> None:
        """Finishes the batches at hand, refuses what still waits and what comes."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        while self._entries:
            _fail(self._take(), Unreachable("node", "it is shutting down"))
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
        entries = [self._entry(item) for item in items]
        while patient and self._tasks and not self._fits(entries):
            self._room.clear()
            await self._room.wait()
        if not self._tasks:
            raise Unreachable("node", "it is shutting down")
        if not self._fits(entries):
            raise Busy("node", "too much is waiting; try again in a moment")
        for entry in entries:
            self._entries.append(entry)
            self._count(entry.size.units, entry.size.bytes)
        self._arrival.set()
        if len(entries) == 1:
            return [await entries[0].result]
        return list(await asyncio.gather(*(entry.result for entry in entries)))

    def _entry(self, item: T) -> _Entry[T, R]:
        return _Entry(item, self._size(item), time.monotonic(), asyncio.get_running_loop().create_future())

    def _fits(self, entries: Sequence[_Entry[T, R]]) -> bool:
        units = self._units + sum(entry.size.units for entry in entries)
        return units <= self._limit.units and (
            self._bytes + sum(entry.size.bytes for entry in entries) <= self._limit.bytes
        )

    def _count(self, units: int, size: int) -> None:
        self._units += units
        self._bytes += size
        QUEUED.inc(units)

    async def _run(self) -> None:
        while True:
            async with self._gathering:
                entries = await self._gather()
            if not entries:  # their callers gave up
                continue
            working = asyncio.ensure_future(self._workers.run(self._work, [entry.item for entry in entries]))
            self._idle -= 1
            try:
                await asyncio.shield(asyncio.wait([working]))
            except asyncio.CancelledError:
                await asyncio.wait([working])
                raise
            finally:
                self._idle += 1
                _share(entries, working)

    async def _gather(self) -> list[_Entry[T, R]]:
        while not self._entries:
            self._arrival.clear()
            await self._arrival.wait()
        left = self._entries[0].since + self._seconds - time.monotonic()
        if left > 0 and self._units < self._enough:
            await asyncio.sleep(left)
        # Half of what waits is left to the other if two have nothing to do.
        most = min(self._most, max(self._enough, -(-self._units // self._idle)))
        entries: list[_Entry[T, R]] = []
        units = 0
        while self._entries and units < most:
            entry = self._take()
            if not entry.result.done():
                entries.append(entry)
                units += entry.size.units
        return entries

    def _take(self) -> _Entry[T, R]:
        entry = self._entries.popleft()
        self._count(-entry.size.units, -entry.size.bytes)
        self._room.set()
        return entry


def _share(entries: Sequence[_Entry[T, R]], done: "asyncio.Future[Sequence[R | Refused]]") -> None:
    """Gives each caller what came of its item, or what the batch failed with."""
    if not done.done():
        return
    error = done.exception()
    if error is not None:
        for entry in entries:
            _fail(entry, error)
        return
    for entry, outcome in zip(entries, done.result(), strict=True):
        if not entry.result.done():
            entry.result.set_result(outcome)


def _fail(entry: _Entry[T, R], error: BaseException) -> None:
    if not entry.result.done():  # else its caller gave up
        entry.result.set_exception(error)
