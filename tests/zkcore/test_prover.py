"""Setup and prover: proofs that independent verifiers accept, wrong witnesses and damaged keys that are refused."""

import json
import tracemalloc
from dataclasses import replace

import groth16py
import numpy as np
import pytest
from node import needs_snarkjs, run_script
from systems import chain, matrix

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R
from zkcore.errors import (
    OutOfRange,
    Refused,
    Unsatisfied,
    WrongLength,
    WrongProvingKey,
)
from zkcore.formats.snarkjs import public_to_json
from zkcore.groth16 import Proof, ProvingKey, VerifyingKey, prove, prover, setup
from zkcore.groth16.prover import memory_needed
from zkcore.groth16.proving_key import POINTS, KeySize
from zkcore.groups import g1, g2
from zkcore.limbs import from_limbs, to_limbs
from zkcore.ntt import domain
from zkcore.r1cs import R1CS


def oracle_accepts(key: VerifyingKey, proof: Proof, public: list[int]) -> bool:
    """What arkworks says."""
    oracle = groth16py.VerifyingKey.from_snarkjs(json.dumps(key.to_snarkjs()))
    return groth16py.Verifier(oracle).verify(proof.to_bytes(), public)


@pytest.fixture(scope="module")
def proved():
    """Keys of a circuit with two public inputs, a witness, its proof and public inputs."""
    system, witness = chain(20, 2)
    proving_key, verifying_key = setup(system)
    return system, proving_key, verifying_key, witness, *prove(proving_key, witness)


@pytest.mark.parametrize(("length", "n_public"), [(1, 1), (2, 1), (3, 2), (6, 1), (7, 1), (40, 30), (600, 3)])
def test_sizes(length: int, n_public: int) -> None:
    """Systems that fill their domain, leave one row of it, and need the next."""
    system, witness = chain(length, n_public)
    proving_key, verifying_key = setup(system)
    proof, public = prove(proving_key, witness)
    assert public == from_limbs(witness[1 : n_public + 1])
    assert verifying_key.prepare().verify(proof, public)
    assert oracle_accepts(verifying_key, proof, public)


def test_arkworks_agrees_on_changed_inputs(proved) -> None:
    *_, key, _, proof, public = proved
    assert oracle_accepts(key, proof, public)
    for index in range(len(public)):
        changed = [*public[:index], (public[index] + 1) % R, *public[index + 1 :]]
        assert not key.prepare().verify(proof, changed)
        assert not oracle_accepts(key, proof, changed)


def test_a_circuit_without_public_inputs() -> None:
    """x^3 = 27 for a private x: only what the constant wire says is public."""
    system = R1CS(0, 3, matrix([{1: 1}, {2: 1}]), matrix([{1: 1}, {1: 1}]), matrix([{2: 1}, {0: 27}]))
    proving_key, verifying_key = setup(system)
    proof, public = prove(proving_key, to_limbs([1, 3, 9]))
    assert public == []
    assert verifying_key.prepare().verify(proof, [])
    with pytest.raises(Unsatisfied):
        prove(proving_key, to_limbs([1, 2, 4]))


def test_unused_wires_and_public_inputs() -> None:
    """A public input that no constraint names is bound nevertheless."""
    system = R1CS(2, 5, matrix([{1: 1}]), matrix([{3: 1}]), matrix([{0: 6}]))
    proving_key, verifying_key = setup(system)
    proof, public = prove(proving_key, to_limbs([1, 2, 77, 3, 123]))
    assert verifying_key.prepare().verify(proof, public)
    assert not verifying_key.prepare().verify(proof, [2, 78])


def test_every_wrong_wire_is_refused(proved) -> None:
    system, proving_key, _, witness, *_ = proved
    for wire in range(1, system.n_wires):
        changed = witness.copy()
        changed[wire] = to_limbs([(from_limbs(changed[wire])[0] + 1) % R])[0]
        with pytest.raises(Unsatisfied) as refused:
            prove(proving_key, changed)
        assert refused.value.part == "witness"


def test_malformed_witnesses_are_refused(proved) -> None:
    _, proving_key, _, witness, *_ = proved
    for changed in (witness[1:], witness[:-1], witness.astype(np.int64), witness[:, :3]):
        with pytest.raises(WrongLength):
            prove(proving_key, changed)
    with pytest.raises(WrongLength, match=f"for {len(witness)} wires, the witness has {len(witness) - 1}"):
        prove(proving_key, witness[1:])
    for wire, value in ((0, 0), (0, 2), (4, R), (5, 2**256 - 1)):
        changed = witness.copy()
        changed[wire] = to_limbs([value])[0]
        with pytest.raises(OutOfRange):
            prove(proving_key, changed)


