"""Sets a local network up: keys, certificates, ledger, configurations, committed records.

What is made once here is what every party of a real network makes for itself, by the commands that
``services/OPERATING.md`` walks through.
"""

import json
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from circuits import credit_score, filing
from circuits.record import Record
from circuits.schema import Schema
from homomorphic.threshold import deal
from services import parameter_files, sample_job
from services.certificate_authority import CertificateAuthority
from services.files import write_atomically
from services.identity import Authority, Role
from services.key_files import save_secret
from services.keys import circuit_keys, folder_of, home
from services.ledger import EmbeddedProvider, Ledger, LedgerAccount
from services.local.folder import Facts, Folder
from services.parameters import Dataset, PublicParameters
from services.record_book import RecordBook
from services.sample_job import CREDIT_BUREAU, TAX_BUREAU, Job
from services.server import Address
from services.store.opening import open_database
from services.terminal import Step
from zkcore.errors import Malformed

OPERATOR, BANK, TAX_AGENCY = "operator", "bank", "tax-agency"
TRUSTEES = ("trustee-1", "trustee-2", "trustee-3")
THRESHOLD = 2
KEY_BITS = 3072

POLICY = """\
# Which score requests this enterprise consents to; services/consent.py says what the keys mean.
otherwise = "decline"          # or "ask": a person at the terminal

[[consent]]
bank = "{bank}"
dataset = "{dataset}"
scorecard = "{scorecard}"
score = true
cut_offs = "any"
daily = 100
"""


@dataclass(frozen=True)
class Plan:
    """What a local network is made of.

    Attributes
    ----------
    job
        The dataset that is filed and queried, with its records.
    key_bits
        Length of the trustees' Paillier modulus.
    """

    job: Job
    key_bits: int = KEY_BITS

    @property
    def subjects(self) -> tuple[str, ...]:
        """The enterprises."""
        return tuple(dict.fromkeys(record.subject for record in self.job.records))


def set_up(folder: Folder, plan: Plan, step: Step) -> Facts:
    """Make everything that the processes start from.

    Raises
    ------
    zkcore.errors.Malformed
        If there is something in the folder already.
    """
    if folder.path.exists() and any(folder.path.iterdir()):
        raise Malformed(str(folder.path), "is not empty and holds no network; name another folder, or empty it")
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.path.chmod(0o700)
    try:
        return _Setup(folder, plan, step).run()
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


