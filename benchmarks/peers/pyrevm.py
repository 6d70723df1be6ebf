"""pyrevm: Ethereum's precompiled contracts in revm."""

from collections.abc import Callable

import pyrevm

_CALLER = "0x" + "11" * 20


def precompile(number: int) -> Callable[[bytes], bytes]:
    """A precompiled contract as a function of bytes; the call into the machine is part of it."""
    machine, address = pyrevm.EVM(), f"0x{number:040x}"

    def call(data: bytes) -> bytes:
        return machine.message_call(caller=_CALLER, to=address, calldata=data, is_static=True)

    return call


def gas(number: int, data: bytes) -> int:
    """Gas that a transaction to the contract takes, the transaction's own and its data's included."""
    machine = pyrevm.EVM()
    machine.message_call(caller=_CALLER, to=f"0x{number:040x}", calldata=data)
    result = machine.result
    assert result is not None
    return int(result.gas_used)
