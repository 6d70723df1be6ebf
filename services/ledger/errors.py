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


class TransactionFailed(Refused):
    """A transaction was mined but failed, or was turned away, for a reason that is not one of the registry's."""


REASONS: dict[str, type[Refused]] = {
    "already_registered": AlreadyRegistered,
    "malformed": Malformed,
    "not_anchored": NotAnchored,
    "not_growing": NotGrowing,
    "not_on_curve": NotOnCurve,
    "not_permitted": NotPermitted,
    "nullifier_spent": NullifierSpent,
    "out_of_range": OutOfRange,
    "point_at_infinity": PointAtInfinity,
    "precompile_missing": PrecompileMissing,
    "proof_invalid": ProofInvalid,
    "unknown_dataset": UnknownDataset,
    "unknown_verifying_key": UnknownVerifyingKey,
    "wrong_schema": WrongSchema,
}
"""The contract's reasons and the refusals they become."""
