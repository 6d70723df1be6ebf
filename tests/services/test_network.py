"""The whole way of the data, over real connections: records, filings, queries, scores, and who is refused what."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from homomorphic.threshold import KeyShare
from services import scoring, signed_query, statements
from services.access import METHODS
from services.aggregate import products
from services.api.zkshare.v1 import aggregate_pb2, submission_pb2, trustee_pb2, trustee_pb2_grpc
from services.api.zkshare.v1.identity_pb2 import Signed
from services.certificate_authority import CertificateAuthority
from services.errors import Declined, Expired, NotAnchored, ProofInvalid, Replayed, WrongSubject
from services.identity import Identity, Role
from services.log import Head
from services.network import LocalNetwork
from services.node import Node
from services.policy import plan
from services.query import parse
from services.receipts import verify
from services.record_book import RecordExists
from services.releases import Released
from services.replication import head_message
from services.server import answered, channel
from services.status import Refusal, from_rpc_error
from services.store import Unavailable
from services.trustee import Trustee
from tests.services import parties
from tests.services.calls import methods, path_of
from tests.services.conftest import Running
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST, SECOND = parties.FILED[:2]
BY_INDUSTRY = "SELECT industry, COUNT(*), SUM(sales), SUM(profit), AVG(sales) FROM filing GROUP BY industry"


def truth(names: list[str]) -> tuple[int, int, int, Fraction]:
    sales = sum(parties.VALUES[name]["sales"] for name in names)
    return len(names), sales, sum(parties.VALUES[name]["profit"] for name in names), Fraction(sales, len(names))


async def refused(awaitable: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def released(running: Running) -> None:
    """The sums of every industry that can be answered are known."""
    await running.network.tax_agencies["tax-agency"].query(BY_INDUSTRY)


async def test_sums_equal_the_truth(running: Running) -> None:
    answer = await running.network.tax_agencies["tax-agency"].query(BY_INDUSTRY)
    rows = {row.values[0]: row.values[1:] for row in answer.verified.rows}
    by_industry: dict[str, list[str]] = {}
    for name, industry in zip(parties.FILED, parties.INDUSTRIES, strict=False):
        by_industry.setdefault(industry, []).append(name)
    assert rows == {
        "steel": truth(by_industry["steel"]),
        "cloth": truth(by_industry["cloth"]),
        "(other)": truth(by_industry["paper"] + by_industry["glass"]),
    }
    assert answer.verified.merged == (("glass",), ("paper",)) and not answer.verified.withheld
    assert answer.verified.attested and answer.verified.trustees == (1, 2, 3) and not answer.faults
    network = running.network
    assert verify(answer.receipt, network.parameters.authority, network.ledger) == answer.verified


async def test_a_head_that_waits_for_its_block_keeps_no_worker(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, begun, mined = running.network.node, threading.Event(), threading.Event()

    def ensure_head(size: int, root: bytes) -> None:
        begun.set()
        assert mined.wait(20)

    monkeypatch.setattr(node._ledger, "ensure_head", ensure_head)
    monkeypatch.setattr(node, "_anchored", None)
    anchoring = asyncio.create_task(node.anchor())
    assert await asyncio.to_thread(begun.wait, 20)
    threads = node._workers._pool._max_workers
    all_there = threading.Barrier(threads)
    await asyncio.gather(*(node._workers.run(all_there.wait, 20) for _ in range(threads)))
    assert not anchoring.done()
    mined.set()
    assert await anchoring == node._anchored


async def test_small_groups_are_withheld(running: Running) -> None:
    sql = "SELECT industry, SUM(sales) FROM filing WHERE industry IN ('steel', 'paper') GROUP BY industry"
    answer = await running.network.tax_agencies["tax-agency"].query(sql)
    assert [row.group for row in answer.verified.rows] == [("steel",)]
    assert answer.verified.withheld == (("paper",),)


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("SELECT SUM(sales) FROM filing WHERE industry = 'paper'", "cohort_too_small"),
        ("SELECT SUM(sales) FROM filing WHERE industry IN ('steel', 'glass')", "atom_too_small"),
        ("SELECT sales FROM filing", "private_column"),
        ("SELECT MAX(sales) FROM filing", "unsupported"),
        ("SELECT SUM(sales) FROM elsewhere", "unknown_name"),
        ("DROP TABLE filing", "unsupported"),
    ],
)
async def test_queries_that_are_refused(running: Running, released: None, sql: str, check: str) -> None:
    refusal = await refused(running.network.tax_agencies["tax-agency"].query(sql))
    assert isinstance(refusal, Refusal) and refusal.check == check


async def test_queries_need_a_right_and_time(running: Running) -> None:
    network = running.network
    stranger = network.identity(Role.TAX_AGENCY, "another agency")
    client = type(network.tax_agencies["tax-agency"])(
        network.node.address, stranger, network.parameters, network.ledger, network.workers
    )
    await client.start()
    assert (await refused(client.query(BY_INDUSTRY))).check == "not_permitted"
    await client.stop()
    late = network.tax_agencies["tax-agency"].query(BY_INDUSTRY, lifetime=-5)
    assert (await refused(late)).check == "expired"
    unbounded = network.tax_agencies["tax-agency"].query(BY_INDUSTRY, lifetime=10**9)
    assert (await refused(unbounded)).check == "expired"


async def test_the_same_signed_query_gets_the_same_receipt(running: Running) -> None:
    network = running.network
    identity = network.identity(Role.TAX_AGENCY, "tax-agency")
    statement = aggregate_pb2.QueryStatement(
        querier="tax-agency", sql=BY_INDUSTRY, nonce=b"1" * 16, expires_at=int(network.clock()) + 60
    )
    request = aggregate_pb2.QueryRequest(query=statements.sign(identity, statements.QUERY, statement))
    async with channel(identity, network.node.address, Role.OPERATOR, "operator") as there:
        call = there.unary_unary(
            "/zkshare.v1.AggregateService/Query",
            request_serializer=aggregate_pb2.QueryRequest.SerializeToString,
            response_deserializer=aggregate_pb2.QueryResponse.FromString,
        )
        first, second = await asyncio.gather(call(request), call(request))
        assert first.receipt == second.receipt
        assert (await call(request)).receipt == first.receipt


async def test_an_earlier_head_may_be_asked_at(running: Running) -> None:
    network = running.network
    size = network.ledger.heads()[-1].size
    answer = await network.tax_agencies["tax-agency"].query(BY_INDUSTRY, head_size=size)
    assert answer.verified.head.size == size
    refusal = await refused(network.tax_agencies["tax-agency"].query(BY_INDUSTRY, head_size=size - 1))
    assert refusal.check == "not_anchored"


async def test_a_filing_is_taken_once(running: Running) -> None:
    enterprise = running.network.enterprises[FIRST]
    again = await enterprise.file(running.submissions[FIRST])
    assert again == running.receipts[FIRST]
    other = await enterprise.prepare("filing", parties.PERIOD)
    assert other != running.submissions[FIRST]
    assert (await refused(enterprise.file(other))).check == "already_submitted"
    assert await enterprise.receipt("filing", parties.PERIOD, running.submissions[FIRST]) == again
    assert (await enterprise.confirm(again)).size >= 3
    outcomes = await enterprise.file_many([running.submissions[FIRST], other, b"\x00", running.submissions[SECOND]])
    assert outcomes[0] == again
    checks = [outcome.check for outcome in outcomes[1:] if isinstance(outcome, Refused)]
    assert checks == ["already_submitted", "malformed", "wrong_subject"]


async def test_nobody_files_or_fetches_for_others(running: Running) -> None:
    network = running.network
    second = network.enterprises[SECOND]
    assert (await refused(second.file(running.submissions[FIRST]))).check == "wrong_subject"
    assert (await refused(second.receipt("filing", "1999", b""))).check == "not_found"
    assert (await refused(second.opening("filing", "1999"))).check == "not_found"
    opening = await network.enterprises[FIRST].opening("filing", parties.PERIOD)
    with pytest.raises(WrongSubject):
        second._checked_opening("filing", parties.PERIOD, opening.to_bytes())


async def test_an_altered_ciphertext_is_refused(running: Running) -> None:
    submission = submission_pb2.Submission.FromString(running.submissions[FIRST])
    key = running.network.parameters.threshold_key.public_key
    more = key.add_plain(int.from_bytes(submission.ciphertext, "big"), 1)
    submission.ciphertext = key.ciphertext_to_bytes(more)
    refusal = await refused(running.network.enterprises[FIRST].file(statements.canonical(submission)))
    assert (refusal.check, refusal.part) == ("link_invalid", "submission.link_proof")


async def test_a_record_that_was_never_anchored_is_refused(running: Running) -> None:
    network = running.network
    opening = await network.enterprises[FIRST].opening("filing", parties.PERIOD)
    foreign = type(opening)(opening.record, opening.blinding + 1, 0, opening.path)
    root = foreign.path.root(foreign.record.leaf(foreign.blinding))
    foreign = type(opening)(opening.record, opening.blinding + 1, root, opening.path)
    submission = await network.workers.run(network.provers["filing"].submission, foreign)
    refusal = await refused(network.enterprises[FIRST].file(submission))
    assert (refusal.check, refusal.part) == ("not_anchored", "submission.root")
    with pytest.raises(NotAnchored):
        network.enterprises[FIRST]._checked_opening("filing", parties.PERIOD, foreign.to_bytes())


async def test_departments_commit_to_a_record_once(running: Running) -> None:
    department = running.network.departments[parties.DEPARTMENT]
    size = running.network.ledger.roots("filing")[-1].size
    with pytest.raises(RecordExists):
        await department.commit("filing", [parties.record(FIRST)])
    assert running.network.ledger.roots("filing")[-1].size == size


async def requests() -> AsyncIterator[bytes]:
    yield b""


async def test_roles_are_checked_on_every_method_of_every_party(running: Running) -> None:
    network = running.network
    department, trustee = network.departments[parties.DEPARTMENT], network.trustees["trustee-1"]
    servers = {
        "DepartmentService": (department.address, Role.DEPARTMENT, parties.DEPARTMENT),
        "TrusteeService": (trustee.address, Role.TRUSTEE, "trustee-1"),
    }
    for role in Role:
        identity = network.identity(role, "somebody")
        for method in methods():
            if role in METHODS[path_of(method)]:
                continue
            node = (network.node.address, Role.OPERATOR, "operator")
            async with channel(identity, *servers.get(method.containing_service.name, node)) as there:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    if method.client_streaming:
                        _ = [answer async for answer in there.stream_stream(path_of(method))(requests())]
                    elif method.server_streaming:
                        _ = [answer async for answer in there.unary_stream(path_of(method))(b"")]
                    else:
                        await there.unary_unary(path_of(method))(b"")
                assert from_rpc_error(caught.value).check == "not_permitted", (path_of(method), role)


async def test_scores_are_proved_to_the_bank_that_asked(running: Running) -> None:
    network = running.network
    bank, enterprise = network.banks["bank"], network.enterprises[FIRST]
    score = parties.scorecard().score(parties.VALUES[FIRST])
    for cut_off, expected in ((None, (score, None)), (score, (None, True)), (score + 1, (None, False))):
        pending = await bank.request_score(FIRST, "filing", parties.PERIOD, parties.scorecard(), cut_off)
        assert await enterprise.answer(pending.signed)
        result = await bank.score(pending)
        assert (result.score, result.passed) == expected
        assert (await refused(bank.score(pending))).check == Replayed("", "").check


async def test_score_proofs_cannot_be_replayed(running: Running) -> None:
    network = running.network
    terms = (FIRST, "filing", parties.PERIOD, parties.scorecard())
    pending = await network.banks["bank"].request_score(*terms)
    await network.enterprises[FIRST].answer(pending.signed)
    proof = (await network.banks["bank"].score(pending)).proof
    for bank in network.banks.values():
        other = await bank.request_score(*terms)
        with pytest.raises(ProofInvalid):
            await bank.judge(other, proof)


async def test_score_proofs_end_with_their_request(running: Running) -> None:
    network = running.network
    pending = await network.banks["bank"].request_score(FIRST, "filing", parties.PERIOD, parties.scorecard())
    await network.enterprises[FIRST].answer(pending.signed)
    proof = (await network.banks["bank"].score(pending)).proof
    later = pending.request.expires_at
    with pytest.raises(Expired):
        scoring.verify(pending.request, proof, network.parameters, network.ledger, later)


async def test_enterprises_decide_and_check_who_asks(running: Running) -> None:
    network = running.network
    bank, enterprise = network.banks["bank"], network.enterprises[FIRST]
    running.consent = False
    try:
        pending = await bank.request_score(FIRST, "filing", parties.PERIOD, parties.scorecard())
        assert not await enterprise.answer(pending.signed)
        with pytest.raises(Declined):
            await bank.score(pending)
    finally:
        running.consent = True
    unregistered = parties.scorecard(base=499)
    pending = await bank.request_score(FIRST, "filing", parties.PERIOD, unregistered)
    assert (await refused(enterprise.read(pending.signed))).check == "not_anchored"
    assert (await refused(network.enterprises[SECOND].read(pending.signed))).check == "wrong_subject"
    ignored = await bank.request_score(SECOND, "filing", parties.PERIOD, parties.scorecard())
    with pytest.raises(Expired):
        await bank.score(ignored, timeout=0.1)


async def test_an_agent_that_watches_answers_by_itself(running: Running) -> None:
    network = running.network
    watching = asyncio.ensure_future(network.enterprises[SECOND].watch())
    pending = await network.banks["other bank"].request_score(SECOND, "filing", parties.PERIOD, parties.scorecard())
    result = await network.banks["other bank"].score(pending, timeout=60)
    assert result.score == parties.scorecard().score(parties.VALUES[SECOND])
    watching.cancel()


# What a trustee refuses when an operator lies to it.


def signed(running: Running, sql: str, signer: Identity | None = None, **changes: Any) -> Signed:
    network = running.network
    terms: dict[str, Any] = {
        "querier": "tax-agency",
        "sql": sql,
        "nonce": secrets.token_bytes(16),
        "expires_at": int(network.clock()) + 60,
        **changes,
    }
    identity = signer or network.identity(Role.TAX_AGENCY, "tax-agency")
    return statements.sign(identity, statements.QUERY, aggregate_pb2.QueryStatement(**terms))


def claimed(running: Running, sql: str, signer: Identity | None = None, **changes: Any) -> Any:
    """What an operator would send for a query if it took no notice of earlier releases."""
    network = running.network
    query = parse(sql, network.parameters.schemas)
    newest, journal = network.ledger.heads()[-1], network.node._journal
    decided = plan(query, journal.records("filing"), newest.size, Released(), 3)
    key = network.parameters.threshold_key.public_key
    sums = products(decided, journal, network.parameters)
    return trustee_pb2.DecryptShareRequest(
        query=signed(running, sql, signer, **changes),
        head=head_message(Head(newest.size, newest.root)),
        outline_digest=decided.outline.digest(),
        groups=[
            trustee_pb2.CohortClaim(
                group=group.key,
                other=group.other,
                count=group.count,
                cohort_root=group.cohort_root,
                product=key.ciphertext_to_bytes(product),
            )
            for group, product in zip(decided.outline.groups, sums, strict=True)
        ],
    )


def enter(running: Running, request: Any) -> Any:
    """Has the operator enter a claim's query on the ledger, and serve it; returns the claim."""
    node, digest = running.network.node, signed_query.digest(request.query)
    node._list._releases.keep_query(digest, statements.canonical(request.query))
    node._ledger.enter_release("filing", digest, request.head.size)
    return request


