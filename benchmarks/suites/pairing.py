"""Pairings: Miller's loop, the final exponentiation, the EVM's pairing check, multiples of points."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from benchmarks.case import OURS, Case, Contender, Limit, Options, Trial
from benchmarks.peers import invite
from benchmarks.suites.field import FP_STREAM, LANES_STREAM, from_polynomial


class Products(NamedTuple):
    """Products in Fp that Fp12's operations take, and the kernel whose throughput counts for them."""

    kernel: str
    product: int
    square: int
    cyclotomic: int
    line: int
    fixed: int

    @property
    def final(self) -> int:
        """Three powers with 62 squares and 13 products each, 12 products more and an inverse."""
        return 3 * (62 * self.cyclotomic + 13 * self.product) + 12 * self.product + 300

    def miller(self, pairs: int, fixed: int = 0) -> int:
        """64 doublings and 24 additions: 25 and 37 products with a line (Costello, Lange and Naehrig 2010)."""
        return 64 * (self.square + 25 * pairs) + 24 * 37 * pairs + 88 * (self.line * pairs + self.fixed * fixed)


# By Karatsuba over the tower, with 3 in a product of Fp2 and 2 in a square. In lanes as many as the multiply-adds of
# an operation would make (50 in a product without reduction, 55 in a reduction), all eight lanes counted.
_PARTS = Products(FP_STREAM, 54, 36, 18, 39, 34)
_LANES = Products(LANES_STREAM, 77, 54, 31, 51, 41)


def products() -> Products:
    """What one pairing takes on this back end."""
    from zkcore.cpu import BACKEND

    return _LANES if BACKEND == "avx512ifma" else _PARTS


def cases(options: Options) -> Iterator[Case]:
    """Steps and the whole."""
    yield Case("pairing", "Miller loop", {}, partial(_miller, options), seconds=4)
    yield Case("pairing", "final exponentiation", {}, partial(_final, options), seconds=4)
    for backend in ("best", "portable"):
        yield Case(
            "pairing", "EVM pairing check", {"pairs": 2}, partial(_check, options, 2), backend=backend, seconds=6
        )
    yield Case("pairing", "EVM pairing check", {"pairs": 4}, partial(_check, options, 4), quick=False, seconds=12)
    yield Case("pairing", "EVM G1 multiplication", {}, partial(_multiple, options), seconds=3)
    yield Case("pairing", "EVM pairing check, gas", {"pairs": 4}, partial(_gas, options), unit="gas", seconds=2)


def _points() -> tuple[Any, Any, int]:
    import secrets

    from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, R
    from zkcore.groups import g1, g2

    a = secrets.randbelow(R - 2) + 2
    return g1.multiply(G1_GENERATOR, a), g2.multiply(G2_GENERATOR, 5), a


def _truth(a: int) -> list[int]:
    """The pairing of the points by bilinearity, from other points."""
    from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR
    from zkcore.groups import g1, g2
    from zkcore.pairing import pairing_product

    return pairing_product([g1.multiply(G1_GENERATOR, 5)], [g2.multiply(G2_GENERATOR, a)])


def _more(value: Any) -> list[int]:
    """A reduced pairing of py-ecc's to the power that our final exponentiation has more."""
    from benchmarks.peers.py_ecc import coefficients
    from zkcore.bn254 import U

    return from_polynomial(coefficients(value ** (2 * U * (6 * U * U + 3 * U + 1))))


def _halves(p: Any, q: Any) -> tuple[Any, Any]:
    """Functions: Miller's loop of two points, and the final exponentiation of what it gives."""
    import numpy as np

    from benchmarks.chains import exponentiation, miller_loop
    from zkcore.groups import g1, g2
    from zkcore.pairing import NOTHING_FIXED

    first, second = g1.encode([p]).reshape(1, 8), g2.encode([q]).reshape(1, 16)
    work, out = np.empty((6, 4), np.uint64), np.empty((1, 12, 4), np.uint64)

    def loop() -> Any:
        product = np.empty((1, 12, 4), np.uint64)
        miller_loop(first, second, work, *NOTHING_FIXED, product)
        return product

    def finish(product: Any) -> Any:
        exponentiation(product, out)
        return out

    return loop, finish


def _miller(options: Options) -> Trial:
    from zkcore.field import decode, fp

    p, q, a = _points()
    loop, finish = _halves(p, q)

    def peer() -> Contender:
        from py_ecc.optimized_bn128.optimized_pairing import final_exponentiate

        from benchmarks.peers import py_ecc

        return Contender("py-ecc", lambda: py_ecc.miller(p, q), lambda value: _more(final_exponentiate(value)))

    return Trial(
        [Contender(OURS, loop, lambda product: decode(fp, finish(product))), invite("py-ecc", options, peer)],
        _truth(a),
        Limit(products().kernel, products().miller(1), "64 doublings and 24 additions with a line each, 64 squares"),
    )


