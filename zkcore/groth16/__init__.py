"""Groth16 over BN254: keys, verification, and (for provers) setup and proving."""

from zkcore.groth16.keys import Proof, VerifyingKey
from zkcore.groth16.prover import prove
from zkcore.groth16.proving_key import ProvingKey
from zkcore.groth16.setup import setup
from zkcore.groth16.verifier import PreparedVerifyingKey

__all__ = ["PreparedVerifyingKey", "Proof", "ProvingKey", "VerifyingKey", "prove", "setup"]
