"""Finds wires of a circuit that a prover could change alone without violating a constraint."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from circuits.constraints import Circuit
from zkcore.bn254 import R
from zkcore.limbs import from_limbs
from zkcore.r1cs import SparseMatrix


def _entries(matrix: SparseMatrix) -> tuple[list[int], list[int], list[int]]:
    rows = np.repeat(np.arange(len(matrix.row_start) - 1), np.diff(matrix.row_start)).tolist()
    return rows, matrix.column.tolist(), from_limbs(matrix.coefficient)


def free_wires(circuit: Circuit, witness: NDArray[np.uint64], change: int = 1) -> list[int]:
    """Wires (but the constant) that may differ by ``change`` from a satisfying witness, all others staying."""
    r1cs = circuit.r1cs()
    values = from_limbs(witness)
    products = []
    by_wire: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for which, matrix in enumerate((r1cs.a, r1cs.b, r1cs.c)):
        product = [0] * r1cs.n_constraints
        for row, wire, coefficient in zip(*_entries(matrix), strict=True):
            product[row] = (product[row] + coefficient * values[wire]) % R
            by_wire[wire][row][which] = (by_wire[wire][row][which] + coefficient) % R
        products.append(product)
    a, b, c = products
    assert all((x * y - z) % R == 0 for x, y, z in zip(a, b, c, strict=True)), (
        "the witness does not satisfy the circuit"
    )

    def survives(wire: int) -> bool:
        return all(
            ((a[row] + change * da) * (b[row] + change * db) - c[row] - change * dc) % R == 0
            for row, (da, db, dc) in by_wire[wire].items()
        )

    return [wire for wire in range(1, r1cs.n_wires) if survives(wire)]
