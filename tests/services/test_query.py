"""The part of SQL that is answered: what is accepted, what it means, and that all else is refused by name."""

import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.query import LONGEST_TEXT, PrivateColumn, TooComplex, UnknownName, Unsupported, parse
from tests.services.schemas import FILING, SCHEMAS
from zkcore.errors import Refused


def ask(sql: str):
    return parse(sql, SCHEMAS)


@pytest.mark.parametrize(
    ("sql", "canonical"),
    [
        ("select count(*) from filing", "SELECT COUNT(*) FROM filing"),
        ("SELECT COUNT ( * ) FROM Filing ;", "SELECT COUNT(*) FROM filing"),
        (
            "SELECT category, COUNT(*), SUM(sales), SUM(profits), AVG(assets) FROM filing GROUP BY category",
            "SELECT category, COUNT(*), SUM(sales), SUM(profits), AVG(assets) FROM filing GROUP BY category",
        ),
        ('SELECT "sales" AS x, SUM(sales) FROM filing', PrivateColumn),
        ("SELECT SUM(Sales) AS Total FROM filing", 'SELECT SUM(sales) AS "Total" FROM filing'),
        ("SELECT SUM(sales) total FROM filing", 'SELECT SUM(sales) AS "total" FROM filing'),
        (
            "SELECT COUNT(*) FROM filing WHERE category != 'b' AND period == '2026'",
            "SELECT COUNT(*) FROM filing WHERE category <> 'b' AND period = '2026'",
        ),
        (
            "SELECT COUNT(*) FROM filing WHERE category IN ('b', 'a', 'b')",
            "SELECT COUNT(*) FROM filing WHERE category IN ('a', 'b')",
        ),
        (
            "SELECT COUNT(*) FROM filing WHERE NOT category IN ('b', 'a')",
            "SELECT COUNT(*) FROM filing WHERE category NOT IN ('a', 'b')",
        ),
        (
            "SELECT COUNT(*) FROM filing WHERE NOT NOT (category = 'a' OR NOT (country = 'b' AND period = 'c'))",
            "SELECT COUNT(*) FROM filing WHERE category = 'a' OR NOT (country = 'b' AND period = 'c')",
        ),
        (
            "SELECT COUNT(*) FROM filing WHERE (category = 'a' AND (country = 'b' AND (period = 'c' OR period = 'd')))",
            "SELECT COUNT(*) FROM filing WHERE category = 'a' AND country = 'b' AND (period = 'c' OR period = 'd')",
        ),
        (
            "SELECT COUNT(*) FROM filing WHERE category = 'it''s \\ \"x\" -- /* 税 */'",
            "SELECT COUNT(*) FROM filing WHERE category = 'it''s \\ \"x\" -- /* 税 */'",
        ),
        ("SELECT COUNT(*) FROM filing WHERE category = ''", "SELECT COUNT(*) FROM filing WHERE category = ''"),
        ("SELECT SUM(sales)\nFROM\tfiling\r\nGROUP BY period", "SELECT SUM(sales) FROM filing GROUP BY period"),
    ],
)
def test_canonical_text(sql: str, canonical: str | type[Refused]) -> None:
    if not isinstance(canonical, str):
        with pytest.raises(canonical):
            ask(sql)
        return
    assert ask(sql).text == canonical
    assert ask(canonical) == ask(sql)
    assert ask(canonical).digest() == ask(sql).digest()


def test_a_column_may_be_called_like_a_word_of_sql() -> None:
    query = ask('SELECT "group", COUNT(*) FROM filing WHERE "group" <> \'x\' GROUP BY "group"')
    assert query.group_by == ("group",)
    assert ask(query.text) == query


def test_columns_fields_and_labels() -> None:
    query = ask("SELECT AVG(assets) AS mean, category, COUNT(*), SUM(sales), AVG(sales) FROM filing GROUP BY category")
    assert query.dataset == "filing"
    assert query.fields == ("sales", "assets")
    assert [column.label for column in query.columns] == ["mean", "category", "COUNT(*)", "SUM(sales)", "AVG(sales)"]
    assert ask("SELECT COUNT(*) FROM filing").fields == ()


def test_digest_tells_queries_and_schemas_apart() -> None:
    from dataclasses import replace

    first, second = ask("SELECT SUM(sales) FROM filing"), ask("SELECT SUM(assets) FROM filing")
    assert len({first.digest(), second.digest()}) == 2
    other = type(FILING).from_toml(FILING.to_toml().replace("minimum_cohort = 3", "minimum_cohort = 4"))
    assert replace(first, schema=other).digest() != first.digest()


