"""Groth16 development setup: both keys straight from a constraint system (Groth 2016, section 3.2).

One process draws the trapdoor and forgets it. Whoever could read that process's memory could forge proofs, so these
keys are for development and tests; production uses keys from a ceremony of several parties (Bowe, Gabizon and Miers
2017, ePrint 2017/1050). The trapdoor comes from the system's random generator, is never written anywhere, and the
arrays derived from it are overwritten; Python's own integers can't be. Not constant-time.
"""

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, R
from zkcore.errors import WrongLength
from zkcore.field import encode, fr, fr_load, fr_zero, invert_rows, leave_rows, store
from zkcore.groth16.keys import VerifyingKey
from zkcore.groth16.proving_key import LARGEST_DOMAIN_BITS, ProvingKey
from zkcore.groups import g1, g2
from zkcore.kernel import kernel
from zkcore.limbs import to_limbs
from zkcore.multiples import FixedBase
from zkcore.ntt import powers, root_of_unity
from zkcore.r1cs import R1CS, SparseMatrix
from zkcore.tasks import Progress, pool, run

Rows = NDArray[np.uint64]


@kernel
def _lagrange(tau: Any, scale: Any, roots: Any, differences: Any, scratch: Any) -> Any:
    """Overwrite each root x by scale x / (tau - x)."""
    at = fr_load(tau, 0)
    for i in range(roots.shape[0]):
        store(differences, i, at - fr_load(roots, i))
    invert_rows(fr_zero(), differences, scratch)
    for i in range(roots.shape[0]):
        store(roots, i, fr_load(scale, 0) * fr_load(roots, i) * fr_load(differences, i))


@kernel
def _evaluate_columns(row_start: Any, column: Any, coefficient: Any, basis: Any, out: Any) -> Any:
    """``out[j]`` = sum over rows of entry (row, j) times ``basis[row]``, canonical; ``basis`` is in Montgomery form."""
    out[:] = 0
    for i in range(row_start.shape[0] - 1):
        value = fr_load(basis, i)
        for k in range(row_start[i], row_start[i + 1]):
            j = column[k]
            store(out, j, fr_load(out, j) + fr_load(coefficient, k) * value)


@kernel
def _combine(a: Any, b: Any, c: Any, factors: Any, n_public: Any) -> Any:
    """Overwrite c by beta a + alpha b + c, over delta for private wires; canonical, factors in Montgomery form."""
    alpha, beta, inverse_of_delta = fr_load(factors, 0), fr_load(factors, 1), fr_load(factors, 2)
    for j in range(c.shape[0]):
        value = beta * fr_load(a, j) + alpha * fr_load(b, j) + fr_load(c, j)
        store(c, j, value * inverse_of_delta if j > n_public else value)


def _element(value: int) -> Rows:
    return encode(fr, [value % R])


def _basis_at(tau: int, order: int, first: int, count: int, factor: int) -> Rows:
    """``factor`` times the values at tau of Lagrange's polynomials of the roots of unity of an order, Montgomery form.

    Of those roots the ``count`` that begin with ``first`` and go on by the root of order ``count``.
    """
    roots, scratch = np.empty((count, 4), np.uint64), np.empty((2, count, 4), np.uint64)
    powers(_element(root_of_unity(count.bit_length() - 1)), _element(first), roots)
    scale = factor * (pow(tau, order, R) - 1) * pow(order, -1, R)
    _lagrange(_element(tau), _element(scale), roots, scratch[0], scratch[1])
    scratch[:] = 0
    return roots


def with_public_rows(matrix: SparseMatrix, n_public: int) -> SparseMatrix:
    """Matrix A with one more row for wire 0 and for each public input, whose only entry is 1 for that wire."""
    added = np.arange(n_public + 1)
    return SparseMatrix(
        np.concatenate([matrix.row_start, matrix.row_start[-1] + 1 + added]),
        np.concatenate([matrix.column, added]),
        np.concatenate([matrix.coefficient, to_limbs([1] * (n_public + 1))]),
    )


def setup(r1cs: R1CS, progress: Progress | None = None, threads: int = 1) -> tuple[ProvingKey, VerifyingKey]:
    """Keys for a constraint system, from a development setup: not for production.

    Parameters
    ----------
    r1cs
        The constraint system; with its public inputs fewer than 2^27 rows.
    progress
        Called with the fraction done, from 0 to 1.
    threads
        How many threads multiply points.

    Raises
    ------
    WrongLength
        The constraint system is too large.
    """
    rows = r1cs.n_constraints + r1cs.n_public + 1
    bits = (rows - 1).bit_length()
    if bits > LARGEST_DOMAIN_BITS:
        raise WrongLength("r1cs", f"with its public inputs it has {rows} rows, and keys reach 2^{LARGEST_DOMAIN_BITS}")
    size, n_wires, n_public = 1 << bits, r1cs.n_wires, r1cs.n_public
    a = with_public_rows(r1cs.a, n_public)

    alpha, beta, delta = (1 + secrets.randbelow(R - 1) for _ in range(3))
    tau = 1
    while pow(tau, 2 * size, R) == 1:  # Lagrange's polynomials divide by tau minus each root
        tau = secrets.randbelow(R)
    inverse_of_delta = pow(delta, -1, R)
    basis = _basis_at(tau, size, 1, size, 1)
    quotient = _basis_at(tau, 2 * size, root_of_unity(bits + 1), size, inverse_of_delta)
    leave_rows(fr, quotient)
    columns = np.empty((3, n_wires, 4), np.uint64)
    for matrix, column in zip((a, r1cs.b, r1cs.c), columns, strict=True):
        _evaluate_columns(matrix.row_start, matrix.column, matrix.coefficient, basis, column)
    at_a, at_b, combined = columns
    _combine(at_a, at_b, combined, encode(fr, [alpha, beta, inverse_of_delta]), n_public)
    single = to_limbs([alpha, beta, delta])

    base1, base2 = FixedBase(g1, G1_GENERATOR), FixedBase(g2, G2_GENERATOR)
    tasks, outputs = [], []
    for base, scalars in (
        *((base1, rows) for rows in (single, at_a, at_b, combined[: n_public + 1], combined[n_public + 1 :], quotient)),
        *((base2, rows) for rows in (single, at_b)),
    ):
        shape = (len(scalars), 2, 4) if base is base1 else (len(scalars), 2, 2, 4)
        outputs.append(np.empty(shape, np.uint64))
        tasks += base.tasks(scalars, outputs[-1])
    with pool(threads) as executor:
        run(tasks, executor, progress)
    for secret in (basis, quotient, columns, single):
        secret[:] = 0
    constants1, points_a, points_b, ic, points_c, points_h, constants2, points_b2 = outputs

    verifying_key = VerifyingKey(
        alpha=g1.decode(constants1)[0],
        beta=g2.decode(constants2)[1],
        gamma=G2_GENERATOR,
        delta=g2.decode(constants2)[2],
        ic=tuple(g1.decode(ic)),
    )
    proving_key = ProvingKey(
        r1cs_digest=r1cs.digest(),
        n_public=n_public,
        n_wires=n_wires,
        domain_bits=bits,
        a=a,
        b=r1cs.b,
        verifying_key=verifying_key,
        constants=constants1[1:],
        points_a=points_a,
        points_b=points_b,
        points_b2=points_b2,
        points_c=points_c,
        points_h=points_h,
    )
    return proving_key, verifying_key
