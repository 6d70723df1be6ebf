"""pypaillier: Rust on GMP; lists of ciphertexts in bytes."""

from collections.abc import Sequence

import paillier


class Cipher:
    """A key with safe primes; randomness of ``exponent_bits``, which is half the modulus' length, as ours."""

    name = "pypaillier"
    rows = 256

    def __init__(self, bits: int) -> None:
        self._public, self._secret = paillier.generate_keypair(bits)

    def encrypt(self, values: Sequence[int]) -> list[bytes]:
        """A list."""
        return [bytes(blob) for blob in paillier.encrypt_integers(self._public, list(values))]

    def add(self, a: list[bytes], b: list[bytes]) -> list[bytes]:
        """Row by row, as blocks of two rows."""
        count = len(a)
        blocks = [[i, count + i] for i in range(count)]
        return [bytes(blob) for blob in paillier.add_blocks(self._public, a + b, blocks)]

    def total(self, column: list[bytes]) -> list[bytes]:
        """One blob."""
        return [bytes(paillier.add_many(self._public, column))]

    def factors(self, factors: Sequence[int]) -> list[int]:
        """As they are."""
        return list(factors)

    def scale(self, column: list[bytes], factors: list[int]) -> list[bytes]:
        """Row by row, factors declared public."""
        return [bytes(blob) for blob in paillier.multiply_integers_public(self._public, column, factors)]

    def dot(self, column: list[bytes], factors: list[int]) -> list[bytes]:
        """Scaled and added."""
        return self.total(self.scale(column, factors))

    def decrypt(self, column: list[bytes]) -> list[tuple[int, int]]:
        """Numerators with their scale, which is 0."""
        return list(paillier.decrypt_exact_many(self._secret, column))

    def integers(self, plaintexts: list[tuple[int, int]]) -> list[int]:
        """The numerators."""
        return [number for number, scale in plaintexts if scale == 0]

    def to_bytes(self, column: list[bytes]) -> bytes:
        """They are bytes."""
        return b"".join(column)

    def take(self, column: list[bytes], rows: int) -> list[bytes]:
        """The first."""
        return column[:rows]
