"""Damaged files of iden3's formats and of ours are refused with section and offset; large ones are written by parts."""

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node import needs_snarkjs, run_script
from powers_of_tau import ptau as make_ptau
from systems import chain

from zkcore.bn254 import P, R
from zkcore.errors import OutOfRange, Refused
from zkcore.formats import mapped_key, ptau, r1cs, wtns, zkey
from zkcore.groth16 import setup

POWER = 3
PLACE = re.compile(r"(r1cs|wtns|zkey|ptau|proving_key)( section [\w.]+)? at byte (\d+)")
HEADER, SECTION_HEADER = 12, 12


def read_powers(data: bytes) -> list[np.ndarray]:
    """All points of a file, which are read when asked for."""
    powers = ptau.read(data)
    whole = [powers.powers(section, count) for section, count in ((2, 15), (3, 8), (4, 8), (5, 8))]
    return [*whole, *(powers.lagrange(section, 3) for section in (2, 3, 4, 5)), powers.beta_g2()]


@pytest.fixture(scope="module")
def files() -> dict[str, tuple[bytes, Callable[[bytes], Any]]]:
    system, witness = chain(6, 1)
    return {
        "r1cs": (r1cs.write(system), r1cs.read),
        "wtns": (wtns.write(witness), wtns.read),
        "zkey": (zkey.write(setup(system)[0]), zkey.read),
        "ptau": (make_ptau(POWER), read_powers),
        "proving_key": (mapped_key.write(setup(system)[0]), mapped_key.read),
    }


KINDS = ("r1cs", "wtns", "zkey", "ptau")
ALL_KINDS = (*KINDS, "proving_key")


def refusal(kind: str, data: bytes, read: Callable[[bytes], Any]) -> int:
    """Where the refusal of a file says that it is damaged."""
    with pytest.raises(Refused) as refused:
        read(data)
    place = PLACE.match(refused.value.part)
    assert place and place[1] == kind, refused.value
    assert int(place[3]) <= len(data)
    return int(place[3])


@pytest.mark.parametrize("kind", ALL_KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_cut_and_prolonged_files(kind: str, files: Any, data: Any) -> None:
    whole, read = files[kind]
    size = data.draw(st.integers(0, len(whole) - 1))
    assert refusal(kind, whole[:size], read) <= size
    assert refusal(kind, whole + data.draw(st.binary(min_size=1, max_size=9)), read) == len(whole)


@pytest.mark.parametrize("kind", ALL_KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bits(kind: str, files: Any, data: Any) -> None:
    """A flip is refused by place, or lies in a number that may as well have this value."""
    whole, read = files[kind]
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read(bytes(damaged))
    except Refused:
        refusal(kind, bytes(damaged), read)
    else:
        assert kind in KINDS and at >= HEADER


@pytest.mark.parametrize("kind", KINDS)
def test_another_curve(kind: str, files: Any) -> None:
    whole, read = files[kind]
    for prime in (P, R):
        place = whole.find(prime.to_bytes(32, "little"))
        if place < 0:
            continue
        # BLS12-381's scalar field, which also takes 32 bytes
        other = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
        assert refusal(kind, whole[:place] + other.to_bytes(32, "little") + whole[place + 32 :], read) <= place
        assert refusal(kind, whole[: place - 4] + (48).to_bytes(4, "little") + whole[place:], read) <= place


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_sections_that_say_to_be_larger_than_the_file(kind: str, files: Any, data: Any) -> None:
    """Without memory being asked for, whatever the number."""
    whole, read = files[kind]
    size = data.draw(st.sampled_from([len(whole), 1 << 32, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]))
    at, places = HEADER, []
    while at < len(whole):
        places.append(at)
        at += SECTION_HEADER + int.from_bytes(whole[at + 4 : at + 12], "little")
    place = data.draw(st.sampled_from(places))
    refusal(kind, whole[: place + 4] + size.to_bytes(8, "little") + whole[place + 12 :], read)


def test_writers_take_little_memory_of_their_own() -> None:
    system, witness = chain(60_000, 2)
    for chunks in (r1cs.chunks(system), wtns.chunks(witness)):
        tracemalloc.start()
        size, first = 0, tracemalloc.get_traced_memory()[0]
        for chunk in chunks:
            size += len(chunk)
        peak = tracemalloc.get_traced_memory()[1] - first
        tracemalloc.stop()
        assert size > 1_900_000
        assert peak < 1 << 20


def test_powers_are_cut() -> None:
    whole = make_ptau(POWER)
    powers = ptau.read(whole)
    assert b"".join(ptau.chunks(powers, POWER)) == whole
    smaller = ptau.read(b"".join(ptau.chunks(powers, 2)))
    assert (smaller.power, smaller.ceremony_power, smaller.is_prepared) == (2, POWER, True)
    for section in (2, 3, 4, 5):
        assert (smaller.powers(section, 4) == powers.powers(section, 4)).all()
        assert (smaller.lagrange(section, 2) == powers.lagrange(section, 2)).all()
    for power in (0, POWER + 1):
        with pytest.raises(OutOfRange):
            ptau.chunks(powers, power)


@needs_snarkjs
def test_snarkjs_cuts_powers_to_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "whole.ptau").write_bytes(make_ptau(POWER))
    run_script("snarkjs_truncate.cjs", tmp_path)
    powers = ptau.read((tmp_path / "whole.ptau").read_bytes())
    for power in range(1, POWER):
        assert (tmp_path / f"cut0{power}.ptau").read_bytes() == b"".join(ptau.chunks(powers, power))
