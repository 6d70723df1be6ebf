"""The ledger in a file: what was acknowledged stays, what is not valid never enters, and damage is noticed."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_keys.constants import SECPK1_N
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from services.errors import Unreachable
from services.identity import Role
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.ledger.blocks import LedgerDamaged
from services.ledger.errors import TransactionFailed
from services.ledger.evm import PyEvmEngine, RevmEngine
from services.ledger.transactions import SignedTransaction
from zkcore.errors import Malformed

ROOT = Path(__file__).resolve().parents[2]
CREATION = bytes.fromhex("6005600c60003960056000f3" + "60006000fd")
"""Code that makes a contract which reverts whatever it is asked."""


def opened(path: Path) -> tuple[EmbeddedProvider, Ledger]:
    provider = EmbeddedProvider(path)
    ledger = Ledger.deploy(provider, LedgerAccount.create())
    assert ledger.account is not None
    for role in (Role.DEPARTMENT, Role.OPERATOR, Role.BANK):
        ledger.grant(ledger.account.address, role)
    ledger.open_dataset("filing", ledger.account.address, 5)
    return provider, ledger


def answer(provider: EmbeddedProvider, method: str, *params: Any) -> Any:
    response = provider.make_request(method, params)  # type: ignore[arg-type]
    assert "error" not in response, response
    return response["result"]


def refusal(provider: EmbeddedProvider, method: str, *params: Any) -> str:
    response = provider.make_request(method, params)  # type: ignore[arg-type]
    assert "result" not in response
    return response["error"]["message"]  # type: ignore[index]


def signed(account: LedgerAccount, chain_id: int, **changes: Any) -> str:
    fields = {
        "nonce": 0,
        "gasPrice": 0,
        "gas": 100_000,
        "to": "0x" + "22" * 20,
        "value": 0,
        "data": b"",
        "chainId": chain_id,
    }
    return "0x" + bytes(account._account.sign_transaction(fields | changes).raw_transaction).hex()


def test_survives_a_restart(tmp_path: Path) -> None:
    provider, ledger = opened(tmp_path / "ledger.db")
    for size in range(1, 150):
        ledger.anchor("filing", 1, 1000 + size, size)
    ledger.anchor_head(9, b"\x09" * 32)
    before = ledger.roots("filing"), ledger.heads(), ledger.datasets()
    assert len(before[0]) == 149
    blocks = [answer(provider, "eth_getBlockByNumber", hex(n), True) for n in range(5)]
    provider.close()
    again = EmbeddedProvider(tmp_path / "ledger.db")
    ledger = Ledger(again, ledger.address, ledger.account)
    assert (ledger.roots("filing"), ledger.heads(), ledger.datasets()) == before
    assert [answer(again, "eth_getBlockByNumber", hex(n), True) for n in range(5)] == blocks
    ledger.anchor("filing", 1, 5, 150)
    assert ledger.is_root("filing", 5)


WRITER = """
import sys, time
from pathlib import Path
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
path, address, key = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
ledger = Ledger(EmbeddedProvider(path), address, LedgerAccount.load(key))
size = max((anchor.size for anchor in ledger.roots("filing")), default=0)
while True:
    size += 1
    ledger.anchor("filing", 1, 10**6 + size, size)
    print(size, flush=True)
    time.sleep(0.02)  # else nobody else of the same account gets its next number
