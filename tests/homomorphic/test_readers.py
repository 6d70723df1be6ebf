"""Every reader of bytes: whatever it is given, it refuses by name or reads what encodes to the very same bytes."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.column import CiphertextColumn
from homomorphic.paillier import PublicKey
from homomorphic.resharing import Dealing, Resharing, SubShare
from homomorphic.threshold import KeyShare, PartialColumn, PartialDecryption, ThresholdKey
from tests.homomorphic.proved import COMMITTEE, CONTEXT, KINDS
from zkcore.errors import Malformed, Refused

COMMITTEE_KEY, SHARES = COMMITTEE
PUBLIC = COMMITTEE_KEY.public_key
DEALING, SUB_SHARES = Resharing(COMMITTEE_KEY, (1, 2), 2, 3).deal(SHARES[0])
COLUMN = CiphertextColumn.encrypt(PUBLIC, [1, 2])


def messages() -> dict[str, tuple[bytes, Callable[[bytes], Any]]]:
    """A valid message of each type and its reader."""
    partial = SHARES[0].partial_decrypt(PUBLIC.encrypt(1)[0], CONTEXT)
    column = SHARES[0].partial_decrypt_column(COLUMN, CONTEXT)
    found: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
        "public key": (PUBLIC.to_bytes(), lambda data: PublicKey.from_bytes(data, toy_key_for_tests=True)),
        "committee's key": (
            COMMITTEE_KEY.to_bytes(),
            lambda data: ThresholdKey.from_bytes(data, toy_key_for_tests=True),
        ),
        "share": (SHARES[0].to_bytes(), lambda data: KeyShare.from_bytes(data, toy_key_for_tests=True)),
        "partial decryption": (partial.to_bytes(), PartialDecryption.from_bytes),
        "column's decryption": (column.to_bytes(), lambda data: PartialColumn.from_bytes(PUBLIC, data)),
        "dealing": (DEALING.to_bytes(), Dealing.from_bytes),
        "sub-share": (SUB_SHARES[0].to_bytes(), SubShare.from_bytes),
    }
    for name, make in KINDS.items():
        proof = make().proof
        if hasattr(proof, "to_bytes"):
            found[f"{name} proof"] = (proof.to_bytes(), type(proof).from_bytes)
    return found


MESSAGES = messages()


@pytest.mark.parametrize("name", MESSAGES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_spoilt_messages_are_refused_or_canonical(name: str, data: st.DataObject) -> None:
    message, read = MESSAGES[name]
    assert read(message).to_bytes() == message
    spoilt = bytearray(message)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.one_of(st.integers(0, min(60, len(message) - 1)), st.integers(0, len(message) - 1)))
        spoilt[at] = data.draw(st.one_of(st.sampled_from([0, 1, 255]), st.integers(0, 255)))
    cut = data.draw(st.sampled_from([None, None, None, -1, len(message) // 2]))
    spoilt = spoilt[:cut] + data.draw(st.sampled_from([b"", b"", b"\0"]))
    with suppress(Refused):
        assert read(bytes(spoilt)).to_bytes() == bytes(spoilt)


@pytest.mark.parametrize("name", MESSAGES)
@given(tail=st.binary(max_size=200))
@settings(max_examples=30, deadline=None)
def test_anything_after_the_tag_is_refused_or_canonical(name: str, tail: bytes) -> None:
    message, read = MESSAGES[name]
    for data in (tail, message[:8] + tail):
        with suppress(Refused):
            assert read(data).to_bytes() == data


def test_integers_of_free_length_have_one_encoding() -> None:
    data = SUB_SHARES[0].to_bytes()
    length = int.from_bytes(data[42:44], "big")
    with pytest.raises(Malformed, match="wider"):
        SubShare.from_bytes(data[:42] + (length + 1).to_bytes(2, "big") + b"\0" + data[44:])
    key = COMMITTEE_KEY.to_bytes()
    assert key.endswith(b"\0\x01\x01\0\0")  # the multiple 1 of one byte, growth 0
    with pytest.raises(Malformed, match="wider"):
        ThresholdKey.from_bytes(key[:-5] + b"\0\x02\0\x01\0\0", toy_key_for_tests=True)
