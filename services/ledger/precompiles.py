"""py-evm with the contracts at addresses 6, 7 and 8 (EIP-196, EIP-197) computed by zkcore, not in interpreted Python.

Gas is that of EIP-1108. What zkcore refuses fails the call and takes all its gas, as the standards say.
"""

from collections.abc import Callable
from typing import Any

from zkcore.errors import Refused
from zkcore.formats import evm

PAIRING_BYTES = 192
GAS_ADD, GAS_MULTIPLY = 150, 6_000
GAS_PAIRING, GAS_PAIRING_A_PAIR = 45_000, 34_000


def adapted(state: type[Any]) -> type[Any]:
    """A py-evm state class, e.g. ``ParisState``, with the three contracts replaced."""
    computation = state.computation_class
    contracts = {
        **computation.get_precompiles(),
        _address(6): _contract(evm.ecadd, lambda size: GAS_ADD, "ECADD"),
        _address(7): _contract(evm.ecmul, lambda size: GAS_MULTIPLY, "ECMUL"),
        _address(8): _contract(
            evm.ecpairing, lambda size: GAS_PAIRING + size // PAIRING_BYTES * GAS_PAIRING_A_PAIR, "ECPAIRING"
        ),
    }
    faster = type(computation.__name__, (computation,), {"_precompiles": contracts})
    return type(state.__name__, (state,), {"computation_class": faster})


def _address(number: int) -> bytes:
    return number.to_bytes(20, "big")


def _contract(function: Callable[[bytes], bytes], gas: Callable[[int], int], name: str) -> Callable[[Any], Any]:
    from eth.exceptions import VMError

    def run(computation: Any) -> Any:
        data = computation.msg.data_as_bytes
        computation.consume_gas(gas(len(data)), reason=f"{name} precompile")
        try:
            computation.output = function(data)
        except Refused as refused:
            raise VMError(f"{name}: {refused.check}") from None
        return computation

    return run
