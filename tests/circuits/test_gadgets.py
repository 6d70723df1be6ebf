"""Gadgets against plain Python: right answers on edges, wrong answers refused, no wire left free."""

from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.constraints import Circuit, ConstraintSystem, LinearCombination
from circuits.gadgets import babyjubjub as curve
from circuits.gadgets import bits, comparison, lookup, merkle, poseidon, windows
from tests.circuits.free_wires import free_wires
from zkcore import babyjubjub, pedersen
from zkcore import poseidon as plain_poseidon
from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, Unsatisfied, WrongLength
from zkcore.limbs import from_limbs
from zkcore.merkle import ARITY, MerklePath, MerkleTree

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


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7, 8, 16, 20])
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


def test_poseidon_of_one_wire_twice() -> None:
    def write(cs: ConstraintSystem) -> None:
        digest, a = cs.public("digest"), cs.private("a")
        cs.enforce_equal(poseidon.hash(cs, [a, a], "hash"), digest, "the digest")

    built = circuit(write)
    built.check(built.witness({"digest": plain_poseidon.hash([7, 7]), "a": 7}))


@pytest.mark.parametrize("factor", [0, 3])
def test_poseidon_of_linear_combinations(factor: int) -> None:
    """Of single wires and of others, of constants among them, with the same constraints as product by product."""

    def write(cs: ConstraintSystem) -> None:
        digest = cs.public("digest")
        a, b = cs.privates("inputs", 2)
        cs.enforce_equal(poseidon.hash(cs, [a + b * factor, b - factor, 5], "hash"), digest, "the digest")

    built = circuit(write)
    digest = plain_poseidon.hash([5 + 6 * factor, 6 - factor, 5])
    witness = built.witness({"digest": digest, "inputs": [5, 6]})
    built.check(witness)
    assert free_wires(built, witness) == []


def test_the_powers_of_a_hash_are_those_that_its_constraints_ask_for() -> None:
    """A hash's wires are made all at once, and not held to its constraints one by one; so any of them may be wrong."""

    def write(cs: ConstraintSystem) -> None:
        cs.enforce_equal(poseidon.hash(cs, cs.privates("inputs", 2), "hash"), cs.combination(7), "the digest")

    with pytest.raises(Unsatisfied) as refused:
        circuit(write).witness({"inputs": [1, 2]})
    assert refused.value.part == "test: the digest"


def test_a_template_is_what_would_have_been_written() -> None:
    def part(cs: ConstraintSystem, a: LinearCombination, b: LinearCombination) -> list[LinearCombination]:
        with cs.scope("inner"):
            product = cs.multiply(a + 2, b, "product")
            low, high = cs.unchecked_bits(a, 2)
            cs.enforce_equal(low + high * 2, a, "bits")
            quotient = cs.unchecked_quotient(product, b)
            cs.enforce(quotient, b, product + cs.unchecked_is_zero(b), "quotient")
        return [product - 3, quotient]

    def whole(cs: ConstraintSystem) -> None:
        answer, *inputs = cs.public("answer"), *cs.privates("inputs", 2)
        with cs.scope("outer"):
            first, second = part(cs, *inputs)
        cs.enforce_equal(first + second, answer, "the answer")

    def inserted(cs: ConstraintSystem) -> None:
        answer, *inputs = cs.public("answer"), *cs.privates("inputs", 2)
        template = ConstraintSystem("part")
        made = template.template(*part(template, *template.privates("inputs", 2)))
        with cs.scope("outer"):
            first, second = cs.insert(made, inputs)
        cs.enforce_equal(first + second, answer, "the answer")

    one, other = circuit(whole), circuit(inserted)
    assert one.digest() == other.digest()
    assert one.breakdown() == other.breakdown() == {"outer": 3, "the answer": 1}
    for row in range(one.n_constraints):
        assert one.origin(row).label == other.origin(row).label
    right = {"answer": 5 * 7 - 3 + 5, "inputs": [3, 7]}
    assert (one.witness(right) == other.witness(right)).all()
    for built in (one, other):
        for wrong, part_named in (({"answer": 1}, "the answer"), ({"inputs": [4, 7]}, "outer / inner / bits")):
            with pytest.raises(Unsatisfied) as refused:
                built.witness(right | wrong)
            assert refused.value.part == f"test: {part_named}"


