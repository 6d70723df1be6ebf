"""Small programs that are measured as whole processes: first use with nothing compiled, memory, times with imports.

    python -m benchmarks.programs NAME FILES...

Each takes files and exits with 0 if what it did came out right.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def items(path: Path) -> tuple[Any, list[Any]]:
    """A verifying key, and proofs with their public inputs, from a file of :func:`write_items`."""
    from zkcore.groth16 import Proof, VerifyingKey

    value = json.loads(path.read_text(encoding="utf-8"))
    proofs = [(Proof.from_bytes(bytes.fromhex(proof)), public) for proof, public in value["items"]]
    return VerifyingKey.from_bytes(bytes.fromhex(value["key"])), proofs


def write_items(path: Path, key: Any, proofs: Sequence[Any]) -> Path:
    """Write what :func:`items` reads."""
    value = {"key": key.to_bytes().hex(), "items": [(proof.to_bytes().hex(), public) for proof, public in proofs]}
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def verify(file: str) -> bool:
    """The first verification of a process: one proof with a key to prepare."""
    key, proofs = items(Path(file))
    return key.prepare().verify(*proofs[0])


def batch(file: str, size: str, threads: str) -> bool:
    """A batch of so many proofs."""
    key, proofs = items(Path(file))
    many = (proofs * (int(size) // len(proofs) + 1))[: int(size)]
    return key.prepare().verify_batch(many, int(threads)) == []


def prove(r1cs: str, wtns: str, zkey: str) -> bool:
    """One proof from circom's files."""
    from zkcore.formats import wtns as witnesses
    from zkcore.formats import zkey as keys
    from zkcore.groth16 import prove as make

    key = keys.read(Path(zkey).read_bytes())
    proof, public = make(key, witnesses.read(Path(wtns).read_bytes()))
    return key.prepared_verifying_key.verify(proof, public)


def encrypt(key: str) -> bool:
    """The first column of ciphertexts of a process."""
    from homomorphic.column import CiphertextColumn
    from homomorphic.paillier import PublicKey

    public_key = PublicKey.from_bytes(Path(key).read_bytes())
    return len(CiphertextColumn.encrypt(public_key, [1, 2, 3])) == 3


def total(key: str, column: str, threads: str, expected: str) -> bool:
    """The sum of an Arrow file of ciphertexts."""
    from homomorphic.paillier import PublicKey
    from services.columns import sum_file

    public_key = PublicKey.from_bytes(Path(key).read_bytes())
    ciphertext, _ = sum_file(public_key, Path(column), threads=int(threads))
    return ciphertext == int(Path(expected).read_text(encoding="utf-8"))


PROGRAMS: dict[str, Callable[..., bool]] = {f.__name__: f for f in (verify, batch, prove, encrypt, total)}

if __name__ == "__main__":
    sys.exit(0 if PROGRAMS[sys.argv[1]](*sys.argv[2:]) else 1)
