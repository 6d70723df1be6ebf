"""The verification service: Groth16 proofs over BN254, one or many, against a key that the caller brings.

Requests of all callers are gathered for :data:`GATHER_SECONDS` and verified as one batch, whatever their keys.
"""

import asyncio
import os
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.gathering import Gatherer, Size
from services.metrics import BATCH_SIZE
from services.server import Workers
from services.status import error_info
from services.streams import InOrder
from zkcore.errors import Refused, WrongLength
from zkcore.groth16 import PreparedVerifyingKey, Proof, VerifyingKey
from zkcore.groth16.batch import verify_columns
from zkcore.groth16.keys import PROOF_BYTES

PREPARED_KEYS = 64
"""Keys kept prepared; the least recently used makes room."""
PREPARED_INPUTS = 2048
"""Public inputs of all keys kept prepared, which say how much memory they take: 88 kB each."""
BATCH = 256
"""Proofs verified together: more are hardly quicker a proof, and answered later."""
ENOUGH = 16
"""Proofs that are verified at once, without waiting for others: one then costs twice what it does in a large batch."""
PART = 32
"""Proofs of a message that stay together; what is more is shared out, as cores become free."""
QUEUE = Size(16384, 1 << 26)
"""Proofs that may wait, and bytes of them with their inputs: four times what one message may hold. More is Busy."""
GATHER_SECONDS = 0.004
"""How long the first proof of a batch waits for others."""

AHEAD = 4
"""Messages of one stream that may be at work: while one is verified, the next is read."""
AT_ONCE = os.cpu_count() or 1
"""Batches verified side by side, each on one core."""

