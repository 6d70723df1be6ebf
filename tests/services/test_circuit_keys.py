"""Keys kept on disk: made once, mapped the next time, and refused when they are another circuit's or damaged."""

from pathlib import Path

import pytest

from circuits.constraints import Circuit, ConstraintSystem
from services.files import private_map
from services.keys import circuit_keys, take_key
from zkcore.errors import Malformed, Refused
from zkcore.formats import zkey
from zkcore.groth16 import prove, setup


def square(offset: int) -> Circuit:
    cs = ConstraintSystem("square")
    result, root = cs.public("result"), cs.private("root")
    cs.enforce_equal(cs.multiply(root, root, "square") + offset, result, "the result")
    return cs.finish()


def test_keys_are_made_once_and_mapped_afterwards(tmp_path: Path) -> None:
    circuit = square(1)
    made, kept = circuit_keys(circuit, directory=tmp_path), circuit_keys(circuit, directory=tmp_path)
    assert made.verifying_key == kept.verifying_key and made.origin != kept.origin
    proof, public = prove(kept.proving_key, circuit.witness({"result": 50, "root": 7}))
    assert made.verifying_key.prepare().verify(proof, public) and public == [50]


def test_a_ceremonys_key_takes_its_place(tmp_path: Path) -> None:
    circuit, other = square(1), square(2)
    (ceremony, verifying_key), file = setup(circuit.r1cs()), tmp_path / "final.zkey"
    file.write_bytes(zkey.write(ceremony))
    with pytest.raises(Refused) as refused:
        take_key(other, private_map(file), tmp_path / "keys")
    assert refused.value.check == "wrong_proving_key"
    assert take_key(circuit, private_map(file), tmp_path / "keys") == verifying_key
    kept = circuit_keys(circuit, directory=tmp_path / "keys")
    assert kept.verifying_key == verifying_key
    proof, public = prove(kept.proving_key, circuit.witness({"result": 50, "root": 7}))
    assert verifying_key.prepare().verify(proof, public)
    with pytest.raises(Malformed, match="never overwritten"):
        take_key(circuit, private_map(file), tmp_path / "keys")


def test_another_circuits_key_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    for offset in (1, 2):
        circuit_keys(square(offset), directory=tmp_path)
    first, second = sorted(tmp_path.iterdir())
    content = (first / "proving.key").read_bytes()
    for wrong in ((second / "proving.key").read_bytes(), content[:-1], content[:-40] + bytes(40)):
        (first / "proving.key").write_bytes(wrong)
        refusals = 0
        for offset in (1, 2):
            try:
                circuit_keys(square(offset), directory=tmp_path)
            except Malformed as refusal:
                refusals += 1
                assert str(first) in str(refusal)
        assert refusals == 1
