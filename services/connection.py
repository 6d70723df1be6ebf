"""What a client has from its configuration: identity, parameters, ledger, threads; opened together, closed together."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from web3 import HTTPProvider
from web3.providers.base import BaseProvider
from web3.providers.rpc.utils import ExceptionRetryConfiguration

from services import parameter_files
from services.configuration import Configuration, LedgerPlace, load
from services.errors import NotFound
from services.identity import Authority, Identity, NotIssuedByAuthority
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.parameters import PublicParameters
from services.server import Address, Workers
from zkcore.errors import Malformed

ANSWER_SECONDS = 10
"""How long one request to a chain by URL may take."""


def check_identity(identity: Identity, authority: Authority) -> None:
    """Sees whether a party's own certificate is one that the others of its network will accept.

    Raises
    ------
    NotIssuedByAuthority, OutsideValidity, Revoked
    """
    if identity.authority.fingerprint != authority.fingerprint:
        raise NotIssuedByAuthority("identity", "its authority.pem is not that of the network")
    authority.check(identity.peer.certificate)


def open_ledger(place: LedgerPlace) -> tuple[Ledger, BaseProvider]:
    """The registry at a place, written from the account that it names, if it names one.

    Several processes of one machine may open one embedded ledger's file: each appends under the file's lock, and reads
    what the others appended before it answers.
    """
    account = None if place.key is None else LedgerAccount.load(place.key)
    provider: BaseProvider
    if place.file is not None:
        provider = EmbeddedProvider(place.file, read_only=account is None)
    else:
        provider = HTTPProvider(
            place.url,
            request_kwargs={"timeout": ANSWER_SECONDS},
            exception_retry_configuration=ExceptionRetryConfiguration(errors=(OSError,), retries=2),
        )
    ledger = Ledger(
        provider,
        place.address,
        account,
        place.gas_price,
        confirmations=place.confirmations,
        chain_id=place.chain_id,
        timeout=place.timeout,
    )
    return ledger, provider


@dataclass(frozen=True)
class Connection:
    """A client's side of a network."""

    configuration: Configuration
    identity: Identity
    parameters: PublicParameters
    ledger: Ledger
    workers: Workers

    @property
    def node(self) -> Address:
        """Where the operator's node listens."""
        if self.configuration.node is None:
            raise Malformed("node", "is missing; say where the operator's node listens")
        return self.configuration.node


@asynccontextmanager
async def opened(role: str, file: Path | str, environment: Mapping[str, str] = os.environ) -> AsyncIterator[Connection]:
    """What the configuration of a client names, read; the ledger opened.

    Raises
    ------
    zkcore.errors.Refused
        If the configuration or a file that it names is not right; the part says which.
    """
    workers = Workers(2)
    try:
        configuration, identity, parameters = await workers.run(_read, role, Path(file), environment)
        ledger, provider = await workers.run(open_ledger, configuration.ledger)
        try:
            yield Connection(configuration, identity, parameters, ledger, workers)
        finally:
            if isinstance(provider, EmbeddedProvider):
                provider.close()
    finally:
        workers.close()


def _read(role: str, file: Path, environment: Mapping[str, str]) -> tuple[Configuration, Identity, PublicParameters]:
    try:
        configuration = load(role, file, environment)
    except OSError as error:
        raise NotFound(str(file), f"cannot be read: {error.strerror}") from None
    missing = configuration.missing_files()
    if missing:
        raise NotFound(str(file), "; ".join(missing))
    identity = Identity.load(configuration.identity)
    if identity.role != role:
        raise Malformed("identity", f"the certificate is for {identity.role}, not for {role}")
    parameters = parameter_files.load(configuration.network)
    check_identity(identity, parameters.authority)
    return configuration, identity, parameters