"""


def writer(path: Path, ledger: Ledger, key: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), ledger.address, str(key)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


def kill_and_look(tmp_path: Path, times: int) -> None:
    provider, ledger = opened(tmp_path / "ledger.db")
    assert ledger.account is not None
    ledger.account.save(tmp_path / "key")
    provider.close()
    acknowledged = 0
    for _ in range(times):
        with writer(tmp_path / "ledger.db", ledger, tmp_path / "key") as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().splitlines(keepends=True)
        acknowledged = max([acknowledged, *(int(line) for line in lines if line.endswith("\n"))])
        provider = EmbeddedProvider(tmp_path / "ledger.db", read_only=True)
        sizes = [anchor.size for anchor in Ledger(provider, ledger.address).roots("filing")]
        provider.close()
        # Nothing acknowledged is lost, nothing is there twice, and at most the one on its way was kept unacknowledged.
        assert sizes == list(range(1, len(sizes) + 1))
        assert acknowledged <= len(sizes)
        acknowledged = len(sizes)
    assert acknowledged > times


def test_acknowledged_anchors_survive_sigkill(tmp_path: Path) -> None:
    kill_and_look(tmp_path, 3)


@pytest.mark.slow
def test_acknowledged_anchors_survive_many_sigkills(tmp_path: Path) -> None:
    kill_and_look(tmp_path, 40)


def test_readers_and_writers_in_other_processes_agree(tmp_path: Path) -> None:
    _provider, ledger = opened(tmp_path / "ledger.db")
    assert ledger.account is not None
    ledger.account.save(tmp_path / "key")
    reader = Ledger(EmbeddedProvider(tmp_path / "ledger.db", read_only=True), ledger.address)
    with writer(tmp_path / "ledger.db", ledger, tmp_path / "key") as process:
        assert process.stdout is not None
        for _ in range(3):
            size = int(process.stdout.readline())
            assert reader.is_root("filing", 10**6 + size)
            # This process writes in between, with another transaction of its own.
            ledger.register_scorecard(size)
        process.kill()
    assert ledger.roots("filing") == reader.roots("filing")
    assert reader.scorecard(3) is not None


def test_read_only_reads_a_file_it_may_not_write(tmp_path: Path) -> None:
    provider, ledger = opened(tmp_path / "ledger.db")
    ledger.anchor("filing", 1, 77, 7)
    with pytest.raises(TransactionFailed, match="read only"):
        Ledger(EmbeddedProvider(tmp_path / "ledger.db", read_only=True), ledger.address, ledger.account).anchor(
            "filing", 1, 78, 8
        )
    provider.close()
    os.chmod(tmp_path / "ledger.db", 0o400)
    assert Ledger(EmbeddedProvider(tmp_path / "ledger.db", read_only=True), ledger.address).is_root("filing", 77)
    with pytest.raises(FileNotFoundError):
        EmbeddedProvider(tmp_path / "none.db", read_only=True)
    assert not (tmp_path / "none.db").exists()


AUDIT = """
import os, sys
from pathlib import Path
from services.ledger import EmbeddedProvider, Ledger
EmbeddedProvider(Path(sys.argv[1]))  # imports all it needs while it may
if os.geteuid() == 0:
    os.setuid(65534)
