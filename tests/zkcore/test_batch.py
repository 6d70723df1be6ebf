"""Batches of proofs: whatever is wrong with whichever items, exactly these are named; weights are what they must be."""

import json
import secrets
from dataclasses import replace
from pathlib import Path

import groth16py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import SMALL_ORDER, from_oracle, to_oracle
from py_ecc.bn128 import add

from zkcore.bn254 import G1_GENERATOR, P, R
from zkcore.errors import WrongLength
from zkcore.field_lanes import WIDTH
from zkcore.groth16 import Proof, VerifyingKey, batch
from zkcore.groth16.batch import _SPAN, _Room, _run, _spans, verify_batch, verify_columns
from zkcore.groth16.batch_kernels import BETA, LAMBDA
from zkcore.groups import g1, g2
from zkcore.limbs import from_limbs, to_limbs

CIRCUITS = {
    "two": "template T() { signal input a; signal output b; signal output c; b <== a * a; c <== b * a; }",
    "none": "template T() { signal input a; signal b; b <== a * a; b * a === 27; }",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """For each circuit a prepared key and valid items."""
    result = {}
    for name, text in CIRCUITS.items():
        path: Path = tmp_path_factory.mktemp("circuit") / f"{name}.circom"
        path.write_text(f"pragma circom 2.0.0;\n{text}\ncomponent main = T();\n")
        prover, verifier = groth16py.setup_circom(str(path))
        key = VerifyingKey.from_snarkjs(json.loads(verifier.to_json())).prepare()
        inputs = [3] if name == "none" else [5, 7, 0, R - 1, 11]
        items = []
        for a in inputs:
            public = [a * a % R, a * a * a % R] if name == "two" else []
            items.append((key, Proof.from_bytes(groth16py.prove(prover, {"a": a})), public))
        result[name] = items
    return result


def spoil(item, how: int):
    """An item that is not valid, in one of nine ways."""
    key, proof, public = item
    outside = from_oracle(add(to_oracle(proof.b), to_oracle(SMALL_ORDER)))
    return [
        lambda: (key, proof, [(public[0] + 1) % R, *public[1:]]),
        lambda: (key, replace(proof, c=G1_GENERATOR), public),
        lambda: (key, replace(proof, a=g1.negate(proof.a)), public),
        lambda: (key, replace(proof, b=g2.add(proof.b, proof.b)), public),
        lambda: (key, replace(proof, a=None), public),
        lambda: (key, replace(proof, c=(proof.c[0], proof.c[1] + P)), public),
        lambda: (key, replace(proof, a=(proof.a[1], proof.a[0])), public),
        lambda: (key, replace(proof, b=outside), public),
        lambda: (key, proof, public[:-1]),
    ][how]()


def test_valid_batches_of_every_small_size(made) -> None:
    items = made["two"]
    for size in [*range(18), 63, 64, 65, 130]:
        assert verify_batch((items * 26)[:size]) == []


def encoded(item):
    """The item with its proof and inputs as bytes."""
    key, proof, public = item
    coordinates = proof.a or (0, 0), [part[::-1] for part in proof.b], proof.c
    numbers = [*coordinates[0], *coordinates[1][0], *coordinates[1][1], *coordinates[2]]
    return key, *(b"".join(number.to_bytes(32, "big") for number in column) for column in (numbers, public))


def test_bytes_say_the_same_as_numbers(made) -> None:
    proof = made["two"][0][1]
    assert encoded(made["two"][0])[1] == proof.to_bytes()
    spoiled = [spoil(made["two"][how % 5], how) for how in range(9)]
    assert verify_batch(map(encoded, made["two"] * 20)) == []
    assert verify_batch(map(encoded, made["two"] * 4 + spoiled)) == list(range(20, 29))
    assert verify_batch([*map(encoded, made["two"]), *made["two"], *map(encoded, spoiled)]) == list(range(10, 19))
    for item in map(encoded, spoiled):
        assert verify_batch([item]) == [0]
    key, data, public = encoded(made["two"][0])
    ragged = [(key, data[:-1], public), (key, data + b"\0", public), (key, data, public[:-1]), (key, b"", b"")]
    assert verify_batch([*ragged, (key, data, public)]) == [0, 1, 2, 3]
    assert verify_batch([encoded(made["none"][0])] * 3) == []


def test_columns_say_the_same_as_items(made, monkeypatch) -> None:
    """Bad items, numbers out of range among them, first, last and across blocks; lengths that are off."""
    monkeypatch.setattr(batch, "_BLOCK", 70)
    key = made["two"][0][0]
    spoiled = [encoded(spoil(made["two"][0], how)) for how in range(8)]
    for count, bad in ((0, spoiled[:1]), (0, spoiled), (9, spoiled), (130, spoiled[4:6])):
        items = [*bad, *map(encoded, (made["two"] * 26)[:count]), *bad]
        proofs, publics = (b"".join(item[column] for item in items) for column in (1, 2))
        wrong = [*range(len(bad)), *range(count + len(bad), len(items))]
        for threads in (1, 2):
            assert verify_columns(key, proofs, publics, threads) == wrong
    for large in (P, (1 << 256) - 1):
        _, proof, public = encoded(made["two"][0])
        assert verify_columns(key, proof + large.to_bytes(32, "big") + proof[32:], public * 2) == [1]
        assert verify_columns(key, proof * 2, public + public[:-32] + large.to_bytes(32, "big")) == [1]
    assert verify_columns(key, b"", b"") == []
    for proofs, publics in ((proof[:-1], public), (proof, public[:-1]), (proof, public * 2), (b"", public)):
        with pytest.raises(WrongLength):
            verify_columns(key, proofs, publics)
    (bare, proof, _), false = encoded(made["none"][0]), encoded(spoil(made["none"][0], 1))[1]
    assert verify_columns(bare, proof + false + proof, b"") == [1]


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_names_exactly_the_bad_items(made, data) -> None:
    size = data.draw(st.integers(1, 150))
    ways = data.draw(st.dictionaries(st.integers(0, size - 1), st.integers(0, 8), max_size=5))
    items = (made["two"] * 30)[:size]
    for index, how in ways.items():
        items[index] = spoil(items[index], how)
    assert verify_batch(items) == sorted(ways)


@pytest.mark.parametrize("how", range(9))
def test_a_batch_of_one(made, how: int) -> None:
    assert verify_batch(made["two"][:1]) == []
    assert verify_batch([spoil(made["two"][0], how)]) == [0]
    assert verify_batch([*made["none"], spoil(made["two"][0], how)]) == [1]


def test_all_bad_and_errors_that_cancel_without_weights(made) -> None:
    items = made["two"]
    assert verify_batch([spoil(item, 1) for item in items]) == list(range(5))
    (key, first, x), (_, second, y) = items[:2]
    moved = replace(first, c=g1.add(first.c, G1_GENERATOR))
    against = replace(second, c=g1.add(second.c, g1.negate(G1_GENERATOR)))
    assert verify_batch([(key, moved, x), (key, against, y), items[2]]) == [0, 1]
    swapped = [(key, first, y), (key, second, x)]
    assert verify_batch(swapped) == [0, 1]


def test_keys_may_be_mixed_and_have_no_inputs(made) -> None:
    items = [*made["two"], *made["none"]] * 3
    items[7] = (made["none"][0][0], items[7][1], [])
    items[5] = (items[5][0], items[5][1], [0])
    assert verify_batch(items) == [5, 7]


def test_threads_and_streams_give_the_same(made) -> None:
    items = (made["two"] * 60)[:200]
    items[150] = spoil(items[150], 0)
    assert verify_batch(iter(items), threads=2) == [150]
    key = items[0][0]
    assert key.verify_batch(((proof, public) for _, proof, public in items), threads=2) == [150]


def rows(items):
    """Rows of proofs and inputs."""
    proofs = to_limbs([number for _, proof, _ in items for number in proof.numbers()]).reshape(len(items), 8, 4)
    return proofs, to_limbs([number for _, _, public in items for number in public]).reshape(len(items), -1, 4)


def points_of(outcomes) -> list[tuple[int, int] | None]:
    """Affine points at the end of outcomes."""
    numbers = [from_limbs(row[12:]) for row in outcomes]
    return [(x * pow(z, -1, P) % P, y * pow(z, -1, P) % P) if z else None for x, y, z in numbers]


def digit(first: int, second: int, i: int) -> int:
    """Digit i of a weight."""
    turn, odd, upper = first >> i & 1 | (first >> 32 + i & 1) << 1, second >> i & 1, second >> 32 + i & 1
    if turn == 3:
        return (0, 2, 2 * LAMBDA, 2 * LAMBDA**2)[odd | upper << 1]
    return (-1) ** odd * (1 - LAMBDA) ** upper * LAMBDA**turn


def test_digits_of_weights_are_a_residue_each_modulo_4() -> None:
    # Every digit is a + b lambda for small a and b, which are read off modulo R.
    found = set()
    for bits in range(16):
        first, second = bits & 1 | (bits >> 1 & 1) << 32, bits >> 2 & 1 | (bits >> 3) << 32
        value = digit(first, second, 0) % R
        found |= {(a % 4, b % 4) for a in range(-2, 3) for b in range(-2, 3) if (a + b * LAMBDA - value) % R == 0}
    assert len(found) == 16


@pytest.mark.parametrize("singly", [False, True])
def test_weights_are_digits_times_powers_of_four(made, monkeypatch, singly: bool) -> None:
    assert g1.multiply(G1_GENERATOR, LAMBDA) == (BETA * G1_GENERATOR[0] % P, G1_GENERATOR[1])
    assert (LAMBDA**2 + LAMBDA + 1) % R == 0
    words = [(3, 5), ((1 << 64) - 1, 0), (0, (1 << 64) - 1), (1 << 63, 1 << 63), *[(0, 0)] * 2]
    words += [(secrets.randbits(64), secrets.randbits(64)) for _ in range(2)]
    weights = [sum(digit(low, high, i) * 4**i for i in range(32)) for low, high in words]
    monkeypatch.setattr(secrets, "token_bytes", lambda size: np.array(words, dtype="<u8").tobytes()[:size])
    items = (made["two"] * 2)[:8]
    sound, outcomes, sums = _run(*rows(items), _Room(), singly=singly)
    assert sound.all()
    terms = [[w, *(w * x for x in public)] for w, (_, _, public) in zip(weights, items, strict=True)]
    if not singly:
        terms = [[sum(column) for column in zip(*terms, strict=True)]]
    assert [from_limbs(row) for row in sums] == [[number % R for number in row] for row in terms]
    expected = [g1.multiply(proof.c, weight % R) for weight, (_, proof, _) in zip(weights, items, strict=True)]
    if not singly:
        total = None
        for point in expected:
            total = g1.add(total, point)
        expected = [total]
    assert points_of(outcomes) == expected


def test_weights_are_drawn_anew(made) -> None:
    proofs = rows(made["two"][:1])
    first, second = _run(*proofs, _Room())[1], _run(*proofs, _Room())[1]
    assert first.tolist() != second.tolist()


@given(st.integers(1, 5000), st.integers(1, 9))
def test_spans_cover_a_group_once(count: int, threads: int) -> None:
    spans = list(_spans(count, threads))
    assert [i for span in spans for i in range(count)[span]] == list(range(count))
    sizes = [span.stop - span.start for span in spans]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= _SPAN
    assert threads == 1 or sizes[-1] <= WIDTH
