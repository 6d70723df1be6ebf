"""Whatever an adapter gets wrong is caught: a peer's result is spoilt in every kind of case that has a truth."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from benchmarks import measure, runner
from benchmarks.case import Case, Contender, Gap, Options
from benchmarks.measure import MEASURED, WRONG
from benchmarks.peers import invite
from benchmarks.report.model import is_ours

SUITES = ("field", "pairing", "verify", "batch", "prove", "paillier")
CASES = (
    "field/Fp products, a chain",
    "field/Fp12 product",
    "field/product modulo N^2(bits=2048)",
    "pairing/Miller loop",
    "pairing/final exponentiation",
    "pairing/EVM pairing check(pairs=2)",
    "pairing/EVM G1 multiplication",
    "verify/one proof(inputs=3)",
    "batch/a proof in a batch(proofs=8)",
    "prove/proof(constraints=1024)",
    "prove/G1 sum of scalar multiples(terms=1024)",
    "prove/number-theoretic transform(elements=1024)",
    "paillier/add(bits=2048,rows=4096)",
    "paillier/times 32 bits(bits=2048,rows=4096)",
)
ALWAYS_THERE = {"groth16py", "py-ecc", "phe", "gmpy2"}
"""Peers that the extra `test` installs; those of the extra `bench` are put to the test wherever they are installed."""


def spoilt(value: Any) -> Any:
    """The same with a bit, a number or a truth turned."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, (list, tuple)):
        return type(value)([spoilt(value[0]), *value[1:]])
    return None


@pytest.mark.slow
def test_a_wrong_adapter_of_any_peer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(name: str, options: Options, adapter: Callable[[], Contender]) -> Contender | Gap:
        side = invite(name, options, adapter)
        return side if isinstance(side, Gap) else replace(side, result=lambda value: side.result(spoilt(value)))

    for suite in SUITES:
        module = import_module(f"benchmarks.suites.{suite}")
        if hasattr(module, "invite"):
            monkeypatch.setattr(module, "invite", spoil)
    cases: dict[str, Case] = {case.id: case for case in runner.plan(Options(SUITES, backends=("best",), budget=0.01))}
    caught = set()
    for identity in CASES:
        for found in measure.measure(cases[identity].prepare(), 0.001):
            if is_ours(found.name):
                assert found.status == MEASURED, f"{identity}: {found.reason}"
            elif found.status != measure.GAP:
                assert found.status == WRONG, f"{identity}: {found.name}"
                caught.add(found.name.partition(",")[0])
    assert caught >= ALWAYS_THERE
