"""``filing``: a committed record is what an enterprise encrypts, proved without showing it.

For the public inputs (root, schema_id, subject, period, attributes, commitments_digest) the prover knows a record, its
blinding, its place in the tree, and one blinding s_j a field, such that

* the record's leaf lies under ``root``;
* every carried field x_j is below 2^64;
* P_j = x_j G + s_j H on Baby Jubjub, and ``commitments_digest`` is Poseidon of all coordinates of the P_j;
* the schema's rules hold.

The circuit is generated from the schema. It is sound because every x_j *is* the sum of the digits that its commitment
is made of, so that range, leaf, rules and commitment speak of one number; a rule's two sides differ by less than 2^134
in size, so that they are equal as integers if they are equal modulo the field. s_j is a sum of 55 digits of the
prover's choice that no other constraint uses, and every scalar modulo the subgroup's order is such a sum, so P_j hides
perfectly.

With four fields there are 7,779 constraints: 4,932 for leaf and path (381 for the leaf, 325 for each of 14 levels, one
for the root), 403 for the digest, and 611 for each field's range and commitment. So they fit a domain of 2^13.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from circuits.constraints import Circuit, ConstraintSystem, LinearCombination
from circuits.gadgets import babyjubjub as curve
from circuits.gadgets import merkle, poseidon, windows
from circuits.gadgets.bits import to_bits
from circuits.record import FIELDS_PACKED, Opening, attributes_id, period_id, subject_id
from circuits.schema import VALUE_BITS, Schema
from zkcore import babyjubjub, pedersen
from zkcore import poseidon as plain_poseidon
from zkcore.errors import WrongLength
from zkcore.merkle import ARITY, DEPTH, SIBLINGS


@dataclass(frozen=True)
class Statement:
    """What a filing proof states; all of it public."""

    root: int
    schema_id: int
    subject: int
    period: int
    attributes: int
    commitments_digest: int

    def public_inputs(self) -> list[int]:
        """In the circuit's order."""
        return [self.root, self.schema_id, self.subject, self.period, self.attributes, self.commitments_digest]


def commitments_digest(commitments: Sequence[babyjubjub.Point]) -> int:
    """Poseidon of the coordinates x_1, y_1, x_2, ... of the commitments."""
    return plain_poseidon.chain([coordinate for point in commitments for coordinate in point])


@lru_cache(maxsize=16)
def build(schema: Schema) -> Circuit:
    """The filing circuit of a schema."""
    cs = ConstraintSystem(f"filing-{schema.name}")
    root, schema_id, subject, period, attributes, digest = (
        cs.public(name) for name in ("root", "schema_id", "subject", "period", "attributes", "commitments_digest")
    )
    values: list[LinearCombination] = []
    coordinates: list[LinearCombination] = []
    for field in schema.fields:
        number, blinding = (pedersen.G, f"field.{field.name}"), (pedersen.H, f"commitment_blinding.{field.name}")
        with cs.scope(f"commitment to {field.name}"):
            value, point = curve.commitment(cs, number, blinding, "x G + s H")
        values.append(value)
        coordinates += point
    with cs.scope("the schema's rules hold"):
        for rule in schema.rules:
            terms, constant = rule.terms
            total = cs.combination(constant)
            for field, value in zip(schema.fields, values, strict=True):
                total = total + (value - field.offset).scaled(terms.get(field.name, 0))
            cs.enforce_equal(total, 0, f"rule {rule.name}: {rule.relation}")
    with cs.scope("the leaf lies under the root"):
        leaf = record_leaf(cs, [schema_id, subject, period, attributes], values)
        cs.enforce_equal(path_root(cs, leaf), root, "the path ends at the root")
    with cs.scope("digest of the commitments"):
        cs.enforce_equal(poseidon.chain(cs, coordinates, "Poseidon"), digest, "the digest is the public one")
    return cs.finish()


def carried_fields(cs: ConstraintSystem, schema: Schema) -> list[LinearCombination]:
    """For every field a wire with its carried value, which is shown to be below 2^64."""
    values = []
    for field in schema.fields:
        with cs.scope(f"{field.name} is below 2^{VALUE_BITS}"):
            values.append(cs.private(f"field.{field.name}"))
            to_bits(cs, values[-1], VALUE_BITS, "the value")
    return values


def record_leaf(
    cs: ConstraintSystem, identity: Sequence[LinearCombination], values: Sequence[LinearCombination]
) -> LinearCombination:
    """The leaf of a record with these (schema_id, subject, period, attributes) and carried values."""
    blinding = cs.private("leaf_blinding")
    numbers = [
        sum((value * (1 << VALUE_BITS * place) for place, value in enumerate(three)), cs.combination(0))
        for three in (values[start : start + FIELDS_PACKED] for start in range(0, len(values), FIELDS_PACKED))
    ]
    return poseidon.hash(cs, [*identity, blinding, *numbers], "leaf")


def path_root(cs: ConstraintSystem, leaf: LinearCombination) -> LinearCombination:
    """The root of the tree in which the leaf lies, at a private place."""
    return merkle.root(cs, leaf, cs.privates("families", DEPTH * ARITY))


def path_inputs(opening: Opening) -> dict[str, int | Sequence[int]]:
    """Values of the private inputs that :func:`record_leaf` and :func:`path_root` declare."""
    if len(opening.path.siblings) != DEPTH * SIBLINGS:
        raise WrongLength("opening.path", f"a path has {DEPTH * SIBLINGS} siblings")
    families = opening.path.families(opening.record.leaf(opening.blinding))
    return {"leaf_blinding": opening.blinding, "families": list(chain.from_iterable(families))}


def opening_inputs(opening: Opening) -> dict[str, int | Sequence[int]]:
    """The same, and those of :func:`carried_fields`."""
    record = opening.record
    names = (f"field.{field.name}" for field in record.schema.fields)
    return dict(zip(names, record.carried(), strict=True)) | path_inputs(opening)


def assign(
    schema: Schema, opening: Opening, commitment_blindings: Sequence[int]
) -> tuple[Statement, list[babyjubjub.Point], NDArray[np.uint64]]:
    """Statement, commitments and witness uint64[n_wires, 4] for a record.

    Parameters
    ----------
    schema
        The record's schema.
    opening
        The record and its place.
    commitment_blindings
        One s_j a field, uniform in ``[0, ORDER)``, fresh for every filing.

    Raises
    ------
    WrongLength, OutOfRange
        If the blindings are not one a field in their domain.
    Unsatisfied
        If the opening does not satisfy the circuit; the message names the constraint.
    """
    record = opening.record
    carried = record.carried()
    if len(commitment_blindings) != len(carried):
        raise WrongLength("commitment_blindings", f"the schema has {len(carried)} fields")
    inputs: dict[str, int | Sequence[int]] = {}
    for field, value, blinding in zip(schema.fields, carried, commitment_blindings, strict=True):
        inputs |= windows.number_inputs(f"field.{field.name}", pedersen.G, value)
        inputs |= windows.blinding_inputs(f"commitment_blinding.{field.name}", pedersen.H, blinding)
    commitments = [pedersen.commit(*pair) for pair in zip(carried, commitment_blindings, strict=True)]
    statement = Statement(
        opening.root,
        schema.schema_id,
        subject_id(record.subject),
        period_id(record.period),
        attributes_id(schema, record.attributes),
        commitments_digest(commitments),
    )
    circuit = build(schema)
    inputs |= path_inputs(opening)
    inputs.update(zip(circuit.public_names, statement.public_inputs(), strict=True))
    return statement, commitments, circuit.witness(inputs)
