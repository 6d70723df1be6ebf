"""Compile the registry contract: ``python -m services.ledger.build`` writes ``registry.json`` beside its source.

Needs the Vyper compiler of the version that the source names (in the ``test`` extra). The same source and compiler give
the same bytes, so the artefact in the repository can be rebuilt and compared by anyone.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

HERE = Path(__file__).resolve().parent
SOURCE, ARTEFACT = HERE / "registry.vy", HERE / "registry.json"


def build() -> dict[str, Any]:
    """The artefact: interface, code that deploys, hash of the deployed code, and what they were made from."""
    import vyper

    source = SOURCE.read_text(encoding="utf-8")
    output = vyper.compile_code(source, output_formats=["abi", "bytecode", "bytecode_runtime", "devdoc", "userdoc"])
    return {
        "contract": "registry",
        "compiler": f"vyper {vyper.__long_version__}",
        "evm_version": "paris",
        "source_sha256": sha256(source.encode()).hexdigest(),
        "abi": output["abi"],
        "bytecode": output["bytecode"],
        "runtime_keccak256": keccak(hexstr=output["bytecode_runtime"]).hex(),
        "devdoc": output["devdoc"],
        "userdoc": output["userdoc"],
    }


def serialised(artefact: dict[str, Any]) -> str:
    """The artefact as it lies in the file."""
    return json.dumps(artefact, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    ARTEFACT.write_text(serialised(build()), encoding="utf-8")
