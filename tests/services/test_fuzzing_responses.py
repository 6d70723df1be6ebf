"""Every method's callers meet mutated responses: none crashes them, none hangs them, no lie is taken for an answer.

The bytes of a response are altered below gRPC's decoding, as a hostile server would send them. What is relied on of a
response that was accepted must be what the honest one said: fields on which nothing relies, and lists that never claim
to be complete, are those of :mod:`tests.services.test_tampering`.
"""

import asyncio
import random
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tests.services.calls import methods, path_of
from tests.services.fuzzing import Material, Mutation, mutated, mutations, values_of
from tests.services.test_fuzzing import SECONDS
from tests.services.test_tampering import NOTHING_RELIES_ON, WITHHOLDING, Flows, flows
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK, MANY = 3, 1000
"""Mutated responses of each method."""
FEWER = {
    **dict.fromkeys(("Query", "DecryptShare", "SubmitScoreProof", "GetScore", "ListRequests"), 20),
    **dict.fromkeys(("GetQuery", "StreamEntries", "RequestScore", "Decline", "WatchRequests"), 50),
    **dict.fromkeys(("Submit", "SubmitMany", "Verify", "VerifyBatch", "VerifyColumns", "VerifyStream"), 200),
}
"""The same, of methods whose exchanges need decryption, proofs, files, or requests that stay with the node."""

__all__ = ["flows"]


class Garbler:
    """Alters the first response of a method, or each, and keeps what the first was and what became of it."""

    def __init__(self, material: Material, how: list[Mutation], each: bool) -> None:
        self._material = material
        self._how = how
        self._each = each
        self.honest: bytes | None = None
        self.altered = b""

    def __call__(self, encoded: bytes) -> bytes:
        if self.honest is not None and not self._each:
            return encoded
        altered = mutated(self._material, encoded, self._how)
        if self.honest is None:
            self.honest, self.altered = encoded, altered
        return altered


def relied_on(message: Message) -> Message:
    """What somebody relies on of a message."""
    message.DiscardUnknownFields()
    for of, value in message.ListFields():
        if of.full_name in NOTHING_RELIES_ON:
            message.ClearField(of.name)
        elif of.message_type is not None:
            for item in value if of.is_repeated else [value]:
                relied_on(item)
    return message


def says_the_same(kind: type[Message], honest: bytes, altered: bytes) -> bool:
    """Whether an altered response says nothing that the honest one did not."""
    try:
        one, other = (relied_on(kind.FromString(encoded)) for encoded in (honest, altered))
    except DecodeError:
        return False
    for of in kind.DESCRIPTOR.fields:
        if of.full_name in WITHHOLDING:
            told: list[Any] = list(getattr(one, of.name))
            if not all(item in told for item in getattr(other, of.name)):
                return False
            one.ClearField(of.name)
            other.ClearField(of.name)
    return one == other


async def material(flows: Flows, method: MethodDescriptor) -> Material:
    """Honest responses of an exchange: this method's, and others that came with it."""
    kind, tap = GetMessageClass(method.output_type), flows.running.tap
    start = len(tap.passed)
    await flows.flow(method)()
    passed = tap.passed[start:]
    seen = [encoded for _, direction, encoded in passed if direction == "response"]
    example = kind.FromString(next(e for name, way, e in passed if (name, way) == (path_of(method), "response")))
    return Material(example, seen, values_of([example]))


async def fuzz(flows: Flows, method: MethodDescriptor, count: int) -> None:
    kind, tap, path = GetMessageClass(method.output_type), flows.running.tap, path_of(method)
    made = await material(flows, method)
    for how in mutations(random.Random(path).randrange(2**64), count):
        garbler = Garbler(made, how, each=method.name == "GetScore")  # who is told to wait asks again
        tap.garbled(path, garbler)
        try:
            async with asyncio.timeout(SECONDS):
                await flows.flow(method)()
        except Refused:
            assert garbler.honest is not None, f"{how}: refused before it was altered"
        except Exception as error:
            raise AssertionError(f"{path} {how} {garbler.altered[:400].hex()}") from error
        else:
            # One trustee's lie is one share fewer, and the others suffice: the querier verified the answer.
            same = method.name == "DecryptShare" or says_the_same(kind, garbler.honest or b"", garbler.altered)
            assert same, f"{path} {how} {garbler.altered[:400].hex()}: accepted"
        finally:
            tap.leave()
    await flows.flow(method)()


@pytest.mark.parametrize("method", methods(), ids=path_of)
async def test_mutated_responses(flows: Flows, method: MethodDescriptor) -> None:
    await fuzz(flows, method, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("method", methods(), ids=path_of)
async def test_many_mutated_responses(flows: Flows, method: MethodDescriptor) -> None:
    await fuzz(flows, method, FEWER.get(method.name, MANY))
