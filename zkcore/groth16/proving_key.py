"""Proving keys of Groth16: what they hold, and what is known of them beforehand.

The points are laid out as snarkjs lays them out in a ``.zkey``: matrix A carries one more row for wire 0 and for each
public input, so that no two public inputs share a polynomial; gamma is 1; H holds the Lagrange basis of the domain
of twice the size at its odd points, over delta (Groth 2016, section 3.2, without a division by the vanishing
polynomial). Files of them: :mod:`zkcore.formats.mapped_key` and :mod:`zkcore.formats.zkey`.
"""

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zkcore.affine import is_neutral_row
from zkcore.bn254 import P
from zkcore.curve import load_affine, on_curve
from zkcore.errors import NotOnCurve, OutOfRange, WrongProvingKey
from zkcore.field import fp_zero
from zkcore.groth16.keys import VerifyingKey
from zkcore.groth16.verifier import PreparedVerifyingKey
from zkcore.kernel import inner, kernel
from zkcore.limbs import below
from zkcore.ntt import TWO_ADICITY
from zkcore.r1cs import R1CS, SparseMatrix
from zkcore.tower import fp2_zero

Rows = NDArray[np.uint64]

LARGEST_DOMAIN_BITS = TWO_ADICITY - 1
"""The points of H come from the domain of twice the size."""
POINTS = ("constants", "points_a", "points_b", "points_b2", "points_c", "points_h")
"""The arrays of points that a key holds, in the order of files."""


@inner
def _first_off_curve(like: Any, points: Any) -> Any:
    for i in range(points.shape[0]):
        if not is_neutral_row(points, i) and not on_curve(load_affine(like, points, i)):
            return i
    return -1


@kernel
def _first_off_curve_g1(points: Any) -> Any:
    return _first_off_curve(fp_zero(), points)


@kernel
def _first_off_curve_g2(points: Any) -> Any:
    return _first_off_curve(fp2_zero(), points)


class KeySize(NamedTuple):
    """How large a proving key is; ``n_entries`` counts those of A, with its additional rows, and of B."""

    n_public: int
    n_wires: int
    domain_bits: int
    n_entries: int

    @classmethod
    def of(cls, system: R1CS) -> "KeySize":
        """That of a constraint system's key."""
        added = system.n_public + 1
        n_entries = len(system.a.column) + len(system.b.column) + added
        return cls(system.n_public, system.n_wires, (system.n_constraints + added - 1).bit_length(), n_entries)

    @property
    def key_bytes(self) -> int:
        """Bytes that the key's arrays take, at most."""
        size = 1 << self.domain_bits
        return 64 * (5 * self.n_wires + size) + 40 * self.n_entries + 16 * (size + 1) + 256


@dataclass(frozen=True, eq=False)
class KeyHead:
    """What a proving key holds besides its points.

    Attributes
    ----------
    r1cs_digest
        Digest of the constraint system that the key belongs to; None where that is not known.
    n_public, n_wires
        As in the constraint system.
    domain_bits
        The domain has ``2^domain_bits`` points, no fewer than there are rows.
    a, b
        Matrices A, with its additional rows, and B.
    verifying_key
        The key that verifies what this one proves.
    """

    r1cs_digest: bytes | None
    n_public: int
    n_wires: int
    domain_bits: int
    a: SparseMatrix
    b: SparseMatrix
    verifying_key: VerifyingKey

    @property
    def size(self) -> KeySize:
        """How large the key is."""
        n_entries = len(self.a.column) + len(self.b.column)
        return KeySize(self.n_public, self.n_wires, self.domain_bits, n_entries)

    def check_circuit(self, system: R1CS) -> None:
        """Refuse to be used as the key of another constraint system.

        Matrices are compared by their products with a random vector, which for different ones are equal with a chance
        of 2^-253. A key does not hold matrix C: that a ceremony's key has the right one is for
        :func:`zkcore.groth16.ceremony.verify` to say.

        Raises
        ------
        WrongProvingKey
            Numbers of wires, public inputs or rows differ, or digests do; where the key does not know its system's
            digest, matrix A or B differs.
        """
        size, n_constraints = 1 << self.domain_bits, system.n_constraints
        if (self.n_public, self.n_wires) != (system.n_public, system.n_wires):
            raise WrongProvingKey(
                "proving_key", "it is another circuit's: the numbers of wires or of public inputs differ"
            )
        if n_constraints + self.n_public + 1 > size:
            raise WrongProvingKey("proving_key", "it is another circuit's: it has fewer rows")
        if self.r1cs_digest is not None:
            if self.r1cs_digest != system.digest():
                raise WrongProvingKey("proving_key", "it is another circuit's: the digests differ")
            return
        vector = np.frombuffer(bytearray(secrets.token_bytes(32 * self.n_wires)), np.uint64).reshape(-1, 4)
        vector[:, 3] >>= np.uint64(3)
        for name, ours, theirs in (("A", self.a, system.a), ("B", self.b, system.b)):
            product, expected = np.zeros((size, 4), np.uint64), np.zeros((size, 4), np.uint64)
            ours.multiply(vector, product)
            theirs.multiply(vector, expected)
            if name == "A":
                expected[n_constraints : n_constraints + self.n_public + 1] = vector[: self.n_public + 1]
            if (product != expected).any():
                raise WrongProvingKey("proving_key", f"it is another circuit's: matrix {name} differs")


@dataclass(frozen=True, eq=False)
class ProvingKey(KeyHead):
    """A proving key. Points are affine in Montgomery form, zeros for the neutral element.

    Attributes
    ----------
    constants
        uint64[2, 2, 4]: beta and delta in G1.
    points_a, points_b
        uint64[n_wires, 2, 4]: A_j(tau) and B_j(tau) in G1.
    points_b2
        uint64[n_wires, 2, 2, 4]: B_j(tau) in G2.
    points_c
        uint64[n_wires - n_public - 1, 2, 4]: (beta A_j + alpha B_j + C_j)(tau) / delta for the private wires.
    points_h
        uint64[2^domain_bits, 2, 4].
    """

    constants: Rows
    points_a: Rows
    points_b: Rows
    points_b2: Rows
    points_c: Rows
    points_h: Rows

    @cached_property
    def prepared_verifying_key(self) -> PreparedVerifyingKey:
        """The verifying key, prepared once."""
        return self.verifying_key.prepare()


def check_points(part: str, points: Rows) -> None:
    """Refuse points, ``uint64[n, 2, 4]`` or ``uint64[n, 2, 2, 4]``, that are not on their curve.

    Raises
    ------
    OutOfRange, NotOnCurve
        The latter names the first that is not.
    """
    if not below(points.reshape(-1, 4), P):
        raise OutOfRange(part, "a coordinate is not below the field's modulus")
    failed = (_first_off_curve_g1 if points.ndim == 3 else _first_off_curve_g2)(points.reshape(len(points), 2, -1))
    if failed >= 0:
        raise NotOnCurve(f"{part}[{failed}]", "the point does not satisfy the curve's equation")
