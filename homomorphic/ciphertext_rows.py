"""Ciphertexts as rows of bytes, as they come from files and from others: checked, and summed where they lie."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import gmpy2
import numpy as np
from gmpy2 import mpz

from homomorphic.errors import TrivialCiphertext
from homomorphic.paillier import PublicKey
from homomorphic.row_total import LaneRowTotal, PlainRowTotal, row_total
from homomorphic.rows import Bytes, from_rows, to_rows
from zkcore.errors import OutOfRange, WrongLength

Buffer = bytes | bytearray | memoryview | Bytes
"""Ciphertexts one after the other."""

_SPAN = 4096
"""Rows that a thread takes at a time."""


def sum_of_buffers(
    public_key: PublicKey,
    buffers: Sequence[Buffer],
    threads: int = 1,
    done: Callable[[Bytes], None] | None = None,
) -> int:
    """A ciphertext of the sum of ciphertexts in buffers, each big-endian and ``public_key.ciphertext_bytes`` wide.

    Faster than making columns, and without memory for them: fit for the blocks of a memory-mapped file. The numbers of
    rows in refusals run through all buffers.

    Parameters
    ----------
    done
        Called from any thread with rows that were read; they are read again only if a ciphertext is refused.

    Raises
    ------
    WrongLength, OutOfRange, TrivialCiphertext, NotAUnit
        Not whole ciphertexts, or none; one that is not a ciphertext of the key.
    """
    spans, first = [], 0
    for buffer in buffers:
        rows = rows_of_buffer(public_key, buffer)
        spans += [(first + at, rows[at : at + _SPAN]) for at in range(0, len(rows), _SPAN)]
        first += len(rows)
    if not first:
        raise WrongLength("column", "there is nothing to add")
    waiting, lock = iter(spans), Lock()

    def work(total: LaneRowTotal | PlainRowTotal) -> mpz:
        while True:
            with lock:
                at, rows = next(waiting, (0, None))
            if rows is None:
                return total.value()
            if not total.add(rows):
                check_rows(public_key, rows, at)
                raise AssertionError("rows that the kernel refuses and the check does not")
            if done is not None:
                done(rows)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(work, [row_total(public_key.n) for _ in range(threads)]))
    total = mpz(1)
    for part in parts:
        total = total * part % public_key.square
    if gmpy2.gcd(total, public_key.modulus) != 1:
        for at, rows in spans:
            check_units(public_key, rows, at)
    return int(total)


def rows_of_buffer(key: PublicKey, data: Buffer) -> Bytes:
    """The rows of a buffer."""
    width = key.ciphertext_bytes
    flat = np.frombuffer(data, np.uint8)
    if len(flat) % width:
        raise WrongLength("column", f"is not a whole number of ciphertexts of {width} bytes")
    return flat.reshape(-1, width)


def check_units(key: PublicKey, rows: Bytes, at: int = 0) -> None:
    """Refuse rows that are no units; raises NotAUnit."""
    for i, ciphertext in enumerate(from_rows(rows), at):
        key.check(ciphertext, f"column[{i}]")


def check_rows(key: PublicKey, rows: Bytes, at: int = 0) -> None:
    """Refuse rows outside (1, N^2), the first of which has number ``at``; raises OutOfRange, TrivialCiphertext."""
    bound = to_rows([int(key.square)], rows.shape[1])[0]
    undecided = np.ones(len(rows), np.bool_)
    for place in range(rows.shape[1]):  # the first byte that differs decides
        digit = rows[undecided, place]
        if (digit > bound[place]).any():
            first = int(np.flatnonzero(undecided)[np.argmax(digit > bound[place])])
            raise OutOfRange(f"column[{at + first}]", "does not lie in [0, N^2)")
        undecided[undecided] = digit == bound[place]
        if not undecided.any():
            break
    else:
        raise OutOfRange(f"column[{at + int(np.argmax(undecided))}]", "does not lie in [0, N^2)")
    trivial = (rows[:, -1] <= 1) & ~rows[:, -9:-1].any(axis=1)
    for i in np.flatnonzero(trivial).tolist():
        if not rows[i, :-1].any():
            raise TrivialCiphertext(f"column[{at + i}]", f"is {rows[i, -1]}")
