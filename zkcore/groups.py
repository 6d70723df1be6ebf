"""Points of G1 and G2 as Python integers: into kernels with every check, out of them, and the group's operations.

``g1`` and ``g2`` are the two groups. A point is an affine tuple, None the neutral element; see :mod:`zkcore.curve`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import P, R
from zkcore.curve import (
    G1Point,
    G2Point,
    add,
    affine,
    in_subgroup,
    load_affine,
    multiply,
    normalise,
    on_curve,
    projective,
    store_affine,
)
from zkcore.errors import NotInSubgroup, NotOnCurve, OutOfRange, PointAtInfinity, WrongLength
from zkcore.field import decode, encode, fp, fp_zero
from zkcore.kernel import inner, kernel
from zkcore.limbs import below, to_limbs
from zkcore.tasks import pool, run
from zkcore.tower import fp2_zero

Point = TypeVar("Point", G1Point, G2Point)
Rows = NDArray[np.uint64]

_SOUND, _OFF_CURVE, _OUTSIDE = 0, 1, 2
_BLOCK = 1 << 10
"""Points that one thread checks at a time."""


@inner
def _is_infinity(rows: Any, index: Any) -> Any:
    """Whether point number ``index`` of the flat ``rows[n, words]`` is all zero."""
    total = np.uint64(0)
    for word in rows[index]:
        total |= word
    return total == np.uint64(0)


@kernel
def _check_g1(rows: Any) -> Any:
    """Index of the first point that fails, and what it fails; -1 if none does."""
    for i in range(rows.shape[0]):
        if not _is_infinity(rows, i) and not on_curve(load_affine(fp_zero(), rows, i)):
            return i, _OFF_CURVE
    return -1, _SOUND


@kernel
def _check_g2(rows: Any) -> Any:
    for i in range(rows.shape[0]):
        if not _is_infinity(rows, i):
            point = load_affine(fp2_zero(), rows, i)
            if not on_curve(point):
                return i, _OFF_CURVE
            if not in_subgroup(projective(point)):
                return i, _OUTSIDE
    return -1, _SOUND


@inner
def _add_rows(like: Any, rows: Any, out: Any) -> Any:
    p, q = projective(load_affine(like, rows, 0)), projective(load_affine(like, rows, 1))
    store_affine(out, 0, affine(add(p, q)))


@inner
def _multiply_rows(like: Any, rows: Any, scalars: Any, out: Any) -> Any:
    for i in range(rows.shape[0]):
        store_affine(out, i, affine(multiply(projective(load_affine(like, rows, i)), scalars[i], 256)))


@kernel
def _add_g1(rows: Any, out: Any) -> Any:
    _add_rows(fp_zero(), rows, out)


@kernel
def _add_g2(rows: Any, out: Any) -> Any:
    _add_rows(fp2_zero(), rows, out)


@kernel
def _multiply_g1(rows: Any, scalars: Any, out: Any) -> Any:
    _multiply_rows(fp_zero(), rows, scalars, out)


@kernel
def _multiply_g2(rows: Any, scalars: Any, out: Any) -> Any:
    _multiply_rows(fp2_zero(), rows, scalars, out)


@kernel
def _normalise_g1(points: Any, out: Any) -> Any:
    normalise(fp_zero(), points, out)


@kernel
def _normalise_g2(points: Any, out: Any) -> Any:
    normalise(fp2_zero(), points, out)


class Group(Generic[Point]):
    """One of the two groups; ``coordinates`` is how many elements of Fp make a coordinate."""

    def __init__(
        self,
        coordinates: int,
        check: Callable[..., Any],
        add: Callable[..., Any],
        multiply: Callable[..., Any],
        normalise: Callable[..., Any],
    ) -> None:
        self.coordinates = coordinates
        self._check, self._add, self._multiply, self._normalise = check, add, multiply, normalise

    def _shape(self, count: int, parts: int) -> tuple[int, ...]:
        return (count, parts, 4) if self.coordinates == 1 else (count, parts, 2, 4)

    def _flat(self, point: Any) -> list[int]:
        if point is None:
            return [0] * (2 * self.coordinates)
        return list(point) if self.coordinates == 1 else [*point[0], *point[1]]

    def encode(self, points: Sequence[Point], *, part: str = "points") -> Rows:
        """Affine points in Montgomery form, ``uint64[n, 2, 4]`` or ``[n, 2, 2, 4]``, every one checked.

        Raises
        ------
        OutOfRange
            A coordinate is negative or not below the field's modulus.
        NotOnCurve
            A point is not on the curve.
        NotInSubgroup
            A point of G2 lies outside the subgroup of prime order.
        """
        numbers = [number for point in points for number in self._flat(point)]
        if any(not 0 <= number < P for number in numbers):
            raise OutOfRange(part, "a coordinate is negative or not below the field's modulus")
        for point in points:
            if point is not None and not any(self._flat(point)):
                raise NotOnCurve(part, "(0, 0) is not on the curve")
        rows = encode(fp, numbers)
        self._check_group(rows, len(points), part)
        return rows.reshape(self._shape(len(points), 2))

    def check_rows(self, rows: Rows, *, part: str, threads: int = 1) -> None:
        """Refuse affine rows in Montgomery form that are no points of the group; zeros are the neutral element.

        Of several points that fail, any may be named where ``threads`` share the work.

        Raises
        ------
        OutOfRange, NotOnCurve, NotInSubgroup
            As :meth:`encode`.
        """
        if not below(rows.reshape(-1, 4), P):
            raise OutOfRange(part, "a coordinate is not below the field's modulus")
        with pool(threads) as executor:
            blocks = range(0, len(rows), _BLOCK)
            run([partial(self._check_group, rows[at : at + _BLOCK], len(rows), part, at) for at in blocks], executor)

    def _check_group(self, rows: Rows, count: int, part: str, first: int = 0) -> None:
        """Check rows, the first of which is number ``first`` of ``count``."""
        index, failed = self._check(rows.reshape(-1, 8 * self.coordinates))
        if failed:
            where = part if count == 1 else f"{part}[{first + index}]"
            if failed == _OFF_CURVE:
                raise NotOnCurve(where, "the point does not satisfy the curve's equation")
            raise NotInSubgroup(where, "the point is on the curve but outside the subgroup of prime order")

    def decode(self, rows: Rows) -> list[Point]:
        """Points of affine rows."""
        numbers = decode(fp, rows)
        step = 2 * self.coordinates
        points: list[Any] = []
        for at in range(0, len(numbers), step):
            part = numbers[at : at + step]
            point = tuple(part) if self.coordinates == 1 else ((part[0], part[1]), (part[2], part[3]))
            points.append(point if any(part) else None)
        return points

    def check(self, point: Point, *, part: str) -> None:
        """Refuse what :meth:`encode` refuses, and the neutral element.

        Raises
        ------
        PointAtInfinity
            The point is the neutral element.
        """
        if point is None:
            raise PointAtInfinity(part, "the neutral element has no use here")
        self.encode([point], part=part)

    def add(self, p: Point, q: Point) -> Point:
        out = np.empty(self._shape(1, 2), dtype=np.uint64)
        self._add(self.encode([p, q]), out)
        return self.decode(out)[0]

    def negate(self, p: Point) -> Point:
        if p is None:
            return None
        x, y = p
        negated: Any = (x, -y % P) if isinstance(y, int) else (x, (-y[0] % P, -y[1] % P))
        return negated

    def multiply(self, p: Point, scalar: int) -> Point:
        """``p`` times an integer, taken modulo the group's order; the work does not depend on the scalar."""
        return self.multiply_each([p], [scalar])[0]

    def multiply_each(self, points: Sequence[Point], scalars: Sequence[int]) -> list[Point]:
        """Every point times its own scalar."""
        if len(points) != len(scalars):
            raise WrongLength("scalars", "points and scalars differ in number")
        rows = self.encode(points)
        out = np.empty_like(rows)
        self._multiply(rows, to_limbs([scalar % R for scalar in scalars]), out)
        return self.decode(out)

    def normalise(self, points: Rows) -> Rows:
        """Affine rows of projective rows ``uint64[n, 3, 4]`` or ``[n, 3, 2, 4]``."""
        out = np.empty(self._shape(len(points), 2), dtype=np.uint64)
        self._normalise(points, out)
        return out


g1: Group[G1Point] = Group(1, _check_g1, _add_g1, _multiply_g1, _normalise_g1)
g2: Group[G2Point] = Group(2, _check_g2, _add_g2, _multiply_g2, _normalise_g2)
