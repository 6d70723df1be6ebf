"""Refusals that only homomorphic encryption knows, beside those of :mod:`zkcore.errors`."""

from zkcore.errors import Refused


class WrongKeyLength(Refused):
    """A modulus has a length that is not in use: too short to be safe, or too long to be served."""


class EvenModulus(Refused):
    """A modulus is even."""


class SmallFactor(Refused):
    """A modulus has a factor that trial division finds."""


class NotComposite(Refused):
    """A modulus is a prime or a perfect power, not a product of different primes."""


class NotAUnit(Refused):
    """A number shares a factor with the modulus, so that it is no ciphertext and gives the key away."""


class WrongJacobiSymbol(Refused):
    """A number can't have been made as the key says, since its Jacobi symbol differs."""


class TrivialCiphertext(Refused):
    """A ciphertext is 0 or 1 and hides nothing."""


class SlotOverflow(Refused):
    """A number does not fit its slot, or there are more slots than the key's plaintexts hold."""


class WrongKey(Refused):
    """A message was made for another key."""


class WrongScale(Refused):
    """Fixed-point numbers of different scales do not add."""


class WrongShare(Refused):
    """A partial decryption is named by no party, or twice by one."""


class NotEnoughShares(Refused):
    """Fewer valid partial decryptions than the threshold are left.

    Parameters
    ----------
    wrong
        Indices of the parties whose partial decryptions were not valid.
    """

    def __init__(self, part: str, why: str, wrong: tuple[int, ...]) -> None:
        super().__init__(part, why)
        self.wrong = wrong


class WrongDealing(Refused):
    """What old parties sent to a new one does not fit what they published.

    Parameters
    ----------
    wrong
        Indices of those old parties.
    """

    def __init__(self, part: str, why: str, wrong: tuple[int, ...]) -> None:
        super().__init__(part, why)
        self.wrong = wrong
