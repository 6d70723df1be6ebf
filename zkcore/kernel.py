"""Compilation: `@kernel`, `@inner` and `@alone`, Numba functions kept on disk as :mod:`zkcore.kernel_cache` says."""

import sys
from collections.abc import Callable
from typing import Any

import numba
from numba import extending
from numba.core import config

from zkcore.kernel_cache import module_folder

# Numba's published types for these do not describe how they are used inside kernels.
intrinsic: Any = extending.intrinsic
_config: Any = config

_NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _compile(function: Callable[..., Any], kept: bool = True, **options: Any) -> Any:
    folder = module_folder(function.__module__) if kept else None
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
    return _compile(function, **_NO_WRAPPERS)


def merged(function: Callable[..., Any]) -> Any:
    """As :func:`inner`, for large functions with few callers: part of the caller before either is compiled.

    A function of its own is made machine code by itself and once more in each of its callers.
    """
    return _compile(function, inline="always", **_NO_WRAPPERS)


def alone(function: Callable[..., Any]) -> Any:
    """Compile a function whose machine code :mod:`zkcore.machine_code` keeps and calls."""
    return _compile(function, kept=False, **_NO_WRAPPERS)


if sys.byteorder != "little":  # limbs of field elements are read from memory as they lie
    raise ImportError("zkcore's kernels need a little-endian processor")
