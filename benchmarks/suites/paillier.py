"""Paillier on columns, at equal modulus and, where the peer has short randomness, at equal length of randomness.

What is compared are decrypted plaintexts: every contender has a key of its own and must come to the plain result of the
operation, in the first rows and in the sum of all. Peers that take one ciphertext at a time, or are slow, get fewer
rows; the figure is a row's.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any

from benchmarks.case import BEST, OURS, PORTABLE, Case, Contender, Gap, Limit, Options, Trial
from benchmarks.peers import invite
from benchmarks.peers.paillier import Cipher, Ours
from benchmarks.suites.field import MEMORY, MODULO_SQUARE, SQUARE_CHAIN
from zkcore.cpu import BACKEND

BITS = (2048, 3072)
ROWS = 4096
DECRYPTED = 256
"""Rows that are decrypted."""
SLOW, SLOW_ROWS = ("encrypt", "times 32 bits", "dot product, a term"), 1024
"""Operations, and rows on which peers do them."""
CHECKED = 16
"""Rows whose plaintexts are compared one by one."""
COLUMNS = (16, 64, 256, 1024, 4096, 16384)
LONGEST, SHORT = 1 << 20, ("add", "sum, a term", "to bytes")
"""A longer column, and the operations on it that do not take minutes."""
PEERS = {"sf-heu": "sf_heu", "phe": "phe", "pypaillier": "pypaillier", "lightphe": "lightphe"}
OPERATIONS = ("encrypt", "add", "sum, a term", "times 32 bits", "dot product, a term", "decrypt", "to bytes")


def cases(options: Options) -> Iterator[Case]:
    """Every operation at every key length; growth of what has rows enough to grow."""
    for bits in BITS:
        for backend in (BEST, PORTABLE):
            for name in OPERATIONS:
                rows = DECRYPTED if name == "decrypt" else ROWS
                yield Case(
                    "paillier",
                    name,
                    {"bits": bits, "rows": rows},
                    partial(_operation, options, name, bits, rows, backend),
                    backend=backend,
                    seconds=12 if name == "encrypt" else 3,
                    quick=backend == BEST or (name == "encrypt" and bits == 2048),
                )
        yield Case(
            "paillier", "ciphertext, bytes a row", {"bits": bits}, partial(_size, options, bits), unit="B", seconds=1
        )
        yield Case("paillier", "memory a row", {"bits": bits}, partial(_memory, options, bits), unit="B", seconds=2)
    for bits in BITS:
        for name in OPERATIONS:
            columns = COLUMNS[:-1] if name == "decrypt" else COLUMNS
            for rows in (*columns, *([LONGEST] if bits == BITS[0] and name in SHORT else [])):
                yield Case(
                    "paillier",
                    f"{name}, by rows",
                    {"bits": bits, "rows": rows},
                    partial(_growth, options, name, bits, rows),
                    grows="rows",
                    seconds=3 + rows / 3000,
                    quick=(bits, name) == (2048, "sum, a term") and rows <= 16384,
                )
    for rows in (100_000, 1_000_000):
        yield Case(
            "paillier",
            "sum of an Arrow file, whole process",
            {"bits": 3072, "rows": rows},
            partial(_file, rows, "wall"),
            clock="wall",
            cores=2,
            seconds=4 + rows / 100_000,
            quick=rows == 1_000_000,
        )
        yield Case(
            "paillier",
            "sum of an Arrow file, peak memory beyond the file",
            {"bits": 3072, "rows": rows},
            partial(_file, rows, "memory"),
            unit="B",
            cores=2,
            seconds=2 + rows / 200_000,
            quick=rows == 1_000_000,
        )
    yield Case(
        "paillier", "first encryption, nothing compiled", {"bits": 3072}, partial(_start, not options.full), seconds=8
    )
    yield Case(
        "paillier", "threads", {"bits": 3072, "rows": ROWS}, _threads, clock="wall", cores=2, seconds=5, quick=False
    )


@cache
def _cipher(name: str, bits: int) -> Cipher:
    """A key, made once a process."""
    cipher: Cipher = Ours(bits) if name == OURS else import_module(f"benchmarks.peers.{PEERS[name]}").Cipher(bits)
    return cipher


def _values(rows: int) -> list[int]:
    return [1 + row % ROWS for row in range(rows)]


@cache
def _factors(rows: int) -> list[int]:
    """Factors of exactly 32 bits."""
    return [secrets.randbits(31) | 1 << 31 for _ in range(rows)]


@cache
def _column(name: str, bits: int, rows: int) -> Any:
    """Encryptions of :func:`_values`, all different up to ``ROWS``; longer ones of ours repeat them in memory."""
    if name == OURS and rows > ROWS:
        from homomorphic.column import CiphertextColumn

        whole, rest = divmod(rows, ROWS)
        parts = [_column(name, bits, ROWS)] * whole
        return CiphertextColumn.concatenate(parts + ([parts[0][:rest]] if rest else []))
    return _cipher(name, bits).encrypt(_values(rows))


def contender(cipher: Cipher, operation: str, column: Callable[[Sequence[int]], Any], rows: int) -> Contender:
    """A library's side of an operation on at most so many rows; its result is whether the plaintexts are right."""
    rows = min(rows, cipher.rows)
    values, factors = _values(rows), _factors(rows)
    given, prepared = column(values), cipher.factors(factors)
    calls: dict[str, tuple[Callable[[], Any], list[int]]] = {
        "encrypt": (lambda: cipher.encrypt(values), values),
        "add": (lambda: cipher.add(given, given), [2 * value for value in values]),
        "sum, a term": (lambda: cipher.total(given), [sum(values)]),
        "times 32 bits": (
            lambda: cipher.scale(given, prepared),
            [value * factor for value, factor in zip(values, factors, strict=True)],
        ),
        "dot product, a term": (
            lambda: cipher.dot(given, prepared),
            [sum(value * factor for value, factor in zip(values, factors, strict=True))],
        ),
    }

    def right(out: Any, expected: list[int]) -> bool:
        """The first rows one by one, all rows by their sum."""

        def plain(column: Any) -> list[int]:
            return cipher.integers(cipher.decrypt(column))

        if len(expected) == 1:
            return plain(out) == expected
        return plain(cipher.take(out, CHECKED)) == expected[:CHECKED] and plain(cipher.total(out)) == [sum(expected)]

    if operation == "decrypt":
        return Contender(cipher.name, lambda: cipher.decrypt(given), lambda out: cipher.integers(out) == values, rows)
    if operation == "to bytes":
        return Contender(cipher.name, lambda: cipher.to_bytes(given), lambda data: len(data) >= 400 * rows, rows)
    call, expected = calls[operation]
    return Contender(cipher.name, call, lambda out: right(out, expected), rows)


