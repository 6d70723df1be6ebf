"""The figures that the project holds itself to: what must be reached, what is aimed at, and what a run measured."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import measure, statistics
from benchmarks.case import OURS
from benchmarks.record import Record
from benchmarks.statistics import Ratio

Measured = Callable[[Record], Ratio | None]


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    area, what
        Its place and its meaning.
    must, aim
        Bounds in the figure's unit.
    measured
        Takes it out of a record, None if the record lacks it.
    larger
        Whether more is better.
    unit
        Empty for a ratio.
    """

    area: str
    what: str
    must: float
    aim: float
    measured: Measured
    larger: bool = False
    unit: str = ""

    def verdict(self, found: Ratio | None) -> str:
        """``not measured``, ``aim reached``, ``reached``, ``missed``."""
        if found is None:
            return "not measured"

        def within(bound: float) -> bool:
            return found.value >= bound if self.larger else found.value <= bound

        return "aim reached" if within(self.aim) else "reached" if within(self.must) else "missed"


def samples(record: Record, identity: str, contender: str) -> list[float] | None:
    """The samples of a contender of a case, None if there are none."""
    result = record.results.get(identity)
    found = result.find(contender) if result else None
    if result is None or found is None or found.status != measure.MEASURED:
        return None
    return list(measure.figures(found, result.clock))


def quotient(of: tuple[str, str], to: tuple[str, str], scale: float = 1.0) -> Measured:
    """One contender's median over another's, each given by case and name."""

    def find(record: Record) -> Ratio | None:
        above, below = samples(record, *of), samples(record, *to)
        if not above or not below:
            return None
        ratio = statistics.ratio(above, below)
        return Ratio(scale * ratio.value, scale * ratio.low, scale * ratio.high)

    return find


def to_peer(identity: str, peer: str) -> Measured:
    """Ours over a peer's in one case."""
    return quotient((identity, OURS), (identity, peer))


def absolute(identity: str, factor: float = 1.0, inverse: bool = False, contender: str = OURS) -> Measured:
    """Our own median times a factor, or a factor over it."""

    def find(record: Record) -> Ratio | None:
        found = samples(record, identity, contender)
        if not found:
            return None
        summary = statistics.summary(found)
        values = [factor / x if inverse else factor * x for x in (summary.median, summary.low, summary.high)]
        return Ratio(values[0], min(values), max(values))

    return find


def total(identity: str, beginning: str) -> Measured:
    """The sum of the medians of our steps whose names begin alike, each measured once."""

    def find(record: Record) -> Ratio | None:
        result = record.results.get(identity)
        names = [each.name for each in result.contenders if each.name.startswith(beginning)] if result else []
        steps = [samples(record, identity, name) for name in names]
        if not steps or not all(steps):
            return None
        value = sum(statistics.summary(found).median for found in steps if found)
        return Ratio(value, value, value)

    return find


def _paillier(operation: str, bits: int, rows: int = 4096) -> str:
    return f"paillier/{operation}(bits={bits},rows={rows})"


def first_of(*ways: Measured) -> Measured:
    """The first that the record has."""

    def find(record: Record) -> Ratio | None:
        return next((found for way in ways if (found := way(record)) is not None), None)

    return find


_VERIFY, _PROVE = "Groth16 verification", "Groth16 prover and setup"
_ONE = "verify/one proof(inputs=3)"
_MANY = "batch/a proof in a batch(proofs=1024)"
_SPOILT = "batch/one bad in 1,024(proofs=1024)"
_BATCH_THREADS, _PROVE_THREADS = "batch/threads(proofs=4096)", "prove/threads(constraints=65536)"
_MEGA, _GIGA = 1e-6, 1e-9

_SERVED, _SINGLE = "services/proofs verified(callers=256)", "services/single proof at half load"
_ACCEPTED = "services/records of 4 fields accepted"
_LOG, _LOG_MEMORY = "aggregate/records, steps(records=100000)", "aggregate/memory(records=100000)"


def _proof(bits: int) -> str:
    return f"prove/proof(constraints={1 << bits})"


