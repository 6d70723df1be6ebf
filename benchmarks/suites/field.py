"""What the processor gives at best: products in the field, in Fp12 and modulo N^2, and memory read.

These are the throughputs on which the other suites' physical limits rest. ``chain`` is a product that waits for the one
before, ``stream`` eight that do not wait for one another.
"""

import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.case import BEST, OURS, PORTABLE, Case, Contender, Gap, Limit, Options, Trial
from benchmarks.peers import invite

TIMES = 4096
FP_STREAM, LANES_STREAM, MEMORY = "Fp products, a stream", "Fp products in lanes, a stream", "memory read, a byte"
MODULO_SQUARE, SQUARE_CHAIN = "product modulo N^2", "products modulo N^2 in lanes, a chain"


def cases(options: Options) -> Iterator[Case]:
    """Products by kind, and memory."""
    yield Case("field", "Fp products, a chain", {}, partial(_chain, options), seconds=3)
    yield Case("field", FP_STREAM, {}, partial(_stream, options), seconds=3)
    yield Case("field", LANES_STREAM, {}, partial(_lanes, options), seconds=3)
    yield Case("field", "Fp12 product", {}, partial(_fp12, options), seconds=3)
    for bits in (2048, 3072):
        for backend in (BEST, PORTABLE):
            yield Case(
                "field",
                MODULO_SQUARE,
                {"bits": bits},
                partial(_modulo_square, options, bits),
                backend=backend,
                seconds=3,
            )
        yield Case("field", SQUARE_CHAIN, {"bits": bits}, partial(_square_chain, bits), seconds=1)
    yield Case("field", MEMORY, {}, _memory, seconds=2)


