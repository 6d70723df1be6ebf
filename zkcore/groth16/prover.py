"""Groth16 prover (Groth 2016, section 3.2): a proof that somebody knows a witness, and nothing else about it.

The quotient polynomial is evaluated on the coset of odd roots of unity, where A B - C needs no division; five
multi-scalar multiplications do the rest. Zero-knowledge rests on the two blinding factors, drawn from the system's
random generator for every proof. A proof is verified before it is returned, so that neither a wrong witness nor a
fault of the machine lets a bad one out.

Timing: the products with the blinding factors do the same work for all of them; the sums over the witness do not (their
time depends on how many of its values are zero or short), so prove where nobody else can measure. Arrays that hold
the witness or what follows from it are overwritten before the call returns, the caller's own and Python's integers are
not.

Memory: :func:`memory_needed` says before the work begins what it will take at most.
"""

import secrets

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import R
from zkcore.errors import Unsatisfied
from zkcore.field import fr, fr_load, leave_rows, store
from zkcore.groth16.keys import Proof
from zkcore.groth16.proving_key import ProvingKey
from zkcore.groups import g1, g2
from zkcore.kernel import kernel
from zkcore.limbs import from_limbs
from zkcore.msm import MultiScalarSum, digit_bytes, task_bytes
from zkcore.ntt import domain
from zkcore.r1cs import encode_witness
from zkcore.tasks import Progress, Task, pool, run

Rows = NDArray[np.uint64]

_ARRAYS = 7
"""Arrays of the domain's size at one time: three of values, one for the coset, and twiddle factors."""
_SMALL_THINGS = 1 << 20


@kernel
def _multiply_into(left: object, right: object, out: object) -> None:
    """``out = left right``, element by element."""
    for i in range(out.shape[0]):  # type: ignore[attr-defined]
        store(out, i, fr_load(left, i) * fr_load(right, i))


@kernel
def _quotient(a: object, b: object, c: object) -> None:
    """``a = a b - c``, element by element."""
    for i in range(a.shape[0]):  # type: ignore[attr-defined]
        store(a, i, fr_load(a, i) * fr_load(b, i) - fr_load(c, i))


def memory_needed(key: ProvingKey, threads: int = 1) -> int:
    """Bytes that :func:`prove` takes at most, besides the key and the witness.

    Arrays and roots of unity on the domain, the witness in Montgomery form, the digits of all scalars, for each thread
    the buckets of the largest sum, and the prepared verifying key.
    """
    size = 1 << key.domain_bits
    counts = [len(key.points_a), len(key.points_b), len(key.points_b2), len(key.points_c), size]
    transforms = 32 * (_ARRAYS * size + key.n_wires)
    tasks = threads * max(task_bytes(g2, len(key.points_b2)), task_bytes(g1, max(counts)))
    prepared = 90_000 * (key.n_public + 2)
    return transforms + sum(map(digit_bytes, counts)) + tasks + prepared + _SMALL_THINGS


def prove(
    proving_key: ProvingKey, witness: Rows, progress: Progress | None = None, threads: int = 1
) -> tuple[Proof, list[int]]:
    """A proof for the statement whose public inputs the witness begins with, and those inputs.

    Parameters
    ----------
    witness
        Canonical values of all wires, ``uint64[n_wires, 4]``: 1, the public inputs, the private wires.
    progress
        Called with the fraction done, from 0 to 1.
    threads
        How many threads share the work.

    Raises
    ------
    WrongLength, OutOfRange
        The witness has another shape, or holds what is no field element.
    Unsatisfied
        The proof does not verify: the witness violates a constraint (or the key belongs to another circuit).
    """
    key, tell = proving_key, progress or (lambda fraction: None)
    wires = encode_witness(witness, key.n_wires)
    roots = domain(key.domain_bits)
    values = np.zeros((3, roots.size, 4), np.uint64)
    a, b, c = values
    key.a.multiply(wires, a)
    key.b.multiply(wires, b)
    wires[:] = 0
    _multiply_into(a, b, c)

    sums = [
        MultiScalarSum(g1, key.points_a, witness),
        MultiScalarSum(g1, key.points_b, witness),
        MultiScalarSum(g2, key.points_b2, witness),
        MultiScalarSum(g1, key.points_c, witness[key.n_public + 1 :]),
    ]
    transforms: list[Task] = [lambda rows=rows: roots.shift_to_coset(rows) for rows in values]  # type: ignore[misc]
    with pool(threads) as executor:
        run(transforms + [task for total in sums for task in total.tasks()], executor, lambda part: tell(0.7 * part))
        _quotient(a, b, c)
        leave_rows(fr, a)
        sums.append(MultiScalarSum(g1, key.points_h, a))
        run(sums[-1].tasks(), executor, lambda part: tell(0.7 + 0.25 * part))
    values[:] = 0
    sum_a, sum_b, sum_b2, sum_c, sum_h = (total.result() for total in sums)

    vk = key.verifying_key
    beta, delta = g1.decode(key.constants)
    r, s = secrets.randbelow(R), secrets.randbelow(R)
    point_a = g1.add(g1.add(vk.alpha, g1.decode(sum_a)[0]), g1.multiply(delta, r))
    point_b = g2.add(g2.add(vk.beta, g2.decode(sum_b2)[0]), g2.multiply(vk.delta, s))
    point_b1 = g1.add(g1.add(beta, g1.decode(sum_b)[0]), g1.multiply(delta, s))
    point_c = g1.add(g1.decode(sum_c)[0], g1.decode(sum_h)[0])
    for addend in g1.multiply_each([point_a, point_b1, delta], [s, r, -r * s]):
        point_c = g1.add(point_c, addend)

    proof = Proof(point_a, point_b, point_c)
    public = from_limbs(witness[1 : key.n_public + 1])
    if not key.prepared_verifying_key.verify(proof, public):
        raise Unsatisfied("witness", "the proof made from it does not verify, so that it is kept back")
    tell(1.0)
    return proof, public
