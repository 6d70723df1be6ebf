"""The circuits of the product: what they accept, refuse and bind."""

import dataclasses
import secrets
from pathlib import Path

import pytest

import services.schemas
from circuits import credit_score, filing, membership
from circuits.credit_score import Kind, Request
from circuits.record import Opening
from circuits.schema import Schema
from circuits.scorecard import MOST_BINS, MOST_CHARACTERISTICS, Characteristic, Scorecard
from tests.circuits.free_wires import free_wires
from tests.circuits.statements import SCHEMA, VALUES, openings
from zkcore import babyjubjub, pedersen
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, Unsatisfied, WrongLength
from zkcore.limbs import from_limbs
from zkcore.merkle import MerklePath

SCORECARD = Scorecard(
    "test",
    500,
    (
        Characteristic("sales", (1, 100, 1 << 63), (-50, 10, 20, 30)),
        Characteristic("profits", (-20, 0), (-7, 0, 7)),
        Characteristic("costs", tuple(range(100, 107)), tuple(range(8))),
    ),
)
LARGEST = Scorecard(
    "largest",
    -(1 << 24),
    tuple(
        Characteristic(
            "profits", tuple(range(-30, -23)), tuple((-1) ** place * (1 << 24) for place in range(MOST_BINS))
        )
        for _ in range(MOST_CHARACTERISTICS)
    ),
)


def blindings() -> list[int]:
    return [secrets.randbelow(babyjubjub.ORDER) for _ in SCHEMA.fields]


@pytest.mark.parametrize("opening", openings(), ids=lambda opening: opening.record.subject)
def test_filing_states_the_record(opening: Opening) -> None:
    chosen = blindings()
    statement, commitments, witness = filing.assign(SCHEMA, opening, chosen)
    assert from_limbs(witness[1:7]) == statement.public_inputs()
    assert commitments == [pedersen.commit(*pair) for pair in zip(opening.record.carried(), chosen, strict=True)]
    filing.build(SCHEMA).check(witness)


def test_filing_leaves_no_wire_free() -> None:
    _, _, witness = filing.assign(SCHEMA, openings()[0], blindings())
    assert free_wires(filing.build(SCHEMA), witness) == []
    assert free_wires(filing.build(SCHEMA), witness, R - 1) == []


def test_filing_binds_each_public_input() -> None:
    statement, _, witness = filing.assign(SCHEMA, openings()[0], blindings())
    for index in range(len(statement.public_inputs())):
        wrong = witness.copy()
        wrong[1 + index, 0] ^= 1
        with pytest.raises(Unsatisfied):
            filing.build(SCHEMA).check(wrong)


def test_filing_refuses_a_record_that_is_not_in_the_tree() -> None:
    opening = openings()[0]
    for wrong in (
        dataclasses.replace(opening, root=opening.root ^ 1),
        dataclasses.replace(opening, blinding=opening.blinding ^ 1),
        dataclasses.replace(opening, path=MerklePath(opening.path.index ^ 1, opening.path.siblings)),
    ):
        with pytest.raises(Unsatisfied) as refused:
            filing.assign(SCHEMA, wrong, blindings())
        assert "the leaf lies under the root" in refused.value.part


def test_filing_refuses_values_out_of_range_and_rules_violated() -> None:
    opening = openings()[0]
    for values, words in (
        ({"sales": 1 << 64, "profits": 0, "costs": 1 << 64}, "field.sales"),
        ({"sales": 100, "profits": -21, "costs": 120}, "rule balance"),
    ):
        # Past the checks of Record, as a cheat would.
        record = dataclasses.replace(opening.record)
        object.__setattr__(record, "values", values)
        with pytest.raises((OutOfRange, Unsatisfied)) as refused:
            filing.assign(SCHEMA, dataclasses.replace(opening, record=record), blindings())
        assert words in refused.value.part


def test_filing_checks_its_blindings() -> None:
    with pytest.raises(WrongLength):
        filing.assign(SCHEMA, openings()[0], [1])
    with pytest.raises(OutOfRange):
        filing.assign(SCHEMA, openings()[0], [1, 2, babyjubjub.ORDER])
    short = dataclasses.replace(openings()[0], path=MerklePath(0, (1, 2)))
    with pytest.raises(WrongLength):
        filing.assign(SCHEMA, short, blindings())


def test_filing_of_four_fields_is_as_small_as_it_says() -> None:
    schema = Schema.from_toml((Path(services.schemas.__file__).parent / "filing.toml").read_text())
    circuit = filing.build(schema)
    parts = circuit.breakdown()
    assert circuit.n_constraints == sum(parts.values()) == 7_779
    assert parts["the leaf lies under the root"] == 14 * 325 + 382
    assert {parts[f"commitment to {field.name}"] for field in schema.fields} == {611}
    assert circuit.n_constraints + len(circuit.public_names) < 1 << 13


