"""Groth16 verification beside its peers: time, and the ratio to the peer, in one run with every answer checked.

    pip install '.[bench]'
    python -m benchmarks.groth16                    # add --quick to leave out what takes minutes
    ZKSHARE_BACKEND=portable python -m benchmarks.groth16

Figures are the best of several runs by this process's processor time, so that a busy machine disturbs them little;
``threads`` is by the clock and needs idle cores. Peers: groth16py (arkworks, Rust) for whole proofs, py-ecc for the
pairing. Public inputs are uniform, so of full size. ``cold`` is the first verification of a fresh process with an empty
kernel cache, ``warm`` that of the next process.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import groth16py
import numpy as np
from py_ecc import optimized_bn128

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, R
from zkcore.cpu import BACKEND
from zkcore.field import encode, fp, fp_zero
from zkcore.field_lanes import WIDTH, fp_lanes_zero
from zkcore.groth16 import PreparedVerifyingKey, Proof, VerifyingKey
from zkcore.groups import g1, g2
from zkcore.kernel import inner, kernel
from zkcore.number import load, store
from zkcore.pairing import finish, load_fp12, miller_product, pairing_product_is_one, store_fp12
from zkcore.tower import fp2_zero, fp12_multiply, pair

Item = tuple[Proof, list[int]]


def microseconds(operation: Callable[[], Any], count: int = 1, runs: int = 7, clock: Any = time.process_time) -> float:
    """Best time of an operation, a ``count``-th of it."""
    best = float("inf")
    for _ in range(runs):
        start = clock()
        operation()
        best = min(best, clock() - start)
    return best / count * 1e6


@inner
def _multiply_chain(like: Any, times: Any, rows: Any) -> Any:
    a, b = load(like, rows, 0), load(like, rows, 1)
    for _ in range(times):
        a = a * b
    store(rows, 0, a)


@inner
def _fp12_chain(like: Any, times: Any, rows: Any) -> Any:
    a, b = load_fp12(like, rows, 0), load_fp12(like, rows, 1)
    for _ in range(times):
        a = fp12_multiply(a, b)
    store_fp12(rows, 0, a)


@kernel
def _fp_chain(times: Any, rows: Any) -> Any:
    _multiply_chain(fp_zero(), times, rows)


@kernel
def _fp12_one_by_one(times: Any, rows: Any) -> Any:
    _fp12_chain(fp2_zero(), times, rows)


@kernel
def _lanes_chain(times: Any, rows: Any) -> Any:
    _multiply_chain(fp_lanes_zero(), times, rows)


@kernel
def _fp12_lanes(times: Any, rows: Any) -> Any:
    _fp12_chain(pair(fp_lanes_zero(), fp_lanes_zero()), times, rows)


def report(name: str, value: float, peer: float | None = None, unit: str = "us") -> None:
    ratio = f"{value / peer:10.4f} of the peer's {peer:,.1f}" if peer else ""
    print(f"{name:<44}{value:12,.3f} {unit:<3}{ratio}", flush=True)


def arithmetic() -> None:
    times = 20_000
    rows = encode(fp, list(range(1 << 60, (1 << 60) + 24)))
    for name, chain in (("Fp product, chain", _fp_chain), ("Fp12 product, chain", _fp12_one_by_one)):
        chain(1, rows)
        report(name, microseconds(lambda chain=chain: chain(times, rows), times) * 1000, unit="ns")
    if BACKEND == "avx512ifma":
        wide = np.random.default_rng(1).integers(0, 1 << 45, (24, 5 * WIDTH), dtype=np.uint64)
        for name, chain in (
            ("Fp product in lanes, a lane", _lanes_chain),
            ("Fp12 product in lanes, a lane", _fp12_lanes),
        ):
            chain(1, wide)
            report(name, microseconds(lambda chain=chain: chain(times, wide), times * WIDTH) * 1000, unit="ns")


def pairing() -> None:
    peer = microseconds(lambda: optimized_bn128.pairing(optimized_bn128.G2, optimized_bn128.G1), runs=2)
    product, out = miller_product([G1_GENERATOR], [G2_GENERATOR]), np.empty((1, 12, 4), dtype=np.uint64)
    finish(product, out)
    assert pairing_product_is_one([G1_GENERATOR, g1.negate(G1_GENERATOR)], [G2_GENERATOR] * 2)
    loop = microseconds(lambda: miller_product([G1_GENERATOR], [G2_GENERATOR]), runs=30)
    end = microseconds(lambda: finish(product, out), runs=30)
    report("Miller loop, with every check of the points", loop)
    report("final exponentiation", end)
    report("pairing (peer py-ecc)", loop + end, peer)
    report("G1 times a scalar", microseconds(lambda: g1.multiply(G1_GENERATOR, R - 2), runs=30))
    report("G2 times a scalar", microseconds(lambda: g2.multiply(G2_GENERATOR, R - 2), runs=30))


def circuit(inputs: int, folder: Path) -> tuple[PreparedVerifyingKey, Any, list[Item], list[bytes]]:
    """A key with as many public inputs, the peer's verifier, and sixteen proofs in both forms."""
    path = folder / f"inputs{inputs}.circom"
    path.write_text(
        "pragma circom 2.0.0;\ntemplate T(n) { signal input x[n]; signal input a; signal s[n];\n"
        "for (var i = 0; i < n; i++) { s[i] <== x[i] * a; } }\n"
        f"component main {{public [x]}} = T({inputs});\n"
    )
    prover, verifier = groth16py.setup_circom(str(path))
    key = VerifyingKey.from_snarkjs(json.loads(verifier.to_json())).prepare()
    items, blobs = [], []
    for _ in range(16):
        public = [secrets.randbelow(R) for _ in range(inputs)]
        blob = groth16py.prove(prover, {"x": public, "a": secrets.randbelow(R)})
        items.append((Proof.from_bytes(blob), public))
        blobs.append(blob)
    return key, groth16py.Verifier(verifier), items, blobs


