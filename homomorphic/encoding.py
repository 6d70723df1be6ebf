"""Canonical bytes: one encoding a value, read strictly.

Every message opens with a tag of eight bytes that names its type and version. Integers are big-endian of a width that
the format fixes; a reader refuses what is too short, too long, or of another type.
"""

from collections.abc import Iterable

from zkcore.errors import Malformed, OutOfRange

TAG_BYTES = 8


def width(bound: int) -> int:
    """Bytes that hold every integer below ``bound``."""
    return ((bound - 1).bit_length() + 7) // 8


class Writer:
    """Builds one message."""

    def __init__(self, tag: bytes) -> None:
        assert len(tag) == TAG_BYTES
        self._parts = [tag]

    def integer(self, value: int, length: int) -> "Writer":
        """Append an integer of ``length`` bytes."""
        self._parts.append(int(value).to_bytes(length, "big"))
        return self

    def integers(self, values: Iterable[int], length: int) -> "Writer":
        """Append integers of ``length`` bytes each."""
        self._parts.extend(int(value).to_bytes(length, "big") for value in values)
        return self

    def raw(self, value: bytes) -> "Writer":
        """Append bytes whose length the reader knows."""
        self._parts.append(value)
        return self

    def to_bytes(self) -> bytes:
        """The message."""
        return b"".join(self._parts)


class Reader:
    """Reads one message; ``part`` names it in refusals.

    Raises
    ------
    Malformed
        The tag is another's, bytes are missing, or (at :meth:`end`) bytes are left over.
    """

    def __init__(self, data: bytes, tag: bytes, part: str) -> None:
        self._data = bytes(data)
        self._part = part
        self._at = TAG_BYTES
        if self._data[:TAG_BYTES] != tag:
            raise Malformed(part, f"does not begin with {tag.decode('ascii')!r}")

    def raw(self, length: int) -> bytes:
        """Take ``length`` bytes."""
        taken = self._data[self._at : self._at + length]
        if len(taken) != length:
            raise Malformed(self._part, "ends too early")
        self._at += length
        return taken

    def integer(self, length: int) -> int:
        """Take an integer of ``length`` bytes."""
        return int.from_bytes(self.raw(length), "big")

    def integer_below(self, bound: int, name: str) -> int:
        """Take an integer in ``[0, bound)``, as wide as the bound needs; raises OutOfRange."""
        value = self.integer(width(bound))
        if value >= bound:
            raise OutOfRange(f"{self._part}.{name}", "is not below its bound")
        return value

    def end(self) -> None:
        """Refuse what is left."""
        if self._at != len(self._data):
            raise Malformed(self._part, f"has {len(self._data) - self._at} bytes too many")

    def rest(self) -> bytes:
        """Take all that is left."""
        taken = self._data[self._at :]
        self._at = len(self._data)
        return taken
