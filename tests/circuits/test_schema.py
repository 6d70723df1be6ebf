"""Schemas, records and scorecards: strict reading, canonical text, refusals by name."""

import json
from pathlib import Path

import pytest

from circuits.record import Opening, Record, attributes_id, period_id, subject_id
from circuits.schema import Schema
from circuits.scorecard import Scorecard
from services.records import party_name, read_records
from services.schemas import fit_scorecard
from tests.circuits.statements import SCHEMA, VALUES, openings, record
from zkcore.errors import Malformed, OutOfRange, Refused, Unsatisfied, WrongLength

SCHEMAS = Path(fit_scorecard.__file__).parent
BASE = 'name = "x"\n[[fields]]\nname = "a"\ntype = "u64"\nunit = "m"\n'


def test_canonical_text_reads_back() -> None:
    for schema in (SCHEMA, *(Schema.from_toml(path.read_text()) for path in SCHEMAS.glob("*.toml"))):
        assert Schema.from_toml(schema.to_toml()) == schema
        assert Schema.from_toml(schema.to_toml()).schema_id == schema.schema_id
        assert schema.schema_id < 1 << 248
    assert Schema.from_toml(BASE).schema_id != Schema.from_toml(BASE.replace('"m"', '"k"')).schema_id


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "schema.fields"),
        ("name = ", "schema"),
        ("[[[", "schema"),
        (BASE.replace('"x"', '"X"'), "schema.name"),
        (BASE.replace('"u64"', '"u32"'), "schema.fields.a.type"),
        (BASE.replace('name = "a"', 'name = "subject"'), "schema.subject"),
        (BASE + '[[attributes]]\nname = "a"\n', "schema.a"),
        (BASE + 'colour = "red"\n', "fields[0].colour"),
        ("minimum_cohort = 1\n" + BASE, "schema.minimum_cohort"),
        ('minimum_cohort = "10"\n' + BASE, "schema.minimum_cohort"),
        ("minimum_cohort = true\n" + BASE, "schema.minimum_cohort"),
        ("limit = 3\n" + BASE, "schema.limit"),
        ('periods = "week"\n' + BASE, "schema.periods"),
        ("periods = 2026\n" + BASE, "schema.periods"),
        ('fields = "a"\nname = "x"', "schema.fields"),
        (BASE.replace('unit = "m"\n', ""), "fields[0].unit"),
        (BASE.replace('"m"', "3"), "fields[0].unit"),
        (BASE.replace('"m"', '"a\\u0000b"'), "fields.a.unit"),
        (BASE + '[[rules]]\nname = "r"\nrelation = "a = b"\n', "rules.r.relation"),
        (BASE + '[[rules]]\nname = "r"\nrelation = "a"\n', "rules.r.relation"),
        (BASE + '[[rules]]\nname = "r"\nrelation = "a * a = 1"\n', "rules.r.relation"),
        (BASE + '[[rules]]\nname = "r"\nrelation = "a = 2 ** 4"\n', "rules.r.relation"),
        (BASE + '[[rules]]\nname = "r"\nrelation = "a = open(1)"\n', "rules.r.relation"),
        (BASE + '[[rules]]\nname = "r"\nrelation = "a = 0.5"\n', "rules.r.relation"),
        (BASE + '[[rules]]\nname = "r"\nrelation = "a = = 1"\n', "rules.r.relation"),
        (BASE + f'[[rules]]\nname = "r"\nrelation = "a = {1 << 64}"\n', "rules.r.relation"),
    ],
)
def test_schemas_are_refused_by_part(text: str, part: str) -> None:
    with pytest.raises(Refused) as refused:
        Schema.from_toml(text)
    assert refused.value.part == part


def test_more_fields_than_a_plaintext_has_slots_are_refused() -> None:
    field = '[[fields]]\nname = "f{}"\ntype = "u64"\nunit = "m"\n'
    Schema.from_toml('name = "x"\n' + "".join(field.format(number) for number in range(31)))
    with pytest.raises(WrongLength):
        Schema.from_toml('name = "x"\n' + "".join(field.format(number) for number in range(32)))


