"""For ``pytest benchmarks``: the quick set's cases that run in this process, a test a contender."""

import os

from benchmarks.worker import ONE_THREAD

os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # before a peer starts its threads
