"""Signed documents for people and programs: canonical JSON with one possible text for one content.

Keys sorted, two spaces of indentation, a newline at the end, no floating-point numbers, bytes in lower-case
hexadecimal, integers that may pass 2^53 as decimal strings. A reader accepts exactly this text: whatever differs by a
space, a repeated or unknown field, or another spelling of a number is refused, so that a signature and a digest stand
for a content. Signatures are ECDSA P-256 under the kind of the document (``services.identity``).
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from services.errors import BadSignature
from services.identity import Authority, Identity, PeerIdentity
from zkcore.errors import Malformed, OutOfRange, WrongLength
from zkcore.formats import json_text

LARGEST = 16 << 20
"""Bytes of a document."""

LONGEST_NUMBER = 20
VERSION = 1

T = TypeVar("T")


def canonical(content: Mapping[str, Any]) -> bytes:
    """The one text of a document, UTF-8. The values are dictionaries, lists, strings, integers, booleans and None."""
    return (json.dumps(content, sort_keys=True, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


def sign(kind: str, content: Mapping[str, Any], identity: Identity) -> bytes:
    """A document of a kind with the signer's certificate and signature."""
    document = {**content, "kind": kind, "version": VERSION, "certificate": identity.peer.certificate.hex()}
    signature = identity.sign(kind, canonical(document))
    return canonical({**document, "signature": signature.hex()})


def read(text: bytes, kind: str) -> "Reader":
    """Fields of a document of a kind, strictly read; the signature is :func:`check_signature`'s. Raises Malformed."""
    if len(text) > LARGEST:
        raise WrongLength("document", f"a document has at most {LARGEST} bytes, not {len(text)}")
    hooks = {"parse_float": _no_float, "parse_constant": _no_float, "parse_int": _integer}
    content = json_text.loads(text, "document", object_pairs_hook=_once, **hooks)
    if not isinstance(content, dict):
        raise Malformed("document", "not a JSON object")
    try:
        same = canonical(content) == text
    except ValueError:  # half of a surrogate pair
        same = False
    if not same:
        raise Malformed(
            "document", "not in canonical form: sorted keys, two spaces, plain characters, one line feed last"
        )
    reader = Reader(content, "")
    if reader.text("kind", 64) != kind:
        raise Malformed("kind", f"not a {kind}")
    if reader.integer("version", 0, 1 << 32) != VERSION:
        raise Malformed("version", f"this software reads version {VERSION}")
    return reader


def check_signature(text: bytes, kind: str, authority: Authority, at: datetime) -> PeerIdentity:
    """Who signed a document that :func:`read` accepts, made at a time.

    Raises
    ------
    BadSignature
        The signature is not the certificate's.
    services.identity.NotIssuedByAuthority, services.identity.OutsideValidity, services.identity.WrongUsage, Malformed
        The certificate is not good.
    """
    content = json.loads(text)
    signature = bytes.fromhex(content.pop("signature"))
    peer = authority.check(bytes.fromhex(content["certificate"]), at)
    if not peer.verify(kind, canonical(content), signature):
        raise BadSignature("signature", f"the signature is not that of {peer.uri}")
    return peer