def _side(name: str, operation: str, bits: int, rows: int) -> Contender:
    cipher = _cipher(name, bits)
    return contender(cipher, operation, lambda values: _column(name, bits, len(values)), rows)


def _operation(options: Options, operation: str, bits: int, rows: int, backend: str) -> Trial:
    peers: list[Contender | Gap] = []
    for name in PEERS:
        slow = name in ("pypaillier", "lightphe") and bits > 2048
        if not options.full and (slow or (backend == PORTABLE and name != "sf-heu")):
            peers.append(Gap(name, "in the full set only"))
        else:
            most = SLOW_ROWS if operation in SLOW else rows
            peers.append(invite(name, options, partial(_side, name, operation, bits, min(rows, most))))
    return Trial([_side(OURS, operation, bits, rows), *peers], True, _limit(operation, bits, backend))


def _limit(operation: str, bits: int, backend: str) -> Limit | None:
    """By products that stay in the first cache; a square costs 7/10 of a product (:mod:`homomorphic.modular`)."""
    lanes = backend == BEST and BACKEND == "avx512ifma"
    kernel, square = (SQUARE_CHAIN, 0.7) if lanes else (MODULO_SQUARE, 1.0)
    if operation in ("add", "sum, a term"):
        return Limit(f"{kernel}(bits={bits})", 1, "one product modulo N^2 a row")
    if operation == "times 32 bits":
        why = "31 squares, and a product for each window of 4 bits"
        return Limit(f"{kernel}(bits={bits})", 31 * square + 8, why)
    return None


def _growth(options: Options, operation: str, bits: int, rows: int) -> Trial:
    from zkcore.lanes import LIMB_BITS

    sides: list[Contender | Gap] = [_side(OURS, operation, bits, rows)]
    # A second or two a call at most.
    most = {"sf-heu": 4096 if operation in SHORT else DECRYPTED if operation == "decrypt" else SLOW_ROWS}
    if options.full:
        most["pypaillier"] = DECRYPTED
    for name in PEERS:
        if rows <= most.get(name, 0):
            sides.append(invite(name, options, partial(_side, name, operation, bits, rows)))
        elif name in most:
            sides.append(Gap(name, f"takes part up to {most[name]} rows"))
        elif name == "pypaillier":
            sides.append(Gap(name, "in the full set only"))
        else:
            sides.append(Gap(name, "takes one ciphertext at a time"))
    limit = None
    if operation == "sum, a term":
        limit = Limit(MEMORY, bits / 4 * 64 / LIMB_BITS, "bytes of a row in its limbs, read once")
    return Trial(sides, True, limit)


