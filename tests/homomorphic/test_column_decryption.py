"""A committee decrypts columns: one proof a party, wrong columns named by their party."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.column import CiphertextColumn
from homomorphic.errors import NotEnoughShares, WrongKey, WrongShare
from homomorphic.proofs import column_decryption
from homomorphic.threshold import KeyShare, PartialColumn, ThresholdKey
from tests.homomorphic.proved import COMMITTEE, CONTEXT, OTHER_KEY
from zkcore.errors import Malformed, OutOfRange, WrongLength

KEY, SHARES = COMMITTEE
PUBLIC = KEY.public_key


def answered(values: list[int]) -> tuple[CiphertextColumn, list[PartialColumn]]:
    column = CiphertextColumn.encrypt(PUBLIC, values)
    return column, [share.partial_decrypt_column(column, CONTEXT) for share in SHARES]


@pytest.fixture(scope="module")
def column_and_answers() -> tuple[CiphertextColumn, list[PartialColumn]]:
    return answered(list(range(20)))


@given(st.lists(st.integers(0, PUBLIC.n // 2), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_columns_are_decrypted(values: list[int]) -> None:
    column, partials = answered(values)
    combined = KEY.combine_column(column, partials[1:], CONTEXT)
    assert combined.plaintexts == values
    assert (combined.used, combined.wrong) == ((2, 3), ())


def test_a_column_is_what_its_rows_are(column_and_answers: tuple[CiphertextColumn, list[PartialColumn]]) -> None:
    column, partials = column_and_answers
    rows = SHARES[0].partial_decrypt_batch([(c, CONTEXT) for c in column.to_ciphertexts()])
    assert [row.value for row in rows] == partials[0].values.to_ciphertexts()


def test_a_length_in_use(committee: tuple[ThresholdKey, list[KeyShare]]) -> None:
    key, shares = committee
    column = CiphertextColumn.encrypt(key.public_key, [2**64 - 1, 0, 7])
    partials = [share.partial_decrypt_column(column, CONTEXT) for share in shares[:2]]
    read = [PartialColumn.from_bytes(key.public_key, each.to_bytes()) for each in partials]
    assert key.combine_column(column, read, CONTEXT).plaintexts == [2**64 - 1, 0, 7]


@pytest.mark.parametrize("row", [0, 7, 19])
def test_one_wrong_row_is_found(column_and_answers: tuple[CiphertextColumn, list[PartialColumn]], row: int) -> None:
    column, partials = column_and_answers
    values = partials[0].values.to_ciphertexts()
    values[row] = PUBLIC.add(values[row], column.to_ciphertexts()[row])
    wrong = replace(partials[0], values=CiphertextColumn.from_ciphertexts(PUBLIC, values))
    combined = KEY.combine_column(column, [wrong, *partials[1:]], CONTEXT)
    assert combined.plaintexts == list(range(20))
    assert (combined.used, combined.wrong) == ((2, 3), (1,))
    with pytest.raises(NotEnoughShares) as caught:
        KEY.combine_column(column, [wrong, partials[1]], CONTEXT)
    assert caught.value.wrong == (1,)


def test_errors_that_cancel_are_found(column_and_answers: tuple[CiphertextColumn, list[PartialColumn]]) -> None:
    """Rows swapped, and rows spoilt by inverse factors: their plain product is right, the weighted one is not."""
    column, partials = column_and_answers
    values = partials[0].values.to_ciphertexts()
    swapped = [values[1], values[0], *values[2:]]
    factor = PUBLIC.encrypt(3)[0]
    spoilt = [PUBLIC.add(values[0], factor), PUBLIC.add(values[1], PUBLIC.multiply(factor, -1)), *values[2:]]
    for other in (swapped, spoilt):
        partial = replace(partials[0], values=CiphertextColumn.from_ciphertexts(PUBLIC, other))
        statement = KEY.column_statement(column, partial, CONTEXT)
        assert not column_decryption.verify(statement, partial.proof)
        # nor with a proof made for them with the party's own share
        proof = column_decryption.prove(statement, column_decryption.Witness(SHARES[0]._exponent))
        assert not column_decryption.verify(statement, proof)


def test_a_sign_in_a_row_does_nothing(column_and_answers: tuple[CiphertextColumn, list[PartialColumn]]) -> None:
    column, partials = column_and_answers
    values = [int(PUBLIC.square) - partials[0].values.to_ciphertexts()[0], *partials[0].values.to_ciphertexts()[1:]]
    negated = CiphertextColumn.from_ciphertexts(PUBLIC, values)
    statement = KEY.column_statement(column, replace(partials[0], values=negated), CONTEXT)
    proof = column_decryption.prove(statement, column_decryption.Witness(SHARES[0]._exponent))
    verdicts = {column_decryption.verify(statement, proof) for _ in range(5)}
    verdicts |= {column_decryption.verify_batch([(statement, proof)] * 2) == [] for _ in range(5)}
    assert len(verdicts) == 1
    partial = PartialColumn(1, negated, proof)
    assert KEY.combine_column(column, [partial, partials[1], partials[2]], CONTEXT).plaintexts == list(range(20))


def test_every_value_is_bound(column_and_answers: tuple[CiphertextColumn, list[PartialColumn]]) -> None:
    column, partials = column_and_answers
    statement, proof = KEY.column_statement(column, partials[0], CONTEXT), partials[0].proof
    assert column_decryption.verify(statement, proof)
    keys = KEY.verification_keys
    changed = {
        "base": replace(statement, base=PUBLIC.add(statement.base, statement.base)),
        "verification_keys": replace(statement, verification_keys=(keys[1], keys[0], keys[2])),
        "verification_keys (another's)": replace(statement, verification_keys=(*keys[:2], keys[0])),
        "index": replace(statement, index=2),
        "ciphertexts": replace(statement, ciphertexts=column[::-1]),
        "ciphertexts (one)": replace(statement, ciphertexts=column + ([1] + [0] * 19)),
        "values": replace(statement, values=statement.values[::-1]),
        "context": replace(statement, context=b""),
    }
    for name, other in changed.items():
        assert not column_decryption.verify(other, proof), name
        assert column_decryption.verify_batch([(statement, proof), (other, proof)]) == [1], name
    for other_proof in (replace(proof, z=proof.z + 1), replace(proof, a=proof.b), replace(proof, b=proof.a)):
        assert not column_decryption.verify(statement, other_proof)
    with pytest.raises(WrongKey):
        column_decryption.verify(replace(statement, exponent_bits=statement.exponent_bits + 1), proof)
    with pytest.raises(WrongLength):
        column_decryption.verify(replace(statement, values=statement.values[:-1]), proof)
    with pytest.raises(OutOfRange):
        column_decryption.verify(replace(statement, index=4), proof)
    assert {name.split(" ")[0] for name in changed} | {"exponent_bits"} == set(
        column_decryption.Statement.__dataclass_fields__
    )


def test_what_is_refused(column_and_answers: tuple[CiphertextColumn, list[PartialColumn]]) -> None:
    column, partials = column_and_answers
    with pytest.raises(WrongShare):
        KEY.combine_column(column, [partials[0], *partials], CONTEXT)
    foreign = CiphertextColumn.encrypt(OTHER_KEY, [1])
    for call in (
        lambda: SHARES[0].partial_decrypt_column(foreign, CONTEXT),
        lambda: KEY.combine_column(foreign, partials, CONTEXT),
        lambda: column_decryption.verify(
            replace(KEY.column_statement(column, partials[0], b""), values=foreign), partials[0].proof
        ),
    ):
        with pytest.raises(WrongKey):
            call()
    data = partials[0].to_bytes()
    assert PartialColumn.from_bytes(PUBLIC, data).to_bytes() == data
    for spoilt in (data[:-1], data + b"\0", b"zks-xxxx" + data[8:], b""):
        with pytest.raises(Malformed):
            PartialColumn.from_bytes(PUBLIC, spoilt)
    with pytest.raises(WrongKey):
        PartialColumn.from_bytes(PUBLIC, data[:8] + b"\x08\0" + data[10:])
