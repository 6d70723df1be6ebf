"""Reading JSON that somebody else wrote: valid, and not nested deeper than any format here needs.

Python's decoder recurses once a level, and a library that raises the interpreter's recursion limit (py-ecc does) turns
a few hundred kilobytes of ``[`` into a crash of the process. So nesting is measured before decoding.
"""

import json
import re
from typing import Any

from zkcore.errors import Malformed

DEEPEST = 32
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_BRACKETS = re.compile(r"[\[\]{}]")


def loads(text: str | bytes, part: str, **decoding: Any) -> Any:
    """The value of a JSON text in UTF-8; ``decoding`` goes to :func:`json.loads`.

    Raises
    ------
    Malformed
        If it is not JSON, or nested deeper than 32 levels; names ``part``.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        raise Malformed(part, "not UTF-8 text") from None
    depth = 0
    for bracket in _BRACKETS.finditer(_STRING.sub("", decoded)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > DEEPEST:
            raise Malformed(part, f"nested deeper than {DEEPEST} levels")
    try:
        return json.loads(decoded, **decoding)
    except Malformed:  # from a hook among ``decoding``
        raise
    except ValueError as error:
        # The message of a JSON error quotes nothing of the text.
        reason = f": {error}" if isinstance(error, json.JSONDecodeError) else ""
        raise Malformed(part, f"not JSON{reason}") from None
