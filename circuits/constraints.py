"""Writing circuits: a constraint system is built by ordinary arithmetic on wires, and knows how to compute its witness.

``a * b`` of two linear combinations makes a wire and the constraint that defines it; sums, differences and multiples by
integers cost nothing. Every constraint remembers a label, the scopes around it and the line that wrote it, so that a
wrong witness is refused by name. A gadget that gives the prover a free choice (the bits of a number, a quotient) adds
the constraints that pin the choice down; the functions here that do not are named ``unchecked``.

The witness is computed by replaying the steps in the order they were written (:mod:`circuits.replay`). That is not
constant-time: the prover's own machine is trusted with the witness.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from circuits import replay
from circuits.rows import Rows, Shiftable, Terms
from zkcore import field
from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, Unsatisfied, WrongLength
from zkcore.formats import r1cs as r1cs_format
from zkcore.r1cs import R1CS, SparseMatrix

_HERE = Path(__file__).resolve().parent


class LinearCombination:
    """A sum of wires times coefficients; wire 0 is the constant 1. Immutable."""

    __slots__ = ("system", "terms")

    def __init__(self, system: "ConstraintSystem", terms: Terms) -> None:
        self.system = system
        self.terms = terms

    def __add__(self, other: "LinearCombination | int") -> "LinearCombination":
        terms = dict(self.terms)
        for wire, coefficient in self.system.combination(other).terms.items():
            total = (terms.get(wire, 0) + coefficient) % R
            if total:
                terms[wire] = total
            else:
                terms.pop(wire, None)
        return LinearCombination(self.system, terms)

    __radd__ = __add__

    def __neg__(self) -> "LinearCombination":
        return self.scaled(-1)

    def __sub__(self, other: "LinearCombination | int") -> "LinearCombination":
        return self + self.system.combination(other).scaled(-1)

    def __rsub__(self, other: int) -> "LinearCombination":
        return self.scaled(-1) + other

    def __mul__(self, other: "LinearCombination | int") -> "LinearCombination":
        if isinstance(other, int):
            return self.scaled(other)
        return self.system.multiply(self, other)

    __rmul__ = __mul__

    def scaled(self, factor: int) -> "LinearCombination":
        """This times an integer constant."""
        factor %= R
        if not factor:
            return LinearCombination(self.system, {})
        return LinearCombination(self.system, {wire: c * factor % R for wire, c in self.terms.items()})

    @property
    def constant(self) -> int | None:
        """The value, if no wire but the constant takes part."""
        if not self.terms:
            return 0
        return self.terms[0] if self.terms.keys() == {0} else None


Value = LinearCombination | int


class _Origin(NamedTuple):
    label: str
    place: str


class Block(NamedTuple):
    """The last products of a system, to be written again elsewhere at little cost: see :meth:`ConstraintSystem.block`.

    Attributes
    ----------
    matrices
        Rows of A, B and C.
    products
        int64[n, 2]: for each product its row, counted from the block's first, and its wire, counted from the place.
    origins
        Where each row was written.
    wires
        The first new wire, counted from the place, and the number of new ones.
    result
        A linear combination, its wires counted from the place; -1 is the constant.
    """

    matrices: tuple[Shiftable, Shiftable, Shiftable]
    products: NDArray[np.int64]
    origins: tuple[_Origin, ...]
    wires: tuple[int, int]
    result: Terms


class ConstraintSystem:
    """A circuit while it is written.

    Parameters
    ----------
    name
        Name of the circuit, for people and file names.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._public: list[str] = []
        self._inputs: dict[str, tuple[int, int]] = {}
        self._n_wires = 1
        self._matrices = (Rows(), Rows(), Rows())
        self._hints = Rows()
        self._steps: list[tuple[int, int, int, int]] = []
        self._origins: list[_Origin] = []
        self._scopes: list[str] = []

    def public(self, name: str) -> LinearCombination:
        """A public input. All public inputs come before anything else."""
        if self._n_wires != 1 + len(self._public):
            raise Malformed(name, "public inputs are declared before other wires")
        self._public.append(name)
        return self._input(name, 1)[0]

    def private(self, name: str) -> LinearCombination:
        """A private input."""
        return self._input(name, 1)[0]

    def privates(self, name: str, count: int) -> list[LinearCombination]:
        """``count`` private inputs under one name."""
        return self._input(name, count)

    def combination(self, value: Value) -> LinearCombination:
        """An integer constant, or a linear combination as it is."""
        if isinstance(value, LinearCombination):
            return value
        return LinearCombination(self, {0: value % R} if value % R else {})

    @contextmanager
    def scope(self, label: str) -> Iterator[None]:
        """Name what is written inside, for messages and :meth:`Circuit.breakdown`."""
        self._scopes.append(label)
        try:
            yield
        finally:
            self._scopes.pop()

    def enforce(self, a: Value, b: Value, c: Value, label: str) -> None:
        """The constraint a * b = c."""
        for matrix, value in zip(self._matrices, (a, b, c), strict=True):
            matrix.append(self.combination(value).terms)
        self._origins.append(_Origin(" / ".join([*self._scopes, label]), _caller()))

    def enforce_equal(self, a: Value, b: Value, label: str) -> None:
        """The constraint a = b."""
        self.enforce(self.combination(a) - b, 1, 0, label)

    def multiply(self, a: Value, b: Value, label: str = "product") -> LinearCombination:
        """a * b; free if one of them is constant, else a wire and its constraint."""
        a, b = self.combination(a), self.combination(b)
        if a.constant is not None:
            return b.scaled(a.constant)
        if b.constant is not None:
            return a.scaled(b.constant)
        product = self._wire()
        self._steps.append((replay.PRODUCT, len(self._origins), _number(product), 1))
        self.enforce(a, b, product, label)
        return product

    def product_less(self, a: Value, b: Value, less: Value, label: str) -> LinearCombination:
        """A wire with a * b - less, at the price of a product; keeps long sums out of later constraints."""
        wire = self._wire()
        row = self._hints.append(self.combination(less).terms)
        self._steps.append((replay.PRODUCT_LESS, len(self._origins), _number(wire), row))
        self.enforce(a, b, wire + less, label)
        return wire

    def unchecked_bits(self, value: Value, count: int) -> list[LinearCombination]:
        """Wires with the ``count`` lowest bits of a value's canonical integer; nothing is enforced."""
        bits = self._wires(count)
        row = self._hints.append(self.combination(value).terms)
        self._steps.append((replay.BITS, row, _number(bits[0]), count))
        return bits

    def unchecked_quotient(self, numerator: Value, denominator: Value) -> LinearCombination:
        """A wire with numerator / denominator, 0 if the denominator is 0; nothing is enforced."""
        quotient = self._wire()
        row = self._hints.append(self.combination(numerator).terms)
        self._hints.append(self.combination(denominator).terms)
        self._steps.append((replay.QUOTIENT, row, _number(quotient), 1))
        return quotient

    def unchecked_is_zero(self, value: Value) -> LinearCombination:
        """A wire that is 1 if the value is 0, else 0; nothing is enforced."""
        flag = self._wire()
        self._steps.append((replay.EQUALS, self._hints.append(self.combination(value).terms), _number(flag), 1))
        return flag

    @property
    def size(self) -> tuple[int, int]:
        """Number of constraints and of wires so far."""
        return len(self._origins), self._n_wires

    def block(self, start: tuple[int, int], place: int, result: LinearCombination) -> Block:
        """What was written since the system was of size ``start``, to be repeated in other systems.

        It must consist of products of wires from number ``place`` on (:meth:`multiply`). A repetition has the same
        wires before the block in the same order, beginning at a place of its own.

        Raises
        ------
        Malformed
            If something else than products was written.
        OutOfRange
            If an earlier wire takes part.
        """
        row, wire = start
        steps = [step for step in self._steps if step[2] >= wire]
        if any(kind != replay.PRODUCT for kind, *_ in steps) or len(steps) != self._n_wires - wire:
            raise Malformed("block", "a block consists of products")
        a, b, c = (matrix.shiftable(row, place) for matrix in self._matrices)
        return Block(
            (a, b, c),
            np.array([(step[1] - row, step[2] - place) for step in steps], np.int64).reshape(-1, 2),
            tuple(self._origins[row:]),
            (wire - place, self._n_wires - wire),
            {number - place if number else -1: coefficient for number, coefficient in result.terms.items()},
        )

    def repeat(self, block: Block, place: int) -> LinearCombination:
        """Write a block again, whose earlier wires begin at number ``place``, and return its result.

        Raises
        ------
        OutOfRange
            If the next wire is not the block's first.
        """
        first, count = block.wires
        if self._n_wires != place + first:
            raise OutOfRange("place", "the block's earlier wires are not the last ones written")
        row = len(self._origins)
        for matrix, rows in zip(self._matrices, block.matrices, strict=True):
            matrix.append_shifted(rows, place)
        self._steps.extend((replay.PRODUCT, row + at, place + wire, 1) for at, wire in block.products.tolist())
        scopes = " / ".join([*self._scopes, ""])
        self._origins.extend(_Origin(scopes + origin.label, origin.place) for origin in block.origins)
        self._n_wires += count
        return LinearCombination(
            self, {place + wire if wire >= 0 else 0: coefficient for wire, coefficient in block.result.items()}
        )

    def finish(self) -> "Circuit":
        """The finished circuit."""
        a, b, c = (matrix.finish() for matrix in self._matrices)
        r1cs = R1CS(len(self._public), self._n_wires, a, b, c)
        steps = np.array(self._steps, np.int64).reshape(-1, 4)
        return Circuit(self.name, tuple(self._public), r1cs, self._inputs, self._hints.finish(), steps, self._origins)

    def _wire(self) -> LinearCombination:
        return self._wires(1)[0]

    def _wires(self, count: int) -> list[LinearCombination]:
        first = self._n_wires
        self._n_wires += count
        return [LinearCombination(self, {wire: 1}) for wire in range(first, first + count)]

    def _input(self, name: str, count: int) -> list[LinearCombination]:
        if name in self._inputs:
            raise Malformed(name, "the circuit has an input of this name")
        self._inputs[name] = (self._n_wires, count)
        return self._wires(count)


