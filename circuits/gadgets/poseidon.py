"""Poseidon in constraints, equal to :func:`zkcore.poseidon.hash`: three constraints for each x^5, all else is free."""

from collections.abc import Sequence
from functools import cache
from itertools import islice
from operator import mul

from circuits.constraints import ConstraintSystem, LinearCombination, Template, Value
from zkcore import poseidon


class _Powers:
    """Raises one word after the other to the fifth power, on wires that a hint has filled in."""

    def __init__(self, cs: ConstraintSystem, wires: Sequence[LinearCombination]) -> None:
        self._cs = cs
        self._wires = iter(wires)

    def fifth(self, x: LinearCombination) -> LinearCombination:
        second, fourth, fifth = islice(self._wires, 3)
        self._cs.define(x, x, second, "x^2")
        self._cs.define(second, second, fourth, "x^4")
        self._cs.define(fourth, x, fifth, "x^5")
        return fifth


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


def _full_rounds(
    cs: ConstraintSystem, powers: _Powers, state: list[LinearCombination], rounds: range
) -> list[LinearCombination]:
    instance = poseidon.parameters(len(state))
    for number in rounds:
        constants = instance.round_constants[number]
        state = [powers.fifth(word + constant) for word, constant in zip(state, constants, strict=True)]
        state = [_weighted(cs, row, state) for row in instance.matrix]
    return state


@cache
def _later_rounds(width: int) -> Template:
    """All rounds but the first. Only that one depends on what the inputs are, so that the others are written once."""
    instance = poseidon.parameters(width)
    half, last = instance.full_rounds // 2, instance.full_rounds + instance.partial_rounds
    cs = ConstraintSystem("Poseidon, later rounds")
    wires = cs.privates("powers", 3 * (poseidon.powers(width) - 1))
    of_first_round = 3 * (width - 1)
    powers = _Powers(cs, wires[of_first_round:])
    fifths = [cs.combination(pow(instance.round_constants[0][0], 5, poseidon.R)), *wires[2:of_first_round:3]]
    state = [_weighted(cs, row, fifths) for row in instance.matrix]
    basis = [cs.combination(1), *_full_rounds(cs, powers, state, range(1, half))]
    raised, state_of_basis = _partial_rounds(width)
    for factors in raised:
        basis.append(powers.fifth(_weighted(cs, factors, basis)))
    state = [_weighted(cs, factors, basis) for factors in state_of_basis]
    return cs.template(_full_rounds(cs, powers, state, range(half + instance.partial_rounds, last))[0])


def _written(cs: ConstraintSystem, inputs: Sequence[LinearCombination]) -> LinearCombination:
    """The hash of any linear combinations."""
    wires = cs.unchecked_powers(inputs)
    powers = _Powers(cs, wires)
    for value, constant in zip(inputs, poseidon.parameters(len(inputs) + 1).round_constants[0][1:], strict=True):
        powers.fifth(value + constant)
    (digest,) = cs.insert(_later_rounds(len(inputs) + 1), wires)
    return digest


@cache
def _of_wires(count: int) -> Template:
    """The hash of single wires."""
    cs = ConstraintSystem("Poseidon")
    return cs.template(_written(cs, cs.privates("inputs", count)))


def hash(cs: ConstraintSystem, inputs: Sequence[Value], label: str) -> LinearCombination:
    """Poseidon of 1 to 16 values."""
    values = [cs.combination(value) for value in inputs]
    constants = [value.constant for value in values if value.constant is not None]
    if len(constants) == len(values):
        return cs.combination(poseidon.hash(constants))
    with cs.scope(label):
        wires = {wire for value in values if value.is_wire for wire in value.terms}
        if len(wires) == len(values):
            (digest,) = cs.insert(_of_wires(len(values)), values)
            return digest
        return _written(cs, values)


def chain(cs: ConstraintSystem, values: Sequence[Value], label: str) -> LinearCombination:
    """Poseidon of any number of values, as :func:`zkcore.poseidon.chain`."""
    size = poseidon.LARGEST_INPUT
    digest = hash(cs, values[:size], label)
    for start in range(size, len(values), size - 1):
        digest = hash(cs, [digest, *values[start : start + size - 1]], label)
    return digest