def _size(options: Options, bits: int) -> Trial:
    def side(name: str) -> Contender:
        cipher = _cipher(name, bits)
        rows = min(64, cipher.rows)
        column = _column(name, bits, rows)
        return Contender(
            name, lambda: cipher.to_bytes(column), lambda data: len(data) > 0, rows, lambda data: float(len(data))
        )

    return Trial(
        [
            side(OURS),
            *(
                invite(name, options, partial(side, name))
                for name in PEERS
                if bits == 2048 or name in ("sf-heu", "phe")
            ),
        ],
        True,
    )


def _resident() -> int:
    import os
    from pathlib import Path

    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _memory(options: Options, bits: int) -> Trial:
    """Growth of the process's resident memory by columns that are kept, a row."""
    copies = 8

    def side(name: str) -> Contender:
        cipher = _cipher(name, bits)
        rows = min(1024, cipher.rows)
        column = _column(name, bits, rows)
        kept: list[Any] = []

        def grow() -> float:
            before = _resident()
            kept.append([cipher.add(column, column) for _ in range(copies)])
            return float(_resident() - before)

        return Contender(name, grow, lambda grown: grown >= 0, rows * copies, float)

    sides = ("sf-heu", "pypaillier") if bits == 2048 else ("sf-heu",)
    return Trial([side(OURS), *(invite(name, options, partial(side, name)) for name in sides)], True)


@cache
def _arrow_file(rows: int) -> tuple[str, str, str]:
    """Paths of a key, of an Arrow file of so many ciphertexts, and of what their product is."""
    import gmpy2

    from benchmarks.material import folder
    from services.columns import write_file

    cipher = _cipher(OURS, 3072)
    assert isinstance(cipher, Ours)
    here, key = folder(f"arrow{rows}"), cipher.public_key
    column = _column(OURS, 3072, ROWS)
    whole, rest = divmod(rows, ROWS)
    parts = [column] * whole + ([column[:rest]] if rest else [])
    assert write_file(here / "column.arrow", parts) == rows
    product = gmpy2.powmod(column.sum().to_ciphertexts()[0], whole, key.square)
    if rest:
        product = product * column[:rest].sum().to_ciphertexts()[0] % key.square
    (here / "key").write_bytes(key.to_bytes())
    (here / "expected").write_text(str(int(product)), encoding="utf-8")
    return str(here / "key"), str(here / "column.arrow"), str(here / "expected")


def _file(rows: int, what: str) -> Trial:
    import os

    from benchmarks.process import Usage, program, run

    key, column, expected = _arrow_file(rows)
    size = os.stat(column).st_size

    def reading(used: Usage) -> float:
        # Pages of the file are let go as they are added up; a peak below its size is then all the process's.
        beyond = used.peak - size if used.peak > size else used.peak
        return used.wall if what == "wall" else beyond

    def outside() -> Usage:
        return run(program("total", key, column, "2", expected))

    return Trial([Contender(OURS, outside, lambda used: used.status, 1, reading)], 0)


def _start(once: bool) -> Trial:
    import tempfile

    from benchmarks.material import folder
    from benchmarks.process import program, run

    cipher = _cipher(OURS, 3072)
    assert isinstance(cipher, Ours)
    path = folder("encrypt") / "key"
    path.write_bytes(cipher.public_key.to_bytes())

    def first() -> Any:
        with tempfile.TemporaryDirectory(dir=path.parent) as cache_folder:
            return run(program("encrypt", str(path)), {"NUMBA_CACHE_DIR": cache_folder})

    return Trial([Contender(OURS, first, lambda used: used.status, 1, lambda used: used.cpu)], 0, once=once)


def _threads() -> Trial:
    """Two columns encrypted one after the other and at once; kernels release the interpreter's lock."""
    from concurrent.futures import ThreadPoolExecutor

    cipher, values = _cipher(OURS, 3072), _values(ROWS)

    def one() -> Any:
        return [cipher.encrypt(values), cipher.encrypt(values)]

    def two() -> Any:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(cipher.encrypt, [values, values]))

    def right(columns: Any) -> bool:
        return all(cipher.integers(cipher.decrypt(column)) == values for column in columns)

    return Trial(
        [Contender(f"{OURS}, 1 thread", one, right, 2 * ROWS), Contender(f"{OURS}, 2 threads", two, right, 2 * ROWS)],
        True,
    )
