"""Groth16 prover (Groth 2016, section 3.2): a proof that somebody knows a witness, and nothing else about it.

The quotient polynomial is evaluated on the coset of odd roots of unity, where A B - C needs no division; five
multi-scalar multiplications do the rest. Zero-knowledge rests on the two blinding factors, drawn from the system's
random generator for every proof. A proof is verified before it is returned, so that neither a wrong witness nor a
fault of the machine lets a bad one out.

Timing: the products with the blinding factors do the same work for all of them; the sums over the witness do not (their
time depends on how many of its values are zero or short), so prove where nobody else can measure. Arrays that hold
the witness, its scalars' digits or their order, or the quotient are overwritten before the call returns. Sums of the
key's points on the way, the caller's own arrays and Python's integers, among them the blinding factors, are not.

Memory: :func:`memory_needed` says before the work begins what it will take at most.
"""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, R
from zkcore.errors import Unsatisfied, WrongLength, WrongProvingKey
from zkcore.field import fr, fr_load, leave_rows, store
from zkcore.groth16.first_key import random_weights, same_ratio, weighted_sum
from zkcore.groth16.keys import Proof
from zkcore.groth16.proving_key import KeySize, ProvingKey
from zkcore.groups import Group, g1, g2
from zkcore.kernel import kernel
from zkcore.limbs import from_limbs
from zkcore.msm import MultiScalarSum, Rooms, held_bytes, task_bytes
from zkcore.ntt import domain, domain_bytes
from zkcore.r1cs import R1CS, SparseMatrix, encode_witness
from zkcore.tasks import Progress, Task, after, pool, run

Rows = NDArray[np.uint64]

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


def _sums(size: KeySize) -> list[tuple[Group[Any], int]]:
    """The groups of a proof's sums, and how many terms each has."""
    n_private = size.n_wires - size.n_public - 1
    return [*((group, size.n_wires) for group in (g2, g1, g1)), (g1, n_private), (g1, 1 << size.domain_bits)]


def _room_bytes(size: KeySize) -> int:
    """What any task of the sums takes."""
    return max(task_bytes(group, count) for group, count in _sums(size))


def memory_needed(size: KeySize, threads: int = 1) -> int:
    """Bytes that :func:`prove` takes at most with a key of that size, besides the key and the witness.

    Arrays and roots of unity on the domain, copies of the witness, for each thread a sum that has begun and
    the buckets of a largest one, another sum whose turn came early, and the prepared verifying key.
    """
    domain_size, sums = 1 << size.domain_bits, _sums(size)
    held = sorted((held_bytes(group, count) for group, count in sums), reverse=True)
    tasks = threads * _room_bytes(size)
    transforms = domain_bytes(size.domain_bits) + 32 * (3 * domain_size + 2 * size.n_wires)
    prepared = 90_000 * (size.n_public + 2)
    return transforms + sum(held[: threads + 1]) + tasks + prepared + _SMALL_THINGS


def _quotient_tasks(key: ProvingKey, wires: Rows, values: Rows, then: Callable[[], list[Task]]) -> list[Task]:
    """From the wires, which are overwritten, to the quotient's values on the coset in row 0; ``then`` follows."""
    roots, (a, b, c) = domain(key.domain_bits), values

    def multiply(matrix: SparseMatrix, rows: Rows) -> Sequence[Task] | None:
        matrix.multiply(wires, rows)
        return multiplied()

    def product() -> list[Task]:
        wires[:] = 0
        _multiply_into(a, b, c)
        return [partial(shift, rows) for rows in values]

    def shift(rows: Rows) -> Sequence[Task] | None:
        roots.shift_to_coset(rows)
        return shifted()

    def quotient() -> list[Task]:
        _quotient(a, b, c)
        leave_rows(fr, a)
        return then()

    multiplied, shifted = after(2, product), after(3, quotient)
    return [partial(multiply, key.a, a), partial(multiply, key.b, b)]


def _contradicts_itself(key: ProvingKey, executor: Executor | None) -> bool:
    """Whether B, beta or delta in G1 is not what it is in G2; B's points by a random sum."""
    weights = random_weights(key.n_wires)
    first = weighted_sum(g1, key.points_b, weights, executor)
    second = weighted_sum(g2, key.points_b2, weights, executor)
    if (first is None) != (second is None):
        return True
    pairs = [] if first is None else [(first, second)]
    pairs += zip(g1.decode(key.constants), (key.verifying_key.beta, key.verifying_key.delta), strict=True)
    return not all(same_ratio(G1_GENERATOR, one, G2_GENERATOR, other) for one, other in pairs)


