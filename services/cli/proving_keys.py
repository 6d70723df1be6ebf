"""Proving keys as commands meet them: in either kind of file, and with what a proof takes of memory."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services import memory
from services.errors import NotEnoughMemory
from zkcore.errors import Malformed

if TYPE_CHECKING:
    from zkcore.groth16 import ProvingKey
    from zkcore.groth16.proving_key import KeySize

PROGRAM_BYTES = 200_000_000
"""What Python, libraries and kernels take, as measured."""
THREADS = os.cpu_count() or 1
"""Threads that a command shares its work among."""


def key_size(path: Path, data: memoryview) -> "tuple[KeySize, bytes | None]":
    """How large the key in a file is, and the digest of its constraint system if the file says it."""
    found: tuple[KeySize, bytes | None] = _format(path, data).read_size(data)
    return found


def read_key(path: Path, data: memoryview) -> "ProvingKey":
    """The key in a file of either kind."""
    key: ProvingKey = _format(path, data).read(data)
    return key


def _format(path: Path, data: memoryview) -> Any:
    from zkcore.formats import mapped_key, zkey

    for module, magic in ((mapped_key, mapped_key.MAGIC), (zkey, b"zkey")):
        if data[: len(magic)] == magic:
            return module
    raise Malformed(str(path), "this is neither a .zkey nor a proving key of zkshare")


def prover_memory(size: "KeySize") -> int:
    """Bytes that a process takes at most to prove with a key of that size on all cores."""
    from zkcore.groth16.prover import memory_needed

    return PROGRAM_BYTES + size.key_bytes + 32 * size.n_wires + memory_needed(size, THREADS)


def check_memory(needed: int) -> None:
    """Refuse to begin a proof that the machine has not the memory for; raises NotEnoughMemory."""
    free = memory.available()
    if free is not None and needed > free:
        raise NotEnoughMemory(
            "memory",
            f"the proof takes up to {megabytes(needed)} on {THREADS} threads, {megabytes(free)} are available: "
            "end other programs, raise the container's limit, or prove on a machine with more",
        )


def megabytes(count: int) -> str:
    """Bytes for a person."""
    return f"{count / 1e6:,.0f} MB"
