"""Refusals of the parties, beside those of the mathematics in :mod:`zkcore.errors`.

Each class is a check; :mod:`services.status` carries it over the wire by name.
"""

from zkcore.errors import Refused


class NotPermitted(Refused):
    """The caller's certificate does not give it the right to do this."""


class NotFound(Refused):
    """What the request names does not exist, or not for this caller."""


class AlreadySubmitted(Refused):
    """The log already holds another record of the same schema, subject and period."""


class AlreadyAnswered(Refused):
    """The request has its answer and takes no other."""


class Replayed(Refused):
    """What was made for one use is offered for another."""


class Expired(Refused):
    """The statement's time is over, or lies too far ahead."""


class BadSignature(Refused):
    """A signature does not verify under the signer's certificate."""


class UnknownSchema(Refused):
    """The schema is not one that this network uses."""


class UnknownKey(Refused):
    """The ciphertext is made with another Paillier key than the network's."""


class WrongSubject(Refused):
    """The record is about somebody other than the caller."""


class NotAnchored(Refused):
    """The ledger does not hold this root, head or digest."""


class ProofInvalid(Refused):
    """A Groth16 proof does not hold for its public inputs."""


class LinkInvalid(Refused):
    """The link proof does not hold: the ciphertext may hold other values than the commitments."""


class ShareInvalid(Refused):
    """The proof of a partial decryption does not hold: the trustee used another share, or another context."""


class CohortMismatch(Refused):
    """The groups that an operator claims are not those that the query selects."""


class ProductMismatch(Refused):
    """The product that an operator claims is not that of the cohort's ciphertexts."""


class LogMismatch(Refused):
    """The log that a node serves is not the one that the ledger's heads commit to."""


class NotEntered(Refused):
    """The ledger's list of releases does not hold the query, so no share of the key is used for it."""


class QueryWithheld(Refused):
    """Nobody gives a query that was entered on the ledger, so nothing behind it in the list can be decided."""


class ReleaseLost(Refused):
    """The ledger's list of releases is not the one that was followed: an entry is gone, or another in its place."""


class AnswerMismatch(Refused):
    """An answer does not follow from what proves it."""


class TooFewShares(Refused):
    """Fewer trustees than the threshold gave a valid share."""


class Declined(Refused):
    """The enterprise does not consent."""


class OutsidePolicy(Declined):
    """The enterprise's policy consents to other requests, not to this one."""


class TooManyToday(Declined):
    """The enterprise has consented to as many requests of this kind today as it wants to."""


class NobodyAsked(Declined):
    """The enterprise wanted to ask a person, and nobody was there in time."""


class Busy(Refused):
    """More work is waiting than the server takes on; trying again later may succeed."""


class MessageTooLarge(Refused):
    """The message has more bytes than the method takes; no waiting makes it smaller."""


class NotEnoughMemory(Refused):
    """The work takes more memory than there is, so it is not begun."""


class OverLimit(Refused):
    """The caller asks for more than the server grants each; trying again after `seconds` may succeed."""

    def __init__(self, part: str, why: str, seconds: float = 1.0) -> None:
        super().__init__(part, why)
        self.seconds = seconds


class Unreachable(Refused):
    """Another party or the ledger does not answer; trying again later may succeed."""