def test_what_is_no_template_is_refused() -> None:
    public, late, few = (ConstraintSystem(name) for name in ("public", "late", "few"))
    public.public("a")
    a = late.private("a")
    late.multiply(a, a)
    late.private("b")
    for cs in (public, late):
        with pytest.raises(Malformed):
            cs.template()
    template = ConstraintSystem("part")
    a = template.private("a")
    made = template.template(template.multiply(a, a))
    b = few.private("b")
    with pytest.raises(WrongLength):
        few.insert(made, [])
    for wrong in (b + 1, b * 2, few.combination(1)):
        with pytest.raises(Malformed):
            few.insert(made, [wrong])
    template = ConstraintSystem("sum")
    a, c = template.privates("a", 2)
    with pytest.raises(Malformed):
        few.insert(template.template(template.multiply(a + c, a)), [b, b])


def test_merkle_paths() -> None:
    depth = 3

    def write(cs: ConstraintSystem) -> None:
        root = cs.public("root")
        path = merkle.root(cs, cs.private("leaf"), cs.privates("families", depth * ARITY))
        cs.enforce_equal(path, root, "the root")

    built = circuit(write)
    tree = MerkleTree(depth)
    leaves = [*range(100, 290, 10)]
    tree.extend(leaves)
    for index in (0, 1, 4, 17, 18):
        leaf, path = leaves[index], tree.path(index)
        families = [*chain.from_iterable(path.families(leaf))]
        inputs = {"root": tree.root, "leaf": leaf, "families": families}
        assert free_wires(built, built.witness(inputs)) == []
        beside = MerklePath(index - index % ARITY + (index + 1) % ARITY, path.siblings)
        swapped = [*chain.from_iterable(beside.families(leaf))]
        for wrong in ({"leaf": 99}, {"families": swapped}, {"families": [*families[:-1], families[-1] ^ 1]}):
            with pytest.raises(Unsatisfied):
                built.witness({**inputs, **wrong})


def test_only_the_children_of_a_node_lie_under_it() -> None:
    def write(cs: ConstraintSystem) -> None:
        root = cs.public("root")
        path = merkle.root(cs, cs.private("leaf"), cs.privates("families", ARITY))
        cs.enforce_equal(path, root, "the root")

    built, family = circuit(write), [11, 22, 33, 44, 55]
    root = plain_poseidon.hash(family)
    for leaf in family:
        built.witness({"root": root, "leaf": leaf, "families": family})
    for forged in (7, 0, 11 + 55, R - 11, root):
        with pytest.raises(Unsatisfied) as refused:
            built.witness({"root": root, "leaf": forged, "families": family})
        assert "one of the children" in refused.value.part
        for place in range(ARITY):
            with pytest.raises(Unsatisfied) as refused:
                others = [*family[:place], forged, *family[place + 1 :]]
                built.witness({"root": root, "leaf": forged, "families": others})
            assert refused.value.part == "test: the root"


def scalar_bits(cs: ConstraintSystem, name: str, count: int) -> list:
    return bits.to_bits(cs, cs.private(name), count, name)


def committing() -> Circuit:
    def write(cs: ConstraintSystem) -> None:
        x, y, value = cs.public("x"), cs.public("y"), cs.public("value")
        number, point = curve.commitment(cs, (pedersen.G, "number"), (pedersen.H, "blinding"), "commitment")
        cs.enforce_equal(point[0], x, "x")
        cs.enforce_equal(point[1], y, "y")
        cs.enforce_equal(number, value, "the number")

    return circuit(write)


COMMITTING = committing()


def commitment_inputs(value: int, blinding: int) -> dict:
    x, y = pedersen.commit(value, blinding)
    digits = windows.number_inputs("number", pedersen.G, value)
    digits |= windows.blinding_inputs("blinding", pedersen.H, blinding)
    return {"x": x, "y": y, "value": value, **digits}


