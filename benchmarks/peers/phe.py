"""phe (python-paillier): one ciphertext at a time on GMP."""

from collections.abc import Sequence
from typing import Any

from phe import paillier

from benchmarks.peers.paillier import CiphertextList


class Cipher(CiphertextList):
    """A key of phe's."""

    name = "phe"

    def __init__(self, bits: int) -> None:
        self._public, self._private = paillier.generate_paillier_keypair(n_length=bits)

    def encrypt(self, values: Sequence[int]) -> list[Any]:
        """A list."""
        return [self._public.encrypt(value) for value in values]

    def decrypt(self, column: list[Any]) -> list[int]:
        """As integers."""
        return [self._private.decrypt(item) for item in column]

    def to_bytes(self, column: list[Any]) -> bytes:
        """phe serialises nothing; its ciphertexts as integers of the square's width. It also blinds them here."""
        width = self._public.nsquare.bit_length() + 7 >> 3
        return b"".join(item.ciphertext().to_bytes(width, "big") for item in column)