@pytest_asyncio.fixture(loop_scope="session")
async def trustee(running: Running) -> AsyncIterator[Any]:
    """A stub of a trustee under the operator's identity."""
    network = running.network
    operator, address = network.identity(Role.OPERATOR, "operator"), network.trustees["trustee-2"].address
    async with channel(operator, address, Role.TRUSTEE, "trustee-2") as there:
        yield trustee_pb2_grpc.TrusteeServiceStub(there)


async def test_trustees_refuse_what_they_did_not_work_out_themselves(running: Running, trustee: Any) -> None:
    honest = claimed(running, "SELECT SUM(sales) FROM filing WHERE industry = 'steel'")
    assert (await refused(answered(trustee.DecryptShare(honest)))).check == "not_entered"
    enter(running, honest)
    key = running.network.parameters.threshold_key.public_key

    async def check(**changes: Any) -> str:
        request = type(honest).FromString(honest.SerializeToString())
        for name, value in changes.items():
            if name in ("head", "query", "outline_digest"):
                getattr(request, name).CopyFrom(value) if name != "outline_digest" else setattr(request, name, value)
            else:
                setattr(request.groups[0], name, value)
        return (await refused(answered(trustee.DecryptShare(request)))).check

    single = running.network.node._journal.bodies(0, 1)[0]
    merely_handed = submission_pb2.Submission.FromString(single).ciphertext
    assert await check(product=merely_handed) == "product_mismatch"
    assert await check(product=key.ciphertext_to_bytes(key.encrypt(1)[0])) == "product_mismatch"
    assert await check(count=honest.groups[0].count - 1) == "cohort_mismatch"
    assert await check(cohort_root=bytes(32)) == "cohort_mismatch"
    assert await check(other=True) == "cohort_mismatch"
    assert await check(outline_digest=bytes(32)) == "cohort_mismatch"
    assert await check(head=head_message(Head(honest.head.size, bytes(32)))) == "not_anchored"
    assert len((await answered(trustee.DecryptShare(honest))).partial_decryptions) == 1
    at_another_head = head_message(Head(3, running.network.ledger.heads()[0].root))
    assert await check(head=at_another_head) == "another_head"