def verification(folder: Path, quick: bool) -> None:
    for inputs in (1, 3, 16, 64):
        key, peer, items, blobs = circuit(inputs, folder)
        assert all(key.verify(*item) for item in items)
        assert not key.verify(items[0][0], [*items[0][1][:-1], (items[0][1][-1] + 1) % R])
        theirs = microseconds(
            lambda p=peer, i=items, b=blobs: [p.verify(x, y) for x, (_, y) in zip(b, i, strict=True)], 16
        )
        report(f"verify, {inputs} inputs", microseconds(lambda k=key, i=items: [k.verify(*x) for x in i], 16), theirs)
        if inputs == 3:
            batches(key, items, theirs, quick)


def batches(key: PreparedVerifyingKey, items: list[Item], theirs: float, quick: bool) -> None:
    assert key.verify_batch(items) == []
    for size in (1, 8, 64, 256, 1024, 4096)[: 5 if quick else 6]:
        batch = (items * (size // len(items) + 1))[:size]
        report(f"batch of {size}, a proof", microseconds(lambda b=batch: key.verify_batch(b), size, 5), theirs)
    clean = items * 64
    spoilt = [*clean[:700], (items[1][0], items[2][1]), *clean[701:]]
    assert key.verify_batch(spoilt) == [700]
    good = microseconds(lambda: key.verify_batch(clean), 1024, 5)
    report(
        "batch of 1024, one bad: against clean",
        microseconds(lambda: key.verify_batch(spoilt), 1024, 5) / good,
        unit="x",
    )
    if not quick:
        one, two = (microseconds(lambda t=t: key.verify_batch(items * 256, t), clock=time.perf_counter) for t in (1, 2))
        report("batch of 4096, two threads: rate against one", one / two, unit="x")


_START = """
import json, sys, time
begin = time.process_time()
from zkcore.groth16 import Proof, VerifyingKey
key = VerifyingKey.from_bytes(bytes.fromhex(sys.argv[1])).prepare()
assert key.verify(Proof.from_bytes(bytes.fromhex(sys.argv[2])), json.loads(sys.argv[3]))
print(time.process_time())
"""


def starts(folder: Path) -> None:
    """First verification of a process, from its start, with the kernels' cache empty and then full."""
    key, _, items, blobs = circuit(3, folder)
    arguments = [key.key.to_bytes().hex(), blobs[0].hex(), json.dumps(items[0][1])]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")}
    for name in ("cold", "warm"):
        command = [sys.executable, "-c", _START, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        report(f"{name} start to the first verification", float(done.stdout), unit="s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numba", "groth16py", "py-ecc"))
    print(f"{platform.machine()}, Python {platform.python_version()}, {versions}; back end {BACKEND}")
    with tempfile.TemporaryDirectory() as name:
        arithmetic()
        pairing()
        verification(Path(name), quick)
        starts(Path(name))


if __name__ == "__main__":
    main()
