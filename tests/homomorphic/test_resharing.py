"""Handing a key to another committee: it decrypts as before, cheats are named, old and new do not mix."""

import json
import pickle
from dataclasses import replace

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.errors import NotEnoughShares, WrongDealing, WrongKey, WrongShare
from homomorphic.resharing import Dealing, Resharing, SubShare
from homomorphic.threshold import MOST_GROWTH, KeyShare, ThresholdKey, deal_from_primes
from tests.homomorphic.conftest import safe_primes
from zkcore.errors import Malformed, OutOfRange, Refused, WrongLength

CONTEXT = b"query 7"
Committee = tuple[ThresholdKey, list[KeyShare]]
Dealt = list[tuple[Dealing, list[SubShare]]]


def dealt(resharing: Resharing, old: Committee) -> Dealt:
    return [resharing.deal(old[1][i - 1]) for i in resharing.dealers]


def received(resharing: Resharing, given: Dealt) -> Committee:
    dealings = [dealing for dealing, _ in given]
    shares = [
        resharing.receive(j, dealings, [sent[j - 1] for _, sent in given]) for j in range(1, resharing.parties + 1)
    ]
    return resharing.new_key(dealings), shares


def handed_on(old: Committee, dealers: tuple[int, ...], threshold: int, parties: int) -> Committee:
    resharing = Resharing(old[0], dealers, threshold, parties)
    return received(resharing, dealt(resharing, old))


def decrypts(committee: Committee, ciphertext: int, parties: list[int]) -> int:
    key, shares = committee
    return key.combine(
        ciphertext, [shares[i - 1].partial_decrypt(ciphertext, CONTEXT) for i in parties], CONTEXT
    ).plaintext


@pytest.fixture(scope="module")
def new(toy_committee: Committee) -> Committee:
    return handed_on(toy_committee, (1, 3, 5), 2, 4)


def test_the_new_committee_decrypts_what_the_old_one_could(toy_committee: Committee, new: Committee) -> None:
    key = new[0]
    assert key.public_key == toy_committee[0].public_key
    assert (key.threshold, key.parties) == (2, 4)
    assert key.is_consistent()
    assert key.fingerprint != toy_committee[0].fingerprint
    for plaintext in (0, 1, 2**64, key.public_key.n - 1):
        ciphertext, _ = key.public_key.encrypt(plaintext)
        assert decrypts(new, ciphertext, [2, 4]) == decrypts(toy_committee, ciphertext, [1, 2, 4]) == plaintext


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_committees_of_any_size(data: st.DataObject) -> None:
    parties, new_parties = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 6))
    threshold, new_threshold = data.draw(st.integers(1, parties)), data.draw(st.integers(2, new_parties))
    old = deal_from_primes(*safe_primes(512), parties, threshold, toy_key_for_tests=True)
    dealers = tuple(sorted(data.draw(st.permutations(range(1, parties + 1)))[:threshold]))
    committee = handed_on(old, dealers, new_threshold, new_parties)
    plaintext = data.draw(st.integers(0, old[0].public_key.n - 1))
    ciphertext, _ = old[0].public_key.encrypt(plaintext)
    some = data.draw(st.permutations(range(1, new_parties + 1)))[:new_threshold]
    assert decrypts(committee, ciphertext, some) == plaintext


def test_the_largest_committees() -> None:
    old = deal_from_primes(*safe_primes(512), 16, 9, toy_key_for_tests=True)
    committee = handed_on(old, tuple(range(2, 11)), 10, 16)
    ciphertext, _ = old[0].public_key.encrypt(77)
    assert decrypts(committee, ciphertext, list(range(16, 6, -1))) == 77
    with pytest.raises(NotEnoughShares):
        decrypts(committee, ciphertext, list(range(1, 10)))


def test_the_length_in_use_again_and_again(committee: Committee) -> None:
    once = handed_on(committee, (1, 3), 3, 5)
    twice = handed_on(once, (2, 4, 5), 2, 3)
    ciphertext, _ = committee[0].public_key.encrypt(2**64 - 1)
    assert decrypts(twice, ciphertext, [3, 1]) == 2**64 - 1
    assert 0 < once[0].growth < twice[0].growth < 300
    read = ThresholdKey.from_bytes(twice[0].to_bytes())
    assert read == twice[0]
    assert KeyShare.from_bytes(twice[1][2].to_bytes()) == twice[1][2]


def test_fewer_than_the_new_threshold_do_not_decrypt(toy_committee: Committee) -> None:
    """Two of three: nothing is refused for who leaves the count out, but what comes is no plaintext."""
    key, shares = handed_on(toy_committee, (1, 2, 3), 3, 4)
    ciphertext, _ = key.public_key.encrypt(5)
    partials = [share.partial_decrypt(ciphertext, CONTEXT) for share in shares[:2]]
    with pytest.raises(NotEnoughShares):
        key.combine(ciphertext, partials, CONTEXT)
    fewer = replace(key, threshold=2)
    relabelled = [replace(share, key=fewer).partial_decrypt(ciphertext, CONTEXT) for share in shares[:2]]
    with pytest.raises(Refused, match="do not combine"):
        fewer.combine(ciphertext, relabelled, CONTEXT)


