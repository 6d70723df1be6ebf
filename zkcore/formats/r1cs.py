"""Constraint systems ``.r1cs``, version 1, as circom writes them and snarkjs reads them.

Section 1: size and value of the prime, numbers of wires, public outputs, public inputs and private inputs, of labels
and of constraints. Section 2: for each constraint its rows of A, B and C, each the number of its entries, then wire and
coefficient (32 bytes) of each. Section 3: the label of each wire, which the ``.sym`` file names. Custom gates are
refused.
"""

from collections.abc import Iterator
from struct import pack
from typing import Any

import numpy as np

from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, WrongLength
from zkcore.formats.iden3 import (
    Chunk,
    Content,
    Section,
    field_to_bytes,
    read_sections,
    required,
    row_blocks,
    section_chunks,
)
from zkcore.kernel import kernel
from zkcore.limbs import below
from zkcore.r1cs import R1CS, SparseMatrix

_VERSION = 1
_ENTRY_WORDS = 9
"""32-bit words of an entry: its wire and 8 of its coefficient."""


@kernel
def _find_rows(words: Any, starts: Any) -> Any:
    """Position of each row's first word, and of the end; tells the number of rows that lie within ``words``."""
    at = np.int64(0)
    for row in range(starts.shape[0] - 1):
        if at >= words.shape[0]:
            return row
        starts[row] = at
        at += 1 + _ENTRY_WORDS * np.int64(words[at])
        if at > words.shape[0]:
            return row
    starts[starts.shape[0] - 1] = at
    return starts.shape[0] - 1


@kernel
def _gather(words: Any, starts: Any, first: Any, row_start: Any, column: Any, coefficient: Any) -> Any:
    """Entries of the rows first, first + 3, first + 6 and so on."""
    written = 0
    for row in range(row_start.shape[0] - 1):
        row_start[row] = written
        at = starts[3 * row + first]
        for _ in range(words[at]):
            column[written] = words[at + 1]
            for k in range(_ENTRY_WORDS - 1):
                coefficient[written, k] = words[at + 2 + k]
            at += _ENTRY_WORDS
            written += 1
    row_start[row_start.shape[0] - 1] = written


@kernel
def _spread(words: Any, starts: Any, first: Any, row_start: Any, column: Any, coefficient: Any) -> Any:
    """What :func:`_gather` reads."""
    for row in range(row_start.shape[0] - 1):
        at = starts[3 * row + first]
        words[at] = row_start[row + 1] - row_start[row]
        for entry in range(row_start[row], row_start[row + 1]):
            words[at + 1] = column[entry]
            for k in range(_ENTRY_WORDS - 1):
                words[at + 2 + k] = coefficient[entry, k]
            at += _ENTRY_WORDS


def _matrices(section: Section, n_constraints: int, n_wires: int) -> list[SparseMatrix]:
    start = section.part
    if section.left % 4 or section.left // 4 < 3 * n_constraints:
        raise WrongLength(start, f"{section.left} bytes can't hold {n_constraints} constraints")
    words = section.words(section.left // 4)
    starts = np.empty(3 * n_constraints + 1, np.int64)
    found = _find_rows(words, starts)
    if found < 3 * n_constraints:
        raise WrongLength(start, f"the section ends within constraint {found // 3}")
    if starts[-1] != len(words):
        raise WrongLength(start, f"{4 * (len(words) - int(starts[-1]))} bytes follow the last constraint")
    matrices = []
    for first in range(3):
        count = int(words[starts[first:-1:3]].sum(dtype=np.int64))
        row_start, column = np.empty(n_constraints + 1, np.int64), np.empty(count, np.int64)
        coefficient = np.empty((count, _ENTRY_WORDS - 1), np.uint32)
        _gather(words, starts, first, row_start, column, coefficient)
        rows = coefficient.view(np.uint64)
        if (column >= n_wires).any():
            raise OutOfRange(start, f"an entry of matrix {'ABC'[first]} names a wire that there is not")
        if not below(rows, R):
            raise OutOfRange(start, f"a coefficient of matrix {'ABC'[first]} is not below the field's modulus")
        matrices.append(SparseMatrix(row_start, column, rows))
    return matrices


def read(data: bytes | memoryview) -> R1CS:
    """The constraint system; outputs and public inputs are its public inputs, in this order.

    Raises
    ------
    Malformed, WrongLength, OutOfRange
        The file is not such a file, belongs to another field, uses custom gates, or contradicts itself; the part names
        the section and the offset.
    """
    sections = read_sections(data, "r1cs", _VERSION, (1, 2, 3, 4, 5))
    header = required(sections, 1, "r1cs")
    header.field(R)
    start = header.part
    n_wires, n_outputs, n_inputs, n_private = (header.integer(4) for _ in range(4))
    header.integer(8)
    n_constraints = header.integer(4)
    header.end()
    if 1 + n_outputs + n_inputs + n_private > n_wires:
        raise OutOfRange(start, "there are more inputs and outputs than wires")
    for number in (4, 5):
        gates = sections.get(number)
        if gates is not None and (gates.left != 4 or gates.integer(4)):
            raise Malformed(gates.part, "custom gates belong to PLONK and can't be proved with Groth16")
    labels = sections.get(3)
    if labels is not None and labels.left != 8 * n_wires:
        raise WrongLength(labels.part, f"{labels.left} bytes are not a label for each of {n_wires} wires")
    a, b, c = _matrices(required(sections, 2, "r1cs"), n_constraints, n_wires)
    return R1CS(n_outputs + n_inputs, n_wires, a, b, c)


def chunks(system: R1CS, n_private_inputs: int = 0) -> Iterator[Chunk]:
    """The file of a constraint system, one chunk after the other; every wire is its own label.

    Parameters
    ----------
    n_private_inputs
        How many private wires the prover is asked for; the others follow from them. Informative only.
    """
    sizes = (system.n_wires, 0, system.n_public, n_private_inputs)
    header = field_to_bytes(R) + pack("<4IQI", *sizes, system.n_wires, system.n_constraints)
    n_entries = sum(len(matrix.column) for matrix in (system.a, system.b, system.c))
    rows = Content(4 * (3 * system.n_constraints + _ENTRY_WORDS * n_entries), _rows(system))
    labels = Content(
        8 * system.n_wires, (np.arange(*block, dtype="<u8").tobytes() for block in row_blocks(system.n_wires))
    )
    return section_chunks("r1cs", _VERSION, {1: header, 2: rows, 3: labels})


def _rows(system: R1CS) -> Iterator[Chunk]:
    """Section 2."""
    matrices = (system.a, system.b, system.c)
    coefficients = [np.ascontiguousarray(matrix.coefficient).view(np.uint32) for matrix in matrices]
    for first, end in row_blocks(system.n_constraints):
        starts_of_rows = [matrix.row_start[first : end + 1] for matrix in matrices]
        lengths = np.stack([np.diff(row_start) for row_start in starts_of_rows], axis=1).reshape(-1)
        starts = np.concatenate([[0], np.cumsum(1 + _ENTRY_WORDS * lengths)]).astype(np.int64)
        words = np.empty(int(starts[-1]), np.uint32)
        for place, (row_start, matrix) in enumerate(zip(starts_of_rows, matrices, strict=True)):
            _spread(words, starts, place, row_start, matrix.column, coefficients[place])
        yield words.astype("<u4", copy=False).data.cast("B")


def write(system: R1CS, n_private_inputs: int = 0) -> bytes:
    """What :func:`chunks` yields, as a whole."""
    return b"".join(chunks(system, n_private_inputs))