def _final(options: Options) -> Trial:
    from zkcore.field import decode, fp

    p, q, a = _points()
    loop, finish = _halves(p, q)
    product = loop()

    def peer() -> Contender:
        from py_ecc.optimized_bn128.optimized_pairing import final_exponentiate

        from benchmarks.peers import py_ecc

        value = py_ecc.miller(p, q)
        return Contender("py-ecc", lambda: final_exponentiate(value), _more)

    return Trial(
        [Contender(OURS, lambda: finish(product), lambda out: decode(fp, out)), invite("py-ecc", options, peer)],
        _truth(a),
        Limit(products().kernel, products().final, "three powers of 62 cyclotomic squares and 13 products, an inverse"),
    )


def _pairs(count: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Points of G1 for a product that is one, the same for one that is not, points of G2."""
    from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR
    from zkcore.groups import g1, g2

    seconds = [g2.multiply(G2_GENERATOR, 3 + i) for i in range(count)]
    factors = [7 + i for i in range(count - 1)]
    total = sum(factor * (3 + i) for i, factor in enumerate(factors))
    from zkcore.bn254 import R

    last = -total * pow(count + 2, -1, R) % R
    good = [g1.multiply(G1_GENERATOR, factor) for factor in (*factors, last)]
    return good, [*good[:-1], G1_GENERATOR], seconds


def _encoded(firsts: list[Any], seconds: list[Any]) -> bytes:
    from zkcore.formats.points import g1_to_bytes, g2_to_bytes

    return b"".join(g1_to_bytes(p) + g2_to_bytes(q) for p, q in zip(firsts, seconds, strict=True))


def _check(options: Options, count: int) -> Trial:
    from zkcore.formats.evm import ecpairing

    good, bad, seconds = _pairs(count)
    inputs = [_encoded(good, seconds), _encoded(bad, seconds)]

    def with_pyrevm() -> Contender:
        from benchmarks.peers import pyrevm

        call = pyrevm.precompile(8)
        return Contender("pyrevm", lambda: [call(data) for data in inputs], count=2)

    def with_py_ecc() -> Contender:
        from benchmarks.peers import py_ecc

        def answers() -> list[bool]:
            return [py_ecc.check(firsts, seconds) for firsts in (good, bad)]

        return Contender("py-ecc", answers, lambda out: [bytes(31) + bytes([one]) for one in out], count=2)

    def with_zksnake() -> Contender:
        from benchmarks.peers import zksnake

        calls = [zksnake.pairing_check(firsts, seconds) for firsts in (good, bad)]
        return Contender(
            "zksnake",
            lambda: [call() for call in calls],
            lambda out: [bytes(31) + bytes([one]) for one in out],
            count=2,
        )

    return Trial(
        [
            Contender(OURS, lambda: [ecpairing(data) for data in inputs], count=2),
            invite("pyrevm", options, with_pyrevm),
            invite("zksnake", options, with_zksnake),
            invite("py-ecc", options, with_py_ecc),
        ],
        [bytes(31) + b"\1", bytes(32)],
        Limit(products().kernel, products().miller(count) + products().final, "Miller's loops share squares"),
    )


def _multiple(options: Options) -> Trial:
    import secrets

    from zkcore.bn254 import G1_GENERATOR, R
    from zkcore.formats.evm import ecmul
    from zkcore.formats.points import g1_to_bytes
    from zkcore.groups import g1

    a, b = secrets.randbelow(R), secrets.randbelow(R)
    data = g1_to_bytes(g1.multiply(G1_GENERATOR, a)) + b.to_bytes(32, "big")

    def with_pyrevm() -> Contender:
        from benchmarks.peers import pyrevm

        call = pyrevm.precompile(7)
        return Contender("pyrevm", lambda: call(data))

    return Trial(
        [Contender(OURS, lambda: ecmul(data)), invite("pyrevm", options, with_pyrevm)],
        g1_to_bytes(g1.multiply(G1_GENERATOR, a * b % R)),
    )


def _gas(options: Options) -> Trial:
    def with_pyrevm() -> Contender:
        from benchmarks.peers import pyrevm

        good, _, seconds = _pairs(4)
        data = _encoded(good, seconds)
        return Contender("pyrevm", lambda: pyrevm.gas(8, data), lambda gas: gas > 0, reading=float)

    return Trial([invite("pyrevm", options, with_pyrevm)], True)