class Circuit:
    """A finished circuit: its constraint system and how to compute a witness."""

    def __init__(
        self,
        name: str,
        public_names: tuple[str, ...],
        r1cs: R1CS,
        inputs: Mapping[str, tuple[int, int]],
        hints: SparseMatrix,
        steps: NDArray[np.int64],
        origins: Sequence[_Origin],
    ) -> None:
        self.name = name
        self.public_names = public_names
        self._r1cs = r1cs
        self._inputs = inputs
        self._hints = hints
        self._steps = steps
        self._origins = origins

    def r1cs(self) -> R1CS:
        """The constraint system."""
        return self._r1cs

    def digest(self) -> bytes:
        """Digest of the constraint system (32 bytes); names and labels do not enter."""
        return self._r1cs.digest()

    def to_r1cs(self) -> bytes:
        """The constraint system as an ``.r1cs`` file, for snarkjs and others."""
        private = sum(count for _, count in self._inputs.values()) - len(self.public_names)
        return r1cs_format.write(self._r1cs, private)

    def to_sym(self) -> str:
        """The names of wires as a ``.sym`` file: label, wire, component and name, a line each."""
        names = [f"wire[{wire}]" for wire in range(self._r1cs.n_wires)]
        for name, (first, count) in self._inputs.items():
            names[first : first + count] = [name] if count == 1 else [f"{name}[{i}]" for i in range(count)]
        return "".join(f"{wire},{wire},0,main.{name}\n" for wire, name in enumerate(names) if wire)

    @property
    def n_constraints(self) -> int:
        """Number of constraints."""
        return self._r1cs.n_constraints

    def breakdown(self) -> dict[str, int]:
        """Constraints by outermost scope, most first."""
        return dict(Counter(origin.label.split(" / ")[0] for origin in self._origins).most_common())

    def witness(self, inputs: Mapping[str, int | Sequence[int]]) -> NDArray[np.uint64]:
        """Every wire's value, uint64[n_wires, 4] in canonical limbs, checked against every constraint.

        Parameters
        ----------
        inputs
            A value, or as many as were declared, for each name; field elements in ``[0, R)``.

        Raises
        ------
        WrongLength
            If names are missing or unknown, or the number of values differs.
        OutOfRange
            If a value is not a field element.
        Unsatisfied
            If the inputs violate a constraint; the message names it and the line that wrote it.
        """
        wires = self._assigned(inputs)
        a, b, c, hints = self._montgomery
        replay.replay(self._steps, a, b, hints, wires, np.zeros((1, 4), np.uint64))
        row = int(replay.first_violated(a, b, c, wires))
        if row >= 0:
            raise self._violation(row)
        field.leave_rows(field.fr, wires)
        return wires

    def check(self, witness: NDArray[np.uint64]) -> None:
        """Refuse a witness (canonical limbs) that violates a constraint, as :meth:`witness` does."""
        if witness.shape != (self._r1cs.n_wires, 4):
            raise WrongLength("witness", f"the circuit has {self._r1cs.n_wires} wires")
        wires = np.array(witness, np.uint64, order="C")
        field.enter_rows(field.fr, wires)
        a, b, c, _ = self._montgomery
        row = int(replay.first_violated(a, b, c, wires))
        if row >= 0:
            raise self._violation(row)

    def _violation(self, row: int) -> Unsatisfied:
        origin = self._origins[row]
        return Unsatisfied(f"{self.name}: {origin.label}", f"constraint {row}, written at {origin.place}, is violated")

    def _assigned(self, inputs: Mapping[str, int | Sequence[int]]) -> NDArray[np.uint64]:
        wanted = self._inputs.keys()
        if inputs.keys() != wanted:
            different = sorted(inputs.keys() ^ wanted)
            raise WrongLength(f"{self.name}: inputs", f"missing or unknown: {', '.join(different)}")
        wires = np.zeros((self._r1cs.n_wires, 4), np.uint64)
        wires[0] = field.encode(field.fr, [1])[0]
        for name, (first, count) in self._inputs.items():
            value = inputs[name]
            values = [value] if isinstance(value, int) else list(value)
            if len(values) != count:
                raise WrongLength(f"{self.name}: {name}", f"takes {count} values, not {len(values)}")
            if any(not 0 <= item < R for item in values):
                raise OutOfRange(f"{self.name}: {name}", "not an element of the scalar field")
            wires[first : first + count] = field.encode(field.fr, values)
        return wires

    @cached_property
    def _montgomery(self) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]], ...]:
        """A, B, C and the hints with coefficients in Montgomery form."""
        forms = []
        for matrix in (self._r1cs.a, self._r1cs.b, self._r1cs.c, self._hints):
            coefficient = np.array(matrix.coefficient, np.uint64, order="C")
            field.enter_rows(field.fr, coefficient)
            forms.append((matrix.row_start, matrix.column, coefficient))
        return tuple(forms)


def _number(wire: LinearCombination) -> int:
    """Number of a single wire."""
    return next(iter(wire.terms))


def _caller() -> str:
    """File and line outside this module that wrote the present constraint."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{_shown(frame.f_code.co_filename)}:{frame.f_lineno}"


@cache
def _shown(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_HERE.parent)) if path.is_relative_to(_HERE.parent) else path.name