_Verdict = bool | Refused
"""Whether a proof holds, or why its bytes are no proof."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Proofs under one key, 256 bytes each, and their public inputs, 32 bytes each, both joined."""

    key: PreparedVerifyingKey
    proofs: bytes
    inputs: bytes

    def __len__(self) -> int:
        return len(self.proofs) // PROOF_BYTES

    @property
    def size(self) -> Size:
        """What they count for while they wait."""
        return Size(len(self), len(self.proofs) + len(self.inputs))

    def check(self) -> None:
        """Refuses columns of lengths that do not fit; what else is wrong is found where the proofs are verified."""
        n_public = self.key.key.n_public
        if len(self.proofs) % PROOF_BYTES:
            raise WrongLength("proofs", f"a proof takes {PROOF_BYTES} bytes")
        if len(self.inputs) != 32 * n_public * len(self):
            raise WrongLength("public_inputs", f"the key takes {n_public} of each proof, 32 bytes each")

    def parts(self) -> "list[_Columns]":
        """The same, cut so that they can be shared out."""
        if not len(self):
            return []
        width, count = 32 * self.key.key.n_public, -(-len(self) // PART)
        ends = [len(self) * n // count for n in range(count + 1)]
        return [
            _Columns(self.key, self.proofs[PROOF_BYTES * at : PROOF_BYTES * end], self.inputs[width * at : width * end])
            for at, end in pairwise(ends)
        ]

    def verdict_on_bad(self, row: int) -> _Verdict:
        """Whether a row that was found to be bad is a false proof, or why its bytes are none."""
        try:
            Proof.from_bytes(self.proofs[PROOF_BYTES * row : PROOF_BYTES * (row + 1)])
        except Refused as refused:
            return refused
        return False

    def verify_only(self) -> bool:
        """Whether the only row's proof holds; raises as :meth:`zkcore.groth16.PreparedVerifyingKey.verify`."""
        inputs = [int.from_bytes(self.inputs[at : at + 32], "big") for at in range(0, len(self.inputs), 32)]
        return self.key.verify(Proof.from_bytes(self.proofs), inputs)


class VerificationServicer(rpc.VerificationServiceServicer):
    """Verifies proofs in the worker threads and keeps recently used keys prepared."""

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["VerificationService"]

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._gatherer = Gatherer[_Columns, list[_Verdict]](
            _verify, lambda columns: columns.size, workers, BATCH, QUEUE, GATHER_SECONDS, AT_ONCE, ENOUGH
        )
        self._streams = InOrder(self._verdicts, AHEAD)
        self._prepared: OrderedDict[bytes, PreparedVerifyingKey] = OrderedDict()
        self._preparing: dict[bytes, asyncio.Lock] = {}

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_VerificationServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Begins to verify."""
        await self._gatherer.start()

    async def close(self) -> None:
        """Ends the streams, so that the server can stop; their callers ask again elsewhere or later."""
        self._streams.close()

    async def stop(self) -> None:
        """Finishes the batches at hand, refuses what still waits."""
        await self._gatherer.stop()

    async def Verify(self, request: pb.VerifyRequest, context: grpc.aio.ServicerContext) -> pb.VerifyResponse:
        key = await self._key(request.verifying_key)
        asked = _Columns(key, request.item.proof, b"".join(request.item.public_inputs))
        fits = len(request.item.public_inputs) == key.key.n_public
        # A batch does not tell a false proof from a malformed one; its caller shall know.
        if not fits or (await self._gatherer.one(asked))[0] is not True:
            return pb.VerifyResponse(valid=await self._workers.run(asked.verify_only))
        return pb.VerifyResponse(valid=True)

    async def VerifyBatch(
        self, request: pb.VerifyBatchRequest, context: grpc.aio.ServicerContext
    ) -> pb.VerifyBatchResponse:
        key = await self._key(request.verifying_key)
        fitting = [n for n, item in enumerate(request.items) if len(item.public_inputs) == key.key.n_public]
        verdicts: list[_Verdict] = [False] * len(request.items)
        proofs = b"".join([request.items[n].proof for n in fitting])
        inputs = b"".join([value for n in fitting for value in request.items[n].public_inputs])
        for n, verdict in zip(fitting, await self._each(_Columns(key, proofs, inputs)), strict=True):
            if isinstance(verdict, Refused):
                raise type(verdict)(f"items[{n}].{verdict.part}", verdict.why)
            verdicts[n] = verdict
        return pb.VerifyBatchResponse(invalid=[index for index, valid in enumerate(verdicts) if not valid])

    async def VerifyColumns(
        self, request: pb.VerifyColumnsRequest, context: grpc.aio.ServicerContext
    ) -> pb.VerifyColumnsResponse:
        return await self._verdicts(request)

    async def VerifyStream(
        self, requests: AsyncIterator[pb.VerifyStreamRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.VerifyStreamResponse]:
        async for outcome in self._streams.answers(request.columns async for request in requests):
            if isinstance(outcome, Refused):
                yield pb.VerifyStreamResponse(refusal=_refusal(outcome))
            else:
                yield pb.VerifyStreamResponse(verdicts=outcome)

    async def _verdicts(self, request: pb.VerifyColumnsRequest) -> pb.VerifyColumnsResponse:
        columns = _Columns(await self._key(request.verifying_key), request.proofs, request.public_inputs)
        columns.check()
        verdicts = await self._each(columns)
        return pb.VerifyColumnsResponse(
            invalid=[index for index, verdict in enumerate(verdicts) if verdict is False],
            malformed=[
                _malformed(index, verdict) for index, verdict in enumerate(verdicts) if isinstance(verdict, Refused)
            ],
        )

    async def _each(self, columns: _Columns) -> list[_Verdict]:
        """The verdict on each row."""
        verdicts: list[_Verdict] = []
        for part in await self._gatherer.each(columns.parts()):
            if isinstance(part, Refused):
                raise part
            verdicts += part
        return verdicts

    async def _key(self, encoded: bytes) -> PreparedVerifyingKey:
        if encoded not in self._prepared:
            # Callers with the same new key wait for the first of them to prepare it.
            async with self._preparing.setdefault(encoded, asyncio.Lock()):
                if encoded not in self._prepared:
                    try:
                        self._prepared[encoded] = await self._workers.run(_prepare, encoded)
                    finally:
                        self._preparing.pop(encoded, None)
            self._make_room()
        self._prepared.move_to_end(encoded)
        return self._prepared[encoded]

    def _make_room(self) -> None:
        while len(self._prepared) > 1 and (
            len(self._prepared) > PREPARED_KEYS
            or sum(prepared.key.n_public for prepared in self._prepared.values()) > PREPARED_INPUTS
        ):
            self._prepared.popitem(last=False)


def _prepare(encoded: bytes) -> PreparedVerifyingKey:
    return VerifyingKey.from_bytes(encoded).prepare()


def _malformed(index: int, refused: Refused) -> pb.MalformedProof:
    info = error_info(refused)
    return pb.MalformedProof(index=index, check=info.reason, part=info.metadata["part"], why=info.metadata["why"])


def _refusal(refused: Refused) -> pb.VerificationRefusal:
    info = error_info(refused)
    return pb.VerificationRefusal(check=info.reason, part=info.metadata["part"], why=info.metadata["why"])


def _verify(batch: Sequence[_Columns]) -> list[list[_Verdict]]:
    """The verdicts on the rows of each; those under one key are verified together."""
    verdicts: list[list[_Verdict]] = [[True] * len(columns) for columns in batch]
    BATCH_SIZE.observe(sum(map(len, batch)))
    by_key: dict[int, list[int]] = defaultdict(list)
    for n, columns in enumerate(batch):
        by_key[id(columns.key)].append(n)
    for chosen in by_key.values():
        proofs = b"".join([batch[n].proofs for n in chosen])
        inputs = b"".join([batch[n].inputs for n in chosen])
        bad = verify_columns(batch[chosen[0]].key, proofs, inputs)
        places = [(n, row) for n in chosen for row in range(len(batch[n]))] if bad else []
        for n, row in map(places.__getitem__, bad):
            verdicts[n][row] = batch[n].verdict_on_bad(row)
    return verdicts
