"""A whole network in one process on loopback: for the demonstration, for trying things out, and for tests.

Every party is its own server object with its own identity, database and ledger account, and they speak gRPC over mutual
TLS exactly as they would across machines. What is short-cut is trust: one process holds everybody's keys and made the
threshold key as its dealer.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from circuits.constraints import Circuit
from circuits.schema import Schema
from homomorphic.threshold import KeyShare, ThresholdKey
from services.certificate_authority import CertificateAuthority
from services.client import BankClient, TaxAgencyClient
from services.department import Department, DepartmentConfig
from services.enterprise import Consent, DepartmentAddress, Enterprise, EnterpriseConfig
from services.identity import Authority, Identity, Role
from services.keys import CircuitKeys
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.node import Node, NodeConfig
from services.parameters import Dataset, PublicParameters
from services.policy import Rights
from services.prover import DatasetProver
from services.revocation import REVOKED_FILE
from services.server import FREE_PORT, Guard, Workers
from services.trustee import Trustee, TrusteeConfig

OPERATOR = "operator"


@dataclass(frozen=True)
class DatasetPlan:
    """A dataset of the network: who answers for it, and its circuits with their keys."""

    schema: Schema
    department: str
    filing_circuit: Circuit
    filing_keys: CircuitKeys
    score_circuit: Circuit
    score_keys: CircuitKeys


@dataclass(frozen=True)
class NetworkPlan:
    """Who takes part.

    Attributes
    ----------
    datasets
        The datasets; the departments are those that they name.
    threshold_key, shares
        The Paillier key and its shares, one a trustee in the order of `trustees`.
    enterprises, banks, tax_agencies, trustees
        Names.
    """

    datasets: tuple[DatasetPlan, ...]
    threshold_key: ThresholdKey
    shares: tuple[KeyShare, ...]
    enterprises: tuple[str, ...]
    banks: tuple[str, ...] = ("bank",)
    tax_agencies: tuple[str, ...] = ("tax-agency",)
    trustees: tuple[str, ...] = ("trustee-1", "trustee-2", "trustee-3")


class LocalNetwork:
    """All parties of a plan, started and stopped together.

    Parameters
    ----------
    plan
        Who takes part.
    directory
        Where databases and the ledger are kept; readable by its owner only.
    consent
        How the enterprises decide on score requests.
    anchor_seconds
        How often the node anchors its log by itself.
    threads
        Threads for CPU work, shared by all parties.
    progress
        Told what is being brought up.
    database
        Where the node, a trustee or a department, by name, has its database; files in the directory unless told.
    deploy
        Puts the registry on a chain, from an account; on a ledger in the directory unless told.

    Attributes
    ----------
    node, trustees, departments, enterprises, banks, tax_agencies
        The parties; all but the node by name.
    """

    def __init__(
        self,
        plan: NetworkPlan,
        directory: Path,
        consent: Consent,
        threads: int = 2,
        progress: Callable[[str], None] = lambda what: None,
        clock: Callable[[], float] = time.time,
        anchor_seconds: float = 2.0,
        database: Callable[[str], Path | str] | None = None,
        deploy: Callable[[LedgerAccount], Ledger] | None = None,
    ) -> None:
        self._deploy = deploy
        self._database = database or (lambda name: directory / f"{name}.sqlite")
        self._anchor_seconds = anchor_seconds
        self._plan = plan
        self._directory = directory
        self._consent = consent
        self._progress = progress
        self.clock = clock
        self.workers = Workers(threads)
        self.authority = CertificateAuthority.create()
        self._identities: dict[tuple[Role, str], Identity] = {}
        self.parameters = PublicParameters(
            authority=Authority.from_pem(self.authority.to_pem(), directory / REVOKED_FILE),
            operator=OPERATOR,
            trustees=plan.trustees,
            threshold_key=plan.threshold_key,
            datasets=tuple(
                Dataset(dataset.schema, dataset.filing_keys.verifying_key, dataset.score_keys.verifying_key)
                for dataset in sorted(plan.datasets, key=lambda dataset: dataset.schema.name)
            ),
        )
        self.provers = {
            dataset.schema.name: DatasetProver(dataset.filing_keys, dataset.score_keys, plan.threshold_key.public_key)
            for dataset in plan.datasets
        }
        self.rights = Rights(
            {
                dataset.schema.name: [(Role.TAX_AGENCY, agency) for agency in plan.tax_agencies]
                for dataset in plan.datasets
            }
        )
        self.node: Node
        self.ledger: Ledger
        self.trustees: dict[str, Trustee] = {}
        self.departments: dict[str, Department] = {}
        self.enterprises: dict[str, Enterprise] = {}
        self.banks: dict[str, BankClient] = {}
        self.tax_agencies: dict[str, TaxAgencyClient] = {}
        self._provider: EmbeddedProvider | None = None
        self._started: list[Node | Trustee | Department | Enterprise | BankClient | TaxAgencyClient] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    def identity(self, role: Role, name: str) -> Identity:
        """The identity of a party, issued when it is first asked for."""
        if (role, name) not in self._identities:
            self._identities[role, name] = self.authority.issue(role, name)
        return self._identities[role, name]

    def replace(self, node: Node, trustees: Mapping[str, Trustee]) -> None:
        """Takes parties that were started anew in the place of ones that were stopped."""
        gone = [self.node, *(self.trustees[name] for name in trustees)]
        self._started = [party for party in self._started if party not in gone]
        self._started += [node, *trustees.values()]
        self.node = node
        self.trustees.update(trustees)

    async def start(self) -> None:
        """Makes the ledger and starts everybody; stops whoever has started if one fails."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops everybody, clients first."""
        while self._started:
            await self._started.pop().stop()
        self.workers.close()
        if self._provider is not None:
            self._provider.close()
            self._provider = None

    async def _start(self) -> None:
        self._progress("ledger")
        accounts = await self.workers.run(self._make_ledger)
        operator = self.identity(Role.OPERATOR, OPERATOR)
        self._progress("node")
        self.node = Node(
            NodeConfig(
                self._database("node"),
                self.rights,
                anchor_seconds=self._anchor_seconds,
                web=FREE_PORT,
                segments=self._directory / "node.segments",
                guard=Guard(audit=self._directory / "node.audit"),
            ),
            operator,
            self.parameters,
            self.ledger.acting_as(accounts[Role.OPERATOR, OPERATOR]),
            self.workers,
            self.clock,
        )
        await self._begin(self.node)
        for name, share in zip(self._plan.trustees, self._plan.shares, strict=True):
            self._progress(name)
            segments = self._directory / f"{name}.segments"
            guard = Guard(audit=self._directory / f"{name}.audit")
            config = TrusteeConfig(self._database(name), self.node.address, self.rights, segments=segments, guard=guard)
            trustee = Trustee(
                config,
                self.identity(Role.TRUSTEE, name),
                share,
                self.parameters,
                self.ledger.acting_as(None),
                self.workers,
                self.clock,
            )
            await self._begin(trustee)
            self.trustees[name] = trustee
        self.node.meet({name: trustee.address for name, trustee in self.trustees.items()})
        await self._start_departments(accounts)
        await self._start_clients(accounts)

    async def _start_departments(self, accounts: Mapping[tuple[Role, str], LedgerAccount]) -> None:
        for name in sorted({dataset.department for dataset in self._plan.datasets}):
            self._progress(name)
            datasets = tuple(dataset.schema.name for dataset in self._plan.datasets if dataset.department == name)
            department = Department(
                DepartmentConfig(self._database(name), datasets, guard=Guard(audit=self._directory / f"{name}.audit")),
                self.identity(Role.DEPARTMENT, name),
                self.parameters,
                self.ledger.acting_as(accounts[Role.DEPARTMENT, name]),
                self.workers,
            )
            await self._begin(department)
            self.departments[name] = department

    async def _start_clients(self, accounts: Mapping[tuple[Role, str], LedgerAccount]) -> None:
        reading = self.ledger.acting_as(None)
        offices = {
            dataset.schema.name: DepartmentAddress(dataset.department, self.departments[dataset.department].address)
            for dataset in self._plan.datasets
        }
        self._progress("enterprises")
        for name in self._plan.enterprises:
            enterprise = Enterprise(
                EnterpriseConfig(self.node.address, offices),
                self.identity(Role.ENTERPRISE, name),
                self.parameters,
                reading,
                self.provers,
                self.workers,
                self._consent,
                self.clock,
            )
            await self._begin(enterprise)
            self.enterprises[name] = enterprise
        self._progress("banks and tax agencies")
        for name in self._plan.banks:
            ledger = self.ledger.acting_as(accounts[Role.BANK, name])
            identity = self.identity(Role.BANK, name)
            bank = BankClient(self.node.address, identity, self.parameters, ledger, self.workers, self.clock)
            await self._begin(bank)
            self.banks[name] = bank
        for name in self._plan.tax_agencies:
            identity = self.identity(Role.TAX_AGENCY, name)
            agency = TaxAgencyClient(self.node.address, identity, self.parameters, reading, self.workers, self.clock)
            await self._begin(agency)
            self.tax_agencies[name] = agency

    async def _begin(self, party: Node | Trustee | Department | Enterprise | BankClient | TaxAgencyClient) -> None:
        await party.start()
        self._started.append(party)

    def _make_ledger(self) -> dict[tuple[Role, str], LedgerAccount]:
        """Deploys the registry, gives every writer its role, publishes the parameters; returns the accounts."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._deploy is None:
            self._provider = EmbeddedProvider(self._directory / "ledger.sqlite")
            self.ledger = Ledger.deploy(self._provider, LedgerAccount.create())
        else:
            self.ledger = self._deploy(LedgerAccount.create())
        writers = [(Role.OPERATOR, OPERATOR)]
        writers += [(Role.DEPARTMENT, dataset.department) for dataset in self._plan.datasets]
        writers += [(Role.BANK, bank) for bank in self._plan.banks]
        accounts = {writer: LedgerAccount.create() for writer in writers}
        for (role, _), account in accounts.items():
            self.ledger.grant(account.address, role)
        for dataset in self._plan.datasets:
            schema, department = dataset.schema, accounts[Role.DEPARTMENT, dataset.department]
            self.ledger.open_dataset(schema.name, department.address, schema.schema_id)
            self.ledger.register_verifying_key(schema.schema_id, dataset.filing_keys.verifying_key)
        for kind, identifier, digest in self.parameters.digests():
            self.ledger.publish(kind, identifier, digest)
        return accounts
