"""Receipts: what they show, and that nothing in them can be altered, by strangers or by the operator itself."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

import pytest

from homomorphic.packing import Packing
from homomorphic.threshold import KeyShare, ThresholdKey, deal
from services import documents
from services.certificate_authority import CertificateAuthority
from services.errors import AnswerMismatch, BadSignature, Expired, NotAnchored, ShareInvalid, TooFewShares
from services.identity import Identity, NotIssuedByAuthority, OutsideValidity, Role, WrongUsage
from services.ledger import EnteredRelease
from services.log import Head, MerkleLog, leaf_hash
from services.policy import Plan, Records, Released, plan
from services.query import parse
from services.receipts import (
    AGGREGATE,
    SUBMISSION,
    Answer,
    Decryption,
    ReleaseEntry,
    SubmissionReceipt,
    Verified,
    decryption_context,
    verify,
    verify_submission,
)
from tests.services.schemas import FILING, SCHEMAS
from tests.services.test_policy import record
from zkcore.errors import Malformed, Refused

AUTHORITY = CertificateAuthority.create()
OPERATOR = AUTHORITY.issue(Role.OPERATOR, "node")
QUERIER = "zkshare://tax_agency/national"
TIME = datetime.now(UTC).replace(microsecond=0)

COMPANIES = [  # category, sales, profits, assets
    *[("Banking", 1000 + i, -7 - i, 2**64 - 1) for i in range(4)],
    *[("Oil", 10**9 * i, 3 * i - 5, i) for i in range(3)],
    ("Media", 1, -(2**63), 5),
    ("Food", 2, 2**63 - 1, 6),
]
SQL = "SELECT category, COUNT(*), SUM(sales) AS revenue, SUM(profits), AVG(assets) FROM filing GROUP BY category"
HEAD = Head(9, sha256(b"head").digest())
RELEASE = ReleaseEntry(0, sha256(b"request").digest())


class Committee:
    """Three trustees of whom two decrypt, and nine encrypted records."""

    def __init__(self) -> None:
        self.key: ThresholdKey
        self.shares: list[KeyShare]
        self.key, self.shares = deal(2048, 3, 2)
        public, packing = self.key.public_key, Packing(3)
        carried = [(sales, profits + 2**63, assets) for _, sales, profits, assets in COMPANIES]
        self.ciphertexts = [public.encrypt(packing.pack(values))[0] for values in carried]
        self.records = Records(record(i, company[0], key=public.fingerprint) for i, company in enumerate(COMPANIES))
        self.ledger = DigestsAndHeads(self.key)

    def plan(self, sql: str) -> Plan:
        return plan(parse(sql, SCHEMAS), self.records, HEAD.size, Released(), FILING.minimum_cohort)

    def answer(self, sql: str = SQL, trustees: tuple[int, ...] = (1, 3), querier: str = QUERIER) -> Answer:
        planned = self.plan(sql)
        decryptions = []
        for index, cohort in enumerate(planned.cohorts):
            product = self.key.public_key.sum([self.ciphertexts[i] for i in cohort.positions.tolist()])
            context = decryption_context(planned.query, HEAD, querier, planned.outline, index, RELEASE.request)
            shares = tuple(self.shares[i - 1].partial_decrypt(product, context) for i in trustees)
            decryptions.append(Decryption(product, shares))
        key, release = (self.key, RELEASE) if decryptions else (None, None)
        return Answer(planned.query, HEAD, querier, planned.outline, release, key, tuple(decryptions), TIME)


class DigestsAndHeads:
    """What a receipt is held against, in memory; ``test_against_a_real_ledger`` uses the contract."""

    def __init__(self, key: ThresholdKey) -> None:
        self.heads = {HEAD.size: HEAD}
        self.releases = {("filing", RELEASE.request): EnteredRelease(RELEASE.number, RELEASE.request, HEAD.size, 1)}
        self.digests = {
            ("schema", FILING.schema_id.to_bytes(32, "big")): sha256(FILING.to_toml().encode()).digest(),
            ("threshold_key", key.fingerprint): sha256(key.to_bytes()).digest(),
        }

    def head(self, size: int) -> Head | None:
        return self.heads.get(size)

    def release(self, dataset: str, request: bytes) -> EnteredRelease | None:
        return self.releases.get((dataset, request))

    def published(self, kind: str, identifier: bytes) -> bytes | None:
        return self.digests.get((kind, identifier))


@pytest.fixture(scope="module")
def committee() -> Committee:
    return Committee()


@pytest.fixture(scope="module")
def receipt(committee: Committee) -> bytes:
    return committee.answer().sign(OPERATOR)


def check(committee: Committee, receipt: bytes) -> Verified:
    return verify(receipt, AUTHORITY, committee.ledger)


def refused(committee: Committee, receipt: bytes) -> bool:
    try:
        check(committee, receipt)
    except Refused:
        return True
    return False


def signed_anew(receipt: bytes, change: dict[str, Any], identity: Identity = OPERATOR) -> bytes:
    """A receipt with other content, rightly signed: what an operator that cheats can make."""
    content = {**json.loads(receipt), **change}
    for name in ("kind", "version", "certificate", "signature"):
        del content[name]
    return documents.sign(AGGREGATE, content, identity)


def test_a_receipt_shows_the_true_answer(committee: Committee, receipt: bytes) -> None:
    shown = check(committee, receipt)
    truth = {}
    for group, members in {"Banking": COMPANIES[:4], "Oil": COMPANIES[4:7]}.items():
        sales, profits, assets = (sum(company[i] for company in members) for i in (1, 2, 3))
        truth[group] = (group, len(members), sales, profits, Fraction(assets, len(members)))
    assert [row.values for row in shown.rows] == [truth["Banking"], truth["Oil"]]
    assert shown.columns == ("category", "COUNT(*)", "revenue", "SUM(profits)", "AVG(assets)")
    assert shown.withheld == (("Food",), ("Media",)) and shown.merged == ()
    assert (shown.query.text, shown.head, shown.querier) == (parse(SQL, SCHEMAS).text, HEAD, QUERIER)
    assert shown.operator.uri == "zkshare://operator/node" and shown.time == TIME and shown.expires is None
    assert shown.attested and shown.trustees == (1, 3) and shown.minimum == 3


def test_merged_groups_and_extreme_values(committee: Committee) -> None:
    sql = "SELECT SUM(profits), country, category FROM filing WHERE category <> 'Oil' GROUP BY category, country"
    records = Records(
        record(i, company[0], country="xyz"[i % 3] if i < 4 else "x", key=committee.key.public_key.fingerprint)
        for i, company in enumerate(COMPANIES)
    )
    planned = plan(parse(sql, SCHEMAS), records, HEAD.size, Released(), 3)
    product = committee.key.public_key.sum([committee.ciphertexts[i] for i in (0, 1, 2, 3, 7, 8)])
    context = decryption_context(planned.query, HEAD, QUERIER, planned.outline, 0, RELEASE.request)
    shares = tuple(share.partial_decrypt(product, context) for share in committee.shares)
    decryption = Decryption(product, shares)
    answer = Answer(planned.query, HEAD, QUERIER, planned.outline, RELEASE, committee.key, (decryption,), TIME)
    shown = check(committee, answer.sign(OPERATOR))
    (row,) = shown.rows
    assert row.other and row.count == 6
    assert row.values == (-7 - 8 - 9 - 10 - (2**63) + 2**63 - 1, "(other)", "(other)")
    assert len(shown.merged) == 5 and shown.trustees == (1, 2, 3)


def test_a_query_without_groups(committee: Committee) -> None:
    shown = check(
        committee, committee.answer("SELECT AVG(sales), COUNT(*) FROM filing WHERE category = 'Oil'").sign(OPERATOR)
    )
    assert [row.values for row in shown.rows] == [(Fraction(3 * 10**9, 3), 3)]


def test_counts_alone_rest_on_the_operator(committee: Committee) -> None:
    shown = check(committee, committee.answer("SELECT category, COUNT(*) FROM filing GROUP BY category").sign(OPERATOR))
    assert [row.values for row in shown.rows] == [("Banking", 4), ("Oil", 3)]
    assert not shown.attested and shown.trustees == ()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values of a JSON tree, inner ones too."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def altered(value: Any) -> Iterator[Any]:
    """Other values in the place of this one, of the same type and of others."""
    if value is None:
        yield from ("", "00", TIME_LATER, {})
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, 0, -value)
    elif isinstance(value, str):
        hexadecimal = len(value) % 2 == 0 and all(c in "0123456789abcdef" for c in value)
        if hexadecimal and value:
            middle = len(value) // 2
            yield value[:-1] + ("0" if value[-1] != "0" else "1")
            yield ("0" if value[0] != "0" else "1") + value[1:]
            yield value[:middle] + ("0" if value[middle] != "0" else "1") + value[middle + 1 :]
            yield value[:-2]
            yield "00" + value
        elif value.lstrip("-").isdigit():
            yield from (str(int(value) + 1), str(-int(value)), "0" + value)
        else:
            yield from (value + " ", value[:-1], value.swapcase())
    elif isinstance(value, list):
        yield []
        yield [*value, *value[-1:]]
        yield value[1:]
        yield value[::-1]
        yield None
    elif isinstance(value, dict):
        yield {**value, "unknown": 0}
        yield {}
        yield None
        for key in value:
            yield {name: item for name, item in value.items() if name != key}


TIME_LATER = "2099-01-01T00:00:00Z"


def variants(tree: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every tree that differs in one place, with the path of the difference."""
    for path in leaves(tree):
        for other in altered(at(tree, path)):
            if other == at(tree, path) and type(other) is type(at(tree, path)):
                continue
            changed = copy.deepcopy(tree)
            if path:
                at(changed, path[:-1])[path[-1]] = other
            else:
                changed = other
            yield path, changed


