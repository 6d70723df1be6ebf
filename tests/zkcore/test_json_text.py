"""Hostile JSON is refused, whatever the interpreter's recursion limit is."""

import subprocess
import sys

import pytest

from zkcore.errors import Malformed
from zkcore.formats import json_text


def test_values_are_read() -> None:
    assert json_text.loads('{"a": [1, "[[[[", "\\"]{"]}', "x") == {"a": [1, "[[[[", '"]{']}
    assert json_text.loads(b"[" * 32 + b"]" * 32, "x")


@pytest.mark.parametrize(
    "text", ["", "[1,", "[" * 33 + "]" * 33, "[" * 200_000, '{"a":' * 100_000, '"' + "[" * 9, b"\xff", b"[\xff]"]
)
def test_others_are_refused(text: str | bytes) -> None:
    with pytest.raises(Malformed) as refused:
        json_text.loads(text, "proof")
    assert refused.value.part == "proof"


def test_a_raised_recursion_limit_does_not_crash_the_process() -> None:
    code = (
        "import sys; sys.setrecursionlimit(10**6)\n"
        "from zkcore.formats import json_text\n"
        "try: json_text.loads('[' * 10**6, 'x')\n"
        "except ValueError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused\n")
