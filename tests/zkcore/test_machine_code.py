"""Machine code without Numba: found again, bound to its sources, and compiled again rather than run when damaged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zkcore import machine_code

VECTORS = Path(__file__).parent.parent / "vectors" / "snarkjs"
PROGRAM = """
import sys
from pathlib import Path
from zkcore.formats import json_text, snarkjs
from zkcore.groth16.keys import Proof
from zkcore.groth16.once import verify_once
folder = Path(sys.argv[1])
key, public, proof = (
    json_text.loads((folder / f"{name}.json").read_bytes(), name) for name in ("verification_key", "public", "proof")
)
arguments = snarkjs.read_verifying_key(key), Proof.from_snarkjs(proof), snarkjs.public_from_json(public)
print(verify_once(*arguments), "numba" in sys.modules)
"""


def run(cache: Path, folder: Path = VECTORS, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which one process has left the machine code."""
    folder = tmp_path_factory.mktemp("cache")
    assert run(folder) == "True True"
    return folder


def kept(cache: Path) -> list[Path]:
    return list(cache.rglob("*.o"))


def test_the_next_process_does_without_numba(cache: Path, tmp_path: Path) -> None:
    assert run(cache) == "True False"
    for name in ("verification_key", "proof"):
        (tmp_path / f"{name}.json").write_bytes((VECTORS / f"{name}.json").read_bytes())
    public = json.loads((VECTORS / "public.json").read_text())
    (tmp_path / "public.json").write_text(json.dumps([str(int(public[0]) + 1), *public[1:]]))
    assert run(cache, tmp_path) == "False False"


def test_damaged_machine_code_is_compiled_again(cache: Path) -> None:
    (file,) = kept(cache)
    content = file.read_bytes()
    for damaged in (content[:-1], content[:40] + bytes([content[40] ^ 1]) + content[41:], b""):
        file.write_bytes(damaged)
        assert run(cache) == "True True"
        assert run(cache) == "True False"


def test_code_of_another_processor_is_not_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code.binding, "get_host_cpu_name", lambda: "another")
    assert machine_code.file_name("verify_single") not in {file.name for file in kept(cache)}


def test_it_works_without_a_cache(tmp_path: Path) -> None:
    refused = tmp_path / "file"
    refused.write_text("no folder")
    assert run(refused) == "True True"
