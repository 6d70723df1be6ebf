"""Ciphertexts of the log's entries in Arrow segments: files that are summed where they lie.

A *segment* is an Arrow IPC file with one record batch of some thousands of ciphertexts as fixed-size binary; it is
written once, mapped into memory and never changed. The newest rows lie in the *tail*, an Arrow IPC stream to which each
append adds one record batch and waits until it is on disk; when the tail is long enough it becomes a segment. Any Arrow
reader opens either.

Every batch carries the CRC-32 of its rows, against damage and a tail torn by a crash, and a label: bytes by which
whoever appends knows later that the rows are those that belong there, e.g. the root of the log. The checksum is no
protection against somebody who may write the files.

The segments hold nothing that the log does not hold as well: what is torn, damaged or of another log is dropped when
the segments are opened, and :class:`services.journal.Journal` fills it in again.
"""

import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.store import Unavailable

Rows = NDArray[np.uint8]

SEGMENT = 8192
"""Rows after which the tail becomes a segment: 6 MiB with a key of 3072 bits."""

TAIL = "tail.arrows"


@dataclass(frozen=True)
class _Batch:
    """Rows ``uint8[n, width]`` that follow `start` others, the label behind them, where they end in the tail's file."""

    start: int
    rows: Rows
    label: bytes
    offset: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.rows)


class Segments:
    """An append-only sequence of ciphertexts in a directory. One thread writes at a time; any may read.

    Parameters
    ----------
    directory
        Where the files lie; made if it is missing.
    fits
        Whether a label is right behind so many rows. Batches are taken up as long as they are whole and fit; the rest
        is dropped.

    Raises
    ------
    services.store.Unavailable
        The files cannot be read or written.
    """

    def __init__(self, directory: Path, fits: Callable[[int, bytes], bool]) -> None:
        self._directory = directory
        self._sealed: list[_Batch] = []
        self._tail: list[_Batch] = []
        with _translated():
            directory.mkdir(mode=0o700, exist_ok=True)
            for leftover in directory.glob("*.part"):
                leftover.unlink()
            for path in sorted(directory.glob("*.arrow")):
                batch = _read_segment(path, self.size)
                if batch is None or not fits(batch.end, batch.label):
                    path.unlink()
                else:
                    self._sealed.append(batch)
            path = directory / TAIL
            new = not path.exists()
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for batch in _read_tail(path.read_bytes(), self.size):
                if not fits(batch.end, batch.label):
                    break
                self._tail.append(batch)
            if new:
                self._sync_directory()
            self._cut()

    @property
    def size(self) -> int:
        """Number of rows."""
        last = self._tail or self._sealed
        return last[-1].end if last else 0

    def append(self, rows: Rows, label: bytes) -> None:
        """Adds rows ``uint8[n, width]``, n > 0; on disk when it returns. Raises Unavailable: then nothing was added."""
        with _translated():
            if self._tail and self._tail[-1].rows.shape[1] != rows.shape[1]:
                self._seal()
            start = self.size
            message = _message(rows, start, label, first=not self._tail)
            self._cut()  # what an earlier failure may have left
            offset = self._tail[-1].offset if self._tail else 0
            _write(self._file, message, offset)
            self._tail.append(_Batch(start, rows, label, offset + len(message)))

    def cut(self, size: int) -> None:
        """Drops the newest appends until no more than `size` rows are left. Raises Unavailable."""
        with _translated():
            while self._tail and self._tail[-1].end > size:
                self._tail.pop()
            if not self._tail:
                while self._sealed and self._sealed[-1].end > size:
                    batch = self._sealed.pop()
                    (self._directory / _name(batch.start)).unlink()
            self._cut()

    def settle(self) -> None:
        """Makes a long tail a segment. Raises Unavailable: then the tail stays as it is."""
        if self._tail and self.size - self._tail[0].start >= SEGMENT:
            with _translated():
                self._seal()

    def gather(self, positions: NDArray[np.uint64]) -> Iterator[Rows]:
        """The rows at ascending positions, in a few arrays; those of a whole segment as they are mapped."""
        # The tail first: what becomes a segment meanwhile is then seen at least once, and taken once.
        tail, sealed = list(self._tail), list(self._sealed)
        if tail:
            sealed = [batch for batch in sealed if batch.start < tail[0].start]
        for batch in [*sealed, *_joined(tail)]:
            low, high = np.searchsorted(positions, np.array([batch.start, batch.end], np.uint64))
            count = int(high - low)
            if count:
                first, last = int(positions[low]) - batch.start, int(positions[high - 1]) - batch.start
                if last - first + 1 == count:
                    yield batch.rows[first : last + 1]
                else:
                    yield batch.rows[positions[low:high].astype(np.int64) - batch.start]

    def close(self) -> None:
        """Release the tail's file. Closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _cut(self) -> None:
        """Leaves in the tail's file what :attr:`_tail` holds."""
        offset = self._tail[-1].offset if self._tail else 0
        if os.fstat(self._file).st_size != offset:
            os.ftruncate(self._file, offset)
            os.fsync(self._file)

    def _sync_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _seal(self) -> None:
        (batch,) = _joined(self._tail)
        path = self._directory / _name(batch.start)
        part = path.with_suffix(".part")
        schema = _schema(batch.rows.shape[1], _metadata(batch.rows, batch.start, batch.label))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(_record_batch(batch.rows, schema))
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write(file, sink.getvalue(), 0)
        finally:
            os.close(file)
        part.rename(path)
        self._sync_directory()
        mapped = _read_segment(path, batch.start)
        if mapped is None:
            raise Unavailable(f"{path.name} does not hold what was written")
        self._sealed.append(mapped)
        self._tail = []
        self._cut()  # after a crash before this, the tail's rows are those of the segment and do not follow it