# Old and new


def test_old_and_new_answers_do_not_mix(toy_committee: Committee, new: Committee) -> None:
    key, shares = new
    ciphertext, _ = key.public_key.encrypt(9)
    old = [share.partial_decrypt(ciphertext, CONTEXT) for share in toy_committee[1]]
    fresh = [share.partial_decrypt(ciphertext, CONTEXT) for share in shares]
    combined = key.combine(ciphertext, [old[0], fresh[1], old[2], fresh[3]], CONTEXT)
    assert (combined.plaintext, combined.used, combined.wrong) == (9, (2, 4), (1, 3))
    with pytest.raises(NotEnoughShares) as caught:
        key.combine(ciphertext, [old[0], fresh[1]], CONTEXT)
    assert caught.value.wrong == (1,)
    with pytest.raises(NotEnoughShares) as caught:
        toy_committee[0].combine(ciphertext, [old[0], old[1], fresh[2]], CONTEXT)
    assert caught.value.wrong == (3,)


def test_old_shares_do_not_fit_the_new_key(toy_committee: Committee, new: Committee) -> None:
    with pytest.raises(WrongShare):
        replace(toy_committee[1][0], key=new[0])
    with pytest.raises(WrongShare):
        replace(new[1][0], key=replace(toy_committee[0], growth=new[0].growth))


def test_two_resharings_of_the_same_key_do_not_mix(toy_committee: Committee) -> None:
    """Same dealers, same new committee, drawn anew: parties of the one can't answer for the other."""
    first, second = (handed_on(toy_committee, (1, 2, 3), 2, 3) for _ in range(2))
    ciphertext, _ = first[0].public_key.encrypt(9)
    partials = [first[1][0].partial_decrypt(ciphertext, CONTEXT), second[1][1].partial_decrypt(ciphertext, CONTEXT)]
    with pytest.raises(NotEnoughShares) as caught:
        first[0].combine(ciphertext, partials, CONTEXT)
    assert caught.value.wrong == (2,)


# Everybody can check


def test_everybody_computes_the_same_key(toy_committee: Committee) -> None:
    resharing = Resharing(toy_committee[0], (2, 4, 5), 3, 4)
    given_ = dealt(resharing, toy_committee)
    key, shares = received(resharing, given_)
    public = [Dealing.from_bytes(dealing.to_bytes()) for dealing, _ in given_]
    assert Resharing(toy_committee[0], (2, 4, 5), 3, 4).new_key(public) == key
    assert {share.key for share in shares} == {key}
    forged = replace(key, verification_keys=(*key.verification_keys[:3], key.verification_keys[0]))
    assert resharing.new_key(public) != forged


