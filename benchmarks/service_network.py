"""The other side of :mod:`benchmarks.services`: processes that hold a network, or a node alone, and obey commands.

Commands come over a pipe as a name with arguments, and each is answered; so the load runs in another process than what
it loads, as it does in the field. The threshold key is of the public test primes of 3072 bits: it protects nothing, and
its arithmetic takes the time that any key's takes.
"""

import asyncio
import gc
import json
import multiprocessing
import os
import resource
import secrets
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from circuits import credit_score, filing
from circuits.record import Record
from circuits.schema import Schema
from homomorphic.column import CiphertextColumn
from homomorphic.threshold import KeyShare, ThresholdKey, deal, deal_from_primes
from services.api.zkshare.v1.submission_pb2 import Attribute, Submission
from services.certificate_authority import CertificateAuthority
from services.identity import Authority, Role
from services.journal import Journal
from services.keys import circuit_keys
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.network import OPERATOR, DatasetPlan, LocalNetwork, NetworkPlan
from services.node import Node, NodeConfig
from services.parameters import Dataset, PublicParameters
from services.policy import Rights
from services.server import Workers
from services.statements import canonical
from services.store.opening import open_database
from services.verification import Accepted
from zkcore.groth16 import VerifyingKey

SCHEMA = Schema.from_toml(
    """
name = "vat"
minimum_cohort = 10
[[fields]]
name = "sales"
type = "u64"
unit = "CNY"
[[fields]]
name = "input_vat"
type = "u64"
unit = "CNY"
[[fields]]
name = "output_vat"
type = "u64"
unit = "CNY"
[[fields]]
name = "vat_due"
type = "i64"
unit = "CNY"
[[attributes]]
name = "industry"
[[rules]]
name = "due"
relation = "vat_due = output_vat - input_vat"
"""
)
INDUSTRIES = ("steel", "cloth", "paper", "glass", "software", "transport", "building", "farming")
PRIMES = Path(__file__).parent.parent / "tests/vectors/homomorphic/test_primes.json"
BITS = 3072
ENTERPRISES = tuple(f"enterprise-{number:02}" for number in range(16))
TRUSTEES = ("trustee-1", "trustee-2", "trustee-3")
KEYS = ("filing.key", "score.key")
AT_ONCE = 4096
QUERY = "SELECT industry, COUNT(*), SUM(sales), SUM(vat_due) FROM vat GROUP BY industry"


def committee(directory: Path) -> tuple[ThresholdKey, list[KeyShare]]:
    """The threshold key and its shares, kept in a directory so that all processes have the same."""
    names = ["threshold.key", *(f"{number}.share" for number in (1, 2, 3))]
    if not all((directory / name).exists() for name in names):
        if PRIMES.exists():
            p, q = (int(value, 16) for value in json.loads(PRIMES.read_text())["safe_primes"][str(BITS)])
            dealt, dealt_shares = deal_from_primes(p, q, parties=3, threshold=2)
        else:  # an installed package has no tests beside it
            dealt, dealt_shares = deal(BITS, parties=3, threshold=2)
        made = [dealt.to_bytes(), *(share.to_bytes() for share in dealt_shares)]
        for name, content in zip(names, made, strict=True):
            (directory / name).write_bytes(content)
    key, *shares = ((directory / name).read_bytes() for name in names)
    return ThresholdKey.from_bytes(key), [KeyShare.from_bytes(share) for share in shares]


def dataset() -> DatasetPlan:
    """The dataset with its circuits, whose keys are made once and kept in the user's data directory."""
    filings, scores = filing.build(SCHEMA), credit_score.build(SCHEMA)
    return DatasetPlan(SCHEMA, "tax-bureau", filings, circuit_keys(filings), scores, circuit_keys(scores))


def plan(directory: Path) -> NetworkPlan:
    """Three trustees, sixteen enterprises."""
    key, shares = committee(directory)
    return NetworkPlan((dataset(),), key, tuple(shares), ENTERPRISES)


