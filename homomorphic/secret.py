"""Values that must not be shown: no representation and no copy into a pickle.

This keeps secrets out of logs, tracebacks and caches by accident. It does not keep them out of swap or of a memory
dump: Python can't erase an integer.
"""

from typing import NoReturn


class Secret:
    """Base of every type that holds a secret."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is secret: it leaves its process through to_bytes() only")
