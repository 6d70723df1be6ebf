"""Gathering: callers share batches, each gets its own answer, the queue is bounded, nobody is left waiting."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from services.errors import Busy, Unreachable
from services.gathering import Gatherer, Size
from services.server import Workers
from zkcore.errors import OutOfRange, Refused


class Doubling:
    """Doubles numbers, refuses negative ones, breaks on 1313; keeps the sizes of its batches; may be held up."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, items: Sequence[int]) -> list[int | Refused]:
        self.sizes.append(len(items))
        assert self.free.wait(10)
        if 1313 in items:
            raise ArithmeticError("1313")
        return [2 * item if item >= 0 else OutOfRange(f"{item}", "negative") for item in items]


QUEUE = Size(128, 100_000)


def size_of(item: int) -> Size:
    """Large numbers take their own value of room."""
    return Size(1, item if item >= 10_000 else 0)


@pytest.fixture
def doubling() -> Doubling:
    return Doubling()


@pytest_asyncio.fixture
async def gatherer(doubling: Doubling) -> AsyncIterator[Gatherer[int, int]]:
    workers = Workers()
    gatherer = Gatherer[int, int](doubling, size_of, workers, most=64, waiting=QUEUE, seconds=0.02)
    await gatherer.start()
    yield gatherer
    doubling.free.set()
    await gatherer.stop()
    workers.close()


async def test_callers_share_a_batch_and_get_their_own_answers(
    gatherer: Gatherer[int, int], doubling: Doubling
) -> None:
    assert await asyncio.gather(*(gatherer.one(number) for number in range(50))) == [2 * n for n in range(50)]
    assert doubling.sizes == [50]
    several = await asyncio.gather(gatherer.each([1, 2]), gatherer.each([]), gatherer.each([3]))
    assert several == [[2, 4], [], [6]]


async def test_a_refusal_is_its_callers_alone(gatherer: Gatherer[int, int]) -> None:
    results = await asyncio.gather(*(gatherer.one(n) for n in (1, -2, 3)), return_exceptions=True)
    assert results[0] == 2 and results[2] == 6
    assert isinstance(results[1], OutOfRange) and results[1].part == "-2"


async def test_a_batch_that_breaks_tells_its_callers_and_the_next_one_works(gatherer: Gatherer[int, int]) -> None:
    results = await asyncio.gather(gatherer.one(1313), gatherer.one(1), return_exceptions=True)
    assert [type(result) for result in results] == [ArithmeticError, ArithmeticError]
    assert await gatherer.one(5) == 10


async def test_batches_are_bounded(gatherer: Gatherer[int, int], doubling: Doubling) -> None:
    await asyncio.gather(*(gatherer.one(number) for number in range(128)))
    assert doubling.sizes == [64, 64]


async def test_what_one_caller_brings_is_shared_out(gatherer: Gatherer[int, int], doubling: Doubling) -> None:
    assert await gatherer.each(range(120)) == [2 * number for number in range(120)]
    assert doubling.sizes == [64, 56]
    with pytest.raises(ArithmeticError):
        await gatherer.each([*range(100), 1313])
    refused = await gatherer.each([*range(100), -1])
    assert isinstance(refused[100], OutOfRange) and refused[:100] == [2 * number for number in range(100)]


async def test_half_of_what_waits_is_left_to_whoever_else_has_nothing_to_do(doubling: Doubling) -> None:
    workers = Workers()
    gatherer = Gatherer[int, int](doubling, size_of, workers, most=64, waiting=QUEUE, seconds=60, enough=8)
    await gatherer.start()
    doubling.free.clear()
    asking = [asyncio.create_task(gatherer.one(number)) for number in range(40)]  # enough not to wait a minute
    while len(doubling.sizes) < 2:
        await asyncio.sleep(0.001)
    doubling.free.set()
    assert await asyncio.gather(*asking) == [2 * number for number in range(40)]
    assert doubling.sizes == [20, 20]
    await gatherer.stop()
    workers.close()


