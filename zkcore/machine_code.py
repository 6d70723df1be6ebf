"""A kernel's machine code on its own: taken from Numba once, kept beside the kernel cache, called without Numba.

Importing Numba takes longer than verifying a proof a hundred times. A command that runs one kernel once a process
therefore keeps that kernel's object code in a file that llvmlite links and ctypes calls. The kernel works on memory it
is given, pointers to 64-bit words and a number, allocates nothing and raises nothing. What is kept is bound to the
sources and versions as :mod:`zkcore.kernel_cache` says, to this processor's features, and to its own digest, so that
code for another machine or a damaged file is compiled again rather than run.
"""

import ctypes
import hashlib
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from llvmlite import binding

from zkcore.kernel_cache import module_folder

_DIGEST_BYTES = 32

_NEEDED = {"memset": "memset", "memcpy": "memcpy", "memmove": "memmove", "NRT_MemInfo_call_dtor": "abort"}
"""Functions of the C library for what machine code names: LLVM writes calls of the first three; the last would give
back memory that a kernel has allocated, and these allocate none."""


def _compiled(module: str, name: str) -> bytes:
    """Name of the symbol, a newline, and the object code of kernel ``name``, compiled for the module's SIGNATURE."""
    source: Any = import_module(module)
    dispatcher = getattr(source, name)
    dispatcher.compile(source.SIGNATURE)
    compiled = dispatcher.overloads[source.SIGNATURE]
    # Public name of the function in Numba's calling convention, and the object file that its own cache keeps too.
    code = compiled.library._get_compiled_object()
    return str(compiled.fndesc.llvm_func_name).encode() + b"\n" + bytes(code)


def file_name(name: str) -> str:
    """Name of the file of a kernel's machine code, which names the processor that it is for."""
    features = binding.get_host_cpu_name() + binding.get_host_cpu_features().flatten()
    return f"{name}-{hashlib.sha256(features.encode()).hexdigest()[:16]}.o"


def _kept(module: str, name: str) -> bytes:
    folder = module_folder(module)
    file = folder / file_name(name) if folder else None
    if file is not None and file.is_file():
        content = file.read_bytes()
        if hashlib.sha256(content[_DIGEST_BYTES:]).digest() == content[:_DIGEST_BYTES]:
            return content[_DIGEST_BYTES:]
    code = _compiled(module, name)
    if file is not None:
        _replace(file, hashlib.sha256(code).digest() + code)
    return code


def _replace(file: Path, content: bytes) -> None:
    """Write a file so that no other process sees half of it; where it cannot be written, do without."""
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)


@cache
def load(module: str, name: str) -> Callable[..., int]:
    """Kernel ``name`` of ``module`` as a function of arrays of ``ctypes.c_uint64`` and, after them, one integer.

    The module is imported, and Numba with it, only if the machine code is not kept yet.
    """
    symbol, _, code = _kept(module, name).partition(b"\n")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for needed, function in _NEEDED.items():
        if binding.address_of_symbol(needed) is None:  # else Numba has named it
            binding.add_symbol(needed, ctypes.cast(getattr(ctypes.CDLL(None), function), ctypes.c_void_p).value)
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol.decode())

    def call(*arguments: Any) -> int:
        # Numba's calling convention: status = f(result, exception, arguments).
        *arrays, number = arguments
        pointers = [ctypes.cast(array, ctypes.c_void_p) for array in arrays]
        function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * (2 + len(arrays)), ctypes.c_int64)(address)
        result, exception = ctypes.c_int64(), ctypes.c_void_p()
        status = function(ctypes.addressof(result), ctypes.addressof(exception), *pointers, number)
        if status or engine is None:  # naming the engine keeps it
            raise RuntimeError(f"{module}.{name} ended with status {status}")
        return result.value

    return call
