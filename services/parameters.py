"""What every party of a network agrees on: authority, threshold key, datasets with their schemas and verifying keys.

All of it is public. Its digests are on the ledger, and each party compares them when it starts
(:meth:`PublicParameters.check_published`), so nobody can be given a schema or a key of somebody's own making.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from circuits.schema import Schema
from homomorphic.threshold import ThresholdKey
from services.errors import NotAnchored, UnknownSchema
from services.identity import Authority
from zkcore.groth16 import PreparedVerifyingKey, VerifyingKey


class Published(Protocol):
    """The part of a ledger that says which digests are published."""

    def published(self, kind: str, identifier: bytes) -> bytes | None:
        """The digest under this kind and identifier, or None."""


@dataclass(frozen=True)
class Dataset:
    """A dataset: its schema and the verifying keys of its circuits."""

    schema: Schema
    filing_key: VerifyingKey
    score_key: VerifyingKey

    @property
    def name(self) -> str:
        """Name by which queries and the ledger know the dataset."""
        return self.schema.name

    @cached_property
    def prepared_filing_key(self) -> PreparedVerifyingKey:
        """The filing circuit's key with what verification computes once."""
        return self.filing_key.prepare()

    @cached_property
    def prepared_score_key(self) -> PreparedVerifyingKey:
        """The credit-score circuit's key with what verification computes once."""
        return self.score_key.prepare()


@dataclass(frozen=True)
class PublicParameters:
    """The public side of a network.

    Attributes
    ----------
    authority
        Issues every party's certificate.
    operator
        Name of the operator, whose node keeps the log.
    trustees
        Names of the trustees, in the order of their shares of the threshold key, the first of which is number 1.
    threshold_key
        Paillier key whose shares the trustees hold.
    datasets
        In the order of their names.
    """

    authority: Authority
    operator: str
    trustees: tuple[str, ...]
    threshold_key: ThresholdKey
    datasets: tuple[Dataset, ...]

    def dataset(self, schema_id: int) -> Dataset:
        """The dataset of a schema; raises :class:`services.errors.UnknownSchema`."""
        for dataset in self.datasets:
            if dataset.schema.schema_id == schema_id:
                return dataset
        raise UnknownSchema("schema_id", "no dataset of this network has this schema")

    def named(self, name: str) -> Dataset:
        """The dataset of a name; raises :class:`services.errors.UnknownSchema`."""
        for dataset in self.datasets:
            if dataset.name == name:
                return dataset
        raise UnknownSchema("dataset", f"no dataset of this network is called {name!r}")

    @cached_property
    def schemas(self) -> dict[str, Schema]:
        """The schemas by their datasets' names."""
        return {dataset.name: dataset.schema for dataset in self.datasets}

    def digests(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Kind, identifier and SHA-256 digest of everything that belongs on the ledger."""
        yield "threshold_key", self.threshold_key.fingerprint, _sha256(self.threshold_key.to_bytes())
        for dataset in self.datasets:
            identifier = dataset.schema.schema_id.to_bytes(32, "big")
            yield "schema", identifier, _sha256(dataset.schema.to_toml().encode())
            yield "filing_key", identifier, dataset.filing_key.digest()
            yield "score_key", identifier, dataset.score_key.digest()

    def check_published(self, ledger: Published) -> None:
        """Refuses parameters that are not the ones on the ledger (:class:`services.errors.NotAnchored`)."""
        for kind, identifier, digest in self.digests():
            if ledger.published(kind, identifier) != digest:
                raise NotAnchored(f"parameters.{kind}", "the ledger holds another digest, or none")


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