def test_verification_keys_are_powers_by_the_new_shares(toy_committee: Committee, new: Committee) -> None:
    key, shares = new
    p, q = safe_primes(512)
    order = p * q * (p // 2) * (q // 2)
    for share, verification_key in zip(shares, key.verification_keys, strict=True):
        assert pow(key.base, 24 * share.value % order, int(key.public_key.square)) == verification_key
    # the old committee's secret, times the multiple, by the paper's formula
    d = (p // 2) * (q // 2) * int(gmpy2.invert((p // 2) * (q // 2), p * q)) % order
    assert key.multiple == 120**2 * 24
    two = 2 * shares[0].value - shares[1].value  # the line through 1 and 2 at 0
    assert two % order == key.multiple * d % order


# Cheats


def test_a_dealer_who_sends_something_else_is_named(toy_committee: Committee) -> None:
    resharing = Resharing(toy_committee[0], (1, 3, 5), 2, 4)
    given_ = dealt(resharing, toy_committee)
    dealings = [dealing for dealing, _ in given_]
    sent = [numbers[1] for _, numbers in given_]
    for bad in (
        replace(sent[1], value=sent[1].value + 1),
        replace(sent[1], value=0),
        replace(sent[1], value=1 << 4000),
        replace(sent[1], receiver=1),
        replace(sent[1], resharing=bytes(32)),
        given_[1][1][0],
    ):
        with pytest.raises(WrongDealing, match=r"those of 3") as caught:
            resharing.receive(2, dealings, [sent[0], bad, sent[2]])
        assert caught.value.wrong == (3,)
    with pytest.raises(WrongDealing) as caught:
        resharing.receive(2, dealings, [sent[1]])
    assert caught.value.wrong == (1, 5)
    # another published power: every party names the dealer
    square = toy_committee[0].public_key.square
    other = replace(dealings[0], commitments=(int(dealings[0].commitments[0] ** 2 % square),))
    for j in range(1, 5):
        with pytest.raises(WrongDealing) as caught:
            resharing.receive(j, [other, *dealings[1:]], [numbers[j - 1] for _, numbers in given_])
        assert caught.value.wrong == (1,)


def test_a_dealer_cant_deal_another_share(toy_committee: Committee) -> None:
    """The constant term is taken from the old verification key, whatever the dealer says."""
    resharing = Resharing(toy_committee[0], (1, 3, 5), 2, 4)
    share = toy_committee[1][0]
    object.__setattr__(share_copy := replace(share), "value", share.value + 1)
    dealing, numbers = resharing.deal(share_copy)
    others = [resharing.deal(toy_committee[1][i - 1]) for i in (3, 5)]
    with pytest.raises(WrongDealing) as caught:
        resharing.receive(1, [dealing, *(each for each, _ in others)], [numbers[0], *(each[0] for _, each in others)])
    assert caught.value.wrong == (1,)


def test_a_sign_in_a_dealing_does_nothing(toy_committee: Committee) -> None:
    """-1 has the Jacobi symbol of a square, so a dealer can publish -F; the new key is the same."""
    resharing = Resharing(toy_committee[0], (1, 3, 5), 2, 4)
    given_ = dealt(resharing, toy_committee)
    dealings = [dealing for dealing, _ in given_]
    square = toy_committee[0].public_key.square
    negated = [replace(dealings[0], commitments=(int(square - dealings[0].commitments[0]),)), *dealings[1:]]
    assert resharing.new_key(negated) == resharing.new_key(dealings)
    assert resharing.receive(1, negated, [numbers[0] for _, numbers in given_]).index == 1


def test_malformed_dealings_are_refused(toy_committee: Committee) -> None:
    resharing = Resharing(toy_committee[0], (1, 3, 5), 3, 4)
    given_ = dealt(resharing, toy_committee)
    dealings = [dealing for dealing, _ in given_]
    n = toy_committee[0].public_key.n
    no_square = next(x for x in range(2, 1000) if gmpy2.jacobi(x, n) == -1)
    first, second = dealings[0].commitments
    for bad in (
        replace(dealings[0], resharing=bytes(32)),
        replace(dealings[0], bits=513),
        replace(dealings[0], dealer=2),
        replace(dealings[0], commitments=(first,)),
        replace(dealings[0], commitments=(first, second, first)),
        *(replace(dealings[0], commitments=(first, x)) for x in (0, 1, n, safe_primes(512)[0], n**2, -1, no_square)),
    ):
        with pytest.raises(Refused):
            resharing.new_key([bad, *dealings[1:]])
    for some in (dealings[:2], [*dealings, dealings[0]], dealings[::-1], [dealings[0]] * 3):
        with pytest.raises(WrongLength):
            resharing.new_key(some)
    with pytest.raises(WrongKey):
        Resharing(toy_committee[0], (1, 3, 5), 3, 5).new_key(dealings)
    for index in (0, 5):
        with pytest.raises(OutOfRange):
            resharing.receive(index, dealings, [])
    for message in (dealings[0], given_[0][1][0]):
        data, read = message.to_bytes(), type(message).from_bytes
        assert read(data) == message
        for spoilt in (data[:-1], data + b"\0", b"zks-xxxx" + data[8:], b""):
            with pytest.raises(Malformed):
                read(spoilt)


def test_what_cant_be_handed_on_is_refused(toy_committee: Committee, new: Committee) -> None:
    key, shares = toy_committee
    for threshold, parties in ((1, 3), (0, 3), (4, 3), (2, 17), (2, 1)):
        with pytest.raises(OutOfRange):
            Resharing(key, (1, 2, 3), threshold, parties)
    for dealers in ((1, 2), (1, 2, 3, 4), ()):
        with pytest.raises(WrongLength):
            Resharing(key, dealers, 2, 3)
    for dealers in ((1, 1, 2), (3, 2, 1), (0, 1, 2), (4, 5, 6)):
        with pytest.raises(OutOfRange):
            Resharing(key, dealers, 2, 3)
    with pytest.raises(OutOfRange, match="too often"):
        Resharing(replace(key, growth=MOST_GROWTH), (1, 2, 3), 2, 3)
    resharing = Resharing(key, (1, 2, 3), 2, 3)
    with pytest.raises(OutOfRange):
        resharing.deal(shares[3])
    with pytest.raises(WrongKey):
        resharing.deal(new[1][0])
    for bad in (
        {"multiple": 0},
        {"multiple": 17},
        {"multiple": 2 * 10007},
        {"growth": -1},
        {"growth": MOST_GROWTH + 1},
    ):
        with pytest.raises(OutOfRange):
            replace(key, **bad)


def test_numbers_in_transit_do_not_show(toy_committee: Committee) -> None:
    _, numbers = Resharing(toy_committee[0], (1, 2, 3), 2, 3).deal(toy_committee[1][0])
    for text in (repr(numbers[0]), str(numbers[0]), f"{numbers[0]}", repr(numbers)):
        assert str(numbers[0].value) not in text
    for write in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            write(numbers[0])


def test_what_t_minus_one_parties_see_says_nothing_about_small_divisors(toy_committee: Committee) -> None:
    """g(j) = g(0) modulo j: the constant term is a multiple of n'!, so that no remainder of the share shows."""
    resharing = Resharing(toy_committee[0], (1, 2, 3), 2, 6)
    for share in toy_committee[1][:3]:
        _, numbers = resharing.deal(share)
        assert [each.value % j for j, each in enumerate(numbers, 1)] == [0] * 6
