"""Poseidon in constraints, equal to :func:`zkcore.poseidon.hash`: three constraints for each x^5, all else is free."""

from collections.abc import Sequence
from functools import cache
from operator import mul

from circuits.constraints import Block, ConstraintSystem, LinearCombination, Value
from zkcore import poseidon


def _fifth_power(cs: ConstraintSystem, x: LinearCombination) -> LinearCombination:
    square = cs.multiply(x, x, "x^2")
    if x.constant is not None:
        return cs.combination(pow(x.constant, 5, poseidon.R))
    return cs.multiply(cs.multiply(square, square, "x^4"), x, "x^5")


def _weighted(cs: ConstraintSystem, factors: Sequence[int], values: Sequence[LinearCombination]) -> LinearCombination:
    terms: dict[int, int] = {}
    for factor, value in zip(factors, values, strict=True):
        for wire, coefficient in value.terms.items():
            terms[wire] = (terms.get(wire, 0) + factor * coefficient) % poseidon.R
    return LinearCombination(cs, {wire: coefficient for wire, coefficient in terms.items() if coefficient})


@cache
def _partial_rounds(width: int) -> tuple[list[list[int]], list[list[int]]]:
    """The linear part of the partial rounds, which is the same for every input.

    Before them the state is w_1, ..., w_width; the round number i raises one word to a fifth power p_i. In the basis
    (1, w_1, ..., w_width, p_1, p_2, ...): for each round the word that is raised, and at the end the whole state.
    """
    instance = poseidon.parameters(width)
    first = instance.full_rounds // 2
    raised: list[list[int]] = []
    state = [[0] + [int(row == column) for column in range(width)] for row in range(width)]
    for constants in instance.round_constants[first : first + instance.partial_rounds]:
        for word, constant in zip(state, constants, strict=True):
            word[0] += constant
        raised.append([value % poseidon.R for value in state[0]])
        columns = list(zip(*state[1:], strict=True))
        state = [
            [sum(map(mul, row[1:], column)) % poseidon.R for column in columns] + [row[0]] for row in instance.matrix
        ]
    return raised, state


def _full_rounds(cs: ConstraintSystem, state: list[LinearCombination], rounds: range) -> list[LinearCombination]:
    instance = poseidon.parameters(len(state))
    for number in rounds:
        state = [
            _fifth_power(cs, word + constant)
            for word, constant in zip(state, instance.round_constants[number], strict=True)
        ]
        state = [_weighted(cs, row, state) for row in instance.matrix]
    return state


def _after_first_powers(cs: ConstraintSystem, powers: list[LinearCombination]) -> LinearCombination:
    """The hash, given the fifth powers of the first round."""
    width = len(powers)
    instance = poseidon.parameters(width)
    half, last = instance.full_rounds // 2, instance.full_rounds + instance.partial_rounds
    state = [_weighted(cs, row, powers) for row in instance.matrix]
    basis = [cs.combination(1), *_full_rounds(cs, state, range(1, half))]
    raised, state_of_basis = _partial_rounds(width)
    for factors in raised:
        basis.append(_fifth_power(cs, _weighted(cs, factors, basis)))
    state = [_weighted(cs, factors, basis) for factors in state_of_basis]
    return _full_rounds(cs, state, range(half + instance.partial_rounds, last))[0]


def _first_powers(cs: ConstraintSystem, inputs: Sequence[Value]) -> list[LinearCombination]:
    """The fifth powers of the first round."""
    constants = poseidon.parameters(len(inputs) + 1).round_constants[0]
    words = [cs.combination(value) + constant for value, constant in zip([0, *inputs], constants, strict=True)]
    return [_fifth_power(cs, word) for word in words]


@cache
def _block(width: int) -> Block:
    """All but the first powers. Only they depend on what the inputs are, so that the rest is written once a width."""
    cs = ConstraintSystem("Poseidon")
    inputs = cs.privates("inputs", width - 1)
    place = cs.size[1]
    powers = _first_powers(cs, inputs)
    start = cs.size
    return cs.block(start, place, _after_first_powers(cs, powers))


def hash(cs: ConstraintSystem, inputs: Sequence[Value], label: str) -> LinearCombination:
    """Poseidon of 1 to 16 values."""
    with cs.scope(label):
        place = cs.size[1]
        powers = _first_powers(cs, inputs)
        if any(power.constant is not None for power in powers[1:]):
            return _after_first_powers(cs, powers)
        return cs.repeat(_block(len(powers)), place)


def chain(cs: ConstraintSystem, values: Sequence[Value], label: str) -> LinearCombination:
    """Poseidon of any number of values, as :func:`zkcore.poseidon.chain`."""
    size = poseidon.LARGEST_INPUT
    digest = hash(cs, values[:size], label)
    for start in range(size, len(values), size - 1):
        digest = hash(cs, [digest, *values[start : start + size - 1]], label)
    return digest
