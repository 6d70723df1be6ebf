"""The floors of the house: imports go down only, and only services does input and output."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "zkcore": set(),
    "homomorphic": {"zkcore"},
    "circuits": {"zkcore"},
    "services": {"zkcore", "homomorphic", "circuits"},
    "benchmarks": {"zkcore", "homomorphic", "circuits", "services"},
}
THIRD_PARTY = {
    "zkcore": {"numpy", "numba", "llvmlite"},
    "homomorphic": {"numpy", "numba", "llvmlite", "gmpy2"},
    "circuits": {"numpy", "numba"},
}
NO_INPUT_OUTPUT = ("zkcore", "homomorphic", "circuits")
DOORS = {"socket", "asyncio", "sqlite3", "subprocess", "shutil", "tempfile", "time", "datetime", "random"}
# The kernels' on-disk cache is a directory keyed by the sources' digest, so that module alone reads files.
MAY_READ_OWN_SOURCES = {"zkcore/kernel_cache.py"}


def modules(package: str) -> Iterator[Path]:
    return (ROOT / package).rglob("*.py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_go_down(package: str) -> None:
    upstairs = set(MAY_IMPORT) - MAY_IMPORT[package] - {package} | {"tests"}
    for path in modules(package):
        found = {name.split(".")[0] for name in imported(path)} & upstairs
        assert not found, f"{path.relative_to(ROOT)} imports {sorted(found)}"


@pytest.mark.parametrize("package", sorted(THIRD_PARTY))
def test_lower_floors_stand_on_few_libraries(package: str) -> None:
    import sys

    known = set(sys.stdlib_module_names) | MAY_IMPORT[package] | {package} | THIRD_PARTY[package]
    for path in modules(package):
        found = {name.split(".")[0] for name in imported(path)} - known
        assert not found, f"{path.relative_to(ROOT)} imports {sorted(found)}"


@pytest.mark.parametrize("package", NO_INPUT_OUTPUT)
def test_only_services_opens_files_sockets_and_clocks(package: str) -> None:
    for path in modules(package):
        name = str(path.relative_to(ROOT))
        if name in MAY_READ_OWN_SOURCES:
            continue
        found = {module.split(".")[0] for module in imported(path)} & DOORS
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input"}
        }
        assert not found | calls, f"{name} uses {sorted(found | calls)}"


def test_floors_are_all_there() -> None:
    for package in MAY_IMPORT:
        assert any(modules(package)), package


def test_top_level_is_the_fixed_layout() -> None:
    allowed = {
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "zkcore",
        "homomorphic",
        "circuits",
        "services",
        "benchmarks",
        "tests",
    }
    import subprocess

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= allowed
