"""sf-heu: SecretFlow's ZPaillier, its fastest scheme of the family, on its own arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from heu import numpy as hnp
from heu import phe


class Cipher:
    """A key of ZPaillier: Damgard, Jurik and Nielsen's encryption with tables, randomness half the modulus' length."""

    name = "sf-heu"
    rows = 4096

    def __init__(self, bits: int) -> None:
        kit = hnp.setup(phe.SchemaType.ZPaillier, bits)
        self._kit, self._integers, self._encoder = kit, phe.BigintEncoderParams(), kit.bigint_encoder()
        self._encryptor, self._evaluator, self._decryptor = kit.encryptor(), kit.evaluator(), kit.decryptor()

    def encrypt(self, values: Sequence[int]) -> Any:
        """An array; the encoding of plaintexts is part of it, as with ours."""
        return self._encryptor.encrypt(self._kit.array(np.asarray(values, np.int64), self._integers))

    def add(self, a: Any, b: Any) -> Any:
        """Row by row."""
        return self._evaluator.add(a, b)

    def total(self, column: Any) -> Any:
        """One ciphertext."""
        return self._evaluator.sum(column)

    def factors(self, factors: Sequence[int]) -> Any:
        """Encoded."""
        return self._kit.array(np.asarray(factors, np.int64), self._integers)

    def scale(self, column: Any, factors: Any) -> Any:
        """Row by row."""
        return self._evaluator.mul(column, factors)

    def dot(self, column: Any, factors: Any) -> Any:
        """Its product of matrices."""
        return self._evaluator.matmul(column, factors)

    def decrypt(self, column: Any) -> Any:
        """Its plaintexts."""
        return self._decryptor.decrypt(column)

    def integers(self, plaintexts: Any) -> list[int]:
        """As Python's."""
        if isinstance(plaintexts, phe.Plaintext):
            return [int(self._encoder.decode(plaintexts))]
        return [int(value) for value in np.asarray(plaintexts.to_numpy(self._encoder)).reshape(-1)]

    def to_bytes(self, column: Any) -> bytes:
        """Its own form."""
        return bytes(column.serialize())

    def take(self, column: Any, rows: int) -> Any:
        """The first."""
        return column[:rows]
