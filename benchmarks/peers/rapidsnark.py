"""rapidsnark's prover, as its users run it; its arguments are those of snarkjs without the command's name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.case import Contender
from benchmarks.peers import snarkjs
from benchmarks.process import Usage


def prover(files: Mapping[str, Path], reading: Callable[[Usage], float]) -> Contender:
    """A proof from ``zkey`` and ``wtns`` files."""
    return snarkjs.prover(files, reading, "rapidsnark")
