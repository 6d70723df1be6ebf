"""The kernels' cache: a change in an callee's module compiles its callers afresh, and only private folders are used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zkcore import kernel_cache

LOWER = "from zkcore.kernel import inner\n\n\n@inner\ndef step(x):\n    return x + {step}\n"
UPPER = """
from circuits.lower import step
from zkcore.kernel import kernel


@kernel
def twice(x):
    return 2 * step(x)
"""
PROGRAM = "from circuits.upper import twice; print(twice(20)); s = twice.stats; print(sum(s.cache_hits.values()))"


def run(folder: Path) -> list[int]:
    """Value and number of cache hits in a new process, with a package `circuits` of two modules."""
    root = Path(kernel_cache.__file__).parent.parent
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{root}",
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        # The test gives a changed file its old time and size, by which Python would take its old bytecode for good.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, env=environment, capture_output=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_change_in_a_callee_is_seen_and_nothing_else_recompiles(tmp_path: Path) -> None:
    package = tmp_path / "circuits"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "upper.py").write_text(UPPER)
    (package / "lower.py").write_text(LOWER.format(step=1))
    assert run(tmp_path) == [42, 0]
    assert run(tmp_path) == [42, 1]
    age = (package / "lower.py").stat()
    (package / "lower.py").write_text(LOWER.format(step=2))
    os.utime(package / "lower.py", ns=(age.st_atime_ns, age.st_mtime_ns))
    assert run(tmp_path) == [44, 0]
    (package / "unrelated.py").write_text("")
    assert run(tmp_path) == [44, 1]


def test_digest_reaches_through_imports() -> None:
    assert kernel_cache._imports("zkcore.field") >= {"zkcore.bn254", "zkcore.kernel", "zkcore.limbs", "zkcore.errors"}
    assert kernel_cache.digest("zkcore.field") != kernel_cache.digest("zkcore.bn254")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_folders_that_others_can_write_are_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert not kernel_cache.is_private(shared)
    assert kernel_cache.is_private(tmp_path / "own")
    (tmp_path / "link").symlink_to(tmp_path / "own")
    assert not kernel_cache.is_private(tmp_path / "link")
