"""Which back end this processor runs: ``avx512ifma`` (eight lanes) or ``portable`` (one number at a time).

Chosen at import by what the processor offers; the environment variable ``ZKSHARE_BACKEND`` overrides it. Both give the
same results bit for bit.
"""

import os

from llvmlite import binding

BACKENDS = ("portable", "avx512ifma")

_NEEDED = ("avx512f", "avx512dq", "avx512ifma")


def _offered() -> bool:
    features = binding.get_host_cpu_features()
    return all(features.get(name, False) for name in _NEEDED)


def _choose(wish: str, offered: bool) -> str:
    if wish not in ("", *BACKENDS):
        raise ImportError(f"ZKSHARE_BACKEND is {wish!r}, which is none of {', '.join(BACKENDS)}")
    if wish == "avx512ifma" and not offered:
        raise ImportError("ZKSHARE_BACKEND asks for avx512ifma, which this processor does not have")
    return wish or ("avx512ifma" if offered else "portable")


BACKEND = _choose(os.environ.get("ZKSHARE_BACKEND", ""), _offered())
"""The back end in use."""