def test_no_field_can_be_altered(committee: Committee, receipt: bytes) -> None:
    tree = json.loads(receipt)
    touched = set()
    for path, changed in variants(tree):
        assert refused(committee, documents.canonical(changed)), path
        touched.add(path)
    assert touched == set(leaves(tree)) and len(touched) > 40


# On the operator's word alone: when it answered, and until when the receipt is good.
OPERATORS_WORD = {("time",), ("expires",)}


def test_the_operator_cannot_alter_a_field_either(committee: Committee, receipt: bytes) -> None:
    tree = json.loads(receipt)
    for path, changed in variants(tree):
        if not path or path[0] in ("kind", "version", "certificate", "signature") or path in OPERATORS_WORD:
            continue
        assert refused(committee, signed_anew(receipt, changed)), path


def test_flipped_bits(committee: Committee, receipt: bytes) -> None:
    for place in range(0, len(receipt), 97):
        changed = bytearray(receipt)
        changed[place] ^= 1 << (place % 7)
        with pytest.raises(Refused):
            check(committee, bytes(changed))


def test_what_the_operator_may_say(committee: Committee, receipt: bytes) -> None:
    assert check(committee, signed_anew(receipt, {"expires": TIME_LATER})).expires
    with pytest.raises(Expired):
        check(committee, signed_anew(receipt, {"expires": documents.write_time(TIME - timedelta(seconds=1))}))
    with pytest.raises(OutsideValidity):
        check(committee, signed_anew(receipt, {"time": "2001-01-01T00:00:00Z"}))


