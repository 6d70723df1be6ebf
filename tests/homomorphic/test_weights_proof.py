"""The proof of committed weights: the result is the weighted sum with those very weights, or it is not proved."""

import secrets
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.paillier import PrivateKey
from homomorphic.proofs import weights
from homomorphic.proofs.weights import Statement, WeightsProof, combine, prove, verify, verify_batch
from tests.homomorphic.proved import CONTEXT, KEY, TOY, blindings, commitments
from zkcore import babyjubjub, pedersen
from zkcore.errors import OutOfRange, Refused, WrongLength

LEAST, MOST = -(2**63), 2**63 - 1
WEIGHT = st.one_of(st.sampled_from([LEAST, -1, 0, 1, MOST]), st.integers(LEAST, MOST))


def computed(values: list[int], used: list[int]) -> tuple[Statement, int, list[int]]:
    """A true statement about fresh ciphertexts of values, with rho and the blindings."""
    s = blindings(len(used))
    ciphertexts = tuple(KEY.encrypt(value)[0] for value in values)
    result, rho = combine(KEY, ciphertexts, used)
    return Statement(KEY, ciphertexts, commitments(used, s), result, CONTEXT), rho, s


@given(st.lists(st.tuples(st.integers(0, 2**64), WEIGHT), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_every_weighted_sum_is_proved(pairs: list[tuple[int, int]]) -> None:
    values, used = [value for value, _ in pairs], [weight for _, weight in pairs]
    statement, rho, s = computed(values, used)
    assert TOY.decrypt(statement.result) == sum(x * w for x, w in pairs) % KEY.n
    proof = prove(statement, used, rho, s)
    assert verify(statement, proof)
    assert WeightsProof.from_bytes(proof.to_bytes()) == proof


def test_a_length_in_use_with_a_constant_term(private_key: PrivateKey) -> None:
    key = private_key.public_key
    used, s = [12, -7, 300, 5], blindings(4)
    ciphertexts = (*(key.encrypt(value)[0] for value in (10, 20)), int(key.unhidden(1)), int(key.unhidden(1 << 32)))
    result, rho = combine(key, ciphertexts, used)
    assert private_key.decrypt(result) == 12 * 10 - 7 * 20 + 300 + (5 << 32)
    statement = Statement(key, ciphertexts, commitments(used, s), result, CONTEXT)
    proof = prove(statement, used, rho, s)
    assert verify(statement, proof)
    assert verify_batch([(statement, proof), (replace(statement, context=b""), proof)]) == [1]


def test_other_weights_than_the_committed_are_not_proved() -> None:
    statement, _, s = computed([5, 6], [3, -4])
    for other in ([3, -3], [4, -4], [-4, 3]):
        result, its_rho = combine(KEY, statement.ciphertexts, other)
        changed = replace(statement, result=result)
        for witness in ([3, -4], other):
            assert not verify(changed, prove(changed, witness, its_rho, s))


def test_a_constant_slipped_in_is_not_proved() -> None:
    statement, rho, s = computed([5, 6], [3, -4])
    changed = replace(statement, result=KEY.add_plain(statement.result, 1))
    assert not verify(changed, prove(changed, [3, -4], rho, s))


def test_a_fraction_modulo_the_order_is_not_a_weight() -> None:
    """W commits to 1/2 modulo l, and whoever made c = d^2 knows c^(1/2): without the range, half of c would pass.

    The prover follows its formulas with an even challenge, z = alpha + e / 2, and both equations hold; only the range
    of the committed number can't be proved.
    """
    half = pow(2, -1, babyjubjub.ORDER)
    (s,) = blindings(1)
    root, _ = KEY.encrypt(21)
    rho = secrets.randbits(KEY.randomness_bits)
    result = int(root * KEY.mask(rho) % KEY.square)
    statement = Statement(KEY, (KEY.multiply(root, 2),), (pedersen.commit(half, s),), result, CONTEXT)
    assert TOY.decrypt(result) * 2 == TOY.decrypt(statement.ciphertexts[0])
    bits = KEY.randomness_bits + 180
    while True:
        alpha, beta, tau = secrets.randbits(244), secrets.randbelow(babyjubjub.ORDER), secrets.randbits(bits)
        a = int(pow(statement.ciphertexts[0], alpha, int(KEY.square)) * KEY.mask(tau, bits) % KEY.square)
        b = (pedersen.commit(alpha, beta),)
        e = statement.challenge(a, b)
        if e % 2 == 0:
            break
    z, u = alpha + e // 2 + e * 2**63, (beta + e * s) % babyjubjub.ORDER
    low = committed_low_bits(statement, s)
    proof = WeightsProof(KEY.bits, a, b, (z,), (u,), tau + e * rho, low)
    assert weights._hold([(statement, proof, e)])
    assert not verify(statement, proof)
    assert verify_batch([(statement, proof)]) == [0]


def committed_low_bits(statement: Statement, blinding: int) -> tuple:  # type: ignore[type-arg]
    """Range proofs made as if the committed numbers were 2^63."""
    return tuple(weights.committed_range.prove(each, 2**63, blinding) for each in statement.ranges())


def test_batches_of_results_from_the_same_record() -> None:
    first, rho, s = computed([5, 6], [3, -4])
    items = [(first, prove(first, [3, -4], rho, s))]
    for used in ([1, 1], [0, 2]):
        s = blindings(2)
        result, rho = combine(KEY, first.ciphertexts, used)
        statement = replace(first, result=result, commitments=commitments(used, s))
        items.append((statement, prove(statement, used, rho, s)))
    assert verify_batch(items) == []
    assert verify_batch([items[0], (items[1][0], items[2][1]), items[2]]) == [1]
    ranges = (items[0][1].ranges[0], items[1][1].ranges[1])
    assert verify_batch([items[0], items[1], (items[2][0], replace(items[2][1], ranges=ranges))]) == [2]


def test_what_is_refused() -> None:
    statement, rho, s = computed([5, 6], [3, -4])
    proof = prove(statement, [3, -4], rho, s)
    for used in ([3], [3, -4, 1]):
        with pytest.raises(WrongLength):
            prove(statement, used, rho, s)
        with pytest.raises(WrongLength):
            combine(KEY, statement.ciphertexts, used)
    for used in ([3, MOST + 1], [LEAST - 1, 3]):
        with pytest.raises(OutOfRange):
            prove(statement, used, rho, s)
        with pytest.raises(OutOfRange):
            combine(KEY, statement.ciphertexts, used)
    with pytest.raises(WrongLength):
        prove(statement, [3, -4], rho, s[:1])
    with pytest.raises(OutOfRange):
        prove(statement, [3, -4], rho, [s[0], babyjubjub.ORDER])
    with pytest.raises(OutOfRange):
        prove(statement, [3, -4], 1 << KEY.randomness_bits, s)
    with pytest.raises(WrongLength):
        verify(replace(statement, ciphertexts=(), commitments=()), proof)
    for bad in (0, 1, KEY.n, TOY.p):
        with pytest.raises(Refused, match=r"ciphertexts\[1\]"):
            verify(replace(statement, ciphertexts=(statement.ciphertexts[0], bad)), proof)
        with pytest.raises(Refused, match="result"):
            verify(replace(statement, result=bad), proof)
        with pytest.raises(Refused):
            combine(KEY, (statement.ciphertexts[0], bad), [3, -4])
