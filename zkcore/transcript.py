"""Fiat-Shamir transcript: challenges that depend on everything said before them.

A chain of SHA-256 values (NIST FIPS 180-4). Every item enters with its label and both lengths, so that no two
different sequences of items give the same state; a challenge is absorbed in its turn. What a proof leaves out of its
transcript an attacker may choose after the challenge (Bernhard, Pereira and Warinschi 2012, "How not to prove
yourself"), so callers append every public value of their statement. The challenge is 100 bits long in the protocols
here.
"""

from hashlib import sha256

from zkcore.errors import OutOfRange


class Transcript:
    """The state of one proof's transcript.

    Parameters
    ----------
    protocol
        Name and version of the protocol; separates its challenges from those of any other.
    """

    def __init__(self, protocol: str) -> None:
        self._state = sha256(b"zkshare transcript v1\x00" + protocol.encode()).digest()

    def append(self, label: str, value: bytes) -> None:
        """Bind a value of any length."""
        name = label.encode()
        lengths = len(name).to_bytes(8, "big") + len(value).to_bytes(8, "big")
        self._state = sha256(self._state + b"item" + lengths + name + value).digest()

    def append_int(self, label: str, value: int) -> None:
        """Bind a non-negative integer, in as many bytes as it needs (big-endian).

        Raises
        ------
        OutOfRange
            If the integer is negative.
        """
        if value < 0:
            raise OutOfRange(label, "a transcript takes non-negative integers")
        self.append(label, value.to_bytes((value.bit_length() + 7) // 8, "big"))

    def challenge(self, label: str, bits: int) -> int:
        """A uniform integer in ``[0, 2^bits)`` for ``bits`` from 1 to 256; the transcript goes on from it.

        Raises
        ------
        OutOfRange
            If ``bits`` is outside its domain.
        """
        if not 1 <= bits <= 256:
            raise OutOfRange("bits", "a challenge has 1 to 256 bits")
        self.append(label, bits.to_bytes(8, "big"))
        return int.from_bytes(sha256(self._state + b"challenge").digest(), "big") >> (256 - bits)