class _Setup:
    def __init__(self, folder: Folder, plan: Plan, step: Step) -> None:
        self._folder = folder
        self._plan = plan
        self._step = step
        self._credit = sample_job.credit_schema()
        self._schemas = {TAX_BUREAU: plan.job.schema, CREDIT_BUREAU: self._credit}
        places = free_addresses(3 + len(TRUSTEES) + len(self._schemas))
        names = ("node", "page", *TRUSTEES, *self._schemas)
        self._at: Mapping[str, Address] = dict(zip(names, places, strict=False))

    def run(self) -> Facts:
        self._step.detail("certificates")
        self._authority = CertificateAuthority.create()
        self._authority.save(self._folder.authority)
        self._parameters = self._make_parameters()
        parameter_files.save(self._parameters, self._folder.network)
        self._step.detail("ledger")
        provider = EmbeddedProvider(self._folder.ledger)
        try:
            self._ledger = Ledger.deploy(provider, self._account("authority"))
            self._make_parties()
            self._step.detail(f"records of {len(self._plan.subjects)} enterprises, committed by their departments")
            self._commit(TAX_BUREAU, self._plan.job.schema, self._plan.job.records)
            self._commit(CREDIT_BUREAU, self._credit, sample_job.credit_records(self._credit, self._plan.subjects))
        finally:
            provider.close()
        facts = Facts(
            dataset=self._plan.job.schema.name,
            department=TAX_BUREAU,
            query=self._plan.job.query,
            scored=self._plan.subjects[0],
            score_dataset=self._credit.name,
            score_period=sample_job.CREDIT_PERIOD,
            registry=self._ledger.address,
            page=f"https://{self._at['page']}/",
        )
        self._folder.write_facts(facts)
        return facts

    def _make_parameters(self) -> PublicParameters:
        datasets = []
        for schema in self._schemas.values():
            self._step.detail(f"circuits and keys of {schema.name} (the first time compiles and makes them)")
            keys = []
            for circuit in (filing.build(schema), credit_score.build(schema)):
                keys.append(circuit_keys(circuit, self._step.fraction))
                there = folder_of(circuit, self._folder.circuits)
                shutil.copytree(folder_of(circuit, home() / "circuits"), there, copy_function=_link)
            datasets.append(Dataset(schema, keys[0].verifying_key, keys[1].verifying_key))
        self._step.detail(f"the trustees' key of {self._plan.key_bits} bits")
        key, shares = deal(
            self._plan.key_bits,
            len(TRUSTEES),
            THRESHOLD,
            lambda tested, expected: self._step.fraction(min(0.99, tested / expected)),
        )
        for name, share in zip(TRUSTEES, shares, strict=True):
            self._directory(name)
            save_secret(self._folder.path / name / "share.pem", share, None)
        return PublicParameters(
            Authority.from_pem(self._authority.to_pem()),
            OPERATOR,
            TRUSTEES,
            key,
            tuple(sorted(datasets, key=lambda dataset: dataset.name)),
        )

    def _make_parties(self) -> None:
        accounts = {name: self._account(name) for name in ("node", BANK, *self._schemas)}
        roles = {"node": Role.OPERATOR, BANK: Role.BANK} | dict.fromkeys(self._schemas, Role.DEPARTMENT)
        for name, account in accounts.items():
            self._ledger.grant(account.address, roles[name])
        for department, schema in self._schemas.items():
            self._ledger.open_dataset(schema.name, accounts[department].address, schema.schema_id)
            key = self._parameters.named(schema.name).filing_key
            self._ledger.register_verifying_key(schema.schema_id, key)
        for kind, identifier, digest in self._parameters.digests():
            self._ledger.publish(kind, identifier, digest)
        rights = "".join(
            f'{schema.name} = ["zkshare://tax_agency/{TAX_AGENCY}"]\n' for schema in self._schemas.values()
        )
        trustees = "".join(f'{name} = "{self._at[name]}"\n' for name in TRUSTEES)
        listen = 'listen = "{}"\ndatabase = "{}.db"\n'
        node = listen.format(self._at["node"], "log") + f'web = "{self._at["page"]}"\n'
        self._write("node", Role.OPERATOR, OPERATOR, node, f"[rights]\n{rights}\n[trustees]\n{trustees}", role="node")
        asks = f'node = "{self._at["node"]}"\n'
        for name in TRUSTEES:
            own = listen.format(self._at[name], "log") + asks + 'share = "share.pem"\n'
            self._write(name, Role.TRUSTEE, name, own, f"[rights]\n{rights}")
        for department, schema in self._schemas.items():
            own = listen.format(self._at[department], "records") + f'datasets = ["{schema.name}"]\n'
            self._write(department, Role.DEPARTMENT, department, own, "")
        self._write(BANK, Role.BANK, BANK, asks, "")
        self._write(TAX_AGENCY, Role.TAX_AGENCY, TAX_AGENCY, asks, "")
        card = sample_job.credit_scorecard()
        write_atomically(self._folder.scorecard, json.dumps(card.to_dict(), indent=2, ensure_ascii=False).encode())
        departments = "".join(f'{name} = "{self._at[name]}"\n' for name in self._schemas)
        offices = "".join(f'{schema.name} = "{name}"\n' for name, schema in self._schemas.items())
        configuration = (
            f'{asks}identity = "identity"\nnetwork = "../../network"\n'
            f'keys = "../../circuits"\npolicy = "policy.toml"\n\n'
            f'[ledger]\nfile = "../../ledger.sqlite"\naddress = "{self._ledger.address}"\n\n'
            f"[departments]\n{departments}\n[offices]\n{offices}"
        )
        policy = POLICY.format(bank=BANK, dataset=self._credit.name, scorecard=f"{card.model_hash(self._credit):#066x}")
        for subject in self._plan.subjects:
            _write_enterprise(self._folder, self._authority, subject, configuration, policy)

    def _write(self, name: str, party: Role, own_name: str, own: str, sections: str, role: str | None = None) -> None:
        place = self._directory(name)
        self._authority.issue(party, own_name).save(place / "identity")
        key = 'key = "account.key"\n' if (place / "account.key").exists() else ""
        text = (
            f'{own}identity = "identity"\nnetwork = "../network"\n\n'
            f'[ledger]\nfile = "../ledger.sqlite"\naddress = "{self._ledger.address}"\n{key}\n{sections}'
        )
        write_atomically(place / f"{role or party}.toml", text.encode())

    def _directory(self, name: str) -> Path:
        place = self._folder.path / name
        place.mkdir(mode=0o700, exist_ok=True)
        return place

    def _account(self, name: str) -> LedgerAccount:
        account = LedgerAccount.create()
        account.save(self._directory(name) / "account.key")
        return account

    def _commit(self, department: str, schema: Schema, records: Sequence[Record]) -> None:
        account = LedgerAccount.load(self._folder.path / department / "account.key")
        database = open_database(self._folder.path / department / "records.db")
        try:
            ledger = self._ledger.acting_as(account)
            RecordBook(database, self._parameters, ledger, [schema.name]).commit(schema.name, list(records))
        finally:
            database.close()


def add_enterprise(folder: Folder, name: str) -> None:
    """Give another enterprise a certificate, and the configuration that the others have; nothing if it has them."""
    if folder.enterprise(name).exists():
        return
    like = folder.enterprise(folder.facts().scored)
    authority = CertificateAuthority.load(folder.authority)
    _write_enterprise(folder, authority, name, like.read_text(), (like.parent / "policy.toml").read_text())


def free_addresses(count: int) -> list[Address]:
    """Different ports on loopback that nobody listens at now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [Address("127.0.0.1", each.getsockname()[1]) for each in sockets]


def _write_enterprise(
    folder: Folder, authority: CertificateAuthority, name: str, configuration: str, policy: str
) -> None:
    place = folder.enterprise(name).parent
    place.mkdir(mode=0o700, parents=True)
    authority.issue(Role.ENTERPRISE, name).save(place / "identity")
    write_atomically(place / "policy.toml", policy.encode())
    write_atomically(folder.enterprise(name), configuration.encode())


def _link(source: str, target: str) -> None:
    """A second name for a file that is never written to again; a copy where the disk is another."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
