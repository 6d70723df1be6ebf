"""Groth16 verification of many proofs at once: from 1 to 4,096, with a bad one among them, threads, memory."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.case import BEST, OURS, PORTABLE, Case, Contender, Gap, Limit, Options, Trial
from benchmarks.peers import invite
from benchmarks.suites.field import FP_STREAM, LANES_STREAM

SIZES = (1, 8, 64, 256, 1024, 4096)
# Products in Fp of a proof in a large batch, as in benchmarks.suites.pairing: its loop with an eighth of the squares,
# and two points of G1 times weights of 32 digits modulo 4: doubling 8, one of them shared, addition 12, three points
# made affine after two multiples of either (20 and 25 of them), two inversions for eight.
PRODUCTS = 64 * (36 / 8 + 25 + 39) + 24 * (37 + 39) + 64 * 8 * (1 + 1 / 8) + 2 * 32 * 12 + 2 * 20 + 25 + 2 * 380 / 8
QUICK = (1, 8, 64, 256, 1024)


def cases(options: Options) -> Iterator[Case]:
    """Batches of proofs with 3 public inputs."""
    for size in SIZES:
        for backend in (BEST, PORTABLE):
            yield Case(
                "batch",
                "a proof in a batch",
                {"proofs": size},
                partial(_batch, options, size),
                backend=backend,
                grows="proofs",
                seconds=3 + size / 1000,
                quick=size in QUICK and backend == BEST,
            )
    yield Case("batch", "one bad in 1,024", {"proofs": 1024}, _spoilt, seconds=4)
    yield Case("batch", "threads", {"proofs": 4096}, _threads, clock="wall", cores=2, seconds=5)
    yield Case("batch", "peak memory of the process", {"proofs": 4096}, _memory, unit="B", seconds=8)


def _batch(options: Options, size: int) -> Trial:
    """Every batch names the items that do not hold; one at an end does not, except in a batch of one."""
    from benchmarks.material import proofs
    from zkcore.cpu import BACKEND

    made = proofs(3)
    items = made.repeated(size)
    some = [(proof.to_bytes(), public) for proof, public in items[:16]]

    def peer() -> Contender:
        from benchmarks.peers import groth16py

        verify = groth16py.verifier(made.key, some)
        return Contender("groth16py", verify, lambda out: [i for i, valid in enumerate(out) if not valid], len(some))

    return Trial(
        [Contender(OURS, lambda: made.prepared.verify_batch(items), count=size), invite("groth16py", options, peer)],
        [],
        Limit(
            LANES_STREAM if BACKEND == "avx512ifma" else FP_STREAM,
            PRODUCTS,
            "a proof's Miller loop with an eighth of the squares, two weighted points",
        )
        if size >= 64
        else None,
    )


def _spoilt() -> Trial:
    """A batch with one bad proof, which is named, and the clean batch, in turns."""
    from benchmarks.material import proofs

    made = proofs(3)
    clean = made.repeated(1024)
    spoilt = [*clean[:700], (clean[1][0], clean[2][1]), *clean[701:]]
    verify = made.prepared.verify_batch
    return Trial(
        [
            Contender(f"{OURS}, one bad", lambda: verify(spoilt), lambda bad: bad == [700], 1024),
            Contender(f"{OURS}, clean", lambda: verify(clean), lambda bad: bad == [], 1024),
        ],
        True,
    )


def _threads() -> Trial:
    import os

    from benchmarks.material import proofs

    made = proofs(3)
    items = made.repeated(4096)

    def with_threads(threads: int) -> Contender | Gap:
        name = f"{OURS}, {threads} thread{'s' if threads > 1 else ''}"
        if (os.cpu_count() or 1) < threads:
            return Gap(name, "the machine has fewer cores")
        return Contender(name, lambda: made.prepared.verify_batch(items, threads), count=len(items))

    return Trial([with_threads(1), with_threads(2)], [])


def _memory() -> Trial:
    from benchmarks.material import folder, proofs
    from benchmarks.process import program, run
    from benchmarks.programs import write_items

    made = proofs(3)
    file = write_items(folder("batch") / "items.json", made.key, made.items)

    def outside() -> Any:
        return run(program("batch", str(file), "4096", "1"))

    return Trial([Contender(OURS, outside, lambda used: used.status, 1, lambda used: used.peak)], 0)