ROWS = [
    ({"category": category, "country": country, "group": "g"}, period)
    for category in ("a", "b", "c")
    for country in ("x", "y")
    for period in ("2025", "2026")
]
Meaning = Callable[[str, str, str], bool]


@pytest.mark.parametrize(
    ("where", "meaning"),
    [
        ("category = 'a'", lambda c, n, p: c == "a"),
        ("category <> 'a'", lambda c, n, p: c != "a"),
        ("category IN ('a', 'c')", lambda c, n, p: c in "ac"),
        ("category NOT IN ('a', 'c')", lambda c, n, p: c not in "ac"),
        ("period = '2025' OR category = 'a' AND country = 'x'", lambda c, n, p: p == "2025" or (c == "a" and n == "x")),
        (
            "(period = '2025' OR category = 'a') AND country = 'x'",
            lambda c, n, p: (p == "2025" or c == "a") and n == "x",
        ),
        ("NOT category = 'a' AND country = 'x'", lambda c, n, p: c != "a" and n == "x"),
        ("NOT (category = 'a' AND country = 'x')", lambda c, n, p: not (c == "a" and n == "x")),
        ("NOT (category = 'a' OR NOT country = 'x')", lambda c, n, p: not (c == "a" or n != "x")),
        ("category = 'A'", lambda c, n, p: False),
    ],
)
def test_where(where: str, meaning: Meaning) -> None:
    query = ask(f"SELECT COUNT(*) FROM filing WHERE {where}")
    for attributes, period in ROWS:
        expected = meaning(attributes["category"], attributes["country"], period)
        assert query.matches(attributes, period) is expected, (attributes, period)


def test_groups() -> None:
    query = ask("SELECT COUNT(*) FROM filing GROUP BY period, category")
    assert query.group_of({"category": "a", "country": "x", "group": "g"}, "2026") == ("2026", "a")
    assert ask("SELECT COUNT(*) FROM filing").group_of({"category": "a", "country": "x", "group": "g"}, "2026") == ()


