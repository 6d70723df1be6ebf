"""Verification against arkworks: groth16py's proofs are accepted, and every change of one is refused or false."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import groth16py
import pytest
from oracle import SMALL_ORDER, TWIST, from_oracle, to_oracle
from py_ecc.bn128 import add

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R
from zkcore.errors import (
    Malformed,
    NotInSubgroup,
    NotOnCurve,
    OutOfRange,
    PointAtInfinity,
    Refused,
    WrongLength,
)
from zkcore.groth16 import PreparedVerifyingKey, Proof, VerifyingKey
from zkcore.groth16.once import verify_once
from zkcore.groups import g1, g2

CIRCUIT = """
pragma circom 2.0.0;
template Line() {
    signal input a;
    signal input b;
    signal input s;
    signal output c;
    signal output d;
    c <== a * b;
    d <== c * s + a;
}
component main {public [s]} = Line();
"""
INPUTS = [{"a": 3, "b": 11, "s": 5}, {"a": 0, "b": 1, "s": R - 1}, {"a": R - 1, "b": R - 1, "s": 0}]


def public_of(values: dict[str, int]) -> list[int]:
    c = values["a"] * values["b"] % R
    return [c, (c * values["s"] + values["a"]) % R, values["s"]]


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """groth16py's keys for the circuit above."""
    path: Path = tmp_path_factory.mktemp("circuit") / "line.circom"
    path.write_text(CIRCUIT)
    return groth16py.setup_circom(str(path))


@pytest.fixture(scope="module")
def key(peer) -> VerifyingKey:
    return VerifyingKey.from_snarkjs(json.loads(peer[1].to_json()))


@pytest.fixture(scope="module")
def prepared(key: VerifyingKey) -> PreparedVerifyingKey:
    return key.prepare()


@pytest.fixture(params=["prepared", "once"])
def verify(request, prepared: PreparedVerifyingKey, key: VerifyingKey):
    """Both ways to verify one proof."""
    points = key.alpha, key.beta, key.gamma, key.delta, key.ic
    return prepared.verify if request.param == "prepared" else partial(verify_once, points)


@pytest.fixture(scope="module")
def items(peer) -> list[tuple[Proof, list[int]]]:
    return [(Proof.from_bytes(groth16py.prove(peer[0], values)), public_of(values)) for values in INPUTS]


def test_accepts_proofs_of_arkworks(verify, items) -> None:
    for proof, public in items:
        assert verify(proof, public)


def test_agrees_with_arkworks_on_changed_proofs(peer, verify, items) -> None:
    oracle = groth16py.Verifier(peer[1])
    proof, public = items[0]
    twice = g1.add(proof.a, proof.a)
    for changed in [
        proof,
        Proof(proof.c, proof.b, proof.a),
        replace(proof, a=twice),
        replace(proof, c=g1.negate(proof.c)),
        replace(proof, b=g2.negate(proof.b)),
        replace(proof, b=G2_GENERATOR),
        items[1][0],
    ]:
        assert verify(changed, public) is oracle.verify(changed.to_bytes(), public)


@pytest.mark.parametrize("index", range(3))
def test_every_public_input_is_bound(verify, items, index: int) -> None:
    for proof, public in items:
        for value in {0, 1, R - 1, (public[index] + 1) % R} - {public[index]}:
            assert not verify(proof, [*public[:index], value, *public[index + 1 :]])


def test_every_point_is_bound(verify, items) -> None:
    proof, public = items[0]
    for changed in [
        replace(proof, a=G1_GENERATOR),
        replace(proof, b=G2_GENERATOR),
        replace(proof, c=G1_GENERATOR),
        replace(proof, a=g1.negate(proof.a)),
        replace(proof, b=g2.negate(proof.b)),
        replace(proof, c=g1.negate(proof.c)),
    ]:
        assert not verify(changed, public)


def test_a_proof_can_be_changed_into_another_valid_one(verify, key, items) -> None:
    """Groth16 is malleable, as the documentation of Proof says: what is unique is the statement, not the proof."""
    proof, public = items[0]
    assert verify(Proof(g1.negate(proof.a), g2.negate(proof.b), proof.c), public)
    scale, inverse, shift = 5, pow(5, -1, R), 7
    a = g1.multiply(proof.a, inverse)
    b = g2.add(g2.multiply(proof.b, scale), g2.multiply(key.delta, scale * shift))
    c = g1.add(proof.c, g1.multiply(proof.a, shift))
    assert verify(Proof(a, b, c), public)


