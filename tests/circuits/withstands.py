"""One call that holds a circuit and a witness to everything a proof must withstand."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from circuits.constraints import Circuit
from zkcore import groth16
from zkcore.bn254 import P, R
from zkcore.errors import Refused, Unsatisfied
from zkcore.formats import evm, mapped_key
from zkcore.groth16 import Proof, VerifyingKey


def withstands(circuit: Circuit, witness: NDArray[np.uint64]) -> None:
    """Prove, verify, carry through every encoding, tamper with every public input and proof part, cheat the prover."""
    proving_key, verifying_key = groth16.setup(circuit.r1cs())
    proof, public = groth16.prove(proving_key, witness)
    prepared = verifying_key.prepare()
    assert prepared.verify(proof, public)
    assert len(public) == len(circuit.public_names)

    again, _ = groth16.prove(mapped_key.read(mapped_key.write(proving_key)), witness)
    assert again != proof, "a proof must be blinded anew each time"
    assert VerifyingKey.from_bytes(verifying_key.to_bytes()).prepare().verify(again, public)
    assert VerifyingKey.from_snarkjs(verifying_key.to_snarkjs()) == verifying_key
    assert Proof.from_snarkjs(proof.to_snarkjs()) == proof == Proof.from_bytes(proof.to_bytes())
    assert in_the_precompile(verifying_key, proof, public)

    for index, value in enumerate(public):
        for other in ((value + 1) % R, 0 if value else 1):
            assert not prepared.verify(proof, [*public[:index], other, *public[index + 1 :]])
        with pytest.raises(Refused):
            prepared.verify(proof, [*public[:index], value + R, *public[index + 1 :]])
    for wrong in (public[:-1], [*public, 0]):
        with pytest.raises(Refused):
            prepared.verify(proof, wrong)

    negated = {
        "a": (proof.a[0], P - proof.a[1]),
        "b": (proof.b[0], (P - proof.b[1][0], P - proof.b[1][1])),
        "c": (proof.c[0], P - proof.c[1]),
    }
    for name, point in negated.items():
        tampered = dataclasses.replace(proof, **{name: point})
        assert not prepared.verify(tampered, public)
        assert not in_the_precompile(verifying_key, tampered, public)
        assert not prepared.verify(dataclasses.replace(proof, **{name: getattr(again, name)}), public)
    encoded = proof.to_bytes()
    for position in range(0, len(encoded), 5):
        tampered_bytes = bytes([*encoded[:position], encoded[position] ^ 1, *encoded[position + 1 :]])
        try:
            assert not prepared.verify(Proof.from_bytes(tampered_bytes), public)
        except Refused:
            continue

    for wire in {1, len(public) + 1, len(witness) // 2, len(witness) - 1}:
        wrong_witness = witness.copy()
        wrong_witness[wire, 0] ^= 1
        with pytest.raises(Unsatisfied):
            groth16.prove(proving_key, wrong_witness)


def in_the_precompile(key: VerifyingKey, proof: Proof, public: list[int]) -> bool:
    """The verification equation as a contract computes it: EIP-196 for the inputs, EIP-197 for the pairings."""

    def g1(point: tuple[int, int]) -> bytes:
        return point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")

    def g2(point: tuple[tuple[int, int], tuple[int, int]]) -> bytes:
        (x0, x1), (y0, y1) = point
        return b"".join(part.to_bytes(32, "big") for part in (x1, x0, y1, y0))

    total = g1(key.ic[0])
    for point, value in zip(key.ic[1:], public, strict=True):
        total = evm.ecadd(total + evm.ecmul(g1(point) + value.to_bytes(32, "big")))
    minus_a = (proof.a[0], P - proof.a[1])
    pairs = (
        g1(minus_a) + g2(proof.b) + g1(key.alpha) + g2(key.beta) + total + g2(key.gamma) + g1(proof.c) + g2(key.delta)
    )
    return evm.ecpairing(pairs) == (1).to_bytes(32, "big")