async def test_trustees_hold_queries_to_their_own_policy(running: Running, released: None, trustee: Any) -> None:
    """Whatever the operator let pass: releases, rights, time, signatures."""
    network = running.network
    steel = "SELECT SUM(sales) FROM filing WHERE industry = 'steel'"
    two = "SELECT SUM(sales) FROM filing WHERE industry IN ('steel', 'glass')"
    bank, other = network.identity(Role.BANK, "bank"), network.identity(Role.TAX_AGENCY, "another agency")
    cases = [
        (enter(running, claimed(running, two)), "atom_too_small"),
        (claimed(running, steel, bank, querier="bank"), "not_permitted"),
        (claimed(running, steel, other, querier="another agency"), "not_permitted"),
        (claimed(running, steel, other), "not_permitted"),
        (claimed(running, steel, expires_at=int(network.clock()) - 1), "expired"),
        (claimed(running, steel, head_size=3), "cohort_mismatch"),
        (
            claimed(running, steel, CertificateAuthority.create().issue(Role.TAX_AGENCY, "tax-agency")),
            "not_issued_by_authority",
        ),
    ]
    for request, check in cases:
        assert (await refused(answered(trustee.DecryptShare(request)))).check == check
    counting = claimed(running, steel)
    sql = "SELECT COUNT(*) FROM filing WHERE industry = 'steel'"
    counting.query.CopyFrom(signed(running, sql))
    assert (await refused(answered(trustee.DecryptShare(counting)))).check == "not_entered"
    assert (await refused(answered(trustee.DecryptShare(enter(running, counting))))).check == "cohort_mismatch"


