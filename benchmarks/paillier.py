"""Paillier beside its peers: microseconds an operation, and the ratio to the fastest peer, in one run.

    pip install '.[bench]' sf-heu        # peers that are not installed are left out
    python -m benchmarks.paillier --bits 2048 3072 --rows 4096

Every figure is the best of several runs by processor time of this process on one thread. Peers: SecretFlow's ZPaillier
(sf-heu; Damgard-Jurik-Nielsen encryption with tables, as here) and phe on gmpy2 (plain Paillier). Modulus and, for
ZPaillier, length of the randomness are equal. Keys are made afresh; plaintexts are 1 ... rows, factors have 32 bits.
"""

import argparse
import importlib.metadata
import platform
import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from homomorphic.column import CiphertextColumn
from homomorphic.packing import Packing
from homomorphic.paillier import generate_keypair
from homomorphic.proofs import link
from homomorphic.threshold import deal
from zkcore import babyjubjub, pedersen
from zkcore.cpu import BACKEND

Figures = dict[str, float]


def microseconds(operation: Callable[[], Any], rows: int, runs: int = 5) -> float:
    """Best processor time of an operation on ``rows`` rows, a row."""
    best = float("inf")
    for _ in range(runs):
        start = time.process_time()
        operation()
        best = min(best, time.process_time() - start)
    return best / rows * 1e6


def ours(bits: int, rows: int) -> Figures:
    public_key, private_key = generate_keypair(bits)
    values = np.arange(1, rows + 1)
    factors = [secrets.randbits(31) | 1 << 31 for _ in range(rows)]
    column = CiphertextColumn.encrypt(public_key, values)
    data = column.to_bytes()
    return {
        "encrypt": microseconds(lambda: CiphertextColumn.encrypt(public_key, values), rows, 3),
        "add": microseconds(lambda: column + column, rows),
        "sum, a term": microseconds(column.sum, rows),
        "times 32 bits": microseconds(lambda: column * factors, rows, 3),
        "decrypt": microseconds(lambda: column.decrypt(private_key), rows, 3),
        "to bytes": microseconds(column.to_bytes, rows),
        "from bytes, checked": microseconds(lambda: CiphertextColumn.from_bytes(public_key, data), rows),
    }


def zpaillier(bits: int, rows: int) -> Figures:
    from heu import numpy as hnp  # type: ignore[import-not-found]
    from heu import phe

    kit = hnp.setup(phe.SchemaType.ZPaillier, bits)
    encryptor, evaluator, decryptor = kit.encryptor(), kit.evaluator(), kit.decryptor()
    encoder = phe.BigintEncoderParams()
    values = kit.array(np.arange(1, rows + 1), encoder)
    factors = kit.array(np.random.default_rng(1).integers(1 << 31, 1 << 32, rows), encoder)
    column = encryptor.encrypt(values)
    return {
        "encrypt": microseconds(lambda: encryptor.encrypt(values), rows, 3),
        "add": microseconds(lambda: evaluator.add(column, column), rows),
        "sum, a term": microseconds(lambda: evaluator.sum(column), rows),
        "times 32 bits": microseconds(lambda: evaluator.mul(column, factors), rows, 3),
        "decrypt": microseconds(lambda: decryptor.decrypt(column), rows, 3),
    }


def phe(bits: int, rows: int) -> Figures:
    from phe import paillier

    rows = min(rows, 32)
    public_key, private_key = paillier.generate_paillier_keypair(n_length=bits)
    column = [public_key.encrypt(value) for value in range(1, rows + 1)]
    factors = [secrets.randbits(31) | 1 << 31 for _ in range(rows)]
    return {
        "encrypt": microseconds(lambda: [public_key.encrypt(value) for value in range(rows)], rows, 2),
        "add": microseconds(lambda: [a + a for a in column], rows),
        "sum, a term": microseconds(lambda: sum(column[1:], column[0]), rows),
        "times 32 bits": microseconds(lambda: [a * f for a, f in zip(column, factors, strict=True)], rows, 2),
        "decrypt": microseconds(lambda: [private_key.decrypt(a) for a in column], rows, 2),
    }


def link_proofs(bits: int, count: int, fields: int = 4) -> Figures:
    public_key, _ = generate_keypair(bits)
    items = []
    made = 0.0
    for _ in range(20):
        values = [secrets.randbits(64) for _ in range(fields)]
        blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
        ciphertext, rho = public_key.encrypt(Packing(fields).pack(values))
        commitments = tuple(pedersen.commit(x, s) for x, s in zip(values, blindings, strict=True))
        statement = link.Statement(public_key, ciphertext, commitments, b"benchmark")
        start = time.process_time()
        proof = link.prove(statement, values, rho, blindings)
        made += time.process_time() - start
        items.append((statement, proof))
    many = (items * (count // len(items) + 1))[:count]
    return {
        f"link proof of {fields} values, made": made / len(items) * 1e6,
        "the same, checked alone": microseconds(lambda: link.verify(*items[0]), 1),
        f"the same, checked in a batch of {count}": microseconds(lambda: link.verify_batch(many), count, 3),
    }


def committee(bits: int) -> Figures:
    start = time.process_time()
    key, shares = deal(bits, parties=3, threshold=2)
    dealt = time.process_time() - start
    items = [(key.public_key.encrypt(i)[0], b"benchmark") for i in range(16)]
    partials = [share.partial_decrypt_batch(items) for share in shares[:2]]
    pair = [answers[0] for answers in partials]
    return {
        "threshold key dealt, 2 of 3": dealt * 1e6,
        "partial decryption with proof, one": microseconds(lambda: shares[0].partial_decrypt(*items[0]), 1, 3),
        "the same, a batch of 16": microseconds(lambda: shares[0].partial_decrypt_batch(items), 16, 2),
        "two checked and combined": microseconds(lambda: key.combine(items[0][0], pair, b"benchmark"), 1, 3),
    }


def _show(name: str, figures: Figures, peers: dict[str, Figures]) -> None:
    for operation, figure in figures.items():
        others = [f"{peer} {theirs[operation]:>11,.2f}" for peer, theirs in peers.items() if operation in theirs]
        best = min((theirs[operation] for theirs in peers.values() if operation in theirs), default=None)
        ratio = f"  ratio {figure / best:.3f}" if best else ""
        print(f"{name:>5} {operation:<44} {figure:>13,.2f} us  {'  '.join(others)}{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="+", default=[2048, 3072])
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--proofs", type=int, default=1000)
    arguments = parser.parse_args()
    versions = {}
    for name in ("numba", "gmpy2", "sf-heu", "phe"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is not installed: left out")
    print(platform.machine(), platform.python_version(), BACKEND, versions)
    for bits in arguments.bits:
        peers = {}
        if "sf-heu" in versions:
            peers["ZPaillier"] = zpaillier(bits, arguments.rows)
        if "phe" in versions:
            peers["phe"] = phe(bits, arguments.rows)
        ours(bits, 8)  # compile
        _show(str(bits), ours(bits, arguments.rows), peers)
        _show(str(bits), link_proofs(bits, arguments.proofs), {})
        _show(str(bits), committee(bits), {})


if __name__ == "__main__":
    main()
