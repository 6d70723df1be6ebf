"""snarkjs, as its users run it: a Node.js process for each proof."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.case import Contender
from benchmarks.peers import program
from benchmarks.process import Usage, run


def prover(files: Mapping[str, Path], reading: Callable[[Usage], float], name: str = "snarkjs") -> Contender:
    """A proof from ``zkey`` and ``wtns`` files, verified by ours with the key that is in the file."""
    command = [str(program(name)), *(("groth16", "prove") if name == "snarkjs" else ())]
    proof, public = (files["zkey"].with_name(f"{name}.{part}.json") for part in ("proof", "public"))
    arguments = [str(path) for path in (files["zkey"], files["wtns"], proof, public)]
    return Contender(name, lambda: run([*command, *arguments]), lambda used: _holds(files, proof, public), 1, reading)


def _holds(files: Mapping[str, Path], proof: Path, public: Path) -> bool:
    from zkcore.formats import snarkjs, zkey
    from zkcore.groth16 import Proof

    def read(path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    key = zkey.read(files["zkey"].read_bytes()).prepared_verifying_key
    return key.verify(Proof.from_snarkjs(read(proof)), snarkjs.public_from_json(read(public)))
