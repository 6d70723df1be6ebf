"""Node, trustees and department as processes of their own: started, killed with SIGKILL, started again."""

import random
import select
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services import parameter_files
from services.client import TaxAgencyClient
from services.department import Department, DepartmentConfig
from services.enterprise import DepartmentAddress, Enterprise, EnterpriseConfig
from services.identity import Authority, CertificateAuthority, Identity, Role
from services.key_files import save_secret
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.parameters import Dataset, PublicParameters
from services.prover import DatasetProver
from services.server import Address, Workers
from tests.services import parties

START_SECONDS = 120
KILLS = 3


class Processes:
    """A network's folder, and the processes that run from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.provider = EmbeddedProvider(folder / "ledger.sqlite")
        self.ledger = Ledger.deploy(self.provider, LedgerAccount.create())
        self.authority = CertificateAuthority.create()
        plan = parties.plan()
        (self.dataset,) = plan.datasets
        self.parameters = PublicParameters(
            Authority.from_pem(self.authority.to_pem()),
            "operator",
            plan.trustees,
            plan.threshold_key,
            (Dataset(parties.schema(), self.dataset.filing_keys.verifying_key, self.dataset.score_keys.verifying_key),),
        )
        parameter_files.save(self.parameters, folder / "network")
        for name, share in zip(plan.trustees, plan.shares, strict=True):
            save_secret(folder / f"{name}.share", share, None)
        self.addresses = {name: _free() for name in ("node", parties.DEPARTMENT, *plan.trustees)}
        self._publish()
        self._configure()

    def _publish(self) -> None:
        for name, role in {"node": Role.OPERATOR, parties.DEPARTMENT: Role.DEPARTMENT}.items():
            account = LedgerAccount.create()
            account.save(self.folder / f"{name}.account")
            self.ledger.grant(account.address, role)
            if role == Role.DEPARTMENT:
                self.ledger.open_dataset("filing", account.address, parties.schema().schema_id)
        self.ledger.register_verifying_key(parties.schema().schema_id, self.dataset.filing_keys.verifying_key)
        for kind, identifier, digest in self.parameters.digests():
            self.ledger.publish(kind, identifier, digest)

    def _configure(self) -> None:
        rights = '[rights]\nfiling = ["zkshare://tax_agency/agency"]\n'
        trustees = "".join(f'{name} = "{self.addresses[name]}"\n' for name in self.parameters.trustees)
        self._write("node", Role.OPERATOR, "operator", "", f"{rights}[trustees]\n{trustees}")
        self._write(parties.DEPARTMENT, Role.DEPARTMENT, parties.DEPARTMENT, 'datasets = ["filing"]\n', "")
        for name in self.parameters.trustees:
            own = f'node = "{self.addresses["node"]}"\nshare = "{name}.share"\n'
            self._write(name, Role.TRUSTEE, name, own, rights)

    def _write(self, name: str, role: Role, party: str, own: str, sections: str) -> None:
        self.authority.issue(role, party).save(self.folder / f"{name}.identity")
        key = "" if role == Role.TRUSTEE else f'key = "{name}.account"\n'
        (self.folder / f"{name}.toml").write_text(
            f'listen = "{self.addresses[name]}"\ndatabase = "{name}.db"\nidentity = "{name}.identity"\n'
            f'network = "network"\n{own}'
            f'[ledger]\nfile = "ledger.sqlite"\naddress = "{self.ledger.address}"\n{key}{sections}'
        )

    def start(self, name: str) -> None:
        """Starts a party and waits until it says that it is ready."""
        role = {"node": "node", parties.DEPARTMENT: "department"}.get(name, "trustee")
        command = [sys.executable, "-m", "services.cli", role, "--config", str(self.folder / f"{name}.toml")]
        with (self.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.running[name] = process
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], START_SECONDS)[0], (self.folder / f"{name}.log").read_text()
        line = process.stdout.readline()
        assert line == f"ready {role} {self.addresses[name]}\n", (self.folder / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.running[name].kill()
        self.running.pop(name).communicate()

    def close(self) -> None:
        for name in list(self.running):
            self.kill(name)
        self.provider.close()

    def identity(self, role: Role, name: str) -> Identity:
        return self.authority.issue(role, name)


def _free() -> Address:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", taken.getsockname()[1])


@pytest_asyncio.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    network = Processes(tmp_path)
    office = DepartmentConfig(tmp_path / f"{parties.DEPARTMENT}.db", ("filing",))
    account = LedgerAccount.load(tmp_path / f"{parties.DEPARTMENT}.account")
    workers = Workers(1)
    department = Department(
        office,
        network.identity(Role.DEPARTMENT, parties.DEPARTMENT),
        network.parameters,
        network.ledger.acting_as(account),
        workers,
    )
    await department.start()
    await department.commit("filing", [parties.record(name) for name in parties.ENTERPRISES])
    await department.stop()
    workers.close()
    yield network
    network.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_killed_node_gives_the_same_receipt_again(processes: Processes) -> None:
    for name in processes.addresses:
        processes.start(name)
    workers, chance = Workers(2), random.Random(6)
    plan = processes.dataset
    prover = DatasetProver(
        plan.filing_circuit,
        plan.filing_keys,
        plan.score_circuit,
        plan.score_keys,
        processes.parameters.threshold_key.public_key,
    )
    reading = processes.ledger.acting_as(None)
    offices = {"filing": DepartmentAddress(parties.DEPARTMENT, processes.addresses[parties.DEPARTMENT])}
    acknowledged = {}
    for name in parties.ENTERPRISES[: KILLS + 1]:
        agent = Enterprise(
            EnterpriseConfig(processes.addresses["node"], offices),
            processes.identity(Role.ENTERPRISE, name),
            processes.parameters,
            reading,
            {"filing": prover},
            workers,
        )
        await agent.start()
        submission = await agent.prepare("filing", parties.PERIOD)
        acknowledged[name] = await agent.file(submission)
        await agent.stop()
        if len(acknowledged) > KILLS:
            break
        for victim in ("node", chance.choice(processes.parameters.trustees)):
            processes.kill(victim)
            processes.start(victim)
        again = Enterprise(
            EnterpriseConfig(processes.addresses["node"], offices),
            processes.identity(Role.ENTERPRISE, name),
            processes.parameters,
            reading,
            {"filing": prover},
            workers,
        )
        await again.start()
        assert await again.file(submission) == acknowledged[name]
        await again.stop()
    agency = TaxAgencyClient(
        processes.addresses["node"],
        processes.identity(Role.TAX_AGENCY, "agency"),
        processes.parameters,
        reading,
        workers,
    )
    await agency.start()
    (row,) = (await agency.query("SELECT COUNT(*), SUM(sales) FROM filing")).verified.rows
    await agency.stop()
    workers.close()
    # Nothing is lost and nothing is counted twice, and the ledger holds the log's head.
    assert row.values == (len(acknowledged), sum(parties.VALUES[name]["sales"] for name in acknowledged))
    head = processes.ledger.latest_head()
    assert head is not None and head.size == len(acknowledged)
