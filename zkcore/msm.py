"""Multi-scalar multiplication in G1 and G2: scalar_1 P_1 + ... + scalar_n P_n, for any n from 0 up.

Pippenger's buckets (Bernstein, Doumen, Lange and Oosterwijk 2012, section 4) with signed digits. Each window's points
are sorted by digit and summed in pairs, round by round, by batched affine additions (:mod:`zkcore.affine`). A zero
digit costs nothing, so that zeros and short scalars, most of a witness, are nearly free. Windows are independent
tasks for a pool of threads. The scalars of short sums are halved by an endomorphism first (:mod:`zkcore.glv`).

Not constant-time: time and memory access follow the scalars.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.affine import is_neutral_row
from zkcore.affine_batch import PADDING, add_points, aligned_points, copy_points, work_shape
from zkcore.buckets import BUCKET_COST, sum_buckets
from zkcore.curve import (
    G1Point,
    G2Point,
    add,
    affine,
    double,
    load_affine,
    load_projective,
    neutral,
    store_affine,
    store_projective,
)
from zkcore.errors import WrongLength
from zkcore.field import fp_zero
from zkcore.glv import HALF_BITS, beta, split
from zkcore.groups import Group, g1, g2
from zkcore.kernel import inner, kernel
from zkcore.limbs import to_limbs
from zkcore.tasks import Task, after, run
from zkcore.tower import fp2_zero

Rows = NDArray[np.uint64]

SCALAR_BITS = 254
_NARROWEST_WINDOW, _WIDEST_WINDOW = 4, 15
_MOST_HALVED = 1 << 10
"""Sums of more terms are as quick or quicker with whole scalars. Half as many windows save the sums over their buckets,
but the first point of a bucket costs no addition, so that half as many buckets cost nearly what they save."""
_LINE = 64
"""Bytes of a line of the cache."""
_TASK_POINTS = 1 << 15
"""Windows are taken together up to so many points, and their buckets apart from so many on, so that batches are large
and their sums stay in fast memory."""


@kernel
def bit_lengths(scalars: Any, count_by_length: Any) -> Any:
    """Count the scalars ``uint64[n, words]`` of each length in bits."""
    for i in range(scalars.shape[0]):
        length = 0
        for k in range(scalars.shape[1] - 1, -1, -1):
            word = scalars[i, k]
            if word != np.uint64(0):
                length = 64 * k + 1
                for step in (32, 16, 8, 4, 2, 1):
                    if word >> np.uint64(step):
                        word >>= np.uint64(step)
                        length += step
                break
        count_by_length[length] += 1


@kernel
def signed_digits(scalars: Any, window: Any, digits: Any) -> Any:
    """Digits ``int16[windows, n]`` in [-2^(window - 1), 2^(window - 1)] with scalar = sum of digit 2^(window place).

    Scalars are ``uint64[n, words]``; the windows must hold one bit more than they have.
    """
    mask, half = np.uint64((1 << window) - 1), 1 << (window - 1)
    words = scalars.shape[1]
    for i in range(scalars.shape[0]):
        carry = 0
        for place in range(digits.shape[0]):
            position = place * window
            word, shift = position >> 6, np.uint64(position & 63)
            value = np.uint64(0)
            if word < words:
                value = scalars[i, word] >> shift
                if shift != np.uint64(0) and word < words - 1:
                    value |= scalars[i, word + 1] << (np.uint64(64) - shift)
            digit = np.int64(value & mask) + carry
            carry = 0
            if digit > half:
                digit -= 2 * half
                carry = 1
            digits[place, i] = digit


@kernel
def _drop_neutral(points: Any, digits: Any) -> Any:
    for i in range(points.shape[0]):
        if is_neutral_row(points, i):
            digits[:, i] = 0


@inner
def _halve(like: Any, points: Any, scalars: Any, out: Any, halves: Any) -> Any:
    """Write the halves of scalar i to rows 2 i and 2 i + 1, and to ``out`` the points that they multiply."""
    for i in range(points.shape[0]):
        first, second = split(scalars, i)
        halves[2 * i, 0], halves[2 * i, 1] = first[0], first[1]
        halves[2 * i + 1, 0], halves[2 * i + 1, 1] = second[0], second[1]
        x, y = load_affine(like, points, i)
        store_affine(out, 2 * i, (x, -y if first[2] else y))
        store_affine(out, 2 * i + 1, (beta(like) * x, -y if second[2] else y))


@kernel
def _halve_g1(points: Any, scalars: Any, out: Any, halves: Any) -> Any:
    _halve(fp_zero(), points, scalars, out, halves)


@kernel
def _halve_g2(points: Any, scalars: Any, out: Any, halves: Any) -> Any:
    _halve(fp2_zero(), points, scalars, out, halves)


@kernel
def _sort(digits: Any, buckets: Any, references: Any, start: Any) -> Any:
    """Order references to the points by bucket: bucket b holds those from ``start[b]`` to ``start[b + 1]``.

    Row k of ``digits`` fills the buckets from k ``buckets`` + 1 on, by the size of the digit.
    """
    start[:] = 0
    for row in range(digits.shape[0]):
        for i in range(digits.shape[1]):
            digit = np.int64(digits[row, i])
            if digit != 0:
                start[row * buckets + abs(digit) + 1] += 1
    for b in range(1, start.shape[0]):
        start[b] += start[b - 1]
    for row in range(digits.shape[0]):
        for i in range(digits.shape[1]):
            digit = np.int64(digits[row, i])
            if digit != 0:
                b = row * buckets + abs(digit)
                references[start[b]] = i << 1 | (digit < 0)
                start[b] += 1
    for b in range(start.shape[0] - 1, 0, -1):
        start[b] = start[b - 1]
    start[0] = 0


@kernel
def _pair(references: Any, start: Any, p: Any, q: Any, pair_place: Any, single: Any, single_place: Any) -> Any:
    """Pair neighbours within each bucket, and give each sum, and each point that stays alone, its place afterwards.

    Tells the number of pairs, of single points, and of points in the fullest bucket afterwards.
    """
    written = pairs = singles = fullest = 0
    begin = start[1]
    for b in range(1, start.shape[0] - 1):
        end = start[b + 1]
        start[b] = written
        for k in range(begin, end - 1, 2):
            p[pairs], q[pairs], pair_place[pairs] = references[k], references[k + 1], written
            pairs += 1
            written += 1
        if (end - begin) & 1:
            single[singles], single_place[singles] = references[end - 1], written
            singles += 1
            written += 1
        fullest = max(fullest, written - start[b])
        begin = end
    start[start.shape[0] - 1] = written
    for k in range(written):
        references[k] = k << 1
    return pairs, singles, fullest


def _blocks(start: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of buckets, first and beyond the last, with about :data:`_TASK_POINTS` points each."""
    marks = np.searchsorted(start[1:-1], np.arange(0, start[-1], _TASK_POINTS)) + 1
    return list(pairwise(np.unique([*marks, len(start) - 1]).tolist()))


