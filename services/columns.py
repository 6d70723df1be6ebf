"""Columns of ciphertexts in Arrow IPC files: one fixed-size binary column, read where the file lies in memory.

Any Arrow library reads and writes such files (``pyarrow.ipc.open_file``, ``polars.read_ipc`` ...). Other columns of a
file may hold anything; they are left alone.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from homomorphic.arrow import rows_of
from homomorphic.ciphertext_rows import sum_of_buffers
from homomorphic.paillier import PublicKey
from homomorphic.rows import Bytes
from services.files import replaced
from zkcore.errors import Malformed

if TYPE_CHECKING:  # columns need Numba, sums of files do not
    from homomorphic.column import CiphertextColumn

COLUMN = "ciphertext"
"""What a column is called if nobody says."""


@contextmanager
def mapped(path: Path, width: int, name: str | None = None) -> Iterator[list[Bytes]]:
    """The rows of a file's column, an array ``uint8[n, width]`` a record batch, valid as long as the context.

    Parameters
    ----------
    path
        An Arrow IPC file.
    width
        Bytes a ciphertext.
    name
        The column; if not said, the only one of fixed-size binary type.

    Raises
    ------
    Malformed, WrongLength
        Not such a file or column; ciphertexts of another width, as for another key's length.
    OSError
        The file can't be read.
    """
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_file(source)
            index = _column_of(reader.schema, name, str(path))
            arrays = [reader.get_batch(i).column(index) for i in range(reader.num_record_batches)]
        except pa.ArrowException as error:
            raise Malformed(str(path), f"is not an Arrow IPC file: {error}") from error
        yield [rows_of(array, width, str(path)) for array in arrays]


def _column_of(schema: pa.Schema, name: str | None, part: str) -> int:
    if name is not None:
        if schema.get_all_field_indices(name) == []:
            raise Malformed(part, f"has no column {name!r}; it has {', '.join(map(repr, schema.names))}")
        return int(schema.get_all_field_indices(name)[0])
    found = [i for i, field in enumerate(schema) if pa.types.is_fixed_size_binary(field.type)]
    if len(found) != 1:
        raise Malformed(part, f"has {len(found)} columns of fixed-size binary; say which of {schema.names} it is")
    return found[0]


def sum_file(public_key: PublicKey, path: Path, name: str | None = None, threads: int | None = None) -> int:
    """A ciphertext of the sum of a file's column; as many threads as processors unless said.

    Memory stays small whatever the file's size. Raises as :func:`mapped` and
    :func:`homomorphic.ciphertext_rows.sum_of_buffers`.
    """
    with mapped(path, public_key.ciphertext_bytes, name) as buffers:
        return sum_of_buffers(public_key, buffers, threads or os.cpu_count() or 1)


def read_file(public_key: PublicKey, path: Path, name: str | None = None) -> "CiphertextColumn":
    """A file's column; raises as :func:`mapped` and :meth:`CiphertextColumn.from_bytes`."""
    from homomorphic.column import CiphertextColumn

    with mapped(path, public_key.ciphertext_bytes, name) as buffers:
        columns = [CiphertextColumn.from_bytes(public_key, rows.reshape(-1)) for rows in buffers if len(rows)]
    return CiphertextColumn.concatenate(columns)


def write_file(path: Path, columns: Iterable["CiphertextColumn"], name: str = COLUMN) -> int:
    """Write columns one after the other, each as a record batch, so that a file may be larger than memory.

    All are of one key. Gives the number of rows. A reader sees all of the file or none.
    """
    count = 0
    with replaced(path) as file:
        writer = None
        for column in columns:
            array = pa.array(column)
            batch = pa.record_batch([array], names=[name])
            writer = writer or pa.ipc.new_file(file, batch.schema)
            writer.write_batch(batch)
            count += len(column)
        if writer is None:
            raise Malformed(str(path), "would be without a row")
        writer.close()
    return count
