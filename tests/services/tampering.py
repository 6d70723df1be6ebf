"""Every way to alter a message by one field, found by walking its descriptor.

Fields that carry another message as bytes (signed statements, submissions) are walked into as well, so that a field of
a statement is altered where it lies, under the signature that was made for the original.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from services.api.zkshare.v1.aggregate_pb2 import QueryStatement
from services.api.zkshare.v1.credit_pb2 import ScoreStatement
from services.api.zkshare.v1.submission_pb2 import Submission

CARRIED: dict[str, type[Message]] = {
    "zkshare.v1.SubmitRequest.submission": Submission,
    "zkshare.v1.SubmitManyRequest.submission": Submission,
    "zkshare.v1.StreamEntriesResponse.entry": Submission,
}
"""Bytes fields that hold a message."""
SIGNED: dict[str, type[Message]] = {
    "zkshare.v1.QueryRequest.query": QueryStatement,
    "zkshare.v1.DecryptShareRequest.query": QueryStatement,
    "zkshare.v1.GetQueryResponse.query": QueryStatement,
    "zkshare.v1.RequestScoreRequest.request": ScoreStatement,
    "zkshare.v1.ListRequestsResponse.requests": ScoreStatement,
    "zkshare.v1.WatchRequestsResponse.request": ScoreStatement,
}
"""What the statement of a Signed in these fields is."""


@dataclass(frozen=True)
class Alteration:
    """One way to alter a message: the field that changes, how, and the function that does it."""

    field: str
    path: str
    how: str
    apply: Callable[[Message], Message]

    def __str__(self) -> str:
        return f"{self.path} {self.how}"


Get = Callable[[Message], Message]
Put = Callable[[Message, Message], Message]
Changes = Callable[[FieldDescriptor, Any], Iterator[tuple[str, Callable[[Any], Any]]]]
"""Ways to change a single value of a field, and what they are called; they are told the example's value."""


def alterations(example: Message, changes: Changes | None = None) -> Iterator[Alteration]:
    """Every alteration of a message, which must be an example with every field set; single values by `changes`."""
    whole = (lambda message: message), (lambda original, altered: altered)
    yield from _of_message(example, "", *whole, None, changes or _changes)


def _of_message(
    example: Message, path: str, get: Get, put: Put, signed: type[Message] | None, changes: Changes
) -> Iterator[Alteration]:
    for field in example.DESCRIPTOR.fields:
        yield from _of_field(example, field, path, get, put, signed, changes)


def _of_field(
    example: Message,
    field: FieldDescriptor,
    path: str,
    get: Get,
    put: Put,
    signed: type[Message] | None,
    changes: Changes,
) -> Iterator[Alteration]:
    here = f"{path}{field.name}"
    value = getattr(example, field.name)

    def at(change: Callable[[Message], None]) -> Callable[[Message], Message]:
        def apply(message: Message) -> Message:
            inner = type(example)()
            inner.CopyFrom(get(message))
            change(inner)
            return put(message, inner)

        return apply

    def alteration(how: str, change: Callable[[Message], None]) -> Alteration:
        return Alteration(field.full_name, here, how, at(change))

    if field.is_repeated:
        yield alteration("emptied", lambda inner: inner.ClearField(field.name))
        if not value:
            return
        yield alteration("last left out", lambda inner: _set(inner, field, list(getattr(inner, field.name))[:-1]))
        yield alteration(
            "last twice", lambda inner: _set(inner, field, _items(inner, field) + _items(inner, field)[-1:])
        )
        if len(value) > 1 and value[0] != value[-1]:
            yield alteration("reversed", lambda inner: _set(inner, field, _items(inner, field)[::-1]))
        if field.message_type is not None:
            yield from _of_message(
                value[0],
                f"{here}[0].",
                lambda message: getattr(get(message), field.name)[0],
                lambda message, altered: at(lambda inner: _set(inner, field, [altered, *_items(inner, field)[1:]]))(
                    message
                ),
                SIGNED.get(field.full_name),
                changes,
            )
        else:
            for how, change in changes(field, value[0]):
                yield alteration(
                    f"[0] {how}",
                    lambda inner, change=change: _set(
                        inner, field, [change(_items(inner, field)[0]), *_items(inner, field)[1:]]
                    ),
                )
        return
    if field.message_type is not None:
        if not example.HasField(field.name):
            return
        yield alteration("left out", lambda inner: inner.ClearField(field.name))
        yield from _of_message(
            value,
            f"{here}.",
            lambda message: getattr(get(message), field.name),
            lambda message, altered: at(lambda inner: getattr(inner, field.name).CopyFrom(altered))(message),
            SIGNED.get(field.full_name),
            changes,
        )
        return
    if field.containing_oneof is not None and not example.HasField(field.name):
        return
    for how, change in changes(field, value):
        yield alteration(
            how, lambda inner, change=change: setattr(inner, field.name, change(getattr(inner, field.name)))
        )
    kind = signed if signed is not None and field.name == "statement" else CARRIED.get(field.full_name)
    if kind is not None:
        yield from _of_message(
            kind.FromString(value),
            f"{here}.",
            lambda message: kind.FromString(getattr(get(message), field.name)),
            lambda message, altered: at(
                lambda inner: setattr(inner, field.name, altered.SerializeToString(deterministic=True))
            )(message),
            None,
            changes,
        )


def _items(message: Message, field: FieldDescriptor) -> list[Any]:
    return list(getattr(message, field.name))


def _set(message: Message, field: FieldDescriptor, items: list[Any]) -> None:
    copies = [item if field.message_type is None else type(item).FromString(item.SerializeToString()) for item in items]
    message.ClearField(field.name)
    getattr(message, field.name).extend(copies)


def _changes(field: FieldDescriptor, value: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """The smallest changes; none may leave `value`, the example, as it is."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        if value:
            yield "first bit flipped", lambda old: bytes([old[0] ^ 0x80]) + old[1:]
            yield "last bit flipped", lambda old: old[:-1] + bytes([old[-1] ^ 1])
            yield "last byte cut off", lambda old: old[:-1]
            yield "emptied", lambda old: b""
        yield "a byte put behind", lambda old: old + b"\x01"
    elif field.type == FieldDescriptor.TYPE_STRING:
        yield "a letter put behind", lambda old: old + "x"
        if value:
            yield "last letter changed", lambda old: old[:-1] + ("y" if old[-1] != "y" else "z")
            yield "emptied", lambda old: ""
    elif field.type == FieldDescriptor.TYPE_BOOL:
        yield "negated", lambda old: not old
    elif field.type == FieldDescriptor.TYPE_ENUM:
        for number in sorted(field.enum_type.values_by_number):
            if number != value:
                yield f"set to {field.enum_type.values_by_number[number].name}", lambda old, number=number: number
    else:
        yield "one more", lambda old: old + 1
        if value:
            yield "one less", lambda old: old - 1 if old else 2
            yield "zero", lambda old: 0 if old else 3
