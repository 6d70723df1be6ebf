"""Range proofs, of commitments and of ciphertexts: true ranges pass, anything beyond them does not."""

import secrets
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.errors import SlotOverflow, WrongKey
from homomorphic.packing import Packing, slots_in
from homomorphic.paillier import PrivateKey
from homomorphic.proofs import committed_range, range
from homomorphic.proofs.committed_range import RANGES
from tests.homomorphic.proved import CONTEXT, KEY, OTHER_KEY, TOY
from zkcore import babyjubjub, pedersen
from zkcore.errors import OutOfRange, PointAtInfinity, WrongLength

ORDER = babyjubjub.ORDER


def of_commitment(value: int, bits: int) -> tuple[committed_range.Statement, int]:
    blinding = secrets.randbelow(ORDER)
    return committed_range.Statement(pedersen.commit(value, blinding), bits, CONTEXT), blinding


@given(st.sampled_from(RANGES), st.data())
@settings(max_examples=20, deadline=None)
def test_every_committed_value_in_range_is_proved(bits: int, data: st.DataObject) -> None:
    value = data.draw(st.one_of(st.sampled_from([0, 1, 2**bits - 1]), st.integers(0, 2**bits - 1)))
    statement, blinding = of_commitment(value, bits)
    proof = committed_range.prove(statement, value, blinding)
    assert committed_range.verify(statement, proof)
    assert committed_range.CommittedRangeProof.from_bytes(proof.to_bytes()) == proof
    # the same proof for a commitment to another value, or for another number of bits
    moved = replace(statement, commitment=babyjubjub.add(statement.commitment, pedersen.G))
    assert not committed_range.verify(moved, proof)