FIGURES = (
    Figure(_VERIFY, "verify / groth16py's verify", 0.42, 0.30, to_peer(_ONE, "groth16py")),
    Figure(_VERIFY, "the same, portable back end", 0.80, 0.45, to_peer(f"{_ONE} [portable]", "groth16py")),
    Figure(_VERIFY, "batch of 1,024, a proof / groth16py's verify", 0.05, 0.025, to_peer(_MANY, "groth16py")),
    Figure(
        _VERIFY,
        "batch of 1,024 with one bad / clean",
        2.5,
        1.5,
        quotient((_SPOILT, f"{OURS}, one bad"), (_SPOILT, f"{OURS}, clean")),
    ),
    Figure(
        _VERIFY,
        "two threads / one, batch of 4,096, rate",
        1.8,
        1.95,
        quotient((_BATCH_THREADS, f"{OURS}, 1 thread"), (_BATCH_THREADS, f"{OURS}, 2 threads")),
        larger=True,
    ),
    Figure(
        _VERIFY,
        "first verification ever, nothing compiled",
        25,
        10,
        absolute("verify/first verification, nothing compiled(inputs=3)"),
        unit="s",
    ),
    Figure(
        _VERIFY,
        "warm `zkshare proof verify`, whole process / snarkjs's",
        1.0,
        0.7,
        to_peer("verify/whole process, warm(inputs=3)", "snarkjs"),
    ),
    Figure(
        _VERIFY,
        "peak memory of a process with a batch of 4,096",
        400,
        250,
        absolute("batch/peak memory of the process(proofs=4096)", _MEGA),
        unit="MB",
    ),
    Figure(_PROVE, "prove 2^13 constraints / groth16py", 0.35, 0.20, to_peer(_proof(13), "groth16py")),
    Figure(_PROVE, "prove 2^16 constraints / groth16py", 0.35, 0.20, to_peer(_proof(16), "groth16py")),
    Figure(
        _PROVE,
        "prove 2^16 constraints, portable / groth16py (2^13 in the quick set)",
        1.0,
        0.7,
        first_of(to_peer(f"{_proof(16)} [portable]", "groth16py"), to_peer(f"{_proof(13)} [portable]", "groth16py")),
    ),
    Figure(
        _PROVE,
        "setup of 2^13 constraints / groth16py's",
        0.6,
        0.3,
        to_peer(f"prove/setup(constraints={1 << 13})", "groth16py"),
    ),
    Figure(
        _PROVE,
        "G1 sum of 2^16 terms / zksnake's",
        0.30,
        0.15,
        to_peer(f"prove/G1 sum of scalar multiples(terms={1 << 16})", "zksnake"),
    ),
    Figure(
        _PROVE,
        "two cores / one, 2^16 constraints, rate",
        1.7,
        1.9,
        quotient((_PROVE_THREADS, f"{OURS}, 1 thread"), (_PROVE_THREADS, f"{OURS}, 2 threads")),
        larger=True,
    ),
    Figure(
        _PROVE,
        "peak memory, 2^18 constraints",
        1.5,
        0.8,
        absolute(f"prove/peak memory of a process that proves(constraints={1 << 18})", _GIGA),
        unit="GB",
    ),
    Figure(_PROVE, "time from 2^16 to 2^18", 4.4, 4.1, quotient((_proof(18), OURS), (_proof(16), OURS))),
    Figure(_PROVE, "`filing` with 4 fields", 14_000, 9_000, absolute("prove/filing, 4 fields"), unit="constraints"),
    *(
        Figure("Paillier", f"encrypt, {bits} / sf-heu's", 0.16, 0.10, to_peer(_paillier("encrypt", bits), "sf-heu"))
        for bits in (2048, 3072)
    ),
    *(
        Figure(
            "Paillier", f"sum, a term, {bits} / sf-heu's", 0.18, 0.12, to_peer(_paillier("sum, a term", bits), "sf-heu")
        )
        for bits in (2048, 3072)
    ),
    *(
        Figure(
            "Paillier",
            f"times a 32-bit integer, {bits} / sf-heu's",
            0.20,
            0.12,
            to_peer(_paillier("times 32 bits", bits), "sf-heu"),
        )
        for bits in (2048, 3072)
    ),
    *(
        Figure(
            "Paillier",
            f"decrypt, {bits} / sf-heu's",
            0.17,
            0.11,
            to_peer(_paillier("decrypt", bits, 256), "sf-heu"),
        )
        for bits in (2048, 3072)
    ),
    Figure("Paillier", "encrypt, 2048 / phe's", 0.01, 0.005, to_peer(_paillier("encrypt", 2048), "phe")),
    Figure(
        "Paillier",
        "encrypt, 2048, portable / sf-heu's",
        1.2,
        1.0,
        to_peer(f"{_paillier('encrypt', 2048)} [portable]", "sf-heu"),
    ),
    Figure(
        "Paillier",
        "link proofs checked in a batch of 1,000, 4 fields, 3072 bits, a second",
        1500,
        3000,
        absolute("proofs/link checked in a batch(bits=3072,proofs=1000)", 1.0, inverse=True),
        larger=True,
    ),
    Figure(
        "Paillier",
        "sum of 1,000,000 ciphertexts (3072 bits) in an Arrow file, whole process, 2 cores",
        1.5,
        0.8,
        absolute("paillier/sum of an Arrow file, whole process(bits=3072,rows=1000000)"),
        unit="s",
    ),
    Figure(
        "Paillier",
        "memory beyond the file for that sum",
        300,
        100,
        absolute("paillier/sum of an Arrow file, peak memory beyond the file(bits=3072,rows=1000000)", _MEGA),
        unit="MB",
    ),
    Figure(
        "Services",
        "verification served, 256 callers of the client, a proof each / the kernel's batch rate, same cores",
        0.5,
        0.75,
        quotient((_SERVED, f"{OURS}, the kernel's own rate"), (_SERVED, f"{OURS}, through the client")),
        larger=True,
    ),
    Figure(
        "Services",
        "submissions accepted, one record a call, 128 callers, a second",
        150,
        400,
        absolute(_ACCEPTED, 1.0, inverse=True, contender=f"{OURS}, one record a call"),
        larger=True,
    ),
    Figure(
        "Services",
        "99th percentile of a single verification at half load",
        50,
        20,
        absolute(_SINGLE, 1e3, contender=f"{OURS}, through the client, 99th percentile"),
        unit="ms",
    ),
    Figure(
        "Services",
        "aggregate query over 100,000 stored records, 3 trustees",
        10,
        4,
        total(_LOG, f"{OURS}, first query: "),
        unit="s",
    ),
    Figure(
        "Services",
        "node's memory with 100,000 records",
        600,
        300,
        absolute(_LOG_MEMORY, _MEGA, contender=f"{OURS}, a node alone"),
        unit="MB",
    ),
    Figure(
        "Services",
        "start of a node with 100,000 records to ready",
        5,
        2,
        absolute(_LOG, contender=f"{OURS}, node starts"),
        unit="s",
    ),
)
