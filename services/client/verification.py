"""Proofs verified by the node, for those who have no verifier of their own.

Callers ask for one proof at a time. What callers of one process ask meanwhile goes out together, message by message
over one stream: a message costs some 200 microseconds of Python on both sides whatever it carries, seven times what a
proof costs in a batch, and a call of its own thrice that. The first caller is not held up for others; while a message
is on the way the next one grows by itself.

What the stream does not carry through, since it ended or the node refused it, is asked again in a call of its own,
which says why there is no verdict, and is repeated where that may help.

Verdicts are the node's word: who relies on them trusts the node. Who does not, verifies with :mod:`zkcore.groth16`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import grpc
import structlog

from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.connection import opened
from services.errors import AnswerMismatch, Unreachable
from services.identity import Authority, Identity, Role
from services.retry import repeated
from services.server import DEADLINE, Address, channel, streamed
from services.status import Refusal
from zkcore.errors import OutOfRange, Refused, WrongLength
from zkcore.groth16 import Proof, VerifyingKey
from zkcore.groth16.keys import PROOF_BYTES

ON_THE_WAY = 2
"""Messages on the way at once: the node verifies one while the other is read or answered."""
SHARED_FROM = 256
"""Proofs that go out in one message rather than two: what a message costs besides them, beside working kernels, is then
some 4 us a proof. Fewer wait for the message on the way; more are shared out, so that both ends stay at work."""
STREAM_SECONDS = 60.0
"""After which a stream is ended and the next message begins another: well before the node would end it."""
MOST = 4096
"""Proofs in a message, as its proto says."""
MOST_BYTES = 1 << 23
"""Bytes of public inputs in a message, well below what a message may have."""


_log = structlog.get_logger("zkshare.client")


class _Item(NamedTuple):
    """A proof that waits, with its inputs, until when, and where its verdict is awaited."""

    proof: bytes
    public: bytes
    until: float
    verdict: asyncio.Future[bool]


class _Column:
    """What waits for its verdict under one key."""

    def __init__(self, key: VerifyingKey) -> None:
        self.encoded = key.to_bytes()
        self.width = 32 * key.n_public
        self.most = max(1, min(MOST, MOST_BYTES // max(self.width, 1)))
        self.items: deque[_Item] = deque()


@dataclass(frozen=True, slots=True)
class _Message:
    """What goes out together."""

    request: pb.VerifyColumnsRequest
    items: list[_Item]


class _Stream:
    """Messages that share a call; they are answered in their order."""

    def __init__(self) -> None:
        self.open = True
        self._requests: asyncio.Queue[pb.VerifyStreamRequest | None] = asyncio.Queue()
        self._unanswered: deque[tuple[_Message, asyncio.TimerHandle]] = deque()
        self.task: asyncio.Task[None]

    def put(self, message: _Message, overdue: asyncio.TimerHandle) -> None:
        """Sends a message; `overdue` ends the stream if there is no answer in time."""
        self._unanswered.append((message, overdue))
        self._requests.put_nowait(pb.VerifyStreamRequest(columns=message.request))

    def take(self) -> _Message | None:
        """The first message without an answer, which has one now; None if all have theirs."""
        if not self._unanswered:
            return None
        message, overdue = self._unanswered.popleft()
        overdue.cancel()
        return message

    def end(self) -> None:
        """Sends nothing more; what was sent is still answered."""
        if self.open:
            self.open = False
            self._requests.put_nowait(None)

    async def requests(self) -> AsyncIterator[pb.VerifyStreamRequest]:
        """What is sent, until :meth:`end`."""
        while (request := await self._requests.get()) is not None:
            yield request


class VerificationClient:
    """Has proofs verified by a node; callers of one process share messages.

    Parameters
    ----------
    node
        Where the operator's node listens.
    identity
        Of any role.
    operator
        Name of the operator.
    authority
        Whose certificate the node has, with its list of revoked ones; the identity's own, without a list, unless told.
    timeout
        Seconds that a caller waits for a verdict; until then the same proofs are sent again when that may help.
    """

    def __init__(
        self,
        node: Address,
        identity: Identity,
        operator: str,
        authority: Authority | None = None,
        timeout: float = DEADLINE,
    ) -> None:
        self._node = node
        self._identity = identity
        self._operator = operator
        self._authority = authority
        self._timeout = timeout
        self._columns: dict[bytes, _Column] = {}  # by the key's digest
        self._on_the_way = 0
        self._stream: _Stream | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # that follow a stream, or ask again
        self._closed = True

    @classmethod
    @asynccontextmanager
    async def connect(cls, role: Role, file: Path | str) -> AsyncIterator[Self]:
        """A client made from the configuration file of a bank, a tax agency or an enterprise; stopped at the end.

        Raises
        ------
        zkcore.errors.Refused
            If the configuration, or a file that it names, is not right.
        """
        async with opened(role, file) as of:
            client = cls(of.node, of.identity, of.parameters.operator, of.parameters.authority)
            await client.start()
            try:
                yield client
            finally:
                await client.stop()

    async def start(self) -> None:
        """Opens its connection."""
        self._channel = channel(self._identity, self._node, Role.OPERATOR, self._operator, self._authority)
        self._stub = rpc.VerificationServiceStub(self._channel)
        self._loop = asyncio.get_running_loop()
        self._closed = False

    async def stop(self) -> None:
        """Refuses who still waits and closes the connection."""
        self._closed = True
        await asyncio.sleep(0)  # so that what was just begun knows whom to refuse
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for column in self._columns.values():
            _refuse(column.items, Unreachable("client", "it is closed"))
        self._columns.clear()
        await self._channel.close(None)

    async def verify(self, key: VerifyingKey, proof: Proof | bytes, public: Sequence[int] | bytes) -> bool:
        """Whether a proof holds for its public inputs, by the node's word.

        Parameters
        ----------
        proof
            Or its 256 bytes.
        public
            Field elements, as many as the key asks for; or 32 bytes each, big-endian, joined.

        Raises
        ------
        zkcore.errors.WrongLength, zkcore.errors.OutOfRange
            If the inputs are not as many as the key asks for, or the proof is not of 256 bytes; a number does not fit.
        services.status.Refusal
            If the node says that the bytes are no proof.
        services.errors.Unreachable
            If there is no verdict in time.
        """
        return await self._ask(key, proof, public)

    async def verify_many(
        self, key: VerifyingKey, items: Iterable[tuple[Proof | bytes, Sequence[int] | bytes]]
    ) -> list[bool]:
        """The verdicts on many proofs with their inputs, in their order; raises as :meth:`verify` for the first."""
        verdicts: list[asyncio.Future[bool]] = []
        try:
            for proof, public in items:
                verdicts.append(self._ask(key, proof, public))
            await asyncio.gather(*verdicts, return_exceptions=True)
        except BaseException:
            for verdict in verdicts:
                verdict.cancel()
            raise
        return [verdict.result() for verdict in verdicts]

    def _ask(self, key: VerifyingKey, proof: Proof | bytes, public: Sequence[int] | bytes) -> asyncio.Future[bool]:
        if self._closed:
            raise Unreachable("client", "it is closed")
        column = self._columns.get(key.digest())
        if column is None:
            column = self._columns[key.digest()] = _Column(key)
            self._loop.call_soon(self._send)  # once everybody who is about to ask has asked
        loop = self._loop
        encoded = proof if isinstance(proof, bytes) else _encoded(proof)
        inputs = public if isinstance(public, bytes) else _joined(public)
        if len(encoded) != PROOF_BYTES:
            raise WrongLength("proof", f"a proof takes {PROOF_BYTES} bytes")
        if len(inputs) != column.width:
            raise WrongLength("public", f"the key takes {key.n_public} public inputs, 32 bytes each")
        item = _Item(encoded, inputs, loop.time() + self._timeout, loop.create_future())
        column.items.append(item)
        return item.verdict

    def _send(self) -> None:
        """Sends what waits, as long as another message may be on the way."""
        while self._columns and self._on_the_way < ON_THE_WAY:
            digest, column = next(iter(self._columns.items()))
            if self._on_the_way and len(column.items) < SHARED_FROM:
                return  # they go with those who come until the message is answered
            del self._columns[digest]
            share = max(SHARED_FROM, -(-len(column.items) // (ON_THE_WAY - self._on_the_way)))
            items = [column.items.popleft() for _ in range(min(share, column.most, len(column.items)))]
            if column.items:  # behind the other keys
                self._columns[digest] = column
            if items := [item for item in items if not item.verdict.done()]:  # nobody waits for the others any more
                request = pb.VerifyColumnsRequest(
                    verifying_key=column.encoded,
                    proofs=b"".join([item.proof for item in items]),
                    public_inputs=b"".join([item.public for item in items]),
                )
                self._on_the_way += 1
                stream = self._open_stream()
                stream.put(_Message(request, items), self._loop.call_at(items[0].until, stream.task.cancel))

    def _open_stream(self) -> _Stream:
        stream = self._stream
        if stream is None or not stream.open:
            stream = self._stream = _Stream()
            stream.task = self._begin(self._follow(stream))
            self._loop.call_later(STREAM_SECONDS, stream.end)
        return stream

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _follow(self, stream: _Stream) -> None:
        """Hands out the verdicts that come over a stream; has the messages that it leaves unanswered asked again."""
        try:
            async for response in streamed(self._stub.VerifyStream(stream.requests())):
                message = stream.take()
                if message is None:
                    break  # it answers what was not asked
                if response.WhichOneof("outcome") == "verdicts":
                    self._settle(message, response.verdicts)
                else:
                    self._begin(self._ask_again(message))
        except Refused as refused:
            _log.info("stream ended", check=refused.check, part=refused.part)
        except asyncio.CancelledError:  # a message is overdue, or the connection was given up
            if self._closed:
                raise
        finally:
            stream.end()
            while (left := stream.take()) is not None:
                if self._closed or all(item.verdict.done() for item in left.items):
                    self._refuse(left, Unreachable("client", "it is closed"))
                else:
                    self._begin(self._ask_again(left))

    async def _ask_again(self, message: _Message) -> None:
        """Sends a message in a call of its own, repeated while that may help."""
        try:
            left = message.items[0].until - self._loop.time()
            if left <= 0:
                raise Unreachable("node", "too much waits for it; no verdict came in time")
            response = await repeated(self._stub.VerifyColumns, message.request, left)
        except Refused as refused:
            self._refuse(message, refused)
        except BaseException:
            self._refuse(message, Unreachable("client", "it is closed"))
            raise
        else:
            self._settle(message, response)

    def _settle(self, message: _Message, response: pb.VerifyColumnsResponse) -> None:
        """Tells each caller its verdict."""
        try:
            verdicts = _verdicts(response, len(message.items))
        except Refused as refused:
            self._refuse(message, refused)
            return
        for item, verdict in zip(message.items, verdicts, strict=True):
            if item.verdict.done():  # its caller gave up
                continue
            if isinstance(verdict, Refused):
                item.verdict.set_exception(verdict)
            else:
                item.verdict.set_result(verdict)
        self._arrived()

    def _refuse(self, message: _Message, refused: Refused) -> None:
        """Tells all of them why there is no verdict."""
        _refuse(message.items, refused)
        self._arrived()

    def _arrived(self) -> None:
        self._on_the_way -= 1
        if not self._closed:
            self._loop.call_soon(self._send)  # with those who ask again at once


def _verdicts(response: pb.VerifyColumnsResponse, count: int) -> list[bool | Refused]:
    """The verdict on each proof of a message; raises AnswerMismatch if the response is not about that many."""
    verdicts: list[bool | Refused] = [True] * count
    told = [*response.invalid, *(each.index for each in response.malformed)]
    if len(set(told)) != len(told) or any(index >= count for index in told):
        raise AnswerMismatch("verdicts", "the node does not give each proof one verdict")
    for index in response.invalid:
        verdicts[index] = False
    for each in response.malformed:
        verdicts[each.index] = Refusal(each.check.lower(), each.part, each.why, grpc.StatusCode.INVALID_ARGUMENT)
    return verdicts


def _refuse(items: Iterable[_Item], refused: Refused) -> None:
    for item in items:
        if not item.verdict.done():
            item.verdict.set_exception(refused)


def _encoded(proof: Proof) -> bytes:
    """The bytes of a proof whose numbers are in range: half the time of :meth:`Proof.to_bytes`."""
    a_x, a_y, b_x0, b_x1, b_y0, b_y1, c_x, c_y = proof.numbers()
    return _joined((a_x, a_y, b_x1, b_x0, b_y1, b_y0, c_x, c_y))


def _joined(public: Sequence[int]) -> bytes:
    try:
        return b"".join([number.to_bytes(32, "big") for number in public])
    except OverflowError:
        raise OutOfRange("public", "a number is negative or takes more than 32 bytes") from None
