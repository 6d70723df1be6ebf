"""One party as a process of its own: made from its configuration, run until it is told to stop, drained, closed.

SIGTERM and SIGINT end it: running calls are let end, the node anchors its log, then all is closed. After SIGKILL or a
loss of power it starts again from what is on disk; what was acknowledged is there.
"""

import asyncio
import gc
import signal
from collections.abc import Callable

from homomorphic.threshold import KeyShare
from services import parameter_files
from services.agent import EnterpriseAgent
from services.configuration import Configuration
from services.connection import Connection, open_ledger
from services.department import Department, DepartmentConfig
from services.identity import Identity, Role
from services.key_files import load_secret, read_passphrase
from services.ledger import EmbeddedProvider, Ledger
from services.node import Node, NodeConfig
from services.parameters import PublicParameters
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


def make(configuration: Configuration, ledger: Ledger, workers: Workers) -> Party:
    """The party that a configuration describes, not yet started.

    Raises
    ------
    zkcore.errors.Refused, OSError
        If a file that it names does not read.
    """
    identity, parameters = Identity.load(configuration.identity), parameter_files.load(configuration.network)
    if identity.role != ROLES[configuration.role]:
        raise Malformed("identity", f"the certificate is of a {identity.role}, not of a {configuration.role}")
    if configuration.role == "node":
        return _node(configuration, identity, parameters, ledger, workers)
    if configuration.role == "trustee":
        return _trustee(configuration, identity, parameters, ledger, workers)
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


def _node(
    configuration: Configuration, identity: Identity, parameters: PublicParameters, ledger: Ledger, workers: Workers
) -> Node:
    strangers = set(configuration.trustees) - set(parameters.trustees)
    if strangers:
        raise Malformed(f"trustees.{min(strangers)}", f"the network's trustees are {', '.join(parameters.trustees)}")
    config = NodeConfig(
        configuration.database,
        configuration.rights,
        configuration.listen,
        web=configuration.web,
        segments=configuration.segments,
        guard=configuration.guard,
    )
    return Node(config, identity, parameters, ledger, workers)


def _trustee(
    configuration: Configuration, identity: Identity, parameters: PublicParameters, ledger: Ledger, workers: Workers
) -> Trustee:
    if configuration.node is None or configuration.share is None:
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
    opened_by = configuration.passphrase_file
    share = load_secret(KeyShare, configuration.share, read_passphrase(opened_by) if opened_by else None)
    return Trustee(config, identity, share, parameters, ledger, workers)


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
        ledger, provider = await workers.run(open_ledger, configuration.ledger)
        try:
            party = make(configuration, ledger, workers)
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
