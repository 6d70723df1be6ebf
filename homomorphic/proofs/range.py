"""Proof that every value in a ciphertext is in range.

In words: "I know integers x_j in [0, 2^n) and rho such that c = (1 + N sum_j x_j 2^(96 j)) h^rho modulo N^2", one value
a slot of 96 bits (one slot: a plain integer), n one of 8, 16, 32, 64. What stands on its own here, the filing circuit
proves otherwise: there the commitments come from the circuit, here from this proof.

The prover commits to each x_j on Baby Jubjub (Pedersen 1991), proves each commitment's range by a Bulletproof
(:mod:`homomorphic.proofs.committed_range`; Bunz et al. 2018), and that the ciphertext holds the committed integers by
the link proof (:mod:`homomorphic.proofs.link`; Chase, Orru, Perrin and Zaverucha 2022). Both take their challenges from
transcripts that begin with the whole statement and all commitments.

Sound without slack: the range holds exactly, as the link proof binds integers and not residues once the committed
values are known to be below 2^64. A cheat has one try in 2^100 at the link proof, or must find discrete logarithms on
Baby Jubjub, or a key whose h is no N-th power (:mod:`homomorphic.proofs.key`). The values are hidden but for 2^-80.
The commitments need to lie on the curve, not in its prime subgroup: all equations are compared times the cofactor.

>>> from homomorphic import paillier
>>> from homomorphic.packing import Packing
>>> key, _ = paillier.generate_keypair(2048)
>>> ciphertext, rho = key.encrypt(Packing(2).pack([77, 1_000]))
>>> statement = Statement(key, ciphertext, 2, 16, b"enterprise 7")
>>> proof = prove(statement, [77, 1_000], rho)
>>> verify(statement, proof)
True
>>> verify_batch([(statement, proof), (Statement(key, ciphertext, 2, 8, b"enterprise 7"), proof)])
[1]
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from homomorphic.encoding import Reader, Writer
from homomorphic.errors import SlotOverflow
from homomorphic.packing import Packing
from homomorphic.paillier import PublicKey
from homomorphic.proofs import committed_range, link
from homomorphic.proofs.batch import check_one_key, check_point
from homomorphic.proofs.committed_range import RANGES, CommittedRangeProof
from homomorphic.proofs.link import LinkProof
from zkcore import babyjubjub, pedersen
from zkcore.babyjubjub import Point
from zkcore.bn254 import R
from zkcore.errors import OutOfRange, Refused, WrongLength
from zkcore.transcript import Transcript

PROTOCOL = "zkshare/range/v1"

_TAG = b"zks-rang"
_DIGEST_BITS = 256


@dataclass(frozen=True)
class Statement:
    """What is proved.

    Parameters
    ----------
    public_key
        The key N, h of the ciphertext.
    ciphertext
        c, holding one value a slot of 96 bits.
    slots
        How many values it holds.
    bits
        n, the length of each value: 8, 16, 32 or 64.
    context
        What the proof is for; it holds for no other.
    """

    public_key: PublicKey
    ciphertext: int
    slots: int
    bits: int
    context: bytes

    def check(self) -> None:
        """Refuse what no proof can be about; raises OutOfRange, TrivialCiphertext, NotAUnit, SlotOverflow."""
        self.public_key.check(self.ciphertext)
        Packing(self.slots).fit(self.public_key.bits)
        if self.bits not in RANGES:
            raise OutOfRange("bits", f"ranges of {', '.join(map(str, RANGES))} bits are proved, not of {self.bits}")

    def bind(self, commitments: Sequence[Point]) -> bytes:
        """The context of the parts: a digest of every public value and all commitments."""
        key = self.public_key
        transcript = Transcript(PROTOCOL)
        transcript.append("context", self.context)
        transcript.append("key", key.fingerprint)
        transcript.append("ciphertext", key.ciphertext_to_bytes(self.ciphertext))
        transcript.append_int("slots", self.slots)
        transcript.append_int("bits", self.bits)
        for point in commitments:
            transcript.append("P", babyjubjub.to_bytes(point))
        return transcript.challenge("context of the parts", _DIGEST_BITS).to_bytes(_DIGEST_BITS // 8, "big")


@dataclass(frozen=True)
class RangeProof:
    """The proof: the commitments P_j, the proof that the ciphertext holds what they commit to, a range proof each."""

    commitments: tuple[Point, ...]
    link: LinkProof
    ranges: tuple[CommittedRangeProof, ...]

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, number of values, the P_j, the range proofs, the link proof."""
        writer = Writer(_TAG).integer(len(self.commitments), 1)
        for point in self.commitments:
            writer.raw(babyjubjub.to_bytes(point))
        for proof in self.ranges:
            proof.write(writer)
        return writer.raw(self.link.to_bytes()).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "RangeProof":
        """Read a proof strictly; raises Malformed, OutOfRange, NotOnCurve, PointAtInfinity."""
        reader = Reader(data, _TAG, "range_proof")
        count = reader.integer(1)
        commitments = tuple(
            (reader.integer_below(R, f"commitments[{j}]"), reader.integer_below(R, f"commitments[{j}]"))
            for j in range(count)
        )
        for j, point in enumerate(commitments):
            check_point(point, f"range_proof.commitments[{j}]")
        ranges = tuple(CommittedRangeProof.read(reader) for _ in range(count))
        return cls(commitments, LinkProof.from_bytes(reader.rest()), ranges)


