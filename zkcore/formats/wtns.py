"""Witness files ``.wtns``, version 2, as circom's witness calculators write them and snarkjs reads them.

Section 1: size and value of the prime, number of wires. Section 2: a value of 32 bytes for each wire.
"""

from collections.abc import Iterator
from struct import pack

import numpy as np
from numpy.typing import NDArray

from zkcore.bn254 import R
from zkcore.errors import OutOfRange
from zkcore.formats.iden3 import Chunk, array_content, field_to_bytes, read_sections, required, section_chunks
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


def chunks(witness: NDArray[np.uint64]) -> Iterator[Chunk]:
    """The file of a witness, canonical ``uint64[n_wires, 4]``, one chunk after the other.

    Raises
    ------
    OutOfRange
        A value is not below the modulus.
    """
    if not below(witness, R):
        raise OutOfRange("witness", "a value is not below the field's modulus")
    header = field_to_bytes(R) + pack("<I", len(witness))
    return section_chunks("wtns", _VERSION, {1: header, 2: array_content(witness)})


def write(witness: NDArray[np.uint64]) -> bytes:
    """What :func:`chunks` yields, as a whole; raises as it does."""
    return b"".join(chunks(witness))
