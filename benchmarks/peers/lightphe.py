"""lightphe: Paillier on Python's integers, one ciphertext at a time."""

import logging
from collections.abc import Sequence
from typing import Any

from lightphe import LightPHE

from benchmarks.peers.paillier import CiphertextList

logging.getLogger("lightphe").setLevel(logging.ERROR)


class Cipher(CiphertextList):
    """A key of lightphe's; its primes are drawn below half the length, so that the modulus may be some bits shorter."""

    name = "lightphe"
    rows = 4

    def __init__(self, bits: int) -> None:
        self._system = LightPHE(algorithm_name="Paillier", key_size=bits)
        self._width = 2 * bits // 8

    def encrypt(self, values: Sequence[int]) -> list[Any]:
        """A list."""
        return [self._system.encrypt(plaintext=value) for value in values]

    def decrypt(self, column: list[Any]) -> list[Any]:
        """As integers."""
        return [self._system.decrypt(item) for item in column]

    def to_bytes(self, column: list[Any]) -> bytes:
        """lightphe serialises nothing; its ciphertexts as integers of the square's width."""
        return b"".join(int(item.value).to_bytes(self._width, "big") for item in column)
