"""Work cut into tasks for a pool of threads; kernels release the interpreter's lock, so that threads run at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager

Task = Callable[[], None]
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
    """Do every task, in the executor if there is one."""
    tell = progress or (lambda fraction: None)
    if executor is None:
        for done, task in enumerate(tasks, 1):
            task()
            tell(done / len(tasks))
    else:
        for done, future in enumerate(as_completed([executor.submit(task) for task in tasks]), 1):
            future.result()
            tell(done / len(tasks))


def together(work: Task, threads: int, executor: Executor | None = None) -> None:
    """Do ``work`` in so many threads at once, the caller's among them, of an executor of :func:`pool`.

    ``work`` takes what is to be done from what its threads share, until nothing is left.
    """
    others = [executor.submit(work) for _ in range(threads - 1)] if executor else []
    work()
    for other in others:
        other.result()
