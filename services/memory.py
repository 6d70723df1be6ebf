"""How much memory there is for work that says beforehand how much it takes."""

from pathlib import Path

_SYSTEM = Path("/proc/meminfo")
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that the system can still give, swap included, and no more than the process's control groups may take.

    None where the system does not tell. Groups are those of version 2 (Linux, admin-guide/cgroup-v2).
    """
    found = dict(line.split(":", 1) for line in _text(_SYSTEM).splitlines() if ":" in line)
    free = [1024 * int(found[name].split()[0]) for name in ("MemAvailable", "SwapFree") if name in found]
    limits = [int(limit) for limit in map(_text, _limits()) if limit.strip().isdecimal()]
    return min([sum(free), *limits]) if free else min(limits, default=None)


def _limits() -> list[Path]:
    """The files that hold the limits of the process's group and of those that it lies in."""
    own = next((line[3:] for line in _text(_OWN_GROUP).splitlines() if line.startswith("0::/")), "/")
    group = _GROUPS / own.lstrip("/")
    return [folder / "memory.max" for folder in (group, *group.parents) if folder.is_relative_to(_GROUPS)]


def _text(path: Path) -> str:
    """What a file of the system holds, nothing where there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""