def test_rules_are_linear_relations() -> None:
    schema = Schema.from_toml(BASE + '[[rules]]\nname = "r"\nrelation = "2 * a - (3 - a) * 4 = a + 15 - -1"\n')
    assert schema.rules[0].terms == ({"a": 5}, -28)


def test_records_are_checked() -> None:
    with pytest.raises(Unsatisfied):
        record({"sales": 1, "profits": 2, "costs": 3})
    for values in ({"sales": 1}, {"sales": 1, "profits": 1, "costs": 0, "more": 1}):
        with pytest.raises(Malformed):
            record(values)
    for sales, profits in ((-1, -1), (1 << 64, 0), (1 << 63, 1 << 63)):
        with pytest.raises(OutOfRange) as refused:
            record({"sales": sales, "profits": profits, "costs": sales - profits})
        assert str(sales) not in str(refused.value)
    for attributes in ({}, {"category": ""}, {"category": "a\nb"}, {"category": "e\u0301"}, {"other": "x"}):
        with pytest.raises(Malformed):
            Record(SCHEMA, "acme", "2026Q2", attributes, dict(VALUES[0]))
    with pytest.raises(WrongLength):
        Record(SCHEMA, "acme", "2026Q2", {"category": "x" * 257}, dict(VALUES[0]))
    for subject, period in (
        ("", "2026"),
        ("a b", "2026"),
        ("-a", "2026"),
        ("a", ""),
        ("a", "2026 Q2"),
        ("a" * 65, "1"),
    ):
        with pytest.raises(Malformed):
            Record(SCHEMA, subject, period, {"category": "x"}, dict(VALUES[0]))


@pytest.mark.parametrize(
    ("periods", "some", "others"),
    [
        ("year", ["2026", "1999"], ["26", "2026Q2", "2026-06", "20266", "x", ""]),
        ("half", ["2026H1", "2026H2"], ["2026H0", "2026H3", "2026h1", "2026", "H1"]),
        ("quarter", ["2026Q1", "2026Q4"], ["2026Q0", "2026Q5", "2026-Q1", "2026Q11", "2026Q1\n"]),
        ("month", ["2026-01", "2026-12"], ["2026-00", "2026-13", "2026-1", "2026-1a", "202601", "\u0662026-01"]),
        ("", ["2026", "x.y_z-1", "a" * 32], ["", "a" * 33, "2026 Q2", "-2026"]),
    ],
)
def test_periods_are_of_the_schemas_kind(periods: str, some: list[str], others: list[str]) -> None:
    schema = Schema.from_toml(f'periods = "{periods}"\n{BASE}')
    for period in some:
        assert Record(schema, "acme", period, {}, {"a": 1}).period == period
    for period in others:
        with pytest.raises(Malformed) as refused:
            Record(schema, "acme", period, {}, {"a": 1})
        assert refused.value.part == "period"
    assert (schema == Schema.from_toml(BASE)) is (schema.schema_id == Schema.from_toml(BASE).schema_id) is (not periods)


def test_identities_differ() -> None:
    assert subject_id("a") != period_id("a")
    two = Schema.from_toml(BASE + '[[attributes]]\nname = "p"\n[[attributes]]\nname = "q"\n')
    assert attributes_id(two, {"p": "ab", "q": "c"}) != attributes_id(two, {"p": "a", "q": "bc"})