def test_only_an_operator_of_the_authority_signs(committee: Committee, receipt: bytes) -> None:
    with pytest.raises(WrongUsage):
        check(committee, signed_anew(receipt, {}, AUTHORITY.issue(Role.TRUSTEE, "node", now=TIME)))
    with pytest.raises(NotIssuedByAuthority):
        check(committee, signed_anew(receipt, {}, CertificateAuthority.create().issue(Role.OPERATOR, "node", now=TIME)))
    other = json.loads(signed_anew(receipt, {}, AUTHORITY.issue(Role.OPERATOR, "another", now=TIME)))
    with pytest.raises(BadSignature):
        check(committee, documents.canonical({**json.loads(receipt), "certificate": other["certificate"]}))
    assert check(committee, documents.canonical(other)).operator.name == "another"


def test_the_ledger_must_agree(committee: Committee, receipt: bytes) -> None:
    places = [EnteredRelease(1, RELEASE.request, 9, 1), EnteredRelease(0, RELEASE.request, 8, 1)]
    for attack in ("no head", "another head", "no schema", "another schema", "no key", "another key", *places, None):
        ledger = DigestsAndHeads(committee.key)
        if attack is None:
            ledger.releases = {("another", RELEASE.request): EnteredRelease(0, RELEASE.request, 9, 1)}
        elif isinstance(attack, EnteredRelease):
            ledger.releases = {("filing", RELEASE.request): attack}
        elif "head" in attack:
            ledger.heads = {} if attack == "no head" else {9: Head(9, bytes(32))}
        else:
            (name,) = (name for name in ledger.digests if attack.split()[1] in name[0])
            ledger.digests.pop(name)
            if attack.startswith("another"):
                ledger.digests[name] = bytes(32)
        with pytest.raises(NotAnchored):
            verify(receipt, AUTHORITY, ledger)


