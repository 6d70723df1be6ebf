"""Poseidon over the scalar field of BN254, equal to circomlib's for 1 to 16 inputs.

Grassi, Khovratovich, Rechberger, Roy and Schofnegger 2019 (ePrint 2019/458), with x^5, 8 full rounds, the numbers of
partial rounds for 128-bit security that circomlib uses, capacity 1 with initial value 0, and the first word of the
state as output. Round constants and matrix are derived by the paper's Grain generator (its appendix E), not pasted.
Nothing here is constant-time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength

FULL_ROUNDS = 8
PARTIAL_ROUNDS = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)
"""Partial rounds for states of 2, 3, ... 17 words (ePrint 2019/458, section 5.5, rounded as circomlib does)."""
LARGEST_INPUT = len(PARTIAL_ROUNDS)
_FIELD_BITS = 254


@dataclass(frozen=True)
class Parameters:
    """One instance: a state of ``width`` words.

    Attributes
    ----------
    round_constants
        One row of ``width`` integers for each of the ``full_rounds + partial_rounds`` rounds.
    matrix
        The linear layer, ``width`` rows.
    """

    width: int
    full_rounds: int
    partial_rounds: int
    round_constants: tuple[tuple[int, ...], ...]
    matrix: tuple[tuple[int, ...], ...]


def _grain(width: int, partial_rounds: int) -> Iterator[int]:
    """Bits of the self-shrinking Grain generator (ePrint 2019/458, appendix E)."""
    seed = "".join(
        f"{value:0{length}b}"
        for value, length in (
            (1, 2),  # a prime field
            (0, 4),  # the S-box is a power
            (_FIELD_BITS, 12),
            (width, 12),
            (FULL_ROUNDS, 10),
            (partial_rounds, 10),
            ((1 << 30) - 1, 30),
        )
    )
    state = int(seed[::-1], 2)  # bit i of the integer is bit i of the register

    def step() -> int:
        nonlocal state
        bit = (state >> 62 ^ state >> 51 ^ state >> 38 ^ state >> 23 ^ state >> 13 ^ state) & 1
        state = state >> 1 | bit << 79
        return bit

    for _ in range(160):
        step()
    while True:
        keep, bit = step(), step()
        if keep:
            yield bit


@cache
def parameters(width: int) -> Parameters:
    """The instance with a state of ``width`` words, 2 to 17.

    Raises
    ------
    WrongLength
        If there is none of that width.
    """
    if not 2 <= width <= LARGEST_INPUT + 1:
        raise WrongLength("width", f"Poseidon is defined for 2 to {LARGEST_INPUT + 1} words")
    partial_rounds = PARTIAL_ROUNDS[width - 2]
    bits = _grain(width, partial_rounds)

    def number() -> int:
        value = 0
        for _ in range(_FIELD_BITS):
            value = value << 1 | next(bits)
        return value

    def below_modulus() -> int:
        while (value := number()) >= R:
            pass
        return value

    rounds = FULL_ROUNDS + partial_rounds
    constants = tuple(tuple(below_modulus() for _ in range(width)) for _ in range(rounds))
    # A Cauchy matrix 1 / (x_i + y_j); its points must differ, or the generator goes on.
    points: list[int] = []
    while len(set(points)) < 2 * width:
        points = [number() % R for _ in range(2 * width)]
    matrix = tuple(tuple(pow(x + y, -1, R) for y in points[width:]) for x in points[:width])
    return Parameters(width, FULL_ROUNDS, partial_rounds, constants, matrix)


def hash(inputs: Sequence[int]) -> int:
    """Poseidon of 1 to 16 field elements.

    Raises
    ------
    WrongLength
        If there are no inputs or more than 16.
    OutOfRange
        If an input is not in ``[0, R)``.
    """
    if not 1 <= len(inputs) <= LARGEST_INPUT:
        raise WrongLength("inputs", f"Poseidon takes 1 to {LARGEST_INPUT} inputs, not {len(inputs)}")
    for index, value in enumerate(inputs):
        if not 0 <= value < R:
            raise OutOfRange(f"inputs[{index}]", "not an element of the scalar field")
    instance = parameters(len(inputs) + 1)
    state = [0, *inputs]
    half = instance.full_rounds // 2
    for index, constants in enumerate(instance.round_constants):
        state = [(word + constant) % R for word, constant in zip(state, constants, strict=True)]
        if half <= index < half + instance.partial_rounds:
            state[0] = pow(state[0], 5, R)
        else:
            state = [pow(word, 5, R) for word in state]
        state = [sum(a * b for a, b in zip(row, state, strict=True)) % R for row in instance.matrix]
    return state[0]


def chain(values: Sequence[int]) -> int:
    """Poseidon of any number of field elements from 1 up.

    Up to 16 are hashed at once. More are hashed 16 at first, then each next 15 together with the hash so far, which
    comes first; callers fix the number of values, so that no two lengths are ever confused.
    """
    digest = hash(values[:LARGEST_INPUT])
    for start in range(LARGEST_INPUT, len(values), LARGEST_INPUT - 1):
        digest = hash([digest, *values[start : start + LARGEST_INPUT - 1]])
    return digest