REFUSED = {
    "SELECT * FROM filing": "SELECT *",
    "FROM filing": "SELECT *",
    "SELECT sales FROM filing": "field sales",
    "SELECT sales, COUNT(*) FROM filing GROUP BY sales": "field sales",
    "SELECT COUNT(*) FROM filing GROUP BY sales": "field sales",
    "SELECT COUNT(*) FROM filing WHERE sales = '3'": "field sales",
    "SELECT subject, COUNT(*) FROM filing GROUP BY subject": "subject",
    "SELECT COUNT(*) FROM filing WHERE subject = 'x'": "subject",
    "SELECT SUM(subject) FROM filing": "subject",
    "SELECT category, COUNT(*) FROM filing": "column category",
    "SELECT category FROM filing GROUP BY category": "SELECT without COUNT, SUM or AVG",
    "SELECT COUNT(*), COUNT(*) FROM filing": "column COUNT(*)",
    "SELECT SUM(sales) AS x, SUM(assets) AS x FROM filing": "column x",
    "SELECT COUNT(*) FROM filing GROUP BY period, period": "GROUP BY",
    "SELECT COUNT(*) FROM elsewhere": "dataset elsewhere",
    "SELECT SUM(elsewhere) FROM filing": "column elsewhere",
    'SELECT COUNT(*) FROM filing WHERE category = "a"': "comparison with COLUMN",
    "SELECT COUNT(*) FROM filing WHERE elsewhere = 'a'": "column elsewhere",
    "SELECT COUNT(*)": "SELECT without FROM",
    "SELECT 1": "SELECT without FROM",
    "": "empty query",
    ";": "empty query",
    "SELECT COUNT(*) FROM filing; SELECT COUNT(*) FROM filing": "several statements",
    "SELECT COUNT(*) FROM filing; DROP TABLE filing": "several statements",
    "SELECT COUNT(*) FROM filing -- all of them": "comment",
    "SELECT /* all */ COUNT(*) FROM filing": "comment",
    "SELECT /*+ hint */ COUNT(*) FROM filing": "comment",
    "-- only a comment": "empty query",
    "SELECT DISTINCT category, COUNT(*) FROM filing GROUP BY category": "DISTINCT",
    "SELECT COUNT(DISTINCT category) FROM filing": "COUNT(DISTINCT ...)",
    "SELECT SUM(DISTINCT sales) FROM filing": "SUM(DISTINCT ...)",
    "SELECT COUNT(sales) FROM filing": "COUNT of a column",
    "SELECT COUNT(1) FROM filing": "COUNT of a column",
    "SELECT SUM(category) FROM filing": "SUM(category)",
    "SELECT AVG(period) FROM filing": "AVG(period)",
    "SELECT SUM(sales + assets) FROM filing": "SUM of operator +",
    "SELECT SUM(AVG(sales)) FROM filing": "SUM of function AVG",
    "SELECT SUM(3) FROM filing": "SUM of number",
    "SELECT SUM(*) FROM filing": "SUM of STAR",
    "SELECT SUM(ALL sales) FROM filing": "ALL",
    "SELECT SUM(sales) / COUNT(*) FROM filing": "DIV",
    "SELECT -SUM(sales) FROM filing": "NEG",
    "SELECT (SELECT 1), COUNT(*) FROM filing": "subquery",
    "SELECT SUM(sales) OVER () FROM filing": "WINDOW",
    "SELECT SUM(sales) FILTER (WHERE category = 'a') FROM filing": "FILTER",
    "SELECT VAR(sales) FROM filing": "function VAR",
    "SELECT VAR_POP(sales) FROM filing": "function VARIANCE_POP",
    "SELECT VARIANCE(sales) FROM filing": "function VARIANCE",
    "SELECT STDDEV(sales) FROM filing": "function STDDEV",
    "SELECT MIN(sales) FROM filing": "function MIN",
    "SELECT MAX(sales) FROM filing": "function MAX",
    "SELECT MEDIAN(sales) FROM filing": "function MEDIAN",
    "SELECT my_function(sales) FROM filing": "function MY_FUNCTION",
    "SELECT CASE WHEN category = 'a' THEN 1 END, COUNT(*) FROM filing": "function CASE",
    "SELECT CAST(sales AS TEXT), COUNT(*) FROM filing": "function CAST",
    "SELECT filing.category, COUNT(*) FROM filing GROUP BY category": "a qualified name",
    "SELECT COUNT(*) FROM main.filing": "a qualified name",
    "SELECT COUNT(*) FROM filing AS f": "alias of a dataset",
    "SELECT COUNT(*) FROM filing, filing": "JOIN",
    "SELECT COUNT(*) FROM filing JOIN filing ON 1 = 1": "JOIN",
    "SELECT COUNT(*) FROM filing LEFT JOIN other USING (category)": "JOIN",
    "SELECT COUNT(*) FROM (SELECT * FROM filing)": "subquery",
    "SELECT COUNT(*) FROM filing TABLESAMPLE (10)": "SAMPLE",
    "WITH x AS (SELECT 1) SELECT COUNT(*) FROM filing": "WITH",
    "SELECT COUNT(*) FROM filing UNION SELECT COUNT(*) FROM filing": "UNION",
    "SELECT COUNT(*) FROM filing EXCEPT SELECT COUNT(*) FROM filing": "EXCEPT",
    "SELECT COUNT(*) FROM filing HAVING COUNT(*) > 3": "HAVING",
    "SELECT COUNT(*) FROM filing ORDER BY period": "ORDER BY (rows come in the order of their groups)",
    "SELECT COUNT(*) FROM filing LIMIT 3": "LIMIT",
    "SELECT COUNT(*) FROM filing OFFSET 3": "OFFSET",
    "SELECT COUNT(*) FROM filing FOR UPDATE": "LOCKS",
    "SELECT COUNT(*) INTO x FROM filing": "INTO",
    "SELECT COUNT(*) FROM filing QUALIFY 1 = 1": "QUALIFY",
    "SELECT COUNT(*) FROM filing GROUP BY ALL": "ALL",
    "SELECT COUNT(*) FROM filing GROUP BY 1": "number",
    "SELECT COUNT(*) FROM filing GROUP BY ROLLUP (category)": "ROLLUP",
    "SELECT COUNT(*) FROM filing GROUP BY CUBE (category)": "CUBE",
    "SELECT COUNT(*) FROM filing GROUP BY GROUPING SETS ((category), ())": "GROUPING SETS",
    "SELECT COUNT(*) FROM filing WHERE category = 3": "comparison with number",
    "SELECT COUNT(*) FROM filing WHERE category = country": "comparison with COLUMN",
    "SELECT COUNT(*) FROM filing WHERE category = NULL": "comparison with NULL",
    "SELECT COUNT(*) FROM filing WHERE category = 'a' || 'b'": "comparison with DPIPE",
    "SELECT COUNT(*) FROM filing WHERE category = 'a' 'b'": "comparison with function CONCAT",
    "SELECT COUNT(*) FROM filing WHERE category = 'a' COLLATE x": "comparison with function COLLATE",
    "SELECT COUNT(*) FROM filing WHERE 'a' = category": "comparison with COLUMN",
    "SELECT COUNT(*) FROM filing WHERE LOWER(category) = 'a'": "function LOWER",
    "SELECT COUNT(*) FROM filing WHERE category > 'a'": "operator >",
    "SELECT COUNT(*) FROM filing WHERE category <= 'a'": "operator <=",
    "SELECT COUNT(*) FROM filing WHERE category LIKE 'a%'": "LIKE",
    "SELECT COUNT(*) FROM filing WHERE category BETWEEN 'a' AND 'b'": "BETWEEN",
    "SELECT COUNT(*) FROM filing WHERE category IS NULL": "IS",
    "SELECT COUNT(*) FROM filing WHERE category = 'a' IS TRUE": "comparison with PAREN",
    "SELECT COUNT(*) FROM filing WHERE category <=> 'a'": "NULL SAFE EQ",
    "SELECT COUNT(*) FROM filing WHERE category IN (SELECT category FROM filing)": "subquery",
    "SELECT COUNT(*) FROM filing WHERE EXISTS (SELECT 1)": "function EXISTS",
    "SELECT COUNT(*) FROM filing WHERE category = ANY ('a')": "comparison with ANY",
    "SELECT COUNT(*) FROM filing WHERE category IN ()": "IN of nothing",
    "SELECT COUNT(*) FROM filing WHERE (category, country) IN (('a', 'b'))": "comparison with TUPLE",
    "SELECT COUNT(*) FROM filing WHERE category": "COLUMN",
    "SELECT COUNT(*) FROM filing WHERE TRUE": "BOOLEAN",
    "SELECT COUNT(*) FROM filing WHERE category = 'a' XOR country = 'b'": "query",
    "SELECT COUNT(*) FROM filing WHERE category = ?": "comparison with PLACEHOLDER",
    "SELECT COUNT(*) FROM filing WHERE category = @x": "comparison with PARAMETER",
    "DROP TABLE filing": "DROP",
    "DELETE FROM filing": "DELETE",
    "UPDATE filing SET sales = 3": "UPDATE",
    "INSERT INTO filing VALUES (1)": "INSERT",
    "CREATE TABLE x AS SELECT 1": "CREATE",
    "PRAGMA user_version": "PRAGMA",
    "EXPLAIN SELECT 1": "COMMAND",
    "SELECT COUNT(*) FROM filing WHERE category = 'a": "query",
    "SELECT FROM WHERE": "query",
    "how much did they sell?": "query",
    "SELECT COUNT(*) FROM filing WHERE category = '\x00'": "control character",
    "SELECT COUNT(*) FROM filing WHERE category = '\u2028'": "control character",
    f"SELECT COUNT(*) AS {'x' * 64} FROM filing": "alias",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_everything_else_is_refused_by_name(sql: str) -> None:
    with pytest.raises(Unsupported) as refusal:
        ask(sql)
    assert refusal.value.part == REFUSED[sql]


def test_a_refusal_says_what_is_supported() -> None:
    with pytest.raises(Unsupported, match=r"LIMIT.*SELECT of public attributes.*GROUP BY"):
        ask("SELECT COUNT(*) FROM filing LIMIT 3")
    with pytest.raises(UnknownName, match="single quotes"):
        ask("SELECT COUNT(*) FROM filing WHERE \"a\" = 'b'")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM filing WHERE category = '" + "x" * LONGEST_TEXT + "'",
        "SELECT COUNT(*) FROM filing WHERE " + "(" * 17 + "category = 'a'" + ")" * 17,
        "SELECT COUNT(*) FROM filing WHERE " + "NOT " * 17 + "category = 'a'",
        "SELECT COUNT(*) FROM filing WHERE category IN (" + ",".join(["''"] * 600) + ")",
        "SELECT " + ", ".join(f"SUM(sales) AS a{i}" for i in range(65)) + " FROM filing",
        "SELECT COUNT(*) FROM filing WHERE " + " OR ".join(["period=''"] * 312),
    ],
)
def test_long_and_deep_queries_are_refused(sql: str) -> None:
    with pytest.raises(TooComplex):
        ask(sql)


