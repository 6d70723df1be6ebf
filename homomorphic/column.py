"""Columns of Paillier ciphertexts: the same operation on many at once.

A :class:`CiphertextColumn` encrypts, adds, sums by groups, scales and decrypts thousands of ciphertexts a call, in
lanes where the processor has them (:mod:`homomorphic.modular`) and with GMP otherwise; the results are the same.
Plaintexts are signed: an integer x with |x| < N/2 stands for x modulo N. What does not fit is refused, never wrapped;
results of arithmetic that leave the range can't be seen under encryption, so callers keep sums of |x| below N/2.

Encryption's randomness is drawn from the operating system. In lanes, its powers and decryption's take time and touch
memory independently of every secret; :class:`homomorphic.modular.PlainModulus` says what shows elsewhere.

>>> from homomorphic.paillier import generate_keypair
>>> public_key, private_key = generate_keypair(2048)
>>> sales = CiphertextColumn.encrypt(public_key, [120, 80, 45, -5])
>>> sales.sum().decrypt(private_key)
[240]
>>> (sales * [1, 2, 3, 4] + [0, 0, 0, 20]).decrypt(private_key)
[120, 160, 135, 0]
>>> sales.sum(groups=[0, 1, 1, 0]).decrypt(private_key)
[115, 125]
"""

import secrets
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

from homomorphic.arrow import export, export_schema, rows_of
from homomorphic.ciphertext_rows import Buffer, check_rows, check_units, rows_of_buffer
from homomorphic.errors import WrongKey
from homomorphic.modular import Bytes, from_rows, square_modulus, to_rows
from homomorphic.paillier import PrivateKey, PublicKey
from zkcore.errors import OutOfRange, WrongLength

Integers = Sequence[int] | NDArray[np.int64] | NDArray[np.uint64]