def request(kind: Kind, cut_off: int = 0) -> Request:
    return Request("bank", bytes(range(16)), 1_800_000_000, kind, cut_off)


@pytest.mark.parametrize("opening", openings(), ids=lambda opening: opening.record.subject)
@pytest.mark.parametrize("scorecard", [SCORECARD, LARGEST], ids=lambda scorecard: scorecard.name)
def test_credit_score_is_the_scorecards(opening: Opening, scorecard: Scorecard) -> None:
    score = scorecard.score(opening.record.values)
    for kind, cut_off, expected in (
        (Kind.SCORE, 0, score),
        (Kind.PASS_FAIL, score, True),
        (Kind.PASS_FAIL, score + 1, False),
    ):
        asked = request(kind, cut_off)
        statement, witness = credit_score.assign(SCHEMA, opening, scorecard, asked)
        assert credit_score.read_outcome(statement.outcome, kind) == expected
        assert statement.request == asked.public_input()
        assert statement.model_hash == scorecard.model_hash(SCHEMA)
        assert from_limbs(witness[1:8]) == statement.public_inputs()


def test_credit_score_binds_each_public_input() -> None:
    statement, witness = credit_score.assign(SCHEMA, openings()[0], SCORECARD, request(Kind.SCORE))
    for index in range(len(statement.public_inputs())):
        wrong = witness.copy()
        wrong[1 + index, 0] ^= 1
        with pytest.raises(Unsatisfied):
            credit_score.build(SCHEMA).check(wrong)


@pytest.mark.parametrize("kind", Kind)
def test_credit_score_leaves_no_wire_free(kind: Kind) -> None:
    circuit = credit_score.build(SCHEMA)
    _, witness = credit_score.assign(SCHEMA, openings()[0], SCORECARD, request(kind, 3 if kind else 0))
    assert free_wires(circuit, witness) == []


def test_every_term_of_a_request_counts() -> None:
    base = request(Kind.PASS_FAIL, 10)
    others = [
        dataclasses.replace(base, bank="another"),
        dataclasses.replace(base, nonce=bytes(16)),
        dataclasses.replace(base, expires_at=base.expires_at + 1),
        dataclasses.replace(base, cut_off=11),
        dataclasses.replace(base, kind=Kind.SCORE, cut_off=0),
    ]
    assert len({item.public_input() for item in (base, *others)}) == len(others) + 1
    for wrong in ({"nonce": b""}, {"cut_off": 1 << 31}, {"kind": Kind.SCORE}, {"expires_at": -1}):
        with pytest.raises((OutOfRange, WrongLength)):
            dataclasses.replace(base, **wrong)


def test_every_number_of_a_scorecard_counts() -> None:
    hashes = {SCORECARD.model_hash(SCHEMA)}
    changed = [dataclasses.replace(SCORECARD, base=501)]
    for place, item in enumerate(SCORECARD.characteristics):
        for variant in (
            dataclasses.replace(item, points=(item.points[0] + 1, *item.points[1:])),
            dataclasses.replace(item, points=(*item.points[:-1], item.points[-1] + 1)),
            dataclasses.replace(item, cuts=(item.cuts[0] - 1, *item.cuts[1:])),
            dataclasses.replace(item, field={"sales": "costs", "costs": "sales"}.get(item.field, item.field)),
        ):
            if variant == item:
                continue
            items = list(SCORECARD.characteristics)
            items[place] = variant
            changed.append(dataclasses.replace(SCORECARD, characteristics=tuple(items)))
    hashes |= {scorecard.model_hash(SCHEMA) for scorecard in changed}
    assert len(hashes) == len(changed) + 1


def test_other_circuits_refuse_values_out_of_range() -> None:
    opening = openings()[0]
    record = dataclasses.replace(opening.record)
    object.__setattr__(record, "values", {"sales": 1 << 64, "profits": 0, "costs": 1 << 64})
    cheating = dataclasses.replace(opening, record=record)
    for assign in (
        lambda: membership.assign(SCHEMA, cheating),
        lambda: credit_score.assign(SCHEMA, cheating, SCORECARD, request(Kind.SCORE)),
    ):
        with pytest.raises(Unsatisfied) as refused:
            assign()
        assert "sales is below 2^64" in refused.value.part


def test_membership() -> None:
    for opening in openings():
        statement, witness = membership.assign(SCHEMA, opening)
        assert from_limbs(witness[1:5]) == statement.public_inputs()
    assert free_wires(membership.build(SCHEMA), witness) == []
    with pytest.raises(Unsatisfied):
        membership.assign(SCHEMA, dataclasses.replace(openings()[0], root=1))


def test_openings_do_not_show_their_secrets() -> None:
    opening = openings()[0]
    shown = repr(opening) + str(opening)
    for secret in (*VALUES[0].values(), opening.blinding):
        assert str(secret) not in shown.replace(str(opening.root), "")
    assert Opening.from_bytes(opening.to_bytes(), SCHEMA) == opening
