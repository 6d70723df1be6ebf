"""Every value of every statement and every proof, changed one at a time: none convinces, alone or in a batch."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from homomorphic.errors import WrongKey
from homomorphic.paillier import PublicKey
from tests.homomorphic.proved import KEY, KINDS, OTHER_KEY, Proved
from zkcore import babyjubjub, pedersen
from zkcore.bn254 import R
from zkcore.errors import Malformed, Refused

ORDER_TWO = (0, R - 1)
SHIFTS = (1, -1, KEY.n, -KEY.n, KEY.n**2, babyjubjub.ORDER, -babyjubjub.ORDER)


def is_point(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(x, int) and x < R for x in value)


def changed(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All the changes of a value, each with its name; numbers are shifted by the moduli, too, and negated."""
    if isinstance(value, PublicKey):
        yield name, OTHER_KEY
    elif is_dataclass(value):
        for field in fields(value):
            for where, other in changed(getattr(value, field.name), f"{name}.{field.name}"):
                yield where, replace(value, **{field.name: other})  # type: ignore[type-var]
    elif isinstance(value, bytes):
        yield f"{name} shorter", value[:-1]
        yield f"{name} longer", value + b"\0"
    elif isinstance(value, int):
        for shift in SHIFTS:
            yield f"{name} + {shift:#x}", value + shift
        for other in {0, -value, int(KEY.square) - value} - {value}:
            yield f"{name} = {other:#x}", other
    elif is_point(value) and babyjubjub.on_curve(value):
        for what, other in (("G", pedersen.G), ("H", pedersen.H), ("a point of small order", ORDER_TWO)):
            yield f"{name} + {what}", babyjubjub.add(value, other)
        yield f"{name} negated", babyjubjub.negate(value)
        yield f"{name} neutral", babyjubjub.IDENTITY
        yield f"{name} off the curve", (value[0], (value[1] + 1) % R)
        yield f"{name} not canonical", (value[0] + R, value[1])
    else:
        assert isinstance(value, tuple) and value, name
        for i, item in enumerate(value):
            for where, other in changed(item, f"{name}[{i}]"):
                yield where, (*value[:i], other, *value[i + 1 :])
        yield f"{name} fewer", value[:-1]
        yield f"{name} more", (*value, value[-1])
        if value[::-1] != value:
            yield f"{name} reversed", value[::-1]


def convinces(module: Any, statement: Any, proof: Any) -> bool:
    try:
        return bool(module.verify(statement, proof))
    except Refused:
        return False


@pytest.fixture(scope="module", params=KINDS, ids=str)
def proved(request: pytest.FixtureRequest) -> Proved:
    return KINDS[request.param]()


def test_untouched_it_convinces(proved: Proved) -> None:
    item = (proved.statement, proved.proof)
    assert proved.module.verify(*item)
    assert proved.module.verify_batch([item] * 3) == []
    assert proved.module.verify_batch([]) == []


def test_every_value_of_the_proof_counts(proved: Proved) -> None:
    good = (proved.statement, proved.proof)
    tried = set()
    for where, other in changed(proved.proof, "proof"):
        value = where.split(" ")[0]
        if value.count(".") > 1 and value in tried:
            continue  # a part is a proof of another kind, to which every change is tried there: one is enough here
        tried.add(value)
        assert not convinces(proved.module, proved.statement, other), where
        assert proved.module.verify_batch([good, (proved.statement, other), good]) == [1], where
    assert len(tried) > 2


def test_every_value_of_the_statement_is_bound(proved: Proved) -> None:
    good = (proved.statement, proved.proof)
    for where, other in changed(proved.statement, "statement"):
        assert not convinces(proved.module, other, proved.proof), where
        try:
            assert proved.module.verify_batch([good, (other, proved.proof), good]) == [1], where
        except WrongKey:
            assert where == "statement.public_key"


def test_bytes_of_another_shape_are_refused(proved: Proved) -> None:
    if not hasattr(proved.proof, "to_bytes"):
        pytest.skip("travels inside a partial decryption")
    read = type(proved.proof).from_bytes
    data = proved.proof.to_bytes()
    assert read(data) == proved.proof
    for spoilt in (data[:-1], data + b"\0", b"zks-xxxx" + data[8:], b"", data[:9]):
        with pytest.raises(Malformed):
            read(spoilt)
    for at in range(0, len(data), 37):  # another byte is another proof, or no proof
        spoilt = data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]
        try:
            other = read(spoilt)
        except Refused:
            continue
        assert not convinces(proved.module, proved.statement, other)
