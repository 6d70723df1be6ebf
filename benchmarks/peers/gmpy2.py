"""gmpy2: GMP's integers from Python, one call an operation."""

import gmpy2

from benchmarks.case import Contender


def field_chain(a: int, b: int, modulus: int, times: int) -> Contender:
    """a b^times, product by product."""
    first, factor, p = gmpy2.mpz(a), gmpy2.mpz(b), gmpy2.mpz(modulus)

    def chain() -> gmpy2.mpz:
        x = first
        for _ in range(times):
            x = x * factor % p
        return x

    return Contender("gmpy2", chain, int, times)


def products(a: list[int], b: list[int], modulus: int) -> Contender:
    """Products of two columns."""
    m, x, y = gmpy2.mpz(modulus), [gmpy2.mpz(value) for value in a], [gmpy2.mpz(value) for value in b]

    def multiply() -> list[gmpy2.mpz]:
        return [p * q % m for p, q in zip(x, y, strict=True)]

    return Contender("gmpy2", multiply, lambda out: [int(value) for value in out], len(a))