def test_refuses_malformed_points(verify, items) -> None:
    proof, public = items[0]
    a, b, c = proof.a, proof.b, proof.c
    off = (a[0], (a[1] + 1) % P)
    off_twist = (b[0], (b[1][0], (b[1][1] + 1) % P))
    for changed, check, part in [
        (replace(proof, a=off), NotOnCurve, "proof.a"),
        (replace(proof, b=off_twist), NotOnCurve, "proof.b"),
        (replace(proof, c=off), NotOnCurve, "proof.c"),
        (replace(proof, a=None), PointAtInfinity, "proof.a"),
        (replace(proof, b=None), PointAtInfinity, "proof.b"),
        (replace(proof, c=None), PointAtInfinity, "proof.c"),
        (replace(proof, a=(0, 0)), NotOnCurve, "proof.a"),
        (replace(proof, a=(a[0] + P, a[1])), OutOfRange, "proof.a"),
        (replace(proof, b=(b[0], (b[1][0] + P, b[1][1]))), OutOfRange, "proof.b"),
        (replace(proof, c=(c[0], c[1] - P)), OutOfRange, "proof.c"),
    ]:
        with pytest.raises(check) as refusal:
            verify(changed, public)
        assert refusal.value.part == part


def test_refuses_b_outside_the_subgroup(verify, items) -> None:
    proof, public = items[0]
    beside = from_oracle(add(to_oracle(proof.b), to_oracle(SMALL_ORDER)))
    for point in [*TWIST, SMALL_ORDER, beside]:
        with pytest.raises(NotInSubgroup) as refusal:
            verify(replace(proof, b=point), public)
        assert refusal.value.part == "proof.b"


def test_refuses_malformed_inputs(verify, items) -> None:
    proof, public = items[0]
    for wrong, check in [
        (public[:-1], WrongLength),
        ([*public, 0], WrongLength),
        ([], WrongLength),
        ([public[0] + R, *public[1:]], OutOfRange),
        ([-1, *public[1:]], OutOfRange),
        ([*public[:2], R], OutOfRange),
        ([*public[:2], 1 << 256], OutOfRange),
    ]:
        with pytest.raises(check):
            verify(proof, wrong)


def test_batch_names_every_bad_item(prepared, items) -> None:
    assert prepared.verify_batch([]) == []
    assert prepared.verify_batch(iter(items)) == []
    proof, public = items[0]
    mixed = [items[0], (proof, items[1][1]), items[1], (replace(proof, a=None), public), (proof, public[:1]), items[2]]
    assert prepared.verify_batch(mixed) == [1, 3, 4]


def test_encodings_round_trip(key, items) -> None:
    assert VerifyingKey.from_bytes(key.to_bytes()) == key
    assert VerifyingKey.from_snarkjs(json.loads(json.dumps(key.to_snarkjs()))) == key
    assert len(key.digest()) == 32
    assert key.digest() == VerifyingKey.from_bytes(key.to_bytes()).digest()
    assert key.n_public == 3
    for proof, _ in items:
        assert Proof.from_bytes(proof.to_bytes()) == proof
        assert Proof.from_snarkjs(json.loads(json.dumps(proof.to_snarkjs()))) == proof


def test_peer_reads_our_key_and_proofs(key, items) -> None:
    other = groth16py.Verifier(groth16py.VerifyingKey.from_snarkjs(json.dumps(key.to_snarkjs())))
    for proof, public in items:
        assert other.verify_snarkjs(json.dumps(proof.to_snarkjs()), json.dumps([str(number) for number in public]))


def test_bytes_are_refused_unless_exact(key, items) -> None:
    data = items[0][0].to_bytes()
    big = (int.from_bytes(data[:32], "big") + P).to_bytes(32, "big")
    for wrong, check in [
        (data[:-1], WrongLength),
        (data + b"\0", WrongLength),
        (big + data[32:], OutOfRange),
        (bytes(64) + data[64:], PointAtInfinity),
        (data[:64] + bytes(128) + data[192:], PointAtInfinity),
    ]:
        with pytest.raises(check):
            Proof.from_bytes(wrong)
    data = key.to_bytes()
    for wrong in [data[:-1], data[1:], data[:-64], b"", data.replace(b"key 1", b"key 2"), data + bytes(64)]:
        with pytest.raises(Refused) if wrong != data[:-64] else pytest.raises(AssertionError):
            assert VerifyingKey.from_bytes(wrong) == key


