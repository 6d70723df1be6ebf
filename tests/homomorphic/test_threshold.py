"""Threshold decryption: any t of n, wrong answers named, and every bound value of the proof changed."""

import itertools
import json
import pickle
from dataclasses import replace
from math import factorial

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.errors import NotAUnit, NotEnoughShares, TrivialCiphertext, WrongJacobiSymbol, WrongKey, WrongShare
from homomorphic.paillier import PrivateKey, PublicKey, randomness_base
from homomorphic.proofs import decryption
from homomorphic.proofs.batch import response_bound
from homomorphic.threshold import KeyShare, PartialDecryption, ThresholdKey, deal, deal_from_primes, lagrange
from tests.homomorphic.conftest import safe_primes
from zkcore.errors import Malformed, OutOfRange, Refused, WrongLength

Committee = tuple[ThresholdKey, list[KeyShare]]
CONTEXT = b"digest of query, head and cohort"


def small_committee(parties: int, threshold: int) -> Committee:
    return deal_from_primes(*safe_primes(512), parties, threshold, toy_key_for_tests=True)


def answers(committee: Committee, plaintext: int, context: bytes = CONTEXT) -> tuple[int, list[PartialDecryption]]:
    key, shares = committee
    ciphertext, _ = key.public_key.encrypt(plaintext)
    return ciphertext, [share.partial_decrypt(ciphertext, context) for share in shares]


# What it is for


@pytest.mark.parametrize(("parties", "threshold"), [(1, 1), (2, 2), (3, 2), (4, 1), (5, 3)])
def test_any_threshold_of_the_parties_decrypt(parties: int, threshold: int) -> None:
    committee = small_committee(parties, threshold)
    key = committee[0]
    for plaintext in (0, 1, 2**64 - 1, key.public_key.n - 1):
        ciphertext, partials = answers(committee, plaintext)
        for some in itertools.combinations(partials, threshold):
            combined = key.combine(ciphertext, some[::-1], CONTEXT)
            assert combined.plaintext == plaintext
            assert combined.used == tuple(partial.index for partial in some)
            assert combined.wrong == ()


def test_sixteen_parties() -> None:
    committee = small_committee(16, 9)
    ciphertext, partials = answers(committee, 12345)
    assert committee[0].combine(ciphertext, partials[7:], CONTEXT).plaintext == 12345


def test_fewer_than_the_threshold_are_refused(toy_committee: Committee) -> None:
    ciphertext, partials = answers(toy_committee, 5)
    for few in (partials[:2], []):
        with pytest.raises(NotEnoughShares, match="3 are needed"):
            toy_committee[0].combine(ciphertext, few, CONTEXT)


def test_fewer_than_the_threshold_interpolate_to_something_else(toy_committee: Committee) -> None:
    key, (_, partials) = toy_committee[0], answers(toy_committee, 5)
    product = 1
    for i, coefficient in lagrange([1, 2], key.parties).items():
        product *= pow(partials[i - 1].value, 2 * coefficient, int(key.public_key.square))
    with pytest.raises(NotAUnit, match="do not combine"):
        key._plaintext(product)


def test_a_single_private_key_agrees(toy_committee: Committee) -> None:
    key = toy_committee[0].public_key
    private = PrivateKey(*safe_primes(512), key)
    ciphertext, partials = answers(toy_committee, 77)
    total = key.add(key.multiply(ciphertext, -3), key.encrypt(5)[0])
    partials = [share.partial_decrypt(total, CONTEXT) for share in toy_committee[1]]
    assert toy_committee[0].combine(total, partials, CONTEXT).plaintext == private.decrypt(total) == (5 - 231) % key.n


def test_many_ciphertexts_at_once(toy_committee: Committee) -> None:
    key, shares = toy_committee
    items = [(key.public_key.encrypt(10 * i)[0], b"group %d" % i) for i in range(11)]
    answered = [share.partial_decrypt_batch(items) for share in shares[1:4]]
    for i, (ciphertext, context) in enumerate(items):
        assert key.combine(ciphertext, [partials[i] for partials in answered], context).plaintext == 10 * i
        assert not key.verify_share(ciphertext, answered[0][i], items[i - 1][1])
    assert shares[0].partial_decrypt_batch([]) == []


