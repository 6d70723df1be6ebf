"""Circuits as files that circom's tools read."""

from circuits import membership
from tests.circuits.statements import SCHEMA
from zkcore.formats import r1cs


def test_the_system_comes_back() -> None:
    circuit = membership.build(SCHEMA)
    data = b"".join(circuit.to_r1cs())
    assert r1cs.read(data).digest() == circuit.digest()
    counts = [int.from_bytes(data[60 + 4 * i : 64 + 4 * i], "little") for i in range(4)]
    n_private = sum(count for _, count in circuit._inputs.values()) - len(circuit.public_names)
    assert counts == [circuit.r1cs().n_wires, 0, len(circuit.public_names), n_private]


def test_names_of_wires() -> None:
    circuit = membership.build(SCHEMA)
    lines = [line.split(",") for line in b"".join(circuit.to_sym()).decode().splitlines()]
    assert [line[:3] for line in lines] == [[str(wire), str(wire), "0"] for wire in range(1, circuit.r1cs().n_wires)]
    names = [line[3] for line in lines]
    assert len(set(names)) == len(names)
    assert names[: len(circuit.public_names)] == [f"main.{name}" for name in circuit.public_names]
    for name, (first, count) in circuit._inputs.items():
        wanted = [f"main.{name}"] if count == 1 else [f"main.{name}[{i}]" for i in range(count)]
        assert names[first - 1 : first - 1 + count] == wanted
