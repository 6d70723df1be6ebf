"""Columns of ciphertexts in Arrow IPC files: one fixed-size binary column, read where the file lies in memory.

Any Arrow library reads and writes such files (``pyarrow.ipc.open_file``, ``polars.read_ipc`` ...). Other columns of a
file may hold anything; they are left alone. Files written here name their key and their scale in the column's metadata;
files without are taken as they are, at scale 1.
"""

import mmap
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from homomorphic.arrow import rows_of
from homomorphic.ciphertext_rows import sum_of_buffers
from homomorphic.errors import WrongKey, WrongScale
from homomorphic.paillier import PublicKey
from homomorphic.rows import Bytes
from services.files import replaced
from zkcore.errors import Malformed

if TYPE_CHECKING:  # columns need Numba, sums of files do not
    from homomorphic.column import CiphertextColumn

COLUMN = "ciphertext"
"""What a column is called if nobody says."""


_KEY, _SCALE = b"zkshare.key", b"zkshare.scale"
"""Metadata of a column that :func:`write_file` writes: the key's fingerprint in hexadecimal digits, the scale."""


_LARGE_PAGE = 1 << 21
"""Bytes of a file that Linux may map at once when one of them is read; a neighbour's rows may be among them."""


@dataclass(frozen=True)
class MappedColumn:
    """A column where its file lies in memory.

    Attributes
    ----------
    buffers
        The rows of each record batch, ``uint8[n, width]``, read-only.
    scale
        The ciphertexts hold multiples of 1 / scale.
    """

    buffers: list[Bytes]
    scale: int
    _mapping: mmap.mmap
    _address: int

    def release(self, rows: Bytes) -> None:
        """Take rows of the buffers, which may be read again, out of this process's memory; the file is left alone."""
        first = rows.ctypes.data - self._address
        if 0 <= first < first + rows.nbytes <= len(self._mapping):  # rows of a compressed file lie elsewhere
            start = first // _LARGE_PAGE * _LARGE_PAGE
            end = min(-(-(first + rows.nbytes) // _LARGE_PAGE) * _LARGE_PAGE, len(self._mapping))
            self._mapping.madvise(mmap.MADV_DONTNEED, start, end - start)


def mapped(path: Path, public_key: PublicKey, name: str | None = None) -> MappedColumn:
    """A file's column; ciphertexts are not looked at. The file must not be cut short while its column is in use.

    Parameters
    ----------
    path
        An Arrow IPC file.
    name
        The column; if not said, the only one of fixed-size binary type.

    Raises
    ------
    Malformed, WrongLength, WrongKey
        Not such a file or column; ciphertexts of another width; the file names another key.
    OSError
        The file can't be read.
    """
    part = str(path)
    with path.open("rb") as file:
        try:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise Malformed(part, "is empty") from None
    source = pa.py_buffer(mapping)
    try:
        reader = pa.ipc.open_file(source)
        index = _column_of(reader.schema, name, part)
        scale = _described(reader.schema.field(index).metadata or {}, public_key, part)
        arrays = [reader.get_batch(i).column(index) for i in range(reader.num_record_batches)]
    except pa.ArrowException as error:
        raise Malformed(part, f"is not an Arrow IPC file: {error}") from error
    buffers = [rows_of(array, public_key.ciphertext_bytes, part) for array in arrays]
    return MappedColumn(buffers, scale, mapping, source.address)


def _column_of(schema: pa.Schema, name: str | None, part: str) -> int:
    if name is not None:
        found = schema.get_all_field_indices(name)
        if len(found) != 1:
            raise Malformed(part, f"has {len(found)} columns {name!r}; it has {', '.join(map(repr, schema.names))}")
        return int(found[0])
    found = [i for i, field in enumerate(schema) if pa.types.is_fixed_size_binary(field.type)]
    if len(found) != 1:
        raise Malformed(part, f"has {len(found)} columns of fixed-size binary; say which of {schema.names} it is")
    return int(found[0])


def _described(metadata: Mapping[bytes, bytes], public_key: PublicKey, part: str) -> int:
    """The scale that a column's metadata say, 1 if nothing; raises WrongKey, Malformed."""
    if metadata.get(_KEY, public_key.fingerprint.hex().encode()) != public_key.fingerprint.hex().encode():
        raise WrongKey(part, "is encrypted under another key")
    scale = metadata.get(_SCALE, b"1")
    if not (scale.isdigit() and len(scale) <= 100 and not scale.startswith(b"0")):
        raise Malformed(part, "has a scale that is not a whole number above 0")
    return int(scale)


def sum_file(public_key: PublicKey, path: Path, name: str | None = None, threads: int | None = None) -> tuple[int, int]:
    """A ciphertext of the sum of a file's column, and its scale; as many threads as processors unless said.

    Memory stays small whatever the file's size. Raises as :func:`mapped` and
    :func:`homomorphic.ciphertext_rows.sum_of_buffers`.
    """
    column = mapped(path, public_key, name)
    total = sum_of_buffers(public_key, column.buffers, threads or os.cpu_count() or 1, column.release)
    return total, column.scale


def read_file(
    public_key: PublicKey, path: Path, name: str | None = None, threads: int | None = None
) -> "CiphertextColumn":
    """A file's column; raises as :func:`mapped` and :meth:`CiphertextColumn.from_bytes`."""
    from homomorphic.column import CiphertextColumn

    threads = threads or os.cpu_count() or 1
    column = mapped(path, public_key, name)
    parts = [
        CiphertextColumn.from_bytes(public_key, rows.reshape(-1), scale=column.scale, threads=threads)
        for rows in column.buffers
        if len(rows)
    ]
    return CiphertextColumn.concatenate(parts)


def write_file(path: Path, columns: Iterable["CiphertextColumn"], name: str = COLUMN) -> int:
    """Write columns one after the other, each as a record batch, so that a file may be larger than memory.

    All are of one key and one scale, which the file says. Gives the number of rows. A reader sees all of the file or
    none. Raises Malformed for no columns, WrongKey and WrongScale for different ones.
    """
    count, writer, first = 0, None, None
    with replaced(path) as file:
        for column in columns:
            first = first or column
            if column.public_key.fingerprint != first.public_key.fingerprint:
                raise WrongKey("columns", "are of different keys")
            if column.scale != first.scale:
                raise WrongScale("columns", "are of different scales")
            array = pa.array(column)
            if writer is None:
                metadata = {_KEY: column.public_key.fingerprint.hex(), _SCALE: str(column.scale)}
                schema = pa.schema([pa.field(name, array.type, False, metadata)])
                writer = pa.ipc.new_file(file, schema)
            writer.write_batch(pa.record_batch([array], schema=schema))
            count += len(column)
        if writer is None:
            raise Malformed(str(path), "would be without a row")
        writer.close()
    return count
