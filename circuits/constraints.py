"""Writing circuits: a constraint system is built by ordinary arithmetic on wires, and knows how to compute its witness.

``a * b`` of two linear combinations makes a wire and the constraint that defines it; sums, differences and multiples by
integers cost nothing. Every constraint remembers a label, the scopes around it and the line that wrote it, so that a
wrong witness is refused by name. A gadget that gives the prover a free choice (the bits of a number, a quotient) adds
the constraints that pin the choice down; the functions here that do not are named ``unchecked``.

The witness is computed by replaying the steps in the order they were written (:mod:`circuits.replay`). That is not
constant-time: the prover's own machine is trusted with the witness.

What a circuit has many of, a hash or a commitment, is written once as a circuit of its own, and its rows are copied
into others as whole arrays (:class:`Template`).
"""

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from circuits import replay
from circuits.rows import Rows, Terms
from zkcore import field, poseidon
from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange, Unsatisfied, WrongLength
from zkcore.formats import r1cs as r1cs_format
from zkcore.formats.iden3 import Chunk
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

    @property
    def is_wire(self) -> bool:
        """Whether this is a single wire, other than the constant, just as it is."""
        return len(self.terms) == 1 and 0 not in self.terms and next(iter(self.terms.values())) == 1


Value = LinearCombination | int


class Origin(NamedTuple):
    """Where a constraint was written."""

    label: str
    place: str


class _Written(NamedTuple):
    """A row, or all those of a template, that was written within some scopes, from row ``first`` on."""

    first: int
    scopes: str
    source: "Origin | Circuit"