assert not os.access(Path(sys.argv[2]).parent, os.W_OK)
print(Ledger(EmbeddedProvider(Path(sys.argv[2]), read_only=True), sys.argv[3]).is_root("filing", 77))
"""


def test_copy_in_a_directory_without_the_right_to_write_is_read(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        provider, ledger = opened(directory / "ledger.db")
        ledger.anchor("filing", 1, 77, 7)
        provider.close()
        directory.chmod(0o555)
        command = [
            sys.executable,
            "-c",
            AUDIT,
            str(tmp_path / "other.db"),
            str(directory / "ledger.db"),
            ledger.address,
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        directory.chmod(0o755)
        assert run.stdout == "True\n", run.stderr


def test_parties_write_at_the_same_time(tmp_path: Path) -> None:
    _provider, admin = opened(tmp_path / "ledger.db")
    banks = [admin.acting_as(LedgerAccount.create()) for _ in range(4)]
    for bank in banks:
        assert bank.account is not None
        admin.grant(bank.account.address, Role.BANK)

    def register(item: int) -> None:
        banks[item % 4].register_scorecard(item + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(register, range(80)))
    owners = [admin.scorecard(item + 1) for item in range(80)]
    assert [owner.account for owner in owners if owner] == [banks[i % 4].account.address for i in range(80)]  # type: ignore[union-attr]


def test_two_objects_of_one_key_share_its_nonces(tmp_path: Path) -> None:
    provider, admin = opened(tmp_path / "ledger.db")
    assert admin.account is not None
    twins = [admin, Ledger(provider, admin.address, LedgerAccount(bytes(admin.account._account.key)))]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: twins[item % 2].register_scorecard(item + 1), range(30)))
    assert all(admin.scorecard(item + 1) for item in range(30))


def nested(depth: int) -> bytes:
    """RLP of lists within lists, as deep as that."""
    content = b""
    for _ in range(depth):
        size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
        content = (bytes([0xC0 + len(content)]) if len(content) < 56 else bytes([0xF7 + len(size)]) + size) + content
    return content


def test_invalid_transactions_are_turned_away(tmp_path: Path) -> None:
    provider = EmbeddedProvider(tmp_path / "ledger.db")
    chain_id = int(answer(provider, "eth_chainId"), 16)
    account = LedgerAccount.create()
    for why, changes in (
        ("chain id", {"chainId": chain_id + 1}),
        ("nonce too high", {"nonce": 1}),
        ("no currency", {"gasPrice": 1}),
        ("no currency", {"value": 1}),
        ("block gas limit", {"gas": 30_000_001}),
        ("intrinsic gas", {"gas": 20_999}),
        ("intrinsic gas", {"gas": 21_015, "data": b"\1"}),
        ("intrinsic gas", {"gas": 53_000, "to": "", "data": b"\0"}),
        ("initcode", {"gas": 30_000_000, "to": "", "data": bytes(49_153)}),
    ):
        assert why in refusal(provider, "eth_sendRawTransaction", signed(account, chain_id, **changes)), changes
    raw = bytes.fromhex(signed(account, chain_id)[2:])
    items = rlp.decode(raw)
    for bad in (
        b"",
        b"\xc0",
        raw[:-1],
        raw + b"\0",
        rlp.encode([*items, b""]),
        rlp.encode([b"\0" + items[0], *items[1:]]),
        rlp.encode([*items[:3], items[3][1:], *items[4:]]),
        rlp.encode([*items[:6], b"\x1b", *items[7:]]),
        rlp.encode([*items[:7], b"", items[8]]),
        rlp.encode([*items[:7], b"\xff" * 32, items[8]]),
        rlp.encode([*items[:8], (SECPK1_N - int.from_bytes(items[8], "big")).to_bytes(32, "big")]),
        rlp.encode([[b"", b""], *items[1:]]),
        nested(5000),
        bytes(
            Account.create()
            .sign_transaction(
                {
                    "type": 2,
                    "nonce": 0,
                    "maxFeePerGas": 0,
                    "maxPriorityFeePerGas": 0,
                    "gas": 100_000,
                    "to": "0x" + "22" * 20,
                    "value": 0,
                    "data": b"",
                    "chainId": chain_id,
                }
            )
            .raw_transaction
        ),
    ):
        assert "invalid transaction" in refusal(provider, "eth_sendRawTransaction", "0x" + bad.hex()), bad.hex()
    assert "hexadecimal" in refusal(provider, "eth_sendRawTransaction", "0xzz")
    assert answer(provider, "eth_blockNumber") == "0x0"
    answer(provider, "eth_sendRawTransaction", signed(account, chain_id))
    assert "already known" in refusal(provider, "eth_sendRawTransaction", signed(account, chain_id))
    assert "nonce too low" in refusal(provider, "eth_sendRawTransaction", signed(account, chain_id, gas=100_001))
    assert answer(provider, "eth_blockNumber") == "0x1"


RAW = bytes.fromhex(signed(LedgerAccount.create(), 77, data=bytes(range(60)))[2:])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RAW)), st.integers(0, 8), st.binary(max_size=8))
def test_mangled_transactions_are_another_sender_s_or_malformed(place: int, length: int, inserted: bytes) -> None:
    """A change anywhere never leaves a transaction of the same account, except that of nothing."""
    mangled = RAW[:place] + inserted + RAW[place + length :]
    try:
        found = SignedTransaction.decode(mangled)
    except Malformed:
        return
    original = SignedTransaction.decode(RAW)
    assert mangled == RAW or found.call.sender != original.call.sender


def test_transaction_of_one_ledger_is_not_one_of_another(tmp_path: Path) -> None:
    first, second = EmbeddedProvider(tmp_path / "a.db"), EmbeddedProvider(tmp_path / "b.db")
    raw = signed(LedgerAccount.create(), int(answer(first, "eth_chainId"), 16))
    answer(first, "eth_sendRawTransaction", raw)
    assert "chain id" in refusal(second, "eth_sendRawTransaction", raw)


def test_failed_transactions_are_mined_as_failed(tmp_path: Path) -> None:
    """Like any chain: the transaction counts, its sender's nonce moves on, its effects are none."""
    provider = EmbeddedProvider(tmp_path / "ledger.db")
    chain_id = int(answer(provider, "eth_chainId"), 16)
    account = LedgerAccount.create()
    creation = answer(provider, "eth_sendRawTransaction", signed(account, chain_id, to="", data=CREATION))
    contract = answer(provider, "eth_getTransactionReceipt", creation)["contractAddress"]
    assert contract.lower() == "0x" + keccak(rlp.encode([bytes.fromhex(account.address[2:]), 0]))[12:].hex()
    for nonce, changes in ((1, {"to": contract}), (2, {"to": "", "data": b"\xfe"}), (3, {"to": contract})):
        digest = answer(provider, "eth_sendRawTransaction", signed(account, chain_id, nonce=nonce, **changes))
        receipt = answer(provider, "eth_getTransactionReceipt", digest)
        assert receipt["status"] == "0x0" and receipt["logs"] == [] and receipt["contractAddress"] is None
        assert answer(provider, "eth_getTransactionCount", account.address, "latest") == hex(nonce + 1)
    digest = answer(provider, "eth_sendRawTransaction", signed(account, chain_id, nonce=4, to="", data=CREATION))
    fifth = answer(provider, "eth_getTransactionReceipt", digest)["contractAddress"]
    assert fifth.lower() == "0x" + keccak(rlp.encode([bytes.fromhex(account.address[2:]), 4]))[12:].hex()
    assert answer(provider, "eth_getCode", fifth, "latest") == "0x60006000fd"
    assert "reverted" in refusal(provider, "eth_call", {"to": contract, "data": "0x"}, "latest")
    assert answer(provider, "eth_getTransactionCount", account.address, "latest") == "0x5"


