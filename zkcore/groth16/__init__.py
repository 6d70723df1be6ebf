"""Groth16 over BN254: keys, verification, and (for provers) setup and proving.

Names are imported when they are asked for, so that whoever only verifies loads no prover.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zkcore.groth16.keys import Proof, VerifyingKey
    from zkcore.groth16.prover import prove
    from zkcore.groth16.proving_key import ProvingKey
    from zkcore.groth16.trusted_setup import setup
    from zkcore.groth16.verifier import PreparedVerifyingKey

__all__ = ["PreparedVerifyingKey", "Proof", "ProvingKey", "VerifyingKey", "prove", "setup"]

_MODULES = {
    "PreparedVerifyingKey": "verifier",
    "Proof": "keys",
    "ProvingKey": "proving_key",
    "VerifyingKey": "keys",
    "prove": "prover",
    "setup": "trusted_setup",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
