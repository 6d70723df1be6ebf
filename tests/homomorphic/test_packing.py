"""Packing: sums of packed records are packed sums, and nothing overflows silently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homomorphic.errors import SlotOverflow
from homomorphic.packing import MOST_SUMMANDS, Packing, slots_in
from homomorphic.paillier import PrivateKey
from zkcore.errors import OutOfRange, WrongLength

u64 = st.integers(0, 2**64 - 1)


@given(st.lists(u64, min_size=1, max_size=31))
def test_round_trip(values: list[int]) -> None:
    packing = Packing(len(values))
    assert packing.unpack(packing.pack(values)) == values


@given(st.lists(st.lists(u64, min_size=3, max_size=3), min_size=1, max_size=20))
def test_sums_of_packed_are_packed_sums(rows: list[list[int]]) -> None:
    packing = Packing(3)
    assert packing.unpack(sum(packing.pack(row) for row in rows)) == [sum(column) for column in zip(*rows, strict=True)]


def test_2_to_the_32_summands_of_the_largest_value_fit_every_slot() -> None:
    packing = Packing(31)
    assert MOST_SUMMANDS == 2**32
    full = packing.pack([2**64 - 1] * 31)
    assert packing.unpack(MOST_SUMMANDS * full) == [2**32 * (2**64 - 1)] * 31
    with pytest.raises(SlotOverflow):  # one more than promised overflows, and is not taken for a sum
        packing.unpack((MOST_SUMMANDS + 1) * full)


def test_all_slots_full_with_2_to_the_32_summands_under_encryption(private_key: PrivateKey) -> None:
    """2^32 additions of the same ciphertext are one multiplication by 2^32."""
    key = private_key.public_key
    packing = Packing(slots_in(key.bits))
    ciphertext, _ = key.encrypt(packing.pack([2**64 - 1] * packing.slots))
    total = private_key.decrypt(key.multiply(ciphertext, 2**32))
    assert packing.unpack(total) == [2**32 * (2**64 - 1)] * packing.slots


@pytest.mark.parametrize(("bits", "slots"), [(2048, 21), (3072, 31), (4096, 42)])
def test_slots_of_keys(bits: int, slots: int) -> None:
    assert slots_in(bits) == slots
    Packing(slots).fit(bits)
    with pytest.raises(SlotOverflow, match="slots"):
        Packing(slots + 1).fit(bits)
    assert (1 << (96 * slots)) - 1 < 1 << (bits - 1)  # below every modulus of that length


@pytest.mark.parametrize("value", [-1, 2**64, 2**96])
def test_values_outside_64_bits_are_refused(value: int) -> None:
    with pytest.raises(SlotOverflow, match=r"values\[1\]"):
        Packing(2).pack([0, value])


def test_other_refusals() -> None:
    with pytest.raises(WrongLength):
        Packing(2).pack([1])
    with pytest.raises(OutOfRange):
        Packing(0)
    with pytest.raises(SlotOverflow):
        Packing(2).unpack(1 << 192)
    with pytest.raises(SlotOverflow):
        Packing(2).unpack(-1)
