"""Constraint systems: products and checks against plain integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import chain, dense, matrix

from zkcore.bn254 import R
from zkcore.errors import OutOfRange, WrongLength
from zkcore.field import decode, encode, fr
from zkcore.limbs import to_limbs
from zkcore.r1cs import R1CS

values = st.one_of(st.sampled_from([0, 1, R - 1]), st.integers(0, R - 1))
rows = st.lists(st.dictionaries(st.integers(0, 4), values, max_size=5), max_size=6)


@given(rows, st.lists(values, min_size=5, max_size=5))
@settings(deadline=None, max_examples=40)
def test_products(entries, vector) -> None:
    sparse = matrix(entries)
    out = np.empty((len(entries), 4), np.uint64)
    sparse.multiply(encode(fr, vector), out)
    assert decode(fr, out) == [sum(a * b for a, b in zip(row, vector, strict=True)) % R for row in dense(sparse, 5)]


def test_check_names_the_first_violated_constraint() -> None:
    system, witness = chain(9, 2)
    assert system.check(witness) is None
    for wire in range(1, system.n_wires):
        changed = witness.copy()
        changed[wire] = to_limbs([5])[0]
        used = [
            i
            for i in range(9)
            if any(
                (m.column[m.row_start[i] : m.row_start[i + 1]] == wire).any() for m in (system.a, system.b, system.c)
            )
        ]
        assert system.check(changed) == used[0]


def test_refusals() -> None:
    system, witness = chain(3)
    for changed in (witness[:-1], witness.reshape(-1), witness.astype(np.int64), np.vstack([witness, witness[:1]])):
        with pytest.raises(WrongLength):
            system.check(changed)
    for wire, value in ((0, 2), (0, 0), (1, R), (2, 2**256 - 1)):
        changed = witness.copy()
        changed[wire] = to_limbs([value])[0]
        with pytest.raises(OutOfRange):
            system.check(changed)


def test_digest_binds_everything() -> None:
    system, _ = chain(3)
    a = matrix([{2: 1}, {2: 1}, {2: 1}])
    others = [
        R1CS(0, system.n_wires, system.a, system.b, system.c),
        R1CS(1, system.n_wires + 1, system.a, system.b, system.c),
        R1CS(1, system.n_wires, system.b, system.a, system.c),
        R1CS(1, system.n_wires, system.a, system.c, system.b),
        R1CS(1, system.n_wires, a, system.b, system.c),
        R1CS(1, system.n_wires, system.a, system.b, a),
    ]
    assert len({other.digest() for other in (system, *others)}) == 7
    assert system.digest() == chain(3)[0].digest()


def test_no_constraints() -> None:
    empty = matrix([])
    assert R1CS(0, 1, empty, empty, empty).check(to_limbs([1])) is None
