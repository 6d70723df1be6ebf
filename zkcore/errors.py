"""Every refusal of the mathematical layers, by name.

A function that meets input it must not use raises a :class:`Refused` whose class is the check that failed and whose
``part`` is the piece of input that failed it. A verifier answers ``False`` for a well-formed statement that is not
proved, and raises only when the input is malformed.
"""

import re


class Refused(ValueError):
    """An input that was refused.

    Parameters
    ----------
    part
        The offending piece of the input, as a path a person can follow, e.g. ``"proof.pi_b"``.
    why
        What is wrong with it, without quoting any secret value.
    """

    def __init__(self, part: str, why: str) -> None:
        super().__init__(part, why)
        self.part = part
        self.why = why

    @property
    def check(self) -> str:
        """Name of the check that failed, the class's name in snake case, e.g. ``"not_on_curve"``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def __str__(self) -> str:
        return f"{self.part}: {self.why} [{self.check}]"


class Malformed(Refused):
    """The encoding is not one that the format allows."""


class OutOfRange(Refused):
    """A number lies outside its domain, e.g. a coordinate that is not below the field's modulus."""


class WrongLength(Refused):
    """A sequence has the wrong number of items, e.g. too few public inputs."""


class NotOnCurve(Refused):
    """A point does not satisfy its curve's equation."""


class NotInSubgroup(Refused):
    """A point lies on its curve but outside the subgroup of prime order."""


class PointAtInfinity(Refused):
    """The neutral element stands where the protocol has no use for it."""


class Unsatisfied(Refused):
    """A witness violates a constraint, or a computed proof does not verify."""


class WrongProvingKey(Refused):
    """A proving key belongs to another circuit, or is damaged: a right witness makes no proof that verifies."""
