"""Gadgets against plain Python: right answers on edges, wrong answers refused, no wire left free."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.constraints import Circuit, ConstraintSystem, LinearCombination
from circuits.gadgets import babyjubjub as curve
from circuits.gadgets import bits, comparison, lookup, merkle, poseidon
from tests.circuits.free_wires import free_wires
from zkcore import babyjubjub, pedersen
from zkcore import poseidon as plain_poseidon
from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, Unsatisfied, WrongLength
from zkcore.limbs import from_limbs
from zkcore.merkle import MerklePath, MerkleTree

EDGES = [0, 1, 2, 76, 77, 78, (1 << 32) - 1, (1 << 64) - 2, (1 << 64) - 1]


def circuit(write: Callable[[ConstraintSystem], None]) -> Circuit:
    cs = ConstraintSystem("test")
    write(cs)
    return cs.finish()


def comparing() -> Circuit:
    def write(cs: ConstraintSystem) -> None:
        answer, equal = cs.public("answer"), cs.public("equal")
        a, b = cs.private("a"), cs.private("b")
        bits.to_bits(cs, a, 64, "a")
        cs.enforce_equal(comparison.at_least(cs, a, b, 64, "a >= b"), answer, "the answer")
        cs.enforce_equal(comparison.is_equal(cs, a, b, "a = b"), equal, "the equality")

    return circuit(write)


COMPARING = comparing()


@pytest.mark.parametrize("a", EDGES)
@pytest.mark.parametrize("b", [*EDGES, 1 << 64])
def test_comparison_on_edges(a: int, b: int) -> None:
    inputs = {"answer": int(a >= b), "equal": int(a == b), "a": a, "b": b}
    COMPARING.witness(inputs)
    for name in ("answer", "equal"):
        with pytest.raises(Unsatisfied):
            COMPARING.witness({**inputs, name: 1 - inputs[name]})


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_comparison(a: int, b: int) -> None:
    COMPARING.witness({"answer": int(a >= b), "equal": int(a == b), "a": a, "b": b})


@pytest.mark.parametrize("a", [1 << 64, R - 1])
def test_a_value_out_of_range_is_refused_by_name(a: int) -> None:
    with pytest.raises(Unsatisfied) as refused:
        COMPARING.witness({"answer": 1, "equal": 0, "a": a, "b": 0})
    assert "a is below 2^64" in refused.value.part
    assert "bits.py" in refused.value.why


def test_comparison_leaves_no_wire_free_but_the_quotient_of_equals() -> None:
    witness = COMPARING.witness({"answer": 1, "equal": 0, "a": 9, "b": 7})
    assert free_wires(COMPARING, witness) == []
    equal = COMPARING.witness({"answer": 1, "equal": 1, "a": 9, "b": 9})
    assert len(free_wires(COMPARING, equal)) == 1


def test_decompositions_are_unique() -> None:
    cs = ConstraintSystem("test")
    for count in (0, 254):
        with pytest.raises(OutOfRange):
            bits.to_bits(cs, cs.combination(1), count, "x")


@pytest.mark.parametrize("count", [1, 2, 4, 16, 20])
def test_poseidon_is_poseidon(count: int) -> None:
    def write(cs: ConstraintSystem) -> None:
        digest = cs.public("digest")
        cs.enforce_equal(poseidon.chain(cs, cs.privates("inputs", count), "hash"), digest, "the digest")

    inputs = [R - 1, *range(1, count)]
    built = circuit(write)
    witness = built.witness({"digest": plain_poseidon.chain(inputs), "inputs": inputs})
    assert free_wires(built, witness) == []
    with pytest.raises(Unsatisfied):
        built.witness({"digest": plain_poseidon.chain(inputs) - 1, "inputs": inputs})
    if count == 2:
        assert built.n_constraints == 241


def test_poseidon_of_constants_is_constant() -> None:
    cs = ConstraintSystem("test")
    assert poseidon.hash(cs, [1, 2], "hash").constant == plain_poseidon.hash([1, 2])


@pytest.mark.parametrize("factor", [0, 3])
def test_a_repeated_block_is_what_would_have_been_written(factor: int) -> None:
    def hashing(hash: Callable[[ConstraintSystem, list[LinearCombination]], LinearCombination]) -> Circuit:
        cs = ConstraintSystem("test")
        digest = cs.public("digest")
        a, b = cs.privates("inputs", 2)
        cs.enforce_equal(hash(cs, [a + b * factor, b - factor]), digest, "the digest")
        return cs.finish()

    def whole(cs: ConstraintSystem, inputs: list[LinearCombination]) -> LinearCombination:
        with cs.scope("hash"):
            return poseidon._after_first_powers(cs, poseidon._first_powers(cs, inputs))

    written, repeated = hashing(whole), hashing(lambda cs, inputs: poseidon.hash(cs, inputs, "hash"))
    assert written.digest() == repeated.digest()
    assert written.breakdown() == repeated.breakdown()
    values = [5, 6]
    digest = plain_poseidon.hash([5 + 6 * factor, 6 - factor])
    for built in (written, repeated):
        built.witness({"digest": digest, "inputs": values})


def test_only_products_of_late_wires_are_blocks() -> None:
    cs = ConstraintSystem("test")
    early, late = cs.private("early"), cs.private("late")
    start = cs.size
    block = cs.block(start, 2, cs.combination(7))
    assert cs.repeat(block, 2).constant == 7
    with pytest.raises(OutOfRange):
        cs.repeat(block, 1)
    product = late * late
    assert cs.block(start, 2, product).wires == (1, 1)
    with pytest.raises(OutOfRange):
        cs.block(start, 3, product)
    for write in (lambda: early * late, lambda: cs.unchecked_is_zero(late)):
        write()
        with pytest.raises((OutOfRange, Malformed)):
            cs.block(start, 2, product)
    with pytest.raises(Malformed):
        cs.block(start, 1, product)


def test_merkle_paths() -> None:
    depth = 5

    def write(cs: ConstraintSystem) -> None:
        root = cs.public("root")
        path = merkle.root(cs, cs.private("leaf"), cs.privates("lefts", depth), cs.privates("siblings", depth))
        cs.enforce_equal(path, root, "the root")

    built = circuit(write)
    tree = MerkleTree(depth)
    tree.extend(range(100, 119))
    for index in (0, 1, 17, 18):
        path = tree.path(index)
        lefts = merkle.left_children(100 + index, path)
        inputs = {"root": tree.root, "leaf": 100 + index, "lefts": lefts, "siblings": path.siblings}
        assert free_wires(built, built.witness(inputs)) == []
        swapped = merkle.left_children(100 + index, MerklePath(index ^ 1, path.siblings))
        for wrong in ({"leaf": 99}, {"lefts": swapped}, {"lefts": [lefts[0] ^ 1, *lefts[1:]]}):
            with pytest.raises(Unsatisfied):
                built.witness({**inputs, **wrong})


def test_a_sibling_cannot_be_chosen_to_fit_any_root() -> None:
    """With children x and y that hash to a root, no leaf but x and y lies under it."""

    def write(cs: ConstraintSystem) -> None:
        root = cs.public("root")
        path = merkle.root(cs, cs.private("leaf"), cs.privates("lefts", 1), cs.privates("siblings", 1))
        cs.enforce_equal(path, root, "the root")

    built, x, y, forged = circuit(write), 11, 22, 7
    root = plain_poseidon.hash([x, y])
    for leaf, sibling in ((x, y), (y, x)):
        built.witness({"root": root, "leaf": leaf, "lefts": [x], "siblings": [sibling]})
    # The sum of the children is right in each, so that the hash would be as well.
    for sibling in (x + y - forged, x, y):
        with pytest.raises(Unsatisfied) as refused:
            built.witness({"root": root, "leaf": forged, "lefts": [x], "siblings": [sibling]})
        assert ("node or its sibling" in refused.value.part) == (sibling != x)


def scalar_bits(cs: ConstraintSystem, name: str, count: int) -> list:
    return bits.to_bits(cs, cs.private(name), count, name)


def committing() -> Circuit:
    def write(cs: ConstraintSystem) -> None:
        x, y = cs.public("x"), cs.public("y")
        value = [(pedersen.G, scalar_bits(cs, "value", 64))]
        point = curve.fixed_base_sum(cs, value, [(pedersen.H, "blinding")], "commitment")
        cs.enforce_equal(point[0], x, "x")
        cs.enforce_equal(point[1], y, "y")

    return circuit(write)


COMMITTING = committing()


def commitment_inputs(value: int, blinding: int) -> dict:
    x, y = pedersen.commit(value, blinding)
    return {"x": x, "y": y, "value": value, **curve.blinding_inputs("blinding", pedersen.H, blinding)}


@pytest.mark.parametrize("value", EDGES)
@pytest.mark.parametrize("blinding", [0, 1, 2, babyjubjub.ORDER // 2, babyjubjub.ORDER - 2, babyjubjub.ORDER - 1])
def test_fixed_base_sum_is_the_commitment(value: int, blinding: int) -> None:
    if value == blinding == 0:
        return
    inputs = commitment_inputs(value, blinding)
    witness = COMMITTING.witness(inputs)
    if value == 77 and blinding == 2:
        assert free_wires(COMMITTING, witness) == []
    with pytest.raises(Unsatisfied):
        COMMITTING.witness({**inputs, "x": R - inputs["x"]})


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(1, babyjubjub.ORDER - 1))
def test_commitments(value: int, blinding: int) -> None:
    COMMITTING.witness(commitment_inputs(value, blinding))


def test_the_identity_has_no_witness() -> None:
    with pytest.raises(Unsatisfied) as refused:
        COMMITTING.witness(commitment_inputs(0, 0))
    assert "slope" in refused.value.part


@pytest.mark.parametrize("place", [0, 1, 82, 83])
def test_digits_of_a_blinding_are_points_of_the_table(place: int) -> None:
    inputs = commitment_inputs(5, 1 << 200)
    for part, other in (("low", 2), ("high", R - 1), ("v", 1)):
        digits = list(inputs[f"blinding.{part}"])
        digits[place] = other
        with pytest.raises(Unsatisfied) as refused:
            COMMITTING.witness({**inputs, f"blinding.{part}": digits})
        assert "digit's size" in refused.value.part or "or its opposite" in refused.value.part
    # The opposite of a digit is a digit: another blinding, hence another commitment.
    digits = list(inputs["blinding.v"])
    digits[place] = R - digits[place]
    with pytest.raises(Unsatisfied) as refused:
        COMMITTING.witness({**inputs, "blinding.v": digits})
    assert refused.value.part == "test: x"


def test_blindings_are_checked() -> None:
    for scalar in (-1, babyjubjub.ORDER):
        with pytest.raises(OutOfRange):
            curve.blinding_inputs("blinding", pedersen.H, scalar)
    cs = ConstraintSystem("test")
    with pytest.raises(WrongLength):
        curve.fixed_base_sum(cs, [(pedersen.G, cs.privates("bits", 2))], [(pedersen.H, "blinding")], "sum")


def test_variable_base_multiplication() -> None:
    def write(cs: ConstraintSystem) -> None:
        x, y = cs.public("x"), cs.public("y")
        point = (cs.private("px"), cs.private("py"))
        curve.enforce_on_curve(cs, point, "the point")
        result = curve.multiply(cs, point, scalar_bits(cs, "scalar", 8), "product")
        cs.enforce_equal(result[0], x, "x")
        cs.enforce_equal(result[1], y, "y")

    built = circuit(write)
    low_order = (0, R - 1)
    for point in (babyjubjub.GENERATOR, pedersen.H, babyjubjub.IDENTITY, low_order):
        for scalar in (0, 1, 2, 3, 128, 255):
            x, y = babyjubjub.multiply(point, scalar)
            inputs = {"x": x, "y": y, "px": point[0], "py": point[1], "scalar": scalar}
            built.witness(inputs)
            with pytest.raises(Unsatisfied):
                built.witness({**inputs, "y": (y + 1) % R})
    with pytest.raises(Unsatisfied) as refused:
        built.witness({"x": 0, "y": 1, "px": 1, "py": 1, "scalar": 0})
    assert "the point" in refused.value.part


def test_table_lookup() -> None:
    def write(cs: ConstraintSystem) -> None:
        answer = cs.public("answer")
        selection = cs.privates("selection", 3)
        lookup.enforce_one_hot(cs, selection, "choice")
        chosen = lookup.selected(cs, selection, [*cs.privates("table", 2), 30], "entry")
        cs.enforce_equal(chosen, answer, "the answer")

    built = circuit(write)
    for place, value in enumerate((10, 20, 30)):
        choice = [int(index == place) for index in range(3)]
        inputs = {"answer": value, "selection": choice, "table": [10, 20]}
        not_chosen = [5 + index for index in range(2) if index != place]
        assert free_wires(built, built.witness(inputs)) == not_chosen
    for wrong in ([0, 0, 0], [1, 1, 0], [2, 0, R - 1]):
        with pytest.raises(Unsatisfied):
            built.witness({"answer": 10, "selection": wrong, "table": [10, 20]})


def test_constraints_are_named_by_where_they_were_written() -> None:
    def write(cs: ConstraintSystem) -> None:
        a = cs.private("a")
        with cs.scope("outer"), cs.scope("inner"):
            cs.enforce_equal(a * a, 9, "a is three or minus three")

    built = circuit(write)
    built.witness({"a": R - 3})
    with pytest.raises(Unsatisfied) as refused:
        built.witness({"a": 4})
    assert refused.value.part == "test: outer / inner / a is three or minus three"
    assert "test_gadgets.py" in refused.value.why
    assert built.breakdown() == {"outer": 2}


def test_arithmetic_of_linear_combinations() -> None:
    def write(cs: ConstraintSystem) -> None:
        total = cs.public("total")
        a, b = cs.private("a"), cs.private("b")
        cs.enforce_equal(3 * a - b * 2 + 5 - (7 - a) + (a - a), total, "sum")
        assert (a - a).constant == 0
        assert (cs.combination(4) * cs.combination(5)).constant == 20

    built = circuit(write)
    assert built.n_constraints == 1
    built.witness({"total": (4 * 10 - 2 * 3 - 2) % R, "a": 10, "b": 3})


def test_inputs_are_checked() -> None:
    cs = ConstraintSystem("test")
    cs.private("a")
    with pytest.raises(Malformed):
        cs.public("late")
    with pytest.raises(Malformed):
        cs.private("a")
    built = cs.finish()
    for inputs, refusal in (({}, WrongLength), ({"a": 1, "b": 2}, WrongLength), ({"a": [1, 2]}, WrongLength)):
        with pytest.raises(refusal):
            built.witness(inputs)
    for value in (-1, R):
        with pytest.raises(OutOfRange):
            built.witness({"a": value})
    witness = built.witness({"a": 5})
    assert from_limbs(witness) == [1, 5]
    built.check(witness)
    with pytest.raises(WrongLength):
        built.check(witness[:1])
