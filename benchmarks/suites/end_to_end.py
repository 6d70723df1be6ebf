from collections.abc import Iterator

from benchmarks.case import Case, Options


def cases(options: Options) -> Iterator[Case]:
    return iter(())
