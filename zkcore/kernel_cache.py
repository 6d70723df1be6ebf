"""Where compiled kernels are kept, so that stale machine code is never run.

Numba keeps compiled functions on disk and looks only at the age of the file a function is written in. A function into
which code from another file was inlined would go on running the old code of that file. Here every module's cache lies
in a directory of its own, named by a digest of the module's source and of every source file of ours that it imports,
directly or not, together with the versions of Python, NumPy, Numba and llvmlite and the chosen back end. A change
anywhere therefore compiles afresh what depends on it, and nothing else.

The cache is the user's own (``NUMBA_CACHE_DIR`` if set, else the platform's cache folder, else a private folder beside
other temporary files); where none of them can be written and is ours alone, kernels work without a cache. A cache holds
machine code that will be run: it must not be writable by anybody else, and a folder that is refused.

Nothing here imports Numba: a command that finds its machine code ready does without it.
"""

import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("zkcore", "homomorphic", "circuits")
_DECORATORS = "zkcore.kernel"
_KEPT_SECONDS = 14 * 24 * 3600
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([\w., \t]+))", re.MULTILINE
)


@cache
def _source(module: str) -> bytes | None:
    """Source of one of our modules, None for anything else."""
    package, *path = module.split(".")
    spec = find_spec(package) if package in _PACKAGES else None
    if spec is None or spec.origin is None:
        return None
    stem = Path(spec.origin).parent.joinpath(*path)
    for file in (stem / "__init__.py", stem.with_suffix(".py")):
        if file.is_file():
            return file.read_bytes()
    return None


@cache
def _imports(module: str) -> frozenset[str]:
    """Our modules that ``module`` imports directly."""
    found: set[str] = set()
    for origin, names, plain in _IMPORT.findall((_source(module) or b"").decode()):
        if origin:
            found.add(origin)
            found.update(
                f"{origin}.{name.split()[0]}" for name in re.sub(r"[()\s]+", " ", names).split(",") if name.strip()
            )
        else:
            found.update(name.split()[0] for name in plain.split(",") if name.strip())
    return frozenset(name for name in found if _source(name) is not None)


def _version(package: str) -> str:
    """Digest of the file in which a package keeps its version, which says it without importing the package."""
    spec = find_spec(package)
    folder = Path(str(spec.origin)).parent if spec else Path()
    for name in ("version.py", "_version.py"):
        if (folder / name).is_file():
            return hashlib.sha256((folder / name).read_bytes()).hexdigest()
    raise ImportError(f"{package} is not installed, or keeps its version elsewhere")


@cache
def digest(module: str) -> str:
    """Hexadecimal digest of everything that decides what a kernel of ``module`` compiles to."""
    reached, waiting = {module, _DECORATORS}, [module, _DECORATORS]
    while waiting:
        new = _imports(waiting.pop()) - reached
        reached |= new
        waiting += new
    hasher = hashlib.sha256()
    backend = os.environ.get("ZKSHARE_BACKEND", "")
    for part in (platform.python_version(), *map(_version, ("numpy", "numba", "llvmlite")), backend):
        hasher.update(f"{len(part)}:{part}".encode())
    for name in sorted(reached):
        source = _source(name) or b""
        hasher.update(f"{name}:{len(source)}:".encode() + source)
    return hasher.hexdigest()[:20]


def is_private(folder: Path) -> bool:
    """Whether ``folder`` can be made, belongs to this user alone for writing, and can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or not os.access(folder, os.W_OK | os.X_OK):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def _user_cache() -> str:
    """Where the platform keeps a user's caches."""
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA", os.path.expanduser("~")), "zkshare", "Cache")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/zkshare")
    return os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "zkshare")


@cache
def cache_folder() -> Path | None:
    """Folder that holds the compiled kernels, None if there is no place for one."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    given = os.environ.get("NUMBA_CACHE_DIR")
    for base in [given] if given else [_user_cache(), f"{tempfile.gettempdir()}/zkshare-{user}"]:
        if is_private(Path(base)) and is_private(Path(base, "kernels")):
            return Path(base, "kernels")
    return None


@cache
def module_folder(module: str) -> Path | None:
    """Folder of one module's compiled kernels, None if there is no place for one."""
    base = cache_folder()
    if base is None:
        return None
    folder = base / f"{module}-{digest(module)}"
    if not folder.exists():
        _forget_old(base)
    if not is_private(folder):
        return None
    try:
        os.utime(folder)
    except OSError:
        return None
    return folder


def _forget_old(base: Path) -> None:
    """Remove what no program has used for two weeks: code of former versions."""
    for folder in base.iterdir():
        try:
            if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another process was quicker
            continue
