"""Numbers and points that snarkjs 0.7 draws from a seed, bit for bit: what its ceremonies derive from transcripts.

The stream is ChaCha20 (Bernstein 2008; RFC 8439, section 2.3, with counter and nonce as one counter from 0), its key
the seed as big-endian words. An element of a field is 256 bits of it, 64 at a time, cut to the modulus's length and
drawn again until below the modulus, and taken for the Montgomery form of the element. A point is drawn by its x
coordinate and one bit for the sign of y; one of the twist is multiplied into the subgroup. Everything here is public.
"""

import struct
from collections.abc import Iterator

from zkcore.bn254 import P, R
from zkcore.curve import B1, B2, G1Point, G2Point
from zkcore.tower import fp2_power

COFACTOR = 2 * P - R
"""The twist has R times this many points."""

_CONSTANTS = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
_QUARTERS = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)
_WORD = (1 << 32) - 1
Fp2 = tuple[int, int]


def _rotated(word: int, count: int) -> int:
    return (word << count | word >> (32 - count)) & _WORD


def block(key: tuple[int, ...], counter: int) -> list[int]:
    """Sixteen words of the stream of a key of eight words."""
    state = [*_CONSTANTS, *key, *(counter >> shift & _WORD for shift in (0, 32, 64, 96))]
    work = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            for target, source, other, count in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                work[target] = (work[target] + work[source]) & _WORD
                work[other] = _rotated(work[other] ^ work[target], count)
    return [(x + y) & _WORD for x, y in zip(work, state, strict=True)]


class Stream:
    """What is drawn from a seed of 32 bytes, one after the other."""

    def __init__(self, seed: bytes) -> None:
        self._words = self._stream(struct.unpack(">8I", seed))

    @staticmethod
    def _stream(key: tuple[int, ...]) -> Iterator[int]:
        counter = 0
        while True:
            yield from block(key, counter)
            counter += 1

    def element(self, modulus: int) -> int:
        """An element of a prime field of 254 bits."""
        mask = (1 << modulus.bit_length()) - 1
        while True:
            number = 0
            for place in range(4):
                high, low = next(self._words), next(self._words)
                number |= (high << 32 | low) << 64 * place
            if (number & mask) < modulus:
                return (number & mask) * pow(1 << 256, -1, modulus) % modulus

    def _flag(self) -> bool:
        return bool(next(self._words) & 1)

    def g1(self) -> G1Point:
        """A point of G1."""
        while True:
            x, negative = self.element(P), self._flag()
            square = (x**3 + B1) % P
            y = pow(square, (P + 1) // 4, P)
            if y * y % P == square:
                return x, -y % P if _is_negative((y, 0)) != negative else y

    def g2(self) -> G2Point:
        """A point of G2."""
        while True:
            x = (self.element(P), self.element(P))
            negative = self._flag()
            square = _add(_multiply(_multiply(x, x), x), B2)
            y = square_root(square)
            if y is not None:
                if _is_negative(y) != negative:
                    y = (-y[0] % P, -y[1] % P)
                return _times_cofactor((x, y))


def _is_negative(a: Fp2) -> bool:
    return (a[1] or a[0]) > (P - 1) // 2


def _add(a: Fp2, b: Fp2) -> Fp2:
    return (a[0] + b[0]) % P, (a[1] + b[1]) % P


def _multiply(a: Fp2, b: Fp2) -> Fp2:
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def square_root(a: Fp2) -> Fp2 | None:
    """A square root in Fp2 = Fp[i], None if there is none (Adj and Rodriguez-Henriquez 2012, algorithm 9)."""
    power = fp2_power(a, (P - 3) // 4)
    x = _multiply(power, a)
    alpha = _multiply(power, x)
    factor = (0, 1) if alpha == (P - 1, 0) else fp2_power(_add((1, 0), alpha), (P - 1) // 2)
    root = _multiply(factor, x)
    return root if _multiply(root, root) == a else None


def _times_cofactor(point: tuple[Fp2, Fp2]) -> G2Point:
    """A point of the twist times the cofactor: double and add on affine coordinates."""
    total: G2Point = None
    for bit in bin(COFACTOR)[2:]:
        total = _sum(total, total)
        if bit == "1":
            total = _sum(total, point)
    return total


def _sum(p: G2Point, q: G2Point) -> G2Point:
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if p[1] != q[1] or p[1] == (0, 0):
            return None
        rise, run = _multiply((3, 0), _multiply(p[0], p[0])), _add(p[1], p[1])
    else:
        rise, run = _add(q[1], (-p[1][0], -p[1][1])), _add(q[0], (-p[0][0], -p[0][1]))
    norm = pow(run[0] * run[0] + run[1] * run[1], -1, P)
    slope = _multiply(rise, (run[0] * norm % P, -run[1] * norm % P))
    x = _add(_multiply(slope, slope), (-p[0][0] - q[0][0], -p[0][1] - q[0][1]))
    y = _add(_multiply(slope, _add(p[0], (-x[0], -x[1]))), (-p[1][0], -p[1][1]))
    return x, y