def test_key_refuses_points_it_must_not_have(key, items) -> None:
    off = ((1, 5), (1, 5))
    for name, value, check, part in [
        ("alpha", None, PointAtInfinity, "verification_key.alpha"),
        ("alpha", (1, 3), NotOnCurve, "verification_key.alpha"),
        ("alpha", (0, 0), NotOnCurve, "verification_key.alpha"),
        ("beta", None, PointAtInfinity, "verification_key.beta"),
        ("beta", SMALL_ORDER, NotInSubgroup, "verification_key.beta"),
        ("gamma", off, NotOnCurve, "verification_key.gamma"),
        ("gamma", TWIST[0], NotInSubgroup, "verification_key.gamma"),
        ("delta", ((P, 0), (0, 0)), OutOfRange, "verification_key.delta"),
        ("delta", TWIST[1], NotInSubgroup, "verification_key.delta"),
        ("ic", (), WrongLength, "verification_key.ic"),
        ("ic", (*key.ic[:2], None, key.ic[3]), PointAtInfinity, "verification_key.ic[2]"),
        ("ic", (*key.ic[:3], (1, 3)), NotOnCurve, "verification_key.ic[3]"),
        ("ic", ((1, -2), *key.ic[1:]), OutOfRange, "verification_key.ic[0]"),
    ]:
        with pytest.raises(check) as refusal:
            replace(key, **{name: value})
        assert refusal.value.part == part
        points = {name: getattr(key, name) for name in ("alpha", "beta", "gamma", "delta", "ic")} | {name: value}
        with pytest.raises(check) as refusal:
            verify_once(tuple(points.values()), *items[0])
        assert refusal.value.part == part


def test_inputs_may_cancel_the_key_points(key) -> None:
    """L is the neutral element for x = -1 where ic[0] = ic[1], and e(L, gamma) then 1."""
    alpha, beta, delta = g1.multiply(G1_GENERATOR, 2), g2.multiply(G2_GENERATOR, 3), g2.multiply(G2_GENERATOR, 5)
    special = VerifyingKey(alpha, beta, key.gamma, delta, (G1_GENERATOR, G1_GENERATOR))
    proof = Proof(g1.multiply(G1_GENERATOR, 11), G2_GENERATOR, G1_GENERATOR)  # 11 = 2 * 3 + 5
    for verify in (
        special.prepare().verify,
        partial(verify_once, (special.alpha, special.beta, special.gamma, special.delta, special.ic)),
    ):
        assert verify(proof, [R - 1])
        assert not verify(proof, [0])
    alone = VerifyingKey(alpha, beta, delta, delta, (G1_GENERATOR,))  # no public input: 16 = 2 * 3 + 5 + 5
    proof = Proof(g1.multiply(G1_GENERATOR, 16), G2_GENERATOR, G1_GENERATOR)
    assert alone.prepare().verify(proof, [])
    assert verify_once((alpha, beta, delta, delta, alone.ic), proof, [])


def test_snarkjs_json_is_read_strictly(key, items) -> None:
    good = items[0][0].to_snarkjs()
    x, y, z = good["pi_a"]
    for name, value in [
        ("pi_a", [x, y]),
        ("pi_a", [x, y, "2"]),
        ("pi_a", [int(x), y, z]),
        ("pi_a", ["0" + x, y, z]),
        ("pi_a", ["+" + x, y, z]),
        ("pi_a", ["0x10", y, z]),
        ("pi_a", ["٣", y, z]),
        ("pi_a", ["-" + x, y, z]),
        ("pi_b", good["pi_a"]),
        ("curve", "bls12381"),
        ("protocol", "plonk"),
        ("extra", 1),
    ]:
        with pytest.raises(Malformed):
            Proof.from_snarkjs({**good, name: value})
    with pytest.raises(Malformed):
        Proof.from_snarkjs({name: value for name, value in good.items() if name != "pi_c"})
    with pytest.raises(Malformed):
        Proof.from_snarkjs([good])
    document = key.to_snarkjs()
    for name, value in [("nPublic", 2), ("nPublic", True), ("nPublic", "3"), ("IC", document["IC"][:-1]), ("IC", None)]:
        with pytest.raises(Malformed):
            VerifyingKey.from_snarkjs({**document, name: value})
