"""What cases are made of: circuits, keys, proofs, files. Made once a process, with fresh secrets and uniform inputs."""

import json
import secrets
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from circuits.constraints import ConstraintSystem
from zkcore import groth16
from zkcore.bn254 import R
from zkcore.formats import r1cs, wtns, zkey
from zkcore.groth16 import PreparedVerifyingKey, Proof, ProvingKey, VerifyingKey
from zkcore.r1cs import R1CS

DISTINCT = 16
"""Different proofs in a batch; a batch repeats them, which changes nothing for a verifier that looks at each."""

_folder = tempfile.TemporaryDirectory(prefix="zkshare-bench-")


@cache
def folder(name: str) -> Path:
    """A folder of this process for files."""
    path = Path(_folder.name, name)
    path.mkdir()
    return path


class Proofs(NamedTuple):
    """A key, and valid proofs of it with their public inputs."""

    key: VerifyingKey
    prepared: PreparedVerifyingKey
    items: list[tuple[Proof, list[int]]]

    def repeated(self, size: int) -> list[tuple[Proof, list[int]]]:
        """So many items."""
        return (self.items * (size // len(self.items) + 1))[:size]

    def write(self, path: Path) -> tuple[Path, Path, Path]:
        """snarkjs's three files of the first proof: key, public inputs, proof."""
        proof, public = self.items[0]
        files = path / "verification_key.json", path / "public.json", path / "proof.json"
        for file, value in zip(
            files, (self.key.to_snarkjs(), [str(x) for x in public], proof.to_snarkjs()), strict=True
        ):
            file.write_text(json.dumps(value), encoding="utf-8")
        return files


@cache
def proofs(inputs: int) -> Proofs:
    """Sixteen proofs of a circuit with so many public inputs, each the product of two private numbers."""
    cs = ConstraintSystem(f"products{inputs}")
    public = [cs.public(f"x{i}") for i in range(inputs)]
    for i, value in enumerate(public):
        a, b = cs.privates(f"s{i}", 2)
        cs.enforce(a, b, value, f"x{i}")
    circuit = cs.finish()
    proving_key, verifying_key = groth16.setup(circuit.r1cs())
    items = []
    for _ in range(DISTINCT):
        given: dict[str, Any] = {}
        for i in range(inputs):
            factors = [secrets.randbelow(R), secrets.randbelow(R)]
            given |= {f"s{i}": factors, f"x{i}": factors[0] * factors[1] % R}
        items.append(groth16.prove(proving_key, circuit.witness(given)))
    return Proofs(verifying_key, verifying_key.prepare(), items)


class Chain(NamedTuple):
    """A circuit of so many constraints with a witness that is uniform, so of full size, the worst case of a prover."""

    system: R1CS
    witness: Any
    public: list[int]


@cache
def chain(bits: int) -> Chain:
    """x -> x^2 + 1, almost 2^bits times, so that the domain is 2^bits; the last value is public."""
    count = (1 << bits) - 2
    cs = ConstraintSystem("chain")
    last = cs.public("last")
    value, number = cs.private("first"), secrets.randbelow(R)
    inputs = {"first": number}
    for _ in range(count - 1):
        value = value * value + 1
        number = (number * number + 1) % R
    cs.enforce_equal(value, last, "last")
    circuit = cs.finish()
    return Chain(circuit.r1cs(), circuit.witness({**inputs, "last": number}), [number])


@cache
def chain_keys(bits: int) -> tuple[ProvingKey, VerifyingKey]:
    """Keys of the chain's circuit."""
    return groth16.setup(chain(bits).system)


@cache
def chain_files(bits: int) -> dict[str, Path]:
    """``r1cs``, ``wtns`` and ``zkey`` files of the chain's circuit, as circom's world has them."""
    here, circuit = folder(f"chain{bits}"), chain(bits)
    files = {name: here / f"chain.{name}" for name in ("r1cs", "wtns", "zkey")}
    files["r1cs"].write_bytes(r1cs.write(circuit.system))
    files["wtns"].write_bytes(wtns.write(circuit.witness))
    files["zkey"].write_bytes(zkey.write(chain_keys(bits)[0]))
    return files


def uniform(count: int) -> Any:
    """Uniform scalars ``uint64[count, 4]`` below 2^253."""
    rows = np.frombuffer(bytearray(secrets.token_bytes(32 * count)), np.uint64).reshape(count, 4)
    rows[:, 3] >>= np.uint64(3)
    return rows