async def test_one_more_than_may_wait_is_refused_at_once(gatherer: Gatherer[int, int], doubling: Doubling) -> None:
    doubling.free.clear()
    running = [asyncio.create_task(gatherer.one(number)) for number in range(128)]  # two batches at work
    while len(doubling.sizes) < 2:
        await asyncio.sleep(0.001)
    waiting = [asyncio.create_task(gatherer.each(range(64))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await gatherer.one(1)
    doubling.free.set()
    await asyncio.gather(*running, *waiting)
    assert await gatherer.one(1) == 2


async def test_what_waits_is_bounded_in_bytes_too(gatherer: Gatherer[int, int], doubling: Doubling) -> None:
    doubling.free.clear()
    running = [asyncio.create_task(gatherer.one(number)) for number in range(128)]
    while len(doubling.sizes) < 2:
        await asyncio.sleep(0.001)
    waiting = [asyncio.create_task(gatherer.each([30_000, 20_000])) for _ in range(2)]
    await asyncio.sleep(0)
    for more in ([10_000], [1, 10_000]):
        with pytest.raises(Busy):
            await gatherer.each(more)
    patient = asyncio.create_task(gatherer.one(50_000, patient=True))
    small = asyncio.create_task(gatherer.one(1))
    doubling.free.set()
    await asyncio.gather(*running)
    assert await asyncio.gather(*waiting) == [[60_000, 40_000]] * 2
    assert (await patient, await small) == (100_000, 2)
    assert await gatherer.one(100_000) == 200_000


async def test_the_patient_wait_for_room(gatherer: Gatherer[int, int], doubling: Doubling) -> None:
    doubling.free.clear()
    running = [asyncio.create_task(gatherer.one(number)) for number in range(128)]
    while len(doubling.sizes) < 2:
        await asyncio.sleep(0.001)
    patient = [asyncio.create_task(gatherer.one(number, patient=True)) for number in range(300)]
    await asyncio.sleep(0.01)
    with pytest.raises(Busy):
        await gatherer.one(1)
    assert not any(task.done() for task in patient)
    doubling.free.set()
    assert await asyncio.gather(*patient) == [2 * number for number in range(300)]
    await asyncio.gather(*running)


async def test_stopping_refuses_the_patient(gatherer: Gatherer[int, int], doubling: Doubling) -> None:
    doubling.free.clear()
    running = [asyncio.create_task(gatherer.one(number)) for number in range(128)]
    while len(doubling.sizes) < 2:
        await asyncio.sleep(0.001)
    patient = [asyncio.create_task(gatherer.one(1, patient=True)) for _ in range(300)]
    await asyncio.sleep(0.01)
    stopping = asyncio.create_task(gatherer.stop())
    await asyncio.sleep(0.01)
    doubling.free.set()
    await stopping
    await asyncio.gather(*running)
    assert {type(result) for result in await asyncio.gather(*patient, return_exceptions=True)} == {Unreachable}


async def test_work_is_not_done_for_who_gave_up(gatherer: Gatherer[int, int], doubling: Doubling) -> None:
    impatient = asyncio.create_task(gatherer.one(1313))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await gatherer.one(4) == 8
    assert doubling.sizes == [1]


async def test_stopping_finishes_what_runs_and_refuses_what_waits(
    gatherer: Gatherer[int, int], doubling: Doubling
) -> None:
    doubling.free.clear()
    running = [asyncio.create_task(gatherer.one(number)) for number in range(128)]
    while len(doubling.sizes) < 2:
        await asyncio.sleep(0.001)
    waiting = asyncio.create_task(gatherer.one(1))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(gatherer.stop())
    await asyncio.sleep(0.01)
    doubling.free.set()
    await stopping
    assert await asyncio.gather(*running) == [2 * number for number in range(128)]
    with pytest.raises(Unreachable):
        await waiting
    with pytest.raises(Unreachable):
        await gatherer.one(1)


async def test_a_call_may_use_all_threads_only_while_it_is_alone() -> None:
    workers, begun, free = Workers(3), threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        assert free.wait(10)
        return workers.share()

    try:
        assert await workers.run(workers.share) == 3
        held = asyncio.create_task(workers.run(hold))
        assert await asyncio.to_thread(begun.wait, 10)
        assert await workers.run(workers.share) == 1
        free.set()
        assert await held == 3
        waiting = [workers.run(workers.share) for _ in range(5)]
        assert min(await asyncio.gather(*waiting)) == 1
        assert await workers.run(workers.share) == 3
    finally:
        free.set()
        workers.close()
