"""The audit log of a process: who called what that changes or reveals something, how it ended, as a chain of hashes.

One file of lines, each a JSON object with the SHA-256 of the line before it (``previous``) and its own (``hash``, over
the exact bytes of the rest under a label), numbered from 0. A line that is altered, left out, moved or put in breaks
the chain there. What a chain alone cannot show is that its end was cut off, or that all of it was written anew by who
owns the file: that shows against a head (:attr:`AuditLog.head`) that was noted elsewhere; a process logs its head
regularly. Security rests on collision resistance of SHA-256 (128 bits).

A record holds the caller's name and fingerprint, the method, the SHA-256 of the request, the outcome, the number of the
trace and the time; never contents. Requests hold no private value in clear, so that digests give none away either.

A record is on disk (fdatasync) before its call is answered; calls at the same time share a write. If it cannot be
written the call is refused as Unreachable, before it begins when that is known by then; the next record that can be
written says how many are missing. After SIGKILL a last line may be torn: nobody was answered on it, so it is cut off,
with a note.
"""

import asyncio
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from services.errors import Unreachable
from services.metrics import AUDIT_FAILURES, AUDIT_RECORDS
from zkcore.errors import Refused

LABEL = b"zkshare audit record v1\x00"
GENESIS = "0" * 64
"""What the first record names as the one before it."""
LONGEST_LINE = 16 * 1024
LINE = re.compile(rb'(\{.*),"hash":"([0-9a-f]{64})"\}', re.DOTALL)


class AuditBroken(Refused):
    """The file is not the chain of records that was written."""


class AuditInUse(Refused):
    """Another process writes to the file."""


@dataclass(frozen=True)
class AuditHead:
    """How many records there are, and the hash of the last."""

    size: int
    hash: str


def read(file: IO[bytes], name: str = "audit log") -> Iterator[tuple[dict[str, Any], str]]:
    """The records of a file with their hashes, each held against the one before.

    A last line without its end, as a crash leaves it, is not a record.

    Raises
    ------
    AuditBroken
        At the first record that does not follow.
    """
    previous, number = GENESIS, 0
    while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):
        record, own = _parse(line, f"{name}[{number}]")
        if record.get("number") != number or record.get("previous") != previous:
            raise AuditBroken(f"{name}[{number}]", "it does not follow the record before it: one is missing or moved")
        yield record, own
        previous, number = own, number + 1
    if len(line) == LONGEST_LINE:
        raise AuditBroken(f"{name}[{number}]", "it is longer than any record")


def _parse(line: bytes, part: str) -> tuple[dict[str, Any], str]:
    match = LINE.fullmatch(line.removesuffix(b"\n"))
    if match is None:
        raise AuditBroken(part, "it is not a record")
    body = match[1] + b"}"
    if _hash(body) != match[2].decode():
        raise AuditBroken(part, "it was altered: its hash is another")
    try:
        record = json.loads(body)
    except ValueError:
        raise AuditBroken(part, "it is not JSON") from None
    return record, match[2].decode()


def _hash(body: bytes) -> str:
    return sha256(LABEL + body).hexdigest()


