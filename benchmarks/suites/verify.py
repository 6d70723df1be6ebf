"""Groth16 verification of one proof: by number of public inputs, cold and warm, and as a whole process."""

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import BEST, OURS, PORTABLE, Case, Contender, Gap, Limit, Options, Trial
from benchmarks.peers import invite
from benchmarks.suites.pairing import products

INPUTS = (1, 3, 16, 32, 64)
PER_INPUT = 43 * 11
"""A table of 43 windows of 6 bits for each input, 11 products an addition."""


def cases(options: Options) -> Iterator[Case]:
    """One proof at a time."""
    for inputs in INPUTS:
        for backend in (BEST, PORTABLE):
            yield Case(
                "verify",
                "one proof",
                {"inputs": inputs},
                partial(_one, options, inputs),
                backend=backend,
                grows="inputs",
                seconds=5 if inputs == 3 else 3,
                quick=backend == BEST or inputs == 3,
            )
    yield Case("verify", "key prepared", {"inputs": 3}, _prepare, seconds=2)
    yield Case("verify", "whole process, warm", {"inputs": 3}, partial(_process, options), seconds=12)
    yield Case(
        "verify",
        "first verification, nothing compiled",
        {"inputs": 3},
        partial(_start, False, not options.full),
        seconds=25,
    )
    yield Case("verify", "first verification, kernels compiled", {"inputs": 3}, partial(_start, True, False), seconds=8)
    yield Case("verify", "proof, bytes", {}, _size, unit="B", seconds=1)


def _one(options: Options, inputs: int) -> Trial:
    from benchmarks.material import proofs
    from zkcore.bn254 import R
    from zkcore.groth16 import Proof

    made = proofs(inputs)
    items = [*made.items[:-1], (made.items[-1][0], [*made.items[-1][1][:-1], (made.items[-1][1][-1] + 1) % R])]
    encoded = [(proof.to_bytes(), public) for proof, public in items]

    def ours() -> list[bool]:
        return [made.prepared.verify(Proof.from_bytes(proof), public) for proof, public in encoded]

    def with_groth16py() -> Contender:
        from benchmarks.peers import groth16py

        return Contender("groth16py", groth16py.verifier(made.key, encoded), count=len(items))

    def with_zksnake() -> Contender:
        from benchmarks.peers import zksnake

        return Contender("zksnake", zksnake.verifier(made.key, items), count=len(items))

    def with_pyrevm() -> Contender:
        from benchmarks.peers import pyrevm

        return Contender(
            "pyrevm, its pairing check alone", *_evm(pyrevm.precompile(8), made.key, items), count=len(items)
        )

    def with_py_ecc() -> Contender:
        from benchmarks.peers import py_ecc

        checks = [_equation(made.key, *item) for item in (items[0], items[-1])]
        return Contender(
            "py-ecc, its pairing check alone",
            lambda: [py_ecc.check(*check) for check in checks],
            lambda out: [out[0]] * (len(items) - 1) + [out[1]],
            2,
        )

    peers: list[Contender | Gap] = [invite("groth16py", options, with_groth16py)]
    if inputs == 3:
        peers += [
            invite("zksnake", options, with_zksnake),
            invite("pyrevm", options, with_pyrevm),
            invite("py-ecc", options, with_py_ecc),
        ]
    return Trial(
        [Contender(OURS, ours, count=len(items)), *peers],
        [True] * (len(items) - 1) + [False],
        Limit(
            products().kernel,
            products().miller(1, 2) + products().final + PER_INPUT * inputs,
            "Miller's loop over three pairs, two of them with lines that are kept, tables for the inputs",
        ),
    )


def _equation(key: Any, proof: Any, public: Any) -> tuple[list[Any], list[Any]]:
    """The four pairs whose product is one if the proof holds."""
    from zkcore.groups import g1

    total = key.ic[0]
    for value, point in zip(public, key.ic[1:], strict=True):
        total = g1.add(total, g1.multiply(point, value))
    return [g1.negate(proof.a), key.alpha, total, proof.c], [proof.b, key.beta, key.gamma, key.delta]


def _evm(call: Any, key: Any, items: Any) -> tuple[Any, Any]:
    from zkcore.formats.points import g1_to_bytes, g2_to_bytes

    inputs = []
    for item in items:
        firsts, seconds = _equation(key, *item)
        pairs = (g1_to_bytes(p) + g2_to_bytes(q) for p, q in zip(firsts, seconds, strict=True))
        inputs.append(b"".join(pairs))
    return lambda: [call(data) for data in inputs], lambda out: [answer[-1] == 1 for answer in out]


def _prepare() -> Trial:
    from benchmarks.material import proofs

    made = proofs(3)
    return Trial([Contender(OURS, made.key.prepare, lambda prepared: prepared.verify(*made.items[0]))], True)


def _process(options: Options) -> Trial:
    from benchmarks.material import folder, proofs
    from benchmarks.peers import program
    from benchmarks.process import run

    files = [str(file) for file in proofs(3).write(folder("snarkjs"))]

    def outside(name: str, *command: str) -> Contender:
        return Contender(
            name, lambda: run([*command, *files], check=False), lambda used: used.status == 0, 1, lambda used: used.cpu
        )

    return Trial(
        [
            outside(OURS, sys.executable, "-m", "services.cli", "proof", "verify"),
            invite("snarkjs", options, lambda: outside("snarkjs", str(program("snarkjs")), "groth16", "verify")),
        ],
        True,
    )


def _start(warm: bool, once: bool) -> Trial:
    """A fresh process, by its processor time; cold, each sample with a cache folder of its own."""
    from benchmarks.material import folder, proofs
    from benchmarks.process import program, run
    from benchmarks.programs import write_items

    made = proofs(3)
    file = write_items(
        folder("start") / "items.json" if not warm else folder("warm") / "items.json", made.key, made.items
    )

    def first() -> Any:
        if warm:
            return run(program("verify", str(file)))
        with tempfile.TemporaryDirectory(dir=Path(file).parent) as cache:
            return run(program("verify", str(file)), {"NUMBA_CACHE_DIR": cache})

    return Trial([Contender(OURS, first, lambda used: used.status, 1, lambda used: used.cpu)], 0, once=once)


def _size() -> Trial:
    from benchmarks.material import proofs

    proof = proofs(3).items[0][0]
    return Trial([Contender(OURS, proof.to_bytes, lambda data: len(data) > 0, 1, lambda data: float(len(data)))], True)
