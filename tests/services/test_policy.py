"""Cohorts: minimum size, merging, the rule of atoms against brute force and linear algebra, and rights."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import policy
from services.errors import NotPermitted
from services.identity import Role
from services.log import root
from services.policy import (
    AtomTooSmall,
    Cohort,
    CohortTooSmall,
    MixedKeys,
    Plan,
    Record,
    Records,
    Released,
    Rights,
    plan,
)
from services.query import parse
from tests.services.schemas import SCHEMAS
from zkcore.errors import Malformed, OutOfRange, Refused

KEY = b"k" * 32


def record(position: int, category: str, country: str = "x", period: str = "2026", subject: str = "", key: bytes = KEY):
    attributes = {"category": category, "country": country, "group": "g"}
    return Record(position, subject or f"s{position}", period, attributes, key)


def companies(**sizes: int) -> list[Record]:
    """So many records of each category, one enterprise each."""
    names = [name for name, size in sizes.items() for _ in range(size)]
    return [record(position, name) for position, name in enumerate(names)]


class Dataset:
    """A dataset whose queries are answered one after another."""

    def __init__(self, records: Sequence[Record] = (), minimum: int = 3) -> None:
        self.records = Records(records)
        self.minimum = minimum
        self.released = Released()
        self.answers: list[Cohort] = []

    def ask(self, sql: str, head: int | None = None) -> Plan:
        head = head if head is not None else int(self.records.snapshot().positions[-1]) + 1
        answer = plan(parse(sql, SCHEMAS), self.records, head, self.released, self.minimum)
        self.released = self.released.after(answer.cohorts, head)
        self.answers.extend(answer.cohorts)
        return answer

    def sum(self, where: str = "", head: int | None = None) -> Plan:
        return self.ask("SELECT SUM(sales) FROM filing" + (f" WHERE {where}" if where else ""), head)


BY_CATEGORY = "SELECT category, COUNT(*), SUM(sales) FROM filing GROUP BY category"


def shape(answer: Plan) -> dict[tuple[str, ...] | str, int]:
    return {"other" if group.other else group.key: len(group.cohort) for group in answer.groups}


def test_groups_are_answered_merged_or_withheld() -> None:
    answer = Dataset(companies(c=3, a=4, b=2, d=1)).ask(BY_CATEGORY)
    assert shape(answer) == {("a",): 4, ("c",): 3, "other": 3}
    assert answer.merged == (("b",), ("d",)) and answer.withheld == ()
    assert [group.key for group in answer.groups] == [("a",), ("c",), ()]
    assert answer.groups[2].cohort.positions.tolist() == [7, 8, 9]

    answer = Dataset(companies(a=4, b=1, d=1)).ask(BY_CATEGORY)
    assert shape(answer) == {("a",): 4}
    assert answer.merged == () and answer.withheld == (("b",), ("d",))


@pytest.mark.parametrize("columns", ["COUNT(*)", "SUM(sales)", "AVG(profits)"])
def test_a_cohort_below_the_minimum_is_refused(columns: str) -> None:
    dataset = Dataset(companies(a=4, b=2))
    with pytest.raises(CohortTooSmall, match="2 enterprises in 1 groups; an answer is about at least 3"):
        dataset.ask(f"SELECT {columns} FROM filing WHERE category = 'b'")
    with pytest.raises(CohortTooSmall):
        dataset.ask(f"SELECT {columns} FROM filing WHERE category = 'nothing'")
    assert shape(dataset.ask(f"SELECT category, {columns} FROM filing GROUP BY category")) == {("a",): 4}


def test_no_records_at_all() -> None:
    with pytest.raises(CohortTooSmall):
        plan(parse(BY_CATEGORY, SCHEMAS), Records(), 0, Released(), 3)


def test_periods_of_one_enterprise_are_one_enterprise() -> None:
    years = [record(i, "a", period=str(2000 + i), subject="only one") for i in range(10)]
    dataset = Dataset(years)
    with pytest.raises(CohortTooSmall, match="1 enterprises"):
        dataset.sum()
    dataset = Dataset([record(i, "a", period=str(2000 + i // 3), subject=f"s{i % 3}") for i in range(9)])
    assert shape(dataset.sum()) == {(): 9}


def test_total_minus_published_groups() -> None:
    dataset = Dataset(companies(a=4, b=3, c=2))
    assert dataset.ask(BY_CATEGORY).withheld == (("c",),)
    with pytest.raises(AtomTooSmall):
        dataset.sum()

    dataset = Dataset(companies(a=4, b=3, c=2))
    dataset.sum()
    with pytest.raises(AtomTooSmall) as refusal:
        dataset.ask(BY_CATEGORY)
    assert refusal.value.merge == (("b",), ("c",))
    dataset.sum("category IN ('b', 'c')")
    assert shape(dataset.ask(BY_CATEGORY.replace("GROUP", "WHERE category NOT IN ('b', 'c') GROUP"))) == {("a",): 4}


def test_overlapping_filters() -> None:
    dataset = Dataset([record(i, "ab"[i % 2], "xyz"[i % 3]) for i in range(24)], minimum=5)
    dataset.sum("category = 'a'")
    with pytest.raises(AtomTooSmall):
        dataset.sum("country = 'x'")
    dataset = Dataset([record(i, "ab"[i % 2], "xyz"[i % 3]) for i in range(24)], minimum=4)
    dataset.sum("category = 'a'")
    assert shape(dataset.sum("country = 'x'")) == {(): 8}


def test_late_arrivals_are_named_and_left_out_at_the_earlier_head() -> None:
    dataset = Dataset(companies(a=5))
    dataset.sum()
    dataset.records.extend([record(5, "a"), record(6, "b"), record(7, "a")])
    with pytest.raises(AtomTooSmall, match="leave out 2 late records by asking at the head of 5 entries") as refusal:
        dataset.sum("category = 'a'")
    assert (refusal.value.late, refusal.value.head_size) == (2, 5)
    assert shape(dataset.sum("category = 'a'", head=5)) == {(): 5}
    dataset.records.append(record(8, "a"))
    assert shape(dataset.sum("category = 'a'")) == {(): 8}


def test_an_earlier_head_does_not_split_a_later_release() -> None:
    dataset = Dataset(companies(a=7))
    dataset.sum()
    with pytest.raises(AtomTooSmall):
        dataset.sum(head=5)  # the answer's complement would be about 2
    assert shape(dataset.sum(head=7)) == {(): 7}


def test_merging_advice_works() -> None:
    records = [record(i, "a") for i in range(4)] + [record(4 + i, "b") for i in range(4)]
    dataset = Dataset(records)
    dataset.ask(BY_CATEGORY)
    late = [record(8, "a"), record(9, "b"), record(10, "b")]
    dataset.records.extend(late)
    with pytest.raises(AtomTooSmall, match="or ask for these groups as one: a, b") as refusal:
        dataset.ask(BY_CATEGORY)
    assert refusal.value.merge == (("a",), ("b",))
    assert refusal.value.head_size == 8
    assert shape(dataset.sum("category IN ('a', 'b')")) == {(): 11}


def test_the_same_query_again_is_answered_again() -> None:
    dataset = Dataset(companies(a=4, b=3, c=2))
    first = dataset.ask(BY_CATEGORY)
    atoms = dataset.released.atoms.copy()
    assert dataset.ask(BY_CATEGORY).outline == first.outline
    assert np.array_equal(atoms, dataset.released.atoms)


def test_counting_releases_nothing() -> None:
    dataset = Dataset(companies(a=4, b=3, c=2))
    answer = dataset.ask("SELECT category, COUNT(*) FROM filing GROUP BY category")
    assert answer.cohorts == () and answer.key == b"" and answer.withheld == (("c",),)
    assert dataset.sum().cohorts  # so the total creates no small atom


def test_keys_never_mix() -> None:
    records = [record(i, "a", period="2025") for i in range(4)]
    records += [record(4 + i, "a", period="2026", key=b"l" * 32) for i in range(4)]
    dataset = Dataset(records)
    with pytest.raises(MixedKeys, match="2 keys"):
        dataset.sum()
    with pytest.raises(MixedKeys):
        dataset.ask("SELECT period, SUM(sales) FROM filing GROUP BY period")
    assert dataset.sum("period = '2025'").key == KEY
    assert dataset.sum("period = '2026'").key == b"l" * 32
    assert dataset.ask("SELECT period, COUNT(*) FROM filing GROUP BY period").key == b""


def test_a_release_that_the_records_do_not_hold_is_an_error() -> None:
    released = Released().after([Cohort(np.array([2, 3, 9], np.uint64))], 10)
    with pytest.raises(Malformed):
        plan(parse(BY_CATEGORY, SCHEMAS), Records(companies(a=5)), 5, released, 3)


def test_the_minimum_is_at_least_two() -> None:
    with pytest.raises(OutOfRange):
        plan(parse(BY_CATEGORY, SCHEMAS), Records(companies(a=5)), 5, Released(), 1)


def test_records_are_appended_in_order() -> None:
    records = Records(companies(a=3))
    for position in (0, 2, -1, 2**32):
        with pytest.raises(OutOfRange):
            records.append(record(position, "a"))
    assert len(records) == 3


def test_snapshot_stays_while_records_grow() -> None:
    records = Records(companies(a=5))
    snapshot = records.snapshot()
    records.extend(record(5 + i, f"c{i}") for i in range(5000))
    groups, chosen = snapshot.select(parse(BY_CATEGORY, SCHEMAS), 5005)
    assert groups == [("a",)] and chosen.tolist() == [0] * 5
    assert len(records.snapshot().positions) == 5005


def test_cohort_root_is_the_tree_hash_of_the_positions() -> None:
    positions = [1, 5, 2**32 - 1]
    cohort = Cohort(np.array(positions, np.uint64))
    assert cohort.root() == root(position.to_bytes(8, "big") for position in positions)
    assert Cohort.from_bytes(cohort.to_bytes()) == cohort
    assert Cohort(np.array([1, 5], np.uint64)).root() != cohort.root()


@pytest.mark.parametrize("positions", [[3, 2], [2, 2], [2**32], [[1], [2]]])
def test_cohorts_that_are_none(positions: list[int]) -> None:
    with pytest.raises(Refused):
        Cohort(np.array(positions, np.uint64))


def test_cohort_cannot_be_changed() -> None:
    cohort = Cohort(np.array([1, 2], np.uint64))
    with pytest.raises(ValueError, match="read-only"):
        cohort.positions[0] = 0
    with pytest.raises(Malformed):
        Cohort.from_bytes(b"1234567")


def test_overlapping_cohorts_are_no_answer_to_one_query() -> None:
    first, second = Cohort(np.array([1, 2], np.uint64)), Cohort(np.array([2, 3], np.uint64))
    with pytest.raises(Malformed):
        Released().after([first, second], 4)


def test_outline_digest_binds_everything() -> None:
    from dataclasses import replace

    outline = Dataset(companies(a=4, b=2, c=1, d=3)).ask(BY_CATEGORY).outline
    first, second, *_ = outline.groups
    others = [
        replace(outline, minimum=4),
        replace(outline, key=b"l" * 32),
        replace(outline, merged=(("b",),)),
        replace(outline, merged=(), withheld=outline.merged),
        replace(outline, merged=(("b", "c"),)),
        replace(outline, groups=outline.groups[:-1]),
        replace(outline, groups=(second, first, *outline.groups[2:])),
        *(
            replace(outline, groups=(replace(first, **change), *outline.groups[1:]))
            for change in ({"key": ("x",)}, {"other": True}, {"count": 5}, {"cohort_root": b"r" * 32})
        ),
    ]
    assert len({item.digest() for item in [outline, *others]}) == len(others) + 1


def rank(rows: Sequence[Sequence[int]]) -> int:
    """Rank over the rationals, by elimination with exact fractions."""
    matrix = [[Fraction(value) for value in row] for row in rows]
    found = 0
    for column in range(len(matrix[0]) if matrix else 0):
        pivot = next((row for row in range(found, len(matrix)) if matrix[row][column]), None)
        if pivot is None:
            continue
        matrix[found], matrix[pivot] = matrix[pivot], matrix[found]
        for row in range(len(matrix)):
            if row != found and matrix[row][column]:
                factor = matrix[row][column] / matrix[found][column]
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[found], strict=True)]
        found += 1
    return found


def isolates(answers: Sequence[Cohort], few: Sequence[int], size: int) -> bool:
    """Whether some combination of the answers is about these records alone: a non-zero vector of the row space that
    vanishes everywhere else. It exists exactly if dropping these columns lowers the rank."""
    rows = [[int(position in set(cohort.positions.tolist())) for position in range(size)] for cohort in answers]
    return rank(rows) > rank([[value for column, value in enumerate(row) if column not in few] for row in rows])


FILTERS = st.sampled_from(
    [
        "",
        *(f"category = '{c}'" for c in "abc"),
        *(f"category <> '{c}'" for c in "ab"),
        *(f"country = '{c}'" for c in "xy"),
        "category IN ('a', 'b') AND country = 'x'",
        "category = 'a' OR country = 'y'",
        "period = '2025'",
        "NOT (category = 'c' AND country = 'y')",
    ]
)
GROUPINGS = st.sampled_from(["", "category", "country", "category, country", "period", "category, period"])
STEPS = st.lists(
    st.one_of(
        st.tuples(FILTERS, GROUPINGS, st.integers(0, 3)),
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 8)), min_size=1, max_size=4),
    ),
    min_size=2,
    max_size=14,
)
FIRST = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 8)), min_size=4, max_size=9)


def play(first: list, steps: list, minimum: int) -> Dataset:
    """Queries and arrivals in turn; what is refused is refused."""
    dataset = Dataset(minimum=minimum)
    seen: set[tuple[str, str]] = set()

    def arrive(items: list) -> None:
        for category, country, number in items:
            position = len(dataset.records)
            subject, period = f"s{number}", "2025" if position % 2 else "2026"
            if position < 13 and (subject, period) not in seen:
                seen.add((subject, period))
                dataset.records.append(record(position, category, country, period, subject))

    arrive(first)
    for step in steps:
        if isinstance(step, list):
            arrive(step)
            continue
        where, grouping, back = step
        sql = "SELECT SUM(sales) FROM filing"
        sql += f" WHERE {where}" if where else ""
        sql += f" GROUP BY {grouping}" if grouping else ""
        try:
            dataset.ask(sql, head=max(0, len(dataset.records) - back))
        except AtomTooSmall as refusal:
            if refusal.head_size is not None:
                retry = plan(parse(sql, SCHEMAS), dataset.records, refusal.head_size, dataset.released, minimum)
                assert retry.groups
        except CohortTooSmall:
            pass
    return dataset


@settings(max_examples=400, deadline=None)
@given(FIRST, STEPS, st.integers(2, 4))
def test_atoms_against_brute_force(first: list, steps: list, minimum: int) -> None:
    dataset = play(first, steps, minimum)
    snapshot = dataset.records.snapshot()
    signature: dict[tuple[bool, ...], list[int]] = {}
    for position in range(len(dataset.records)):
        membership = tuple(position in cohort.positions for cohort in dataset.answers)
        signature.setdefault(membership, []).append(position)
    atoms = {tuple(positions) for membership, positions in signature.items() if any(membership)}
    kept: dict[int, list[int]] = {}
    for position, atom in enumerate(dataset.released.atoms.tolist()):
        if atom >= 0:
            kept.setdefault(atom, []).append(position)
    assert {tuple(positions) for positions in kept.values()} == atoms
    for positions in atoms:
        assert len(set(snapshot.codes[0][list(positions)].tolist())) >= minimum


@settings(max_examples=60, deadline=None)
@given(FIRST, STEPS)
def test_no_combination_of_answers_isolates_few_enterprises(first: list, steps: list) -> None:
    minimum = 3
    dataset = play(first, steps, minimum)
    size = len(dataset.records)
    subjects = dataset.records.snapshot().codes[0].tolist()
    if not dataset.answers:
        return
    for few in itertools.combinations(sorted(set(subjects)), minimum - 1):
        records_of_few = [position for position in range(size) if subjects[position] in few]
        assert not isolates(dataset.answers, records_of_few, size)


def test_the_linear_algebra_of_these_tests_finds_an_isolated_record() -> None:
    total, rest = Cohort(np.array([0, 1, 2, 3], np.uint64)), Cohort(np.array([0, 1, 2], np.uint64))
    assert isolates([total, rest], [3], 4)
    assert not isolates([total], [3], 4)
    pairs = [Cohort(np.array(pair, np.uint64)) for pair in ([0, 1], [1, 2], [0, 2])]
    assert isolates(pairs, [0], 3)  # no difference of two shows it, but (01 + 02 - 12) / 2 does


def test_a_large_dataset_with_many_releases() -> None:
    dataset = Dataset(minimum=10)
    dataset.records.extend(
        record(i, f"c{i // 5 % 97}", f"n{i // 485 % 4}", str(2020 + i % 5), f"s{i // 5}") for i in range(100_000)
    )
    queries = [BY_CATEGORY, "SELECT period, SUM(sales) FROM filing GROUP BY period"]
    queries += [f"SELECT SUM(sales) FROM filing WHERE category <> 'c{i}' OR country = 'n{i % 4}'" for i in range(18)]
    dataset.ask(BY_CATEGORY)
    for query in queries:
        dataset.ask(query)
    with pytest.raises(AtomTooSmall):
        dataset.ask("SELECT category, SUM(sales) FROM filing GROUP BY category", head=99_990)


def test_rights() -> None:
    rights = Rights.from_dict({"filing": ["zkshare://tax_agency/national", "zkshare://bank/first%20bank"], "vat": []})
    rights.check(Role.TAX_AGENCY, "national", "filing")
    rights.check(Role.BANK, "first bank", "filing")
    for caller in [
        (Role.BANK, "national", "filing"),
        (Role.TAX_AGENCY, "regional", "filing"),
        (Role.TAX_AGENCY, "national", "vat"),
        (Role.TAX_AGENCY, "national", "elsewhere"),
    ]:
        with pytest.raises(NotPermitted):
            rights.check(*caller)
    with pytest.raises(Malformed):
        Rights.from_dict({"filing": ["national"]})


@given(
    st.integers(0, 5),
    st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 9)), max_size=60),
    st.sampled_from([1, 1000]),  # by a table, by sorting
)
def test_subjects_are_counted_once_under_each_label(count: int, items: list[tuple[int, int]], apart: int) -> None:
    items = [(label, subject * apart) for label, subject in items if label < count]
    labels, subjects = np.array(items, np.int64).reshape(-1, 2).T
    expected = [len({subject for label, subject in items if label == index}) for index in range(count)]
    assert policy._subjects_in(labels, subjects, count).tolist() == expected