class _Arithmetic:
    """What is computed once a public key."""

    def __init__(self, key: PublicKey) -> None:
        self.key = key
        self.modulus = square_modulus(key.n)

    @cached_property
    def table(self) -> Any:
        """Powers of h for encryption."""
        return self.modulus.fixed_base(self.key.h, self.key.randomness_bits)

    def plaintexts(self, values: Integers) -> Any:
        """The column of 1 + x N, unencrypted, for signed integers; raises OutOfRange."""
        key = self.key
        if isinstance(values, np.ndarray) and values.dtype in (np.int64, np.uint64) and values.ndim == 1:
            if values.dtype == np.uint64 or (values >= 0).all():
                return self.modulus.enter_plaintexts(values.astype(">u8").view(np.uint8).reshape(-1, 8))
            shifted = (values.view(np.uint64) ^ np.uint64(1 << 63)).astype(">u8").view(np.uint8).reshape(-1, 8)
            shift = self.modulus.constant(int(key.unhidden(-(1 << 63))))
            return self.modulus.multiply(self.modulus.enter_plaintexts(shifted), shift)
        half = key.n // 2
        for i, value in enumerate(values):
            if not -half <= value <= half:
                raise OutOfRange(f"values[{i}]", "is not below N/2 in size")
        return self.modulus.enter_plaintexts(to_rows([int(value) % key.n for value in values], (key.bits + 7) // 8))

    def masks(self, column: Any, count: int) -> Any:
        """A column times fresh h^rho."""
        width = -(-self.key.randomness_bits // 8)
        rows = np.frombuffer(secrets.token_bytes(count * width), np.uint8).reshape(count, width)
        if self.key.randomness_bits % 8:
            rows = rows.copy()
            rows[:, 0] &= (1 << self.key.randomness_bits % 8) - 1
        return self.modulus.fixed_power(column, self.table, rows)


@lru_cache(maxsize=4)
def _arithmetic(key: PublicKey) -> _Arithmetic:
    return _Arithmetic(key)


class CiphertextColumn:
    """Ciphertexts of one key, in an order. Columns are values: operations give new ones.

    Made by :meth:`encrypt`, :meth:`from_bytes`, :meth:`from_ciphertexts` and by arithmetic.
    """

    def __init__(self, public_key: PublicKey, rows: Any, count: int) -> None:
        self.public_key = public_key
        self._rows = rows
        self._count = count
        self._arithmetic = _arithmetic(public_key)

    @classmethod
    def encrypt(cls, public_key: PublicKey, values: Integers) -> "CiphertextColumn":
        """Encrypt signed integers, each with fresh randomness.

        Parameters
        ----------
        values
            Integers with ``|x| <= (N - 1) / 2``; arrays ``int64[n]`` and ``uint64[n]`` are taken without a loop.

        Raises
        ------
        OutOfRange, WrongLength
            A value that does not fit; no values.
        """
        if not len(values):
            raise WrongLength("values", "there is nothing to encrypt")
        arithmetic = _arithmetic(public_key)
        return cls(public_key, arithmetic.masks(arithmetic.plaintexts(values), len(values)), len(values))

    @classmethod
    def from_bytes(cls, public_key: PublicKey, data: Buffer) -> "CiphertextColumn":
        """Read ciphertexts laid one after the other, each big-endian and ``public_key.ciphertext_bytes`` wide.

        Any contiguous buffer serves, and is not copied.

        Raises
        ------
        WrongLength, OutOfRange, TrivialCiphertext, NotAUnit
            Not a whole number of ciphertexts, or none; one that is not a ciphertext of the key.
        """
        rows = rows_of_buffer(public_key, data)
        if not len(rows):
            raise WrongLength("column", "there are no ciphertexts")
        check_rows(public_key, rows)
        arithmetic = _arithmetic(public_key)
        column = cls(public_key, arithmetic.modulus.enter(rows), len(rows))
        # the product is a unit exactly when every ciphertext is
        if gmpy2.gcd(column.sum().to_ciphertexts()[0], public_key.modulus) != 1:
            check_units(public_key, rows)
        return column

    @classmethod
    def from_arrow(cls, public_key: PublicKey, array: Any) -> "CiphertextColumn":
        """From an Arrow array of fixed-size binary (:func:`homomorphic.arrow.rows_of`), which is not copied.

        The other way round, ``pyarrow.array(column)`` and its like make such an array of a column. Raises Malformed
        for what is no such array, and as :meth:`from_bytes`.
        """
        return cls.from_bytes(public_key, rows_of(array, public_key.ciphertext_bytes).reshape(-1))

    @classmethod
    def from_ciphertexts(cls, public_key: PublicKey, ciphertexts: Sequence[int]) -> "CiphertextColumn":
        """From integers; raises as :meth:`from_bytes`."""
        for i, ciphertext in enumerate(ciphertexts):
            if not 0 <= ciphertext < public_key.square:
                raise OutOfRange(f"column[{i}]", "does not lie in [0, N^2)")
        return cls.from_bytes(public_key, to_rows(ciphertexts, public_key.ciphertext_bytes).tobytes())

    @classmethod
    def concatenate(cls, columns: Sequence["CiphertextColumn"]) -> "CiphertextColumn":
        """One column of all rows in order; raises WrongLength for none, WrongKey for different keys."""
        if not columns:
            raise WrongLength("columns", "there is nothing to concatenate")
        first = columns[0]
        for column in columns:
            first._check_key(column)
        rows = first._arithmetic.modulus.join([(column._rows, column._count) for column in columns])
        return cls(first.public_key, rows, sum(column._count for column in columns))

    def _like(self, rows: Any, count: int | None = None) -> "CiphertextColumn":
        return CiphertextColumn(self.public_key, rows, self._count if count is None else count)

    def _check_key(self, other: "CiphertextColumn") -> None:
        if other.public_key.fingerprint != self.public_key.fingerprint:
            raise WrongKey("column", "is encrypted under another key")

    def _check_length(self, other: Any, part: str) -> None:
        if len(other) != self._count:
            raise WrongLength(part, f"{len(other)} items for {self._count} ciphertexts")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: slice | NDArray[np.integer[Any]] | Sequence[int]) -> "CiphertextColumn":
        """The rows of a slice or of a sequence of indices."""
        order = np.arange(self._count, dtype=np.int64)[index]
        if order.ndim != 1 or not len(order):
            raise WrongLength("index", "selects no column of rows")
        return self._like(self._arithmetic.modulus.take(self._rows, np.ascontiguousarray(order)), len(order))

    def to_bytes(self) -> bytes:
        """What :meth:`from_bytes` reads."""
        modulus, width = self._arithmetic.modulus, self.public_key.ciphertext_bytes
        return bytes(np.ascontiguousarray(modulus.leave(self._rows, self._count, width)).data)

    def __arrow_c_schema__(self) -> Any:
        """Arrow's protocol: the type of :meth:`__arrow_c_array__`."""
        return export_schema(self.public_key.ciphertext_bytes)

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        """Arrow's protocol: the ciphertexts as fixed-size binary."""
        return export(self._arithmetic.modulus.leave(self._rows, self._count, self.public_key.ciphertext_bytes))

    def to_ciphertexts(self) -> list[int]:
        """The ciphertexts as integers."""
        modulus, width = self._arithmetic.modulus, self.public_key.ciphertext_bytes
        return from_rows(modulus.leave(self._rows, self._count, width))

    def __add__(self, other: "CiphertextColumn | Integers") -> "CiphertextColumn":
        """Row by row, what two columns hold, or a column and plain integers (whose randomness stays the column's)."""
        if isinstance(other, CiphertextColumn):
            self._check_key(other)
            rows = other._rows
        else:
            rows = self._arithmetic.plaintexts(other)
        self._check_length(other, "summand")
        return self._like(self._arithmetic.modulus.multiply(self._rows, rows))

    def __mul__(self, factors: Sequence[int] | int) -> "CiphertextColumn":
        """Row by row, what the column holds times integers of any sign, or all of it times one integer.

        The randomness is multiplied likewise: rerandomize where factors are secret. A factor of 0 gives the trivial
        ciphertext 1 unless rerandomized. Time depends on the longest factor, and on which are negative.
        """
        single = isinstance(factors, int)
        values = [factors] * self._count if isinstance(factors, int) else [int(factor) for factor in factors]
        self._check_length(values, "factors")
        sizes = [abs(value) for value in values]
        bits = max(1, max(sizes).bit_length())
        exponents = to_rows(sizes[:1] if single else sizes, -(-bits // 8))
        negative = [i for i, value in enumerate(values) if value < 0]
        base = self._with_inverses(negative) if negative else self
        return self._like(self._arithmetic.modulus.power(base._rows, exponents, bits))

    def _with_inverses(self, rows: list[int]) -> "CiphertextColumn":
        """The column with some ciphertexts inverted."""
        ciphertexts = self.to_ciphertexts()
        for i in rows:
            ciphertexts[i] = int(gmpy2.invert(ciphertexts[i], self.public_key.square))
        data = to_rows(ciphertexts, self.public_key.ciphertext_bytes)
        return self._like(self._arithmetic.modulus.enter(data))

    def __neg__(self) -> "CiphertextColumn":
        return self * -1

    def __matmul__(self, weights: Sequence[int]) -> "CiphertextColumn":
        """The dot product with integer weights, a column of one row."""
        return (self * weights).sum()

    def sum(self, groups: Sequence[int] | NDArray[np.integer[Any]] | None = None) -> "CiphertextColumn":
        """The sum of all rows, a column of one row; or of the rows of each group.

        Parameters
        ----------
        groups
            For each row the number of its group, 0, 1, ...; the result has a row a group. A group without rows is
            refused (OutOfRange), as its sum would hide nothing.
        """
        modulus = self._arithmetic.modulus
        if groups is None:
            return self._like(modulus.total(self._rows), 1)
        self._check_length(groups, "groups")
        labels = np.asarray(groups, np.int64)
        if labels.min() < 0 or (np.bincount(labels) == 0).any():
            raise OutOfRange("groups", "are not numbered 0, 1, ... without a gap")
        order = np.argsort(labels, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(labels))]).astype(np.int64)
        return self._like(modulus.totals(self._rows, order, starts), len(starts) - 1)

    def rerandomize(self) -> "CiphertextColumn":
        """The same plaintexts under fresh randomness."""
        return self._like(self._arithmetic.masks(self._rows, self._count))

    def decrypt(self, private_key: PrivateKey) -> list[int]:
        """The signed integers, ``|x| <= (N - 1) / 2``; raises WrongKey."""
        key = self.public_key
        if private_key.public_key.fingerprint != key.fingerprint:
            raise WrongKey("private_key", "does not belong to the column's key")
        rows = self._arithmetic.modulus.leave(self._rows, self._count, key.ciphertext_bytes)
        p, q = private_key.p, private_key.q
        halves = [_plaintexts_modulo(prime, rows, key) for prime in (p, q)]
        p_inverse, half = int(gmpy2.invert(p, q)), key.n // 2
        values = (m_p + (m_q - m_p) * p_inverse % q * p for m_p, m_q in zip(*halves, strict=True))
        return [value - key.n if value > half else value for value in values]


def _plaintexts_modulo(p: int, rows: Bytes, key: PublicKey) -> list[int]:
    """The plaintexts modulo one prime of the key: c^(p - 1) = 1 + L p modulo p^2 (Paillier 1999, section 7)."""
    modulus = square_modulus(p)
    powers = modulus.power(modulus.enter(rows), to_rows([p - 1], -(-p.bit_length() // 8)), p.bit_length())
    # (1 + N)^(p - 1) = 1 - q p modulo p^2
    scale = int(gmpy2.invert(-(key.n // p), p))
    return [quotient * scale % p for quotient in modulus.leave_quotients(powers, len(rows))]
