"""The link proof: true statements pass, and every value of statement and proof counts, alone and in batches."""

import secrets
from dataclasses import fields, replace

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.errors import NotAUnit, SlotOverflow, TrivialCiphertext, WrongKey
from homomorphic.packing import Packing, slots_in
from homomorphic.paillier import PrivateKey, PublicKey, randomness_base
from homomorphic.proofs import link
from homomorphic.proofs.batch import CHALLENGE_BITS
from homomorphic.proofs.link import LinkProof, Statement, prove, verify, verify_batch
from tests.homomorphic.conftest import keypair
from zkcore import babyjubjub, pedersen
from zkcore.bn254 import R
from zkcore.errors import Malformed, NotOnCurve, OutOfRange, PointAtInfinity, Refused, WrongLength

TOY = keypair(512)
KEY = TOY.public_key
CONTEXT = b"digest of the public inputs"
ORDER_TWO = (0, R - 1)
Item = tuple[Statement, LinkProof]


def filed(values: list[int], key: PublicKey = KEY) -> tuple[Statement, int, list[int]]:
    """A true statement about fresh encryptions of values, with rho and the blindings."""
    blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
    ciphertext, rho = key.encrypt(Packing(len(values)).pack(values))
    commitments = tuple(pedersen.commit(x, s) for x, s in zip(values, blindings, strict=True))
    return Statement(key, ciphertext, commitments, CONTEXT), rho, blindings


def proved(values: list[int], key: PublicKey = KEY) -> Item:
    statement, rho, blindings = filed(values, key)
    return statement, prove(statement, values, rho, blindings)


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return [proved([secrets.randbits(64) for _ in range(3)]) for _ in range(6)]


# Completeness