def damaged(path: Path, statement: str, *values: Any) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(statement, values)
    database.close()


def test_damage_is_noticed(tmp_path: Path) -> None:
    provider, ledger = opened(tmp_path / "whole.db")
    other, _ = opened(tmp_path / "other.db")
    for size in range(1, 5):
        ledger.anchor("filing", 1, size, size)
    provider.close()
    other.close()
    stranger = bytes.fromhex(signed(LedgerAccount.create(), 1)[2:])
    row = (
        sqlite3.connect(tmp_path / "other.db").execute("SELECT raw, hash, time FROM block WHERE number = 3").fetchone()
    )
    for number, (statement, *values) in enumerate(
        (
            ("DELETE FROM block WHERE number = 3",),
            ("UPDATE block SET time = time + 1 WHERE number = 3",),
            ("UPDATE block SET time = 0 WHERE number = 3",),
            ("UPDATE block SET hash = zeroblob(32) WHERE number = 3",),
            ("UPDATE block SET raw = ? WHERE number = 3", stranger),
            ("UPDATE block SET raw = ? WHERE number = 3", row[0]),
            ("UPDATE block SET raw = ?, hash = ?, time = ? WHERE number = 3", *row),
            ("UPDATE block SET raw = zeroblob(10) WHERE number = 3",),
            ("UPDATE block SET number = 999 WHERE number = 3",),
            ("UPDATE genesis SET chain_id = chain_id + 1",),
            ("UPDATE genesis SET time = time - 1",),
            ("DELETE FROM genesis",),
            ("INSERT INTO genesis SELECT chain_id + 1, time FROM genesis",),
            ("PRAGMA user_version = 2",),
            ("PRAGMA application_id = 7",),
        )
    ):
        path = tmp_path / f"{number}.db"
        shutil.copy(tmp_path / "whole.db", path)
        damaged(path, statement, *values)
        with pytest.raises(LedgerDamaged):
            EmbeddedProvider(path)
        with pytest.raises(LedgerDamaged):
            EmbeddedProvider(path, read_only=True)
    raw = sqlite3.connect(tmp_path / "whole.db").execute("SELECT raw FROM block WHERE number = 6").fetchone()[0]
    for place in range(0, len(raw), 7):
        changed = raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :]
        shutil.copy(tmp_path / "whole.db", tmp_path / "bit.db")
        damaged(tmp_path / "bit.db", "UPDATE block SET raw = ? WHERE number = 6", changed)
        with pytest.raises(LedgerDamaged):
            EmbeddedProvider(tmp_path / "bit.db")