@pytest.mark.parametrize("value", [*EDGES, 1 << 63, (1 << 63) - 1, (1 << 62) - 1, 4 * 0o33333333333333333333])
@pytest.mark.parametrize("blinding", [0, 1, 2, babyjubjub.ORDER // 2, babyjubjub.ORDER - 2, babyjubjub.ORDER - 1])
def test_the_commitment(value: int, blinding: int) -> None:
    if value == blinding == 0:
        return
    inputs = commitment_inputs(value, blinding)
    witness = COMMITTING.witness(inputs)
    if value == 77 and blinding == 2:
        assert free_wires(COMMITTING, witness) == []
    for wrong in ({"x": R - inputs["x"]}, {"value": value ^ 1}):
        with pytest.raises(Unsatisfied):
            COMMITTING.witness({**inputs, **wrong})


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(1, babyjubjub.ORDER - 1))
def test_commitments(value: int, blinding: int) -> None:
    COMMITTING.witness(commitment_inputs(value, blinding))


def test_a_commitment_takes_611_constraints() -> None:
    assert COMMITTING.breakdown()["commitment"] == 611


def test_the_identity_has_no_witness() -> None:
    with pytest.raises(Unsatisfied) as refused:
        COMMITTING.witness(commitment_inputs(0, 0))
    assert "slope" in refused.value.part


@pytest.mark.parametrize("place", [0, 1, 53, 54])
def test_digits_of_a_blinding_are_points_of_the_table(place: int) -> None:
    inputs = commitment_inputs(5, 1 << 200)
    others = {
        "u": (0, 1, R - inputs["blinding.u"][place], windows.blinding(pedersen.H)[(place + 1) % 55][0][0]),
        "v": (0, 1, windows.blinding(pedersen.H)[place][0][1] ^ 1),
    }
    for part, values in others.items():
        for other in values:
            digits = list(inputs[f"blinding.{part}"])
            digits[place] = other
            with pytest.raises(Unsatisfied) as refused:
                COMMITTING.witness({**inputs, f"blinding.{part}": digits})
            assert "u of a digit" in refused.value.part or "or its opposite" in refused.value.part
    # Every digit of the table, and its opposite, is a digit: another blinding, hence another commitment.
    for u, v in windows.blinding(pedersen.H)[place]:
        for sign in (1, -1):
            changed = {f"blinding.{part}": list(inputs[f"blinding.{part}"]) for part in "uv"}
            changed["blinding.u"][place], changed["blinding.v"][place] = u, sign * v % R
            if changed == {name: inputs[name] for name in changed}:
                continue
            with pytest.raises(Unsatisfied) as refused:
                COMMITTING.witness({**inputs, **changed})
            assert refused.value.part == "test: x"


@pytest.mark.parametrize("place", [0, 19])
def test_digits_of_a_number_are_points_of_the_table(place: int) -> None:
    inputs = commitment_inputs(5, 1 << 200)
    for part, other in (("low", 2), ("high", R - 1), ("v", 1), ("v", 0)):
        digits = list(inputs[f"number.{part}"])
        digits[place] = other
        with pytest.raises(Unsatisfied) as refused:
            COMMITTING.witness({**inputs, f"number.{part}": digits})
        assert "bit of a window" in refused.value.part or "or its opposite" in refused.value.part
    for end in range(4):
        digits = list(inputs["number.ends"])
        digits[end] = 2
        with pytest.raises(Unsatisfied) as refused:
            COMMITTING.witness({**inputs, "number.ends": digits})
        assert "bit of a window" in refused.value.part
    # The opposite of a digit is a digit of another number.
    digits = list(inputs["number.v"])
    digits[place] = R - digits[place]
    with pytest.raises(Unsatisfied) as refused:
        COMMITTING.witness({**inputs, "number.v": digits})
    assert refused.value.part == "test: x"


def test_scalars_are_checked() -> None:
    for scalar in (-1, babyjubjub.ORDER):
        with pytest.raises(OutOfRange):
            windows.blinding_inputs("blinding", pedersen.H, scalar)
    for number in (-1, 1 << 64):
        with pytest.raises(OutOfRange):
            windows.number_inputs("number", pedersen.G, number)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, R - 1), min_size=12, max_size=12, unique=True), st.integers(0, R - 1))
def test_one_of_twelve(numbers: list[int], other: int) -> None:
    """The equation is the polynomial with these roots: it holds for them, and its other values are the product's."""
    (a, b), left, right, rest = windows.one_of_twelve(numbers)

    def difference(u: int) -> int:
        s = u**3 * (u**3 + a * u**2 + b * u)
        first, second, third = (sum(f * u**i for i, f in enumerate(p)) for p in (left, right, rest))
        return ((s + first) * (s + second) - third) % R

    assert [difference(u) for u in numbers] == [0] * 12
    expected = 1
    for root in numbers:
        expected = expected * (other - root) % R
    assert difference(other) == expected


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
