"""Messages of a stream, answered in their order while several of them are at work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from zkcore.errors import Refused

Q = TypeVar("Q")
A = TypeVar("A")


class InOrder(Generic[Q, A]):
    """Answers what comes over streams.

    Parameters
    ----------
    answer
        Gives the answer to a message, or raises Refused.
    ahead
        Messages of one stream that may be at work or wait to be told of; the next is read only then.
    """

    def __init__(self, answer: Callable[[Q], Awaitable[A]], ahead: int) -> None:
        self._answer = answer
        self._ahead = ahead
        self._reading: set[asyncio.Task[None]] = set()

    async def answers(self, requests: AsyncIterator[Q]) -> AsyncIterator[A | Refused]:
        """The answer to each message, or why it was refused; raises what else went wrong."""
        running: asyncio.Queue[asyncio.Task[A] | Exception | None] = asyncio.Queue(self._ahead)

        async def answer(request: Q) -> A:
            return await self._answer(request)

        async def read() -> None:
            end: Exception | None = None
            try:
                async for request in requests:
                    await running.put(asyncio.create_task(answer(request)))
            except asyncio.CancelledError:
                pass  # nothing more is read
            except Exception as error:
                end = error
            await running.put(end)

        reading = asyncio.create_task(read())
        self._reading.add(reading)
        try:
            while (item := await running.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                try:
                    outcome: A | Refused = await item
                except Refused as refused:
                    outcome = refused
                yield outcome
        finally:
            self._reading.discard(reading)
            reading.cancel()
            while not running.empty():
                if isinstance(left := running.get_nowait(), asyncio.Task):
                    left.cancel()

    def close(self) -> None:
        """Reads no further message; the streams end with the answers to those that were read."""
        for reading in self._reading:
            reading.cancel()
