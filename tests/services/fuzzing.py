"""Mutated messages: bytes that lie, and messages whose fields lie, made from honest ones.

A mutation is a name from :data:`WAYS` and a number from which the rest follows, so that it can be printed and made
again. Those of bytes know the wire format (tags, lengths, varints) well enough to break it in every place; those of
fields walk the descriptors (:mod:`tests.services.tampering`), signed and carried messages included, and set edge
values, or values that stood in other messages.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.limits import SMALL_MESSAGE
from tests.services.tampering import Alteration, alterations
from zkcore.bn254 import P, R

Mutation = tuple[str, int]
MUTATIONS = 3
"""Mutations of one message, at most."""

EDGE_NUMBERS = (0, 1, 2, 3, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**63))
EDGE_TEXTS = (
    "",
    "x",
    "\x00",
    "a\x00b",
    "é",
    "e\u0301",
    "\u202e",
    "\U0001f600",
    " ",
    "../..",
    "'--",
    "%s",
    "x" * 70_000,
)
EDGE_BYTES = (
    b"",
    b"\x00",
    bytes(32),
    b"\xff" * 32,
    bytes(64),
    b"\xff" * 64,
    bytes(256),
    b"\xff" * 256,
    bytes(768),
    b"\xff" * 1024,
    bytes(SMALL_MESSAGE + 1),
    *(value.to_bytes(32, "big") for value in (1, R - 1, R, R + 1, P - 1, P)),
    P.to_bytes(32, "big") * 2,
    b"{}",
    b"[" * 5000,
)


def mutations(seed: int, messages: int) -> list[list[Mutation]]:
    """The mutations of so many messages, each its own."""
    chance, ways = random.Random(seed), sorted(WAYS)
    return [
        [(chance.choice(ways), chance.randrange(2**32)) for _ in range(chance.randint(1, MUTATIONS))]
        for _ in range(messages)
    ]


@dataclass
class Material:
    """What mutations of one message draw from: the message, and honest messages of every kind.

    Attributes
    ----------
    example
        An honest message with its fields set.
    others
        Honest messages, this one's kind and others, as bytes.
    values
        Values of bytes, texts and numbers that stood in any of them.
    """

    example: Message
    others: Sequence[bytes]
    values: dict[int, list[Any]]
    edges: list[Alteration] = field(init=False)

    def __post_init__(self) -> None:
        small = list(alterations(self.example))
        self.edges = small + list(alterations(self.example, self._changes))

    def _changes(self, of: FieldDescriptor, value: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
        edges: Sequence[Any] = EDGE_NUMBERS
        if of.type == FieldDescriptor.TYPE_BYTES:
            edges = EDGE_BYTES
            yield "a bit flipped", lambda old: _flip(old, random.Random(repr(old)))
        elif of.type == FieldDescriptor.TYPE_STRING:
            edges = EDGE_TEXTS
        elif of.type == FieldDescriptor.TYPE_BOOL:
            edges = (False, True)
        for edge in (*edges, *self.values.get(of.type, ())):
            if edge != value:
                yield "set to an edge or another's value", lambda _, edge=edge: edge


def values_of(messages: Sequence[Message]) -> dict[int, list[Any]]:
    """The single values in some messages, by their type."""
    found: dict[int, dict[Any, None]] = {}

    def walk(message: Message) -> None:
        for of, value in message.ListFields():
            for item in value if of.is_repeated else [value]:
                if of.message_type is not None:
                    walk(item)
                else:
                    found.setdefault(of.type, {})[item] = None

    for message in messages:
        walk(message)
    return {kind: list(values) for kind, values in found.items()}


def mutated(material: Material, encoded: bytes, how: Sequence[Mutation]) -> bytes:
    """An encoded message after its mutations; one that cannot be applied to what the ones before left does nothing."""
    for way, number in how:
        encoded = WAYS[way](encoded, random.Random(number), material)
    return encoded


Way = Callable[[bytes, random.Random, Material], bytes]


def _altered(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    if not material.edges:
        return _unknown(encoded, chance, material)
    try:
        message = type(material.example).FromString(encoded)
        return chance.choice(material.edges).apply(message).SerializeToString()
    except (DecodeError, IndexError, ValueError):  # what was there is gone, or the number does not fit the field
        return encoded


def _flip(encoded: bytes, chance: random.Random) -> bytes:
    if not encoded:
        return b"\x00"
    place = chance.randrange(len(encoded))
    return encoded[:place] + bytes([encoded[place] ^ 1 << chance.randrange(8)]) + encoded[place + 1 :]


def _flips(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 8))):
        encoded = _flip(encoded, chance)
    return encoded


def _byte(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    place = chance.randrange(len(encoded) + 1)
    return encoded[:place] + bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF))]) + encoded[place + 1 :]


def _range(encoded: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(encoded) + 1)
    return start, min(len(encoded), start + chance.choice((1, 2, 8, 32, 64, 256)))


def _cut_out(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    start, end = _range(encoded, chance)
    return encoded[:start] + encoded[end:]


def _repeated(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    start, end = _range(encoded, chance)
    return encoded[:end] + encoded[start:end] * chance.choice((1, 1, 2, 50)) + encoded[end:]


def _put_in(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    place = chance.randrange(len(encoded) + 1)
    return encoded[:place] + chance.randbytes(chance.choice((1, 2, 4, 16, 64))) + encoded[place:]


def _truncated(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    return encoded[: chance.randrange(len(encoded) + 1)]


def _spliced(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    other = chance.choice(material.others)
    return encoded[: chance.randrange(len(encoded) + 1)] + other[chance.randrange(len(other) + 1) :]


def _noise(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    return chance.randbytes(chance.choice((1, 2, 3, 16, 100, 1000)))


def _unknown(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    """A field that the message does not have, or has, of any wire type, well formed or not."""
    number = chance.choice((1, 2, 3, 15, 16, 2047, 19000, 2**29 - 1, 2**29, 0, chance.randrange(2**29)))
    kind = chance.randrange(8)
    body = {
        0: _varint(chance.choice(EDGE_NUMBERS) % 2**64),
        1: chance.randbytes(8),
        2: _varint(chance.choice((0, 3, 2**31, 2**63))) + chance.randbytes(3),
        5: chance.randbytes(4),
    }.get(kind, b"")
    return encoded + _varint(number << 3 | kind) + body


def _nested(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    """Groups, or messages, in one another, deeper than a parser should follow."""
    depth = chance.choice((1, 99, 100, 101, 5000))
    if chance.random() < 0.5:
        return encoded + b"\x0b" * depth + (b"\x0c" * depth if chance.random() < 0.5 else b"")
    inner = b""
    for _ in range(min(depth, 200)):
        inner = b"\x0a" + _varint(len(inner)) + inner
    return encoded + inner


def _length(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    """A length that does not fit what follows, in some field, however deep the field happens to lie."""
    fields = _fields(encoded)
    lengths = [(tag, start) for tag, start, _, kind in fields if kind == 2]
    if not lengths:
        return _unknown(encoded, chance, material)
    tag, start = chance.choice(lengths)
    after = _after_varint(encoded, tag)
    length = start and _read_varint(encoded, after)[0]
    wrong = chance.choice((length + 1, max(0, length - 1), 0, 2**31 - 1, 2**31, 2**32, 2**63, length + 2**32))
    padding = chance.choice((0, 0, 1, 9))
    return encoded[:after] + _varint(wrong if padding == 0 else length, padding) + encoded[start:]


def _field_again(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    """A whole field twice, many times, or behind the others."""
    fields = _fields(encoded)
    if not fields:
        return _unknown(encoded, chance, material)
    tag, _, end, _ = chance.choice(fields)
    whole = encoded[tag:end]
    times = chance.choice((1, 1, 2, 1030, 5000))
    times = min(times, 1 + 2 * SMALL_MESSAGE // max(1, len(whole)))
    return encoded + whole * times if chance.random() < 0.7 else encoded[:tag] + encoded[end:] + whole


def _fields_shuffled(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    pieces = [encoded[tag:end] for tag, _, end, _ in _fields(encoded)]
    chance.shuffle(pieces)
    return b"".join(pieces)


def _field_of_another(encoded: bytes, chance: random.Random, material: Material) -> bytes:
    """A field in the place of another, under the other's number."""
    mine, other = _fields(encoded), chance.choice(material.others)
    theirs = [item for item in _fields(other) if item[3] == 2]
    places = [item for item in mine if item[3] == 2]
    if not places or not theirs:
        return _unknown(encoded, chance, material)
    (tag, _, end, _), (_, start, stop, _) = chance.choice(places), chance.choice(theirs)
    body = other[start:stop]
    return encoded[: _after_varint(encoded, tag)] + _varint(len(body)) + body + encoded[end:]


