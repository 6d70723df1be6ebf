"""The ledger's lists of releases: an operator and a trustee who collude cannot get around the rule of atoms.

On a network of its own, since an operator that cheats can stop its datasets' lists for good.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from homomorphic.packing import Packing
from homomorphic.threshold import PartialDecryption
from services import signed_query, statements
from services.api.zkshare.v1 import aggregate_pb2, release_pb2, trustee_pb2_grpc
from services.client import TaxAgencyClient
from services.errors import QueryWithheld, ReleaseLost
from services.identity import Role
from services.ledger import EnteredRelease
from services.ledger.errors import AlreadyRegistered
from services.network import LocalNetwork
from services.policy import Released, plan
from services.query import parse
from services.receipts import decryption_context
from services.release_list import ReleaseList
from services.releases import Releases
from services.server import answered, channel
from services.store.sqlite import SqliteDatabase
from tests.services import parties
from tests.services.conftest import Running
from tests.services.test_network import claimed, enter, refused
from tests.services.wiretap import Tap

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEEL = "SELECT SUM(sales) FROM filing WHERE industry = 'steel'"
STEEL_AND_ONE = "SELECT SUM(sales) FROM filing WHERE industry IN ('steel', 'glass')"
CLOTH = "SELECT SUM(sales) FROM filing WHERE industry = 'cloth'"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A network with ten records filed: four of steel, three of cloth, two of paper, one of glass."""
    directory = tmp_path_factory.mktemp("colluding")
    async with LocalNetwork(parties.plan(), directory, lambda request: True, anchor_seconds=3600) as network:
        records = [parties.record(name) for name in parties.FILED]
        await network.departments[parties.DEPARTMENT].commit("filing", records)
        for name in parties.FILED:
            await network.enterprises[name].submit("filing", parties.PERIOD)
        await network.node.anchor()
        yield Running(network, directory, Tap(), [])


async def ask(own: Running, trustee: str, request: Any) -> list[PartialDecryption]:
    """The shares of a trustee whom the operator asks by itself."""
    operator, address = own.network.identity(Role.OPERATOR, "operator"), own.network.trustees[trustee].address
    async with channel(operator, address, Role.TRUSTEE, trustee) as there:
        response = await answered(trustee_pb2_grpc.TrusteeServiceStub(there).DecryptShare(request))
    return [PartialDecryption.from_bytes(share) for share in response.partial_decryptions]


async def test_colluders_cannot_ask_different_trustees_about_overlapping_cohorts(own: Running) -> None:
    network = own.network
    key, colluder = network.parameters.threshold_key, network._plan.shares[1]
    steel = enter(own, claimed(own, STEEL))
    (honest,) = await ask(own, "trustee-1", steel)
    query, product = parse(STEEL, network.parameters.schemas), int.from_bytes(steel.groups[0].product, "big")
    records = network.node._journal.records("filing")
    outline, newest = plan(query, records, steel.head.size, Released(), 3).outline, network.ledger.heads()[-1]
    querier, request = "zkshare://tax_agency/tax-agency", signed_query.digest(steel.query)
    context = decryption_context(query, newest, querier, outline, 0, request)  # type: ignore[arg-type]
    opened = key.combine(product, [honest, colluder.partial_decrypt(product, context)], context)
    sales = Packing(2).unpack(opened.plaintext)[0]
    assert sales == sum(parties.VALUES[name]["sales"] for name in parties.FILED[:4])

    # The other cohort is larger by one record. No honest trustee gives a share for it, entered or not.
    more = claimed(own, STEEL_AND_ONE)
    for trustee in ("trustee-1", "trustee-3"):
        assert (await refused(ask(own, trustee, more))).check == "not_entered"
    enter(own, more)
    for trustee in ("trustee-3", "trustee-1"):
        assert (await refused(ask(own, trustee, more))).check == "atom_too_small"
    (third,) = await ask(own, "trustee-3", steel)
    assert third.index == 3


async def test_a_query_is_entered_once_at_one_head(own: Running) -> None:
    ledger, (entry, *_) = own.network.node._ledger, own.network.ledger.releases("filing")
    for size in (entry.head_size, 1):
        with pytest.raises(AlreadyRegistered):
            ledger.enter_release("filing", entry.request, size)


async def test_a_node_goes_on_where_it_was_killed(own: Running) -> None:
    """Before it entered a query, after it had, and after it had taken the entry."""
    network = own.network
    agency, node = network.tax_agencies["tax-agency"], network.node
    terms = {"querier": "tax-agency", "sql": CLOTH, "expires_at": int(network.clock()) + 600}
    identity, size = network.identity(Role.TAX_AGENCY, "tax-agency"), network.ledger.heads()[-1].size
    for entered, taken in ((False, False), (True, False), (True, True)):
        statement = aggregate_pb2.QueryStatement(**terms, nonce=secrets.token_bytes(16))
        signed = statements.sign(identity, statements.QUERY, statement)
        request, before = signed_query.digest(signed), len(network.ledger.releases("filing"))
        node._list._releases.keep_query(request, statements.canonical(signed))
        if entered:
            node._ledger.enter_release("filing", request, size)
        if taken:
            await node._list.follow("filing")
        response = await answered(agency._stub.Query(aggregate_pb2.QueryRequest(query=signed)))
        again = await answered(agency._stub.Query(aggregate_pb2.QueryRequest(query=signed)))
        assert again.receipt == response.receipt
        assert agency._verify(response.receipt, CLOTH, 0).release == before
        assert len(network.ledger.releases("filing")) == before + 1