async def test_trustees_refuse_an_operator_of_another_name(running: Running) -> None:
    network = running.network
    honest = claimed(running, "SELECT SUM(sales) FROM filing WHERE industry = 'steel'")
    other, trustee = network.identity(Role.OPERATOR, "other"), network.trustees["trustee-2"]
    async with channel(other, trustee.address, Role.TRUSTEE, "trustee-2") as there:
        stub = trustee_pb2_grpc.TrusteeServiceStub(there)
        assert (await refused(answered(stub.DecryptShare(honest)))).check == "not_permitted"


class WrongShare:
    """A share whose holder proves something else than it was asked to."""

    def __init__(self, share: KeyShare) -> None:
        self._share = share

    def partial_decrypt_batch(self, items: list[tuple[int, bytes]]) -> Any:
        return self._share.partial_decrypt_batch([(ciphertext, b"another context") for ciphertext, _ in items])


class ShareOfNoUnit(WrongShare):
    """A share whose holder answers with numbers that no proof can be about."""

    def partial_decrypt_batch(self, items: list[tuple[int, bytes]]) -> Any:
        answers = self._share.partial_decrypt_batch(items)
        return [replace(answer, value=self._share.key.public_key.n) for answer in answers]


@pytest.mark.parametrize("wrong", [WrongShare, ShareOfNoUnit])
async def test_a_wrong_share_is_named_and_the_others_suffice(running: Running, wrong: type[WrongShare]) -> None:
    network = running.network
    trustee = network.trustees["trustee-2"]
    honest = trustee._share
    trustee._share = wrong(honest)  # type: ignore[assignment]
    try:
        answer = await network.tax_agencies["tax-agency"].query(BY_INDUSTRY)
    finally:
        trustee._share = honest
    (fault,) = answer.faults
    assert (fault.trustee, fault.check) == ("trustee-2", "share_invalid")
    assert answer.verified.trustees == (1, 3)


