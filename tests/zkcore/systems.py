"""Small constraint systems with witnesses, for the tests of setup and prover."""

import secrets
from collections.abc import Sequence

import numpy as np

from zkcore.bn254 import R
from zkcore.limbs import to_limbs
from zkcore.r1cs import R1CS, SparseMatrix

Row = dict[int, int]


def matrix(rows: Sequence[Row]) -> SparseMatrix:
    return SparseMatrix(
        np.cumsum([0, *map(len, rows)]).astype(np.int64),
        np.array([wire for row in rows for wire in row], dtype=np.int64),
        to_limbs([value % R for row in rows for value in row.values()]),
    )


def dense(sparse: SparseMatrix, width: int) -> list[list[int]]:
    rows = []
    for start, end in zip(sparse.row_start, sparse.row_start[1:], strict=False):
        row = [0] * width
        for k in range(start, end):
            row[sparse.column[k]] += sum(int(word) << 64 * i for i, word in enumerate(sparse.coefficient[k]))
        rows.append(row)
    return rows


def chain(length: int, n_public: int = 1) -> tuple[R1CS, np.ndarray]:
    """x_(i + 1) = x_i (x_i + i x_0 + 5), of which the last ``n_public`` are public; x_0 is private."""
    values = [secrets.randbelow(R)]
    for i in range(length):
        values.append(values[-1] * (values[-1] + i * values[0] + 5) % R)
    wires = [n_public + 1 + i if i <= length - n_public else i - (length - n_public) for i in range(length + 1)]
    witness = [1] + [0] * (length + 1)
    for wire, value in zip(wires, values, strict=True):
        witness[wire] = value
    a = [{wires[i]: 1} for i in range(length)]
    b = [{wires[i]: 1, wires[0]: i, 0: 5} if i else {wires[0]: 1, 0: 5} for i in range(length)]
    c = [{wires[i + 1]: 1} for i in range(length)]
    return R1CS(n_public, len(witness), matrix(a), matrix(b), matrix(c)), to_limbs(witness)
