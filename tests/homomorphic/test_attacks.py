"""Known attacks on proofs of this kind, tried on each of them.

Keys of 512 bits are used where an attack does not depend on the length; small factors are tried at lengths in use.
"""

import secrets
from dataclasses import fields, replace
from typing import Any

import gmpy2
import pytest

from homomorphic.errors import EvenModulus, NotAUnit, NotComposite, SmallFactor, TrivialCiphertext, WrongKeyLength
from homomorphic.packing import Packing
from homomorphic.paillier import PublicKey, randomness_base
from homomorphic.proofs import committed_range, decryption, key, link, plaintext, weights
from tests.homomorphic.conftest import safe_primes
from tests.homomorphic.proved import (
    COMMITTEE,
    CONTEXT,
    KEY,
    KINDS,
    OTHER_KEY,
    TOY,
    Proved,
    blindings,
    commitments,
)
from tests.homomorphic.test_proof_tampering import changed, convinces
from zkcore import pedersen
from zkcore.babyjubjub import ORDER
from zkcore.errors import Refused
from zkcore.transcript import Transcript

SQUARE = int(KEY.square)
TAU_BITS = KEY.randomness_bits + 180
ORDER_OF_UNITS = KEY.n * (TOY.p - 1) * (TOY.q - 1)


@pytest.fixture(scope="module")
def proved() -> dict[str, Proved]:
    return {name: make() for name, make in KINDS.items()}


# Moduli