async def test_too_few_trustees(running: Running) -> None:
    network = running.network
    shares = {name: network.trustees[name]._share for name in ("trustee-2", "trustee-3")}
    for name, share in shares.items():
        network.trustees[name]._share = WrongShare(share)  # type: ignore[assignment]
    try:
        refusal = await refused(network.tax_agencies["tax-agency"].query(BY_INDUSTRY))
    finally:
        for name, share in shares.items():
            network.trustees[name]._share = share
    assert refusal.check == "too_few_shares" and "trustee-2" in refusal.why and "trustee-3" in refusal.why


# Restarts.


async def test_parties_resume_where_they_stopped(running: Running) -> None:
    network = running.network
    node = network.node
    before = node._journal.head()
    await node.stop()
    node = Node(
        replace(node._config, listen=node.address, web=node.web_address),
        network.identity(Role.OPERATOR, "operator"),
        network.parameters,
        node._ledger,
        network.workers,
    )
    await node.start()
    assert node._journal.head() == before
    old = network.trustees["trustee-3"]
    await old.stop()
    trustee = Trustee(
        old._config,
        network.identity(Role.TRUSTEE, "trustee-3"),
        old._share,
        network.parameters,
        network.ledger,
        network.workers,
    )
    await trustee.start()
    network.replace(node, {"trustee-3": trustee})
    node.meet({name: party.address for name, party in network.trustees.items()})
    answer = await network.tax_agencies["tax-agency"].query(BY_INDUSTRY)
    assert answer.verified.trustees == (1, 2, 3)
    again = await network.enterprises[FIRST].file(running.submissions[FIRST])
    assert again == running.receipts[FIRST]


