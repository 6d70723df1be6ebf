"""One party as a process of its own: made from its configuration, run until it is told to stop, drained, closed.

SIGTERM and SIGINT end it: running calls are let end, the node anchors its log, then all is closed. After SIGKILL or a
loss of power it starts again from what is on disk; what was acknowledged is there.
"""

import asyncio
import gc
import signal
from collections.abc import Callable
from dataclasses import dataclass

from homomorphic.threshold import KeyShare
from services import parameter_files
from services.agent import EnterpriseAgent
from services.configuration import Configuration
from services.connection import Connection, check_identity, open_ledger
from services.department import Department, DepartmentConfig
from services.identity import Identity, Role
from services.key_files import load_secret, read_passphrase
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.node import Node, NodeConfig
from services.parameters import PublicParameters
from services.provers import KeptProvers
from services.server import Address, Workers
from services.trustee import Trustee, TrusteeConfig
from zkcore.errors import Malformed

Party = Node | Trustee | Department | EnterpriseAgent

ROLES = {
    "node": Role.OPERATOR,
    "trustee": Role.TRUSTEE,
    "department": Role.DEPARTMENT,
    "enterprise": Role.ENTERPRISE,
}


@dataclass(frozen=True)
class Held:
    """What a party reads from its own disk before it meets anybody."""

    identity: Identity
    parameters: PublicParameters
    share: KeyShare | None


def held(configuration: Configuration) -> Held:
    """Reads the files that a configuration names, and sees whether they are of its role and network.

    Raises
    ------
    zkcore.errors.Refused, OSError
        If one does not read, or is another party's.
    """
    identity, parameters = Identity.load(configuration.identity), parameter_files.load(configuration.network)
    if identity.role != ROLES[configuration.role]:
        raise Malformed("identity", f"the certificate is for {identity.role}, not for {ROLES[configuration.role]}")
    check_identity(identity, parameters.authority)
    _check_names(configuration, identity, parameters)
    share = None
    if configuration.share is not None:
        opened_by = configuration.passphrase_file
        share = load_secret(KeyShare, configuration.share, read_passphrase(opened_by) if opened_by else None)
        if share.key != parameters.threshold_key:
            raise Malformed("share", "it is of another threshold key than the network's; ask the committee for yours")
        own = parameters.trustees.index(identity.name) + 1
        if share.index != own:
            raise Malformed("share", f"it is share {share.index}, of another trustee; {identity.name} has share {own}")
    if configuration.ledger.key is not None:
        LedgerAccount.load(configuration.ledger.key)
    return Held(identity, parameters, share)


def _check_names(configuration: Configuration, identity: Identity, parameters: PublicParameters) -> None:
    """Sees whether what a configuration calls by name is known to the network."""
    datasets = tuple(parameters.schemas)
    known = [
        ("trustees", configuration.trustees, parameters.trustees),
        ("rights", configuration.rights.datasets, datasets),
        ("datasets", configuration.datasets, datasets),
    ]
    if identity.role == Role.OPERATOR:
        known.append(("identity", (identity.name,), (parameters.operator,)))
    if identity.role == Role.TRUSTEE:
        known.append(("identity", (identity.name,), parameters.trustees))
    for part, names, there in known:
        strangers = set(names) - set(there)
        if strangers:
            raise Malformed(part, f"the network has {', '.join(there)}, and no {min(strangers)}")


def check(configuration: Configuration) -> None:
    """Reads all files that a configuration names: as :func:`held`, and an enterprise's proving keys (seconds)."""
    files = held(configuration)
    if configuration.keys is not None:
        provers = KeptProvers(files.parameters, configuration.keys)
        for dataset in provers:
            provers[dataset]


def make(configuration: Configuration, files: Held, ledger: Ledger, workers: Workers) -> Party:
    """The party that a configuration describes, not yet started."""
    identity, parameters = files.identity, files.parameters
    if configuration.role == "node":
        node = NodeConfig(
            configuration.database,
            configuration.rights,
            configuration.listen,
            web=configuration.web,
            segments=configuration.segments,
            guard=configuration.guard,
        )
        return Node(node, identity, parameters, ledger, workers)
    if configuration.role == "trustee":
        return _trustee(configuration, files, ledger, workers)
    if configuration.role == "enterprise":
        return EnterpriseAgent(Connection(configuration, identity, parameters, ledger, workers))
    office = DepartmentConfig(
        configuration.database,
        configuration.datasets,
        configuration.listen,
        guard=configuration.guard,
        web=configuration.web,
    )
    return Department(office, identity, parameters, ledger, workers)


def _trustee(configuration: Configuration, files: Held, ledger: Ledger, workers: Workers) -> Trustee:
    if configuration.node is None or files.share is None:
        raise Malformed("node", "a trustee needs the node's address and its share")
    config = TrusteeConfig(
        configuration.database,
        configuration.node,
        configuration.rights,
        configuration.listen,
        segments=configuration.segments,
        guard=configuration.guard,
        web=configuration.web,
    )
    return Trustee(config, files.identity, files.share, files.parameters, ledger, workers)


async def serve(configuration: Configuration, ready: Callable[[Address], None]) -> None:
    """Runs a party until SIGTERM or SIGINT; `ready` is told its address once it serves.

    Raises
    ------
    zkcore.errors.Refused, services.store.StoreError, OSError
        If it cannot start.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    workers = Workers(configuration.threads)
    try:
        files = await workers.run(held, configuration)
        ledger, provider = await workers.run(open_ledger, configuration.ledger)
        try:
            party = make(configuration, files, ledger, workers)
            await party.start()
            try:
                if isinstance(party, Node):
                    party.meet(configuration.trustees)
                # What is there now stays: a collection need not go through all of it, 0.3 s for which every call waits.
                gc.collect()
                gc.freeze()
                ready(party.address)
                await stopping.wait()
            finally:
                await party.stop()
        finally:
            if isinstance(provider, EmbeddedProvider):
                provider.close()
    finally:
        workers.close()
