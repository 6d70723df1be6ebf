"""The clients for programs without an event loop: each call runs in a loop that a thread of the client's own keeps.

Everything is done by the asynchronous clients; here is only the waiting. Threads may share a client. ``close``, or the
end of the ``with`` block, ends calls at work, closes connections and ends the thread.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from circuits.record import Opening
from circuits.scorecard import Scorecard
from services.client.bank import BankClient, PendingScore
from services.client.tax_agency import QUERY_TIME, Answer, TaxAgencyClient
from services.client.verification import VerificationClient
from services.enterprise import Consent, Enterprise
from services.identity import Role
from services.log import Head
from services.outbox import Outbox
from services.parameters import PublicParameters
from services.receipts import SubmissionReceipt
from services.scoring import Score
from zkcore.groth16 import Proof, VerifyingKey

T = TypeVar("T")
ClientT = TypeVar("ClientT")


class _Blocking(Generic[ClientT]):
    """A client, connected in a loop of its own."""

    def __init__(self, connecting: AbstractAsyncContextManager[ClientT]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="zkshare client", daemon=True)
        self._thread.start()
        self._calls: set[asyncio.Task[Any]] = set()
        self._stack = AsyncExitStack()
        self._closing = threading.Lock()
        self._closed = False
        try:
            self._client = self._run(self._stack.enter_async_context(connecting))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends calls at work (their callers see CancelledError), closes connections, ends the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        """A call's result. An exception in the waiting thread, such as KeyboardInterrupt, ends the call."""
        if self._closed:
            call.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(self._noted(call), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _noted(self, call: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            return await call
        finally:
            self._calls.discard(task)

    async def _end(self) -> None:
        for task in list(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._stack.aclose()
        await self._loop.shutdown_asyncgens()


class SyncTaxAgencyClient(_Blocking[TaxAgencyClient]):
    """:class:`services.client.TaxAgencyClient`, waiting for each answer."""

    @classmethod
    def connect(cls, file: Path | str) -> Self:
        """As :meth:`services.client.TaxAgencyClient.connect`."""
        return cls(TaxAgencyClient.connect(file))

    def query(self, sql: str, head_size: int = 0, lifetime: float = 600.0, timeout: float = QUERY_TIME) -> Answer:
        """As :meth:`services.client.TaxAgencyClient.query`."""
        return self._run(self._client.query(sql, head_size, lifetime, timeout))


class SyncBankClient(_Blocking[BankClient]):
    """:class:`services.client.BankClient`, waiting for each answer."""

    @classmethod
    def connect(cls, file: Path | str) -> Self:
        """As :meth:`services.client.BankClient.connect`."""
        return cls(BankClient.connect(file))

    def register(self, scorecard: Scorecard, dataset: str) -> None:
        """As :meth:`services.client.BankClient.register`."""
        self._run(self._client.register(scorecard, dataset))

    def request_score(
        self,
        subject: str,
        dataset: str,
        period: str,
        scorecard: Scorecard,
        cut_off: int | None = None,
        lifetime: float = 3600.0,
    ) -> PendingScore:
        """As :meth:`services.client.BankClient.request_score`."""
        return self._run(self._client.request_score(subject, dataset, period, scorecard, cut_off, lifetime))

    def score(self, pending: PendingScore, timeout: float = 300.0) -> Score:
        """As :meth:`services.client.BankClient.score`."""
        return self._run(self._client.score(pending, timeout))


class SyncVerificationClient(_Blocking[VerificationClient]):
    """:class:`services.client.VerificationClient`, waiting for each verdict; threads share messages."""

    @classmethod
    def connect(cls, role: Role, file: Path | str) -> Self:
        """As :meth:`services.client.VerificationClient.connect`."""
        return cls(VerificationClient.connect(role, file))

    def verify(self, key: VerifyingKey, proof: Proof | bytes, public: Sequence[int] | bytes) -> bool:
        """As :meth:`services.client.VerificationClient.verify`."""
        return self._run(self._client.verify(key, proof, public))

    def verify_many(
        self, key: VerifyingKey, items: Iterable[tuple[Proof | bytes, Sequence[int] | bytes]]
    ) -> list[bool]:
        """As :meth:`services.client.VerificationClient.verify_many`."""
        return self._run(self._client.verify_many(key, items))


class SyncEnterprise(_Blocking[Enterprise]):
    """:class:`services.enterprise.Enterprise`, waiting for each answer."""

    @classmethod
    def connect(cls, file: Path | str, consent: Consent = lambda request: False) -> Self:
        """As :meth:`services.enterprise.Enterprise.connect`."""
        return cls(Enterprise.connect(file, consent))

    @property
    def parameters(self) -> PublicParameters:
        """The network's public parameters."""
        return self._client.parameters

    @property
    def outbox(self) -> Outbox:
        """What it filed."""
        return self._client.outbox

    def take(self, dataset: str, opening: Opening) -> None:
        """As :meth:`services.enterprise.Enterprise.take`."""
        self._run(self._client.take(dataset, opening))

    def opening(self, dataset: str, period: str) -> Opening:
        """As :meth:`services.enterprise.Enterprise.opening`."""
        return self._run(self._client.opening(dataset, period))

    def submit(self, dataset: str, period: str) -> SubmissionReceipt:
        """As :meth:`services.enterprise.Enterprise.submit`."""
        return self._run(self._client.submit(dataset, period))

    def confirm(self, receipt: SubmissionReceipt) -> Head:
        """As :meth:`services.enterprise.Enterprise.confirm`."""
        return self._run(self._client.confirm(receipt))

    def answer_requests(self) -> int:
        """As :meth:`services.enterprise.Enterprise.answer_requests`."""
        return self._run(self._client.answer_requests())
