"""Compilation: `@kernel` and `@inner`, Numba functions that never run a stale machine code.

Numba keeps compiled functions on disk and looks only at the age of the file a function is written in. A function into
which code from another file was inlined would go on running the old code of that file. Here every module's cache lies
in a directory of its own, named by a digest of the module's source and of every source file of ours that it imports,
directly or not, together with the versions of Python, NumPy, Numba and llvmlite and the chosen back end. A change
anywhere therefore compiles afresh what depends on it, and nothing else.

The cache is the user's own (``NUMBA_CACHE_DIR`` if set, else the platform's cache folder, else a private folder beside
other temporary files); where none of them can be written and is ours alone, kernels work without a cache. A cache holds
machine code that will be run: it must not be writable by anybody else, and a folder that is refused.
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
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy
from numba import extending
from numba.core import config
from numba.misc.appdirs import user_cache_dir

# Numba's published types for these do not describe how they are used inside kernels.
intrinsic: Any = extending.intrinsic
_config: Any = config

_PACKAGES = ("zkcore", "homomorphic", "circuits")
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


@cache
def digest(module: str) -> str:
    """Hexadecimal digest of everything that decides what a kernel of ``module`` compiles to."""
    reached, waiting = {module, __name__}, [module, __name__]
    while waiting:
        new = _imports(waiting.pop()) - reached
        reached |= new
        waiting += new
    hasher = hashlib.sha256()
    backend = os.environ.get("ZKSHARE_BACKEND", "")
    for part in (platform.python_version(), numpy.__version__, numba.__version__, llvmlite.__version__, backend):
        hasher.update(f"{len(part)}:{part}".encode())
    for name in sorted(reached):
        source = _source(name) or b""
        hasher.update(f"{name}:{len(source)}:".encode() + source)
    return hasher.hexdigest()[:20]


def _is_private(folder: Path) -> bool:
    """Whether ``folder`` can be made, belongs to this user alone for writing, and can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or not os.access(folder, os.W_OK | os.X_OK):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


@cache
def cache_folder() -> Path | None:
    """Folder that holds the compiled kernels, None if there is no place for one."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    given = os.environ.get("NUMBA_CACHE_DIR")
    for base in [given] if given else [user_cache_dir("zkshare", False), f"{tempfile.gettempdir()}/zkshare-{user}"]:
        if _is_private(Path(base)) and _is_private(Path(base, "kernels")):
            return Path(base, "kernels")
    return None


@cache
def _module_folder(module: str) -> Path | None:
    base = cache_folder()
    if base is None:
        return None
    folder = base / f"{module}-{digest(module)}"
    if not folder.exists():
        _forget_old(base)
    if not _is_private(folder):
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


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    folder = _module_folder(function.__module__)
    configured = _config.CACHE_DIR
    _config.CACHE_DIR = str(folder or "")
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=folder is not None, **options)(function)
    finally:
        _config.CACHE_DIR = configured


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function to be called from Python: releases the GIL, cached on disk."""
    return _compile(function)


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call: no wrapper for Python, so that it compiles sooner."""
    return _compile(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


if sys.byteorder != "little":  # limbs of field elements are read from memory as they lie
    raise ImportError("zkcore's kernels need a little-endian processor")
