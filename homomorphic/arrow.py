"""Arrow's fixed-size binary arrays, taken and given where they lie: the Arrow C data interface and its Python protocol.

Any library that speaks the protocol (``__arrow_c_array__``: PyArrow, Polars, nanoarrow, DuckDB ...) can read what
:func:`export` gives and be read by :func:`rows_of`; none is needed here. An array is handed over as two C structures,
``ArrowSchema`` and ``ArrowArray``, in capsules; who gives it keeps it in place until who takes it calls ``release``
(Apache Arrow, "The Arrow C data interface", and "The Arrow PyCapsule interface").
"""

import ctypes
from typing import Any

import numpy as np

from homomorphic.rows import Bytes
from zkcore.errors import Malformed, WrongLength


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


_ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))
_Pointers = ctypes.POINTER(ctypes.c_void_p)

_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p),
    ("release", _ReleaseSchema),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", _Pointers),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p),
    ("release", _ReleaseArray),
    ("private_data", ctypes.c_void_p),
]

_SCHEMA, _ARRAY = b"arrow_schema", b"arrow_array"
_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, _Destructor]
_address_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
# for a capsule that is being destroyed and must not become an object again
_address_of_dying = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

_given: dict[int, Any] = {}
"""What is in others' hands, by a number that travels with it: everything that must stay until it is released."""

_capsules: dict[int, Any] = {}
"""The structures inside living capsules, by address."""


def _release(pointer: Any) -> None:
    structure = pointer.contents
    _given.pop(structure.private_data, None)
    structure.release = type(structure.release)()


_release_schema, _release_array = _ReleaseSchema(_release), _ReleaseArray(_release)


def _destroyed(name: bytes) -> Any:
    def destroy(capsule: int) -> None:
        structure = _capsules.pop(_address_of_dying(capsule, name))
        if structure.release:  # nobody took it
            structure.release(ctypes.byref(structure))

    return _Destructor(destroy)


_destroy_schema, _destroy_array = _destroyed(_SCHEMA), _destroyed(_ARRAY)


def _give(structure: Any, held: Any, name: bytes, destroy: Any) -> Any:
    address = ctypes.addressof(structure)
    structure.private_data = address  # unique while the capsule lives, and the structure stays in _given after it
    _given[address] = (structure, held)
    _capsules[address] = structure
    return _new_capsule(address, name, destroy)


def export_schema(width: int) -> Any:
    """A capsule of the type ``fixed_size_binary[width]``."""
    text = f"w:{width}".encode()
    schema = _Schema(format=text, name=b"", release=_release_schema)
    return _give(schema, text, _SCHEMA, _destroy_schema)


def export(rows: Bytes) -> tuple[Any, Any]:
    """Capsules of type and array for contiguous rows, ``uint8[n, width]``, which are not copied."""
    rows = np.ascontiguousarray(rows)
    buffers = (ctypes.c_void_p * 2)(None, rows.ctypes.data)
    array = _Array(length=len(rows), n_buffers=2, buffers=ctypes.cast(buffers, _Pointers), release=_release_array)
    return export_schema(rows.shape[1]), _give(array, (rows, buffers), _ARRAY, _destroy_array)


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
    schema = _Schema.from_address(_address_in(capsules[0], _SCHEMA))
    held = _Array.from_address(_address_in(capsules[1], _ARRAY))
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