def prove(statement: Statement, values: Sequence[int], rho: int) -> RangeProof:
    """Prove a statement that is true.

    Parameters
    ----------
    values
        The x_j, secret, each in ``[0, 2^bits)``, one a slot.
    rho
        The randomness of the ciphertext, secret.

    Raises
    ------
    Refused
        What :meth:`Statement.check` refuses; WrongLength, SlotOverflow, OutOfRange for a witness out of its domain.
    """
    statement.check()
    if len(values) != statement.slots:
        raise WrongLength("values", f"{len(values)} values for {statement.slots} slots")
    for j, value in enumerate(values):
        if not 0 <= value < 1 << statement.bits:
            raise SlotOverflow(f"values[{j}]", f"does not lie in [0, 2^{statement.bits})")
    blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
    commitments = tuple(pedersen.commit(x, s) for x, s in zip(values, blindings, strict=True))
    context = statement.bind(commitments)
    linked = link.Statement(statement.public_key, statement.ciphertext, commitments, context)
    ranges = tuple(
        committed_range.prove(committed_range.Statement(point, statement.bits, context), x, s)
        for point, x, s in zip(commitments, values, blindings, strict=True)
    )
    return RangeProof(commitments, link.prove(linked, values, rho, blindings), ranges)


Parts = tuple[tuple[link.Statement, LinkProof], list[tuple[committed_range.Statement, CommittedRangeProof]]]


def _parts(statement: Statement, proof: RangeProof) -> Parts:
    """The statements of the parts and their proofs; refuses another number of them than there are slots."""
    statement.check()
    for name, count in (("commitments", len(proof.commitments)), ("ranges", len(proof.ranges))):
        if count != statement.slots:
            raise WrongLength(f"range_proof.{name}", f"{count} items for {statement.slots} slots")
    for j, point in enumerate(proof.commitments):
        check_point(point, f"range_proof.commitments[{j}]")
    context = statement.bind(proof.commitments)
    linked = link.Statement(statement.public_key, statement.ciphertext, proof.commitments, context)
    ranges = [committed_range.Statement(point, statement.bits, context) for point in proof.commitments]
    return (linked, proof.link), list(zip(ranges, proof.ranges, strict=True))


def verify(statement: Statement, proof: RangeProof) -> bool:
    """Whether the proof convinces.

    Raises
    ------
    Refused
        The statement or the proof is malformed, in any of its parts.
    """
    linked, ranges = _parts(statement, proof)
    return all([link.verify(*linked), *(committed_range.verify(*item) for item in ranges)])


def verify_batch(items: Sequence[tuple[Statement, RangeProof]]) -> list[int]:
    """Indices of the items that do not convince, malformed ones among them; the key is the same in all.

    Raises
    ------
    WrongKey
        The items are about different keys.
    """
    check_one_key(items)
    bad, links, ranges, owners = set(), {}, [], []
    for i, item in enumerate(items):
        try:
            links[i], its_ranges = _parts(*item)
        except Refused:
            bad.add(i)
            continue
        ranges += its_ranges
        owners += [i] * len(its_ranges)
    bad |= {list(links)[i] for i in link.verify_batch(list(links.values()))}
    bad |= {owners[i] for i in committed_range.verify_batch(ranges)}
    return sorted(bad)
