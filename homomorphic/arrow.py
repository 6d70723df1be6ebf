"""Arrow's fixed-size binary arrays, read where they lie: the Arrow C data interface and its Python protocol.

An array of any library that speaks the protocol (``__arrow_c_array__``: PyArrow, Polars, nanoarrow ...) comes as
two C structures, ``ArrowSchema`` and ``ArrowArray``, in capsules that keep it in place (Apache Arrow, "The Arrow C data
interface", and "The Arrow PyCapsule interface"). No Arrow library is needed here.
"""

import ctypes
from typing import Any

import numpy as np

from homomorphic.rows import Bytes
from zkcore.errors import Malformed, WrongLength


class _Schema(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_void_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


class _Array(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


_address_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class _Held:
    """A buffer in someone's Arrow array, and the capsules that keep it in place."""

    def __init__(self, address: int, shape: tuple[int, int], capsules: Any) -> None:
        self.__array_interface__ = {"version": 3, "data": (address, True), "shape": shape, "typestr": "|u1"}
        self._capsules = capsules


def rows_of(array: Any, width: int, part: str = "column") -> Bytes:
    """The rows ``uint8[n, width]`` of an Arrow array of fixed-size binary, not copied, read-only.

    Parameters
    ----------
    array
        Anything with ``__arrow_c_array__``, e.g. a ``pyarrow.FixedSizeBinaryArray``; not a chunked array.

    Raises
    ------
    Malformed, WrongLength
        No such array, another type, values that are missing; another width.
    """
    if not hasattr(array, "__arrow_c_array__"):
        raise Malformed(part, "is not an Arrow array")
    capsules = array.__arrow_c_array__()
    schema = _Schema.from_address(_address_in(capsules[0], b"arrow_schema"))
    held = _Array.from_address(_address_in(capsules[1], b"arrow_array"))
    kind = bytes(schema.format or b"")
    if not kind.startswith(b"w:") or schema.dictionary:
        raise Malformed(part, f"is an Arrow array of format {kind.decode('ascii', 'replace')!r}, not fixed-size binary")
    if kind != f"w:{width}".encode():
        raise WrongLength(part, f"has values of {kind[2:].decode()} bytes, not {width}")
    if held.null_count and held.buffers[0]:
        raise Malformed(part, "has values that are missing")
    if not held.length:
        return np.empty((0, width), np.uint8)
    return np.asarray(_Held(held.buffers[1] + held.offset * width, (held.length, width), capsules))
