"""Constraint systems, witnesses and keys in circom's and snarkjs's files: both ways, with snarkjs, and when damaged."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from struct import pack

import groth16py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node import needs_snarkjs, run_script
from oracle import TWIST
from systems import chain, matrix

from zkcore.bn254 import G1_GENERATOR, P, R
from zkcore.errors import Malformed, NotInSubgroup, NotOnCurve, OutOfRange, Refused, WrongLength
from zkcore.field import encode, fp
from zkcore.formats import mapped_key, r1cs, wtns, zkey
from zkcore.formats.iden3 import read_sections, write_sections
from zkcore.groth16 import Proof, VerifyingKey, prove, setup
from zkcore.limbs import to_limbs
from zkcore.r1cs import R1CS

KNOWN = range(1, 11)


@pytest.fixture(scope="module")
def made():
    system, witness = chain(30, 2)
    proving_key, verifying_key = setup(system)
    return system, witness, proving_key, verifying_key


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory) -> Path:
    system, witness, proving_key, _ = made
    path: Path = tmp_path_factory.mktemp("files")
    (path / "ours.r1cs").write_bytes(r1cs.write(system))
    (path / "ours.wtns").write_bytes(wtns.write(witness))
    (path / "ours.zkey").write_bytes(zkey.write(proving_key))
    return path


def contents(data: bytes, kind: str, version: int = 1) -> dict[int, bytes]:
    return {
        number: bytes(section.take(section.left))
        for number, section in read_sections(data, kind, version, KNOWN).items()
    }


values = st.one_of(st.sampled_from([0, 1, R - 1]), st.integers(0, R - 1))
rows = st.lists(st.dictionaries(st.integers(0, 4), values, max_size=5), min_size=3, max_size=3)


@given(rows, rows, rows, st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_systems_come_back(a, b, c, n_public: int) -> None:
    system = R1CS(n_public, 5, matrix(a), matrix(b), matrix(c))
    assert r1cs.read(r1cs.write(system)).digest() == system.digest()


def test_empty_system_comes_back() -> None:
    system = R1CS(0, 1, matrix([]), matrix([]), matrix([]))
    assert r1cs.read(r1cs.write(system)).digest() == system.digest()


def test_witnesses_come_back(made) -> None:
    witness = made[1]
    assert (wtns.read(wtns.write(witness)) == witness).all()
    assert (wtns.read(memoryview(wtns.write(witness))) == witness).all()


def test_keys_come_back(made) -> None:
    _, witness, proving_key, verifying_key = made
    data = zkey.write(proving_key)
    copy = zkey.read(data)
    assert zkey.write(copy) == data
    assert copy.r1cs_digest is None
    assert mapped_key.write(replace(copy, r1cs_digest=proving_key.r1cs_digest)) == mapped_key.write(proving_key)
    assert mapped_key.read(mapped_key.write(copy)).r1cs_digest is None
    proof, public = prove(copy, witness)
    assert verifying_key.prepare().verify(proof, public)


def test_arkworks_proves_with_our_key(made, folder: Path) -> None:
    verifying_key = made[3]
    imported = groth16py.import_zkey(str(folder / "ours.zkey"))
    key = imported[0] if isinstance(imported, tuple) else imported
    proof = Proof.from_bytes(groth16py.prove_wtns(key, str(folder / "ours.wtns")))
    assert verifying_key.prepare().verify(proof, prove(made[2], made[1])[1])


def test_arkworks_reads_our_system(made, folder: Path) -> None:
    key, verifying_key = groth16py.setup(str(folder / "ours.r1cs"))
    proof = Proof.from_bytes(groth16py.prove_wtns(key, str(folder / "ours.wtns")))
    prepared = VerifyingKey.from_snarkjs(json.loads(verifying_key.to_json())).prepare()
    assert prepared.verify(proof, prove(made[2], made[1])[1])


@needs_snarkjs
def test_snarkjs_and_its_ceremony(made, folder: Path) -> None:
    system, witness, proving_key, verifying_key = made
    run_script("snarkjs_interop.cjs", folder)

    def result(name: str):
        return json.loads((folder / name).read_text())

    assert result("witness_holds.json") is True
    theirs = result("their_proof.json")
    public = [int(number) for number in theirs["publicSignals"]]
    assert verifying_key.prepare().verify(Proof.from_snarkjs(theirs["proof"]), public)
    assert VerifyingKey.from_snarkjs(result("our_key.json")) == verifying_key

    data = (folder / "theirs.zkey").read_bytes()
    ceremony = zkey.read(data)
    assert ceremony.verifying_key == VerifyingKey.from_snarkjs(result("their_key.json"))
    proof, inputs = prove(ceremony, witness)
    assert ceremony.verifying_key.prepare().verify(proof, inputs)
    before, after = contents(data, "zkey"), contents(zkey.write(ceremony), "zkey")
    assert {number for number in before if before[number] != after[number]} == {10}
    for theirs_of, ours_of in ((ceremony.a, proving_key.a), (ceremony.b, proving_key.b)):
        assert (theirs_of.row_start == ours_of.row_start[: len(theirs_of.row_start)]).all()
        entries = [sorted(zip(m.column.tolist(), m.coefficient.tolist(), strict=True)) for m in (theirs_of, ours_of)]
        assert entries[0] == entries[1]
    assert r1cs.read((folder / "ours.r1cs").read_bytes()).digest() == system.digest()


@needs_snarkjs
def test_a_point_of_b_outside_the_subgroup_in_a_key_of_snarkjs(folder: Path) -> None:
    if not (folder / "theirs.zkey").exists():
        run_script("snarkjs_interop.cjs", folder)
    data = (folder / "theirs.zkey").read_bytes()
    section = read_sections(data, "zkey", 1, KNOWN)[7]
    for threads in (1, 2):
        zkey.check_subgroup(data, threads)
    point = encode(fp, [*TWIST[0][0], *TWIST[0][1]]).tobytes()
    last = section.left // len(point) - 1
    for index in (0, 3, last):
        at = section.at + index * len(point)
        spoilt = data[:at] + point + data[at + len(point) :]
        with pytest.raises(NotInSubgroup) as refused:
            zkey.check_subgroup(spoilt, 2)
        assert refused.value.part == f"zkey section 7 at byte {section.at}[{index}]"
        with pytest.raises(NotInSubgroup):
            mapped_key.write(zkey.read(spoilt))
    with pytest.raises(WrongLength):
        zkey.check_subgroup(rebuilt("zkey", 1, data, {7: bytes(100)}))


def files(made) -> list[tuple[bytes, Callable[[bytes], object]]]:
    system, witness, proving_key, _ = made
    return [(r1cs.write(system), r1cs.read), (wtns.write(witness), wtns.read), (zkey.write(proving_key), zkey.read)]


def test_truncated_and_prolonged_files_are_refused(made) -> None:
    for data, read in files(made):
        step = max(1, len(data) // 150)
        for size in [*range(60), *range(60, len(data), step), len(data) - 1]:
            with pytest.raises(Refused) as refused:
                read(data[:size])
            assert "byte" in refused.value.part or "section" in refused.value.why
        with pytest.raises(WrongLength):
            read(data + b"\0")


def test_no_flipped_bit_crashes(made) -> None:
    """Either the file is refused by name, or the change lies in what a reader may ignore or can't judge."""
    for data, read in files(made):
        for at in [*range(200), *range(200, len(data), len(data) // 100)]:
            changed = bytearray(data)
            changed[at] ^= 1 << (at % 8)
            try:
                read(bytes(changed))
            except Refused:
                continue


def test_a_point_changed_is_refused_with_its_place(made) -> None:
    data = zkey.write(made[2])
    sections = contents(data, "zkey")
    for number in (3, 5, 6, 7, 8, 9):
        body = bytearray(sections[number])
        used = next(at for at in range(len(body)) if body[at])
        body[used] ^= 1
        with pytest.raises((NotOnCurve, OutOfRange)) as refused:
            zkey.read(write_sections("zkey", 1, {**sections, number: bytes(body)}))
        assert f"section {number} at byte" in refused.value.part


def rebuilt(kind: str, version: int, data: bytes, changes: dict[int, bytes | None]) -> bytes:
    sections = {**contents(data, kind, version), **changes}
    return write_sections(kind, version, {number: body for number, body in sections.items() if body is not None})


def test_the_container(made) -> None:
    data = wtns.write(made[1])
    sections = contents(data, "wtns", 2)
    in_another_order = write_sections("wtns", 2, dict(reversed(sections.items())))
    assert (wtns.read(in_another_order) == made[1]).all()
    one = sections[1]
    twice = data[:8] + pack("<I", 3) + data[12:] + pack("<IQ", 1, len(one)) + one
    for changed in (
        b"wtnz" + data[4:],
        data[:4] + pack("<I", 1) + data[8:],
        twice,
        write_sections("wtns", 2, {**sections, 3: b""}),
        rebuilt("wtns", 2, data, {2: None}),
        rebuilt("wtns", 2, data, {1: None}),
    ):
        with pytest.raises(Malformed):
            wtns.read(changed)
    with pytest.raises(OutOfRange):
        wtns.read(data[:8] + pack("<I", 1 << 31) + data[12:])


def test_wrong_witness_files(made) -> None:
    witness = made[1]
    data = wtns.write(witness)
    header = contents(data, "wtns", 2)[1]
    for changes, check in [
        ({1: header[:4] + (R + 2).to_bytes(32, "little") + header[36:]}, Malformed),
        ({1: pack("<I", 31) + header[4:]}, Malformed),
        ({1: header + b"\0"}, WrongLength),
        ({1: header[:36] + pack("<I", len(witness) + 1)}, WrongLength),
        ({1: header[:36] + pack("<I", len(witness) - 1)}, WrongLength),
        ({1: header[:36] + pack("<I", 0), 2: b""}, OutOfRange),
        ({2: bytes(32) + witness[1:].tobytes()}, OutOfRange),
        ({2: witness[:-1].tobytes() + to_limbs([R]).tobytes()}, OutOfRange),
    ]:
        with pytest.raises(check):
            wtns.read(rebuilt("wtns", 2, data, changes))
    with pytest.raises(OutOfRange):
        wtns.write(to_limbs([1, R]))


def test_wrong_system_files(made) -> None:
    system = made[0]
    data = r1cs.write(system)
    sections = contents(data, "r1cs")
    header, body = sections[1], sections[2]
    wires = 36  # where the number of wires lies in the header

    def header_with(at: int, number: int, size: int = 4) -> bytes:
        return header[:at] + number.to_bytes(size, "little") + header[at + size :]

    first_coefficient = body[:8] + R.to_bytes(32, "little") + body[40:]
    for changes, check in [
        ({1: header_with(4, P, 32)}, Malformed),
        ({1: header_with(wires, 3), 3: bytes(24)}, OutOfRange),
        ({1: header_with(wires, 0xFFFFFFFF)}, WrongLength),
        ({1: header_with(wires + 8, system.n_wires)}, OutOfRange),
        ({1: header_with(60, system.n_constraints + 1)}, WrongLength),
        ({1: header_with(60, system.n_constraints - 1)}, WrongLength),
        ({1: header_with(60, 0xFFFFFFFF)}, WrongLength),
        ({2: pack("<I", 0xFFFFFFFF) + body[4:]}, WrongLength),
        ({2: body[:-1]}, WrongLength),
        ({2: body[:4] + pack("<I", system.n_wires) + body[8:]}, OutOfRange),
        ({2: first_coefficient}, OutOfRange),
        ({3: sections[3][:-8]}, WrongLength),
        ({4: pack("<I", 1), 5: pack("<I", 0)}, Malformed),
        ({2: None}, Malformed),
    ]:
        with pytest.raises(check) as refused:
            r1cs.read(rebuilt("r1cs", 1, data, changes))
        assert "r1cs" in refused.value.part
    assert r1cs.read(rebuilt("r1cs", 1, data, {3: None, 4: bytes(4), 5: bytes(4)})).digest() == system.digest()


def test_wrong_keys(made) -> None:
    data = zkey.write(made[2])
    sections = contents(data, "zkey")
    header, entries = sections[2], sections[4]
    sizes = 72  # where wires, public inputs and the domain's size lie in the header

    def entry_with(at: int, number: int, size: int = 4) -> bytes:
        return entries[: 4 + at] + number.to_bytes(size, "little") + entries[4 + at + size :]

    for changes, check in [
        ({1: pack("<I", 2)}, Malformed),
        ({1: pack("<II", 1, 1)}, WrongLength),
        ({2: header[:4] + R.to_bytes(32, "little") + header[36:]}, Malformed),
        ({2: header[:sizes] + pack("<3I", 2, 2, 64) + header[sizes + 12 :]}, OutOfRange),
        ({2: header[:sizes] + pack("<3I", 32, 2, 63) + header[sizes + 12 :]}, OutOfRange),
        ({2: header[:sizes] + pack("<3I", 32, 2, 0) + header[sizes + 12 :]}, OutOfRange),
        ({2: header[:sizes] + pack("<3I", 32, 2, 1 << 31) + header[sizes + 12 :]}, OutOfRange),
        ({2: header + b"\0"}, WrongLength),
        ({3: sections[3][:-64]}, WrongLength),
        ({4: pack("<I", 0xFFFFFFFF) + entries[4:]}, WrongLength),
        ({4: entry_with(0, 2)}, OutOfRange),
        ({4: entry_with(4, 64)}, OutOfRange),
        ({4: entry_with(8, 1000)}, OutOfRange),
        ({4: entry_with(12, R, 32)}, OutOfRange),
        ({9: sections[9] + sections[9][:64]}, WrongLength),
        ({10: None}, Malformed),
    ]:
        with pytest.raises(check) as refused:
            zkey.read(rebuilt("zkey", 1, data, changes))
        assert "zkey" in refused.value.part


def test_a_verifying_key_with_a_neutral_point_is_refused(made) -> None:
    sections = contents(zkey.write(made[2]), "zkey")
    with pytest.raises(Refused):
        zkey.read(write_sections("zkey", 1, {**sections, 3: bytes(64) + sections[3][64:]}))
    assert G1_GENERATOR not in made[3].ic


def test_large_counts_are_found_wanting_before_memory_is_taken() -> None:
    header = pack("<I", 32) + R.to_bytes(32, "little") + pack("<4IQI", 1, 0, 0, 0, 1, 0xFFFFFFFF)
    with pytest.raises(WrongLength):
        r1cs.read(write_sections("r1cs", 1, {1: header, 2: bytes(12)}))
    header = pack("<I", 32) + R.to_bytes(32, "little") + pack("<I", 0xFFFFFFFF)
    with pytest.raises(WrongLength):
        wtns.read(write_sections("wtns", 2, {1: header, 2: np.ones(4, "<u8").tobytes()}))
