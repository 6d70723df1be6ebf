"""groth16py: arkworks' Groth16 from Python."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import groth16py


def verifier(key: Any, items: Sequence[tuple[bytes, Sequence[int]]]) -> Callable[[], list[bool]]:
    """Verification of proofs in bytes, one after the other, with a prepared key."""
    prepared = groth16py.Verifier(groth16py.VerifyingKey.from_snarkjs(json.dumps(key.to_snarkjs())))

    def one(proof: bytes, public: Sequence[int]) -> bool:
        try:
            return bool(prepared.verify(proof, public))
        except groth16py.VerificationError:
            return False

    return lambda: [one(proof, public) for proof, public in items]


def setup(r1cs: Path) -> tuple[Any, Any]:
    """A development setup: proving and verifying key."""
    return groth16py.setup(str(r1cs))


def prove(key: Any, wtns: Path) -> bytes:
    """A proof from a witness file, in the EVM's order of bytes."""
    return bytes(groth16py.prove_wtns(key, str(wtns)))


def snarkjs_key(key: Any) -> dict[str, Any]:
    """Its verifying key as snarkjs has it."""
    value: dict[str, Any] = json.loads(key.to_json())
    return value
