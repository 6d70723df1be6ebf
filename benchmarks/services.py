"""The services under load: what they serve beside what the kernels could do on the same cores.

    python -m benchmarks.services verify submit aggregate         # or some of the three; --quick for a first look

Load and services run in separate processes on the same cores, over gRPC with mutual TLS on loopback. Every figure is
printed with its ratio to the bound that it must keep; answers are checked.

- ``verify``: proofs of the filing circuit (6 public inputs), the kernel's rate in batches of 4096 on all cores first,
  then 256 callers who each wait for their answer before they ask again, one proof a request and several; then single
  requests at half of the rate reached, evenly in time, with their 99th percentile.
- ``submit``: records of 4 fields under a key of 3072 bits, proofs made before; one record a call by 128 callers, then
  over streams, then the time that three trustees on the same cores need to verify and keep them all.
- ``aggregate``: a log of 100,000 records, written below the layer that verifies: ciphertexts are real and all
  different, proofs are not. A node's start and memory over it, then a query by industry to a node with three trustees,
  from signing to the verified answer.

Where other work shares the machine, compare the processor times printed beside the rates.
"""

import argparse
import asyncio
import json
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from benchmarks.service_network import ENTERPRISES, SCHEMA, Child, NetworkProcess, NodeProcess, dataset, fill, record
from circuits import filing
from circuits.record import Opening
from services.api.zkshare.v1 import submission_pb2, submission_pb2_grpc
from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.identity import Identity, Role
from services.network import OPERATOR
from services.server import Address, channel
from zkcore import babyjubjub
from zkcore.bn254 import R
from zkcore.cpu import BACKEND
from zkcore.groth16 import Proof, prove
from zkcore.merkle import MerkleTree

CALLERS = 256
CHANNELS = 8
CORES = os.cpu_count() or 1
SUBMITTING = 128
WARM = 32
"""Submissions before the clock starts."""
DISTINCT = 16
"""Different proofs, asked for by turns."""


SHOWN: list[dict[str, Any]] = []
"""What was shown, for ``--json``."""


def show(what: str, value: float, unit: str, bound: float | None = None, at_least: bool = True, more: str = "") -> None:
    SHOWN.append({"what": what.strip(), "value": value, "unit": unit, "bound": bound, "at_least": at_least})
    ratio = "" if bound is None else f"  {value / bound:7.2f} of {'at least' if at_least else 'at most'} {bound:g}"
    print(f"{what:<64}{value:>12,.2f} {unit:<9}{ratio}  {more}", flush=True)


def own_cpu() -> float:
    return time.process_time()


@asynccontextmanager
async def channels(directory: Path, name: str, node: Address, count: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Connections of one caller, each its own."""
    identity = Identity.load(directory / "identities" / name)
    made = []
    for _ in range(count):
        made.append(channel(identity, node, Role.OPERATOR, OPERATOR))
    yield made
    for there in made:
        await there.close(None)


def proofs() -> tuple[bytes, list[tuple[bytes, list[bytes]]], Any]:
    """The filing circuit's key, proofs with their public inputs as bytes, and the key prepared."""
    key = dataset().filing_keys
    made = []
    tree, leaves = MerkleTree(), []
    for number in range(DISTINCT):
        each, blinding = record(f"s{number}", "2026"), secrets.randbelow(R)
        leaves.append((each, blinding, tree.append(each.leaf(blinding))))
    for each, blinding, index in leaves:
        opening = Opening(each, blinding, tree.root, tree.path(index))
        blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in SCHEMA.fields]
        proof, public = prove(key.proving_key, filing.assign(SCHEMA, opening, blindings)[2])
        made.append((proof.to_bytes(), [value.to_bytes(32, "big") for value in public]))
    return key.verifying_key.to_bytes(), made, key.verifying_key.prepare()


async def closed_loop(callers: list[Callable[[], Awaitable[None]]], seconds: float) -> float:
    """Calls a second of callers who each wait for their answer."""
    count = 0
    end = time.monotonic() + seconds

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        nonlocal count
        while time.monotonic() < end:
            await call()
            count += 1

    start = time.monotonic()
    await asyncio.gather(*(one(call) for call in callers))
    return count / (time.monotonic() - start)


