"""Work cut into tasks for a pool of threads; kernels release the interpreter's lock, so that threads run at once."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock

Task = Callable[[], "Sequence[Task] | None"]
"""Something to do. It may give back further tasks, which had to wait for it."""
Progress = Callable[[float], None]
"""Called with the fraction done, from 0 to 1."""


@contextmanager
def pool(threads: int) -> Iterator[Executor | None]:
    """An executor of that many threads, None for one: its work is then done by the caller's own thread."""
    if threads < 1:
        raise ValueError("there must be at least one thread")
    if threads == 1:
        yield None
    else:
        with ThreadPoolExecutor(threads) as executor:
            yield executor


def run(tasks: Sequence[Task], executor: Executor | None = None, progress: Progress | None = None) -> None:
    """Do every task and those that follow from it, in the executor if there is one.

    Tasks are begun in order, but what follows from a task comes before all that still waits. A task's share of the
    progress is divided among it and its followers.
    """
    tell = progress or (lambda fraction: None)
    waiting = deque((task, 1 / len(tasks)) for task in tasks)
    outcomes: SimpleQueue[tuple[int, float] | BaseException] = SimpleQueue()

    def take_one() -> None:
        try:
            task, share = waiting.popleft()
            following = task() or ()
            share /= len(following) + 1
            waiting.extendleft((follower, share) for follower in reversed(following))
            outcomes.put((len(following), share))  # before a follower can end, or all would seem to be done
            if executor is not None:
                for _ in following:
                    executor.submit(take_one)
        except BaseException as failure:
            outcomes.put(failure)

    try:
        left, done = len(tasks), 0.0
        if executor is not None:
            for _ in tasks:
                executor.submit(take_one)
        while left:
            if executor is None:
                take_one()
            outcome = outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            left, done = left + outcome[0] - 1, done + outcome[1]
            tell(min(done, 1.0) if left else 1.0)
    finally:
        waiting.clear()  # after a failure nothing more is begun


def after(count: int, then: Callable[[], Sequence[Task] | None]) -> Task:
    """What each of ``count`` tasks calls at its end: the last one does ``then`` and gives what follows."""
    lock, left = Lock(), count

    def ended() -> Sequence[Task] | None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        return then() if last else None

    return ended


def together(work: Callable[[], None], threads: int, executor: Executor | None = None) -> None:
    """Do ``work`` in so many threads at once, the caller's among them, of an executor of :func:`pool`.

    ``work`` takes what is to be done from what its threads share, until nothing is left.
    """
    others = [executor.submit(work) for _ in range(threads - 1)] if executor else []
    work()
    for other in others:
        other.result()
