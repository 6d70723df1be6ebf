"""zksnake: arkworks' curves from Python."""

from collections.abc import Callable, Sequence
from typing import Any

from zksnake._algebra import ec_bn254 as curve
from zksnake._algebra import polynomial_bn254 as polynomials


def g1(point: Any) -> Any:
    """A point of G1 in its form."""
    return curve.PointG1(*point)


def g2(point: Any) -> Any:
    """A point of G2 in its form."""
    return curve.PointG2(*point[0], *point[1])


def pairing_check(firsts: Sequence[Any], seconds: Sequence[Any]) -> Callable[[], bool]:
    """Whether the product of the pairings is one, on points in its form already."""
    p, q = [g1(point) for point in firsts], [g2(point) for point in seconds]
    one = curve.multi_pairing([p[0], -p[0]], [q[0], q[0]])
    return lambda: bool(curve.multi_pairing(p, q) == one)


def multi_scalar(points: Sequence[Any], scalars: Sequence[int]) -> Callable[[], Any]:
    """The sum of points times scalars, on points in its form already."""
    p, s = [g1(point) for point in points], list(scalars)
    return lambda: curve.multiscalar_mul_g1(p, s)


def affine(point: Any) -> tuple[int, int]:
    """A point of its as ours."""
    return int(point.x), int(point.y)


def evaluate(coefficients: Sequence[int]) -> Callable[[], Any]:
    """Values of a polynomial at the roots of unity."""
    given, size = list(coefficients), len(coefficients)
    return lambda: polynomials.fft(given, size)


def verifier(key: Any, proofs: Sequence[tuple[Any, Sequence[int]]]) -> Callable[[], list[bool]]:
    """Its verification of proofs whose points are in its form already; it makes no check of their subgroup."""
    from zksnake.groth16 import Groth16, Proof, VerifyingKey

    system = Groth16.__new__(Groth16)  # its constructor wants a circuit, of which verifying uses nothing
    from zksnake.ecc import EllipticCurve

    system.E = EllipticCurve("BN254")
    ic = [g1(point) for point in key.ic]
    system.verifying_key = VerifyingKey(g1(key.alpha), g2(key.beta), g2(key.gamma), g2(key.delta), ic)
    items = [(Proof(g1(proof.a), g2(proof.b), g1(proof.c)), [1, *public]) for proof, public in proofs]
    return lambda: [bool(system.verify(proof, public)) for proof, public in items]
