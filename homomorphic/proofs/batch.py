"""What the proofs share: the protocol's numbers, the check of a point, and finding the bad items of a batch."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from homomorphic.errors import WrongKey
from zkcore import babyjubjub
from zkcore.bn254 import R
from zkcore.errors import NotOnCurve, OutOfRange, PointAtInfinity, Refused

CHALLENGE_BITS = 100
"""Length of a Fiat-Shamir challenge; a false statement is proved with probability 2^-100 a try."""

SLACK_BITS = 80
"""A response hides its secret but for a statistical distance of 2^-80."""

WEIGHT_BITS = 128
"""Length of the random weights that join many equations to one (Bellare, Garay and Rabin 1998, small exponents)."""

Item = TypeVar("Item")
Checked = TypeVar("Checked")


def response_bound(secret_bits: int) -> int:
    """What a response nonce + challenge * secret stays below, for a secret in ``[0, 2^secret_bits)``."""
    return (1 << (secret_bits + CHALLENGE_BITS + SLACK_BITS)) + (1 << (secret_bits + CHALLENGE_BITS))


def check_point(point: babyjubjub.Point, part: str) -> None:
    """Refuse what is no commitment on Baby Jubjub; raises OutOfRange, NotOnCurve, PointAtInfinity.

    The prime subgroup is not asked for: proofs compare points times the cofactor.
    """
    if not (0 <= point[0] < R and 0 <= point[1] < R):
        raise OutOfRange(part, "has a coordinate that is not below the field's modulus")
    if not babyjubjub.on_curve(point):
        raise NotOnCurve(part, "is not on Baby Jubjub")
    if point == babyjubjub.IDENTITY:
        raise PointAtInfinity(part, "is the neutral element, which hides nothing")


def bad_items(indices: Sequence[int], hold: Callable[[Sequence[int]], bool]) -> list[int]:
    """The items that make a batch fail, by bisection.

    Parameters
    ----------
    indices
        The items.
    hold
        Whether some of the items hold together; true for one exactly when that item holds.
    """
    if not indices or hold(indices):
        return []
    if len(indices) == 1:
        return list(indices)
    middle = len(indices) // 2
    return bad_items(indices[:middle], hold) + bad_items(indices[middle:], hold)


def check_one_key(items: Sequence[tuple[Any, Any]]) -> None:
    """Refuse pairs (statement, proof) about different keys (WrongKey): their equations can't be joined."""
    if len({statement.public_key.fingerprint for statement, _ in items}) > 1:
        raise WrongKey("items", "are about different keys")


def bad_of_batch(
    items: Sequence[Item], check: Callable[[Item], Checked], hold: Callable[[Sequence[Checked]], bool]
) -> list[int]:
    """Indices of the items that are malformed or do not hold.

    Parameters
    ----------
    items
        The batch.
    check
        Refuses a malformed item, and gives what ``hold`` takes for it.
    hold
        Whether items hold together; true for one exactly when that item holds.
    """
    checked: dict[int, Checked] = {}
    for i, item in enumerate(items):
        try:
            checked[i] = check(item)
        except Refused:
            continue
    malformed = [i for i in range(len(items)) if i not in checked]
    return sorted(malformed + bad_items(list(checked), lambda some: hold([checked[i] for i in some])))
