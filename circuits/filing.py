"""``filing``: a committed record is what an enterprise encrypts, proved without showing it.

For the public inputs (root, schema_id, subject, period, attributes, commitments_digest) the prover knows a record, its
blinding, its place in the tree, and one blinding s_j a field, such that

* the record's leaf lies under ``root``;
* every carried field x_j is below 2^64;
* P_j = x_j G + s_j H on Baby Jubjub, and ``commitments_digest`` is Poseidon of all coordinates of the P_j;
* the schema's rules hold.

The circuit is generated from the schema. It is sound because every x_j *is* a sum of 64 Boolean wires, so that range,
leaf, rules and commitment speak of one number; a rule's two sides differ by less than 2^134 in size, so that they are
equal as integers if they are equal modulo the field. s_j is a sum of 84 digits of the prover's choice that no other
constraint uses, and every scalar modulo the subgroup's order is such a sum, so P_j hides perfectly.

With four fields there are 11,887 constraints: 8,364 for leaf and path (of which 32 levels of 241), 403 for the digest,
and for each field 65 for its range and 715 for its commitment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from circuits.constraints import Circuit, ConstraintSystem, LinearCombination
from circuits.gadgets import babyjubjub as curve
from circuits.gadgets import merkle, poseidon
from circuits.gadgets.bits import enforce_boolean, from_bits
from circuits.record import Opening, attributes_id, period_id, subject_id
from circuits.schema import VALUE_BITS, Schema
from zkcore import babyjubjub, pedersen
from zkcore import poseidon as plain_poseidon
from zkcore.errors import WrongLength
from zkcore.merkle import DEPTH


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
    values = carried_fields(cs, schema)
    with cs.scope("the schema's rules hold"):
        for rule in schema.rules:
            terms, constant = rule.terms
            total = cs.combination(constant)
            for field, (value, _) in zip(schema.fields, values, strict=True):
                total = total + (value - field.offset).scaled(terms.get(field.name, 0))
            cs.enforce_equal(total, 0, f"rule {rule.name}: {rule.relation}")
    with cs.scope("the leaf lies under the root"):
        leaf = record_leaf(cs, [schema_id, subject, period, attributes], [value for value, _ in values])
        cs.enforce_equal(path_root(cs, leaf), root, "the path ends at the root")
    coordinates: list[LinearCombination] = []
    for field, (_, bits) in zip(schema.fields, values, strict=True):
        with cs.scope(f"commitment to {field.name}"):
            blinding = (pedersen.H, f"commitment_blinding.{field.name}")
            coordinates += curve.fixed_base_sum(cs, [(pedersen.G, bits)], [blinding], "x G + s H")
    with cs.scope("digest of the commitments"):
        cs.enforce_equal(poseidon.chain(cs, coordinates, "Poseidon"), digest, "the digest is the public one")
    return cs.finish()


def carried_fields(cs: ConstraintSystem, schema: Schema) -> list[tuple[LinearCombination, list[LinearCombination]]]:
    """For every field its carried value and the 64 Boolean wires that it is the sum of."""
    values = []
    for field in schema.fields:
        with cs.scope(f"{field.name} is below 2^{VALUE_BITS}"):
            value = cs.private(f"field.{field.name}")
            bits = cs.unchecked_bits(value, VALUE_BITS)
            for bit in bits:
                enforce_boolean(cs, bit, "a bit is 0 or 1")
            cs.enforce_equal(from_bits(cs, bits), value, "the bits add up to the value")
            values.append((value, bits))
    return values


def record_leaf(
    cs: ConstraintSystem, identity: Sequence[LinearCombination], values: Sequence[LinearCombination]
) -> LinearCombination:
    """The leaf of a record with these (schema_id, subject, period, attributes) and carried values."""
    body = poseidon.chain(cs, values, "body")
    return poseidon.hash(cs, [*identity, body, cs.private("leaf_blinding")], "leaf")


def path_root(cs: ConstraintSystem, leaf: LinearCombination) -> LinearCombination:
    """The root of the tree in which the leaf lies, at a private place."""
    return merkle.root(cs, leaf, cs.privates("left_children", DEPTH), cs.privates("siblings", DEPTH))


def opening_inputs(opening: Opening) -> dict[str, int | Sequence[int]]:
    """Values of the private inputs that :func:`carried_fields`, :func:`record_leaf` and :func:`path_root` declare."""
    if len(opening.path.siblings) != DEPTH:
        raise WrongLength("opening.path", f"a path has {DEPTH} siblings")
    inputs: dict[str, int | Sequence[int]] = {
        f"field.{field.name}": value
        for field, value in zip(opening.record.schema.fields, opening.record.carried(), strict=True)
    }
    inputs["leaf_blinding"] = opening.blinding
    leaf = opening.record.leaf(opening.blinding)
    inputs["left_children"] = merkle.left_children(leaf, opening.path)
    inputs["siblings"] = opening.path.siblings
    return inputs


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
    blindings: dict[str, int | Sequence[int]] = {}
    for field, blinding in zip(schema.fields, commitment_blindings, strict=True):
        blindings |= curve.blinding_inputs(f"commitment_blinding.{field.name}", pedersen.H, blinding)
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
    inputs = opening_inputs(opening)
    inputs.update(zip(circuit.public_names, statement.public_inputs(), strict=True))
    inputs |= blindings
    return statement, commitments, circuit.witness(inputs)