@pytest.mark.parametrize("factor", [3, 5, 251, 65521])
def test_a_modulus_with_a_small_factor_has_no_key(factor: int) -> None:
    """Modulo a small factor a challenge has an inverse of 0 or none, and N-th roots are guessed: no such key exists."""
    half = secrets.randbits(3000) | 1
    n = factor * (2 * ((1 << 3072) // (2 * factor) - half) + 1)
    assert n.bit_length() == 3072 and n % 2 == 1
    with pytest.raises(SmallFactor):
        PublicKey(n, randomness_base(n))


def test_other_moduli_that_break_proofs_have_no_key() -> None:
    p, q = safe_primes(3072)
    prime = int(gmpy2.next_prime(1 << 3071))
    for n, refusal in ((p * q + 1, EvenModulus), (prime, NotComposite), (p * p, NotComposite), (p, WrongKeyLength)):
        with pytest.raises(refusal):
            PublicKey(n, 4)


def test_a_modulus_with_a_square_factor_is_not_proved() -> None:
    """N = p^2 q shares p with the order of its units: the maker has no N-th roots to show."""
    p, q = (int(gmpy2.next_prime(secrets.randbits(170) | 3 << 168)) for _ in range(2))
    n = p * p * q
    bad = PublicKey(n, randomness_base(n), toy_key_for_tests=True)
    statement = key.Statement(bad, b"")
    order = p * (p - 1) * (q - 1)
    root = gmpy2.invert(p * q, order // p)  # of what has roots at all
    y = tuple(int(gmpy2.powmod(x, root, n)) for x in statement.challenges())
    v = next(v for v in range(2, 10**6) if gmpy2.jacobi(v, n) == gmpy2.jacobi(-1, n))
    assert not convinces(key, statement, key.KeyProof(bad.bits, v, y))
    assert all(gmpy2.powmod(each, n, n) != x for each, x in zip(y, statement.challenges(), strict=True))


# Numbers that share a factor with N


def test_no_proof_takes_a_number_that_is_no_unit(proved: dict[str, Proved]) -> None:
    """Every number modulo N^2 of every statement and proof, set to 0, N, a factor or a multiple of it."""
    numbers = {
        "plaintext": (("ciphertext",), ("a",)),
        "link": (("ciphertext",), ("a",)),
        "range": (("ciphertext",), ()),
        "weights": (("result",), ("a",)),
        "decryption": (("ciphertext", "value", "base"), ("a", "b")),
        "key": ((), ("v",)),
    }
    assert set(numbers) | {"committed range"} == set(KINDS)
    for name, (of_statement, of_proof) in numbers.items():
        it = proved[name]
        good = (it.statement, it.proof)
        for bad in (0, KEY.n, TOY.p, 5 * TOY.q, SQUARE - TOY.p):
            items = [(replace(it.statement, **{field: bad}), it.proof) for field in of_statement]
            items += [(it.statement, replace(it.proof, **{field: bad})) for field in of_proof]
            for item in items:
                with pytest.raises(Refused) as caught:
                    it.module.verify(*item)
                assert isinstance(caught.value, NotAUnit | TrivialCiphertext) or name == "key"
                assert it.module.verify_batch([good, item, good]) == [1]


def test_no_prover_takes_a_ciphertext_that_is_no_unit() -> None:
    for bad in (0, 1, KEY.n, TOY.p):
        with pytest.raises(Refused):
            plaintext.prove(plaintext.Statement(KEY, bad, b""), 1, 1)
        with pytest.raises(Refused):
            link.prove(link.Statement(KEY, bad, (pedersen.commit(1, 1),), b""), [1], 1, [1])
        with pytest.raises(Refused):
            weights.prove(weights.Statement(KEY, (bad,), (pedersen.commit(1, 1),), 4, b""), [1], 1, [1])
        with pytest.raises(Refused):
            COMMITTEE[1][0].partial_decrypt_batch([(4, b""), (bad, b"")])


# Fiat-Shamir with a value left out


def challenge_of(name: str, statement: Any, proof: Any) -> Any:
    if name == "key":
        return statement.challenges()
    if name == "plaintext":
        return statement.challenge(proof.a)
    if name in ("link", "weights", "decryption"):
        return statement.challenge(proof.a, proof.b)
    if name == "range":
        return statement.bind(proof.commitments)
    challenges = committed_range._Challenges(statement)
    drawn = [challenges.y_and_z(proof.a, proof.s), challenges.x(proof.t1, proof.t2)]
    drawn.append(challenges.base(proof.tau, proof.mu, proof.t))
    return drawn + [challenges.round(*pair) for pair in zip(proof.rounds[::2], proof.rounds[1::2], strict=True)]


FIRST_MESSAGES = {
    "plaintext": ("a",),
    "link": ("a", "b"),
    "weights": ("a", "b"),
    "decryption": ("a", "b"),
    "range": ("commitments",),
    "committed range": ("a", "s", "t1", "t2", "tau", "mu", "t", "rounds"),
    "key": (),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_public_value_and_first_message_changes_the_challenge(name: str, proved: dict[str, Proved]) -> None:
    """Whatever the challenge does not depend on can be chosen after it (Bernhard, Pereira and Warinschi 2012)."""
    it = proved[name]
    challenge = challenge_of(name, it.statement, it.proof)
    seen = set()
    for where, other in changed(it.statement, "statement"):
        try:
            assert challenge_of(name, other, it.proof) != challenge, where
        except (Refused, OverflowError):  # no encoding: such a value is refused before the challenge
            assert not convinces(it.module, other, it.proof), where
        seen.add(where.split(".")[1].split(" ")[0].split("[")[0])
    assert seen == {field.name for field in fields(it.statement)}
    for field in FIRST_MESSAGES[name]:
        for where, value in changed(getattr(it.proof, field), field):
            other = replace(it.proof, **{field: value})
            try:
                assert challenge_of(name, it.statement, other) != challenge, where
            except (Refused, OverflowError, ValueError):
                assert not convinces(it.module, it.statement, other), where


def forget(monkeypatch: pytest.MonkeyPatch, *labels: str) -> None:
    """A transcript that leaves values out."""
    append = Transcript.append
    monkeypatch.setattr(
        Transcript, "append", lambda self, label, value: None if label in labels else append(self, label, value)
    )


def test_a_plaintext_is_forged_where_the_first_message_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose the responses, then the A that fits the challenge: no plaintext is known."""
    statement = plaintext.Statement(KEY, KEY.encrypt(secrets.randbelow(KEY.n))[0], CONTEXT)

    def forge() -> plaintext.PlaintextProof:
        z, w = secrets.randbelow(KEY.n), secrets.randbits(TAU_BITS)
        e = statement.challenge(1)
        a = KEY.unhidden(z) * KEY.mask(w, TAU_BITS) * gmpy2.powmod(statement.ciphertext, -e, KEY.square) % KEY.square
        return plaintext.PlaintextProof(KEY.bits, int(a), z, w)

    assert not plaintext.verify(statement, forge())
    with monkeypatch.context() as patch:
        forget(patch, "A")
        assert plaintext.verify(statement, forge())


def test_a_ciphertext_is_forged_where_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose the proof, then the ciphertext ((1 + zN) h^w / A)^(1/e): it takes roots, so the key's owner does it."""

    def forge() -> tuple[plaintext.Statement, plaintext.PlaintextProof]:
        a, z = KEY.encrypt(secrets.randbelow(KEY.n))[0], secrets.randbelow(KEY.n)
        w = secrets.randbits(TAU_BITS)
        while True:
            statement = plaintext.Statement(KEY, 4, secrets.token_bytes(8))
            e = statement.challenge(a)
            if gmpy2.gcd(e, ORDER_OF_UNITS) == 1:
                break
        power = KEY.unhidden(z) * KEY.mask(w, TAU_BITS) * gmpy2.invert(a, KEY.square) % KEY.square
        c = gmpy2.powmod(power, gmpy2.invert(e, ORDER_OF_UNITS), KEY.square)
        return replace(statement, ciphertext=int(c)), plaintext.PlaintextProof(KEY.bits, a, z, w)

    assert not plaintext.verify(*forge())
    with monkeypatch.context() as patch:
        forget(patch, "ciphertext")
        assert plaintext.verify(*forge())


def test_weights_are_forged_where_the_result_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let A lack 1 and choose C afterwards, so that e times its slip is the one that A lacks."""
    used, s = [1], blindings(1)
    c, _ = KEY.encrypt(5)

    def forge() -> tuple[weights.Statement, weights.WeightsProof]:
        alpha, beta, tau = secrets.randbits(244), secrets.randbelow(ORDER), secrets.randbits(TAU_BITS)
        honest = int(gmpy2.powmod(c, alpha, KEY.square) * KEY.mask(tau, TAU_BITS) % KEY.square)
        a = KEY.add_plain(honest, -1)
        b = (pedersen.commit(alpha, beta),)
        while True:
            statement = weights.Statement(KEY, (c,), commitments(used, s), c, secrets.token_bytes(8))
            e = statement.challenge(a, b)
            if gmpy2.gcd(e, KEY.n) == 1:
                break
        result = KEY.add_plain(c, int(gmpy2.invert(e, KEY.n)))
        ranges = tuple(
            committed_range.prove(each, 2**63 + 1, s[0]) for each in replace(statement, result=result).ranges()
        )
        z, u = (alpha + e * (2**63 + 1),), ((beta + e * s[0]) % ORDER,)
        return replace(statement, result=result), weights.WeightsProof(KEY.bits, a, b, z, u, tau, ranges)

    assert not weights.verify(*forge())
    with monkeypatch.context() as patch:
        forget(patch, "C")
        statement, proof = forge()
        assert weights.verify(statement, proof)
        assert TOY.decrypt(statement.result) != 5


def test_a_range_is_forged_where_the_commitment_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The "frozen heart" of Bulletproofs: T1 + k G, and the commitment solved for afterwards, to any number."""
    k = 12345

    def forge() -> tuple[committed_range.Statement, committed_range.CommittedRangeProof]:
        statement = committed_range.Statement(pedersen.commit(200, 1), 8, CONTEXT)
        with monkeypatch.context() as patch:  # T1 is the first point that the prover commits to by this function
            slips = iter([k, 0])
            patch.setattr(
                pedersen,
                "commit",
                lambda value, blinding, commit=pedersen.commit: commit(value + next(slips), blinding),
            )
            proof = committed_range.prove(statement, 200, 1)
        challenges = committed_range._Challenges(statement)
        _, z = challenges.y_and_z(proof.a, proof.s)
        x = challenges.x(proof.t1, proof.t2)
        return replace(statement, commitment=pedersen.commit(200 - x * k * pow(z, -2, ORDER), 1)), proof

    assert not committed_range.verify(*forge())
    with monkeypatch.context() as forgetful:
        forget(forgetful, "P")
        assert committed_range.verify(*forge())


def test_a_share_is_forged_where_a_first_message_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any c_i passes once a and b may be chosen after the challenge."""
    committee = COMMITTEE[0]
    public, square = committee.public_key, committee.public_key.square
    ciphertext, _ = public.encrypt(3)
    value, _ = public.encrypt(4)

    def forge() -> tuple[decryption.Statement, decryption.DecryptionProof]:
        bits = committee.exponent_bits
        bound = committee.fingerprint + CONTEXT
        keys = committee.verification_keys
        statement = decryption.Statement(public, committee.base, keys, bits, 1, ciphertext, value, bound)
        e, z = statement.challenge(1, 1), secrets.randbits(bits + 180)
        a = gmpy2.powmod(ciphertext, 4 * z, square) * gmpy2.powmod(value, -2 * e, square) % square
        b = gmpy2.powmod(committee.base, z, square) * gmpy2.powmod(keys[0], -e, square) % square
        return statement, decryption.DecryptionProof(public.bits, bits, int(a), int(b), z)

    assert not decryption.verify(*forge())
    with monkeypatch.context() as patch:
        forget(patch, "a", "b")
        assert decryption.verify(*forge())


# Responses shifted by the orders


@pytest.mark.parametrize("name", ["plaintext", "link", "range", "committed range", "weights"])
def test_shifted_responses_never_pass(name: str, proved: dict[str, Proved]) -> None:
    """By the order of the units modulo N^2 (which its owner knows) and of h, by N, by the order on the curve."""
    it = proved[name]
    shifts = [ORDER_OF_UNITS, (TOY.p - 1) * (TOY.q - 1), KEY.n, SQUARE, ORDER, 8 * ORDER, ORDER * ORDER_OF_UNITS]

    def shifted(proof: Any) -> list[Any]:
        others = []
        for field in fields(proof):
            value = getattr(proof, field.name)
            if field.name in ("link", "ranges"):
                for part in value if isinstance(value, tuple) else [value]:
                    for other in shifted(part):
                        whole = tuple(other if x is part else x for x in value) if isinstance(value, tuple) else other
                        others.append(replace(proof, **{field.name: whole}))
            elif field.name in ("z", "u", "w", "r", "tau", "mu", "t", "left", "right"):
                for shift in (sign * shift for shift in shifts for sign in (1, -1)):
                    new = tuple(x + shift for x in value) if isinstance(value, tuple) else value + shift
                    others.append(replace(proof, **{field.name: new}))
        return others

    others = shifted(it.proof)
    assert len(others) >= 28
    for other in others:
        assert not convinces(it.module, it.statement, other)
        assert it.module.verify_batch([(it.statement, other)]) == [0]


# The element -1


def negated(value: int) -> int:
    return SQUARE - value


def test_a_prover_that_negates_its_first_message_is_judged_alike_alone_and_in_batches() -> None:
    """An error of -1 passes a random combination half of the time; squared, it passes always, and gives nothing."""
    c, rho = KEY.encrypt(7)
    statement = plaintext.Statement(KEY, c, CONTEXT)
    alpha, tau = secrets.randbelow(KEY.n), secrets.randbits(TAU_BITS)
    a = negated(int(KEY.unhidden(alpha) * KEY.mask(tau, TAU_BITS) % KEY.square))
    e = statement.challenge(a)
    proof = plaintext.PlaintextProof(KEY.bits, a, (alpha + 7 * e) % KEY.n, tau + e * rho)
    other, its_rho = KEY.encrypt(8)
    honest_statement = plaintext.Statement(KEY, other, CONTEXT)
    honest = (honest_statement, plaintext.prove(honest_statement, 8, its_rho))
    verdicts = {plaintext.verify(statement, proof) for _ in range(16)}
    verdicts |= {plaintext.verify_batch([(statement, proof), honest]) == [] for _ in range(16)}
    assert len(verdicts) == 1
    # a proof that is wrong by more than a sign is found, also where two signs cancel
    wrong = replace(proof, z=(proof.z + 1) % KEY.n)
    for _ in range(8):
        assert plaintext.verify_batch([(statement, wrong), (statement, proof), honest]) == [0]


def test_a_negated_ciphertext_decrypts_to_the_same() -> None:
    c, rho = KEY.encrypt(7)
    statement = plaintext.Statement(KEY, negated(c), CONTEXT)
    proof = plaintext.prove(statement, 7, rho)
    verdicts = {plaintext.verify(statement, proof) for _ in range(8)}
    verdicts |= {plaintext.verify_batch([(statement, proof)] * 3) == [] for _ in range(8)}
    assert len(verdicts) == 1
    assert TOY.decrypt(negated(c)) == 7


def test_a_negated_result_of_weights_is_judged_alike_and_decrypts_to_the_same() -> None:
    used, s = [3, -4], blindings(2)
    ciphertexts = (KEY.encrypt(10)[0], negated(KEY.encrypt(20)[0]))
    result, rho = weights.combine(KEY, ciphertexts, used)
    statement = weights.Statement(KEY, ciphertexts, commitments(used, s), negated(result), CONTEXT)
    proof = weights.prove(statement, used, rho, s)
    verdicts = {weights.verify(statement, proof) for _ in range(4)}
    verdicts |= {weights.verify_batch([(statement, proof)] * 2) == [] for _ in range(4)}
    assert len(verdicts) == 1
    assert TOY.decrypt(negated(result)) == (3 * 10 - 4 * 20) % KEY.n


# Proofs used for something else


def test_no_proof_passes_under_another_key_or_for_another_kind() -> None:
    values, s = [7], blindings(1)
    c, rho = KEY.encrypt(Packing(1).pack(values))
    linked = link.Statement(KEY, c, commitments(values, s), CONTEXT)
    known = plaintext.Statement(KEY, c, CONTEXT)
    link_proof, plaintext_proof = link.prove(linked, values, rho, s), plaintext.prove(known, 7, rho)
    assert not convinces(link, replace(linked, public_key=OTHER_KEY), link_proof)
    assert not convinces(plaintext, replace(known, public_key=OTHER_KEY), plaintext_proof)
    # the same A with the same challenge would do for both; the protocols' names keep their challenges apart
    assert linked.challenge(plaintext_proof.a, ()) != known.challenge(plaintext_proof.a)
    with pytest.raises(Refused):
        plaintext.PlaintextProof.from_bytes(link_proof.to_bytes())
