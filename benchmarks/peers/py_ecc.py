"""py-ecc: fields, towers and pairings on Python's integers (its optimized_bn128)."""

from typing import Any

from py_ecc import optimized_bn128 as bn
from py_ecc.optimized_bn128 import optimized_pairing

from benchmarks.case import Contender


def field_chain(a: int, b: int, times: int) -> Contender:
    """a b^times, product by product, the power of the longer chain taken afterwards."""
    first, factor = bn.FQ(a), bn.FQ(b)

    def chain() -> Any:
        x = first
        for _ in range(times):
            x = x * factor
        return x

    return Contender("py-ecc", chain, lambda x: int(x * factor ** (15 * times)), times)


def fp12_chain(numbers: list[int], times: int) -> Contender:
    """The product of two elements of Fp12; the rest of the power is taken afterwards."""
    from benchmarks.suites.field import from_polynomial, to_polynomial

    a, b = (bn.FQ12(to_polynomial(part)) for part in (numbers[:12], numbers[12:]))
    return Contender("py-ecc", lambda: a * b, lambda x: from_polynomial(coefficients(x * b ** (times - 1))))


def coefficients(x: Any) -> list[int]:
    """The coefficients of a polynomial in w."""
    return [int(value) for value in x.coeffs]


def points(firsts: list[Any], seconds: list[Any]) -> list[tuple[Any, Any]]:
    """Our affine points in its projective form, those of G2 first."""
    return [
        ((bn.FQ2(q[0]), bn.FQ2(q[1]), bn.FQ2.one()), (bn.FQ(p[0]), bn.FQ(p[1]), bn.FQ(1)))
        for p, q in zip(firsts, seconds, strict=True)
    ]


def miller(first: Any, second: Any) -> Any:
    """Miller's loop without the final exponentiation."""
    [(q, p)] = points([first], [second])
    return optimized_pairing.pairing(q, p, final_exponentiate=False)


def check(firsts: list[Any], seconds: list[Any]) -> bool:
    """Whether the product of pairings is one."""
    product = bn.FQ12.one()
    for q, p in points(firsts, seconds):
        if not bn.is_on_curve(p, bn.b) or not bn.is_on_curve(q, bn.b2):
            raise ValueError("off the curve")
        product = product * optimized_pairing.pairing(q, p, final_exponentiate=False)
    return bool(optimized_pairing.final_exponentiate(product) == bn.FQ12.one())
