"""Verification of Groth16 proofs over BN254 (Groth 2016), one at a time or many together.

A proof (A, B, C) for public inputs x holds when e(A, B) = e(alpha, beta) e(L, gamma) e(C, delta), with
L = ic[0] + sum of x[j] ic[j + 1]. A prepared key keeps e(alpha, beta), the lines of -gamma and -delta and tables of the
``ic`` points, so that one proof costs one Miller loop with three pairs and one final exponentiation.

Refused with a typed error: coordinates and inputs out of range, points off the curve or outside the subgroup, neutral
points, a wrong number of inputs. Everything verified is public; nothing here is constant-time.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zkcore.bn254 import P, R
from zkcore.curve import load_affine, on_curve, projective, store_affine
from zkcore.errors import NotInSubgroup, NotOnCurve, OutOfRange, PointAtInfinity, Refused, WrongLength
from zkcore.field import fp_load, fp_zero, inverse, to_montgomery
from zkcore.fixed_base import add_fixed_base, fixed_base_tables
from zkcore.groth16.keys import Proof, VerifyingKey
from zkcore.groups import g1, g2
from zkcore.kernel import kernel
from zkcore.limbs import to_limbs
from zkcore.number import load, store
from zkcore.pairing import (
    final_exponentiation,
    fixed_lines,
    line_argument,
    load_fp12,
    miller,
    miller_product,
    store_fp12,
)
from zkcore.tower import fp2_zero, fp12_equal

_INVALID, _VALID, _A_OFF_CURVE, _B_OFF_CURVE, _C_OFF_CURVE, _B_OUTSIDE = range(6)
_REFUSALS = {
    _A_OFF_CURVE: ("a", NotOnCurve, "the point does not satisfy the curve's equation"),
    _B_OFF_CURVE: ("b", NotOnCurve, "the point does not satisfy the curve's equation"),
    _C_OFF_CURVE: ("c", NotOnCurve, "the point does not satisfy the curve's equation"),
    _B_OUTSIDE: ("b", NotInSubgroup, "the point is on the curve but outside the subgroup of prime order"),
}


@kernel
def _target(rows: Any, out: Any) -> Any:
    store_fp12(out, 0, final_exponentiation(load_fp12(fp2_zero(), rows, 0)))


@kernel
def _verify(constant: Any, tables: Any, lines: Any, target: Any, proof: Any, public: Any, points: Any) -> Any:
    """What is the matter with one proof, ``uint64[8, 4]`` canonical; ``points`` is room for two points of G1."""
    for i in range(8):
        store(proof, i, to_montgomery(fp_load(proof, i)))
    a, c = load_affine(fp_zero(), proof, 0), load_affine(fp_zero(), proof, 3)
    b = load(fp2_zero(), proof, 1), load(fp2_zero(), proof, 2)
    if not on_curve(a):
        return _A_OFF_CURVE
    if not on_curve(b):
        return _B_OFF_CURVE
    if not on_curve(c):
        return _C_OFF_CURVE
    total = add_fixed_base(projective(load_affine(fp_zero(), constant, 0)), tables, public)
    both = inverse(total[1] * c[1])  # no point of the curve has y = 0
    store_affine(points, 0, line_argument(total, both * c[1]))
    store_affine(points, 1, line_argument(projective(c), both * total[1]))
    f, member = miller(a, b, lines, points)
    if not member:
        return _B_OUTSIDE
    return _VALID if fp12_equal(final_exponentiation(f), load_fp12(fp2_zero(), target, 0)) else _INVALID


def proof_numbers(proof: Proof, part: str = "proof") -> list[int]:
    """Coordinates a.x a.y b.x0 b.x1 b.y0 b.y1 c.x c.y.

    Raises
    ------
    PointAtInfinity
        A point is the neutral element.
    OutOfRange
        A coordinate is negative or not below the field's modulus.
    """
    a, b, c = proof.a, proof.b, proof.c
    if a is None or b is None or c is None:
        name = "a" if a is None else "b" if b is None else "c"
        raise PointAtInfinity(f"{part}.{name}", "the neutral element has no use in a proof")
    numbers = [*a, *b[0], *b[1], *c]
    for name, number in zip("aabbbbcc", numbers, strict=True):
        if not 0 <= number < P:
            raise OutOfRange(f"{part}.{name}", "a coordinate is negative or not below the field's modulus")
    return numbers


class PreparedVerifyingKey:
    """A verifying key with everything computed that does not depend on a proof.

    Takes about 88 kB for every public input.
    """

    def __init__(self, key: VerifyingKey) -> None:
        self.key = key
        ic = g1.encode(key.ic)
        self._constant, self._tables = ic[:1], fixed_base_tables(ic[1:])
        self._lines = fixed_lines([g2.negate(key.gamma), g2.negate(key.delta)])
        self._target = np.empty((1, 12, 4), dtype=np.uint64)
        _target(miller_product([key.alpha], [key.beta]), self._target)

    def check_public(self, public: Sequence[int], part: str = "public") -> None:
        """Refuse a wrong number of public inputs, and inputs out of range.

        Raises
        ------
        WrongLength
            The number of inputs is not the key's.
        OutOfRange
            An input is negative or not below the order of the scalar field.
        """
        if len(public) != self.key.n_public:
            raise WrongLength(part, f"the key takes {self.key.n_public} public inputs, not {len(public)}")
        for i, number in enumerate(public):
            if not 0 <= number < R:
                raise OutOfRange(f"{part}[{i}]", "negative or not below the order of the scalar field")

    def verify(self, proof: Proof, public: Sequence[int]) -> bool:
        """Whether ``proof`` proves the key's statement for the public inputs.

        Raises
        ------
        WrongLength, OutOfRange, PointAtInfinity, NotOnCurve, NotInSubgroup
            The proof or the inputs are malformed; nothing was decided about them.
        """
        self.check_public(public)
        rows = to_limbs(proof_numbers(proof))
        points = np.empty((2, 2, 4), dtype=np.uint64)
        outcome = _verify(self._constant, self._tables, self._lines, self._target, rows, to_limbs(public), points)
        refusal = _REFUSALS.get(outcome)
        if refusal is not None:
            name, check, why = refusal
            raise check(f"proof.{name}", why)
        return bool(outcome == _VALID)

    def verify_batch(self, items: Iterable[tuple[Proof, Sequence[int]]]) -> list[int]:
        """Indices of the items that are not valid, malformed ones among them; an empty list says that all are."""
        bad = []
        for index, (proof, public) in enumerate(items):
            try:
                valid = self.verify(proof, public)
            except Refused:
                valid = False
            if not valid:
                bad.append(index)
        return bad
