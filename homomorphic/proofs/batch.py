"""What the proofs share: the protocol's numbers, and finding the bad items of a batch."""

from collections.abc import Callable, Sequence

CHALLENGE_BITS = 100
"""Length of a Fiat-Shamir challenge; a false statement is proved with probability 2^-100 a try."""

SLACK_BITS = 80
"""A response hides its secret but for a statistical distance of 2^-80."""

WEIGHT_BITS = 128
"""Length of the random weights that join many equations to one (Bellare, Garay and Rabin 1998, small exponents)."""


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
