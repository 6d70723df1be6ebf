"""Proofs verified by the node, for those who have no verifier of their own.

Callers ask for one proof at a time. What callers of one process ask meanwhile goes out together: a call costs some 300
microseconds of Python on both sides whatever it carries, ten times what a proof costs in a batch. The first caller
is not held up for others; while :data:`ON_THE_WAY` messages are on the way, the next ones grow by themselves.

Verdicts are the node's word: who relies on them trusts the node. Who does not, verifies with :mod:`zkcore.groth16`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.connection import opened
from services.errors import AnswerMismatch, Unreachable
from services.identity import Authority, Identity, Role
from services.retry import repeated
from services.server import DEADLINE, Address, channel
from services.status import Refusal
from zkcore.errors import OutOfRange, Refused, WrongLength
from zkcore.groth16 import Proof, VerifyingKey
from zkcore.groth16.keys import PROOF_BYTES

ON_THE_WAY = 2
"""Messages on the way at once: the node verifies one while the other is read or answered."""
SHARED_FROM = 256
"""Proofs that go out in one message rather than two: what a message costs besides them is then some 4 us a proof. More
are shared out, so that both ends stay at work."""
MOST = 4096
"""Proofs in a message, as its proto says."""
MOST_BYTES = 1 << 23
"""Bytes of public inputs in a message, well below what a message may have."""


@dataclass(frozen=True, slots=True)
class _Item:
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
        self._messages: set[asyncio.Task[None]] = set()
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
        for task in self._messages:
            task.cancel()
        await asyncio.gather(*self._messages, return_exceptions=True)
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
        while self._columns and len(self._messages) < ON_THE_WAY:
            digest, column = next(iter(self._columns.items()))
            del self._columns[digest]
            share = max(SHARED_FROM, -(-len(column.items) // (ON_THE_WAY - len(self._messages))))
            items = [column.items.popleft() for _ in range(min(share, column.most, len(column.items)))]
            if column.items:  # behind the other keys
                self._columns[digest] = column
            if items := [item for item in items if not item.verdict.done()]:  # nobody waits for the others any more
                task = self._loop.create_task(self._exchange(column, items))
                self._messages.add(task)
                task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._messages.discard(task)
        if not self._closed:
            self._loop.call_soon(self._send)  # with those who ask again at once

    async def _exchange(self, column: _Column, items: list[_Item]) -> None:
        """Sends proofs and tells each caller its verdict, or all of them why there is none."""
        request = pb.VerifyColumnsRequest(
            verifying_key=column.encoded,
            proofs=b"".join([item.proof for item in items]),
            public_inputs=b"".join([item.public for item in items]),
        )
        try:
            left = items[0].until - self._loop.time()
            if left <= 0:
                raise Unreachable("node", "too much waits for it; no verdict came in time")
            verdicts = _verdicts(await repeated(self._stub.VerifyColumns, request, left), len(items))
        except Refused as refused:
            _refuse(items, refused)
        except BaseException:
            _refuse(items, Unreachable("client", "it is closed"))
            raise
        else:
            for item, verdict in zip(items, verdicts, strict=True):
                if item.verdict.done():  # its caller gave up
                    continue
                if isinstance(verdict, Refused):
                    item.verdict.set_exception(verdict)
                else:
                    item.verdict.set_result(verdict)


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
