"""The services under load: what they serve beside what the kernels could do on the same cores.

    python -m benchmarks.services verify submit                   # or one of the two; --quick for a first look

Load and services run in separate processes on the same cores, over gRPC with mutual TLS on loopback. Every figure is
printed with its ratio to the bound that it must keep; answers are checked.

- ``verify``: proofs of the filing circuit (6 public inputs), the kernel's rate in batches of 4096 on all cores first
  and again afterwards. Then 256 callers who each wait for their verdict before they ask again: through the client of
  :mod:`services.client`, which sends together what the callers of one process ask; and without it, each in a call of
  its own with one proof or several. Then single proofs at half of the rate that was reached, evenly in time, with their
  99th percentile, both ways.
- ``submit``: records of 4 fields under a key of 3072 bits, proofs made before; one record a call by 128 callers, then
  over streams, then the time that three trustees on the same cores need to verify and keep them all.

Where other work shares the machine, compare the processor times printed beside the rates.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio

from benchmarks.service_network import ENTERPRISES, SCHEMA, Child, NetworkProcess, dataset, record
from circuits import filing
from circuits.record import Opening
from services.api.zkshare.v1 import submission_pb2, submission_pb2_grpc
from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.client import VerificationClient
from services.identity import Identity, Role
from services.network import OPERATOR
from services.server import Address, channel
from zkcore import babyjubjub
from zkcore.bn254 import R
from zkcore.cpu import BACKEND
from zkcore.groth16 import prove
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
    print(f"{what:<72}{value:>12,.2f} {unit:<9}{ratio}  {more}", flush=True)


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
    """Seconds that each call took, of calls begun evenly in time whatever became of those before, sorted.

    Counted from when a call was due: what the load's own process is late by is in it.
    """
    times: list[float] = []

    async def one(call: Callable[[], Awaitable[None]], due: float) -> None:
        await call()
        times.append(time.monotonic() - due)

    start, running = time.monotonic(), set()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        task = asyncio.create_task(one(calls[number % len(calls)], due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return sorted(times)


def kernel_rate(prepared: Any, items: list[Any]) -> tuple[float, float]:
    """Best of five: proofs a second on all cores, and the processor time of one in seconds."""
    best, cpu = 0.0, 0.0
    for _ in range(5):
        start, before = time.perf_counter(), own_cpu()
        assert prepared.verify_batch(items, CORES) == []
        rate = len(items) / (time.perf_counter() - start)
        if rate > best:
            best, cpu = rate, (own_cpu() - before) / len(items)
    return best, cpu


async def verify(directory: Path, network: Child, node: Address, quick: bool) -> None:
    seconds = 2.0 if quick else 6.0
    encoded, made, prepared = proofs()
    items = [(proof, b"".join(public)) for proof, public in made]  # as they come, to kernel and client alike
    many = [items[n % DISTINCT] for n in range(4096)]
    assert prepared.verify_batch(many, CORES) == []
    best, cpu = kernel_rate(prepared, many)
    show("kernel, batches of 4096", best, "proofs/s", more=f"{cpu * 1e6:.0f} us of processor a proof")
    gc.collect()
    gc.freeze()  # the circuits and keys of this process, which a caller does not have
    client = VerificationClient(node, Identity.load(directory / "identities" / "bank"), OPERATOR)
    await client.start()
    async with channels(directory, "bank", node, CHANNELS) as there:
        stubs = [rpc.VerificationServiceStub(each) for each in there]
        wire = [pb.ProofItem(proof=proof, public_inputs=public) for proof, public in made]
        false = pb.ProofItem(proof=made[0][0], public_inputs=made[1][1])
        assert not (await stubs[0].Verify(pb.VerifyRequest(verifying_key=encoded, item=false))).valid
        assert not await client.verify(prepared.key, items[0][0], items[1][1])

        def gathered(number: int) -> Callable[[], Awaitable[None]]:
            proof, public = items[number % DISTINCT]

            async def call() -> None:
                assert await client.verify(prepared.key, proof, public)

            return call

        def single(number: int) -> Callable[[], Awaitable[None]]:
            request = pb.VerifyRequest(verifying_key=encoded, item=wire[number % DISTINCT])

            async def call() -> None:
                assert (await stubs[number % CHANNELS].Verify(request)).valid

            return call

        def several(size: int, number: int) -> Callable[[], Awaitable[None]]:
            request = pb.VerifyBatchRequest(
                verifying_key=encoded, items=[wire[(number + n) % DISTINCT] for n in range(size)]
            )

            async def call() -> None:
                assert not (await stubs[number % CHANNELS].VerifyBatch(request)).invalid

            return call

        async def served(what: str, call: Callable[[int], Callable[[], Awaitable[None]]], size: int = 1) -> float:
            callers = [call(number) for number in range(CALLERS)]
            await closed_loop(callers, 0.5)
            before, mine = (await network.call("usage"))["cpu"], own_cpu()
            rate = size * await closed_loop(callers, seconds)
            theirs, mine = (await network.call("usage"))["cpu"] - before, own_cpu() - mine
            theirs, mine = theirs / rate / seconds, mine / rate / seconds
            cost = f"services {1e6 * theirs:.0f} us, load {1e6 * mine:.0f} us a proof"
            show(f"served, {CALLERS} callers, {what}", rate, "proofs/s", more=cost)
            ratio = f"{cpu / (theirs + mine):.2f} by processor time"
            show("  by the kernel's rate", rate / best, "", 0.5, more=ratio)
            return rate

        rates = await served("through the client", gathered), await served("one proof a call", single)
        for size in (16, 64):
            await served(f"{size} proofs a call", partial(several, size), size)
        for what, call, rate in zip(
            ("through the client", "in a call of its own"), (gathered, single), rates, strict=True
        ):
            times = await open_loop([call(number) for number in range(CALLERS)], rate / 2, seconds)
            show(f"a single proof {what} at half of that load, median", 1000 * times[len(times) // 2], "ms")
            percentile = 1000 * times[len(times) * 99 // 100]
            show(f"a single proof {what} at half of that load, 99th percentile", percentile, "ms", 50, at_least=False)
        again, used = kernel_rate(prepared, many)
        show("kernel again, afterwards", again, "proofs/s", more=f"{used * 1e6:.0f} us of processor a proof")
    await client.stop()


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


async def run(what: list[str], quick: bool) -> None:
    print(platform.machine(), platform.python_version(), BACKEND, f"{CORES} cores", "grpcio", grpc.__version__)
    for each in what:
        with tempfile.TemporaryDirectory(prefix="zkshare-benchmark-") as name:
            directory = Path(name)
            network = Child(NetworkProcess, directory)
            try:
                node = await network.ready()
                await {"verify": verify, "submit": submit}[each](directory, network, node, quick)
            finally:
                network.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["verify", "submit"], default=[])
    parser.add_argument("--quick", action="store_true", help="fewer records and shorter runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.what or ["verify", "submit"], arguments.quick))
    if arguments.json:
        arguments.json.write_text(json.dumps(SHOWN), encoding="utf-8")


if __name__ == "__main__":
    main()
