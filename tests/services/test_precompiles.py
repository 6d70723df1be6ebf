"""py-evm with zkcore's pairing does what py-evm does with py-ecc's: same output, same gas, same failures."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth.constants import BLANK_ROOT_HASH, ZERO_ADDRESS, ZERO_HASH32
from eth.db.atomic import AtomicDB
from eth.exceptions import VMError
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.paris.state import ParisState
from eth.vm.message import Message
from eth.vm.transaction_context import BaseTransactionContext

from services.ledger.precompiles import adapted
from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R

VECTORS = Path(__file__).parent.parent / "vectors" / "go-ethereum"
G1 = b"".join(value.to_bytes(32, "big") for value in G1_GENERATOR)
(X0, X1), (Y0, Y1) = G2_GENERATOR
G2 = b"".join(value.to_bytes(32, "big") for value in (X1, X0, Y1, Y0))
MINUS_G1 = G1[:32] + (P - 2).to_bytes(32, "big")
ADDRESSES = {"ecadd": 6, "ecmul": 7, "ecpairing": 8}

CASES = [
    ("ecadd", b""),
    ("ecadd", G1),
    ("ecadd", G1 + G1),
    ("ecadd", G1 + MINUS_G1 + b"more"),
    ("ecadd", G1 + G1[:63]),
    ("ecadd", P.to_bytes(32, "big") + bytes(96)),
    ("ecmul", G1 + R.to_bytes(32, "big")),
    ("ecmul", G1 + b"\xff" * 32),
    ("ecmul", G1 + b"\x01"),
    ("ecmul", b"\x01" * 96),
    ("ecpairing", b""),
    ("ecpairing", G1 + G2),
    ("ecpairing", G1 + G2 + MINUS_G1 + G2),
    ("ecpairing", bytes(64) + G2),
    ("ecpairing", G1 + bytes(128)),
    ("ecpairing", G1 + G2[:-1]),
    ("ecpairing", G1 + G2[:-1] + b"\x00"),
    ("ecpairing", G1 + (P + X1).to_bytes(32, "big") + G2[32:]),
]


def run(state_class: type[Any], name: str, data: bytes) -> tuple[bytes | None, int]:
    """Output and gas used; None and all of it for a failure, as the machine then takes it."""
    context = ExecutionContext(ZERO_ADDRESS, 0, 0, 0, ZERO_HASH32, 30_000_000, (), 1, 0)
    state = state_class(AtomicDB(), context, BLANK_ROOT_HASH)
    contract = state.computation_class.get_precompiles()[ADDRESSES[name].to_bytes(20, "big")]
    message = Message(1_000_000, ADDRESSES[name].to_bytes(20, "big"), ZERO_ADDRESS, 0, data, b"")
    computation = state.computation_class(state, message, BaseTransactionContext(0, ZERO_ADDRESS))
    try:
        output = bytes(contract(computation).output)
    except VMError as error:
        assert error.burns_gas
        return None, 1_000_000
    return output, 1_000_000 - computation.get_gas_remaining()


@pytest.mark.parametrize(("name", "data"), CASES)
def test_same_as_py_evm(name: str, data: bytes) -> None:
    assert run(adapted(ParisState), name, data) == run(ParisState, name, data)


def test_published_vectors() -> None:
    names = {"Add": "ecadd", "Mul": "ecmul", "Pairing": "ecpairing"}
    seen = 0
    for path in sorted(VECTORS.glob("*.json")):
        name = next((function for word, function in names.items() if word.lower() in path.stem.lower()), None)
        for vector in json.loads(path.read_text()) if name else []:
            if "Expected" in vector:
                output, _ = run(adapted(ParisState), str(name), bytes.fromhex(vector["Input"]))
                assert output == bytes.fromhex(vector["Expected"]), vector["Name"]
                seen += 1
    assert seen > 10
