"""A network whose node, trustees and department are processes, in a folder, each with its configuration."""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from web3 import HTTPProvider

from services import parameter_files
from services.certificate_authority import CertificateAuthority
from services.identity import Authority, Identity, Role
from services.key_files import save_secret
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.parameters import Dataset, PublicParameters
from services.prover import DatasetProver
from services.record_book import RecordBook
from services.server import Address
from services.store import Database
from services.store.opening import open_database
from tests.services import parties

START_SECONDS = 120


class Process(Protocol):
    """A party's process."""

    @property
    def pid(self) -> int | None: ...

    def kill(self) -> None:
        """SIGKILL."""

    def terminate(self) -> None:
        """SIGTERM."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""


def launched(role: str, configuration: Path) -> Process:
    """A party's process as an operator starts it; it prints to NAME.out and logs to NAME.log."""
    command = [sys.executable, "-m", "services.cli", role, "--config", str(configuration)]
    with configuration.with_suffix(".out").open("a") as out, configuration.with_suffix(".log").open("a") as log:
        return subprocess.Popen(command, stdout=out, stderr=log)


class Forked:
    """A party's process, forked from one that has imported and loaded everything, so that it starts in a fraction."""

    def __init__(self, role: str, configuration: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["services.process", "services.cli.process", "tests.services.processes", "tests.services.warm"]
        )
        self._process: BaseProcess = context.Process(target=_run, args=(role, configuration))
        self._process.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()

    def poll(self) -> int | None:
        return self._process.exitcode


def _run(role: str, configuration: Path) -> None:
    for number, suffix in ((1, ".out"), (2, ".log")):
        os.dup2(os.open(configuration.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    from services.cli import main

    sys.argv = ["zkshare", role, "--config", str(configuration)]
    main()


class Processes:
    """A network's folder, and the processes that run from it.

    Parameters
    ----------
    launch
        How a party's process is started, from its role and configuration.
    databases
        URLs of parties' databases; the others have a file. Every party keeps what it keeps in a folder of its name.
    chain
        Address of the chain with the ledger; one in the folder unless told.
    """

    def __init__(
        self,
        folder: Path,
        launch: Callable[[str, Path], Process] = launched,
        databases: Mapping[str, str] | None = None,
        chain: str | None = None,
    ) -> None:
        self.folder = folder
        self._launch = launch
        self._databases = databases or {}
        self._place = f'url = "{chain}"' if chain else 'file = "ledger.sqlite"'
        self.running: dict[str, Process] = {}
        self.provider = HTTPProvider(chain) if chain else EmbeddedProvider(folder / "ledger.sqlite")
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
        names = ("node", parties.DEPARTMENT, *plan.trustees)
        self.addresses = {name: free_port() for name in names}
        self.doors = {name: free_port() for name in names}
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
        (self.folder / name).mkdir()
        key = "" if role == Role.TRUSTEE else f'key = "{name}.account"\n'
        segments = "" if role == Role.DEPARTMENT else f'segments = "{name}/segments"\n'
        (self.folder / f"{name}.toml").write_text(
            f'listen = "{self.addresses[name]}"\nweb = "{self.doors[name]}"\n'
            f'database = "{self._databases.get(name, f"{name}/store.db")}"\n'
            f'identity = "{name}.identity"\nnetwork = "network"\naudit = "{name}/calls.audit"\n{segments}{own}'
            f'[ledger]\n{self._place}\naddress = "{self.ledger.address}"\n{key}{sections}'
        )

    def record_book(self) -> tuple[RecordBook, Database]:
        """The department's records, to be committed, and the database they lie in."""
        name = parties.DEPARTMENT
        database = open_database(self._databases.get(name, self.folder / name / "store.db"))
        ledger = self.ledger.acting_as(LedgerAccount.load(self.folder / f"{name}.account"))
        return RecordBook(database, self.parameters, ledger, ["filing"]), database

    def prover(self) -> DatasetProver:
        """What its enterprises prove with."""
        plan, key = self.dataset, self.parameters.threshold_key.public_key
        return DatasetProver(plan.filing_keys, plan.score_keys, key)

    def identity(self, role: Role, name: str) -> Identity:
        return self.authority.issue(role, name)

    def role(self, name: str) -> str:
        """The command that runs a party."""
        return {"node": "node", parties.DEPARTMENT: "department"}.get(name, "trustee")

    def begin(self, name: str) -> None:
        """Starts a party and waits for nothing."""
        (self.folder / f"{name}.out").write_text("")
        self.running[name] = self._launch(self.role(name), self.folder / f"{name}.toml")

    def ready(self, name: str) -> bool:
        """Whether a party that was started says that it is ready. Fails if it has ended."""
        said, expected = (self.folder / f"{name}.out").read_text(), f"ready {self.role(name)} {self.addresses[name]}\n"
        runs = self.running[name].poll() is None
        assert runs and expected.startswith(said), said + (self.folder / f"{name}.log").read_text()
        return said == expected

    def start(self, name: str) -> None:
        """Starts a party and waits until it says that it is ready."""
        self.begin(name)
        until = time.monotonic() + START_SECONDS
        while not self.ready(name):
            assert time.monotonic() < until, (self.folder / f"{name}.log").read_text()
            time.sleep(0.02)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.running[name].kill()
        self.ended(name)

    def stop(self, name: str) -> int:
        """SIGTERM; its exit status."""
        self.running[name].terminate()
        return self.ended(name)

    def ended(self, name: str) -> int:
        """Waits for a party's end; its exit status."""
        process, until = self.running.pop(name), time.monotonic() + START_SECONDS
        while (status := process.poll()) is None:
            assert time.monotonic() < until, f"{name} does not end"
            time.sleep(0.005)
        return status

    def close(self) -> None:
        for name in list(self.running):
            self.kill(name)
        if isinstance(self.provider, EmbeddedProvider):
            self.provider.close()


def free_port() -> Address:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", taken.getsockname()[1])