def test_openings_are_read_strictly() -> None:
    document = json.loads(openings()[0].to_bytes())
    for key in document:
        with pytest.raises(Refused):
            Opening.from_bytes(json.dumps({k: v for k, v in document.items() if k != key}).encode(), SCHEMA)
        for value in (None, [], {}, "x", -1, 1.5, "99" * 50):
            if value != document[key] and not (key in {"subject", "period"} and value == "x"):
                with pytest.raises(Refused):
                    Opening.from_bytes(json.dumps({**document, key: value}).encode(), SCHEMA)
    for data in (b"", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(Malformed):
            Opening.from_bytes(data, SCHEMA)


def scorecard_document() -> dict:
    return json.loads((SCHEMAS / "credit_scorecard.json").read_text())


def test_the_fitted_scorecard_is_what_the_script_fits() -> None:
    document = scorecard_document()
    assert fit_scorecard.fit() == document
    scorecard = Scorecard.from_dict(document["scorecard"])
    assert Scorecard.from_dict(scorecard.to_dict()) == scorecard
    schema = Schema.from_toml((SCHEMAS / "credit.toml").read_text())
    assert scorecard.model_hash(schema)
    assert document["measured"]["held_back"]["gini"] > 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1},
        {"base": "1"},
        {"base": 1 << 25},
        {"base": True},
        {"characteristics": []},
        {"characteristics": [{"field": "a", "cuts": [1], "points": [1]}]},
        {"characteristics": [{"field": "a", "cuts": [], "points": [1]}]},
        {"characteristics": [{"field": "a", "cuts": [2, 1], "points": [1, 2, 3]}]},
        {"characteristics": [{"field": "a", "cuts": [1, 1], "points": [1, 2, 3]}]},
        {"characteristics": [{"field": "a", "cuts": [1], "points": [1, 1 << 25]}]},
        {"characteristics": [{"field": "a", "cuts": [1 << 65], "points": [1, 2]}]},
        {"characteristics": [{"field": "a", "cuts": [1.0], "points": [1, 2]}]},
        {"characteristics": [{"field": "a", "cuts": list(range(8)), "points": list(range(9))}]},
        {"characteristics": [{"field": "a", "cuts": [1], "points": [1, 2], "more": 1}]},
    ],
)
def test_scorecards_are_read_strictly(change: dict) -> None:
    with pytest.raises(Refused):
        Scorecard.from_dict({**scorecard_document()["scorecard"], **change})


def test_scorecards_fit_their_schema() -> None:
    item = {"field": "sales", "cuts": [-1], "points": [0, 1]}
    below = Scorecard.from_dict({"name": "x", "base": 0, "characteristics": [item]})
    with pytest.raises(OutOfRange):
        below.model_hash(SCHEMA)
    unknown = Scorecard.from_dict({"name": "x", "base": 0, "characteristics": [{**item, "field": "nothing"}]})
    with pytest.raises(Malformed):
        unknown.model_hash(SCHEMA)


CSV = "subject,period,category,sales,profits,costs,remark\nAcme & Söhne,2026Q2,Food,10,-5,15,x\n"


def test_records_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    path.write_text(CSV)
    (found,) = read_records(path, SCHEMA)
    assert found == Record(
        SCHEMA, "Acme-Sohne", "2026Q2", {"category": "Food"}, {"sales": 10, "profits": -5, "costs": 15}
    )
    assert party_name("Royal Dutch/Shell Group") == "Royal-Dutch-Shell-Group"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing: subject"),
        (CSV.replace("sales", "turnover"), "missing: sales"),
        (CSV.split("\n")[0] + "\n", "no records"),
        (CSV.replace("10", "ten"), "line 2: sales"),
        (CSV.replace("10", ""), "line 2: sales"),
        (CSV.replace("10", "1e3"), "line 2: sales"),
        (CSV.replace("-5", "-6"), "line 2: rules.balance"),
        (CSV.replace("2026Q2", "2026 Q2"), "line 2: period"),
        (CSV.replace("Acme & Söhne", "&&&"), "line 2: subject"),
        (CSV + CSV.split("\n")[1] + "\n", "line 3: subject"),
        (CSV + CSV.split("\n")[1].replace("&", "+") + "\n", "called as well"),
        (CSV + "Other,2026Q2,Food\n", "line 3: sales"),
    ],
)
def test_csv_is_refused_by_line_and_column(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "records.csv"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        read_records(path, SCHEMA)
    assert words in str(refused.value)


def test_unreadable_csv(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        read_records(tmp_path / "none.csv", SCHEMA)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Malformed):
        read_records(tmp_path / "binary.csv", SCHEMA)


def test_all_companies_are_read() -> None:
    schema = Schema.from_toml((SCHEMAS / "filing.toml").read_text())
    assert len(read_records(SCHEMAS / "data" / "forbes2000.csv", schema)) == 2000
