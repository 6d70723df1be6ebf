"""What the registry contract refuses, by the name it gives as its reason, beside what :mod:`services.errors` has."""

from services.errors import NotAnchored, NotPermitted, ProofInvalid
from zkcore.errors import Malformed, NotOnCurve, OutOfRange, PointAtInfinity, Refused


class AlreadyRegistered(Refused):
    """The ledger holds another entry under this name, and entries are made once."""


class NotGrowing(Refused):
    """An anchor or head that does not come after the last one."""


class UnknownDataset(Refused):
    """No dataset of this name was opened."""


class UnknownVerifyingKey(Refused):
    """No key was registered for filings of this schema."""


class WrongSchema(Refused):
    """The proof names another schema than the dataset's."""


class NullifierSpent(Refused):
    """A filing of this schema, subject and period was accepted before."""


class PrecompileMissing(Refused):
    """The chain lacks the precompiled contracts of EIP-196 and EIP-197."""


class WrongContract(Refused):
    """The address holds another contract than this version's registry, or none."""


class WrongChain(Refused):
    """The chain has another id than the one named."""


class TransactionFailed(Refused):
    """A transaction was mined but failed, or was turned away, for a reason that is not one of the registry's."""


REASONS: dict[str, tuple[type[Refused], str]] = {
    "already_registered": (AlreadyRegistered, "there is an entry of this name, and entries are made once"),
    "malformed": (Malformed, "an argument is empty, or names no department"),
    "not_anchored": (NotAnchored, "the department never anchored this root for the dataset, or no head reaches so far"),
    "not_growing": (NotGrowing, "it does not come after the last one"),
    "not_on_curve": (NotOnCurve, "a point is off its curve or outside the subgroup of prime order"),
    "not_permitted": (NotPermitted, "the account has no right to do this"),
    "nullifier_spent": (NullifierSpent, "a filing of this schema, subject and period was accepted before"),
    "out_of_range": (OutOfRange, "a number is not below its modulus, or not positive"),
    "point_at_infinity": (PointAtInfinity, "a point is the neutral element"),
    "precompile_missing": (PrecompileMissing, "the chain cannot verify proofs on BN254"),
    "proof_invalid": (ProofInvalid, "the proof does not hold for these public inputs"),
    "unknown_dataset": (UnknownDataset, "no dataset of this name was opened"),
    "unknown_verifying_key": (UnknownVerifyingKey, "no key was registered for filings of this schema"),
    "wrong_schema": (WrongSchema, "the proof names another schema than the dataset's"),
}
"""The contract's reasons, the refusals they become, and what they mean."""
