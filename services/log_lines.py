"""Where log lines go: a stream that may fail without anybody's call failing with it.

A full disk or a reader that went away must not turn a call that was served into one that failed, so a line that cannot
be written is dropped, and counted (``zkshare_log_lines_lost``).
"""

from typing import TextIO

from services.metrics import LOG_LINES_LOST


class Lossy:
    """A text stream to print to, whose failures are counted and go no further."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = False

    def write(self, text: str) -> int:
        """Writes if it can be."""
        try:
            self._stream.write(text)
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._lost = True
        return len(text)

    def flush(self) -> None:
        """Hands on the line that was written, if that can be."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._lost = True
        if self._lost:
            LOG_LINES_LOST.inc()
            self._lost = False
