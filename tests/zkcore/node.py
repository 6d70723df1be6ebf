"""Scripts for node that judge our files with snarkjs."""

import shutil
import subprocess
from pathlib import Path

import pytest


def _has_snarkjs() -> bool:
    node = shutil.which("node")
    found = node and subprocess.run([node, "-e", "require.resolve('snarkjs')"], capture_output=True, check=False)
    return bool(found and found.returncode == 0)


needs_snarkjs = pytest.mark.skipif(not _has_snarkjs(), reason="needs node and the npm module snarkjs in NODE_PATH")


def run_script(name: str, *arguments: str | Path, text: str = "") -> str:
    """What a script beside the tests writes."""
    script = Path(__file__).with_name(name)
    done = subprocess.run(
        ["node", script, *arguments], input=text, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout
