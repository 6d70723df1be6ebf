"""Groth16 verifying keys and proofs over BN254 (Groth 2016, ePrint 2016/260), and their encodings.

A key refuses at construction every point that its protocol has no use for; a proof is plain data that whoever verifies
it checks. Bytes are those of EIP-197: integers of 32 bytes, big-endian, the imaginary part of Fp2 first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zkcore.bn254 import P, R
from zkcore.errors import Malformed, OutOfRange, PointAtInfinity, WrongLength
from zkcore.formats import snarkjs
from zkcore.formats.points import G1_BYTES, G2_BYTES, g1_from_bytes, g1_to_bytes, g2_from_bytes, g2_to_bytes

if TYPE_CHECKING:  # these compile kernels, which a proof or a key in transit does not need
    from zkcore.curve import G1Point, G2Point
    from zkcore.groth16.verifier import PreparedVerifyingKey

_MAGIC = b"zkshare verifying key 1\n"
PROOF_BYTES = 2 * G1_BYTES + G2_BYTES


@dataclass(frozen=True)
class Proof:
    """A Groth16 proof: ``a`` and ``c`` of G1, ``b`` of G2, affine integers.

    Anyone can turn a valid proof into another one for the same public inputs (it is re-randomisable, and negating ``a``
    and ``b`` together changes nothing): a proof is not an identifier, and must not be used as one.
    """

    a: G1Point
    b: G2Point
    c: G1Point

    def numbers(self, part: str = "proof") -> list[int]:
        """Coordinates a.x a.y b.x0 b.x1 b.y0 b.y1 c.x c.y.

        Raises
        ------
        PointAtInfinity
            A point is the neutral element.
        OutOfRange
            A coordinate is negative or not below the field's modulus.
        """
        a, b, c = self.a, self.b, self.c
        if a is None or b is None or c is None:
            name = "a" if a is None else "b" if b is None else "c"
            raise PointAtInfinity(f"{part}.{name}", "the neutral element has no use in a proof")
        numbers = [*a, *b[0], *b[1], *c]
        if min(numbers) >= 0 and max(numbers) < P:
            return numbers
        for name, number in zip("aabbbbcc", numbers, strict=True):
            if not 0 <= number < P:
                raise OutOfRange(f"{part}.{name}", "a coordinate is negative or not below the field's modulus")
        return numbers

    def to_bytes(self) -> bytes:
        """256 bytes: a.x a.y b.x1 b.x0 b.y1 b.y0 c.x c.y."""
        return g1_to_bytes(self.a) + g2_to_bytes(self.b) + g1_to_bytes(self.c)

    @classmethod
    def from_bytes(cls, data: bytes, *, part: str = "proof") -> Proof:
        """The proof of 256 bytes.

        Raises
        ------
        WrongLength
            There are not 256 bytes.
        OutOfRange
            A coordinate is not below the field's modulus.
        PointAtInfinity
            A point is the neutral element.
        """
        if len(data) != PROOF_BYTES:
            raise WrongLength(part, f"a proof takes {PROOF_BYTES} bytes")
        a = g1_from_bytes(data[:64], f"{part}.a")
        b = g2_from_bytes(data[64:192], f"{part}.b")
        c = g1_from_bytes(data[192:], f"{part}.c")
        for name, point in (("a", a), ("b", b), ("c", c)):
            if point is None:
                raise PointAtInfinity(f"{part}.{name}", "the neutral element has no use in a proof")
        return cls(a, b, c)

    @classmethod
    def from_snarkjs(cls, value: Any) -> Proof:
        """The proof of a snarkjs ``proof.json``; raises :class:`~zkcore.errors.Malformed`."""
        return cls(*snarkjs.read_proof(value))

    def to_snarkjs(self) -> dict[str, Any]:
        """The JSON value of a snarkjs ``proof.json``."""
        return snarkjs.write_proof(self.a, self.b, self.c)


def key_numbers(alpha: G1Point, beta: G2Point, gamma: G2Point, delta: G2Point, ic: Sequence[G1Point]) -> list[int]:
    """Coordinates of a verifying key's points, in order, real parts first, each in range.

    Raises
    ------
    WrongLength
        ``ic`` is empty.
    PointAtInfinity
        A point is the neutral element.
    OutOfRange
        A coordinate is negative or not below the field's modulus.
    """
    if not ic:
        raise WrongLength("verification_key.ic", "there must be a point for the constant")
    points = {"alpha": alpha, "beta": beta, "gamma": gamma, "delta": delta}
    points |= {f"ic[{i}]": point for i, point in enumerate(ic)}
    numbers: list[int] = []
    for name, point in points.items():
        if point is None:
            raise PointAtInfinity(f"verification_key.{name}", "the neutral element has no use here")
        coordinates = [part for number in point for part in (number if isinstance(number, tuple) else (number,))]
        if not all(0 <= number < P for number in coordinates):
            raise OutOfRange(f"verification_key.{name}", "a coordinate is negative or not below the field's modulus")
        numbers += coordinates
    return numbers


def check_public(n_public: int, public: Sequence[int], part: str = "public") -> None:
    """Refuse a wrong number of public inputs, and inputs out of range.

    Raises
    ------
    WrongLength
        The number of inputs is not the key's.
    OutOfRange
        An input is negative or not below the order of the scalar field.
    """
    if len(public) != n_public:
        raise WrongLength(part, f"the key takes {n_public} public inputs, not {len(public)}")
    for i, number in enumerate(public):
        if not 0 <= number < R:
            raise OutOfRange(f"{part}[{i}]", "negative or not below the order of the scalar field")


@dataclass(frozen=True)
class VerifyingKey:
    """What a verifier knows of a circuit.

    ``alpha`` lies in G1, ``beta``, ``gamma`` and ``delta`` in G2; ``ic`` has a point of G1 for the constant and one for
    every public input.

    Raises
    ------
    WrongLength
        ``ic`` is empty.
    OutOfRange, NotOnCurve, NotInSubgroup, PointAtInfinity
        A point is not what it must be. A neutral point in ``ic`` is refused because a public input could then take any
        value; setups that bind every input (snarkjs's, arkworks's and ours) never make one.
    """

    alpha: G1Point
    beta: G2Point
    gamma: G2Point
    delta: G2Point
    ic: tuple[G1Point, ...]

    def __post_init__(self) -> None:
        from zkcore.groups import g1, g2

        object.__setattr__(self, "ic", tuple(self.ic))
        key_numbers(self.alpha, self.beta, self.gamma, self.delta, self.ic)
        firsts = {"alpha": self.alpha, **{f"ic[{i}]": point for i, point in enumerate(self.ic)}}
        for name, first in firsts.items():
            g1.check(first, part=f"verification_key.{name}")
        for name, second in (("beta", self.beta), ("gamma", self.gamma), ("delta", self.delta)):
            g2.check(second, part=f"verification_key.{name}")

    @property
    def n_public(self) -> int:
        """Number of public inputs."""
        return len(self.ic) - 1

    def prepare(self) -> PreparedVerifyingKey:
        """The key with everything computed that does not depend on a proof."""
        from zkcore.groth16.verifier import PreparedVerifyingKey

        return PreparedVerifyingKey(self)

    def to_bytes(self) -> bytes:
        """Versioned encoding: a line of text, then the points in order as EIP-197 writes them."""
        firsts = b"".join(g1_to_bytes(point) for point in self.ic)
        return (
            _MAGIC + g1_to_bytes(self.alpha) + b"".join(map(g2_to_bytes, (self.beta, self.gamma, self.delta))) + firsts
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, part: str = "verification_key") -> VerifyingKey:
        """The key of :meth:`to_bytes`.

        Raises
        ------
        Malformed
            Not such an encoding.
        OutOfRange, NotOnCurve, NotInSubgroup, PointAtInfinity
            A point is not what it must be.
        """
        body = data[len(_MAGIC) :]
        fixed = G1_BYTES + 3 * G2_BYTES
        if not data.startswith(_MAGIC) or len(body) < fixed + G1_BYTES or (len(body) - fixed) % G1_BYTES:
            raise Malformed(part, "not the bytes of a verifying key")
        names = ("beta", "gamma", "delta")
        seconds = [
            g2_from_bytes(body[at : at + G2_BYTES], f"{part}.{name}")
            for name, at in zip(names, range(G1_BYTES, fixed, G2_BYTES), strict=True)
        ]
        ic = [
            g1_from_bytes(body[at : at + G1_BYTES], f"{part}.ic[{i}]")
            for i, at in enumerate(range(fixed, len(body), G1_BYTES))
        ]
        beta, gamma, delta = seconds
        return cls(g1_from_bytes(body[:G1_BYTES], f"{part}.alpha"), beta, gamma, delta, tuple(ic))

    def digest(self) -> bytes:
        """32 bytes that name the key."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(b"zkshare/verifying-key\n" + self.to_bytes()).digest()

    @classmethod
    def from_snarkjs(cls, value: Any) -> VerifyingKey:
        """The key of a snarkjs ``verification_key.json``.

        Raises
        ------
        Malformed, OutOfRange, NotOnCurve, NotInSubgroup, PointAtInfinity
            The value is not of snarkjs's form, or a point is not what it must be.
        """
        return cls(*snarkjs.read_verifying_key(value))

    def to_snarkjs(self) -> dict[str, Any]:
        """The JSON value of a snarkjs ``verification_key.json``."""
        return snarkjs.write_verifying_key(self.alpha, self.beta, self.gamma, self.delta, self.ic)