def test_full_disk_loses_nothing(tmp_path: Path) -> None:
    provider, ledger = opened(tmp_path / "ledger.db")
    ledger.anchor("filing", 1, 1, 1)
    pages = provider._chain._database.execute("PRAGMA page_count").fetchone()[0]
    provider._chain._database.execute(f"PRAGMA max_page_count = {pages}")
    size = 1
    with pytest.raises(Unreachable):
        for size in range(2, 100):
            ledger.anchor("filing", 1, size, size)
    assert [anchor.size for anchor in ledger.roots("filing")] == list(range(1, size))
    provider._chain._database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    ledger.anchor("filing", 1, size, size)
    provider.close()
    again = Ledger(EmbeddedProvider(tmp_path / "ledger.db"), ledger.address)
    assert [anchor.size for anchor in again.roots("filing")] == list(range(1, size + 1))


def test_closed_ledger_is_unreachable(tmp_path: Path) -> None:
    provider, ledger = opened(tmp_path / "ledger.db")
    provider.close()
    with pytest.raises(Unreachable):
        ledger.is_root("filing", 1)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, and long enough that SQLite looks at it " * 20)
    with pytest.raises(LedgerDamaged):
        EmbeddedProvider(tmp_path / "text")
    database = sqlite3.connect(tmp_path / "notes.db")
    with database:
        database.execute("CREATE TABLE notes (text TEXT)")
    database.close()
    before = (tmp_path / "notes.db").read_bytes()
    for read_only in (False, True):
        with pytest.raises(LedgerDamaged):
            EmbeddedProvider(tmp_path / "notes.db", read_only)
    assert (tmp_path / "notes.db").read_bytes() == before


def test_time_never_runs_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, ledger = opened(tmp_path / "ledger.db")
    ledger.anchor("filing", 1, 1, 1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 10_000)
    ledger.anchor("filing", 1, 2, 2)
    monkeypatch.setattr(time, "time", lambda: now + 10_000)
    ledger.anchor("filing", 1, 3, 3)
    times = [anchor.time for anchor in ledger.roots("filing")]
    assert times[0] <= times[1] and times[2] == int(now + 10_000)
    provider.close()
    assert [a.time for a in Ledger(EmbeddedProvider(tmp_path / "ledger.db"), ledger.address).roots("filing")] == times


def test_simulation_leaves_no_trace(tmp_path: Path) -> None:
    _provider, ledger = opened(tmp_path / "ledger.db")
    assert ledger.account is not None
    function = ledger._function("register_scorecard", [5])
    for _ in range(3):
        function.call({"from": ledger.account.address})
        function.estimate_gas({"from": ledger.account.address})
    assert ledger.scorecard(5) is None
    ledger.register_scorecard(5)
    assert ledger.scorecard(5) is not None


def test_web3_reads_blocks_transactions_and_events(tmp_path: Path) -> None:
    provider, ledger = opened(tmp_path / "ledger.db")
    assert ledger.account is not None
    for size in (1, 2):
        ledger.anchor("filing", 1, 10 + size, size)
    web3 = Web3(provider)
    contract = web3.eth.contract(ledger.address, abi=ledger._functions.abi)
    events = contract.events.Anchored.get_logs(from_block=0)
    assert [(e.args.root, e.args.size, e.args.dataset) for e in events] == [(11, 1, "filing"), (12, 2, "filing")]
    one = contract.events.Anchored.get_logs(from_block=0, argument_filters={"root": 12})
    assert [e.args.root for e in one] == [12]
    assert contract.events.Anchored.get_logs(from_block=events[1].blockNumber) == [events[1]]
    assert contract.events.Anchored.get_logs(block_hash=events[0].blockHash) == [events[0]]
    assert contract.events.HeadAnchored.get_logs(from_block=0) == []
    block = web3.eth.get_block("latest", full_transactions=True)
    transaction = web3.eth.get_transaction(events[1].transactionHash)
    assert block["transactions"] == [transaction]
    assert transaction["from"] == ledger.account.address and transaction["to"] == ledger.address
    assert web3.eth.get_block(block["parentHash"])["number"] == block["number"] - 1  # type: ignore[operator]
    assert web3.eth.get_balance(ledger.address) == 0 and web3.eth.gas_price == 0
    assert web3.is_connected() and list(web3.eth.accounts) == [] and not web3.eth.syncing
    assert web3.net.version == str(web3.eth.chain_id)
    assert "does not exist" in refusal(provider, "eth_sendTransaction", {})
    assert "newest state" in refusal(provider, "eth_call", {"to": ledger.address, "data": "0x"}, "0x1")


