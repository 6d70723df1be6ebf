"""Arithmetic modulo n^2 with GMP, one number at a time: the portable side of :mod:`homomorphic.modular`.

Threads are not used: GMP's numbers in Python take turns.
"""

from collections.abc import Sequence
from functools import cached_property

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from homomorphic.multiexp import product_of_powers
from homomorphic.rows import Bytes, from_rows, to_rows

LOOKUP_WINDOW = 7
"""Bits a window of a fixed base's table, whose entries are looked up."""


class PlainModulus:
    """Arithmetic modulo n^2 with GMP; a column is a list of ``mpz``, rows past the end do not exist."""

    def __init__(self, n: int) -> None:
        self.n = mpz(n)

    @cached_property
    def _square(self) -> mpz:
        return self.n * self.n

    def constant(self, value: int) -> list[mpz]:
        """As :meth:`LaneModulus.constant`."""
        return [value % self._square]

    def enter(self, rows: Bytes, threads: int = 1) -> list[mpz]:
        """As :meth:`LaneModulus.enter`."""
        return [mpz(value) % self._square for value in from_rows(rows)]

    def enter_plaintexts(self, rows: Bytes) -> list[mpz]:
        """As :meth:`LaneModulus.enter_plaintexts`."""
        return [(1 + value * self.n) % self._square for value in from_rows(rows)]

    def leave(self, column: list[mpz], count: int, width: int, threads: int = 1) -> Bytes:
        """As :meth:`LaneModulus.leave`."""
        return to_rows([int(value) for value in column[:count]], width)

    def multiply(self, a: list[mpz], b: list[mpz], threads: int = 1) -> list[mpz]:
        """As :meth:`LaneModulus.multiply`."""
        if len(b) == 1:
            return [x * b[0] % self._square for x in a]
        return [x * y % self._square for x, y in zip(a, b, strict=True)]

    def total(self, column: list[mpz], threads: int = 1) -> list[mpz]:
        """As :meth:`LaneModulus.total`."""
        product = mpz(1)
        for value in column:
            product = product * value % self._square
        return [product]

    def totals(
        self, column: list[mpz], order: NDArray[np.int64], starts: NDArray[np.int64], threads: int = 1
    ) -> list[mpz]:
        """As :meth:`LaneModulus.totals`."""
        rows = order.tolist()
        pairs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        return [self.total([column[row] for row in rows[first:last]])[0] for first, last in pairs]

    def inverses(self, column: list[mpz]) -> list[mpz]:
        """As :meth:`LaneModulus.inverses`."""
        return [gmpy2.invert(value, self._square) for value in column]

    def choose(self, chosen: NDArray[np.bool_], a: list[mpz], b: list[mpz]) -> list[mpz]:
        """As :meth:`LaneModulus.choose`."""
        return [x if first else y for first, x, y in zip(chosen.tolist(), a, b, strict=True)]

    def dot(self, column: list[mpz], exponents: Bytes, bits: int, threads: int = 1) -> list[mpz]:
        """As :meth:`LaneModulus.dot`."""
        return self.total(self.power(column, exponents, bits))

    def take(self, column: list[mpz], order: NDArray[np.int64]) -> list[mpz]:
        """As :meth:`LaneModulus.take`."""
        return [column[row] for row in order.tolist()]

    def join(self, columns: Sequence[tuple[list[mpz], int]]) -> list[mpz]:
        """As :meth:`LaneModulus.join`."""
        return [value for column, _ in columns for value in column]

    def power(self, column: list[mpz], exponents: Bytes, bits: int, threads: int = 1) -> list[mpz]:
        """As :meth:`LaneModulus.power`."""
        powers = from_rows(exponents)
        powers = powers * len(column) if len(powers) == 1 else powers
        return [
            gmpy2.powmod_sec(value, exponent, self._square) if exponent else mpz(1)
            for value, exponent in zip(column, powers, strict=True)
        ]

    def product_of_powers(self, column: list[mpz], exponents: Bytes, bits: int) -> list[mpz]:
        """As :meth:`LaneModulus.product_of_powers`."""
        return [product_of_powers(column, from_rows(exponents), self._square)]

    def fixed_base(self, base: int, bits: int) -> list[list[tuple[mpz, mpz]]]:
        """As :meth:`LaneModulus.fixed_base`, with a pair (u, d) an entry."""
        table, power = [], mpz(base)
        for _ in range(-(-bits // LOOKUP_WINDOW)):
            entries, entry, inverse = [], mpz(1), mpz(1)
            inverse_of_power = gmpy2.invert(power, self.n)
            for _ in range(1 << LOOKUP_WINDOW):
                quotient, u = divmod(entry, self.n)
                entries.append((u, quotient * inverse % self.n))
                entry, inverse = entry * power % self._square, inverse * inverse_of_power % self.n
            table.append(entries)
            power = entry
        return table

    def fixed_power(
        self, column: list[mpz], table: list[list[tuple[mpz, mpz]]], exponents: Bytes, threads: int = 1
    ) -> list[mpz]:
        """As :meth:`LaneModulus.fixed_power`, but not constant-time: entries are looked up."""
        out, square = [], self._square
        for product, exponent in zip(column, from_rows(exponents), strict=True):
            total = mpz(0)
            for k, entries in enumerate(table):
                u, d = entries[exponent >> (LOOKUP_WINDOW * k) & ((1 << LOOKUP_WINDOW) - 1)]
                product = product * u % square
                total += d
            out.append(product * (1 + total % self.n * self.n) % square)
        return out