def test_the_length_in_use(committee: Committee) -> None:
    key, _shares = committee
    assert key.public_key.bits == 3072
    ciphertext, partials = answers(committee, 2**64 - 1)
    wrong = replace(partials[0], value=key.public_key.add(partials[0].value, ciphertext))
    combined = key.combine(ciphertext, [wrong, *partials[1:]], CONTEXT)
    assert combined.plaintext == 2**64 - 1
    assert combined.used == (2, 3)
    assert combined.wrong == (1,)


def test_values_are_the_papers(toy_committee: Committee) -> None:
    key, shares = toy_committee
    square, delta = key.public_key.square, factorial(5)
    ciphertext, partials = answers(toy_committee, 9)
    for share, partial, verification_key in zip(shares, partials, key.verification_keys, strict=True):
        assert partial.value == pow(ciphertext, 2 * delta * share.value, int(square))
        assert verification_key == pow(key.base, delta * share.value, int(square))


@given(st.integers(1, 6), st.data())
@settings(max_examples=15, deadline=None)
def test_committees_of_any_size(parties: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, parties))
    committee = small_committee(parties, threshold)
    plaintext = data.draw(st.integers(0, committee[0].public_key.n - 1))
    ciphertext, partials = answers(committee, plaintext)
    some = data.draw(st.permutations(partials))[:threshold]
    assert committee[0].combine(ciphertext, some, CONTEXT).plaintext == plaintext


# Wrong answers


def test_wrong_answers_are_named_and_left_out(toy_committee: Committee) -> None:
    key = toy_committee[0]
    ciphertext, partials = answers(toy_committee, 1000)
    other = answers(toy_committee, 1000)[1]
    wrong = [
        replace(partials[1], value=key.public_key.add(partials[1].value, ciphertext)),
        replace(partials[3], value=other[3].value, proof=other[3].proof),  # a sound answer for another ciphertext
    ]
    combined = key.combine(ciphertext, [partials[0], wrong[0], partials[2], wrong[1], partials[4]], CONTEXT)
    assert combined.plaintext == 1000
    assert combined.used == (1, 3, 5)
    assert combined.wrong == (2, 4)
    with pytest.raises(NotEnoughShares, match="wrong: 2, 4") as caught:
        key.combine(ciphertext, [partials[0], *wrong, partials[4]], CONTEXT)
    assert caught.value.wrong == (2, 4)


def test_malformed_answers_are_named_too(toy_committee: Committee) -> None:
    key = toy_committee[0]
    ciphertext, partials = answers(toy_committee, 1000)
    bad = [
        replace(partials[0], value=0),
        replace(partials[1], value=key.public_key.n),
        replace(partials[2], index=9),
        replace(partials[3], proof=replace(partials[3].proof, z=-1)),
    ]
    with pytest.raises(NotEnoughShares) as caught:
        key.combine(ciphertext, [*bad, partials[4]], CONTEXT)
    assert caught.value.wrong == (1, 2, 4, 9)


def test_answers_about_many_ciphertexts_are_checked_at_once(toy_committee: Committee) -> None:
    key = toy_committee[0]
    items = []
    for plaintext in range(3):
        ciphertext, partials = answers(toy_committee, plaintext)
        items += [(ciphertext, partial, CONTEXT) for partial in partials]
    assert key.verify_shares(items) == []
    assert key.verify_shares([]) == []
    items[4] = (items[4][0], replace(items[4][1], value=0), CONTEXT)
    items[6] = (items[6][0], replace(items[6][1], index=17), CONTEXT)
    items[9] = (items[9][0], items[9][1], b"query 8")
    items[11] = (items[12][0], items[2][1], CONTEXT)
    assert key.verify_shares(items) == [4, 6, 9, 11]


def test_two_answers_of_one_party_are_refused(toy_committee: Committee) -> None:
    ciphertext, partials = answers(toy_committee, 1)
    with pytest.raises(WrongShare):
        toy_committee[0].combine(ciphertext, [*partials, partials[0]], CONTEXT)


def test_a_party_cant_answer_in_the_name_of_another(toy_committee: Committee) -> None:
    key = toy_committee[0]
    ciphertext, partials = answers(toy_committee, 1)
    assert not key.verify_share(ciphertext, replace(partials[0], index=2), CONTEXT)


# The proof