async def open_loop(calls: list[Callable[[], Awaitable[None]]], rate: float, seconds: float) -> list[float]:
    """Seconds that each call took, of calls begun evenly in time whatever became of those before."""
    times: list[float] = []

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        start = time.monotonic()
        await call()
        times.append(time.monotonic() - start)

    start, running = time.monotonic(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
        running.append(asyncio.create_task(one(calls[number % len(calls)])))
    await asyncio.gather(*running)
    return sorted(times)


async def verify(directory: Path, network: Child, node: Address, quick: bool) -> None:
    seconds = 2.0 if quick else 6.0
    encoded, made, prepared = proofs()
    items = [(Proof.from_bytes(proof), [int.from_bytes(x, "big") for x in public]) for proof, public in made]
    many = [items[n % DISTINCT] for n in range(4096)]
    assert prepared.verify_batch(many, CORES) == []
    best, cpu = 0.0, 0.0
    for _ in range(5):
        start, before = time.perf_counter(), own_cpu()
        assert prepared.verify_batch(many, CORES) == []
        best, cpu = max(best, len(many) / (time.perf_counter() - start)), (own_cpu() - before) / len(many)
    show("kernel, batches of 4096", best, "proofs/s", more=f"{cpu * 1e6:.0f} us of processor a proof")

    async with channels(directory, "bank", node, CHANNELS) as there:
        stubs = [rpc.VerificationServiceStub(each) for each in there]
        wire = [pb.ProofItem(proof=proof, public_inputs=public) for proof, public in made]
        false = pb.ProofItem(proof=made[0][0], public_inputs=made[1][1])
        assert not (await stubs[0].Verify(pb.VerifyRequest(verifying_key=encoded, item=false))).valid

        def single(number: int) -> Callable[[], Awaitable[None]]:
            request = pb.VerifyRequest(verifying_key=encoded, item=wire[number % DISTINCT])

            async def call() -> None:
                assert (await stubs[number % CHANNELS].Verify(request)).valid

            return call

        def several(number: int, size: int) -> Callable[[], Awaitable[None]]:
            request = pb.VerifyBatchRequest(
                verifying_key=encoded, items=[wire[(number + n) % DISTINCT] for n in range(size)]
            )

            async def call() -> None:
                assert not (await stubs[number % CHANNELS].VerifyBatch(request)).invalid

            return call

        await closed_loop([single(number) for number in range(CALLERS)], 0.5)
        rate = 0.0
        for size in (1, 16, 64):
            callers = [several(n, size) if size > 1 else single(n) for n in range(CALLERS)]
            before, mine = (await network.call("usage"))["cpu"], own_cpu()
            served = size * await closed_loop(callers, seconds)
            theirs, mine = (await network.call("usage"))["cpu"] - before, own_cpu() - mine
            rate = rate or served
            what = "one proof a request" if size == 1 else f"{size} proofs a request"
            theirs, mine = (1e6 * cpu / served / seconds for cpu in (theirs, mine))
            cost = f"services {theirs:.0f} us, load {mine:.0f} us a proof"
            show(f"served, {CALLERS} callers, {what}", served, "proofs/s", more=cost)
            show("  by the kernel's rate", served / best, "", 0.5)
        times = await open_loop([single(number) for number in range(CHANNELS)], rate / 2, seconds)
        show("a single proof at half of that load, median", 1000 * times[len(times) // 2], "ms")
        show("  99th percentile", 1000 * times[len(times) * 99 // 100], "ms", 50, at_least=False)


async def submit(directory: Path, network: Child, node: Address, quick: bool) -> None:
    count = 128 if quick else 768
    await network.call("prepare", 1)
    start = time.monotonic()
    made = await network.call("prepare", count)
    show(f"submissions made on {CORES} cores", count / (time.monotonic() - start), "a second")
    warm, made = made[:WARM], made[WARM:]
    one_by_one, streamed = made[: len(made) // 2], made[len(made) // 2 :]
    stubs = {}
    opened = []
    for name in ENTERPRISES:
        there = channel(Identity.load(directory / "identities" / name), node, Role.OPERATOR, OPERATOR)
        opened.append(there)
        stubs[name] = submission_pb2_grpc.SubmissionServiceStub(there)

    async def caller(waiting: Iterator[tuple[str, bytes]]) -> None:
        for subject, body in waiting:
            assert (await stubs[subject].Submit(submission_pb2.SubmitRequest(submission=body))).receipt

    async def callers(submissions: list[tuple[str, bytes]]) -> None:
        waiting = iter(submissions)
        await asyncio.gather(*(caller(waiting) for _ in range(SUBMITTING)))

    await callers(warm)
    before, begun = (await network.call("usage"))["cpu"], time.monotonic()
    await callers(one_by_one)
    took = time.monotonic() - begun
    cpu = (await network.call("usage"))["cpu"] - before
    cost = f"{1000 * cpu / len(one_by_one):.2f} ms of processor a record"
    show(f"accepted, one record a call, {SUBMITTING} callers", len(one_by_one) / took, "a second", 150, more=cost)

    async def stream(subject: str) -> None:
        async def requests() -> AsyncIterator[submission_pb2.SubmitManyRequest]:
            for each, body in streamed:
                if each == subject:
                    yield submission_pb2.SubmitManyRequest(submission=body)

        async for response in stubs[subject].SubmitMany(requests()):
            assert response.receipt, response.refusal

    before, begun = (await network.call("usage"))["cpu"], time.monotonic()
    await asyncio.gather(*(stream(subject) for subject in stubs))
    took = time.monotonic() - begun
    cpu = (await network.call("usage"))["cpu"] - before
    cost = f"{1000 * cpu / len(streamed):.2f} ms of processor a record"
    show(f"accepted, {len(ENTERPRISES)} streams", len(streamed) / took, "a second", 150, more=cost)
    took = await network.call("replicate")
    show("verified anew by three trustees on the same cores", count / took, "a second")
    for there in opened:
        await there.close(None)


async def aggregate(directory: Path, count: int) -> None:
    start = time.monotonic()
    fill(directory, count)
    show(f"log of {count:,} records written (below verification)", time.monotonic() - start, "s")
    for number in (1, 2, 3):
        shutil.copy(directory / "network/node.sqlite", directory / f"network/trustee-{number}.sqlite")
        shutil.copytree(directory / "network/node.segments", directory / f"network/trustee-{number}.segments")
    alone = Child(NodeProcess, directory)
    node = await alone.ready()
    show(f"start of a node with {count:,} records", node["start"], "s", 5, at_least=False)
    more = f"{node['before']:.0f} MB of it before it opens the log"
    show("  its memory", node["memory"], "MB", 600, at_least=False, more=more)
    alone.end()
    network = Child(NetworkProcess, directory)
    await network.ready()
    for what in ("first", "second"):
        before = (await network.call("usage"))["cpu"]
        seconds, counted = await network.call("query")
        assert counted == count
        cpu = f"{(await network.call('usage'))['cpu'] - before:.2f} s of processor"
        show(f"{what} query over {count:,} records, three trustees", seconds, "s", 10, at_least=False, more=cpu)
    show("  memory of node, three trustees and all clients in one", (await network.call("usage"))["memory"], "MB")
    network.end()


async def run(what: list[str], quick: bool, records: int) -> None:
    print(platform.machine(), platform.python_version(), BACKEND, f"{CORES} cores", "grpcio", grpc.__version__)
    for each in what:
        with tempfile.TemporaryDirectory(prefix="zkshare-benchmark-") as name:
            directory = Path(name)
            if each == "aggregate":
                await aggregate(directory, records)
                continue
            network = Child(NetworkProcess, directory)
            try:
                node = await network.ready()
                await {"verify": verify, "submit": submit}[each](directory, network, node, quick)
            finally:
                network.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["verify", "submit", "aggregate"], default=[])
    parser.add_argument("--quick", action="store_true", help="fewer records and shorter runs")
    parser.add_argument("--records", type=int, help="records in the log that is summed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    arguments = parser.parse_args()
    records = arguments.records or (5_000 if arguments.quick else 100_000)
    asyncio.run(run(arguments.what or ["verify", "submit", "aggregate"], arguments.quick, records))
    if arguments.json:
        arguments.json.write_text(json.dumps(SHOWN), encoding="utf-8")


if __name__ == "__main__":
    main()
