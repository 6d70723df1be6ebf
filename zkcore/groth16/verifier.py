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
from numpy.typing import NDArray

from zkcore.curve import load_affine, on_curve, projective, store_affine
from zkcore.errors import NotInSubgroup, NotOnCurve
from zkcore.field import fp_load, fp_zero, inverse, to_montgomery
from zkcore.fixed_base import add_fixed_base, fixed_base_tables
from zkcore.groth16.batch import verify_batch_of
from zkcore.groth16.batch_kernels import holds
from zkcore.groth16.keys import Proof, VerifyingKey, check_public
from zkcore.groups import g1, g2
from zkcore.kernel import kernel
from zkcore.limbs import to_limbs
from zkcore.number import store
from zkcore.pairing import EQUAL, OUTSIDE, compare, fixed_lines, line_argument, product_of_pairings
from zkcore.tower import fp2_zero

_SOUND, _A_OFF_CURVE, _B_OFF_CURVE, _C_OFF_CURVE = range(4)
_OFF_CURVE = {_A_OFF_CURVE: "proof.a", _B_OFF_CURVE: "proof.b", _C_OFF_CURVE: "proof.c"}


@kernel
def _enter(constant: Any, tables: Any, proof: Any, public: Any, points: Any) -> Any:
    """Put one proof, ``uint64[8, 4]`` canonical, in Montgomery form, and into ``points`` what gamma and delta meet.

    The answer says which point is off its curve.
    """
    for i in range(8):
        store(proof, i, to_montgomery(fp_load(proof, i)))
    a, b, c = load_affine(fp_zero(), proof, 0), load_affine(fp2_zero(), proof[2:6], 0), load_affine(fp_zero(), proof, 3)
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
    return _SOUND


class PreparedVerifyingKey:
    """A verifying key with everything computed that does not depend on a proof.

    Takes about 88 kB for every public input.
    """

    def __init__(self, key: VerifyingKey) -> None:
        self.key = key
        ic = g1.encode(key.ic)
        self._constant = ic[:1]
        self._tables = fixed_base_tables(np.concatenate([g1.encode([key.alpha]), ic]))
        self._lines = fixed_lines([g2.negate(point) for point in (key.gamma, key.delta, key.beta)])
        self._target = product_of_pairings([key.alpha], [key.beta])[1]

    def check_public(self, public: Sequence[int], part: str = "public") -> None:
        """Refuse public inputs as :func:`zkcore.groth16.keys.check_public` does for this key."""
        check_public(self.key.n_public, public, part)

    def verify(self, proof: Proof, public: Sequence[int]) -> bool:
        """Whether ``proof`` proves the key's statement for the public inputs.

        Raises
        ------
        WrongLength, OutOfRange, PointAtInfinity, NotOnCurve, NotInSubgroup
            The proof or the inputs are malformed; nothing was decided about them.
        """
        self.check_public(public)
        rows, points = to_limbs(proof.numbers()), np.empty((2, 8), dtype=np.uint64)
        off_curve = _OFF_CURVE.get(_enter(self._constant, self._tables[2:], rows, to_limbs(public), points))
        if off_curve is not None:
            raise NotOnCurve(off_curve, "the point does not satisfy the curve's equation")
        work, out = np.empty((6, 4), dtype=np.uint64), np.empty((1, 12, 4), dtype=np.uint64)
        first, second = rows[:2].reshape(1, 8), rows[2:6].reshape(1, 16)
        outcome = compare(first, second, work, self._lines[:2], points, self._target, out)
        if outcome == OUTSIDE:
            raise NotInSubgroup("proof.b", "the point is on the curve but outside the subgroup of prime order")
        return bool(outcome == EQUAL)

    def verify_batch(self, items: Iterable[tuple[Proof, Sequence[int]]], threads: int = 1) -> list[int]:
        """Indices of the items that are not valid, malformed ones among them; an empty list says that all are.

        As :func:`zkcore.groth16.batch.verify_batch`, for one key.
        """
        return verify_batch_of(self, items, threads)

    def holds(self, outcomes: NDArray[np.uint64], scalars: NDArray[np.uint64]) -> bool:
        """Whether a batch of proofs of this key balances.

        ``outcomes`` are the rows ``uint64[n, 15, 4]`` of its parts, see :mod:`zkcore.groth16.batch_kernels`;
        ``scalars``, canonical ``uint64[n_public + 1, 4]``, are the sums of the weights and of the weights times each
        input.
        """
        points, nothing = np.empty((3, 8), dtype=np.uint64), np.empty((0, 8), dtype=np.uint64)
        return bool(holds(outcomes, scalars, self._tables, self._lines, nothing, nothing, nothing, points))
