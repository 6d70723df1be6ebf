"""The peers: who they are, whether they are here, and adapters that bring them to our cases.

One module a peer. A peer that is missing, or was not asked for, is a gap with its reason.
"""

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.case import Contender, Gap, Options

EXTRA = "pip install 'zkshare[bench]'"


@dataclass(frozen=True)
class Peer:
    """A project that does the same.

    Attributes
    ----------
    name
        Of the distribution, or of the program.
    module
        What is imported, None for a program.
    what
        What it is built on.
    parameters
        With which parameters it takes part.
    security
        The level that its authors or the usual estimate claim for these.
    """

    name: str
    module: str | None
    what: str
    parameters: str
    security: str


_BN254 = "about 100 bits (Kim and Barbulescu 2016; Barbulescu and Duquesne 2019)"
_PAILLIER = "112 bits at 2048, 128 bits at 3072 (NIST SP 800-57, factoring)"
_SHORT = "short exponents of a random element's power (Damgard, Jurik and Nielsen 2010)"

PEERS = {
    peer.name: peer
    for peer in (
        Peer("py-ecc", "py_ecc", "Python integers", "BN254, optimized_bn128", _BN254),
        Peer("groth16py", "groth16py", "arkworks (Rust)", "BN254, one thread", _BN254),
        Peer("zksnake", "zksnake", "arkworks (Rust)", "BN254, one thread", _BN254),
        Peer("pyrevm", "pyrevm", "revm (Rust)", "precompiled contracts of EIP-196 and EIP-197", _BN254),
        Peer("snarkjs", None, "WebAssembly in Node.js", "BN254, whole process, its own threads on one core", _BN254),
        Peer("rapidsnark", None, "C++ and assembly", "BN254, whole process", _BN254),
        Peer("phe", "phe", "Python on GMP", "g = N + 1, randomness of the modulus' length", _PAILLIER),
        Peer("gmpy2", "gmpy2", "GMP from Python", "textbook operations, short randomness as ours", _PAILLIER),
        Peer("sf-heu", "heu", "C++ (SecretFlow's ZPaillier)", f"half the modulus' length, {_SHORT}", _PAILLIER),
        Peer("pypaillier", "paillier", "Rust on GMP", f"safe primes, {_SHORT}", _PAILLIER),
        Peer("lightphe", "lightphe", "Python integers", "g = N + 1, randomness of the modulus' length", _PAILLIER),
    )
}


def missing(name: str, options: Options) -> str | None:
    """Why a peer can't take part, None if it can."""
    peer = PEERS[name]
    if options.peers is not None and name not in options.peers:
        return "left out by request"
    if peer.module is None:
        return None if program(name) else f"no program {name} on the PATH"
    if importlib.util.find_spec(peer.module) is None:
        return f"not installed ({EXTRA})"
    return None


def program(name: str) -> str | None:
    """The path of a peer's program."""
    return shutil.which(name)


def invite(name: str, options: Options, adapter: Callable[[], Contender]) -> Contender | Gap:
    """A peer's contender, or the gap where it would be: missing, or its adapter can't be made."""
    reason = missing(name, options)
    if reason is not None:
        return Gap(name, reason)
    try:
        return adapter()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a peer raises while it gets ready is its gap, not our end
        return Gap(name, f"{type(error).__name__}: {error}"[:300])


def describe(options: Options) -> dict[str, Any]:
    """What the record says of every peer."""
    found = {}
    for name, peer in PEERS.items():
        reason = missing(name, options)
        version = None
        if reason is None:
            version = importlib.metadata.version(name) if peer.module else _program_version(name)
        found[name] = {
            "version": version,
            "missing": reason,
            "built_on": peer.what,
            "parameters": peer.parameters,
            "security": peer.security,
        }
    return found


def _program_version(name: str) -> str:
    from benchmarks.process import run

    if name != "snarkjs":
        return "unknown"
    first = run([str(program(name)), "--version"], check=False).output.split()
    return first[0].removeprefix("snarkjs@") if first else "unknown"