def record(subject: str, period: str) -> Record:
    sales, paid = secrets.randbelow(10**12), secrets.randbelow(10**9)
    values = {"sales": sales, "input_vat": paid, "output_vat": sales // 8, "vat_due": sales // 8 - paid}
    industry = INDUSTRIES[secrets.randbelow(len(INDUSTRIES))]
    return Record(SCHEMA, subject, period, {"industry": industry}, values)


def usage() -> dict[str, float]:
    """Processor time of this process so far in seconds, and the memory that it holds in MB, mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": own.ru_utime + own.ru_stime, "memory": pages * os.sysconf("SC_PAGE_SIZE") / 1e6}


class Commands:
    """What a child process does on command; each command is a method."""

    async def serve(self, pipe: Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            name, arguments = await loop.run_in_executor(None, pipe.recv)
            if name == "end":
                return
            pipe.send(await getattr(self, name)(*arguments))

    async def usage(self) -> dict[str, float]:
        return usage()


class NetworkProcess(Commands):
    """A whole network in one process; identities of clients are saved where the load finds them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._prepared = 0
        self._network = LocalNetwork(plan(directory), directory / "network", lambda request: True, anchor_seconds=3600)

    async def run(self, pipe: Connection) -> None:
        async with self._network as network:
            for role, name in [(Role.BANK, "bank"), *((Role.ENTERPRISE, name) for name in ENTERPRISES)]:
                network.identity(role, name).save(self._directory / "identities" / name)
            gc.collect()
            gc.freeze()  # as services.process does for each party
            pipe.send(network.node.address)
            await self.serve(pipe)

    async def prepare(self, count: int) -> list[tuple[str, bytes]]:
        """Commits records and makes their submissions: subject and bytes of each, by turns of the enterprises."""
        self._prepared, first = self._prepared + count, self._prepared
        numbers = range(first, first + count)
        filed = [(ENTERPRISES[n % len(ENTERPRISES)], f"P{n // len(ENTERPRISES):05}") for n in numbers]
        await self._network.departments["tax-bureau"].commit("vat", [record(*each) for each in filed])
        work = (self._network.enterprises[subject].prepare("vat", period) for subject, period in filed)
        return list(zip((subject for subject, _ in filed), await asyncio.gather(*work), strict=True))

    async def replicate(self) -> float:
        """Anchors the log and waits until all trustees have verified and kept it; seconds."""
        start = time.monotonic()
        head = await self._network.node.anchor()
        while any(trustee._journal.size < head.size for trustee in self._network.trustees.values()):
            await asyncio.sleep(0.05)
        return time.monotonic() - start

    async def query(self) -> tuple[float, int]:
        """Seconds of one verified query by industry, and the records that it counts."""
        start = time.monotonic()
        answer = await self._network.tax_agencies["tax-agency"].query(QUERY)
        return time.monotonic() - start, sum(row.count for row in answer.verified.rows)


class NodeProcess(Commands):
    """A node alone, on a database that holds records already, with a ledger of its own in the same process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def run(self, pipe: Connection) -> None:
        directory = self._directory
        authority, account = CertificateAuthority.create(), LedgerAccount.create()
        filing_key, score_key = (VerifyingKey.from_bytes((directory / name).read_bytes()) for name in KEYS)
        parameters = PublicParameters(
            Authority.from_pem(authority.to_pem()),
            OPERATOR,
            TRUSTEES,
            ThresholdKey.from_bytes((directory / "threshold.key").read_bytes()),
            (Dataset(SCHEMA, filing_key, score_key),),
        )
        provider = EmbeddedProvider(directory / "ledger.sqlite")
        ledger = Ledger.deploy(provider, account)
        ledger.grant(account.address, Role.OPERATOR)
        for kind, identifier, digest in parameters.digests():
            ledger.publish(kind, identifier, digest)
        node = Node(
            NodeConfig(directory / "network/node.sqlite", Rights({}), anchor_seconds=3600),
            authority.issue(Role.OPERATOR, OPERATOR),
            parameters,
            ledger,
            Workers(2),
        )
        before = usage()
        start = time.monotonic()
        await node.start()
        pipe.send({"start": time.monotonic() - start, "before": before["memory"], **usage()})
        await self.serve(pipe)
        await node.stop()
        provider.close()


def fill(directory: Path, count: int) -> dict[str, tuple[int, int]]:
    """Writes `count` records into the node's journal, below the layer that verifies; count and sum of each industry.

    Ciphertexts are real encryptions under the network's key; commitments and proofs are random bytes of the right
    lengths, so the records take the room of real ones and no party would accept them from outside.
    """
    key = committee(directory)[0].public_key
    (directory / "network").mkdir()
    keys = dataset()
    for name, circuit in zip(KEYS, (keys.filing_keys, keys.score_keys), strict=True):
        (directory / name).write_bytes(circuit.verifying_key.to_bytes())
    database = open_database(directory / "network/node.sqlite")
    journal = Journal(database, directory / "network/node.segments")
    generator = np.random.default_rng()
    counts, sums = np.zeros(len(INDUSTRIES), np.int64), np.zeros(len(INDUSTRIES), np.int64)
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        values, industries = generator.integers(0, 2**40, size), generator.integers(0, len(INDUSTRIES), size)
        np.add.at(counts, industries, 1)
        np.add.at(sums, industries, values)
        column = CiphertextColumn.encrypt(key, values, threads=os.cpu_count() or 1)
        data, width = column.to_bytes(), key.ciphertext_bytes
        entries = []
        for index in range(size):
            subject, attributes = f"s{start + index}", {"industry": INDUSTRIES[industries[index]]}
            submission = Submission(
                schema_id=SCHEMA.schema_id.to_bytes(32, "big"),
                subject=subject,
                period="2026Q2",
                attributes=[Attribute(name=name, value=value) for name, value in attributes.items()],
                root=generator.bytes(32),
                key_fingerprint=key.fingerprint,
                ciphertext=data[index * width : (index + 1) * width],
                commitments=[generator.bytes(64) for _ in SCHEMA.fields],
                proof=generator.bytes(256),
                link_proof=generator.bytes(1502),
            )
            accepted = Accepted("vat", subject, "2026Q2", attributes, key.fingerprint, submission.ciphertext)
            entries.append((canonical(submission), accepted))
        journal.append(entries, lambda position, leaf, head: b"receipt")
    journal.close()
    database.close()
    return {name: (int(n), int(total)) for name, n, total in zip(INDUSTRIES, counts, sums, strict=True)}


class Child:
    """A process that runs one of the classes above; use :meth:`start`, :meth:`call`, :meth:`end`."""

    def __init__(self, kind: Callable[[Path], Any], directory: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_run, args=(kind, directory, there))
        self._process.start()
        there.close()

    async def ready(self) -> Any:
        """What the process says when it is ready."""
        return await asyncio.get_running_loop().run_in_executor(None, self._pipe.recv)

    async def call(self, name: str, *arguments: Any) -> Any:
        self._pipe.send((name, arguments))
        return await self.ready()

    def end(self) -> None:
        self._pipe.send(("end", ()))
        self._process.join()


def _run(kind: Callable[[Path], Any], directory: Path, pipe: Connection) -> None:
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    asyncio.run(kind(directory).run(pipe))
