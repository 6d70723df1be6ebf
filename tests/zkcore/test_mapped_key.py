"""Proving keys in mapped files: used where they lie, converted from a .zkey piece by piece, refused by place."""

import hashlib
import mmap
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import TWIST
from systems import chain

from zkcore.bn254 import P, R
from zkcore.errors import Malformed, NotInSubgroup, NotOnCurve, OutOfRange, Refused, WrongLength, WrongProvingKey
from zkcore.field import encode, fp
from zkcore.formats import mapped_key, zkey
from zkcore.groth16 import ProvingKey, prove, setup
from zkcore.groth16.proving_key import POINTS, KeySize
from zkcore.limbs import to_limbs


@pytest.fixture(scope="module")
def made() -> Any:
    """A constraint system with two public inputs, its witness and keys."""
    system, witness = chain(20, 2)
    return system, witness, *setup(system)


def places(key: ProvingKey) -> dict[str, tuple[int, int]]:
    """Where each section begins and how long it is."""
    sizes = {"header": 16 + 4 + 32 + 8 * 8, "verifying_key": len(key.verifying_key.to_bytes())}
    for name, matrix in (("a", key.a), ("b", key.b)):
        sizes |= {f"{name}.{part}": array.nbytes for part, array in vars(matrix).items()}
    sizes |= {name: getattr(key, name).nbytes for name in POINTS}
    found, at = {}, 0
    for name, size in sizes.items():
        found[name] = at, size
        at = -(-(at + size + 32) // 64) * 64
    return found


def sealed(data: bytes, key: ProvingKey) -> bytes:
    """The file with the checksums that its content asks for."""
    changed = bytearray(data)
    for start, size in places(key).values():
        end = start + size
        changed[end : end + 32] = hashlib.sha256(changed[:end]).digest()
    return bytes(changed)


def test_keys_come_back(made) -> None:
    system, witness, proving_key, verifying_key = made
    data = mapped_key.write(proving_key)
    assert sealed(data, proving_key) == data and len(data) % 64 == 0
    copy = mapped_key.read(data)
    assert mapped_key.write(copy) == data
    assert copy.r1cs_digest == system.digest()
    assert mapped_key.read_size(data) == (copy.size, system.digest()) == (KeySize.of(system), system.digest())
    assert verifying_key.prepare().verify(*prove(copy, witness))


def test_a_mapped_key_is_used_where_it_lies(made, tmp_path: Path) -> None:
    _, witness, proving_key, verifying_key = made
    (tmp_path / "proving.key").write_bytes(mapped_key.write(proving_key))
    with (tmp_path / "proving.key").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    key = mapped_key.read(memoryview(mapped))
    whole = np.frombuffer(mapped, np.uint8)
    arrays = [key.points_a, key.points_b, key.points_b2, key.points_c, key.points_h, key.a.coefficient, key.b.column]
    assert all(np.shares_memory(whole, array) for array in arrays)
    assert all(array.ctypes.data % 64 == 0 for array in arrays)
    assert verifying_key.prepare().verify(*prove(key, witness))
    assert (tmp_path / "proving.key").read_bytes() == mapped_key.write(proving_key)


def test_what_is_converted_piece_by_piece_is_what_is_written_whole(made, monkeypatch: pytest.MonkeyPatch) -> None:
    system, witness, proving_key, verifying_key = made
    data, whole = zkey.write(proving_key), mapped_key.write(proving_key)
    assert b"".join(zkey.convert(data, system)) == whole
    for block in (1, 7):
        monkeypatch.setattr(zkey, "_BLOCK", block)
        assert b"".join(zkey.convert(data, system, threads=2)) == whole
    assert zkey.read_size(data) == (proving_key.size, None)
    assert verifying_key.prepare().verify(*prove(mapped_key.read(whole), witness, system=system))


def test_a_key_is_converted_in_little_memory() -> None:
    """Beside the matrices, no more than a few blocks of points."""
    system, _ = chain(16_000, 1)
    data = zkey.write(setup(system)[0])
    matrices = sum(array.nbytes for matrix in (system.a, system.b) for array in vars(matrix).values())
    for chunks in (zkey.convert(data, system), mapped_key.chunks(replace(zkey.read(data), r1cs_digest=bytes(32)))):
        tracemalloc.start()
        size = sum(map(len, chunks))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 6_000_000 > 2 * matrices
        assert peak < 3_200_000


def test_a_key_is_converted_for_its_own_circuit_alone(made) -> None:
    system, _, proving_key, _ = made
    data = zkey.write(proving_key)
    others = [chain(21, 2)[0], chain(20, 1)[0], replace(system, a=system.b), replace(system, b=system.a)]
    for other in others:
        with pytest.raises(WrongProvingKey, match="another circuit's"):
            zkey.convert(data, other)
    points = proving_key.points_b2.copy()
    points[2] = encode(fp, [*TWIST[0][0], *TWIST[0][1]]).reshape(2, 2, 4)
    outside = replace(proving_key, points_b2=points)
    with pytest.raises(NotInSubgroup, match=r"zkey section 7 at byte \d+\[2\]"):
        b"".join(zkey.convert(zkey.write(outside), system))
    with pytest.raises(NotInSubgroup) as refused:
        mapped_key.write(replace(outside, r1cs_digest=None))
    assert refused.value.part == "proving_key.points_b2[2]"


def test_every_section_is_named_where_it_is_damaged_or_cut(made) -> None:
    data, sections = mapped_key.write(made[2]), places(made[2])
    for name, (start, size) in sections.items():
        part = f"proving_key section {name} at byte {start}"
        for at in (start + size - 1, start + size, start + size + 31):
            with pytest.raises(Malformed, match="checksum") as refused:
                mapped_key.read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert refused.value.part == part
        for end in {max(start, 16 + 4 + 32 + 8 * 8), start + size, start + size + 31}:
            with pytest.raises(WrongLength, match="ends within") as cut:
                mapped_key.read(data[:end])
            assert cut.value.part == part
    for start, size in list(sections.values())[:-1]:
        checksum_end = start + size + 32
        if checksum_end % 64:
            with pytest.raises(Malformed):
                mapped_key.read(data[:checksum_end] + b"\1" + data[checksum_end + 1 :])
    for read in (mapped_key.read, mapped_key.read_size):
        with pytest.raises(Malformed, match="version 2 is not 3") as version:
            read(data[:16] + (2).to_bytes(4, "little") + data[20:])
        assert version.value.part == "proving_key at byte 16"
    with pytest.raises(Malformed, match="not a proving key") as magic:
        mapped_key.read(b"Z" + data[1:])
    assert magic.value.part == "proving_key at byte 0"
    with pytest.raises(WrongLength, match="goes on") as longer:
        mapped_key.read(data + bytes(64))
    assert longer.value.part == f"proving_key at byte {len(data)}"


def test_sections_of_another_key_are_refused(made) -> None:
    """Each checksum is over all that lies before it."""
    first, second = mapped_key.write(made[2]), mapped_key.write(setup(made[0])[0])
    assert len(first) == len(second)
    for start, _ in list(places(made[2]).values())[3:]:
        with pytest.raises(Malformed, match="checksum"):
            mapped_key.read(first[:start] + second[start:])


def test_keys_with_right_checksums_but_wrong_content_are_refused(made) -> None:
    proving_key = made[2]
    data = mapped_key.write(proving_key)
    for at in range(52, 116, 8):  # every size in the header
        for change in (1, 1 << 40):
            number = int.from_bytes(data[at : at + 8], "little") + change
            with pytest.raises(Refused, match="proving_key section"):
                mapped_key.read(sealed(data[:at] + number.to_bytes(8, "little") + data[at + 8 :], proving_key))
    off_curve = encode(fp, [1, 1]).reshape(2, 4)
    out_of_range = proving_key.points_a.copy()
    out_of_range[3, 0] = to_limbs([P])[0]
    for name in POINTS:
        points = getattr(proving_key, name).copy()
        points[-1] = off_curve if name != "points_b2" else np.stack([off_curve, off_curve])
        with pytest.raises(NotOnCurve) as refused:
            mapped_key.read(mapped_key.write(replace(proving_key, **{name: points})))
        start = places(proving_key)[name][0]
        assert refused.value.part == f"proving_key section {name} at byte {start}[{len(points) - 1}]"
    a = proving_key.a
    for changed, check in [
        (replace(proving_key, points_a=out_of_range), OutOfRange),
        (replace(proving_key, a=replace(a, column=a.column + 100)), OutOfRange),
        (replace(proving_key, a=replace(a, column=a.column - 100)), OutOfRange),
        (replace(proving_key, a=replace(a, row_start=a.row_start[::-1])), Malformed),
        (replace(proving_key, a=replace(a, coefficient=a.coefficient | np.uint64(1 << 63))), OutOfRange),
        (replace(proving_key, a=replace(a, coefficient=to_limbs([R] * len(a.column)))), OutOfRange),
    ]:
        with pytest.raises(check, match="proving_key section"):
            mapped_key.read(mapped_key.write(changed))
