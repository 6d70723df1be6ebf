"""What an enterprise filed, on its own disk: kept before it is sent, so that after a crash the same bytes go again.

    <dataset>-<period>.submission    the bytes of the Submission, sent as they are
    <dataset>-<period>.receipt.json  the operator's receipt for it

A record encrypted anew would be another submission, which the log refuses; the same bytes get the same receipt. Nothing
here opens a record: a submission is what everybody who replicates the log sees.
"""

from pathlib import Path

from services.files import write_atomically


class Outbox:
    """A folder of submissions and receipts; made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def submission(self, dataset: str, period: str) -> bytes | None:
        """The bytes of a submission that were kept, or None."""
        path = self.submission_file(dataset, period)
        return path.read_bytes() if path.exists() else None

    def keep(self, dataset: str, period: str, submission: bytes) -> None:
        """Keep the bytes of a submission; they are on disk when this returns."""
        write_atomically(self.submission_file(dataset, period), submission, 0o600)

    def keep_receipt(self, dataset: str, period: str, receipt: bytes) -> None:
        """Keep a receipt."""
        write_atomically(self.receipt_file(dataset, period), receipt)

    def receipt_file(self, dataset: str, period: str) -> Path:
        """Where the receipt of a record is."""
        return self._path(dataset, period, "receipt.json")

    def submission_file(self, dataset: str, period: str) -> Path:
        """Where the bytes that were filed are."""
        return self._path(dataset, period, "submission")

    def _path(self, dataset: str, period: str, kind: str) -> Path:
        return self.folder / f"{dataset}-{period}.{kind}"
