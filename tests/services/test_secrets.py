"""Private values stay where they belong: planted ones are looked for in every log line, database and message."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.api.zkshare.v1 import department_pb2
from tests.services import parties
from tests.services.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAY_HOLD = {f"{parties.DEPARTMENT}.sqlite", f"{parties.DEPARTMENT}.sqlite-wal"}
"""A department keeps its own records."""
MAY_CARRY = {("/zkshare.v1.DepartmentService/GetOpening", "response")}
"""An opening goes to the enterprise whose record it opens."""


def forms(value: int) -> Iterator[bytes]:
    """Ways in which an integer may have been written down: decimal, hexadecimal, binary in either order."""
    yield str(abs(value)).encode()
    carried = {value % 2**64, value + 2**63} if abs(value) < 2**63 else set()
    for number in {abs(value), *carried}:
        width = max(8, (number.bit_length() + 7) // 8)
        binary = number.to_bytes(width, "big")
        yield from (str(number).encode(), f"{number:x}".encode(), f"{number:X}".encode())
        yield from (binary.lstrip(b"\x00"), binary.lstrip(b"\x00")[::-1], binary, binary[::-1])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def planted(running: Running) -> dict[str, set[bytes]]:
    """What must not be seen, by what it is: private fields, blindings, and a score that one bank alone may see."""
    secrets: dict[str, set[bytes]] = {}
    for name, values in parties.VALUES.items():
        for field, value in values.items():
            secrets[f"{field} of {name}"] = set(forms(value))
        opening = await running.network.enterprises[name].opening("filing", parties.PERIOD)
        secrets[f"blinding of {name}"] = set(forms(opening.blinding))
    return secrets


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def used(running: Running) -> None:
    """Every kind of exchange has happened: filings by now, and here queries, scores, refusals."""
    network = running.network
    name = parties.FILED[0]
    await network.tax_agencies["tax-agency"].query("SELECT SUM(sales) FROM filing WHERE industry = 'steel'")
    with pytest.raises(ValueError):
        await network.tax_agencies["tax-agency"].query("SELECT sales FROM filing")
    for cut_off in (None, 500):
        pending = await network.banks["bank"].request_score(
            name, "filing", parties.PERIOD, parties.scorecard(), cut_off
        )
        await network.enterprises[name].answer(pending.signed)
        await network.banks["bank"].score(pending)
    with pytest.raises(ValueError):
        await network.enterprises[name].file(running.submissions[name][:-1])
    await asyncio.sleep(0)


def found(content: bytes, secrets: dict[str, set[bytes]]) -> list[str]:
    return [what for what, ways in secrets.items() if any(way in content for way in ways)]


async def test_nothing_private_is_logged(running: Running, used: None, planted: dict[str, set[bytes]]) -> None:
    assert any("'method': '/zkshare.v1.SubmissionService/Submit'" in line for line in running.lines)
    everything = "\n".join(running.lines).encode()
    assert not found(everything, planted)
    keys = [share.to_bytes() for share in parties.plan().shares]
    assert not any(key in everything or key.hex().encode() in everything for key in keys)
    assert b"PRIVATE KEY" not in everything


async def test_nothing_private_is_kept(running: Running, used: None, planted: dict[str, set[bytes]]) -> None:
    files = [path for path in running.directory.rglob("*") if path.is_file()]
    kept = {path.name: found(path.read_bytes(), planted) for path in files}
    assert {"node.sqlite", "trustee-1.sqlite", "ledger.sqlite"} <= set(kept)
    assert not {name: what for name, what in kept.items() if what and name not in MAY_HOLD}
    assert len([what for name in MAY_HOLD & set(kept) for what in kept[name]]) >= len(planted), "the search is blind"


async def test_nothing_private_is_sent(running: Running, used: None, planted: dict[str, set[bytes]]) -> None:
    leaks = {
        (method, direction, what)
        for method, direction, content in running.tap.passed
        if (method, direction) not in MAY_CARRY
        for what in found(content, planted)
    }
    assert not leaks
    openings = b"".join(
        department_pb2.GetOpeningResponse.FromString(content).opening
        for method, direction, content in running.tap.passed
        if (method, direction) in MAY_CARRY
    )
    assert set(found(openings, planted)) == set(planted), "the search is blind"


async def test_openings_go_to_their_owners_alone(running: Running, planted: dict[str, set[bytes]]) -> None:
    """Each opening that passed holds the values of one enterprise, or of none where a test had altered it."""
    owners = [
        {what.split(" of ")[1] for what in found(content, planted)}
        for method, direction, content in running.tap.passed
        if (method, direction) in MAY_CARRY
    ]
    assert {len(names) for names in owners} <= {0, 1}
    assert set().union(*owners) == set(parties.ENTERPRISES)


async def test_a_score_is_seen_by_its_bank_alone(running: Running) -> None:
    """A score that occurs nowhere else is found in no message, unsealed, and in no database."""
    network, name = running.network, parties.FILED[1]
    scorecard = parties.scorecard(base=7_654_321)
    await network.banks["bank"].register(scorecard, "filing")
    start = len(running.tap.passed)
    pending = await network.banks["bank"].request_score(name, "filing", parties.PERIOD, scorecard)
    assert await network.enterprises[name].answer(pending.signed)
    score = (await network.banks["bank"].score(pending)).score
    assert score is not None and score == scorecard.score(parties.VALUES[name])
    secrets = {"score": {str(score).encode(), score.to_bytes(4, "big"), (score + 2**31).to_bytes(4, "big")}}
    passed = b"".join(content for _, _, content in running.tap.passed[start:])
    assert not found(passed, secrets) and not found("".join(running.lines).encode(), secrets)
    for path in Path(running.directory).rglob("*"):
        assert not path.is_file() or not found(path.read_bytes(), secrets), path.name


async def test_secret_types_do_not_show_themselves(running: Running, planted: dict[str, set[bytes]]) -> None:
    opening = await running.network.enterprises[parties.FILED[0]].opening("filing", parties.PERIOD)
    pending = await running.network.banks["bank"].request_score(
        parties.FILED[0], "filing", parties.PERIOD, parties.scorecard()
    )
    shown = "".join(map(repr, (opening, opening.record, parties.plan(), pending, running.network.authority)))
    assert not found(shown.encode(), planted) and "PRIVATE" not in shown
    share = parties.plan().shares[0]
    assert str(share.value) not in shown and f"{share.value:x}" not in shown
