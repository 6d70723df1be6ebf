"""``membership``: a record of a subject and period is committed under a root; nothing else about it is shown.

For the public inputs (root, schema_id, subject, period) the prover knows attributes, carried fields, blinding and place
of a record whose leaf lies under ``root``. Fields are shown to be below 2^64, so that the record is a well-formed one.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from circuits.constraints import Circuit, ConstraintSystem
from circuits.filing import carried_fields, opening_inputs, path_root, record_leaf
from circuits.record import Opening, attributes_id, period_id, subject_id
from circuits.schema import Schema


@dataclass(frozen=True)
class Statement:
    """What a membership proof states; all of it public."""

    root: int
    schema_id: int
    subject: int
    period: int

    def public_inputs(self) -> list[int]:
        """In the circuit's order."""
        return [self.root, self.schema_id, self.subject, self.period]


@lru_cache(maxsize=16)
def build(schema: Schema) -> Circuit:
    """The membership circuit of a schema."""
    cs = ConstraintSystem(f"membership-{schema.name}")
    root, *identity = (cs.public(name) for name in ("root", "schema_id", "subject", "period"))
    values = carried_fields(cs, schema)
    with cs.scope("the leaf lies under the root"):
        leaf = record_leaf(cs, [*identity, cs.private("attributes")], values)
        cs.enforce_equal(path_root(cs, leaf), root, "the path ends at the root")
    return cs.finish()


def assign(schema: Schema, opening: Opening) -> tuple[Statement, NDArray[np.uint64]]:
    """Statement and witness uint64[n_wires, 4].

    Raises
    ------
    Unsatisfied
        If the opening does not satisfy the circuit; the message names the constraint.
    """
    record = opening.record
    statement = Statement(opening.root, schema.schema_id, subject_id(record.subject), period_id(record.period))
    circuit = build(schema)
    inputs = opening_inputs(opening)
    inputs.update(zip(circuit.public_names, statement.public_inputs(), strict=True))
    inputs["attributes"] = attributes_id(schema, record.attributes)
    return statement, circuit.witness(inputs)