def _unproved(key: ProvingKey, witness: Rows, system: R1CS | None, threads: int) -> Unsatisfied | WrongProvingKey:
    """Why a proof did not verify, as far as it can be known."""
    violated = None if system is None else system.check(witness)
    if violated is not None:
        return Unsatisfied("witness", f"it violates constraint {violated}; no proof is made from it")
    with pool(threads) as executor:
        damaged = _contradicts_itself(key, executor)
    if damaged:
        return WrongProvingKey(
            "proving_key", "it is damaged: its points in G1 and G2 contradict each other; take it again from its source"
        )
    if system is None:
        return Unsatisfied(
            "witness",
            "the proof made from it does not verify and is kept back: it violates a constraint, or the key is damaged "
            "or another circuit's; a key alone cannot tell which, the circuit (.r1cs) given with it can",
        )
    return WrongProvingKey(
        "proving_key",
        "the witness satisfies the circuit, but the proof does not verify and is kept back: the key is damaged or "
        "another circuit's; verify it with its powers of tau, or take it again from where it came",
    )


def prove(
    proving_key: ProvingKey,
    witness: Rows,
    progress: Progress | None = None,
    threads: int = 1,
    system: R1CS | None = None,
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
    system
        The constraint system, where it is known. It tells a wrong key from a wrong witness, and costs little while all
        is well.

    Raises
    ------
    WrongLength, OutOfRange
        The witness has another shape, or holds what is no field element.
    WrongProvingKey
        The key is not the ``system``'s, or is damaged: its points contradict each other, or the witness satisfies the
        system and the proof does not verify.
    Unsatisfied
        The witness violates a constraint of the ``system``. Without one: the proof does not verify, for that reason or
        for the key's. Key and witness alone cannot tell which: a key holds A and B but not C, so that for any witness
        there is a system with the same A and B that it satisfies, and to which the key does not belong.
    """
    if system is not None:
        proving_key.check_circuit(system)
    key, tell = proving_key, progress or (lambda fraction: None)
    if witness.ndim == 2 and len(witness) != key.n_wires:
        why = f"the key is for {key.n_wires} wires, the witness has {len(witness)}: they are of different circuits"
        raise WrongLength("witness", why)
    wires = encode_witness(witness, key.n_wires)
    values = np.zeros((3, 1 << key.domain_bits, 4), np.uint64)
    rooms = Rooms(_room_bytes(key.size))
    sum_a = MultiScalarSum(g1, key.points_a, witness, rooms)
    sum_b = MultiScalarSum(g1, key.points_b, witness, rooms)
    sum_b2 = MultiScalarSum(g2, key.points_b2, witness, rooms)
    sum_c = MultiScalarSum(g1, key.points_c, witness[key.n_public + 1 :], rooms)
    sum_h = MultiScalarSum(g1, key.points_h, values[0], rooms)
    tasks = _quotient_tasks(key, wires, values, sum_h.tasks)
    for total in (sum_b2, sum_a, sum_b, sum_c):
        tasks += total.tasks()
    with pool(threads) as executor:
        run(tasks, executor, lambda part: tell(0.95 * part))
    values[:] = 0

    vk = key.verifying_key
    beta, delta = g1.decode(key.constants)
    r, s = secrets.randbelow(R), secrets.randbelow(R)
    point_a = g1.add(g1.add(vk.alpha, g1.decode(sum_a.result())[0]), g1.multiply(delta, r))
    point_b = g2.add(g2.add(vk.beta, g2.decode(sum_b2.result())[0]), g2.multiply(vk.delta, s))
    point_b1 = g1.add(g1.add(beta, g1.decode(sum_b.result())[0]), g1.multiply(delta, s))
    point_c = g1.add(g1.decode(sum_c.result())[0], g1.decode(sum_h.result())[0])
    for addend in g1.multiply_each([point_a, point_b1, delta], [s, r, -r * s]):
        point_c = g1.add(point_c, addend)

    proof = Proof(point_a, point_b, point_c)
    public = from_limbs(witness[1 : key.n_public + 1])
    if not key.prepared_verifying_key.verify(proof, public):
        raise _unproved(key, witness, system, threads)
    tell(1.0)
    return proof, public