async def test_a_store_that_fails_loses_nothing_that_was_acknowledged(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = running.network
    enterprise, journal = network.enterprises[parties.LATE], network.node._journal
    submission, size = await enterprise.prepare("filing", parties.PERIOD), journal.size

    def full(*arguments: Any) -> None:
        raise Unavailable("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", full)
        assert (await refused(enterprise.file(submission, timeout=2))).check == "unreachable"
        assert journal.size == size
        with pytest.raises(Refused):
            await enterprise.receipt("filing", parties.PERIOD, submission)
    assert (await refused(enterprise.receipt("filing", parties.PERIOD, submission))).check == "not_found"


async def test_late_records_wait_for_company(running: Running) -> None:
    """One more record after a release: the total would tell it apart, so the query is refused, with the way out."""
    network = running.network
    total = "SELECT COUNT(*), SUM(sales) FROM filing"
    await network.tax_agencies["tax-agency"].query(total)
    size = network.ledger.heads()[-1].size
    await network.enterprises[parties.LATE].submit("filing", parties.PERIOD)
    refusal = await refused(network.tax_agencies["tax-agency"].query(total))
    assert refusal.check == "atom_too_small" and str(size) in refusal.why
    answer = await network.tax_agencies["tax-agency"].query(total, head_size=size)
    assert answer.verified.rows[0].count == len(parties.FILED)


async def test_parameters_must_be_the_published_ones(running: Running) -> None:
    network = running.network
    parameters = type(network.parameters)(
        network.parameters.authority,
        network.parameters.operator,
        network.parameters.trustees,
        network.parameters.threshold_key,
        tuple(
            type(dataset)(dataset.schema, dataset.score_key, dataset.filing_key)
            for dataset in network.parameters.datasets
        ),
    )
    with pytest.raises(NotAnchored):
        parameters.check_published(network.ledger)


async def test_a_network_that_cannot_start_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "trustee-2.sqlite").write_bytes(b"not a database, but long enough to look like something else" * 20)
    network = LocalNetwork(parties.plan(), tmp_path, lambda request: False)
    with pytest.raises(Exception, match="database"):
        await network.start()
    assert not network._started
