"""py-ecc's points and ours, and points of the twist outside the subgroup, made with py-ecc alone."""

from py_ecc.bn128 import FQ, FQ2, b2, multiply

from zkcore.bn254 import P, R
from zkcore.tower import fp2_power

COFACTOR = 2 * P - R


def to_oracle(point):
    if point is None:
        return None
    x, y = point
    return (FQ(x), FQ(y)) if isinstance(x, int) else (FQ2(x), FQ2(y))


def from_oracle(point):
    if point is None:
        return None
    return tuple(int(c.n) if isinstance(c, FQ) else tuple(int(k) for k in c.coeffs) for c in point)


def square_root(a: tuple[int, int]) -> tuple[int, int] | None:
    """A square root in Fp2 = Fp[i], p = 3 mod 4 (Adj and Rodriguez-Henriquez 2012, algorithm 9)."""
    power = fp2_power(a, (P - 3) // 4)
    x = FQ2(power) * FQ2(a)
    if FQ2(power) * x == FQ2((-1, 0)):
        root = FQ2((0, 1)) * x
    else:
        root = FQ2(fp2_power(tuple(int(c) for c in (FQ2((1, 0)) + FQ2(power) * x).coeffs), (P - 1) // 2)) * x
    return tuple(int(c) for c in root.coeffs) if root * root == FQ2(a) else None


def points_of_the_twist(count: int):
    """Points of the whole twist, which are outside the subgroup but for a chance of one in 2^254."""
    x = 0
    while count:
        x += 1
        root = square_root(tuple(int(c) for c in (FQ2((x, 5)) * FQ2((x, 5)) * FQ2((x, 5)) + b2).coeffs))
        if root is not None:
            count -= 1
            yield (x, 5), root


TWIST = list(points_of_the_twist(3))
SMALL_ORDER = next(
    from_oracle(point)
    for point in (multiply(to_oracle(point), R * COFACTOR // 10069) for point in TWIST)
    if point is not None
)