def _name(start: int) -> str:
    return f"{start:012}.arrow"


def _schema(width: int, metadata: dict[bytes, bytes] | None = None) -> pa.Schema:
    return pa.schema([pa.field("ciphertext", pa.binary(width), nullable=False)], metadata)


def _record_batch(rows: Rows, schema: pa.Schema) -> pa.RecordBatch:
    column = pa.Array.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(rows)])
    return pa.record_batch([column], schema=schema)


def _metadata(rows: Rows, start: int, label: bytes) -> dict[bytes, bytes]:
    # As text: Arrow's readers expect UTF-8 there.
    return {b"start": b"%d" % start, b"crc32": b"%08x" % zlib.crc32(rows.data), b"label": label.hex().encode()}


def _message(rows: Rows, start: int, label: bytes, first: bool) -> pa.Buffer:
    """One record batch of the stream, behind the stream's schema if it is the first."""
    rows = np.ascontiguousarray(rows)
    schema = _schema(rows.shape[1])
    sink = pa.BufferOutputStream()
    writer = pa.ipc.new_stream(sink, schema)
    writer.write_batch(_record_batch(rows, schema), custom_metadata=_metadata(rows, start, label))
    message = sink.getvalue()
    return message if first else message.slice(schema.serialize().size)


def _checked(batch: pa.RecordBatch, metadata: "pa.KeyValueMetadata | None", start: int, offset: int) -> _Batch | None:
    """A batch that was read, if it is whole and follows `start` rows."""
    if metadata is None or batch.num_columns != 1 or not pa.types.is_fixed_size_binary(batch.schema.field(0).type):
        return None
    column = batch.column(0)
    rows = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, column.type.byte_width)[: len(column)]
    try:
        label = bytes.fromhex(metadata[b"label"].decode())
        whole = metadata[b"start"] == b"%d" % start and metadata[b"crc32"] == b"%08x" % zlib.crc32(rows.data)
    except (KeyError, ValueError):
        return None
    return _Batch(start, rows, label, offset) if whole and len(rows) else None


def _read_segment(path: Path, start: int) -> _Batch | None:
    if path.name != _name(start):
        return None
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped)))
        batch = _checked(reader.get_batch(0), reader.schema.metadata, start, 0)
    except (pa.ArrowException, OSError, ValueError):  # Arrow raises all of them for files that are none
        return None
    mapped.madvise(mmap.MADV_DONTNEED)  # pages that the check touched come back when they are summed
    return batch


def _read_tail(data: bytes, start: int) -> Iterator[_Batch]:
    """The batches of a stream up to the first that is torn, damaged or out of its turn."""
    source = pa.BufferReader(data)
    try:
        reader = pa.ipc.open_stream(source)
        while True:
            item = reader.read_next_batch_with_custom_metadata()
            batch = _checked(item.batch, item.custom_metadata, start, source.tell())
            if batch is None:
                return
            yield batch
            start = batch.end
    except (StopIteration, pa.ArrowException, OSError, ValueError):
        return


def _joined(batches: list[_Batch]) -> list[_Batch]:
    """The batches as one; none of none."""
    if not batches:
        return []
    return [_Batch(batches[0].start, np.concatenate([batch.rows for batch in batches]), batches[-1].label)]


def _write(file: int, data: pa.Buffer, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        offset, view = offset + written, view[written:]
    os.fsync(file)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(error.strerror or "input or output failed") from error
