"""Work of many callers, gathered for a few milliseconds and done as one batch: dynamic batching.

Checking proofs together costs a fraction of checking them one by one, but callers come one by one. A
:class:`Gatherer` lets the first caller wait a moment for others, then hands everything that waits to one call in a
worker thread. While batches are at work the next one grows by itself, so under load nobody waits for the sake of
waiting. What waits is bounded: one item more is refused as :class:`services.errors.Busy`, which tells the caller when
to come again.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.errors import Busy, Unreachable
from services.metrics import QUEUED
from services.server import Workers
from zkcore.errors import Refused

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class _Group(Generic[T, R]):
    """Items of one caller, since when they wait, and where their results are awaited."""

    items: Sequence[T]
    since: float
    results: asyncio.Future[list[R | Refused]]


class Gatherer(Generic[T, R]):
    """Does the work of many callers in batches.

    Parameters
    ----------
    work
        Gives for every item of a batch its result or why it is refused; runs in a worker thread. What it raises
        reaches every caller of the batch.
    most
        Items after which a batch takes up no further caller; a caller's own are shared out in parts of so many.
    enough
        Items for which a batch waits no longer.
    waiting
        Items that may wait.
    seconds
        How long the first of a batch waits for others.
    at_once
        Batches that may be at work side by side.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Sequence[R | Refused]],
        workers: Workers,
        most: int = 256,
        waiting: int = 1024,
        seconds: float = 0.002,
        at_once: int = 2,
        enough: int = 256,
    ) -> None:
        self._work = work
        self._workers = workers
        self._most = most
        self._enough = enough
        self._limit = waiting
        self._seconds = seconds
        self._at_once = at_once
        self._groups: deque[_Group[T, R]] = deque()
        self._waiting = 0
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
        while self._groups:
            _settle(self._take(), Unreachable("node", "it is shutting down"))
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
        while patient and self._tasks and self._waiting + len(items) > self._limit:
            self._room.clear()
            await self._room.wait()
        if not self._tasks:
            raise Unreachable("node", "it is shutting down")
        if self._waiting + len(items) > self._limit:
            raise Busy("node", "too much is waiting; try again in a moment")
        groups = [self._add(items[at : at + self._most]) for at in range(0, len(items), self._most)]
        self._arrival.set()
        if len(groups) == 1:
            return await groups[0].results
        return [result for results in await asyncio.gather(*(group.results for group in groups)) for result in results]

    def _add(self, items: Sequence[T]) -> _Group[T, R]:
        group = _Group[T, R](items, time.monotonic(), asyncio.get_running_loop().create_future())
        self._groups.append(group)
        self._waiting += len(items)
        QUEUED.inc(len(items))
        return group

    async def _run(self) -> None:
        while True:
            async with self._gathering:
                groups = await self._gather()
            if not groups:  # their callers gave up
                continue
            items = [item for group in groups for item in group.items]
            working = asyncio.ensure_future(self._workers.run(self._work, items))
            self._idle -= 1
            try:
                await asyncio.shield(asyncio.wait([working]))
            except asyncio.CancelledError:
                await asyncio.wait([working])
                raise
            finally:
                self._idle += 1
                _share(groups, working)

    async def _gather(self) -> list[_Group[T, R]]:
        while not self._groups:
            self._arrival.clear()
            await self._arrival.wait()
        left = self._groups[0].since + self._seconds - time.monotonic()
        if left > 0 and self._waiting < self._enough:
            await asyncio.sleep(left)
        # Half of what waits is left to the other if two have nothing to do.
        most = min(self._most, max(self._enough, -(-self._waiting // self._idle)))
        groups: list[_Group[T, R]] = []
        size = 0
        while self._groups and size < most:
            group = self._take()
            if not group.results.done():
                groups.append(group)
                size += len(group.items)
        return groups

    def _take(self) -> _Group[T, R]:
        group = self._groups.popleft()
        self._waiting -= len(group.items)
        QUEUED.dec(len(group.items))
        self._room.set()
        return group


def _share(groups: Sequence[_Group[T, R]], done: "asyncio.Future[Sequence[R | Refused]]") -> None:
    """Gives each caller its part of a batch's results, or what the batch failed with."""
    if not done.done():
        return
    error = done.exception()
    if error is not None:
        for group in groups:
            _settle(group, error)
        return
    start = 0
    for group in groups:
        _settle(group, list(done.result()[start : start + len(group.items)]))
        start += len(group.items)


def _settle(group: _Group[T, R], outcome: list[R | Refused] | BaseException) -> None:
    if group.results.done():  # its caller gave up
        return
    if isinstance(outcome, BaseException):
        group.results.set_exception(outcome)
    else:
        group.results.set_result(outcome)