def test_shares_hold_for_one_answer_only(committee: Committee, receipt: bytes) -> None:
    """Whatever the operator puts around the shares, they prove themselves only where the trustees gave them."""
    content = json.loads(receipt)
    committee.ledger.heads[10] = Head(10, bytes(32))
    for number, size in ((1, HEAD.size), (2, 10)):
        request = sha256(bytes([number])).digest()
        committee.ledger.releases["filing", request] = EnteredRelease(number, request, size, 1)
    swapped = copy.deepcopy(content["groups"])
    swapped[0]["decryption"], swapped[1]["decryption"] = swapped[1]["decryption"], swapped[0]["decryption"]
    fewer = [content["groups"][0]]
    smaller = copy.deepcopy(content["groups"])
    smaller[1]["count"] = 4
    other_query = parse(SQL.replace("AVG", "SUM"), SCHEMAS)
    later = {"size": 10, "root": "00" * 32}
    for change in (
        {"querier": "zkshare://bank/first"},
        {"release": {"number": 1, "request": sha256(b"\1").hexdigest()}},
        {"head": later, "release": {"number": 2, "request": sha256(b"\2").hexdigest()}},
        {"query": other_query.text, "query_digest": other_query.digest().hex()},
        {"groups": swapped},
        {"groups": fewer, "withheld": [["Food"], ["Media"], ["Oil"]]},
        {"groups": fewer},
        {"groups": smaller},
        {"withheld": []},
        {"withheld": [["Food"]]},
    ):
        with pytest.raises(ShareInvalid):
            check(committee, signed_anew(receipt, change))


def test_too_few_wrong_and_repeated_shares(committee: Committee) -> None:
    answer = committee.answer(trustees=(1, 2, 3))
    first, second = answer.decryptions
    one, two, three = first.shares
    stated = answer.sums

    def with_shares(*shares: Any) -> bytes:
        content = json.loads(answer.sign(OPERATOR))
        content["groups"][0]["decryption"]["shares"] = [share.to_bytes().hex() for share in shares]
        return signed_anew(documents.canonical(content), {})

    assert check(committee, with_shares(one, three)).trustees == (1, 3)
    assert check(committee, with_shares(one, two, three)).rows[0].values[2] == stated[0]["sales"]
    with pytest.raises(TooFewShares):
        check(committee, with_shares(two))
    with pytest.raises(Malformed):
        check(committee, with_shares(one, one))
    with pytest.raises(Malformed):
        check(committee, with_shares(three, one))
    with pytest.raises(ShareInvalid, match="trustees 2"):
        check(committee, with_shares(one, replace(two, value=three.value), three))
    with pytest.raises(ShareInvalid, match="trustees 3"):
        check(committee, with_shares(one, replace(two, index=3)))
    with pytest.raises(ShareInvalid):
        replace(answer, decryptions=(replace(first, shares=second.shares), second)).sign(OPERATOR)


def test_an_answer_that_does_not_fit_together_is_not_signed(committee: Committee) -> None:
    answer = committee.answer()
    other_key = replace(answer.outline, key=bytes(32))
    for broken in (
        replace(answer, decryptions=answer.decryptions[:1]),
        replace(answer, threshold_key=None),
        replace(answer, threshold_key=None, decryptions=()),
        replace(answer, release=None),
        replace(committee.answer("SELECT category, COUNT(*) FROM filing GROUP BY category"), release=RELEASE),
        replace(answer, outline=other_key),
        replace(answer, query=parse("SELECT category, COUNT(*) FROM filing GROUP BY category", SCHEMAS)),
    ):
        with pytest.raises(AnswerMismatch):
            broken.sign(OPERATOR)


