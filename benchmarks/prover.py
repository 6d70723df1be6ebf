"""Groth16 setup and proving beside groth16py (arkworks): time, ratio, memory, in one run with every proof verified.

    pip install '.[bench]'
    python -m benchmarks.prover                    # 2^10 to 2^16 constraints; --largest 18 for more
    ZKSHARE_BACKEND=portable python -m benchmarks.prover

The circuit is a chain of squarings and additions with one public input, whose witness is uniform, so of full size; that
is the worst case. Both sides read the same ``.r1cs`` and ``.wtns`` files. Figures are the best of several runs by
processor time, with one thread each; ``threads`` is by the clock and needs idle cores.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"  # before groth16py starts its threads

import groth16py
import numpy as np

from benchmarks.groth16 import microseconds
from circuits.constraints import ConstraintSystem
from zkcore.bn254 import G1_GENERATOR, R
from zkcore.cpu import BACKEND
from zkcore.formats import r1cs, wtns, zkey
from zkcore.groth16 import Proof, ProvingKey, VerifyingKey, prove, setup
from zkcore.groups import g1
from zkcore.msm import MultiScalarSum
from zkcore.multiples import FixedBase
from zkcore.ntt import Domain
from zkcore.r1cs import R1CS
from zkcore.tasks import run


def chain(constraints: int) -> tuple[R1CS, Any]:
    """x -> x^2 + 1, ``constraints`` times; the last value is public."""
    cs = ConstraintSystem("chain")
    last = cs.public("last")
    value, number = cs.private("first"), secrets.randbelow(R)
    inputs = {"first": number}
    for _ in range(constraints - 1):
        value = value * value + 1
        number = (number * number + 1) % R
    cs.enforce_equal(value, last, "last")
    circuit = cs.finish()
    return circuit.r1cs(), circuit.witness({**inputs, "last": number})


def uniform(count: int) -> Any:
    """Uniform scalars ``uint64[count, 4]`` below 2^253."""
    rows = np.frombuffer(bytearray(secrets.token_bytes(32 * count)), np.uint64).reshape(count, 4)
    rows[:, 3] >>= np.uint64(3)
    return rows


def proof_system(system: R1CS, witness: Any, folder: Path, runs: int) -> dict[str, float]:
    """Seconds of setup, proof and key loading, and the ratios to groth16py."""
    (folder / "c.r1cs").write_bytes(r1cs.write(system))
    (folder / "w.wtns").write_bytes(wtns.write(witness))

    def seconds(operation: Any, clock: Any = time.process_time) -> float:
        return microseconds(operation, runs=runs, clock=clock) / 1e6

    proving_key, verifying_key = setup(system)
    prepared = verifying_key.prepare()
    proof, public = prove(proving_key, witness)
    assert prepared.verify(proof, public)
    data = proving_key.to_bytes()
    (folder / "k.zkey").write_bytes(zkey.write(proving_key))
    figures = {
        "setup_s": seconds(lambda: setup(system)),
        "prove_s": seconds(lambda: prove(proving_key, witness)),
        "prove_two_threads_by_the_clock_s": seconds(lambda: prove(proving_key, witness, threads=2), time.perf_counter),
        "load_key_s": seconds(lambda: ProvingKey.from_bytes(data)),
    }
    peer_key, peer_verifying = groth16py.setup(str(folder / "c.r1cs"))
    peer_proof = Proof.from_bytes(groth16py.prove_wtns(peer_key, str(folder / "w.wtns")))
    assert VerifyingKey.from_snarkjs(json.loads(peer_verifying.to_json())).prepare().verify(peer_proof, public)
    figures["groth16py_setup_s"] = seconds(lambda: groth16py.setup(str(folder / "c.r1cs")))
    figures["groth16py_prove_s"] = seconds(lambda: groth16py.prove_wtns(peer_key, str(folder / "w.wtns")))
    figures["setup_ratio"] = figures["setup_s"] / figures["groth16py_setup_s"]
    figures["prove_ratio"] = figures["prove_s"] / figures["groth16py_prove_s"]
    return figures


def parts(bits: int, runs: int) -> dict[str, float]:
    """Seconds of a multi-scalar multiplication in G1 and of a transform to the coset, 2^bits terms."""
    points, scalars = np.empty((1 << bits, 2, 4), np.uint64), uniform(1 << bits)
    FixedBase(g1, G1_GENERATOR).multiply(uniform(1 << bits), points)

    def multiply() -> Any:
        total = MultiScalarSum(g1, points, scalars)
        run(total.tasks())
        return total.result()

    multiply()
    roots, rows = Domain(bits), uniform(1 << bits)
    roots.shift_to_coset(rows)
    return {
        "msm_g1_s": microseconds(multiply, runs=runs) / 1e6,
        "ntt_pair_s": microseconds(lambda: roots.shift_to_coset(rows), runs=runs) / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=16, help="proofs up to 2^LARGEST constraints")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "backend": BACKEND,
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "groth16py": importlib.metadata.version("groth16py"),
    }
    with tempfile.TemporaryDirectory() as folder:
        for bits in range(10, arguments.largest + 1, 2):
            figures = proof_system(*chain((1 << bits) - 2), Path(folder), arguments.runs)
            figures |= parts(bits, arguments.runs)
            figures["peak_memory_so_far_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            report[f"2^{bits}"] = {name: round(value, 4) for name, value in figures.items()}
            print(f"2^{bits}", report[f"2^{bits}"], file=sys.stderr, flush=True)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