WAYS: dict[str, Way] = {
    "fields altered": _altered,
    "more fields altered": lambda encoded, chance, material: _altered(
        _altered(encoded, chance, material), chance, material
    ),
    "bits flipped": _flips,
    "a byte set": _byte,
    "a range cut out": _cut_out,
    "a range repeated": _repeated,
    "bytes put in": _put_in,
    "truncated": _truncated,
    "spliced with another": _spliced,
    "noise instead": _noise,
    "an unknown field": _unknown,
    "nested deeply": _nested,
    "a wrong length": _length,
    "a field again": _field_again,
    "fields shuffled": _fields_shuffled,
    "a field of another": _field_of_another,
}


def _fields(encoded: bytes) -> list[tuple[int, int, int, int]]:
    """Fields of a message as far as it is well formed: where tag, contents and end are, and the wire type."""
    found, place = [], 0
    while place < len(encoded):
        try:
            tag, start = _read_varint(encoded, place)
            kind = tag & 7
            if kind == 2:
                length, start = _read_varint(encoded, start)
                end = start + length
            else:
                end = _after_varint(encoded, start) if kind == 0 else start + {1: 8, 5: 4}[kind]
        except (IndexError, KeyError):
            break
        if end > len(encoded):
            break
        found.append((place, start, end, kind))
        place = end
    return found


def _varint(value: int, padding: int = 0) -> bytes:
    """A number as a varint, with more bytes than it needs if told."""
    groups = []
    while True:
        groups.append(value & 0x7F)
        value >>= 7
        if not value:
            break
    groups += [0] * padding
    return bytes([group | 0x80 for group in groups[:-1]] + [groups[-1]])


def _read_varint(encoded: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = encoded[place]
        value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return value, place


def _after_varint(encoded: bytes, place: int) -> int:
    return _read_varint(encoded, place)[1]