def test_every_element_of_a_proof_is_bound(proved) -> None:
    *_, key, _, proof, public = proved
    prepared = key.prepare()
    for changed in [
        replace(proof, a=G1_GENERATOR),
        replace(proof, b=G2_GENERATOR),
        replace(proof, c=G1_GENERATOR),
        replace(proof, a=g1.negate(proof.a)),
        replace(proof, b=g2.negate(proof.b)),
        replace(proof, c=g1.negate(proof.c)),
        replace(proof, a=proof.c, c=proof.a),
    ]:
        assert not prepared.verify(changed, public)
    data = proof.to_bytes()
    for at in range(0, len(data), 32):
        number = (int.from_bytes(data[at : at + 32], "big") + 1) % P
        with pytest.raises(Refused):
            prepared.verify(Proof.from_bytes(data[:at] + number.to_bytes(32, "big") + data[at + 32 :]), public)


def test_proofs_are_blinded(proved) -> None:
    """Two proofs of one witness share nothing, and both hold."""
    _, proving_key, verifying_key, witness, proof, public = proved
    other, _ = prove(proving_key, witness)
    assert {other.a, other.b, other.c}.isdisjoint({proof.a, proof.b, proof.c})
    assert verifying_key.prepare().verify(other, public)


def test_setups_differ(proved) -> None:
    system, _, verifying_key, _, proof, public = proved
    other = setup(system)[1]
    assert not {verifying_key.alpha, verifying_key.beta, verifying_key.delta} & {other.alpha, other.beta, other.delta}
    assert not other.prepare().verify(proof, public)


def test_threads_and_progress(proved) -> None:
    system, proving_key, _, witness, *_ = proved
    told: list[float] = []
    prove(proving_key, witness, progress=told.append, threads=2)
    setup_told: list[float] = []
    proving_key, _ = setup(system, progress=setup_told.append, threads=2)
    prove(proving_key, witness)
    for fractions in (told, setup_told):
        assert fractions == sorted(fractions)
        assert 0 < fractions[0] < fractions[-1] == 1.0
    with pytest.raises(ValueError, match="thread"):
        prove(proving_key, witness, threads=0)


def test_a_witness_is_left_as_it_was(proved) -> None:
    _, proving_key, _, witness, *_ = proved
    copy = witness.copy()
    prove(proving_key, witness)
    assert (copy == witness).all()


def test_key_and_system_too_large() -> None:
    sparse = matrix([])
    rows = np.broadcast_to(np.int64(0), (1 << 27) + 1)
    large = replace(sparse, row_start=rows)
    with pytest.raises(WrongLength):
        setup(R1CS(0, 1, large, large, large))