class Reader:
    """Takes the fields out of a JSON object one by one, each checked; :meth:`end` refuses what is left."""

    def __init__(self, content: object, part: str) -> None:
        if not isinstance(content, dict):
            raise Malformed(part or "document", "not a JSON object")
        self._content = dict(content)
        self._part = part

    def part(self, name: str) -> str:
        """Path of a field, e.g. ``groups[2].count``."""
        return f"{self._part}.{name}" if self._part else name

    def text(self, name: str, longest: int) -> str:
        """A string of at most so many characters."""
        value = self._take(name, str)
        if len(value) > longest:
            raise WrongLength(self.part(name), f"at most {longest} characters")
        return value

    def integer(self, name: str, low: int, end: int) -> int:
        """An integer from ``low`` to before ``end``."""
        value = self._take(name, int)
        if not low <= value < end:
            raise OutOfRange(self.part(name), f"not from {low} to {end - 1}")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._take(name, bool)

    def data(self, name: str, longest: int, exactly: int | None = None) -> bytes:
        """Bytes, in lower-case hexadecimal."""
        return _bytes(self._take(name, str), self.part(name), longest, exactly)

    def time(self, name: str) -> datetime:
        """A time in UTC, e.g. ``2026-11-23T22:02:00Z``."""
        value = self._take(name, str)
        try:
            time = datetime.strptime(value, TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            time = None
        if time is None or write_time(time) != value:
            raise Malformed(self.part(name), "not a time like 2026-11-23T22:02:00Z")
        return time

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """A field that may be null; ``read`` is the method of this reader that takes it otherwise."""
        if name in self._content and self._content[name] is None:
            del self._content[name]
            return None
        return read(name)

    def nested(self, name: str) -> "Reader":
        """An object."""
        return Reader(self._take(name, dict), self.part(name))

    def objects(self, name: str, most: int) -> list["Reader"]:
        """A list of at most so many objects."""
        return [Reader(item, part) for item, part in self._items(name, most)]

    def texts(self, name: str, most: int, longest: int) -> tuple[str, ...]:
        """A list of at most so many strings, each of at most so many characters."""
        return tuple(_text(item, part, longest) for item, part in self._items(name, most))

    def rows(self, name: str, most: int, width: int, longest: int) -> tuple[tuple[str, ...], ...]:
        """A list of at most so many lists of at most ``width`` strings."""
        rows = []
        for row, part in self._items(name, most):
            if not isinstance(row, list) or len(row) > width:
                raise Malformed(part, f"not a list of at most {width} strings")
            rows.append(tuple(_text(item, f"{part}[{index}]", longest) for index, item in enumerate(row)))
        return tuple(rows)

    def blobs(self, name: str, most: int, longest: int) -> list[bytes]:
        """A list of at most so many byte strings, each of at most so many bytes."""
        return [_bytes(_text(item, part, 2 * longest), part, longest, None) for item, part in self._items(name, most)]

    def numbers(self, name: str) -> dict[str, int]:
        """An object whose values are integers as decimal strings."""
        numbers = {}
        for key, value in self._take(name, dict).items():
            if not isinstance(value, str) or len(value) > 64 or not re.fullmatch(r"0|-?[1-9][0-9]*", value):
                raise Malformed(self.part(f"{name}.{key}"), "not an integer as a decimal string")
            numbers[key] = int(value)
        return numbers

    def end(self) -> None:
        """Refuse fields that nobody took."""
        for name in self._content:
            raise Malformed(self.part(name), "an unknown field")

    def _items(self, name: str, most: int) -> list[tuple[Any, str]]:
        items = self._take(name, list)
        if len(items) > most:
            raise WrongLength(self.part(name), f"at most {most} items")
        return [(item, f"{self.part(name)}[{index}]") for index, item in enumerate(items)]

    def _take(self, name: str, kind: type[T]) -> T:
        if name not in self._content:
            raise Malformed(self.part(name), "missing")
        value = self._content.pop(name)
        if type(value) is not kind:
            raise Malformed(self.part(name), f"not of JSON type {_JSON_NAMES[kind]}")
        return value


_JSON_NAMES: dict[type, str] = {str: "string", int: "integer", bool: "boolean", dict: "object", list: "array"}
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def write_time(time: datetime) -> str:
    """A time in UTC with whole seconds, as :meth:`Reader.time` reads it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _text(value: object, part: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise Malformed(part, f"not a string of at most {longest} characters")
    return value


def _bytes(value: str, part: str, longest: int, exactly: int | None) -> bytes:
    if not re.fullmatch(r"(?:[0-9a-f]{2})*", value):
        raise Malformed(part, "not bytes in lower-case hexadecimal")
    if exactly is not None and len(value) != 2 * exactly:
        raise WrongLength(part, f"{exactly} bytes, not {len(value) // 2}")
    if len(value) > 2 * longest:
        raise WrongLength(part, f"at most {longest} bytes")
    return bytes.fromhex(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise Malformed("document", "a field is there twice")
    return content


def _no_float(text: str) -> Any:
    raise Malformed("document", "numbers are whole")


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise Malformed("document", f"a number has at most {LONGEST_NUMBER} digits")
    return int(text)
