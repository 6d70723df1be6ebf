"""Files that are written whole, files that only their owner may read, and files mapped into memory."""

import mmap
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from zkcore.errors import Refused


class InsecureKeyFile(Refused):
    """A private key's file can be read by others."""


def private_map(path: Path) -> memoryview:
    """A file's content in memory as it is needed; writing to it would change nothing in the file."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


@contextmanager
def replaced(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file to write that takes its name when all is on disk: a reader or a crash sees either all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file as :func:`replaced` does."""
    with replaced(path, mode) as file:
        file.write(content)


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read (mode 0600 from the first byte). Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> bytes:
    """Read a file that only its owner may read. Raises InsecureKeyFile when others may."""
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise InsecureKeyFile(path.name, "others may read this secret; make its mode 0600 (chmod 600)")
        return file.read()
