"""Verification of one proof in a process that does nothing else, without the cost of importing Numba.

:func:`verify_once` decides and refuses as ``VerifyingKey(...).prepare().verify(...)`` does, which is the better choice
for more than one proof of a key. Everything verified is public; nothing here is constant-time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zkcore.errors import NotInSubgroup, NotOnCurve
from zkcore.groth16.keys import Proof, check_public, key_numbers
from zkcore.machine_code import load

if TYPE_CHECKING:  # the curve's module compiles kernels
    from zkcore.curve import G1Point, G2Point

PAIRS = 4
"""Pairs of the equation: (-a, b), (alpha, beta), (c, delta) and (L, gamma)."""
WORK_ROWS = 6 * PAIRS
"""Rows of four words that Miller's loop needs."""
VALID, INVALID, OFF_CURVE, OUTSIDE = range(4)


def _words(numbers: Sequence[int]) -> ctypes.Array[ctypes.c_uint64]:
    """Memory with four limbs a number, least significant first."""
    joined = b"".join(number.to_bytes(32, "little") for number in numbers)
    return (ctypes.c_uint64 * (4 * len(numbers))).from_buffer_copy(joined)


def verify_once(
    key: tuple[G1Point, G2Point, G2Point, G2Point, tuple[G1Point, ...]], proof: Proof, public: Sequence[int]
) -> bool:
    """Whether ``proof`` proves the statement of ``key`` (alpha, beta, gamma, delta, ic) for the public inputs.

    Raises
    ------
    WrongLength, OutOfRange, PointAtInfinity, NotOnCurve, NotInSubgroup
        The key, the proof or the inputs are malformed; nothing was decided about them.
    """
    numbers = key_numbers(*key)
    n_public = len(key[4]) - 1
    check_public(n_public, public)
    a, b, c = (number := proof.numbers())[:2], number[2:6], number[6:]
    alpha, beta, gamma, delta, ic = numbers[:2], numbers[2:6], numbers[6:10], numbers[10:14], numbers[14:]
    firsts = [*a, *alpha, *c, 0, 0, *ic]
    seconds = [*b, *beta, *delta, *gamma]
    kernel = load("zkcore.groth16.single", "verify_single")
    index, outcome = divmod(
        kernel(_words(firsts), _words(seconds), _words(public), _words([0] * WORK_ROWS), n_public), 4
    )
    if outcome in (OFF_CURVE, OUTSIDE):
        names = [
            "proof.a",
            "verification_key.alpha",
            "proof.c",
            "",
            *(f"verification_key.ic[{i}]" for i in range(n_public + 1)),
        ]
        names += ["proof.b", "verification_key.beta", "verification_key.delta", "verification_key.gamma"]
        part = names[index]
        if outcome == OFF_CURVE:
            raise NotOnCurve(part, "the point does not satisfy the curve's equation")
        raise NotInSubgroup(part, "the point is on the curve but outside the subgroup of prime order")
    return outcome == VALID