def _chain(options: Options) -> Trial:
    from benchmarks.chains import fp_chain
    from zkcore.bn254 import P
    from zkcore.field import decode, encode, fp

    a, b = secrets.randbelow(P), secrets.randbelow(P)
    rows = encode(fp, [a, b])

    def ours() -> Any:
        out = rows.copy()
        fp_chain(TIMES, out)
        return out

    from benchmarks.peers import gmpy2 as with_gmpy2
    from benchmarks.peers import py_ecc as with_py_ecc

    return Trial(
        [
            Contender(OURS, ours, lambda out: decode(fp, out)[0], TIMES),
            invite("gmpy2", options, lambda: with_gmpy2.field_chain(a, b, P, TIMES)),
            invite("py-ecc", options, lambda: with_py_ecc.field_chain(a, b, TIMES // 16)),
        ],
        a * pow(b, TIMES, P) % P,
    )


def _stream(options: Options) -> Trial:
    from benchmarks.chains import STREAMS, fp_stream
    from zkcore.bn254 import P
    from zkcore.field import decode, encode, fp

    values = [secrets.randbelow(P) for _ in range(STREAMS + 1)]
    rows = encode(fp, values)

    def ours() -> Any:
        out = rows.copy()
        fp_stream(TIMES, out)
        return out

    truth = [value * pow(values[-1], TIMES, P) % P for value in values[:-1]]
    return Trial([Contender(OURS, ours, lambda out: decode(fp, out)[:-1], TIMES * STREAMS)], truth)


def _lanes(options: Options) -> Trial:
    from zkcore.cpu import BACKEND

    if BACKEND != "avx512ifma":
        return Trial([Gap(OURS, "the processor has no AVX-512 IFMA")], None)
    from benchmarks.chains import LANE_STREAMS, fr_lanes_stream
    from zkcore.bn254 import R
    from zkcore.field import decode, encode, fr
    from zkcore.field_lanes import LIMBS, RADIX, WIDTH

    values = [secrets.randbelow(R) for _ in range(WIDTH * (LANE_STREAMS + 1))]
    rows = encode(fr, values)

    def ours() -> Any:
        out = rows.copy()
        fr_lanes_stream(TIMES, out)
        return out

    # Lanes' products divide by 2^260, memory's form is multiplied by 2^256: each product loses the difference.
    lost = pow(pow(2, RADIX * LIMBS - 256, R), -TIMES, R)
    factors = values[-WIDTH:]
    truth = [
        value * pow(factors[i % WIDTH], TIMES, R) * lost % R for i, value in enumerate(values[: WIDTH * LANE_STREAMS])
    ]
    return Trial(
        [Contender(OURS, ours, lambda out: decode(fr, out)[: len(truth)], TIMES * LANE_STREAMS * WIDTH)], truth
    )


def _fp12(options: Options) -> Trial:
    from benchmarks.chains import fp12_chain
    from benchmarks.peers import py_ecc as with_py_ecc
    from zkcore.bn254 import P
    from zkcore.field import decode, encode, fp

    times = 256
    numbers = [secrets.randbelow(P) for _ in range(24)]
    rows = encode(fp, numbers)

    def ours() -> Any:
        out = rows.copy()
        fp12_chain(times, out)
        return out

    truth = fp12_power_product(numbers[:12], numbers[12:], times)
    return Trial(
        [
            Contender(OURS, ours, lambda out: decode(fp, out)[:12], times),
            invite("py-ecc", options, lambda: with_py_ecc.fp12_chain(numbers, times)),
        ],
        truth,
        Limit(FP_STREAM, 54, "an Fp12 product by Karatsuba three times is 18 Fp2 products of 3 each"),
    )


def fp12_power_product(a: list[int], b: list[int], times: int) -> list[int]:
    """a b^times in Fp12 = Fp[w] / (w^12 - 18 w^6 + 82), by schoolbook products of polynomials."""
    from zkcore.bn254 import P

    def product(x: list[int], y: list[int]) -> list[int]:
        out = [0] * 23
        for i, p in enumerate(x):
            for j, q in enumerate(y):
                out[i + j] += p * q
        for k in range(22, 11, -1):
            out[k - 6] += 18 * out[k]
            out[k - 12] -= 82 * out[k]
        return [value % P for value in out[:12]]

    total, base = to_polynomial(a), to_polynomial(b)
    while times:
        if times & 1:
            total = product(total, base)
        base, times = product(base, base), times >> 1
    return from_polynomial(total)


def to_polynomial(numbers: list[int]) -> list[int]:
    """Our coefficients of 1, i, v, iv, ... i v^2 w as a polynomial in w, with v = w^2 and i = w^6 - 9."""
    from zkcore.bn254 import P

    polynomial = [0] * 12
    for place, exponent in enumerate((0, 2, 4, 1, 3, 5)):
        real, imaginary = numbers[2 * place : 2 * place + 2]
        polynomial[exponent] += real - 9 * imaginary
        polynomial[exponent + 6] += imaginary
    return [value % P for value in polynomial]


def from_polynomial(polynomial: list[int]) -> list[int]:
    """The inverse of :func:`to_polynomial`."""
    from zkcore.bn254 import P

    pairs = ((polynomial[e] + 9 * polynomial[e + 6], polynomial[e + 6]) for e in (0, 2, 4, 1, 3, 5))
    return [number % P for pair in pairs for number in pair]


def _modulo_square(options: Options, bits: int) -> Trial:
    from benchmarks.peers import gmpy2 as with_gmpy2
    from homomorphic.modular import from_rows, square_modulus, to_rows

    n, rows, width = secrets.randbits(bits) | 1 << (bits - 1) | 1, 256, bits // 4
    x, y = ([secrets.randbelow(n * n) for _ in range(rows)] for _ in range(2))
    modulus = square_modulus(n)
    a, b = (modulus.enter(to_rows(column, width)) for column in (x, y))
    return Trial(
        [
            Contender(
                OURS, lambda: modulus.multiply(a, b), lambda out: from_rows(modulus.leave(out, rows, width)), rows
            ),
            invite("gmpy2", options, lambda: with_gmpy2.products(x, y, n * n)),
        ],
        [p * q % (n * n) for p, q in zip(x, y, strict=True)],
    )


def _square_chain(bits: int) -> Trial:
    """Eight numbers that stay in the first cache."""
    from zkcore.cpu import BACKEND

    if BACKEND != "avx512ifma":
        return Trial([Gap(OURS, "the processor has no AVX-512 IFMA")], None)
    from benchmarks.chains import pairs_chain
    from homomorphic.modular import from_rows, square_modulus, to_rows
    from zkcore.registers import LANES

    n, times, width = secrets.randbits(bits) | 1 << (bits - 1) | 1, 256, bits // 4
    x, y = ([secrets.randbelow(n * n) for _ in range(LANES)] for _ in range(2))
    modulus = square_modulus(n)
    a, b = (modulus.enter(to_rows(column, width)) for column in (x, y))
    room = modulus._t()

    def ours() -> Any:
        out = a.copy()
        pairs_chain(times, out, b, room, modulus.words, modulus.limbs)
        return out

    truth = [p * pow(q, times, n * n) % (n * n) for p, q in zip(x, y, strict=True)]
    return Trial([Contender(OURS, ours, lambda out: from_rows(modulus.leave(out, LANES, width)), times * LANES)], truth)


def _memory() -> Trial:
    import numpy as np

    words = np.ones(1 << 25, np.uint64)
    return Trial([Contender(OURS, words.sum, int, words.nbytes)], len(words))