@pytest.mark.skipif(not (find_spec("pyrevm") and find_spec("eth")), reason="needs both virtual machines")
def test_both_machines_make_the_same_of_one_file(tmp_path: Path) -> None:
    from test_registry import INPUTS, PROOF, inputs, make_world, mine
    from trapdoor_groth16 import P, R, twist_point_outside_subgroup

    world = make_world(tmp_path / "ledger.db", RevmEngine)
    expected = {"0x0": 1, "0x1": int(world.admin._chain.web3.eth.block_number) + 2}
    for ledger, status in ((world.stranger, 0), (world.bank, 1)):
        assert mine(ledger, "register_scorecard", 5) == status
        expected[hex(status)] += 1
    outside = [*PROOF[:2], *twist_point_outside_subgroup(), *PROOF[6:]]
    words = [[word + (i == place) for i, word in enumerate(PROOF)] for place in range(8)]
    false = [[*PROOF[:6], PROOF[6], P - PROOF[7]], outside, [0, 0, *PROOF[2:]], [P, *PROOF[1:]], *words]
    for public, proof in (
        *((INPUTS, proof) for proof in false),
        (inputs(4, 1), PROOF),
        (inputs(4, R), PROOF),
        (INPUTS, PROOF),
        (INPUTS, PROOF),
    ):
        expected[hex(mine(world.operator, "submit_filing", "filing", public, proof))] += 1
    chain_id = int(answer(world.provider, "eth_chainId"), 16)
    for nonce, changes in enumerate(
        ({"to": "", "data": CREATION}, {"to": "", "data": b"\xfe"}, {"to": "", "data": CREATION})
    ):
        assert world.stranger.account is not None
        raw = signed(world.stranger.account, chain_id, nonce=nonce + 1, **changes)
        answer(world.provider, "eth_sendRawTransaction", raw)
    count = int(answer(world.provider, "eth_blockNumber"), 16)
    makers: list[Callable[[], Any]] = [RevmEngine, PyEvmEngine]
    providers = [EmbeddedProvider(tmp_path / "ledger.db", True, maker) for maker in makers]

    def seen(provider: EmbeddedProvider, number: int) -> Any:
        block = answer(provider, "eth_getBlockByNumber", hex(number), True)
        receipt = answer(provider, "eth_getTransactionReceipt", block["transactions"][0]["hash"])
        created = receipt["contractAddress"]
        code = answer(provider, "eth_getCode", created, "latest") if created else None
        # The gas that the two count differs, as services.ledger.evm says.
        for place in (block, receipt):
            place.pop("gasUsed")
        receipt.pop("cumulativeGasUsed")
        return block, receipt, code

    # A creation below, the stranger, and of the filings all but the one that is true and new.
    assert expected["0x0"] == 1 + 1 + len(false) + 3
    statuses = []
    for number in range(1, count + 1):
        revm, py_evm = (seen(provider, number) for provider in providers)
        assert revm == py_evm
        statuses.append(revm[1]["status"])
    assert {status: statuses.count(status) for status in expected} == expected
    readers = [Ledger(provider, world.admin.address) for provider in providers]
    assert readers[0].roots("filing") == readers[1].roots("filing")


def test_accounts_hide_their_keys(tmp_path: Path) -> None:
    import pickle

    account = LedgerAccount.create()
    key = bytes(account._account.key)
    assert key.hex() not in repr(account)
    with pytest.raises(TypeError):
        pickle.dumps(account)
    account.save(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert LedgerAccount.load(tmp_path / "key").address == account.address
    for bad in (
        b"",
        b"xyz",
        bytes(32).hex().encode(),
        SECPK1_N.to_bytes(32, "big").hex().encode(),
        key.hex()[2:].encode(),
    ):
        (tmp_path / "key").write_bytes(bad)
        with pytest.raises(Malformed):
            LedgerAccount.load(tmp_path / "key")


def test_threads_share_a_provider(tmp_path: Path) -> None:
    _provider, ledger = opened(tmp_path / "ledger.db")
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(20):
                assert ledger.dataset("filing") is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for root in range(1, 20):
        ledger.anchor("filing", 1, root, root)
    for thread in threads:
        thread.join()
    assert not failures
