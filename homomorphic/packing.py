"""Several integers in one Paillier plaintext.

Value j of a record takes slot j, 96 bits wide: m = sum of x_j 2^(96 j). A value is below 2^64, so 2^32 records add up
without a carry from one slot into the next, and the sum of the packed records is the packed sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homomorphic.errors import SlotOverflow
from zkcore.errors import OutOfRange, WrongLength

VALUE_BITS = 64
SLOT_BITS = 96
MOST_SUMMANDS = 1 << (SLOT_BITS - VALUE_BITS)
"""So many records may be added before a slot could overflow (2^32)."""


def slots_in(bits: int) -> int:
    """Slots that the plaintexts of a key of ``bits`` bits hold: 21 at 2048, 31 at 3072."""
    return (bits - 1) // SLOT_BITS


@dataclass(frozen=True)
class Packing:
    """The layout of ``slots`` values in one plaintext.

    Raises
    ------
    OutOfRange
        ``slots`` is below 1.
    """

    slots: int

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise OutOfRange("slots", "a packing has at least one slot")

    def fit(self, bits: int) -> None:
        """Refuse a key of ``bits`` bits whose plaintexts are too short (SlotOverflow)."""
        if self.slots > slots_in(bits):
            raise SlotOverflow("slots", f"{self.slots} slots where a key of {bits} bits holds {slots_in(bits)}")

    def pack(self, values: Sequence[int]) -> int:
        """The plaintext of one record.

        Parameters
        ----------
        values
            As many integers as there are slots, each in ``[0, 2^64)``.

        Raises
        ------
        WrongLength, SlotOverflow
            Another number of values; a value outside its range.
        """
        if len(values) != self.slots:
            raise WrongLength("values", f"{len(values)} values for {self.slots} slots")
        for j, value in enumerate(values):
            if not 0 <= value < 1 << VALUE_BITS:
                raise SlotOverflow(f"values[{j}]", f"does not lie in [0, 2^{VALUE_BITS})")
        return sum(int(value) << (SLOT_BITS * j) for j, value in enumerate(values))

    def unpack(self, plaintext: int) -> list[int]:
        """The sums, each in ``[0, 2^96)``, that a plaintext holds; raises SlotOverflow if it holds more."""
        if not 0 <= plaintext < 1 << (SLOT_BITS * self.slots):
            raise SlotOverflow("plaintext", f"does not fit {self.slots} slots")
        return [(plaintext >> (SLOT_BITS * j)) & ((1 << SLOT_BITS) - 1) for j in range(self.slots)]
