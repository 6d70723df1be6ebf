"""Columns of Paillier ciphertexts: the same operation on many at once.

A :class:`CiphertextColumn` encrypts, adds, sums by groups, scales and decrypts thousands of ciphertexts a call, in
lanes where the processor has them (:mod:`homomorphic.modular`) and with GMP otherwise; the results are the same.
Plaintexts are signed: an integer x with |x| < N/2 stands for x modulo N. What does not fit is refused, never wrapped;
results of arithmetic that leave the range can't be seen under encryption, so callers keep sums of |x| below N/2.
Numbers that are not whole are carried as multiples of 1 / scale, with a scale that the caller says
(:mod:`homomorphic.fixed_point`); columns of different scales do not add.

Encryption's randomness is drawn from the operating system. In lanes, its powers, decryption and products with factors
take time and touch memory independently of every secret; :class:`homomorphic.modular.PlainModulus` says what shows
elsewhere. Operations that take ``threads`` split the rows over as many, with the GIL released; in lanes only.

>>> from homomorphic.paillier import generate_keypair
>>> public_key, private_key = generate_keypair(2048)
>>> sales = public_key.encrypt([120, 80, 45, -5])
>>> private_key.decrypt(sales.sum())
[240]
>>> (sales * [1, 2, 3, 4] + [0, 0, 0, 20]).decrypt(private_key)
[120, 160, 135, 0]
>>> sales.sum(groups=[0, 1, 1, 0]).decrypt(private_key)
[115, 125]
>>> prices = public_key.encrypt([19.99, 5.01], scale=100)
>>> (prices @ [2, 1]).decrypt_fractions(private_key)
[Fraction(4499, 100)]
"""

import secrets
import sys
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

from homomorphic.arrow import rows_of
from homomorphic.ciphertext_rows import Buffer, check_rows, check_units, rows_of_buffer
from homomorphic.errors import WrongKey, WrongScale
from homomorphic.fixed_point import Integers, Numbers, scaled
from homomorphic.modular import Bytes, from_rows, square_modulus, to_rows
from homomorphic.paillier import PublicKey
from zkcore.errors import OutOfRange, WrongLength

if TYPE_CHECKING:
    from homomorphic.paillier import PrivateKey