def tampered(statement: decryption.Statement) -> dict[str, decryption.Statement]:
    """The statement with each bound value changed, one at a time."""
    key = statement.public_key
    keys = statement.verification_keys
    return {
        "public_key": replace(statement, public_key=PublicKey(key.n, randomness_base(key.n), toy_key_for_tests=True)),
        "base": replace(statement, base=statement.base**2 % key.square),
        "verification_keys": replace(statement, verification_keys=(*keys[:-1], keys[-1] ** 2 % int(key.square))),
        "verification_keys (fewer)": replace(statement, verification_keys=keys[:-1]),
        "verification_keys (its own)": replace(statement, verification_keys=(keys[1], keys[0], *keys[2:])),
        "exponent_bits": replace(statement, exponent_bits=statement.exponent_bits + 1),
        "index": replace(statement, index=2),
        "ciphertext": replace(statement, ciphertext=key.add(statement.ciphertext, statement.ciphertext)),
        "ciphertext (negated)": replace(statement, ciphertext=int(key.square - statement.ciphertext)),
        "value": replace(statement, value=key.add(statement.value, statement.value)),
        "value (negated)": replace(statement, value=int(key.square - statement.value)),
        "context": replace(statement, context=statement.context + b"\0"),
    }


def test_every_value_of_the_statement_is_bound(toy_committee: Committee) -> None:
    ciphertext, partials = answers(toy_committee, 31)
    statement, proof = toy_committee[0].statement(ciphertext, partials[0], CONTEXT), partials[0].proof
    assert decryption.verify(statement, proof)
    changed = tampered(statement)
    with pytest.raises(WrongKey):
        decryption.verify(changed.pop("exponent_bits"), proof)
    fields = {name.split(" ")[0] for name in changed}
    assert fields | {"exponent_bits"} == set(decryption.Statement.__dataclass_fields__)
    for name, other in changed.items():
        assert not decryption.verify(other, proof), name
        if name != "public_key":
            assert decryption.verify_batch([(statement, proof), (other, proof)]) == [1], name