@given(st.lists(st.one_of(st.sampled_from([0, 1, 2**64 - 1]), st.integers(0, 2**64 - 1)), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_true_statements_are_proved(values: list[int]) -> None:
    statement, proof = proved(values)
    assert verify(statement, proof)
    assert verify_batch([(statement, proof)]) == []
    assert LinkProof.from_bytes(proof.to_bytes()) == proof


def test_lengths_in_use_with_all_slots_full(private_key: PrivateKey) -> None:
    key = private_key.public_key
    statement, proof = proved([2**64 - 1] * slots_in(key.bits), key)
    assert verify(statement, proof)
    assert not verify(replace(statement, context=b""), proof)
    assert len(proof.to_bytes()) < 16384


def test_extreme_blindings_and_randomness() -> None:
    for values, rho, blinding in (([0], 0, 0), ([2**64 - 1], (1 << KEY.randomness_bits) - 1, babyjubjub.ORDER - 1)):
        ciphertext = KEY.encrypt_with(Packing(1).pack(values), rho)
        if ciphertext == 1:
            with pytest.raises(TrivialCiphertext):
                prove(Statement(KEY, ciphertext, (pedersen.commit(0, 0),), b""), values, rho, [blinding])
            continue
        statement = Statement(KEY, ciphertext, (pedersen.commit(values[0], blinding),), b"")
        assert verify(statement, prove(statement, values, rho, [blinding]))


# Soundness: what is not true is not proved


def test_a_ciphertext_of_other_values_is_not_proved() -> None:
    values = [5, 6, 7]
    statement, rho, blindings = filed(values)
    for other in ([5, 6, 8], [6, 5, 7], [5, 6 + 1, 7]):
        changed = replace(statement, ciphertext=KEY.encrypt_with(Packing(3).pack(other), rho))
        for witness in (values, other):
            assert not verify(changed, prove(changed, witness, rho, blindings))


def test_values_equal_modulo_the_order_but_not_as_integers_are_not_proved() -> None:
    """Commitments bind modulo l only; the short responses make them bind as integers."""
    x = 5
    statement, rho, blindings = filed([x])
    changed = replace(
        statement, ciphertext=int(KEY.unhidden(x + babyjubjub.ORDER) * KEY.mask(rho) % KEY.square)
    )  # P commits to x + l just as well
    assert TOY.decrypt(changed.ciphertext) == x + babyjubjub.ORDER
    assert not verify(changed, prove(changed, [x], rho, blindings))
    # the honest algorithm with the wide witness: its response does not fit the bound
    proof = _prove_unchecked(changed, [x + babyjubjub.ORDER], rho, blindings)
    with pytest.raises(OutOfRange, match=r"z\[0\]"):
        verify(changed, proof)


def _prove_unchecked(statement: Statement, values: list[int], rho: int, blindings: list[int]) -> LinkProof:
    """The prover's formulas with none of its checks."""
    key = statement.public_key
    alpha = [secrets.randbits(244) for _ in values]
    beta = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
    tau = secrets.randbits(key.bits // 2 + 180)
    a = int(key.unhidden(link._packed(alpha)) * key.mask(tau, key.bits // 2 + 180) % key.square)
    b = tuple(pedersen.commit(x, s) for x, s in zip(alpha, beta, strict=True))
    e = statement.challenge(a, b)
    return LinkProof(
        key.bits,
        a,
        b,
        tuple(x + e * v for x, v in zip(alpha, values, strict=True)),
        tuple((x + e * s) % babyjubjub.ORDER for x, s in zip(beta, blindings, strict=True)),
        tau + e * rho,
    )


def test_the_prover_is_the_protocols_formulas() -> None:
    statement, rho, blindings = filed([1, 2**64 - 1])
    assert verify(statement, _prove_unchecked(statement, [1, 2**64 - 1], rho, blindings))


def tampered_statements(statement: Statement) -> dict[str, Statement]:
    p0, *rest = statement.commitments
    return {
        "public_key": replace(statement, public_key=PublicKey(KEY.n, randomness_base(KEY.n), toy_key_for_tests=True)),
        "ciphertext": replace(statement, ciphertext=KEY.add_plain(statement.ciphertext, 1)),
        "ciphertext (rerandomized)": replace(statement, ciphertext=KEY.rerandomize(statement.ciphertext)),
        "ciphertext (negated)": replace(statement, ciphertext=int(KEY.square - statement.ciphertext)),
        "commitments": replace(statement, commitments=(babyjubjub.add(p0, pedersen.G), *rest)),
        "commitments (blinding)": replace(statement, commitments=(babyjubjub.add(p0, pedersen.H), *rest)),
        "commitments (small order)": replace(statement, commitments=(babyjubjub.add(p0, ORDER_TWO), *rest)),
        "commitments (order)": replace(statement, commitments=(rest[0], p0, *rest[1:])),
        "context": replace(statement, context=statement.context[:-1]),
        "context (longer)": replace(statement, context=statement.context + b"\0"),
    }


def tampered_proofs(proof: LinkProof) -> dict[str, LinkProof]:
    def at(values: tuple, i: int, value: object) -> tuple:  # type: ignore[type-arg]
        return (*values[:i], value, *values[i + 1 :])

    changed = {
        "a": replace(proof, a=KEY.add_plain(proof.a, 1)),
        "a (negated)": replace(proof, a=int(KEY.square - proof.a)),
        "w": replace(proof, w=proof.w + 1),
        "w (less)": replace(proof, w=proof.w - 1),
    }
    for j in range(len(proof.b)):
        changed |= {
            f"b {j}": replace(proof, b=at(proof.b, j, babyjubjub.add(proof.b[j], pedersen.G))),
            f"b {j} (small order)": replace(proof, b=at(proof.b, j, babyjubjub.add(proof.b[j], ORDER_TWO))),
            f"z {j}": replace(proof, z=at(proof.z, j, proof.z[j] ^ 1)),
            f"u {j}": replace(proof, u=at(proof.u, j, (proof.u[j] + 1) % babyjubjub.ORDER)),
        }
    return changed


def test_every_value_of_the_statement_is_bound(items: list[Item]) -> None:
    statement, proof = items[0]
    changed = tampered_statements(statement)
    assert {name.split(" ")[0] for name in changed} == {field.name for field in fields(Statement)}
    for name, other in changed.items():
        assert not verify(other, proof), name
        if name != "public_key":
            assert verify_batch([items[1], (other, proof), items[2]]) == [1], name


def test_every_value_of_the_proof_counts(items: list[Item]) -> None:
    statement, proof = items[0]
    changed = tampered_proofs(proof)
    assert {name.split(" ")[0] for name in changed} | {"bits"} == {field.name for field in fields(LinkProof)}
    for name, other in changed.items():
        assert not verify(statement, other), name
        assert verify_batch([items[1], (statement, other), items[2]]) == [1], name


def test_a_challenge_that_leaves_a_value_out_can_be_cheated() -> None:
    """Why every value is bound: with A outside the transcript, anybody proves anything (and is refused here)."""
    values = [9]
    statement, _, _ = filed(values)
    z, u, w = secrets.randbits(240), secrets.randbelow(babyjubjub.ORDER), secrets.randbits(KEY.bits // 2 + 180)
    e = statement.challenge(1, ())  # chosen before A and B
    a = (
        KEY.unhidden(z)
        * KEY.mask(w, KEY.bits // 2 + 180)
        * gmpy2.invert(gmpy2.powmod(statement.ciphertext, e, KEY.square), KEY.square)
    )
    b = babyjubjub.add(pedersen.commit(z, u), babyjubjub.multiply(statement.commitments[0], -e))
    forged = LinkProof(KEY.bits, int(a % KEY.square), (b,), (z,), (u,), w)
    # the equations hold for that e ...
    assert link._hold([(statement, forged, e)])
    # ... which is not the challenge once A and B are bound
    assert not verify(statement, forged)
    assert verify_batch([(statement, forged)]) == [0]


def test_proofs_of_other_records_are_not_accepted(items: list[Item]) -> None:
    mixed = [(items[0][0], items[1][1]), (items[1][0], items[0][1]), items[2]]
    assert verify_batch(mixed) == [0, 1]


# Responses out of range


def test_shifted_responses_are_refused(items: list[Item]) -> None:
    statement, proof = items[0]
    order, bound = babyjubjub.ORDER, link._w_bound(KEY.bits)
    p, q = TOY.p, TOY.q
    group = p * q * (p - 1) * (q - 1)
    cases = {
        r"z\[0\]": [
            replace(proof, z=(value, *proof.z[1:]))
            for value in (proof.z[0] + order, proof.z[0] - order, proof.z[0] + KEY.n, -1, 2**244 + 2**164)
        ],
        r"u\[0\]": [
            replace(proof, u=(value, *proof.u[1:])) for value in (proof.u[0] + order, proof.u[0] - order, order)
        ],
        r"link_proof\.w": [replace(proof, w=value) for value in (proof.w + group, proof.w - group, -1, bound)],
        r"link_proof\.a": [replace(proof, a=value) for value in (proof.a + KEY.n**2, -proof.a)],
    }
    for match, shifted in cases.items():
        for other in shifted:
            with pytest.raises(OutOfRange, match=match):
                verify(statement, other)
            assert verify_batch([(statement, other), items[1]]) == [0]
    # the largest values of the ranges are not refused, only false
    assert not verify(statement, replace(proof, z=(2**244 + 2**164 - 1, *proof.z[1:])))
    assert not verify(statement, replace(proof, w=bound - 1))


# Batches


def test_bad_items_are_named(items: list[Item]) -> None:
    assert verify_batch(items) == []
    assert verify_batch([]) == []
    for bad in ([0], [5], [1, 2], [0, 3, 5], list(range(6))):
        batch = list(items)
        for i in bad:
            batch[i] = (items[i][0], replace(items[i][1], w=items[i][1].w ^ 1))
        assert verify_batch(batch) == bad


def test_malformed_items_are_named_with_the_false_ones(items: list[Item]) -> None:
    batch = list(items)
    batch[1] = (replace(items[1][0], ciphertext=0), items[1][1])
    batch[3] = (items[3][0], replace(items[3][1], a=KEY.n))
    batch[4] = (items[4][0], replace(items[4][1], w=0))
    assert verify_batch(batch) == [1, 3, 4]


def test_errors_that_cancel_are_found(items: list[Item]) -> None:
    """Two items whose errors are inverse to each other pass an unweighted product, not a weighted one."""
    (s0, p0), (s1, p1) = items[:2]
    batch = [(s0, replace(p0, w=p0.w + 1)), (s1, replace(p1, w=p1.w - 1)), items[2]]
    assert verify_batch(batch) == [0, 1]
    u0 = (p0.u[0] + 1) % babyjubjub.ORDER
    u1 = (p0.u[1] - 1) % babyjubjub.ORDER
    assert verify_batch([(s0, replace(p0, u=(u0, u1, *p0.u[2:]))), items[1]]) == [0]


def test_the_element_minus_one_is_treated_alike_alone_and_in_batches() -> None:
    """A prover that commits to -A: the same verdict always, and the plaintext is the committed one."""
    values = [3, 4]
    statement, rho, blindings = filed(values)
    alpha = [secrets.randbits(244) for _ in values]
    beta = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
    tau = secrets.randbits(KEY.bits // 2 + 180)
    a = int(-KEY.unhidden(link._packed(alpha)) * KEY.mask(tau, KEY.bits // 2 + 180) % KEY.square)
    b = tuple(pedersen.commit(x, s) for x, s in zip(alpha, beta, strict=True))
    e = statement.challenge(a, b)
    z = tuple(x + e * v for x, v in zip(alpha, values, strict=True))
    u = tuple((x + e * s) % babyjubjub.ORDER for x, s in zip(beta, blindings, strict=True))
    proof = LinkProof(KEY.bits, a, b, z, u, tau + e * rho)
    verdicts = {verify(statement, proof) for _ in range(20)}
    verdicts |= {verify_batch([(statement, proof), proved([1, 2])]) == [] for _ in range(20)}
    assert len(verdicts) == 1
    assert Packing(2).unpack(TOY.decrypt(statement.ciphertext)) == values
    # and a negated ciphertext decrypts to the same, so that nothing is gained by one
    assert TOY.decrypt(int(KEY.square - statement.ciphertext)) == TOY.decrypt(statement.ciphertext)


def test_points_of_small_order_in_b_change_nothing(items: list[Item]) -> None:
    """The equation is taken times the cofactor: B_j + (0, -1) committed to in time is as good as B_j, always."""
    values = [3]
    statement, rho, blindings = filed(values)
    alpha, beta, tau = secrets.randbits(244), secrets.randbelow(babyjubjub.ORDER), secrets.randbits(400)
    a = int(KEY.unhidden(alpha) * KEY.mask(tau, KEY.bits // 2 + 180) % KEY.square)
    b = (babyjubjub.add(pedersen.commit(alpha, beta), ORDER_TWO),)
    e = statement.challenge(a, b)
    u = (beta + e * blindings[0]) % babyjubjub.ORDER
    proof = LinkProof(KEY.bits, a, b, (alpha + e * 3,), (u,), tau + e * rho)
    assert all(verify(statement, proof) for _ in range(10))
    assert all(verify_batch([(statement, proof), *items]) == [] for _ in range(10))


def test_a_batch_is_about_one_key(items: list[Item]) -> None:
    other = PublicKey(KEY.n, randomness_base(KEY.n), toy_key_for_tests=True)
    with pytest.raises(WrongKey):
        verify_batch([items[0], proved([1], other)])


# Malformed input


def test_malformed_statements_and_proofs_are_refused(items: list[Item]) -> None:
    statement, proof = items[0]
    off = (statement.commitments[0][0], (statement.commitments[0][1] + 1) % R)
    wide = (statement.commitments[0][0] + R, statement.commitments[0][1])
    rest_p, rest_b = statement.commitments[1:], proof.b[1:]
    bad_statements = [
        (replace(statement, ciphertext=0), TrivialCiphertext),
        (replace(statement, ciphertext=1), TrivialCiphertext),
        (replace(statement, ciphertext=KEY.n), NotAUnit),
        (replace(statement, ciphertext=TOY.p), NotAUnit),
        (replace(statement, ciphertext=KEY.n**2 + 2), OutOfRange),
        (replace(statement, commitments=(off, *rest_p)), NotOnCurve),
        (replace(statement, commitments=(wide, *rest_p)), OutOfRange),
        (replace(statement, commitments=(babyjubjub.IDENTITY, *rest_p)), PointAtInfinity),
        (replace(statement, commitments=rest_p), WrongLength),
        (replace(statement, commitments=()), OutOfRange),
        (replace(statement, commitments=statement.commitments * 2), SlotOverflow),
    ]
    for bad, refusal in bad_statements:
        with pytest.raises(refusal):
            verify(bad, proof)
    bad_proofs = [
        (replace(proof, a=0), NotAUnit),
        (replace(proof, a=KEY.n), NotAUnit),
        (replace(proof, b=(off, *rest_b)), NotOnCurve),
        (replace(proof, b=(wide, *rest_b)), OutOfRange),
        (replace(proof, b=(babyjubjub.IDENTITY, *rest_b)), PointAtInfinity),
        (replace(proof, b=rest_b), WrongLength),
        (replace(proof, z=proof.z[1:]), WrongLength),
        (replace(proof, u=(*proof.u, 0)), WrongLength),
        (replace(proof, bits=3072), WrongKey),
    ]
    for bad_proof, refusal in bad_proofs:
        with pytest.raises(refusal):
            verify(statement, bad_proof)


def test_witnesses_out_of_their_domain_are_refused() -> None:
    statement, rho, blindings = filed([1, 2])
    for values, r, s, refusal in (
        ([1], rho, blindings, WrongLength),
        ([1, 2], rho, blindings[:1], WrongLength),
        ([1, 2**64], rho, blindings, SlotOverflow),
        ([-1, 2], rho, blindings, SlotOverflow),
        ([1, 2], rho, [babyjubjub.ORDER, 0], OutOfRange),
        ([1, 2], -1, blindings, OutOfRange),
        ([1, 2], 1 << KEY.randomness_bits, blindings, OutOfRange),
    ):
        with pytest.raises(refusal):
            prove(statement, values, r, s)


def test_bytes_are_strict(items: list[Item]) -> None:
    statement, proof = items[0]
    data = proof.to_bytes()
    for spoilt in (data[:-1], data + b"\0", b"zks-xxxx" + data[8:], b""):
        with pytest.raises(Malformed):
            LinkProof.from_bytes(spoilt)
    refused = false = 0
    for position in range(8, len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x80
        try:
            false += not verify(statement, LinkProof.from_bytes(bytes(changed)))
        except Refused:
            refused += 1
    assert refused + false == len(data) - 8  # no byte can be changed
    assert refused
    assert false


def test_challenge_is_as_long_as_the_protocol_says() -> None:
    statement, _, _ = filed([1])
    challenges = [statement.challenge(i, ()) for i in range(2, 50)]
    assert CHALLENGE_BITS == 100
    assert max(challenges).bit_length() in range(95, 101)
    assert len(set(challenges)) == 48
