"""What a Paillier peer does in our cases, operation by operation, on columns of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Cipher(Protocol):
    """One key of one library. Columns are of the library's own type; nothing here converts between libraries."""

    name: str
    rows: int
    """Most rows that it handles in a case's time."""

    def encrypt(self, values: Sequence[int]) -> Any:
        """A column."""

    def add(self, a: Any, b: Any) -> Any:
        """A column, row by row."""

    def total(self, column: Any) -> Any:
        """A column of one row."""

    def factors(self, factors: Sequence[int]) -> Any:
        """Factors in the form that :meth:`scale` and :meth:`dot` take."""

    def scale(self, column: Any, factors: Any) -> Any:
        """A column, row by row times public factors."""

    def dot(self, column: Any, factors: Any) -> Any:
        """A column of one row."""

    def decrypt(self, column: Any) -> Any:
        """Plaintexts in the library's form."""

    def integers(self, plaintexts: Any) -> list[int]:
        """Plaintexts as integers."""

    def to_bytes(self, column: Any) -> bytes:
        """A column serialised."""

    def take(self, column: Any, rows: int) -> Any:
        """Its first rows."""


class CiphertextList:
    """The operations of a library that handles single ciphertexts with ``+`` and ``*``."""

    name = ""
    rows = 16

    def add(self, a: list[Any], b: list[Any]) -> list[Any]:
        """Row by row."""
        return [x + y for x, y in zip(a, b, strict=True)]

    def total(self, column: list[Any]) -> list[Any]:
        """All rows."""
        return [sum(column[1:], column[0])]

    def factors(self, factors: Sequence[int]) -> list[int]:
        """As they are."""
        return list(factors)

    def scale(self, column: list[Any], factors: list[int]) -> list[Any]:
        """Row by row."""
        return [x * factor for x, factor in zip(column, factors, strict=True)]

    def dot(self, column: list[Any], factors: list[int]) -> list[Any]:
        """Scaled and added."""
        return self.total(self.scale(column, factors))

    def take(self, column: list[Any], rows: int) -> list[Any]:
        """The first."""
        return column[:rows]

    def integers(self, plaintexts: list[Any]) -> list[int]:
        """As Python's."""
        return [int(value) for value in plaintexts]


@dataclass
class Ours:
    """This project's columns."""

    bits: int
    name: str = "zkshare"
    rows: int = 1 << 30

    def __post_init__(self) -> None:
        from homomorphic.paillier import generate_keypair

        self.public_key, self.private_key = generate_keypair(self.bits)

    def encrypt(self, values: Sequence[int]) -> Any:
        """A column."""
        import numpy as np

        from homomorphic.column import CiphertextColumn

        return CiphertextColumn.encrypt(self.public_key, np.asarray(values, np.int64))

    def add(self, a: Any, b: Any) -> Any:
        """Row by row."""
        return a + b

    def total(self, column: Any) -> Any:
        """All rows."""
        return column.sum()

    def factors(self, factors: Sequence[int]) -> list[int]:
        """As they are."""
        return list(factors)

    def scale(self, column: Any, factors: list[int]) -> Any:
        """Row by row."""
        return column * factors

    def dot(self, column: Any, factors: list[int]) -> Any:
        """Scaled and added."""
        return column @ factors

    def decrypt(self, column: Any) -> list[int]:
        """As integers."""
        return list(column.decrypt(self.private_key))

    def integers(self, plaintexts: list[int]) -> list[int]:
        """As they are."""
        return plaintexts

    def to_bytes(self, column: Any) -> bytes:
        """One ciphertext after the other."""
        return bytes(column.to_bytes())

    def take(self, column: Any, rows: int) -> Any:
        """The first."""
        return column[:rows]