def arrays_of(key: ProvingKey) -> list[np.ndarray]:
    matrices = [array for matrix in (key.a, key.b) for array in vars(matrix).values()]
    return [*matrices, *(getattr(key, name) for name in POINTS)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bits", [5, 10, 13])
def test_memory_is_known_beforehand(bits: int, threads: int) -> None:
    system, witness = chain((1 << bits) - 3)
    key, _ = setup(system)
    prove(key, witness, threads=threads)  # kernels and roots of unity are there; what is left is counted
    domain.cache_clear()
    key = replace(key)
    tracemalloc.start()
    prove(key, witness, threads=threads)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert KeySize.of(system) == key.size
    assert sum(array.nbytes for array in arrays_of(key)) <= key.size.key_bytes
    assert peak <= memory_needed(key.size, threads)
    if bits > 10:
        assert memory_needed(key.size, threads) < 4 * peak


def test_a_false_key_lets_no_proof_out(proved) -> None:
    """A point exchanged in the key makes proofs that do not verify; none is returned.

    Where G1 and G2 hold the same points, the key is told to be to blame.
    """
    _, proving_key, _, witness, *_ = proved
    for name in ("points_a", "points_b", "points_b2", "points_c", "points_h"):
        points = getattr(proving_key, name)
        used = [i for i in range(len(points)) if points[i].any()]
        changed = points.copy()
        changed[used[0]] = points[used[-1]]
        with pytest.raises(WrongProvingKey if "b" in name else Unsatisfied):
            prove(replace(proving_key, **{name: changed}), witness)
    for index in range(2):
        constants = proving_key.constants.copy()
        constants[index] = proving_key.points_c[0]
        with pytest.raises(WrongProvingKey, match="contradict"):
            prove(replace(proving_key, constants=constants), witness)


def test_where_only_one_of_the_sums_of_b_is_neutral_the_key_is_damaged(proved) -> None:
    _, proving_key, _, witness, *_ = proved
    with pytest.raises(WrongProvingKey, match="contradict"):
        prove(replace(proving_key, points_b2=np.zeros_like(proving_key.points_b2)), witness)


def test_a_wrong_key_and_a_wrong_witness_are_told_apart_where_the_circuit_is_known(proved) -> None:
    system, proving_key, verifying_key, witness, *_ = proved
    foreign = replace(proving_key, r1cs_digest=None)
    points = proving_key.points_c.copy()
    points[0] = proving_key.points_a[np.flatnonzero(proving_key.points_a.any(axis=(1, 2)))[-1]]
    damaged = replace(foreign, points_c=points)
    wrong = witness.copy()
    wrong[-1] = to_limbs([(from_limbs(wrong[-1])[0] + 1) % R])[0]
    violated = system.check(wrong)
    for key in (proving_key, foreign, damaged):
        with pytest.raises(Unsatisfied, match=f"violates constraint {violated}") as refused:
            prove(key, wrong, system=system)
        assert refused.value.part == "witness"
    with pytest.raises(WrongProvingKey, match="damaged") as wrong_key:
        prove(damaged, witness, system=system)
    assert wrong_key.value.part == "proving_key"
    for key, values in ((foreign, wrong), (damaged, witness)):
        with pytest.raises(Unsatisfied, match=r"or the key is damaged or another circuit's; .*r1cs"):
            prove(key, values)
    other = replace(system, c=system.a)
    with pytest.raises(WrongProvingKey, match="digests differ"):
        prove(proving_key, witness, system=other)
    with pytest.raises(WrongProvingKey, match="numbers of wires"):
        prove(proving_key, witness, system=replace(system, n_wires=system.n_wires + 1))
    with pytest.raises(WrongProvingKey, match="fewer rows"):
        prove(proving_key, witness, system=R1CS(2, system.n_wires, *[matrix([{}] * 60)] * 3))
    for name in "ab":
        changed = matrix([{1: 1}] * system.n_constraints)
        with pytest.raises(WrongProvingKey, match=f"matrix {name.upper()} differs"):
            prove(foreign, witness, system=replace(system, **{name: changed}))
    proof, public = prove(foreign, witness, system=system)
    assert verifying_key.prepare().verify(proof, public)


def test_what_holds_the_witness_is_overwritten(proved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its copy in Montgomery form and the arrays of the quotient, also where no proof comes out."""
    _, proving_key, _, witness, *_ = proved
    held: list[np.ndarray] = []
    encode_witness, quotient = prover.encode_witness, prover._quotient

    def encoded(*arguments):
        held.append(encode_witness(*arguments))
        assert held[-1].any()
        return held[-1]

    def worked_out(*arrays):
        assert all(array.any() for array in arrays)
        held.extend(arrays)
        quotient(*arrays)

    monkeypatch.setattr(prover, "encode_witness", encoded)
    monkeypatch.setattr(prover, "_quotient", worked_out)
    before, wrong = witness.copy(), witness.copy()
    wrong[-1] = to_limbs([(from_limbs(wrong[-1])[0] + 1) % R])[0]
    prove(proving_key, witness)
    with pytest.raises(Unsatisfied):
        prove(proving_key, wrong)
    assert len(held) == 8 and not any(array.any() for array in held)
    assert (witness == before).all()


@needs_snarkjs
def test_snarkjs(proved) -> None:
    *_, key, _, proof, public = proved
    swapped = [public[1], public[0]]
    cases = [(key, public, proof), (key, swapped, proof), (key, public, replace(proof, c=proof.a))]
    text = json.dumps([[k.to_snarkjs(), public_to_json(inputs), p.to_snarkjs()] for k, inputs, p in cases])
    assert json.loads(run_script("snarkjs_verify.cjs", text=text)) == [True, False, False]
