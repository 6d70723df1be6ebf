"""Tasks: order, what follows from them, failures, progress."""

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from threading import Event

import pytest

from zkcore.tasks import Task, after, pool, run


def tree(done: list[str], name: str, depth: int) -> Task:
    def task() -> list[Task]:
        done.append(name)
        return [tree(done, f"{name}{child}", depth - 1) for child in "ab"] if depth else []

    return task


def test_followers_come_before_what_waits() -> None:
    done: list[str] = []
    run([tree(done, "1", 2), tree(done, "2", 1)])
    assert done == ["1", "1a", "1aa", "1ab", "1b", "1ba", "1bb", "2", "2a", "2b"]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_is_done_once_and_progress_rises_to_one(threads: int) -> None:
    done: list[str] = []
    told: list[float] = []
    with pool(threads) as executor:
        run([tree(done, str(number), 4) for number in range(3)], executor, told.append)
    assert len(done) == len(set(done)) == 3 * 31
    assert told == sorted(told)
    assert len(told) == len(done)
    assert told[-1] == 1.0


class AtOnce(Executor):
    """Followers end before the thread that began them goes on."""

    def submit(self, work, /, *args, **kwargs):
        done: Future = Future()
        done.set_result(work(*args, **kwargs))
        return done


def test_followers_that_end_at_once_are_waited_for() -> None:
    done: list[str] = []
    told: list[float] = []
    run([tree(done, "1", 3)], AtOnce(), told.append)
    assert len(done) == len(told) == 15
    assert told.count(1.0) == 1


def test_the_last_of_several_brings_what_follows() -> None:
    done: list[int] = []

    def then() -> list[Task]:
        assert sorted(done) == [0, 1, 2]
        return [partial(done.append, 3)]

    ended = after(3, then)

    def task(number: int) -> object:
        done.append(number)
        return ended()

    with ThreadPoolExecutor(2) as executor:
        run([partial(task, number) for number in range(3)], executor)  # type: ignore[misc]
    assert done[-1] == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_after_a_failure_nothing_more_is_begun(threads: int) -> None:
    begun: list[int] = []
    failed = Event()

    def task(number: int) -> None:
        if number == 1:
            failed.set()
            raise ZeroDivisionError
        if number > 1:
            failed.wait()
        begun.append(number)

    with pytest.raises(ZeroDivisionError), pool(threads) as executor:
        run([partial(task, number) for number in range(1000)], executor)
    assert len(begun) < 1000


def test_nothing_to_do() -> None:
    told: list[float] = []
    run([], None, told.append)
    assert told == []
