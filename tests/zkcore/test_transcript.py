"""The transcript: what a challenge depends on, against the definition written out."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkcore.errors import OutOfRange
from zkcore.transcript import Transcript

items = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=4)


def challenge(protocol: str, said: list[tuple[str, bytes]], bits: int = 128) -> int:
    transcript = Transcript(protocol)
    for label, value in said:
        transcript.append(label, value)
    return transcript.challenge("e", bits)


def test_the_definition() -> None:
    state = sha256(b"zkshare transcript v1\x00p").digest()
    for name, value in ((b"a", b"xyz"), (b"n", b"\x01\x00"), (b"e", (100).to_bytes(8, "big"))):
        lengths = len(name).to_bytes(8, "big") + len(value).to_bytes(8, "big")
        state = sha256(state + b"item" + lengths + name + value).digest()
    transcript = Transcript("p")
    transcript.append("a", b"xyz")
    transcript.append_int("n", 256)
    assert transcript.challenge("e", 100) == int.from_bytes(sha256(state + b"challenge").digest(), "big") >> 156


@given(items, items)
def test_different_sequences_give_different_challenges(left, right) -> None:
    assert (challenge("p", left) == challenge("p", right)) == (left == right)


def test_protocol_label_and_length_are_bound() -> None:
    assert challenge("p", []) != challenge("q", [])
    assert challenge("p", [("ab", b"c")]) != challenge("p", [("a", b"bc")])
    assert challenge("p", [("a", b"b"), ("a", b"c")]) != challenge("p", [("a", b"bc")])
    assert challenge("p", [], 128) >> 64 != challenge("p", [], 64)


def test_a_challenge_is_absorbed() -> None:
    transcript = Transcript("p")
    assert transcript.challenge("e", 128) != transcript.challenge("e", 128)


@pytest.mark.parametrize("bits", [1, 8, 100, 256])
def test_length_of_challenges(bits: int) -> None:
    values = [challenge("p", [("i", bytes([i]))], bits) for i in range(64)]
    assert all(0 <= value < 1 << bits for value in values)
    assert max(values).bit_length() > bits - 4


def test_refusals() -> None:
    for bits in (0, 257):
        with pytest.raises(OutOfRange):
            Transcript("p").challenge("e", bits)
    with pytest.raises(OutOfRange):
        Transcript("p").append_int("n", -1)