class _Arithmetic:
    """What is computed once a public key."""

    def __init__(self, key: PublicKey) -> None:
        self.key = key
        self.modulus = square_modulus(key.n)

    @cached_property
    def table(self) -> Any:
        """Powers of h for encryption."""
        return self.modulus.fixed_base(self.key.h, self.key.randomness_bits)

    def plaintexts(self, numbers: Numbers, scale: int, part: str) -> Any:
        """The column of 1 + x N, unencrypted, for signed numbers; raises OutOfRange."""
        key, values = self.key, scaled(numbers, scale, part)
        if isinstance(values, np.ndarray):
            if key.bits <= 64 + 1:
                raise OutOfRange(part, "the key is too short for 64-bit integers")
            if values.dtype == np.uint64 or (values >= 0).all():
                return self.modulus.enter_plaintexts(values.astype(">u8").view(np.uint8).reshape(-1, 8))
            shifted = (values.view(np.uint64) ^ np.uint64(1 << 63)).astype(">u8").view(np.uint8).reshape(-1, 8)
            shift = self.modulus.constant(int(key.unhidden(-(1 << 63))))
            return self.modulus.multiply(self.modulus.enter_plaintexts(shifted), shift)
        half = key.n // 2
        for i, value in enumerate(values):
            if not -half <= value <= half:
                raise OutOfRange(f"{part}[{i}]", "is not below N/2 in size")
        return self.modulus.enter_plaintexts(to_rows([value % key.n for value in values], (key.bits + 7) // 8))

    def randomness(self, count: int) -> Bytes:
        """Fresh exponents of h, ``uint8[count, width]``."""
        width = -(-self.key.randomness_bits // 8)
        rows = np.frombuffer(secrets.token_bytes(count * width), np.uint8).reshape(count, width)
        if self.key.randomness_bits % 8:
            rows = rows.copy()
            rows[:, 0] &= (1 << self.key.randomness_bits % 8) - 1
        return rows

    def masked(self, column: Any, count: int, threads: int, owner: "PrivateKey | None" = None) -> Any:
        """A column times fresh h^rho, found by the factors if the key's owner is there."""
        if owner is None:
            return self.modulus.fixed_power(column, self.table, self.randomness(count), threads)
        masks = owner.factors.masks(self.randomness(count), self.key.ciphertext_bytes, threads)
        return self.modulus.multiply(column, self.modulus.enter(masks, threads), threads)


@lru_cache(maxsize=4)
def _arithmetic(key: PublicKey) -> _Arithmetic:
    return _Arithmetic(key)


class CiphertextColumn:
    """Ciphertexts of one key, in an order. Columns are values: operations give new ones.

    Made by :meth:`encrypt`, :meth:`from_bytes`, :meth:`from_arrow`, :meth:`from_ciphertexts` and by arithmetic.

    Attributes
    ----------
    public_key
        The key.
    scale
        What is encrypted are multiples of 1 / scale; it is not part of any encoding.
    """

    def __init__(self, public_key: PublicKey, rows: Any, count: int, scale: int = 1) -> None:
        self.public_key = public_key
        self.scale = scale
        self._rows = rows
        self._count = count
        self._arithmetic = _arithmetic(public_key)

    @classmethod
    def encrypt(
        cls,
        public_key: PublicKey,
        values: Numbers,
        *,
        scale: int = 1,
        threads: int = 1,
        owner: "PrivateKey | None" = None,
    ) -> "CiphertextColumn":
        """Encrypt signed numbers, each with fresh randomness.

        Parameters
        ----------
        values
            Numbers with ``|x scale| <= (N - 1) / 2``; integers if the scale is 1. Arrays are taken without a loop.
        owner
            The private key, whose holder encrypts in less time; the ciphertexts are of the same distribution.

        Raises
        ------
        OutOfRange, WrongLength, WrongKey
            A value that does not fit; no values; another key's owner.
        """
        if not len(values):
            raise WrongLength("values", "there is nothing to encrypt")
        if owner is not None and owner.public_key.fingerprint != public_key.fingerprint:
            raise WrongKey("owner", "does not belong to the public key")
        arithmetic = _arithmetic(public_key)
        plaintexts = arithmetic.plaintexts(values, scale, "values")
        return cls(public_key, arithmetic.masked(plaintexts, len(values), threads, owner), len(values), scale)

    @classmethod
    def from_bytes(cls, public_key: PublicKey, data: Buffer, *, scale: int = 1, threads: int = 1) -> "CiphertextColumn":
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
        column = cls(public_key, arithmetic.modulus.enter(rows, threads), len(rows), scale)
        # the product is a unit exactly when every ciphertext is
        if gmpy2.gcd(column.sum(threads=threads).to_ciphertexts()[0], public_key.modulus) != 1:
            check_units(public_key, rows)
        return column

    @classmethod
    def from_arrow(cls, public_key: PublicKey, array: Any, *, scale: int = 1, threads: int = 1) -> "CiphertextColumn":
        """From an Arrow array of fixed-size binary (:func:`homomorphic.arrow.rows_of`), which is not copied.

        The other way round, ``pyarrow.array(column)`` makes such an array of a column. Raises Malformed
        for what is no such array, and as :meth:`from_bytes`.
        """
        rows = rows_of(array, public_key.ciphertext_bytes)
        return cls.from_bytes(public_key, rows.reshape(-1), scale=scale, threads=threads)

    @classmethod
    def from_ciphertexts(
        cls, public_key: PublicKey, ciphertexts: Sequence[int], *, scale: int = 1
    ) -> "CiphertextColumn":
        """From integers; raises as :meth:`from_bytes`."""
        for i, ciphertext in enumerate(ciphertexts):
            if not 0 <= ciphertext < public_key.square:
                raise OutOfRange(f"column[{i}]", "does not lie in [0, N^2)")
        return cls.from_bytes(public_key, to_rows(ciphertexts, public_key.ciphertext_bytes).tobytes(), scale=scale)

    @classmethod
    def concatenate(cls, columns: Sequence["CiphertextColumn"]) -> "CiphertextColumn":
        """One column of all rows in order; raises WrongLength for none, WrongKey, WrongScale for different ones."""
        if not columns:
            raise WrongLength("columns", "there is nothing to concatenate")
        first = columns[0]
        for column in columns:
            first._check_like(column)
        rows = first._arithmetic.modulus.join([(column._rows, column._count) for column in columns])
        return first._like(rows, sum(column._count for column in columns))

    def grow(self, more: "CiphertextColumn | Numbers", *, threads: int = 1) -> "CiphertextColumn":
        """The column followed by another, or by numbers encrypted at its scale; raises as what it calls."""
        if not isinstance(more, CiphertextColumn):
            more = CiphertextColumn.encrypt(self.public_key, more, scale=self.scale, threads=threads)
        return CiphertextColumn.concatenate([self, more])

    def _like(self, rows: Any, count: int | None = None, scale: int | None = None) -> "CiphertextColumn":
        count, scale = self._count if count is None else count, self.scale if scale is None else scale
        return CiphertextColumn(self.public_key, rows, count, scale)

    def _check_like(self, other: "CiphertextColumn") -> None:
        if other.public_key.fingerprint != self.public_key.fingerprint:
            raise WrongKey("column", "is encrypted under another key")
        if other.scale != self.scale:
            raise WrongScale("column", f"holds multiples of 1/{other.scale}, not of 1/{self.scale}")

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

    def to_rows(self, *, threads: int = 1) -> Bytes:
        """The ciphertexts as big-endian rows, ``uint8[n, public_key.ciphertext_bytes]``."""
        width = self.public_key.ciphertext_bytes
        return np.ascontiguousarray(self._arithmetic.modulus.leave(self._rows, self._count, width, threads))

    def to_bytes(self, *, threads: int = 1) -> bytes:
        """What :meth:`from_bytes` reads."""
        return self.to_rows(threads=threads).tobytes()

    def __arrow_array__(self, type: Any = None) -> Any:
        """PyArrow's protocol: what ``pyarrow.array(column)`` gives, fixed-size binary, not copied."""
        pyarrow: Any = sys.modules["pyarrow"]  # nobody else calls this
        rows = self.to_rows()
        kind, buffers = pyarrow.binary(rows.shape[1]), [None, pyarrow.py_buffer(rows)]
        array = pyarrow.FixedSizeBinaryArray.from_buffers(kind, len(rows), buffers)
        return array if type is None else array.cast(type)

    def to_ciphertexts(self) -> list[int]:
        """The ciphertexts as integers."""
        return from_rows(self.to_rows())

    def add(self, other: "CiphertextColumn | Numbers", *, threads: int = 1) -> "CiphertextColumn":
        """Row by row, what two columns hold, or a column and plain numbers (whose randomness stays the column's).

        Raises
        ------
        WrongLength, WrongKey, WrongScale, OutOfRange
            A summand of another length, key or scale; a number that does not fit.
        """
        self._check_length(other, "summand")
        if isinstance(other, CiphertextColumn):
            self._check_like(other)
            rows = other._rows
        else:
            rows = self._arithmetic.plaintexts(other, self.scale, "summand")
        return self._like(self._arithmetic.modulus.multiply(self._rows, rows, threads))

    def __add__(self, other: "CiphertextColumn | Numbers") -> "CiphertextColumn":
        return self.add(other)

    def __sub__(self, other: "CiphertextColumn") -> "CiphertextColumn":
        return self.add(-other)

    def multiply(self, factors: Numbers | int, *, scale: int = 1, threads: int = 1) -> "CiphertextColumn":
        """Row by row, what the column holds times numbers of any sign, or all of it times one integer.

        The randomness is multiplied likewise: rerandomize where factors are secret. A factor of 0 gives the trivial
        ciphertext 1 unless rerandomized. In lanes time depends on the longest factor, and on whether any is negative,
        alone.

        Parameters
        ----------
        scale
            The factors are multiples of 1 / scale; the result's scale is the product of both.

        Raises
        ------
        WrongLength, OutOfRange
            Another number of factors than of rows; a factor that is no multiple of 1 / scale.
        """
        base, exponents, bits = self._based(factors, scale)
        rows = self._arithmetic.modulus.power(base, exponents, bits, threads)
        return self._like(rows, scale=self.scale * scale)

    def __mul__(self, factors: Integers | int) -> "CiphertextColumn":
        return self.multiply(factors)

    def _based(self, factors: Numbers | int, scale: int) -> tuple[Any, Bytes, int]:
        """The rows, inverted where factors are negative, the factors' sizes, and a bound on their lengths in bits."""
        single = not hasattr(factors, "__len__")
        values = scaled([factors] if single else factors, scale, "factors")  # type: ignore[list-item,arg-type]
        if not single:
            self._check_length(values, "factors")
        if isinstance(values, np.ndarray):
            negative = values < 0
            sizes = np.where(negative, np.uint64(0) - values.view(np.uint64), values.view(np.uint64))
            bits = max(1, int(sizes.max()).bit_length())
            exponents = sizes.astype(">u8").view(np.uint8).reshape(-1, 8)
        else:
            bits = max(1, *(abs(value).bit_length() for value in values))
            negative = np.array([value < 0 for value in values])
            exponents = to_rows([abs(value) for value in values], -(-bits // 8))
        if not negative.any():
            return self._rows, exponents, bits
        modulus = self._arithmetic.modulus
        inverses = modulus.inverses(self._rows)
        if len(negative) < self._count:
            return inverses, exponents, bits
        return modulus.choose(negative, inverses, self._rows), exponents, bits

    def __neg__(self) -> "CiphertextColumn":
        return self._like(self._arithmetic.modulus.inverses(self._rows))

    def dot(self, weights: Numbers, *, scale: int = 1, threads: int = 1) -> "CiphertextColumn":
        """The dot product with weights of any sign, a column of one row; as :meth:`multiply`, then :meth:`sum`."""
        self._check_length(weights, "weights")
        base, exponents, bits = self._based(weights, scale)
        return self._like(self._arithmetic.modulus.dot(base, exponents, bits, threads), 1, self.scale * scale)

    def __matmul__(self, weights: Integers) -> "CiphertextColumn":
        return self.dot(weights)

    def sum(
        self, groups: Sequence[int] | NDArray[np.integer[Any]] | None = None, *, threads: int = 1
    ) -> "CiphertextColumn":
        """The sum of all rows, a column of one row; or of the rows of each group.

        Parameters
        ----------
        groups
            For each row the number of its group, 0, 1, ...; the result has a row a group. A group without rows is
            refused (OutOfRange), as its sum would hide nothing; and so is what is no whole number.
        """
        modulus = self._arithmetic.modulus
        if groups is None:
            return self._like(modulus.total(self._rows, threads), 1)
        self._check_length(groups, "groups")
        labels = np.asarray(groups)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise OutOfRange("groups", "are not whole numbers of 64 bits")
        if labels.min() < 0 or labels.max() >= self._count or not np.bincount(labels.astype(np.int64)).all():
            raise OutOfRange("groups", "are not numbered 0, 1, ... without a gap")
        labels = labels.astype(np.int64)
        order = np.argsort(labels, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(labels))]).astype(np.int64)
        return self._like(modulus.totals(self._rows, order, starts, threads), len(starts) - 1)

    def rerandomize(self, *, threads: int = 1, owner: "PrivateKey | None" = None) -> "CiphertextColumn":
        """The same plaintexts under fresh randomness; ``owner`` as for :meth:`encrypt`."""
        if owner is not None and owner.public_key.fingerprint != self.public_key.fingerprint:
            raise WrongKey("owner", "does not belong to the column's key")
        return self._like(self._arithmetic.masked(self._rows, self._count, threads, owner))

    def decrypt(self, private_key: "PrivateKey", *, threads: int = 1) -> list[int]:
        """The signed integers, in units of 1 / scale, ``|x| <= (N - 1) / 2``; raises WrongKey."""
        magnitudes, negative = self._decrypted(private_key, threads)
        sizes = from_rows(magnitudes)
        return [-size if below else size for size, below in zip(sizes, negative.tolist(), strict=True)]

    def decrypt_fractions(self, private_key: "PrivateKey", *, threads: int = 1) -> list[Fraction]:
        """The numbers, whatever the scale; raises WrongKey."""
        return [Fraction(value, self.scale) for value in self.decrypt(private_key, threads=threads)]

    def decrypt_int64(self, private_key: "PrivateKey", *, threads: int = 1) -> NDArray[np.int64]:
        """As :meth:`decrypt`, without a Python integer; raises WrongKey, OutOfRange where one does not fit 64 bits."""
        magnitudes, negative = self._decrypted(private_key, threads)
        sizes = np.ascontiguousarray(magnitudes[:, -8:]).view(">u8").reshape(-1).astype(np.uint64)
        fits = ~magnitudes[:, :-8].any(axis=1) & (sizes <= np.uint64((1 << 63) - 1) + negative)
        if not fits.all():
            raise OutOfRange(f"column[{int(np.argmin(fits))}]", "holds a number that does not fit 64 bits")
        return np.where(negative, np.uint64(0) - sizes, sizes).view(np.int64)

    def _decrypted(self, private_key: "PrivateKey", threads: int) -> Any:
        if private_key.public_key.fingerprint != self.public_key.fingerprint:
            raise WrongKey("private_key", "does not belong to the column's key")
        return private_key.factors.decrypt(self.to_rows(threads=threads), threads)
