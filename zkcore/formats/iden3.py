"""The container of iden3's binary files (``.r1cs``, ``.wtns``, ``.zkey``, ``.ptau``), strict on reading.

Four letters name the type; then the version and the number of sections, and for each its type (32 bits), length (64
bits) and content, little-endian, in any order. Errors name the section and the offset in the file.

Files are read from a buffer, which may be mapped memory, and written as chunks one after the other, so that neither
takes a second copy of a large file in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from struct import Struct, pack
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import Malformed, OutOfRange, WrongLength
from zkcore.limbs import below, from_limbs

_HEADER = Struct("<4sII")
_SECTION = Struct("<IQ")
_MOST_SECTIONS = 64
_BLOCK = 1 << 11
"""Rows that a writer brings into their form in the file at a time."""

Chunk = bytes | memoryview
"""Part of a file, to be written before the next one is asked for."""


class Content(NamedTuple):
    """What a section holds: its length in bytes, and its bytes in chunks."""

    size: int
    chunks: Iterable[Chunk]


class Section:
    """Reads one section from its beginning to its end."""

    def __init__(self, name: str, data: memoryview, offset: int) -> None:
        self._name, self._data, self._offset = name, data, offset
        self._at = 0

    @property
    def part(self) -> str:
        """The section's name and the offset in the file that has been reached, for errors."""
        return f"{self._name} at byte {self.at}"

    @property
    def at(self) -> int:
        """The offset in the file that has been reached."""
        return self._offset + self._at

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def take(self, size: int) -> memoryview:
        """The next ``size`` bytes."""
        if size > self.left:
            raise WrongLength(self.part, f"{size} bytes are needed, the section has {self.left} more")
        self._at += size
        return self._data[self._at - size : self._at]

    def integer(self, size: int) -> int:
        """An integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def words(self, count: int, kind: str = "<u4") -> NDArray[Any]:
        """A copy of the next ``count`` integers, in the processor's order."""
        dtype = np.dtype(kind)
        return np.frombuffer(self.take(count * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))

    def elements(self, shape: tuple[int, ...], modulus: int) -> NDArray[np.uint64]:
        """Numbers below ``modulus`` of 32 bytes each, ``uint64[*shape, 4]``."""
        start = self.part
        rows = self.words(int(np.prod(shape)) * 4, "<u8").reshape(-1, 4)
        if not below(rows, modulus):
            raise OutOfRange(start, "a number behind here is not below the field's modulus")
        return rows.reshape(*shape, 4)

    def field(self, modulus: int) -> None:
        """Check the length and value of a modulus."""
        start = self.part
        size = self.integer(4)
        if size != 32 or self.integer(32) != modulus:
            raise Malformed(start, "the field is not the one of BN254")

    def end(self) -> None:
        """Check that nothing is left."""
        if self.left:
            raise WrongLength(self.part, f"{self.left} bytes follow the section's content")


def read_sections(data: bytes | memoryview, kind: str, version: int, known: Iterable[int]) -> dict[int, Section]:
    """The sections of a file by their types.

    Raises
    ------
    Malformed
        Another type of file or version; a section that is unknown or there twice.
    WrongLength
        The file ends within a section, or goes on behind the last.
    """
    view = memoryview(data).cast("B")
    if len(view) < _HEADER.size:
        raise WrongLength(f"{kind} at byte 0", "the file ends within its header")
    magic, found, count = _HEADER.unpack_from(view)
    if magic != kind.encode():
        raise Malformed(f"{kind} at byte 0", f"this is not a .{kind} file")
    if found != version:
        raise Malformed(f"{kind} at byte 4", f"version {found} is not {version}, the one known here")
    if count > _MOST_SECTIONS:
        raise OutOfRange(f"{kind} at byte 8", f"{count} sections are more than any such file has")
    sections: dict[int, Section] = {}
    at = _HEADER.size
    for _ in range(count):
        if len(view) - at < _SECTION.size:
            raise WrongLength(f"{kind} at byte {at}", "the file ends within a section's header")
        number, size = _SECTION.unpack_from(view, at)
        if number not in known:
            raise Malformed(f"{kind} at byte {at}", f"a section of type {number} is not known here")
        if number in sections:
            raise Malformed(f"{kind} at byte {at}", f"a second section of type {number}")
        at += _SECTION.size
        if size > len(view) - at:
            raise WrongLength(f"{kind} at byte {at}", f"the file ends within its section of type {number}")
        sections[number] = Section(f"{kind} section {number}", view[at : at + size], at)
        at += size
    if at != len(view):
        raise WrongLength(f"{kind} at byte {at}", "the file goes on behind its last section")
    return sections


def required(sections: dict[int, Section], number: int, kind: str) -> Section:
    """A section that must be there.

    Raises
    ------
    Malformed
        It is not.
    """
    if number not in sections:
        raise Malformed(f"{kind} at byte 8", f"the section of type {number} is missing")
    return sections[number]


def section_chunks(kind: str, version: int, sections: Mapping[int, bytes | Content]) -> Iterator[Chunk]:
    """A file of these sections, in their order."""
    yield _HEADER.pack(kind.encode(), version, len(sections))
    for number, content in sections.items():
        size, chunks = (len(content), (content,)) if isinstance(content, bytes) else content
        yield _SECTION.pack(number, size)
        yield from chunks


def write_sections(kind: str, version: int, sections: Mapping[int, bytes | Content]) -> bytes:
    """The same as a whole."""
    return b"".join(section_chunks(kind, version, sections))


def array_content(rows: NDArray[Any]) -> Content:
    """The integers of an array, little-endian; not copied where they lie so in memory."""
    words = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
    return Content(words.nbytes, (words.data.cast("B"),) if words.size else ())


def row_blocks(n_rows: int) -> Iterator[tuple[int, int]]:
    """First row and end of each block of rows that a writer handles at a time."""
    for first in range(0, n_rows, _BLOCK):
        yield first, min(first + _BLOCK, n_rows)


def field_to_bytes(modulus: int) -> bytes:
    """What :meth:`Section.field` reads."""
    return pack("<I", 32) + modulus.to_bytes(32, "little")


def numbers(section: Section, count: int, modulus: int) -> list[int]:
    """The next ``count`` numbers below ``modulus`` as integers."""
    return from_limbs(section.elements((count,), modulus))
