"""What a run's figures depend on: processor, memory, load, clock rate, versions, the code measured."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "numba", "llvmlite", "gmpy2", "grpcio", "pyarrow", "web3")
_ENERGY = Path("/sys/class/powercap")
_ROOT = Path(__file__).resolve().parent.parent


def _field(path: str, key: str) -> str:
    """The first value of a key in a file like /proc/cpuinfo, empty if there is none."""
    try:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    except OSError:
        pass
    return ""


def megahertz() -> float | None:
    """The first core's clock rate as the kernel tells it, None where it does not."""
    text = _field("/proc/cpuinfo", "cpu MHz")
    return float(text) if text else None


def load() -> float | None:
    """Average number of runnable processes over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def free_memory() -> int | None:
    """Bytes that programs could still take, None where the kernel does not tell."""
    kilobytes = _field("/proc/meminfo", "MemAvailable").split()
    return int(kilobytes[0]) * 1024 if kilobytes else None


def energy_counters() -> dict[str, Path]:
    """Energy counters that the kernel exposes and this user may read, by name."""
    found = {}
    for folder in sorted(_ENERGY.glob("*:*")) if _ENERGY.is_dir() else []:
        counter = folder / "energy_uj"
        if os.access(counter, os.R_OK):
            found[(folder / "name").read_text(encoding="utf-8").strip()] = counter
    return found


def joules() -> float | None:
    """The packages' energy counters together, in joules; None where there are none."""
    packages = [path for name, path in energy_counters().items() if name.startswith("package")]
    return sum(int(path.read_text()) for path in packages) / 1e6 if packages else None


def describe() -> dict[str, Any]:
    """The machine, for the record."""
    memory = _field("/proc/meminfo", "MemTotal").split()
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    flags = _field("/proc/cpuinfo", "flags").split()
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "avx512ifma": "avx512ifma" in flags,
        "hypervisor": "hypervisor" in flags,
        "cache": _field("/proc/cpuinfo", "cache size"),
        "memory_bytes": int(memory[0]) * 1024 if memory else None,
        "governor": governor.read_text(encoding="utf-8").strip() if governor.exists() else None,
        "megahertz": megahertz(),
        "load": load(),
        "kernel": platform.release(),
        "system": _release(),
        "energy_counters": sorted(energy_counters()),
    }


def _release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that our own code stands on."""
    found = {"python": platform.python_version(), "implementation": sys.implementation.name}
    for name in ("zkshare", *LIBRARIES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """The commit of a clone, and whether files differ from it; empty where the code is not in one."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != _ROOT:
            return {}
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return {}
