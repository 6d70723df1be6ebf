"""The examples in the documentation run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "homomorphic.column",
        "homomorphic.proofs.column_decryption",
        "homomorphic.proofs.committed_range",
        "homomorphic.proofs.decryption",
        "homomorphic.proofs.key",
        "homomorphic.proofs.link",
        "homomorphic.proofs.plaintext",
        "homomorphic.proofs.range",
        "homomorphic.proofs.weights",
        "homomorphic.resharing",
    ],
)
def test_examples(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 3
    assert results.failed == 0
