"""What a process counts for Prometheus, defined once; `/metrics` of the second door shows it (:mod:`services.web`).

A process may be home to several parties (the demonstration is), so calls carry the party's name. No label has a value
from a record.
"""

from prometheus_client import Counter, Gauge, Histogram, generate_latest

CALLS = Counter(
    "zkshare_calls", "Calls by how they ended: ok, or the check that refused them.", ["party", "method", "outcome"]
)
CALL_SECONDS = Histogram(
    "zkshare_call_seconds",
    "Seconds a call took, streams of no fixed end left out.",
    ["party", "method"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
BATCH_SIZE = Histogram(
    "zkshare_verification_batch_size",
    "Proofs that one batch verification took together.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096),
)
RECORDS_BATCH = Histogram(
    "zkshare_submission_batch_size",
    "Records that were verified and appended together.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
QUEUED = Gauge("zkshare_queued", "Records and proofs that wait to be taken into a batch.")
WAITING = Gauge("zkshare_work_waiting", "Calls for CPU work that run or wait for a thread.")
LOG_ENTRIES = Gauge("zkshare_log_entries", "Entries of the submission log.", ["party"])
LEDGER_LAG = Gauge("zkshare_ledger_lag_entries", "Entries of the log that no head on the ledger covers.", ["party"])
LIMITED = Counter(
    "zkshare_limited",
    "Calls refused, or messages of streams held back, by the limit that they met.",
    ["limit"],
)
CALLERS_KNOWN = Gauge("zkshare_callers", "Callers of whom limits are kept in mind now.")
LOG_LINES_LOST = Counter("zkshare_log_lines_lost", "Lines of the log that could not be written.")
AUDIT_RECORDS = Gauge("zkshare_audit_records", "Records of the audit log.", ["party"])
AUDIT_FAILURES = Counter("zkshare_audit_failures", "Records that could not be written to the audit log.", ["party"])
LEDGER_DROPPED = Counter(
    "zkshare_ledger_dropped_transactions", "Transactions that the chain dropped, e.g. in a reorganisation."
)
COHORT_REFUSALS = Counter("zkshare_cohort_refusals", "Queries refused to protect a cohort, by check.", ["check"])


def exposition() -> bytes:
    """All of it in Prometheus's text format."""
    return generate_latest()