class _Room:
    """Memory from which one task after the other takes its arrays."""

    def __init__(self, size: int) -> None:
        self._bytes = np.empty(size, np.uint8)
        self.clear()

    def clear(self) -> None:
        """All that was taken is free again."""
        self._used = -self._bytes.ctypes.data % _LINE

    def take(self, count: int, kind: Any = np.int64) -> Any:
        """An array that no other one shares a line of the processor's cache with; what it holds is left over."""
        start, size = self._used, count * np.dtype(kind).itemsize
        self._used += -(-size // _LINE) * _LINE
        whole = self._used <= len(self._bytes)
        return self._bytes[start : start + size].view(kind) if whole else np.empty(count, kind)

    def points(self, count: int, words: int) -> Rows:
        """So many points."""
        rows: Rows = self.take(2 * words * count, np.uint64).reshape(count, 2, words)
        return rows


class Rooms:
    """Memory in which tasks of sums work, of up to ``size`` bytes for each task that runs at once.

    Asking the system for it anew each time would cost a short sum a fifth of its time.
    """

    def __init__(self, size: int) -> None:
        self._size, self._free = size, list[_Room]()

    @contextmanager
    def one(self) -> Iterator[_Room]:
        """A room for one task."""
        try:
            room = self._free.pop()
        except IndexError:
            room = _Room(self._size)
        yield room
        self._free.append(room)


def _sum_windows(points: Rows, digits: NDArray[np.int16], buckets: int, sums: Rows, room: _Room) -> None:
    """Row k of ``sums``, a projective point, becomes the sum of the points times row k of ``digits``."""
    room.clear()
    all_buckets = digits.shape[0] * buckets
    references, start = room.take(digits.size), room.take(all_buckets + 2)
    _sort(digits, buckets, references, start)
    blocks = _blocks(start)
    most = max((int(start[end] - start[first]) for first, end in blocks), default=0)
    widest = max((end - first for first, end in blocks), default=0)
    p, q, pair_place = (room.take(most // 2 + PADDING) for _ in range(3))
    single, single_place = (room.take(min(most, widest)) for _ in range(2))
    words = points.shape[2]
    rooms = room.points((most + widest) // 2 + 1, words), room.points((most + 3 * widest) // 4 + 1, words)
    filled = room.points(min(int(start[-1]), all_buckets), words)
    work_rows, work_words = work_shape(most // 2, words)
    work = room.take(work_rows * work_words, np.uint64).reshape(work_rows, work_words)
    written = 0
    for first, end in blocks:
        named, local = references[start[first] : start[end]], start[first - 1 : end + 1] - start[first]
        source, (out, spare) = points, rooms
        while True:
            pairs, singles, fullest = _pair(named, local, p, q, pair_place, single, single_place)
            add_points(source, p, source, q, out, pair_place, pairs, work)
            copy_points(source, single, out, single_place, singles)
            if fullest <= 1:
                break
            source, out, spare = out, spare, out
        filled[written : written + int(local[-1])] = out[: int(local[-1])]
        start[first:end] = local[1:-1] + written
        written += int(local[-1])
    start[-1] = written
    (_sum_buckets_g1 if words == 4 else _sum_buckets_g2)(filled, start, buckets, sums)
    for secret in (references, start, p, q, pair_place, single, single_place):
        secret[:] = 0


@inner
def _sum_buckets(like: Any, points: Any, start: Any, buckets: Any, sums: Any) -> Any:
    for row in range(sums.shape[0]):
        store_projective(sums, row, sum_buckets(like, points, start, 1 + row * buckets, buckets))


@inner
def _join(like: Any, windows: Any, width: Any, result: Any) -> Any:
    """Affine point 0 of ``result`` becomes the sum of 2^(width k) times window k."""
    total = neutral(like)
    for k in range(windows.shape[0] - 1, -1, -1):
        for _ in range(width):
            total = double(total)
        total = add(total, load_projective(like, windows, k))
    store_affine(result, 0, affine(total))


@kernel
def _sum_buckets_g1(points: Any, start: Any, buckets: Any, sums: Any) -> Any:
    _sum_buckets(fp_zero(), points, start, buckets, sums)


@kernel
def _sum_buckets_g2(points: Any, start: Any, buckets: Any, sums: Any) -> Any:
    _sum_buckets(fp2_zero(), points, start, buckets, sums)


@kernel
def _join_g1(windows: Any, width: Any, result: Any) -> Any:
    _join(fp_zero(), windows, width, result)


@kernel
def _join_g2(windows: Any, width: Any, result: Any) -> Any:
    _join(fp2_zero(), windows, width, result)


def _best_window(lengths: NDArray[np.int64]) -> int:
    """The width that costs least for numbers of these lengths in bits."""
    bits = np.arange(1, len(lengths))

    def cost(width: int) -> float:
        # A number whose length is a multiple of the width carries into one more window.
        return float((_windows(bits, width) * lengths[1:]).sum()) + windows(width) * (BUCKET_COST << (width - 1))

    def windows(width: int) -> int:
        return _windows(int(bits[lengths[1:] > 0].max(initial=0)), width)

    return min(range(_NARROWEST_WINDOW, _WIDEST_WINDOW + 1), key=cost)


def _windows(bits: Any, width: int) -> Any:
    """Windows that hold one bit more than ``bits``."""
    return bits // width + 1


def _terms(count: int) -> tuple[int, int]:
    """How many terms a sum of ``count`` has once its scalars are halved where that pays, and their bits."""
    return (2 * count, HALF_BITS) if count <= _MOST_HALVED else (count, SCALAR_BITS)


def held_bytes(group: Group[Any], count: int) -> int:
    """Bytes that a sum of ``count`` terms holds from its first task to its last, at most."""
    terms, bits = _terms(count)
    halves = terms * (64 * group.coordinates + 16) if terms > count else 0
    return halves + 2 * terms * _windows(bits, _NARROWEST_WINDOW)


def task_bytes(group: Group[Any], count: int) -> int:
    """Bytes that one task of a sum of ``count`` terms takes while it runs, at most."""
    terms, bits = _terms(count)
    dense = np.zeros(bits + 1, np.int64)
    dense[bits] = terms  # scalars of full length have the widest window and so the most buckets
    windows = min(max(1, _TASK_POINTS // max(1, terms)), _windows(bits, _NARROWEST_WINDOW))
    entries, buckets = windows * terms, windows << (_best_window(dense) - 1)
    point = 64 * group.coordinates
    indices = 8 * (entries + buckets + 2) + 3 * 4 * entries + 16 * min(entries, buckets)
    rooms = (entries + buckets) // 2 + (entries + 3 * buckets) // 4 + min(entries, buckets) + 5
    return indices + point * rooms + 8 * prod(work_shape(entries // 2, 4 * group.coordinates)) + 16 * _LINE


class MultiScalarSum:
    """One sum, cut into tasks for any number of threads.

    Parameters
    ----------
    group
        :data:`zkcore.groups.g1` or :data:`~zkcore.groups.g2`.
    points
        Of the group, in Montgomery form, ``uint64[n, 2, 4]`` or ``uint64[n, 2, 2, 4]``, zeros for the neutral element.
    scalars
        Canonical, ``uint64[n, 4]``, below 2^254.
    rooms
        Memory shared with other sums; of its own without it.
    """

    def __init__(self, group: Group[Any], points: Rows, scalars: Rows, rooms: Rooms | None = None) -> None:
        if (scalars[:, 3] >> np.uint64(SCALAR_BITS - 192)).any():
            raise ValueError("a scalar has more than 254 bits")
        self._group, self._scalars = group, scalars
        self._rooms = rooms or Rooms(task_bytes(group, len(points)))
        self._points = points.reshape(len(points), 2, 4 * group.coordinates)

    def tasks(self) -> list[Task]:
        """What is to be done: one task, from which those for the windows follow, a few windows each."""
        return [self._begin]

    def _begin(self) -> list[Task]:
        points, scalars, words = self._points, self._scalars, self._points.shape[2]
        count, bits = _terms(len(points))
        halved = count > len(points)
        if halved:
            points, scalars = aligned_points(count, words), np.empty((count, 2), np.uint64)
            (_halve_g1 if self._group is g1 else _halve_g2)(self._points, self._scalars, points, scalars)
        lengths = np.zeros(bits + 1, np.int64)
        bit_lengths(scalars, lengths)
        width = _best_window(lengths)
        digits = np.empty((_windows(int(np.flatnonzero(lengths).max(initial=0)), width), count), np.int16)
        signed_digits(scalars, width, digits)
        _drop_neutral(points, digits)
        windows = np.empty((len(digits), 3, words), np.uint64)
        step = max(1, _TASK_POINTS // max(1, count))
        parts = [slice(first, first + step) for first in range(0, len(digits), step)]

        def end() -> None:
            self._result = np.empty((2, words), np.uint64)
            (_join_g1 if self._group is g1 else _join_g2)(windows, width, self._result)
            for secret in (digits, windows, *((points, scalars) if halved else ())):
                secret[:] = 0

        ended = after(len(parts), end)

        def task(part: slice) -> Task:
            def sum_part() -> None:
                with self._rooms.one() as room:
                    _sum_windows(points, digits[part], 1 << (width - 1), windows[part], room)
                ended()

            return sum_part

        return [task(part) for part in parts]

    def result(self) -> Rows:
        """The sum once every task is done, affine: ``uint64[2, 4]`` or ``uint64[2, 2, 4]``."""
        return self._result.reshape((2, 4) if self._group is g1 else (2, 2, 4))


def _sum(group: Group[Any], points: Sequence[Any], scalars: Sequence[int], executor: Executor | None) -> Any:
    if len(points) != len(scalars):
        raise WrongLength("scalars", f"{len(scalars)} scalars for {len(points)} points")
    total = MultiScalarSum(group, group.encode(points), to_limbs(scalars, part="scalars"))
    run(total.tasks(), executor)
    return group.decode(total.result()[np.newaxis])[0]


def multi_multiply_g1(points: Sequence[G1Point], scalars: Sequence[int], executor: Executor | None = None) -> G1Point:
    """Sum of ``scalars[i] * points[i]`` in G1, scalars in [0, 2^254).

    Raises
    ------
    WrongLength, OutOfRange, NotOnCurve
        What :meth:`zkcore.groups.Group.encode` refuses, and another number of scalars.
    """
    return _sum(g1, points, scalars, executor)


def multi_multiply_g2(points: Sequence[G2Point], scalars: Sequence[int], executor: Executor | None = None) -> G2Point:
    """The same in G2."""
    return _sum(g2, points, scalars, executor)
