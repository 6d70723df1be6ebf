"""Proofs about ciphertexts: made, checked alone, checked in batches; a bad one in a batch is named in the same run."""

import secrets
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from benchmarks.case import BEST, OURS, PORTABLE, Case, Contender, Options, Trial

BATCHES = (1, 10, 100, 1000, 4000)
FIELDS = 4
DISTINCT = 20
KINDS = ("knowledge of plaintext", "range, 64 bits", "key well-formedness")


def cases(options: Options) -> Iterator[Case]:
    """Links of 4 values at 3072 bits, as a filing has them, first."""
    for backend in (BEST, PORTABLE):
        yield Case(
            "proofs",
            "link made, checked alone",
            {"bits": 3072},
            _link,
            backend=backend,
            seconds=6,
            quick=backend == BEST,
        )
    for count in BATCHES:
        yield Case(
            "proofs",
            "link checked in a batch",
            {"bits": 3072, "proofs": count},
            partial(_batch, count),
            grows="proofs",
            seconds=2,
            quick=count <= 1000,
        )
    yield Case("proofs", "link, one bad in 1,000", {"bits": 3072, "proofs": 1000}, _spoilt, seconds=3)
    yield Case("proofs", "link, bytes", {"bits": 3072}, _bytes, unit="B", seconds=1)
    for kind in KINDS:
        yield Case("proofs", kind, {"bits": 3072}, partial(_other, kind), seconds=4, quick=kind == KINDS[0])


@cache
def _keys() -> tuple[Any, Any]:
    from homomorphic.paillier import generate_keypair

    return generate_keypair(3072)


@cache
def _items() -> list[tuple[Any, Any, Callable[[], Any]]]:
    """Statements with their proofs, and how each is made."""
    from homomorphic.packing import Packing
    from homomorphic.proofs import link
    from zkcore import babyjubjub, pedersen

    key, _ = _keys()
    made: list[tuple[Any, Any, Callable[[], Any]]] = []
    for _ in range(DISTINCT):
        values = [secrets.randbits(64) for _ in range(FIELDS)]
        blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
        ciphertext, rho = key.encrypt(Packing(FIELDS).pack(values))
        commitments = tuple(pedersen.commit(x, s) for x, s in zip(values, blindings, strict=True))
        statement = link.Statement(key, ciphertext, commitments, b"benchmark")
        make = partial(link.prove, statement, values, rho, blindings)
        made.append((statement, make(), make))
    return made


def _many(count: int) -> list[tuple[Any, Any]]:
    items = [(statement, proof) for statement, proof, _ in _items()]
    return (items * (count // DISTINCT + 1))[:count]


def _link() -> Trial:
    from homomorphic.proofs import link

    statement, proof, make = _items()[0]
    return Trial(
        [
            Contender(f"{OURS}, made", make, lambda made: link.verify(statement, made)),
            Contender(f"{OURS}, checked", lambda: link.verify(statement, proof)),
        ],
        True,
    )


def _batch(count: int) -> Trial:
    from homomorphic.proofs import link

    items = _many(count)
    return Trial([Contender(OURS, lambda: link.verify_batch(items), count=count)], [])


def _spoilt() -> Trial:
    from homomorphic.proofs import link

    clean = _many(1000)
    spoilt = [*clean[:700], (clean[1][0], clean[2][1]), *clean[701:]]
    return Trial(
        [
            Contender(f"{OURS}, one bad", lambda: link.verify_batch(spoilt), lambda bad: bad == [700], 1000),
            Contender(f"{OURS}, clean", lambda: link.verify_batch(clean), lambda bad: bad == [], 1000),
        ],
        True,
    )


def _bytes() -> Trial:
    from homomorphic.proofs import link

    proof = _items()[0][1]
    return Trial(
        [
            Contender(
                OURS,
                proof.to_bytes,
                lambda data: link.LinkProof.from_bytes(data) == proof,
                1,
                lambda data: float(len(data)),
            )
        ],
        True,
    )


def _other(kind: str) -> Trial:
    from homomorphic.packing import Packing
    from homomorphic.proofs import key as key_proofs
    from homomorphic.proofs import plaintext
    from homomorphic.proofs import range as ranges

    key, private_key = _keys()
    values = [secrets.randbits(64) for _ in range(FIELDS)]
    packed = Packing(FIELDS).pack(values)
    ciphertext, rho = key.encrypt(packed)
    make: Callable[[], Any]
    check: Callable[[Any], bool]
    if kind == KINDS[0]:
        known = plaintext.Statement(key, ciphertext, b"benchmark")
        make, check = partial(plaintext.prove, known, packed, rho), partial(plaintext.verify, known)
    elif kind == KINDS[1]:
        ranged = ranges.Statement(key, ciphertext, FIELDS, 64, b"benchmark")
        make, check = partial(ranges.prove, ranged, values, rho), partial(ranges.verify, ranged)
    else:
        formed = key_proofs.Statement(key, b"benchmark")
        make, check = partial(key_proofs.prove, formed, private_key), partial(key_proofs.verify, formed)
    proof = make()
    return Trial(
        [Contender(f"{OURS}, made", make, check), Contender(f"{OURS}, checked", lambda: check(proof))],
        True,
    )
