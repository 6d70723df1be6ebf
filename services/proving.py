"""The verification service: Groth16 proofs over BN254, one or many, against a key that the caller brings."""

from collections import OrderedDict
from collections.abc import Iterable

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from services.api.zkshare.v1 import verification_pb2 as pb
from services.api.zkshare.v1 import verification_pb2_grpc as rpc
from services.server import Workers
from zkcore.errors import Refused
from zkcore.groth16 import PreparedVerifyingKey, Proof, VerifyingKey

PREPARED_KEYS = 64
"""Keys kept prepared; the least recently used makes room."""


class VerificationServicer(rpc.VerificationServiceServicer):
    """Verifies proofs in the worker threads and keeps recently used keys prepared."""

    DESCRIPTOR: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["VerificationService"]

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._prepared: OrderedDict[bytes, PreparedVerifyingKey] = OrderedDict()

    def join(self, server: grpc.aio.Server) -> None:
        """Registers the servicer with a server."""
        rpc.add_VerificationServiceServicer_to_server(self, server)

    async def Verify(self, request: pb.VerifyRequest, context: grpc.aio.ServicerContext) -> pb.VerifyResponse:
        key = await self._key(request.verifying_key)
        return pb.VerifyResponse(valid=await self._workers.run(_verify, key, request.item))

    async def VerifyBatch(
        self, request: pb.VerifyBatchRequest, context: grpc.aio.ServicerContext
    ) -> pb.VerifyBatchResponse:
        key = await self._key(request.verifying_key)
        return pb.VerifyBatchResponse(invalid=await self._workers.run(_verify_batch, key, request.items))

    async def _key(self, encoded: bytes) -> PreparedVerifyingKey:
        if encoded not in self._prepared:
            self._prepared[encoded] = await self._workers.run(lambda: VerifyingKey.from_bytes(encoded).prepare())
            if len(self._prepared) > PREPARED_KEYS:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(encoded)
        return self._prepared[encoded]


def _read(item: pb.ProofItem) -> tuple[Proof, list[int]]:
    return Proof.from_bytes(item.proof), [int.from_bytes(value, "big") for value in item.public_inputs]


def _verify(key: PreparedVerifyingKey, item: pb.ProofItem) -> bool:
    return key.verify(*_read(item))


def _verify_batch(key: PreparedVerifyingKey, items: Iterable[pb.ProofItem]) -> list[int]:
    read = []
    for index, item in enumerate(items):
        try:
            read.append(_read(item))
        except Refused as error:
            raise type(error)(f"items[{index}].{error.part}", error.why) from None
    return sorted(key.verify_batch(read))
