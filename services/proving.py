"""The verification service: Groth16 proofs over BN254, one or many, against a key that the caller brings.

Requests of all callers are gathered for :data:`GATHER_SECONDS` and verified as one batch, whatever their keys.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Sequence

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.gathering import Gatherer
from services.metrics import BATCH_SIZE
from services.server import Workers
from services.status import error_info
from zkcore.errors import Refused, WrongLength
from zkcore.groth16 import PreparedVerifyingKey, Proof, VerifyingKey
from zkcore.groth16.batch import verify_batch
from zkcore.groth16.keys import PROOF_BYTES

PREPARED_KEYS = 64
"""Keys kept prepared; the least recently used makes room."""
PREPARED_INPUTS = 2048
"""Public inputs of all keys kept prepared, which say how much memory they take: 88 kB each."""
BATCH = 256
"""Proofs verified together: more are hardly quicker a proof, and answered later."""
ENOUGH = 64
"""Proofs that are verified at once, without waiting for others: as many as share one loop of the kernel."""
QUEUE = 16384
"""Proofs that may wait; one more is refused as Busy."""
GATHER_SECONDS = 0.004
"""How long the first proof of a batch waits for others."""

AT_ONCE = os.cpu_count() or 1
"""Batches verified side by side, each on one core."""

_Item = tuple[PreparedVerifyingKey, bytes, bytes]
"""A key, a proof's bytes, and its public inputs, 32 bytes each."""


class VerificationServicer(rpc.VerificationServiceServicer):
    """Verifies proofs in the worker threads and keeps recently used keys prepared."""

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["VerificationService"]

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._gatherer = Gatherer[_Item, bool](_verify, workers, BATCH, QUEUE, GATHER_SECONDS, AT_ONCE, ENOUGH)
        self._prepared: OrderedDict[bytes, PreparedVerifyingKey] = OrderedDict()
        self._preparing: dict[bytes, asyncio.Lock] = {}

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_VerificationServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Begins to verify."""
        await self._gatherer.start()

    async def stop(self) -> None:
        """Finishes the batches at hand, refuses what still waits."""
        await self._gatherer.stop()

    async def Verify(self, request: pb.VerifyRequest, context: grpc.aio.ServicerContext) -> pb.VerifyResponse:
        key = await self._key(request.verifying_key)
        item = _item(key, request.item)
        valid = await self._gatherer.one(item)
        if not valid:  # a batch does not tell a false proof from a malformed one; its caller shall know
            valid = await self._workers.run(lambda: key.verify(*_read(item)))
        return pb.VerifyResponse(valid=valid)

    async def VerifyBatch(
        self, request: pb.VerifyBatchRequest, context: grpc.aio.ServicerContext
    ) -> pb.VerifyBatchResponse:
        key = await self._key(request.verifying_key)
        verdicts = await self._gatherer.each([_item(key, item) for item in request.items])
        for index, verdict in enumerate(verdicts):
            if isinstance(verdict, Refused):
                raise type(verdict)(f"items[{index}].{verdict.part}", verdict.why)
        return pb.VerifyBatchResponse(invalid=[index for index, valid in enumerate(verdicts) if not valid])

    async def VerifyColumns(
        self, request: pb.VerifyColumnsRequest, context: grpc.aio.ServicerContext
    ) -> pb.VerifyColumnsResponse:
        key = await self._key(request.verifying_key)
        verdicts = await self._gatherer.each(_rows(key, request.proofs, request.public_inputs))
        return pb.VerifyColumnsResponse(
            invalid=[index for index, verdict in enumerate(verdicts) if verdict is False],
            malformed=[
                _malformed(index, verdict) for index, verdict in enumerate(verdicts) if isinstance(verdict, Refused)
            ],
        )

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


def _item(key: PreparedVerifyingKey, item: pb.ProofItem) -> _Item:
    return key, item.proof, b"".join(item.public_inputs)


def _rows(key: PreparedVerifyingKey, proofs: bytes, public_inputs: bytes) -> list[_Item]:
    """The items that two columns hold."""
    count, width = len(proofs) // PROOF_BYTES, 32 * key.key.n_public
    if len(proofs) != PROOF_BYTES * count:
        raise WrongLength("proofs", f"a proof takes {PROOF_BYTES} bytes")
    if len(public_inputs) != width * count:
        raise WrongLength("public_inputs", f"the key takes {key.key.n_public} of each proof, 32 bytes each")
    return [
        (key, proofs[PROOF_BYTES * n : PROOF_BYTES * (n + 1)], public_inputs[width * n : width * (n + 1)])
        for n in range(count)
    ]


def _read(item: _Item) -> tuple[Proof, list[int]]:
    _, proof, public = item
    return Proof.from_bytes(proof), [int.from_bytes(public[at : at + 32], "big") for at in range(0, len(public), 32)]


def _malformed(index: int, refused: Refused) -> pb.MalformedProof:
    info = error_info(refused)
    return pb.MalformedProof(index=index, check=info.reason, part=info.metadata["part"], why=info.metadata["why"])


def _verify(items: Sequence[_Item]) -> list[bool | Refused]:
    """For each item whether its proof holds, or why its bytes are no proof."""
    verdicts: list[bool | Refused] = [True] * len(items)
    BATCH_SIZE.observe(len(items))
    for bad in verify_batch(items):
        try:
            _read(items[bad])
            verdicts[bad] = False
        except Refused as refused:
            verdicts[bad] = refused
    return verdicts