def test_every_value_of_the_proof_counts(toy_committee: Committee) -> None:
    ciphertext, partials = answers(toy_committee, 31)
    key = toy_committee[0].public_key
    statement, proof = toy_committee[0].statement(ciphertext, partials[0], CONTEXT), partials[0].proof
    order = key.n * (safe_primes(512)[0] // 2) * (safe_primes(512)[1] // 2)
    changed = {
        "a": replace(proof, a=key.add(proof.a, 4)),
        "a (negated)": replace(proof, a=int(key.square - proof.a)),
        "b": replace(proof, b=key.add(proof.b, 4)),
        "b (negated)": replace(proof, b=int(key.square - proof.b)),
        "z": replace(proof, z=proof.z + 1),
        "z (less)": replace(proof, z=proof.z - 1),
        "z (none)": replace(proof, z=0),
    }
    for name, other in changed.items():
        assert not decryption.verify(statement, other), name
        assert decryption.verify_batch([(statement, other), (statement, proof)]) == [0], name
    # Whoever knows the order can shift z by it: the equations still hold, but not beyond the bound.
    assert decryption.verify(statement, replace(proof, z=proof.z + order))
    bound = response_bound(toy_committee[0].exponent_bits)
    shifted = proof.z + order * ((bound - proof.z) // order + 1)
    for z in (shifted, bound, -1, proof.z - order * (proof.z // order + 1)):
        with pytest.raises(OutOfRange, match=r"proof\.z"):
            decryption.verify(statement, replace(proof, z=z))
        assert decryption.verify_batch([(statement, replace(proof, z=z))]) == [0]
    with pytest.raises(WrongKey):
        decryption.verify(statement, replace(proof, bits=3072))


def test_sign_element_is_treated_alike_alone_and_in_batches(toy_committee: Committee) -> None:
    """A prover that commits to -a, and a party that answers -c_i: alone and in batches the same, and harmless."""
    key, shares = toy_committee
    public, share = key.public_key, shares[0]
    ciphertext, partials = answers(toy_committee, 31)
    exponent = share._exponent
    value = int(public.square - partials[0].value)
    statement = key.statement(ciphertext, replace(partials[0], value=value), CONTEXT)
    proof = decryption.prove(statement, decryption.Witness(exponent))
    verdicts = {decryption.verify(statement, proof)}
    verdicts |= {decryption.verify_batch([(statement, proof)]) == [] for _ in range(20)}
    assert len(verdicts) == 1
    negated = PartialDecryption(1, value, proof)
    assert key.combine(ciphertext, [negated, *partials[1:3]], CONTEXT).plaintext == 31


def test_non_units_are_refused(toy_committee: Committee) -> None:
    key = toy_committee[0].public_key
    ciphertext, partials = answers(toy_committee, 31)
    statement, proof = toy_committee[0].statement(ciphertext, partials[0], CONTEXT), partials[0].proof
    for bad in (0, 1):
        with pytest.raises(TrivialCiphertext):
            decryption.verify(replace(statement, ciphertext=bad), proof)
    for bad, refusal in ((0, NotAUnit), (key.n, NotAUnit), (-1, OutOfRange), (key.n**2, OutOfRange)):
        if bad:
            with pytest.raises(refusal):
                decryption.verify(replace(statement, ciphertext=bad), proof)
        with pytest.raises(refusal):
            decryption.verify(replace(statement, value=bad), proof)
        for changed_proof in (replace(proof, a=bad), replace(proof, b=bad)):
            with pytest.raises(refusal):
                decryption.verify(statement, changed_proof)
        with pytest.raises(Refused):
            toy_committee[1][0].partial_decrypt(bad, CONTEXT)
    for index in (0, 6):
        with pytest.raises(OutOfRange, match="index"):
            decryption.verify(replace(statement, index=index), proof)


def test_a_batch_names_its_bad_items(toy_committee: Committee) -> None:
    key = toy_committee[0]
    items = []
    for plaintext in range(4):
        ciphertext, partials = answers(toy_committee, plaintext)
        items += [(key.statement(ciphertext, partial, CONTEXT), partial.proof) for partial in partials]
    assert decryption.verify_batch(items) == []
    for bad in (3, 4, 11, 19):
        statement, proof = items[bad]
        items[bad] = (statement, replace(proof, z=proof.z ^ 1))
    assert decryption.verify_batch(items) == [3, 4, 11, 19]
    assert decryption.verify_batch([]) == []
    stranger = small_committee(3, 2)
    ciphertext, partials = answers(stranger, 1)
    with pytest.raises(WrongKey):
        decryption.verify_batch([items[0], (stranger[0].statement(ciphertext, partials[0], b""), partials[0].proof)])


# Dealing, encodings, secrets


def test_dealing_makes_safe_primes_and_reports_progress() -> None:
    calls: list[tuple[int, int]] = []
    key, shares = deal(128, 3, 2, lambda done, total: calls.append((done, total)), toy_key_for_tests=True)
    assert calls
    assert len({total for _, total in calls}) == 1
    ciphertext, partials = answers((key, shares), 99)
    assert key.combine(ciphertext, partials, CONTEXT).plaintext == 99


@pytest.mark.slow
def test_dealing_at_the_length_in_use() -> None:
    key, shares = deal(3072, 3, 2)
    ciphertext, partials = answers((key, shares), 99)
    assert key.combine(ciphertext, partials[1:], CONTEXT).plaintext == 99


def test_base_generates_the_squares(toy_committee: Committee) -> None:
    p, q = safe_primes(512)
    square = (p * q) ** 2
    order = p * q * (p // 2) * (q // 2)
    base = toy_committee[0].base
    assert pow(base, order, square) == 1
    for factor in (p, q, p // 2, q // 2):
        assert pow(base, order // factor, square) != 1


def test_what_cant_be_dealt_is_refused() -> None:
    p, q = safe_primes(512)
    for parties, threshold in ((0, 0), (17, 2), (3, 0), (3, 4)):
        with pytest.raises(OutOfRange):
            deal_from_primes(p, q, parties, threshold, toy_key_for_tests=True)
    for a, b in ((p, p), (p, int(gmpy2.next_prime(q)))):
        with pytest.raises(Refused):
            deal_from_primes(a, b, 3, 2, toy_key_for_tests=True)
    with pytest.raises(Refused):
        deal(1024, 3, 2)
    with pytest.raises(Refused):
        deal_from_primes(p, q, 3, 2)


def test_bytes_both_ways(committee: Committee) -> None:
    key, shares = committee
    assert ThresholdKey.from_bytes(key.to_bytes()) == key
    assert KeyShare.from_bytes(shares[1].to_bytes()) == shares[1]
    ciphertext, _ = key.public_key.encrypt(1)
    partial = shares[1].partial_decrypt(ciphertext, CONTEXT)
    assert PartialDecryption.from_bytes(partial.to_bytes()) == partial
    assert len(partial.to_bytes()) < 4096


def test_bytes_of_another_shape_are_refused(toy_committee: Committee) -> None:
    key, shares = toy_committee
    partial = answers(toy_committee, 1)[1][0]
    for data, read in (
        (key.to_bytes(), lambda d: ThresholdKey.from_bytes(d, toy_key_for_tests=True)),
        (shares[0].to_bytes(), lambda d: KeyShare.from_bytes(d, toy_key_for_tests=True)),
        (partial.to_bytes(), PartialDecryption.from_bytes),
    ):
        assert read(data).to_bytes() == data
        for spoilt in (data[:-1], data + b"\0", b"zks-xxxx" + data[8:], b""):
            with pytest.raises(Malformed):
                read(spoilt)
    with pytest.raises(Refused):
        ThresholdKey.from_bytes(key.to_bytes())  # too short to be in use


def test_keys_that_cant_be_are_refused(toy_committee: Committee) -> None:
    key = toy_committee[0]
    n = key.public_key.n
    with pytest.raises(WrongLength):
        replace(key, parties=4)
    with pytest.raises(OutOfRange):
        replace(key, threshold=6)
    odd_one = next(x for x in range(2, 1000) if gmpy2.jacobi(x, n) == -1)
    for bad, refusal in ((0, TrivialCiphertext), (1, TrivialCiphertext), (n, NotAUnit), (odd_one, WrongJacobiSymbol)):
        with pytest.raises(refusal, match="base"):
            replace(key, base=bad)
        with pytest.raises(refusal, match=r"verification_keys\[5\]"):
            replace(key, verification_keys=(*key.verification_keys[:-1], bad))


def test_shares_that_do_not_fit_are_refused(toy_committee: Committee) -> None:
    share = toy_committee[1][0]
    with pytest.raises(WrongShare):
        replace(share, value=share.value + 1)
    with pytest.raises(WrongShare):
        replace(share, index=2)
    for bad in ({"index": 0}, {"index": 6}, {"value": 0}, {"value": 1 << share.key.share_bits}):
        with pytest.raises(OutOfRange):
            replace(share, **bad)
    data = bytearray(share.to_bytes())
    data[20] ^= 1
    with pytest.raises(Refused):
        KeyShare.from_bytes(bytes(data), toy_key_for_tests=True)


def test_shares_do_not_show(toy_committee: Committee) -> None:
    share = toy_committee[1][0]
    witness = decryption.Witness(share.value)
    for secret in (share, witness):
        for text in (repr(secret), str(secret), f"{secret}", repr([secret])):
            assert str(share.value) not in text
            assert f"{share.value:x}" not in text
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        with pytest.raises(TypeError):
            json.dumps(secret)


def test_verification_keys_of_no_sharing_are_seen(toy_committee: Committee) -> None:
    key = toy_committee[0]
    assert key.is_consistent()
    keys, square = key.verification_keys, int(key.public_key.square)
    for i in range(5):
        for factor in (key.base, pow(key.base, key.public_key.n, square), 1 + key.public_key.n):
            other = (*keys[:i], keys[i] * factor % square, *keys[i + 1 :])
            assert not replace(key, verification_keys=other).is_consistent(), i
    assert not replace(key, verification_keys=keys[::-1]).is_consistent()
    assert not replace(key, threshold=2).is_consistent()  # of a degree too high
    # signs do nothing
    assert replace(key, verification_keys=(square - keys[0], *keys[1:])).is_consistent()


@given(st.integers(1, 6), st.data())
@settings(max_examples=10, deadline=None)
def test_every_dealt_key_is_consistent(parties: int, data: st.DataObject) -> None:
    assert small_committee(parties, data.draw(st.integers(1, parties)))[0].is_consistent()


def test_keys_have_fingerprints(toy_committee: Committee) -> None:
    key = toy_committee[0]
    assert len(key.fingerprint) == 32
    assert key.fingerprint != replace(key, threshold=2).fingerprint
