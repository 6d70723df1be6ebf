"""Witness files ``.wtns``, version 2, as circom's witness calculators write them and snarkjs reads them.

Section 1: size and value of the prime, number of wires. Section 2: a value of 32 bytes for each wire.
"""

from struct import pack

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import R
from zkcore.errors import OutOfRange
from zkcore.formats.iden3 import field_to_bytes, read_sections, required, write_sections
from zkcore.limbs import below, to_limbs

_VERSION = 2


def read(data: bytes | memoryview) -> NDArray[np.uint64]:
    """The witness, canonical, ``uint64[n_wires, 4]``.

    Raises
    ------
    Malformed, WrongLength, OutOfRange
        The file is not such a file, belongs to another field, or a value is not below the modulus; the part names the
        section and the offset.
    """
    sections = read_sections(data, "wtns", _VERSION, (1, 2))
    header = required(sections, 1, "wtns")
    header.field(R)
    count = header.integer(4)
    header.end()
    body = required(sections, 2, "wtns")
    start = body.part
    witness = body.elements((count,), R)
    body.end()
    if count == 0 or (witness[0] != to_limbs([1])[0]).any():
        raise OutOfRange(start, "wire 0 is the constant 1")
    return witness


def write(witness: NDArray[np.uint64]) -> bytes:
    """The file of a witness, canonical ``uint64[n_wires, 4]``.

    Raises
    ------
    OutOfRange
        A value is not below the modulus.
    """
    if not below(witness, R):
        raise OutOfRange("witness", "a value is not below the field's modulus")
    header = field_to_bytes(R) + pack("<I", len(witness))
    return write_sections("wtns", _VERSION, {1: header, 2: np.ascontiguousarray(witness, "<u8").tobytes()})