def test_a_product_of_more_records_than_counted(committee: Committee) -> None:
    """Trustees that all cheat could attest to a wrong cohort; sums beyond what it can hold are noticed even then."""
    planned = committee.plan("SELECT SUM(assets) FROM filing WHERE category = 'Oil'")
    product = committee.key.public_key.sum(committee.ciphertexts[:4])
    context = decryption_context(planned.query, HEAD, QUERIER, planned.outline, 0, RELEASE.request)
    shares = tuple(share.partial_decrypt(product, context) for share in committee.shares[:2])
    decryption = Decryption(product, shares)
    answer = Answer(planned.query, HEAD, QUERIER, planned.outline, RELEASE, committee.key, (decryption,), TIME)
    with pytest.raises(AnswerMismatch):
        answer.sign(OPERATOR)


def test_context_binds_every_part(committee: Committee) -> None:
    planned = committee.plan(SQL)
    query, outline, request = planned.query, planned.outline, RELEASE.request
    contexts = {
        decryption_context(query, HEAD, QUERIER, outline, 0, request),
        decryption_context(query, HEAD, QUERIER, outline, 1, request),
        decryption_context(query, Head(10, HEAD.root), QUERIER, outline, 0, request),
        decryption_context(query, Head(9, bytes(32)), QUERIER, outline, 0, request),
        decryption_context(query, HEAD, QUERIER + "x", outline, 0, request),
        decryption_context(query, HEAD, QUERIER, replace(outline, withheld=()), 0, request),
        decryption_context(parse("SELECT SUM(sales) FROM filing", SCHEMAS), HEAD, QUERIER, outline, 0, request),
        decryption_context(query, HEAD, QUERIER, outline, 0, bytes(32)),
    }
    assert len(contexts) == 8


def test_against_a_real_ledger(committee: Committee, receipt: bytes, tmp_path) -> None:
    from services.ledger import EmbeddedProvider, Ledger, LedgerAccount

    admin = LedgerAccount.create()
    ledger = Ledger.deploy(EmbeddedProvider(tmp_path / "ledger.db"), admin)
    for (kind, identifier), digest in committee.ledger.digests.items():
        ledger.publish(kind, identifier, digest)
    with pytest.raises(NotAnchored):
        verify(receipt, AUTHORITY, ledger)
    ledger.grant(admin.address, Role.OPERATOR)
    ledger.anchor_head(HEAD.size, HEAD.root)
    with pytest.raises(NotAnchored):
        verify(receipt, AUTHORITY, ledger)
    ledger.grant(admin.address, Role.DEPARTMENT)
    ledger.open_dataset("filing", admin.address, FILING.schema_id)
    ledger.enter_release("filing", RELEASE.request, HEAD.size)
    assert verify(receipt, AUTHORITY, ledger).release == 0
    assert len(verify(receipt, AUTHORITY, ledger).rows) == 2


ENTRY = b"a submission"
LOG = MerkleLog([b"first", ENTRY])
SUBMITTED = SubmissionReceipt(1, leaf_hash(ENTRY), LOG.head(), TIME)


def test_submission_receipt() -> None:
    text = SUBMITTED.sign(OPERATOR)
    assert verify_submission(text, ENTRY, AUTHORITY, "node") == SUBMITTED
    with pytest.raises(AnswerMismatch):
        verify_submission(text, ENTRY + b"x", AUTHORITY, "node")
    with pytest.raises(WrongUsage):
        verify_submission(text, ENTRY, AUTHORITY, "another")
    with pytest.raises(WrongUsage):
        verify_submission(SUBMITTED.sign(AUTHORITY.issue(Role.BANK, "node", now=TIME)), ENTRY, AUTHORITY, "node")
    with pytest.raises(NotIssuedByAuthority):
        verify_submission(text, ENTRY, CertificateAuthority.create(), "node")
    with pytest.raises(AnswerMismatch):
        verify_submission(replace(SUBMITTED, position=2).sign(OPERATOR), ENTRY, AUTHORITY, "node")
    with pytest.raises(Malformed):
        verify_submission(documents.sign(AGGREGATE, {}, OPERATOR), ENTRY, AUTHORITY, "node")


def test_no_field_of_a_submission_receipt_can_be_altered() -> None:
    text = SUBMITTED.sign(OPERATOR)
    tree = json.loads(text)
    touched = set()
    for path, changed in variants(tree):
        with pytest.raises(Refused):
            verify_submission(documents.canonical(changed), ENTRY, AUTHORITY, "node")
        touched.add(path)
    assert touched == set(leaves(tree))
    assert tree["kind"] == SUBMISSION
