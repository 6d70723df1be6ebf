"""A network on a chain with slow blocks that rolls one back while a head of the log waits in it, against anvil."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.errors import NotAnchored, ReleaseLost
from services.ledger import Ledger, LedgerAccount
from services.ledger.errors import WrongContract
from services.log import Head
from services.metrics import LEDGER_DROPPED, LEDGER_LAG
from services.network import LocalNetwork
from services.receipts import verify
from tests.services import parties
from tests.services.test_ledger_confirmations import ask, mining, pending
from tests.services.test_ledger_over_rpc import ANVIL, FREE_GAS, anvil

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.skipif(ANVIL is None, reason="anvil is not installed"),
]
TOTAL = "SELECT COUNT(*), SUM(sales) FROM filing"


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def head_is_lost(ledger: Ledger) -> bool:
    """Whether the ledger answers that it holds no head; a chain may need a moment for state that it worked out anew."""
    try:
        return ledger.latest_head() is None
    except WrongContract:
        return False


async def test_only_a_settled_head_is_relied_on(tmp_path: Path) -> None:
    with anvil(*FREE_GAS, "--no-mining") as provider, ExitStack() as blocks:

        def deploy(account: LedgerAccount) -> Ledger:
            return Ledger.deploy(provider, account, confirmations=2)

        blocks.enter_context(mining(provider))
        plan = parties.plan()
        async with LocalNetwork(plan, tmp_path, lambda _: True, anchor_seconds=3600, deploy=deploy) as network:
            records = [parties.record(name) for name in parties.FILED]
            node, lag = network.node, LEDGER_LAG.labels(f"operator/{network.parameters.operator}")
            await network.departments[parties.DEPARTMENT].commit("filing", records)
            for name in parties.FILED:
                await network.enterprises[name].submit("filing", parties.PERIOD)
            blocks.close()

            dropped = LEDGER_DROPPED._value.get()
            newest = Ledger(provider, network.ledger.address)
            await until(lambda: not pending(provider))
            anchoring = asyncio.create_task(node.anchor())
            await until(lambda: pending(provider))
            ask(provider, "evm_mine")
            found = newest.latest_head()
            assert found is not None and found.size == len(parties.FILED)
            head = Head(found.size, found.root)
            for trustee in network.trustees.values():
                with pytest.raises(NotAnchored):  # Mined, but not settled.
                    await trustee._replica.follow(head)
            await node._watch()
            assert lag._value.get() == len(parties.FILED)

            await asyncio.sleep(0.5)
            ask(provider, "anvil_reorg", 1, [])
            await until(lambda: LEDGER_DROPPED._value.get() > dropped)
            assert newest.latest_head() is None and not anchoring.done()

            blocks.enter_context(mining(provider))
            assert await asyncio.wait_for(anchoring, 60) == head
            await node._watch()
            assert lag._value.get() == 0
            for trustee in network.trustees.values():
                await trustee._replica.follow(head)
            answer = await network.tax_agencies["tax-agency"].query(TOTAL)
            sales = sum(parties.VALUES[name]["sales"] for name in parties.FILED)
            assert answer.verified.rows[0].values == (len(parties.FILED), sales)
            assert answer.verified.release == 0
            assert [item.size for item in newest.heads()] == [head.size]

            # Rolled back deeper than was thought possible: noticed, and anchored anew.
            blocks.close()
            block = tip = int(ask(provider, "eth_blockNumber"), 16)
            while network.ledger._read_at(block, "latest_head")[0]:
                block -= 1
            depth = tip - block
            ask(provider, "anvil_reorg", depth, [])
            await until(lambda: head_is_lost(network.ledger))
            await node._watch()
            assert lag._value.get() == len(parties.FILED)
            blocks.enter_context(mining(provider))
            assert await asyncio.wait_for(node.anchor(), 60) == head
            assert [item.size for item in network.ledger.heads()] == [head.size]

            # The release went with it; it is entered anew, in its place, before the next one.
            assert network.ledger.releases("filing") == ()
            for trustee in network.trustees.values():
                with pytest.raises(ReleaseLost):
                    await trustee._list.follow("filing")
            again = await network.tax_agencies["tax-agency"].query(TOTAL)
            assert (again.verified.release, again.verified.trustees) == (1, (1, 2, 3))
            assert verify(answer.receipt, network.parameters.authority, network.ledger) == answer.verified