class Template(NamedTuple):
    """A circuit that can be written into others, made by :meth:`ConstraintSystem.template`.

    Attributes
    ----------
    circuit
        Its inputs, all private, are what the rest of the other circuit gives it.
    results
        Linear combinations of its wires.
    """

    circuit: "Circuit"
    results: tuple[Terms, ...]


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
        self._steps: list[NDArray[np.int64]] = []
        self._late_steps: list[tuple[int, int, int, int, int]] = []
        self._written: list[_Written] = []
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
        self._step(replay.ASSERTION, self._row(a, b, c, label))

    def define(self, a: Value, b: Value, wire: LinearCombination, label: str) -> None:
        """The constraint a * b = wire, for a wire that a hint has made so: no witness is held to it one by one."""
        self._row(a, b, wire, label)

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
        self._step(replay.PRODUCT, self._row(a, b, product, label), wire=product)
        return product

    def unchecked_bits(self, value: Value, count: int) -> list[LinearCombination]:
        """Wires with the ``count`` lowest bits of a value's canonical integer; nothing is enforced."""
        bits = self._wires(count)
        self._step(replay.BITS, hint=self._hint(value), wire=bits[0], count=count)
        return bits

    def unchecked_quotient(self, numerator: Value, denominator: Value) -> LinearCombination:
        """A wire with numerator / denominator, 0 if the denominator is 0; nothing is enforced."""
        quotient = self._wire()
        self._step(replay.QUOTIENT, hint=self._hint(numerator, denominator), wire=quotient)
        return quotient

    def unchecked_is_zero(self, value: Value) -> LinearCombination:
        """A wire that is 1 if the value is 0, else 0; nothing is enforced."""
        flag = self._wire()
        self._step(replay.IS_ZERO, hint=self._hint(value), wire=flag)
        return flag

    def unchecked_chords(self, points: Sequence[tuple[Value, Value]]) -> list[tuple[LinearCombination, ...]]:
        """For each point after the first, wires with slope, u and v of its addition to the sum; nothing is enforced.

        Points are of Baby Jubjub in Montgomery form, not equal or opposite to the sum that they are added to.
        """
        wires = self._wires(3 * (len(points) - 1))
        coordinates = [coordinate for point in points for coordinate in point]
        self._step(replay.CHORDS, hint=self._hint(*coordinates), wire=wires[0], count=len(points) - 1)
        return list(zip(wires[::3], wires[1::3], wires[2::3], strict=True))

    def unchecked_powers(self, inputs: Sequence[Value]) -> list[LinearCombination]:
        """Wires x^2, x^4 and x^5 for every word x that the Poseidon hash of 1 to 16 inputs raises to the fifth power.

        They are in the order of :func:`zkcore.poseidon.permute`, but for the first word of all, which is a constant.
        Nothing is enforced.
        """
        wires = self._wires(3 * (poseidon.powers(len(inputs) + 1) - 1))
        self._step(replay.POSEIDON, hint=self._hint(*inputs), wire=wires[0], count=len(inputs))
        return wires

    def template(self, *results: LinearCombination) -> Template:
        """What was written, to be written into other systems at little cost: see :meth:`insert`.

        Raises
        ------
        Malformed
            If it has public inputs, or inputs after other wires.
        """
        last = max((first + count for first, count in self._inputs.values()), default=1)
        circuit = self.finish()
        if self._public or last != 1 + circuit.n_inputs:
            raise Malformed(self.name, "a template has private inputs only, before other wires")
        return Template(circuit, tuple(result.terms for result in results))

    def insert(self, template: Template, inputs: Sequence[LinearCombination]) -> list[LinearCombination]:
        """Write a template with these wires as its inputs, and return its results.

        Raises
        ------
        WrongLength
            If there are not as many inputs as the template has.
        Malformed
            If one is not a single wire, or given twice.
        """
        circuit, results = template
        if len(inputs) != circuit.n_inputs:
            raise WrongLength(circuit.name, f"takes {circuit.n_inputs} inputs, not {len(inputs)}")
        given = [_number(wire) for wire in inputs]
        if len(set(given)) != len(given):
            raise Malformed(circuit.name, "a template takes each wire once, so that no row has it twice")
        first, row, hint = self._n_wires, len(self._matrices[0]), len(self._hints)
        n_new = circuit.r1cs().n_wires - 1 - len(inputs)
        wires = np.concatenate([[0], given, np.arange(first, first + n_new)])
        system = circuit.r1cs()
        for matrix, rows in zip(self._matrices, (system.a, system.b, system.c), strict=True):
            matrix.extend(rows, wires)
        self._hints.extend(circuit.hints, wires)
        self._settle_steps()
        self._steps.append(circuit.steps + np.array([0, row, hint, first - 1 - len(inputs), 0]))
        self._written.append(_Written(row, "".join(f"{scope} / " for scope in self._scopes), circuit))
        self._n_wires += n_new
        numbers = wires.tolist()
        return [LinearCombination(self, {numbers[wire]: c for wire, c in terms.items()}) for terms in results]

    def finish(self) -> "Circuit":
        """The finished circuit."""
        a, b, c = (matrix.finish() for matrix in self._matrices)
        self._settle_steps()
        return Circuit(
            self.name,
            tuple(self._public),
            R1CS(len(self._public), self._n_wires, a, b, c),
            self._inputs,
            self._hints.finish(),
            np.concatenate(self._steps),
            self._written,
        )

    def _row(self, a: Value, b: Value, c: Value, label: str) -> int:
        """Add a row to A, B and C and return its number."""
        for matrix, value in zip(self._matrices, (a, b, c), strict=True):
            row = matrix.append(self.combination(value).terms)
        scopes = "".join(f"{scope} / " for scope in self._scopes)
        self._written.append(_Written(row, scopes, Origin(label, _caller())))
        return row

    def _hint(self, *values: Value) -> int:
        """Number of the first of the hints with these values, which follow one another."""
        first = len(self._hints)
        for value in values:
            self._hints.append(self.combination(value).terms)
        return first

    def _step(
        self, kind: int, row: int = 0, hint: int = 0, wire: LinearCombination | None = None, count: int = 1
    ) -> None:
        self._late_steps.append((kind, row, hint, 0 if wire is None else _number(wire), count))

    def _settle_steps(self) -> None:
        """Turn the steps that were added one at a time into an array."""
        if self._late_steps or not self._steps:
            self._steps.append(np.array(self._late_steps, np.int64).reshape(-1, 5))
            self._late_steps = []

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
        written: Sequence[_Written],
    ) -> None:
        self.name = name
        self.public_names = public_names
        self._r1cs = r1cs
        self._inputs = inputs
        self.hints = hints
        self.steps = steps
        self._written = written

    def r1cs(self) -> R1CS:
        """The constraint system."""
        return self._r1cs

    def digest(self) -> bytes:
        """Digest of the constraint system (32 bytes); names and labels do not enter."""
        return self._r1cs.digest()

    def to_r1cs(self) -> Iterator[Chunk]:
        """The constraint system as an ``.r1cs`` file, for snarkjs and others, chunk by chunk."""
        return r1cs_format.chunks(self._r1cs, self.n_inputs - len(self.public_names))

    def to_sym(self) -> Iterator[bytes]:
        """The names of wires as a ``.sym`` file, line by line: label, wire, component and name."""
        names = [f"wire[{wire}]" for wire in range(self._r1cs.n_wires)]
        for name, (first, count) in self._inputs.items():
            names[first : first + count] = [name] if count == 1 else [f"{name}[{i}]" for i in range(count)]
        return (f"{wire},{wire},0,main.{name}\n".encode() for wire, name in enumerate(names) if wire)

    @property
    def n_constraints(self) -> int:
        """Number of constraints."""
        return self._r1cs.n_constraints

    @property
    def n_inputs(self) -> int:
        """Number of wires that are public or private inputs."""
        return sum(count for _, count in self._inputs.values())

    def breakdown(self) -> dict[str, int]:
        """Constraints by outermost scope, most first."""
        counts = Counter[str]()
        for _, scopes, source in self._written:
            scope = scopes.split(" / ")[0]
            if isinstance(source, Circuit):
                counts.update({scope: source.n_constraints} if scope else source.breakdown())
            else:
                counts[scope or source.label] += 1
        return dict(counts.most_common())

    def origin(self, row: int) -> Origin:
        """The scopes and label of a constraint, and the line that wrote it."""
        first, scopes, source = self._written[bisect_right(self._written, row, key=lambda part: part.first) - 1]
        origin = source.origin(row - first) if isinstance(source, Circuit) else source
        return origin._replace(label=scopes + origin.label)

    def witness(self, inputs: Mapping[str, int | Sequence[int]]) -> NDArray[np.uint64]:
        """Every wire's value, uint64[n_wires, 4] in canonical limbs, in accordance with every constraint.

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
        system = self._r1cs
        matrices = (
            (matrix.row_start, matrix.column, matrix.coefficient)
            for matrix in (system.a, system.b, system.c, self.hints)
        )
        row = int(replay.replay(self.steps, *matrices, *self._poseidon_tables, wires))
        if row >= 0:
            raise self._violation(row)
        field.leave_rows(field.fr, wires)
        return wires

    def check(self, witness: NDArray[np.uint64]) -> None:
        """Refuse a witness (canonical limbs) that violates a constraint, as :meth:`witness` does."""
        row = self._r1cs.check(witness)
        if row is not None:
            raise self._violation(row)

    def _violation(self, row: int) -> Unsatisfied:
        origin = self.origin(row)
        return Unsatisfied(f"{self.name}: {origin.label}", f"constraint {row}, written at {origin.place}, is violated")

    def _assigned(self, inputs: Mapping[str, int | Sequence[int]]) -> NDArray[np.uint64]:
        wanted = self._inputs.keys()
        if inputs.keys() != wanted:
            different = sorted(inputs.keys() ^ wanted)
            raise WrongLength(f"{self.name}: inputs", f"missing or unknown: {', '.join(different)}")
        places, values = [0], [1]
        for name, (first, count) in self._inputs.items():
            given = inputs[name]
            items = [given] if isinstance(given, int) else given
            if len(items) != count:
                raise WrongLength(f"{self.name}: {name}", f"takes {count} values, not {len(items)}")
            if not (min(items) >= 0 and max(items) < R):
                raise OutOfRange(f"{self.name}: {name}", "not an element of the scalar field")
            places.extend(range(first, first + count))
            values.extend(items)
        wires = np.zeros((self._r1cs.n_wires, 4), np.uint64)
        wires[places] = field.encode(field.fr, values)
        return wires

    @cached_property
    def _poseidon_tables(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        counts = self.steps[self.steps[:, 0] == replay.POSEIDON, 4]
        return replay.poseidon_tables(frozenset((counts + 1).tolist()))


def _number(wire: LinearCombination) -> int:
    """Number of a single wire; raises Malformed if it is something else."""
    if not wire.is_wire:
        raise Malformed("wire", "a linear combination stands where a single wire is needed")
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
