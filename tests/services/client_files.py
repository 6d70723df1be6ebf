"""Configuration files of clients of a network that runs in the tests' own process."""

from pathlib import Path

from services import parameter_files
from services.files import write_atomically
from services.identity import Role
from services.keys import PROVING_KEY, VERIFYING_KEY, CircuitKeys
from services.server import Address
from tests.services import parties
from tests.services.conftest import Running
from zkcore.formats import mapped_key

CLOSED = Address("127.0.0.1", 1)
"""Where nobody listens."""


def write(folder: Path, running: Running, role: Role, name: str, more: str = "", key: str = "") -> Path:
    """The configuration of a client, with all that it names, in a folder of its own."""
    network = running.network
    home = folder / f"{role}-{name}"
    network.identity(role, name).save(home / "identity")
    parameter_files.save(network.parameters, home / "network")
    path = home / f"{role}.toml"
    path.write_text(
        f'identity = "identity"\nnetwork = "network"\nnode = "{network.node.address}"\n{more}\n'
        f'[ledger]\nfile = "{running.directory / "ledger.sqlite"}"\naddress = "{network.ledger.address}"\n{key}'
    )
    return path


def write_enterprise(folder: Path, running: Running, name: str, policy: str = "") -> Path:
    """An enterprise's configuration, its proving keys and its policy."""
    (plan,) = parties.plan().datasets
    keys = folder / "circuits"
    for circuit, made in ((plan.filing_circuit, plan.filing_keys), (plan.score_circuit, plan.score_keys)):
        save_keys(keys / f"{circuit.name}-{circuit.digest().hex()[:32]}-{mapped_key.FILE_VERSION}", made)
    more = f'keys = "{keys}"\npolicy = "policy.toml"\n' if policy else f'keys = "{keys}"\n'
    department = running.network.departments[parties.DEPARTMENT].address
    sections = (
        f'{more}[departments]\n{parties.DEPARTMENT} = "{department}"\n[offices]\nfiling = "{parties.DEPARTMENT}"\n'
    )
    path = write(folder, running, Role.ENTERPRISE, name, sections)
    (path.parent / "policy.toml").write_text(policy)
    return path


def save_keys(folder: Path, keys: CircuitKeys) -> None:
    """Keys as an enterprise is given them."""
    write_atomically(folder / PROVING_KEY, mapped_key.write(keys.proving_key))
    write_atomically(folder / VERIFYING_KEY, keys.verifying_key.to_bytes())