@pytest.mark.parametrize("value", [2**8, 2**8 + 5, ORDER - 1, ORDER // 2, 2**64])
def test_a_committed_value_out_of_range_is_not_proved(value: int) -> None:
    """The prover's formulas with the low bits of the value, with "bits" that are none, and with its check left out."""
    statement, blinding = of_commitment(value, 8)
    with pytest.raises(OutOfRange):
        committed_range.prove(statement, value, blinding)
    assert not committed_range.verify(statement, committed_range.prove(statement, value % 2**8, blinding))


def test_bits_that_are_none_are_not_proved() -> None:
    """7 + 3 * 128 with a highest "bit" of 3: the bits add up to the value, but one is none."""

    class Digit(int):
        def __and__(self, mask: int) -> int:
            return int(self)

    class Value(int):
        def __lt__(self, bound: int) -> bool:
            return True

        def __rshift__(self, i: int) -> Digit:
            return Digit(3 if i == 7 else 7 >> i & 1)

    value = Value(7 + 3 * 128)
    statement, blinding = of_commitment(value, 8)
    assert not committed_range.verify(statement, committed_range.prove(statement, value, blinding))


def test_committed_ranges_in_a_batch_of_mixed_lengths() -> None:
    items = []
    for i, bits in enumerate(RANGES * 3):
        statement, blinding = of_commitment(i, bits)
        items.append((statement, committed_range.prove(statement, i, blinding)))
    assert committed_range.verify_batch(items) == []
    for bad in (0, 5, 11):
        items[bad] = (items[bad][0], replace(items[bad][1], t=(items[bad][1].t + 1) % ORDER))
    items[7] = (replace(items[7][0], commitment=(0, 0)), items[7][1])
    assert committed_range.verify_batch(items) == [0, 5, 7, 11]


def test_errors_that_cancel_are_found() -> None:
    """Two proofs whose errors are opposite pass an unweighted sum, not a weighted one."""
    items = []
    for shift in (1, -1):
        statement, blinding = of_commitment(3, 8)
        proof = committed_range.prove(statement, 3, blinding)
        items.append((statement, replace(proof, right=(proof.right + shift) % ORDER)))
    assert committed_range.verify_batch(items) == [0, 1]


def test_statements_of_commitments_that_are_refused() -> None:
    statement, blinding = of_commitment(3, 8)
    for bits in (0, 1, 7, 63, 65, 128, -8):
        with pytest.raises(OutOfRange, match="bits"):
            committed_range.prove(replace(statement, bits=bits), 3, blinding)
    with pytest.raises(PointAtInfinity):
        committed_range.prove(replace(statement, commitment=babyjubjub.IDENTITY), 0, 0)
    for value, s in ((-1, blinding), (256, blinding), (3, -1), (3, ORDER)):
        with pytest.raises(OutOfRange):
            committed_range.prove(statement, value, s)


def test_a_point_of_small_order_changes_nothing() -> None:
    """P + (0, -1), bound in time, is as good as P: equations are compared times the cofactor."""
    statement, blinding = of_commitment(3, 8)
    moved = replace(statement, commitment=babyjubjub.add(statement.commitment, (0, babyjubjub.R - 1)))
    proof = committed_range.prove(moved, 3, blinding)
    assert committed_range.verify(moved, proof)
    assert committed_range.verify_batch([(moved, proof)] * 5) == []


# Ciphertexts


@given(st.sampled_from(RANGES), st.data())
@settings(max_examples=10, deadline=None)
def test_every_ciphertext_in_range_is_proved(bits: int, data: st.DataObject) -> None:
    edges = st.sampled_from([0, 1, 2**bits - 1])
    values = data.draw(st.lists(st.one_of(edges, st.integers(0, 2**bits - 1)), min_size=1, max_size=3))
    ciphertext, rho = KEY.encrypt(Packing(len(values)).pack(values))
    statement = range.Statement(KEY, ciphertext, len(values), bits, CONTEXT)
    proof = range.prove(statement, values, rho)
    assert range.verify(statement, proof)
    assert range.RangeProof.from_bytes(proof.to_bytes()) == proof
    for other in (b for b in RANGES if b != bits):
        if max(values) < 1 << other:
            assert range.verify_batch([(replace(statement, bits=other), proof)]) == [0]


def test_a_ciphertext_beyond_its_range_is_not_proved() -> None:
    """Whatever values in range the prover says, the link to a ciphertext of 256 does not hold; nor to one of -1."""
    for plaintext in (256, KEY.n - 1, 1 << 96, 256 << 96 | 5):
        ciphertext, rho = KEY.encrypt(plaintext)
        statement = range.Statement(KEY, ciphertext, 1, 8, CONTEXT)
        for value in (0, plaintext % 256, 255):
            assert not range.verify(statement, range.prove(statement, [value], rho))
        with pytest.raises(SlotOverflow):
            range.prove(statement, [plaintext], rho)


def test_parts_of_different_proofs_do_not_mix() -> None:
    items = []
    for values in ([1, 2], [3, 4]):
        ciphertext, rho = KEY.encrypt(Packing(2).pack(values))
        statement = range.Statement(KEY, ciphertext, 2, 16, CONTEXT)
        items.append((statement, range.prove(statement, values, rho)))
    (statement, mine), (_, other) = items
    for mixed in (
        replace(mine, link=other.link),
        replace(mine, ranges=other.ranges),
        replace(mine, ranges=(mine.ranges[0], other.ranges[1])),
        replace(mine, commitments=other.commitments),
        replace(mine, ranges=mine.ranges[::-1]),
        replace(mine, commitments=other.commitments, ranges=other.ranges),
    ):
        assert not range.verify(statement, mixed)
        assert range.verify_batch([items[1], (statement, mixed)]) == [1]


def test_all_slots_of_a_length_in_use(private_key: PrivateKey) -> None:
    key = private_key.public_key
    slots = slots_in(key.bits)
    values = [2**64 - 1] * slots
    ciphertext, rho = key.encrypt(Packing(slots).pack(values))
    statement = range.Statement(key, ciphertext, slots, 64, CONTEXT)
    proof = range.prove(statement, values, rho)
    assert range.verify(statement, proof)
    assert range.verify_batch([(statement, proof), (replace(statement, context=b""), proof)]) == [1]


def test_what_is_refused() -> None:
    ciphertext, rho = KEY.encrypt(5)
    statement = range.Statement(KEY, ciphertext, 1, 8, CONTEXT)
    proof = range.prove(statement, [5], rho)
    with pytest.raises(SlotOverflow):
        range.verify(replace(statement, slots=slots_in(KEY.bits) + 1), proof)
    with pytest.raises(OutOfRange):
        range.verify(replace(statement, bits=9), proof)
    with pytest.raises(WrongLength):
        range.prove(statement, [5, 6], rho)
    with pytest.raises(WrongKey):
        range.verify_batch([(statement, proof), (replace(statement, public_key=OTHER_KEY), proof)])
    assert TOY.decrypt(ciphertext) == 5