async def test_who_lost_everything_finds_the_same(own: Running, tmp_path: Any) -> None:
    """A trustee from the node; the node, whose database is older than the ledger's list, from a trustee."""
    network = own.network
    await network.tax_agencies["tax-agency"].query(CLOTH)
    trustee, node = network.trustees["trustee-3"], network.node
    for role, name, of, server in (
        (Role.TRUSTEE, "trustee-3", (Role.OPERATOR, "operator"), node),
        (Role.OPERATOR, "operator", (Role.TRUSTEE, "trustee-3"), trustee),
    ):
        releases = Releases(SqliteDatabase(tmp_path / f"{name}.db"))
        follower = ReleaseList(releases, trustee._journal, network.parameters, network.ledger, network.workers)
        with pytest.raises(QueryWithheld):
            await follower.follow("filing")
        async with channel(network.identity(role, name), server.address, *of) as there:
            follower.meet({of[1]: there})
            await follower.follow("filing")
        for request, _ in releases.entries("filing"):
            mine, other = releases.entered("filing", request), trustee._releases.entered("filing", request)
            assert mine and other and str(mine.refused) == str(other.refused)
        assert releases.released("filing").atoms.tolist() == trustee._releases.released("filing").atoms.tolist()
        assert releases.taken("filing") == len(network.ledger.releases("filing"))


class Told:
    """The ledger, with the list of releases told otherwise until they are entered anew."""

    def __init__(self, ledger: Any, tell: Callable[[list[EnteredRelease]], list[EnteredRelease]]) -> None:
        self._ledger, self._tell, self.entered = ledger, tell, []

    def releases(self, dataset: str, start: int = 0) -> tuple[EnteredRelease, ...]:
        told = self._tell(list(self._ledger.releases(dataset)))
        again = [EnteredRelease(len(told) + i, *entry, 0) for i, entry in enumerate(self.entered)]
        return tuple([*told, *again][start:])

    def ensure_release(self, dataset: str, request: bytes, head_size: int) -> None:
        self.entered.append((request, head_size))


def numbered(entries: list[EnteredRelease]) -> list[EnteredRelease]:
    return [EnteredRelease(number, each.request, each.head_size, each.time) for number, each in enumerate(entries)]


async def test_a_list_that_changes_is_noticed(own: Running) -> None:
    network, trustee = own.network, own.network.trustees["trustee-1"]
    await network.tax_agencies["tax-agency"].query(CLOTH)
    telling = {
        "reordered": lambda entries: numbered([entries[1], entries[0], *entries[2:]]),
        "reordered at its end": lambda entries: numbered([*entries[:-2], entries[-1], entries[-2]]),
        "shortened": lambda entries: entries[:-1],
        "another head": lambda entries: [*entries[:-1], EnteredRelease(len(entries) - 1, entries[-1].request, 1, 0)],
    }
    for tell in telling.values():
        ledger: Any = Told(network.ledger, tell)
        follower = ReleaseList(
            trustee._releases, trustee._journal, network.parameters, ledger, network.workers, trustee._reach
        )
        with pytest.raises(ReleaseLost):
            await follower.follow("filing")
        if tell is not telling["shortened"]:
            with pytest.raises(ReleaseLost):
                follower._restore("filing")
            continue
        # Rolled back deeper than was thought possible: the node enters anew what it had entered.
        follower._restore("filing")
        await follower.follow("filing")
        assert ledger.releases("filing")[-1].request == network.ledger.releases("filing")[-1].request


async def test_a_query_that_is_withheld_stops_the_list(own: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing behind it is decided, until it turns up."""
    network, agency = own.network, own.network.tax_agencies["tax-agency"]
    releases, hidden = network.node._list._releases, claimed(own, CLOTH)
    request = signed_query.digest(hidden.query)
    network.node._ledger.enter_release("filing", request, hidden.head.size)
    later = enter(own, claimed(own, CLOTH))
    assert (await refused(ask(own, "trustee-3", later))).check == "query_withheld"
    assert (await refused(agency.query(STEEL))).check == "query_withheld"

    another = statements.canonical(claimed(own, CLOTH).query)
    unsigned = type(hidden.query)(statement=hidden.query.statement, signature=later.query.signature)
    unsigned.certificate = hidden.query.certificate
    for wrong in (another, statements.canonical(unsigned)):
        with monkeypatch.context() as patch:
            patch.setattr(releases, "query", lambda _, wrong=wrong: wrong)
            assert (await refused(ask(own, "trustee-3", later))).check == "query_withheld"

    (share,) = await ask(own, "trustee-3", hidden)  # the operator shows it after all, to one of them
    releases.keep_query(request, statements.canonical(hidden.query))
    (later_share,) = await ask(own, "trustee-3", later)
    assert share.value == later_share.value
    assert (await agency.query(STEEL)).verified.trustees == (1, 2, 3)


async def test_an_entry_of_no_query_stops_the_list(own: Running) -> None:
    network, agency = own.network, own.network.tax_agencies["tax-agency"]
    client: TaxAgencyClient = agency
    known = await client.query(CLOTH)
    network.node._ledger.enter_release("filing", secrets.token_bytes(32), 1)
    for trustee in ("trustee-1", "trustee-3"):
        assert (await refused(ask(own, trustee, enter(own, claimed(own, CLOTH))))).check == "query_withheld"
    assert (await refused(client.query(CLOTH))).check == "query_withheld"
    assert client._verify(known.receipt, CLOTH, 0) == known.verified
    assert (await refused(_query(own, bytes(32)))).check == "not_found"


async def _query(own: Running, request: bytes) -> Any:
    stub = own.network.trustees["trustee-1"]._list._sources[0]
    return await answered(stub.GetQuery(release_pb2.GetQueryRequest(request=request)))