class AuditLog:
    """The file, open for records; no other process can have it open so.

    Parameters
    ----------
    party
        Whose log it is, for its records and metrics.
    clock
        Seconds since 1970-01-01 UTC.

    Raises
    ------
    AuditBroken
        If the last whole line is not a record.
    AuditInUse
        If another process has it open.
    OSError
        If it cannot be read or written.
    """

    def __init__(self, path: Path, party: str, clock: Callable[[], float] = time.time) -> None:
        self._party = party
        self._clock = clock
        self._missing = 0
        self._unsure = False
        self._pending: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._descriptor = _open(path)
        try:
            self._size, self._number, self._previous, cut = self._resume(path.name)
            notes = [{"note": "a line torn by a crash was cut off", "bytes": cut}] if cut else []
            self._write([*notes, {"note": "opened", "party": party}])
        except BaseException:
            os.close(self._descriptor)
            raise
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zkshare-audit")

    @property
    def head(self) -> AuditHead:
        """What the file ends with now."""
        return AuditHead(self._number, self._previous)

    async def ready(self) -> None:
        """Makes sure that records could be written when last tried, or can be now.

        Raises
        ------
        services.errors.Unreachable
            They cannot; nothing that must be recorded may be done.
        """
        if self._missing:
            await self._queued(None)

    async def works(self) -> bool:
        """Whether records can be written, as :meth:`ready` finds it."""
        try:
            await self.ready()
        except Unreachable:
            return False
        return True

    async def record(self, **fields: Any) -> None:
        """Writes a record; when this returns it is on disk. Raises Unreachable if it cannot be written."""
        await self._queued(fields)

    def record_later(self, **fields: Any) -> None:
        """Writes a record without waiting for it, for a call that nobody is answered on."""
        self._queued(fields).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def close(self) -> None:
        """Writes what waits, then closes the file."""
        if self._flushing is not None:
            await self._flushing
        self._thread.shutdown()
        os.close(self._descriptor)

    def _queued(self, fields: dict[str, Any] | None) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((fields or {}, done))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return done

    async def _flush(self) -> None:
        """Writes all that waits at once, again until nothing waits."""
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, []
            bodies = [fields for fields, _ in batch if fields]
            error: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self._write, bodies)
            except Exception as raised:  # whatever it is, nobody may be left waiting
                self._missing += len(bodies)
                AUDIT_FAILURES.labels(self._party).inc(len(bodies))
                error = Unreachable("audit", "the audit log cannot be written now; try again later")
                error.__cause__ = raised
            for _, done in batch:
                if not done.done():
                    done.set_result(None) if error is None else done.set_exception(error)

    def _write(self, bodies: Iterable[dict[str, Any]]) -> None:
        if self._unsure:  # a write failed on its way: cut what is there of it
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            self._unsure = False
        missing, lines = self._missing, []
        number, previous = self._number, self._previous
        gap = [{"note": "records are missing here: they could not be written", "missing": missing}] if missing else []
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="microseconds")
        for body in [*gap, *bodies]:
            record = {"number": number, "previous": previous, "time": now, **body}
            encoded = json.dumps(record, separators=(",", ":"), ensure_ascii=True).encode()
            previous = _hash(encoded)
            lines.append(encoded[:-1] + b',"hash":"' + previous.encode() + b'"}\n')
            number += 1
        left = memoryview(b"".join(lines))
        size = self._size + len(left)
        self._unsure = True
        while left:
            left = left[os.write(self._descriptor, left) :]
        os.fdatasync(self._descriptor)
        self._unsure = False
        self._size, self._number, self._previous = size, number, previous
        self._missing -= missing
        AUDIT_RECORDS.labels(self._party).set(number)

    def _resume(self, name: str) -> tuple[int, int, str, int]:
        """Size, number and hash to go on from, and how many bytes of a torn line were cut off."""
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - 2 * LONGEST_LINE)
        tail = os.pread(self._descriptor, size - start, start)
        whole = tail.rfind(b"\n") + 1
        if not whole:
            if start:
                raise AuditBroken(name, "it does not end in a record")
            os.ftruncate(self._descriptor, 0)
            return 0, 0, GENESIS, size
        record, own = _parse(tail[tail.rfind(b"\n", 0, whole - 1) + 1 : whole], f"{name}, last record")
        cut = len(tail) - whole
        if cut:
            os.ftruncate(self._descriptor, size - cut)
        os.lseek(self._descriptor, size - cut, os.SEEK_SET)
        return size - cut, record["number"] + 1, own, cut


def _open(path: Path) -> int:
    """Opens or makes the file, its owner's alone, and takes its lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AuditBroken(path.name, "it is not an ordinary file")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditInUse(path.name, "another process writes to it; does this party run already?") from None
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # a new file's name is on disk as well
        finally:
            os.close(folder)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
