"""How each method meets a request that was made before: the table beside :data:`services.access.METHODS`.

Whoever repeats a request, a caller that had no answer or somebody who kept the bytes, changes nothing and learns
nothing that the first answer did not say. Connections are mutual TLS, so others cannot replay on them; this table is
about callers who repeat, and about operators who pass on what was signed.

What identifies a request is worked out from its contents, never taken from the caller's word:

- a filing: dataset, subject and period, which the log holds once; the same bytes get the same receipt, before anything
  of them is verified anew, others are refused as AlreadySubmitted;
- a query: the digest of the signed statement, which holds 16 random bytes; the ledger takes it once, at one head, and
  after its expiry it is refused as Expired. A trustee's share of it is the same value with a new proof;
- a score request: the digest of the signed statement, likewise; it is put down once, and refused after its expiry;
- an answer to a score request: the request, which takes one answer; the same bytes change nothing, others are refused
  as AlreadyAnswered.
"""

from enum import Enum

from services.credit import LONGEST_REQUEST
from services.signed_query import LONGEST_QUERY


class Replay(Enum):
    """What a request that was made before meets."""

    READS = "the state as it is now; the method changes nothing"
    SAME_ANSWER = "the same answer, and no second effect"


REPLAYS: dict[str, Replay] = {
    "/zkshare.v1.SubmissionService/Submit": Replay.SAME_ANSWER,
    "/zkshare.v1.SubmissionService/SubmitMany": Replay.SAME_ANSWER,
    "/zkshare.v1.SubmissionService/GetReceipt": Replay.READS,
    "/zkshare.v1.LogService/GetHead": Replay.READS,
    "/zkshare.v1.LogService/GetInclusion": Replay.READS,
    "/zkshare.v1.LogService/GetConsistency": Replay.READS,
    "/zkshare.v1.LogService/StreamEntries": Replay.READS,
    "/zkshare.v1.AggregateService/Query": Replay.SAME_ANSWER,
    "/zkshare.v1.ReleaseService/GetQuery": Replay.READS,
    "/zkshare.v1.CreditService/RequestScore": Replay.SAME_ANSWER,
    "/zkshare.v1.CreditService/GetScore": Replay.READS,
    "/zkshare.v1.CreditService/ListRequests": Replay.READS,
    "/zkshare.v1.CreditService/WatchRequests": Replay.READS,
    "/zkshare.v1.CreditService/SubmitScoreProof": Replay.SAME_ANSWER,
    "/zkshare.v1.CreditService/Decline": Replay.SAME_ANSWER,
    "/zkshare.v1.VerificationService/Verify": Replay.READS,
    "/zkshare.v1.VerificationService/VerifyBatch": Replay.READS,
    "/zkshare.v1.VerificationService/VerifyColumns": Replay.READS,
    "/zkshare.v1.VerificationService/VerifyStream": Replay.READS,
    "/zkshare.v1.TrusteeService/DecryptShare": Replay.SAME_ANSWER,
    "/zkshare.v1.DepartmentService/ListDatasets": Replay.READS,
    "/zkshare.v1.DepartmentService/GetOpening": Replay.READS,
    "/grpc.health.v1.Health/Check": Replay.READS,
    "/grpc.health.v1.Health/List": Replay.READS,
    "/grpc.health.v1.Health/Watch": Replay.READS,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Replay.READS,
}

SIGNED: dict[str, float] = {
    "/zkshare.v1.AggregateService/Query": LONGEST_QUERY,
    "/zkshare.v1.TrusteeService/DecryptShare": LONGEST_QUERY,
    "/zkshare.v1.CreditService/RequestScore": LONGEST_REQUEST,
}
"""Methods that take a signed statement, and the seconds after which none is taken any more."""
