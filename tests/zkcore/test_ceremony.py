"""The second phase of a ceremony: contributions as snarkjs makes and checks them, and every way to spoil them."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node import needs_snarkjs
from oracle import SMALL_ORDER, TWIST
from powers_of_tau import ptau as make_ptau
from systems import chain

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R
from zkcore.errors import Malformed, NotInSubgroup, NotOnCurve, OutOfRange, Refused, WrongLength
from zkcore.formats import ptau, r1cs, zkey
from zkcore.formats.iden3 import read_sections, write_sections
from zkcore.groth16 import ceremony, prove
from zkcore.groth16.ceremony import (
    Beacon,
    Contributions,
    WrongCircuit,
    WrongContribution,
    WrongTranscript,
    _scaled,
)
from zkcore.groth16.chacha import Stream, block, square_root
from zkcore.groth16.first_key import WrongPowers
from zkcore.groups import g1, g2

POWER = 6
BEACON = Beacon(bytes(range(32)), 10)
PTAU_SECTIONS = (*range(1, 8), *range(12, 16))


@pytest.fixture(scope="module")
def powers() -> bytes:
    return make_ptau(POWER)


@pytest.fixture(scope="module")
def made(powers: bytes) -> dict[str, Any]:
    """A system of 50 constraints, its first key, and the key after a person and a beacon."""
    system, witness = chain(50, 2)
    system = r1cs.read(r1cs.write(system))
    first, begun = ceremony.begin(system, ptau.read(powers))
    key, contributions = ceremony.contribute(first, begun, b"anything", "Ann")
    key, contributions = ceremony.apply_beacon(key, contributions, BEACON, "the lottery")
    names = ("system", "witness", "first", "begun", "key", "contributions")
    return dict(zip(names, (system, witness, first, begun, key, contributions), strict=True))


def check(made: dict[str, Any], powers: bytes, **changed: Any) -> list[bytes]:
    case = made | changed
    return ceremony.verify(case["system"], ptau.read(powers), case["key"], case["contributions"])


def test_a_chain_verifies_and_its_key_proves(made, powers) -> None:
    digests = check(made, powers)
    assert digests == [each.digest() for each in made["contributions"].contributions] and len(digests) == 2
    proof, public = prove(made["key"], made["witness"])
    assert made["key"].verifying_key.prepare().verify(proof, public)
    assert not made["first"].verifying_key.prepare().verify(proof, public)


def test_the_first_key_verifies_too_and_is_no_secret(made, powers) -> None:
    assert check(made, powers, key=made["first"], contributions=made["begun"]) == []
    assert made["first"].verifying_key.delta == G2_GENERATOR


def test_contributions_differ_each_time_and_beacons_never(made) -> None:
    one, two = (ceremony.contribute(made["first"], made["begun"], b"same")[0] for _ in range(2))
    assert one.verifying_key.delta != two.verifying_key.delta
    one, two = (ceremony.apply_beacon(made["first"], made["begun"], BEACON)[0] for _ in range(2))
    assert one.verifying_key.delta == two.verifying_key.delta


def test_threads_change_nothing(made, powers) -> None:
    assert zkey.write(*ceremony.begin(made["system"], ptau.read(powers), 2)) == zkey.write(made["first"], made["begun"])
    done: list[float] = []
    key, _ = ceremony.apply_beacon(made["first"], made["begun"], BEACON, "", 2, done.append)
    assert done[-1] == 1.0
    assert key.verifying_key == ceremony.apply_beacon(made["first"], made["begun"], BEACON)[0].verifying_key


def other(point: Any) -> Any:
    return g1.add(point, G1_GENERATOR) if isinstance(point[0], int) else g2.add(point, G2_GENERATOR)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("field", ["delta", "base", "product", "product_g2", "transcript"])
def test_every_field_of_a_contribution_is_bound(made, powers, index: int, field: str) -> None:
    steps = list(made["contributions"].contributions)
    value = getattr(steps[index], field)
    changed = bytes(64) if field == "transcript" else other(value)
    steps[index] = replace(steps[index], **{field: changed})
    with pytest.raises((WrongTranscript, WrongContribution)) as refusal:
        check(made, powers, contributions=replace(made["contributions"], contributions=tuple(steps)))
    assert refusal.value.part.startswith(("contributions[0]", "contributions[1]"))


def test_a_beacon_must_be_the_one_it_names(made, powers) -> None:
    steps = made["contributions"].contributions
    for beacon in (Beacon(bytes(32), 10), Beacon(BEACON.value, 11)):
        claimed = replace(made["contributions"], contributions=(steps[0], replace(steps[1], beacon=beacon)))
        with pytest.raises(WrongContribution) as refusal:
            check(made, powers, contributions=claimed)
        assert refusal.value.part == "contributions[1].beacon"


def test_contributions_cannot_be_left_out_or_swapped(made, powers) -> None:
    steps = made["contributions"].contributions
    for chosen in ((), steps[:1], steps[1:], steps[::-1], (*steps, steps[1])):
        with pytest.raises((WrongTranscript, WrongContribution, WrongCircuit)):
            check(made, powers, contributions=replace(made["contributions"], contributions=tuple(chosen)))


def moved(rows: np.ndarray) -> np.ndarray:
    """The rows with one point replaced by another of the group."""
    changed = rows.copy()
    group = g1 if rows.ndim == 3 else g2
    place = int(np.flatnonzero(rows.reshape(len(rows), -1).any(axis=1))[-1])
    changed[place] = group.encode([other(group.decode(rows[place : place + 1])[0])])[0]
    return changed


@pytest.mark.parametrize("name", ["points_a", "points_b", "points_b2", "points_c", "points_h", "constants"])
def test_every_section_of_the_key_is_bound(made, powers, name: str) -> None:
    with pytest.raises(WrongCircuit):
        check(made, powers, key=replace(made["key"], **{name: moved(getattr(made["key"], name))}))


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma", "delta", "ic"])
def test_every_point_of_the_verifying_key_is_bound(made, powers, name: str) -> None:
    vk = made["key"].verifying_key
    value = getattr(vk, name)
    changed = (other(value[0]), *value[1:]) if name == "ic" else other(value)
    with pytest.raises(WrongCircuit):
        check(made, powers, key=replace(made["key"], verifying_key=replace(vk, **{name: changed})))


def test_matrices_are_bound(made, powers) -> None:
    for name in ("a", "b"):
        matrix = getattr(made["key"], name)
        coefficient = matrix.coefficient.copy()
        coefficient[0, 0] += np.uint64(1)
        with pytest.raises(WrongCircuit):
            check(made, powers, key=replace(made["key"], **{name: replace(matrix, coefficient=coefficient)}))


def test_another_circuit_or_other_powers_do_not_verify(made, powers) -> None:
    with pytest.raises(WrongCircuit):
        check(made, powers, system=chain(49, 2)[0])
    with pytest.raises(WrongCircuit):
        check(made, make_ptau(POWER))


def test_a_circuit_beyond_the_powers_is_refused(powers) -> None:
    with pytest.raises(WrongLength) as refusal:
        ceremony.begin(chain(70, 1)[0], ptau.read(powers))
    assert refusal.value.part == "ptau"


def altered(powers: bytes, number: int, edit: Callable[[bytearray], None]) -> bytes:
    sections = {
        each: bytes(section.take(section.left))
        for each, section in read_sections(powers, "ptau", 1, PTAU_SECTIONS).items()
    }
    content = bytearray(sections[number])
    edit(content)
    return write_sections("ptau", 1, sections | {number: bytes(content)})


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 12, 13, 14, 15])
def test_points_that_do_not_belong_together_are_refused(powers, made, number: int) -> None:
    size = 128 if number in (3, 6, 13) else 64
    group = g2 if size == 128 else g1

    def edit(content: bytearray) -> None:
        # of the sums, one that the circuit's domain of 2^6 points needs: behind those of 1, 2, ... 32 points
        at = 0 if number == 6 else size * (5 if number < 6 else 63 + 5)
        content[at : at + size] = group.encode(
            [group.multiply(G1_GENERATOR if group is g1 else G2_GENERATOR, 7)]
        ).tobytes()

    with pytest.raises(WrongPowers):
        ceremony.begin(made["system"], ptau.read(altered(powers, number, edit)))


@pytest.mark.parametrize("number", [2, 3, 4, 5, 12, 13, 14, 15])
def test_what_is_no_point_is_refused_by_section(powers, made, number: int) -> None:
    size = 128 if number in (3, 13) else 64

    def edit(content: bytearray) -> None:
        content[size * (5 if number < 6 else 63 + 5)] ^= 1

    with pytest.raises(NotOnCurve) as refusal:
        ceremony.begin(made["system"], ptau.read(altered(powers, number, edit)))
    assert refusal.value.part.startswith(f"ptau section {number}")

    def overflow(content: bytearray) -> None:
        at = size * (5 if number < 6 else 63 + 5)
        content[at : at + 32] = P.to_bytes(32, "little")

    with pytest.raises(OutOfRange):
        ceremony.begin(made["system"], ptau.read(altered(powers, number, overflow)))


def test_a_file_that_is_not_prepared_says_what_to_do(powers, made) -> None:
    sections = {
        each: bytes(section.take(section.left))
        for each, section in read_sections(powers, "ptau", 1, PTAU_SECTIONS).items()
    }
    bare = ptau.read(write_sections("ptau", 1, {number: sections[number] for number in range(1, 8)}))
    assert not bare.is_prepared
    with pytest.raises(Malformed, match="prepare phase2"):
        ceremony.begin(made["system"], bare)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_files_of_powers_are_refused(powers, data) -> None:
    kind = data.draw(st.sampled_from(["cut", "longer", "header"]))
    if kind == "cut":
        damaged = powers[: data.draw(st.integers(0, len(powers) - 1))]
    elif kind == "longer":
        damaged = powers + data.draw(st.binary(min_size=1, max_size=8))
    else:
        place = data.draw(st.integers(0, 12 + 12 + 4 + 32 + 4 - 1))
        changed = bytearray(powers)
        changed[place] ^= data.draw(st.integers(1, 255))
        damaged = bytes(changed)
    with pytest.raises(Refused) as refusal:
        ptau.read(damaged)
    assert refusal.value.part.startswith("ptau")


def test_contributions_come_back_from_files(made) -> None:
    data = zkey.write(made["key"], made["contributions"])
    assert zkey.read_contributions(data) == made["contributions"]
    assert zkey.write(zkey.read(data), zkey.read_contributions(data)) == data


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_contributions_are_refused_or_do_not_verify(made, data) -> None:
    file = zkey.write(made["key"], made["contributions"])
    start = file.index(made["contributions"].circuit_digest)
    changed = bytearray(file)
    changed[data.draw(st.integers(start, len(file) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = zkey.read_contributions(bytes(changed))
    except Refused as refused:
        assert "zkey section 10" in refused.part or "contribution" in refused.part or "beacon" in refused.part
        return
    if found.circuit_digest == made["contributions"].circuit_digest:
        names = [each.name for each in found.contributions]
        if names == ["Ann", "the lottery"]:  # the name is not bound, as in snarkjs
            with pytest.raises((WrongTranscript, WrongContribution)):
                ceremony._check_chain(found)


@pytest.mark.parametrize("point", [TWIST[0], SMALL_ORDER])
def test_a_contribution_outside_the_subgroup_is_refused_with_its_place(made, point: Any) -> None:
    file = zkey.write(made["key"], made["contributions"])
    end = file.index(made["contributions"].contributions[0].transcript)
    numbers = b"".join((number * 2**256 % P).to_bytes(32, "little") for number in (*point[0], *point[1]))
    with pytest.raises(NotInSubgroup) as refusal:
        zkey.read_contributions(file[: end - 128] + numbers + file[end:])
    assert refusal.value.part == f"zkey section 10 at byte {end - 128}"


def test_names_and_beacons_have_limits(made) -> None:
    with pytest.raises(WrongLength):
        ceremony.contribute(made["first"], made["begun"], name="x" * 256)
    for value, iterations, error in ((b"", 10, WrongLength), (bytes(256), 10, WrongLength), (b"x", 9, OutOfRange)):
        with pytest.raises(error):
            Beacon(value, iterations)
    with pytest.raises(OutOfRange):
        Beacon(b"x", 41)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 20])
def test_points_are_scaled_as_one_by_one(count: int) -> None:
    points = [g1.multiply(G1_GENERATOR, 3 * i + 1) if i % 4 != 2 else None for i in range(count)]
    for number in (1, 2, R - 1, 0x123456789ABCDEF << 128, 1 << 253):
        scaled = _scaled(g1.encode(points), number, None)
        assert g1.decode(scaled) == [g1.multiply(point, number) for point in points]


def test_chacha20_is_the_published_one() -> None:
    """RFC 8439, section 2.3.2."""
    key = tuple(int.from_bytes(bytes(range(4 * i, 4 * i + 4)), "little") for i in range(8))
    words = block(key, 1 | 0x09000000 << 32 | 0x4A000000 << 64)
    assert words[:4] == [0xE4E7F110, 0x15593BD1, 0x1FDD0F50, 0xC47120A3]
    assert words[12:] == [0xD19C12B5, 0xB94E16DE, 0xE883D0CB, 0x4E3C50A2]


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=5, deadline=None)
def test_drawn_points_lie_in_their_groups(seed: bytes) -> None:
    stream = Stream(seed)
    g1.check(stream.g1(), part="point")
    g2.check(stream.g2(), part="point")
    assert 0 <= stream.element(R) < R


@given(st.integers(0, P - 1), st.integers(0, P - 1))
@settings(max_examples=30, deadline=None)
def test_square_roots_square_back(a: int, b: int) -> None:
    square = ((a * a - b * b) % P, 2 * a * b % P)
    root = square_root(square)
    assert root in ((a, b), (-a % P, -b % P))


# With snarkjs.


def snarkjs(folder: Path, *arguments: str) -> str:
    command = shutil.which("snarkjs")
    assert command is not None
    done = subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs_snarkjs
def test_a_ceremony_goes_back_and_forth_with_snarkjs(made, powers, tmp_path: Path) -> None:
    (tmp_path / "powers.ptau").write_bytes(powers)
    (tmp_path / "circuit.r1cs").write_bytes(r1cs.write(made["system"]))
    snarkjs(tmp_path, "groth16", "setup", "circuit.r1cs", "powers.ptau", "theirs.zkey")
    assert (tmp_path / "theirs.zkey").read_bytes() == zkey.write(made["first"], made["begun"])

    key, contributions = ceremony.contribute(made["first"], made["begun"], name="Ann")
    (tmp_path / "1.zkey").write_bytes(zkey.write(key, contributions))
    snarkjs(tmp_path, "zkey", "contribute", "1.zkey", "2.zkey", "--name=Bob", "-e=anything")
    data = (tmp_path / "2.zkey").read_bytes()
    key, contributions = zkey.read(data), zkey.read_contributions(data)
    assert zkey.write(key, contributions) == data
    assert [each.name for each in contributions.contributions] == ["Ann", "Bob"]
    check(made, powers, key=key, contributions=contributions)

    snarkjs(tmp_path, "zkey", "beacon", "2.zkey", "theirs3.zkey", BEACON.value.hex(), "10", "-n=lottery")
    key, contributions = ceremony.apply_beacon(key, contributions, BEACON, "lottery")
    (tmp_path / "3.zkey").write_bytes(zkey.write(key, contributions))
    assert (tmp_path / "theirs3.zkey").read_bytes() == (tmp_path / "3.zkey").read_bytes()
    assert "ZKey Ok!" in snarkjs(tmp_path, "zkey", "verify", "circuit.r1cs", "powers.ptau", "3.zkey")
    proof, public = prove(key, made["witness"])
    assert key.verifying_key.prepare().verify(proof, public)


@needs_snarkjs
def test_powers_that_snarkjs_made_are_read(made, tmp_path: Path) -> None:
    snarkjs(tmp_path, "powersoftau", "new", "bn128", str(POWER), "0.ptau")
    snarkjs(tmp_path, "powersoftau", "contribute", "0.ptau", "1.ptau", "--name=x", "-e=x")
    snarkjs(tmp_path, "powersoftau", "prepare", "phase2", "1.ptau", "2.ptau")
    powers = (tmp_path / "2.ptau").read_bytes()
    key, contributions = ceremony.begin(made["system"], ptau.read(powers))
    assert check(made, powers, key=key, contributions=contributions) == []
    assert isinstance(contributions, Contributions)


@pytest.mark.slow
@needs_snarkjs
@pytest.mark.parametrize("power", [15, 16])
def test_large_domains_have_snarkjs_digest(power: int, tmp_path: Path) -> None:
    """From 2^15 rows on snarkjs hashes a point more, which a file of just enough powers does not have."""
    system, _ = chain(20_000, 2)
    data = make_ptau(power)
    (tmp_path / "powers.ptau").write_bytes(data)
    (tmp_path / "circuit.r1cs").write_bytes(r1cs.write(system))
    snarkjs(tmp_path, "groth16", "setup", "circuit.r1cs", "powers.ptau", "theirs.zkey")
    made = ceremony.begin(r1cs.read((tmp_path / "circuit.r1cs").read_bytes()), ptau.read(data), 2)
    assert (tmp_path / "theirs.zkey").read_bytes() == zkey.write(*made)
