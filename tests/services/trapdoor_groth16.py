"""Groth16 keys whose trapdoor the test knows, and proofs of anything made with it.

The simulator of Groth (2016), section 3.2: with alpha, beta, gamma, delta and the inputs' coefficients known, any A and
B have a C that satisfies the verification equation. What the proofs claim does not matter to a verifier's test; that
they verify, and that nothing next to them does, is what matters. Points are py_ecc's, independent of this project.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from py_ecc.optimized_bn128 import FQ2, G1, G2, b2, curve_order, field_modulus, is_on_curve, multiply, normalize

from zkcore.groth16 import VerifyingKey

R, P = curve_order, field_modulus
INPUTS = 6

Affine1 = tuple[int, int]
Affine2 = tuple[tuple[int, int], tuple[int, int]]


def g1(scalar: int) -> Affine1:
    x, y = normalize(multiply(G1, scalar % R))
    return int(x), int(y)


def g2(scalar: int) -> Affine2:
    x, y = normalize(multiply(G2, scalar % R))
    return (int(x.coeffs[0]), int(x.coeffs[1])), (int(y.coeffs[0]), int(y.coeffs[1]))


@dataclass(frozen=True)
class TrapdoorKey:
    """A verifying key with its trapdoor; test values, chosen small."""

    secrets: tuple[int, int, int, int] = (11, 13, 17, 19)
    coefficients: tuple[int, ...] = (3, 5, 7, 23, 29, 31, 37)
    alpha: Affine1 = field(init=False)
    beta: Affine2 = field(init=False)
    gamma: Affine2 = field(init=False)
    delta: Affine2 = field(init=False)
    ic: tuple[Affine1, ...] = field(init=False)

    def __post_init__(self) -> None:
        alpha, beta, gamma, delta = self.secrets
        object.__setattr__(self, "alpha", g1(alpha))
        object.__setattr__(self, "beta", g2(beta))
        object.__setattr__(self, "gamma", g2(gamma))
        object.__setattr__(self, "delta", g2(delta))
        object.__setattr__(self, "ic", tuple(map(g1, self.coefficients)))

    def words(self, **changes: Any) -> tuple[Any, ...]:
        """The key as the contract takes it: words of each point, those of G2 with the imaginary parts first."""
        key = {name: getattr(self, name) for name in ("alpha", "beta", "gamma", "delta", "ic")} | changes
        g2_words = [[x[1], x[0], y[1], y[0]] for x, y in (key["beta"], key["gamma"], key["delta"])]
        return list(key["alpha"]), *g2_words, [list(point) for point in key["ic"]]

    def verifying_key(self) -> VerifyingKey:
        """The key as this project has it."""
        return VerifyingKey(self.alpha, self.beta, self.gamma, self.delta, self.ic)

    def prove(self, inputs: list[int], a: int = 101, b: int = 103) -> list[int]:
        """The eight words of a proof that verifies for these inputs."""
        alpha, beta, gamma, delta = self.secrets
        v = self.coefficients[0] + sum(c * x for c, x in zip(self.coefficients[1:], inputs, strict=True))
        c = (a * b - alpha * beta - v * gamma) * pow(delta, -1, R) % R
        (b_x, b_y), (a_x, a_y), (c_x, c_y) = g2(b), g1(a), g1(c)
        return [a_x, a_y, b_x[1], b_x[0], b_y[1], b_y[0], c_x, c_y]


def to_bytes(words: list[int]) -> bytes:
    return b"".join(word.to_bytes(32, "big") for word in words)


def twist_point_outside_subgroup() -> list[int]:
    """Words of a point on G2's curve that the group order does not annihilate."""
    for first in count(1):
        x = FQ2([first, 1])
        square = x * x * x + b2
        root = _square_root(square)
        if root is not None:
            point = (x, root, FQ2.one())
            assert is_on_curve(point, b2)
            if multiply(point, R)[2] != FQ2.zero():
                return [int(c) for c in (x.coeffs[1], x.coeffs[0], root.coeffs[1], root.coeffs[0])]
    raise AssertionError


def _square_root(value: FQ2) -> FQ2 | None:
    """Square root in Fp[i] by the norm: value = a + b i, root = c + d i with c^2 = (a + |value|) / 2, d = b / 2c."""
    a, b = (int(c) for c in value.coeffs)
    norm = pow(a * a + b * b, (P + 1) // 4, P)
    for sign in (norm, -norm):
        half = (a + sign) * pow(2, -1, P) % P
        c = pow(half, (P + 1) // 4, P)
        if c and c * c % P == half:
            root = FQ2([c, b * pow(2 * c, -1, P) % P])
            if root * root == value:
                return root
    return None
