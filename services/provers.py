"""An enterprise's provers, made from the proving keys that it was given when they are first needed."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from circuits import credit_score, filing
from circuits.constraints import Circuit
from services.keys import CircuitKeys, kept_keys
from services.parameters import Dataset, PublicParameters
from services.prover import DatasetProver
from zkcore.errors import Malformed
from zkcore.groth16 import VerifyingKey


class KeptProvers(Mapping[str, DatasetProver]):
    """The prover of each dataset of a network, by the dataset's name.

    Looking one up builds circuits and reads keys, which takes seconds: do it in a worker thread. Raises Malformed if
    the folder lacks a key, or has another than the network's.

    Parameters
    ----------
    keys
        Folder of the circuits' keys, as :func:`services.keys.circuit_keys` writes it.
    """

    def __init__(self, parameters: PublicParameters, keys: Path) -> None:
        self._parameters = parameters
        self._keys = keys
        self._made: dict[str, DatasetProver] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        return (dataset.name for dataset in self._parameters.datasets)

    def __len__(self) -> int:
        return len(self._parameters.datasets)

    def __getitem__(self, name: str) -> DatasetProver:
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(self._parameters.named(name))
            return self._made[name]

    def _make(self, dataset: Dataset) -> DatasetProver:
        return DatasetProver(
            self._read(filing.build(dataset.schema), dataset.filing_key, dataset.name),
            self._read(credit_score.build(dataset.schema), dataset.score_key, dataset.name),
            self._parameters.threshold_key.public_key,
        )

    def _read(self, circuit: Circuit, expected: VerifyingKey, dataset: str) -> CircuitKeys:
        found = kept_keys(circuit, self._keys)
        if found is None:
            raise Malformed(
                "keys", f"{self._keys} has no proving key of {circuit.name} for {dataset}; ask the operator"
            )
        if found.verifying_key.digest() != expected.digest():
            raise Malformed("keys", f"the key of {circuit.name} for {dataset} is not the network's; ask the operator")
        return found