@pytest.fixture
def raised_recursion_limit() -> Iterator[None]:
    """As libraries set it that come with the ledger."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("raised_recursion_limit")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM filing WHERE " + "- " * 1000 + "category = 'a'",
        "SELECT COUNT(*) FROM filing WHERE " + "CASE WHEN " * 500,
        "SELECT " * 1000,
        "(" * 4000,
        "[" * 4000,
        "SELECT COUNT(*) FROM filing WHERE " + "{" * 15 + "(" * 15,
        "x." * 1000,
        "SELECT COUNT(*) FROM filing" + " JOIN x" * 500,
        "WITH " * 1000,
        "SELECT COUNT(*) FROM filing" + " JOIN x" * 12,
        "SELECT COUNT(*) FROM filing" + ", x" * 500,
        "SELECT COUNT(*) FROM filing" + " x" * 1000,
        "SELECT COUNT(*) FROM filing WHERE " + "period = " * 500,
        "SELECT COUNT(*) FROM filing WHERE period IN " + "(" * 15 + "'a', " * 300,
        "SELECT COUNT(*) FROM filing WHERE " + "NOT " * 17,
    ],
)
def test_pathological_text_is_refused(sql: str) -> None:
    with pytest.raises(Unsupported):
        ask(sql)


def test_the_longest_chain_is_answered() -> None:
    query = ask("SELECT COUNT(*) FROM filing WHERE " + " OR ".join(f"period = '{i}'" for i in range(200)))
    assert query.matches({"category": "a"}, "199")
    assert not query.matches({"category": "a"}, "200")


WORDS = """
SELECT FROM WHERE GROUP BY AND OR NOT IN COUNT(*) SUM( AVG( ) ( , . ; * = <> 'a' 'it''s' "x" sales category period
filing 3 1e9 -- /* */ AS DISTINCT HAVING LIMIT JOIN UNION WITH CASE WHEN END NULL ? @ :x :: -> {{ }} [ ] $$ ` ' " \\
LATERAL PIVOT UNNEST INTERVAL DATE EXTRACT( CAST( BETWEEN LIKE 税 \u0301 COPY SET USE CREATE
"""


@settings(max_examples=1500, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(WORDS.split()), max_size=25).map(" ".join),
        st.lists(st.sampled_from(WORDS.split()), max_size=12).map("".join),
    )
)
@example("SELECT COUNT(*) FROM filing WHERE")
def test_garbage_is_refused_and_nothing_else(sql: str) -> None:
    try:
        query = ask(sql)
    except Unsupported as refusal:
        assert refusal.part
    else:
        assert ask(query.text) == query


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(
        [sql for sql in REFUSED if sql]
        + [
            "SELECT category, COUNT(*), SUM(sales) AS s FROM filing WHERE category IN ('a', 'b') GROUP BY category",
            "SELECT AVG(profits) FROM filing WHERE NOT (period = '2026' OR country <> 'x') AND category IN ('it''s')",
        ]
    ),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 6), st.sampled_from([*WORDS.split(), "", " "])), max_size=4),
)
def test_altered_queries_are_read_or_refused(sql: str, edits: list[tuple[int, int, str]]) -> None:
    for place, length, word in edits:
        sql = sql[:place] + word + sql[place + length :]
    try:
        query = ask(sql)
    except Unsupported:
        return
    assert ask(query.text) == query


CONDITIONS = st.recursive(
    st.tuples(
        st.sampled_from(["category", "country", '"group"', "period"]),
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(st.sampled_from(["a", "b", "it's", "税 \\ --", ""]), min_size=1, max_size=3),
    ).map(lambda it: f"{it[0]} {it[1]} ({', '.join(repr_sql(value) for value in it[2])})"),
    lambda inner: st.one_of(
        inner.map(lambda text: f"NOT ({text})"),
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map("".join),
    ),
    max_leaves=8,
)


def repr_sql(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, st.sampled_from(["a", "b", "it's", "", "z"]), st.sampled_from(["a", "b"]))
def test_meaning_agrees_with_sqlite(where: str, category: str, period: str) -> None:
    import sqlite3

    try:
        query = ask(f"SELECT COUNT(*) FROM filing WHERE {where}")
    except TooComplex:
        return
    assert ask(query.text) == query
    database = sqlite3.connect(":memory:")
    database.execute('CREATE TABLE filing (category, country, "group", period)')
    database.execute("INSERT INTO filing VALUES (?, 'a', 'b', ?)", (category, period))
    attributes = {"category": category, "country": "a", "group": "b"}
    (direct,) = database.execute(f"SELECT COUNT(*) FROM filing WHERE {where}").fetchone()
    assert query.matches(attributes, period) is bool(direct)
    (canonical,) = database.execute(query.text).fetchone()
    assert canonical == direct
    database.close()
