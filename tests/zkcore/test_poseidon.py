"""Poseidon against circomlib's values and against its definition, round by round."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import poseidon
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength
from zkcore.limbs import from_limbs, to_limbs

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/circomlib/vectors.json").read_text())["poseidon"]
elements = st.one_of(st.sampled_from([0, 1, 2, R - 1, R - 2]), st.integers(0, R - 1))


def by_definition(inputs: list[int]) -> int:
    """The permutation without the sparse form of its partial rounds."""
    instance = poseidon.parameters(len(inputs) + 1)
    state, half = [0, *inputs], instance.full_rounds // 2
    for index, constants in enumerate(instance.round_constants):
        state = [(word + constant) % R for word, constant in zip(state, constants, strict=True)]
        partial = half <= index < half + instance.partial_rounds
        state = [pow(word, 5, R) if i == 0 or not partial else word for i, word in enumerate(state)]
        state = [sum(a * b for a, b in zip(row, state, strict=True)) % R for row in instance.matrix]
    return state[0]


@pytest.mark.parametrize("width", range(1, 17))
def test_circomlib(width: int) -> None:
    rows = [(list(map(int, v["inputs"])), int(v["hash"])) for v in VECTORS if len(v["inputs"]) == width]
    assert len(rows) == 4
    for inputs, expected in rows:
        assert poseidon.hash(inputs) == expected
    together = np.stack([to_limbs(inputs) for inputs, _ in rows])
    assert from_limbs(poseidon.hash_rows(together)) == [expected for _, expected in rows]


def test_the_published_value() -> None:
    published = 7853200120776062878684798364095072458815029376092732009249414926327459813530
    assert poseidon.hash([1, 2]) == published


@given(st.lists(elements, min_size=1, max_size=16))
@settings(deadline=None, max_examples=40)
def test_the_definition(inputs: list[int]) -> None:
    assert poseidon.hash(inputs) == by_definition(inputs)


@pytest.mark.parametrize("width", [2, 3, 17])
def test_parameters(width: int) -> None:
    instance = poseidon.parameters(width)
    assert len(instance.round_constants) == instance.full_rounds + instance.partial_rounds
    assert all(len(row) == width for row in (*instance.round_constants, *instance.matrix))
    assert all(0 < value < R for row in instance.matrix for value in row)


def test_no_rows() -> None:
    assert poseidon.hash_rows(np.empty((0, 2, 4), np.uint64)).shape == (0, 4)


def test_chain() -> None:
    values = list(range(1, 40))
    for count in (1, 16):
        assert poseidon.chain(values[:count]) == poseidon.hash(values[:count])
    first = poseidon.hash(values[:16])
    assert poseidon.chain(values[:17]) == poseidon.hash([first, 17])
    second = poseidon.hash([first, *values[16:31]])
    assert poseidon.chain(values[:31]) == second
    assert poseidon.chain(values) == poseidon.hash([second, *values[31:]])


def test_refusals() -> None:
    for count in (0, 17):
        with pytest.raises(WrongLength):
            poseidon.hash([1] * count)
        with pytest.raises(WrongLength):
            poseidon.hash_rows(np.zeros((1, count, 4), np.uint64))
    with pytest.raises(WrongLength):
        poseidon.parameters(18)
    with pytest.raises(WrongLength):
        poseidon.chain([])
    for value in (-1, R, 2**256):
        with pytest.raises(OutOfRange) as refused:
            poseidon.hash([1, value])
        assert refused.value.part == "inputs[1]"
    with pytest.raises(OutOfRange):
        poseidon.hash_rows(to_limbs([1, R])[np.newaxis])
