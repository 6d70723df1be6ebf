"""The configuration of a party's process: one TOML file, strictly read, each value overridden by the environment.

Every key is of one of the kinds below; paths are relative to the configuration's folder. A variable
``ZKSHARE_<SECTION>_<KEY>`` (``ZKSHARE_<KEY>`` for a key outside a section) takes the place of a text or number in the
file. What is unknown, missing or of the wrong kind is refused by its name.

key            meaning                                                             who has it
listen         ``"host:port"``, where the party listens                            node, trustee, department
database       file, or ``postgresql://`` URL                                      node, trustee, department
identity       folder with certificate and private key                             all
network        folder of the public parameters (``services.parameter_files``)      all
threads        threads for CPU work; 2 unless told                                 all
ledger.file    the embedded ledger's file, shared by the processes of one machine  all, or ledger.url
ledger.url     JSON-RPC address of a chain                                         all, or ledger.file
ledger.address the registry's address                                              all
ledger.key     file with the ledger account's private key                          node, department, bank
ledger.confirmations blocks on top until one counts; 0 unless told (final blocks)      all, beside ledger.url
ledger.chain_id the id that the chain must have; optional                          all, beside ledger.url
ledger.gas_price in the chain's smallest unit; 0 unless told                       all, beside ledger.url
ledger.timeout seconds to wait for a transaction; 60 unless told                   all, beside ledger.url
node           ``"host:port"`` of the operator's node                              trustee, enterprise, bank,
                                                                                   tax_agency
share          file with the share of the threshold key                            trustee
passphrase_file file (mode 0600) whose first line opens the share; optional        trustee
segments       folder of the ciphertexts; needed beside a ``postgresql://`` URL    node, trustee
web            ``"host:port"`` of the services over HTTPS, a node's page, health     node, trustee, department
               and metrics; optional
datasets       names of the datasets that it answers for                           department
rights.<name>  who may query a dataset: ``["zkshare://tax_agency/name"]``           node, trustee
trustees.<name> ``"host:port"`` of each trustee                                    node
keys           folder of the circuits' proving keys (``services.keys``)            enterprise
outbox         folder of what it filed, and of receipts; ``outbox`` unless told    enterprise
policy         file that says which requests it consents to (``services.consent``) enterprise, if it answers requests
audit          file of the audit log; beside the database unless told              node, trustee, department
limits.<name>  what a caller may ask: ``message_bytes``, ``calls_a_second``,       node, trustee, department
               ``burst``, ``at_once``, ``seconds`` (``services.limits``)
departments.<name> ``"host:port"`` of each department                              enterprise
offices.<dataset> name of the department that answers for a dataset                enterprise
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.identity import parse_party_uri
from services.limits import MESSAGE_LIMIT, Limits
from services.policy import Rights
from services.server import FREE_PORT, GUARD, Address, Guard
from services.store.opening import is_url
from zkcore.errors import Malformed

COMMON = ("identity", "network")
SERVER = ("listen", "database")
OWN: Mapping[str, tuple[str, ...]] = {
    "node": SERVER,
    "trustee": (*SERVER, "node", "share"),
    "department": (*SERVER, "datasets"),
    "enterprise": ("node", "keys"),
    "bank": ("node",),
    "tax_agency": ("node",),
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "node": ("segments", "audit", "web"),
    "trustee": ("segments", "audit", "web", "passphrase_file"),
    "department": ("audit", "web"),
    "enterprise": ("outbox", "policy"),
}
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "node": ("ledger", "rights", "trustees", "limits"),
    "trustee": ("ledger", "rights", "limits"),
    "department": ("ledger", "limits"),
    "enterprise": ("ledger", "departments", "offices"),
}
LIMITS: Mapping[str, tuple[int, int]] = {
    "message_bytes": (16 * 1024, MESSAGE_LIMIT),
    "calls_a_second": (1, 1_000_000),
    "burst": (1, 10_000_000),
    "at_once": (1, 100_000),
    "seconds": (1, 3600),
}
"""The least and the most of each limit. Time is above 100 s where a trustee replicates a log before it answers."""
CHAIN: Mapping[str, tuple[int, int]] = {
    "confirmations": (0, 1024),
    "chain_id": (1, 2**63 - 1),
    "gas_price": (0, 2**63 - 1),
    "timeout": (1, 86_400),
}
"""What is said of a chain by URL, and its bounds."""
LEDGER = ("file", "url", "address", "key", *CHAIN)
WRITERS = ("node", "department", "bank")


@dataclass(frozen=True)
class LedgerPlace:
    """Where the registry is, and the file of the account to write from, if the party writes."""

    file: Path | None
    url: str | None
    address: str
    key: Path | None
    confirmations: int = 0
    chain_id: int | None = None
    gas_price: int = 0
    timeout: int = 60


@dataclass(frozen=True)
class Configuration:
    """What a process was told; the module's first lines say what each value means."""

    role: str
    identity: Path
    network: Path
    ledger: LedgerPlace
    listen: Address = FREE_PORT
    database: Path | str = ""
    threads: int = 2
    node: Address | None = None
    share: Path | None = None
    segments: Path | None = None
    guard: Guard = GUARD
    web: Address | None = None
    datasets: tuple[str, ...] = ()
    rights: Rights = field(default_factory=lambda: Rights({}))
    trustees: Mapping[str, Address] = field(default_factory=dict)
    passphrase_file: Path | None = None
    keys: Path | None = None
    outbox: Path | None = None
    policy: Path | None = None
    departments: Mapping[str, Address] = field(default_factory=dict)
    offices: Mapping[str, str] = field(default_factory=dict)

    def missing_files(self) -> list[str]:
        """What is named here and is not there, in words that say what to do."""
        named = {"identity": self.identity, "network": self.network, "share": self.share}
        named |= {"passphrase_file": self.passphrase_file, "keys": self.keys, "policy": self.policy}
        named |= {"ledger.file": self.ledger.file, "ledger.key": self.ledger.key}
        return [
            f"{key}: there is no {path}; put it there, or correct {key}"
            for key, path in named.items()
            if path is not None and not path.exists()
        ]


def load(role: str, path: Path, environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read a role's configuration; raises Malformed naming the key, OSError if the file cannot be read."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed(path.name, f"is not TOML: {error}") from None
    single = (*COMMON, *OWN[role], *OPTIONAL.get(role, ()), "threads")
    known = (*single, *SECTIONS.get(role, ("ledger",)))
    for key in values:
        if key not in known:
            raise Malformed(key, f"there is no such key for the role {role}; there are {', '.join(known)}")
    ledger = _table(values, "ledger")
    for key in ledger:
        if key not in LEDGER:
            raise Malformed(f"ledger.{key}", f"there is no such key; there are {', '.join(LEDGER)}")
    values |= {key: environment[f"ZKSHARE_{key.upper()}"] for key in single if f"ZKSHARE_{key.upper()}" in environment}
    sections = {"ledger": (ledger, tuple(LEDGER))}
    if "limits" in known:
        values["limits"] = _table(values, "limits")
        sections["limits"] = (values["limits"], tuple(LIMITS))
    for section, (table, keys) in sections.items():
        names = {key: f"ZKSHARE_{section}_{key}".upper() for key in keys}
        table |= {key: environment[name] for key, name in names.items() if name in environment}
    return _configuration(role, values, ledger, path.parent)


def _configuration(role: str, values: dict[str, Any], ledger: dict[str, Any], folder: Path) -> Configuration:
    def path(table: dict[str, Any], key: str, part: str) -> Path:
        return folder / _text(table, key, part)

    if ("file" in ledger) == ("url" in ledger):
        raise Malformed("ledger", "needs either file or url")
    if role in WRITERS and "key" not in ledger:
        raise Malformed("ledger.key", f"a {role} writes to the ledger; name its account's key file")
    serves, asks = "listen" in OWN[role], "node" in OWN[role]
    location = _text(values, "database", "database") if serves else ""
    if is_url(location) and role != "department" and "segments" not in values:
        raise Malformed("segments", "is missing; beside a database by URL name a folder for the ciphertexts")
    rights, trustees = _table(values, "rights"), _table(values, "trustees")
    for name, parties in rights.items():
        _check_parties(parties, f"rights.{name}")
    datasets = values.get("datasets", [])
    if isinstance(datasets, str):
        datasets = [name.strip() for name in datasets.split(",")]
    if role == "department" and not _texts(datasets, "datasets"):
        raise Malformed("datasets", "a department answers for at least one dataset")
    departments, offices = _table(values, "departments"), _table(values, "offices")
    for name in offices:
        if _text(offices, name, f"offices.{name}") not in departments:
            raise Malformed(f"offices.{name}", f"there is no departments.{offices[name]}; say where it listens")
    optional = {
        key: path(values, key, key) for key in ("segments", "passphrase_file", "outbox", "policy") if key in values
    }
    if role == "enterprise":
        optional.setdefault("outbox", folder / "outbox")
    return Configuration(
        role=role,
        listen=_address(_text(values, "listen", "listen"), "listen") if serves else FREE_PORT,
        database=location if is_url(location) else folder / location,
        identity=path(values, "identity", "identity"),
        network=path(values, "network", "network"),
        ledger=LedgerPlace(
            path(ledger, "file", "ledger.file") if "file" in ledger else None,
            _text(ledger, "url", "ledger.url") if "url" in ledger else None,
            _text(ledger, "address", "ledger.address"),
            path(ledger, "key", "ledger.key") if "key" in ledger else None,
            **_chain(ledger),
        ),
        threads=_count(values.get("threads", 2), "threads"),
        node=_address(_text(values, "node", "node"), "node") if asks else None,
        share=path(values, "share", "share") if role == "trustee" else None,
        keys=path(values, "keys", "keys") if role == "enterprise" else None,
        **optional,
        guard=Guard(_limits(values), _audit(role, values, location, folder)) if serves else GUARD,
        web=_address(_text(values, "web", "web"), "web") if "web" in values else None,
        datasets=tuple(datasets),
        rights=Rights.from_dict(rights),
        trustees={name: _address(_text(trustees, name, f"trustees.{name}"), f"trustees.{name}") for name in trustees},
        departments={
            name: _address(_text(departments, name, f"departments.{name}"), f"departments.{name}")
            for name in departments
        },
        offices=offices,
    )


def load_public(path: Path) -> tuple[Path, LedgerPlace]:
    """The folder of public parameters and the ledger to read from, by the file of any party.

    Raises Malformed naming the key, OSError if the file cannot be read.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed(path.name, f"is not TOML: {error}") from None
    ledger = _table(values, "ledger")
    if ("file" in ledger) == ("url" in ledger):
        raise Malformed("ledger", "needs either file or url")
    file = path.parent / _text(ledger, "file", "ledger.file") if "file" in ledger else None
    url = _text(ledger, "url", "ledger.url") if "url" in ledger else None
    place = LedgerPlace(file, url, _text(ledger, "address", "ledger.address"), None, **_chain(ledger))
    return path.parent / _text(values, "network", "network"), place


def _table(values: dict[str, Any], key: str) -> dict[str, Any]:
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise Malformed(key, f"must be a section, [{key}]")
    return dict(table)


def _text(table: dict[str, Any], key: str, part: str) -> str:
    if key not in table:
        raise Malformed(part, "is missing; add it to the file or set it in the environment")
    value = table[key]
    if not isinstance(value, str) or not value:
        raise Malformed(part, "must be a text that is not empty")
    return value


def _texts(value: Any, part: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise Malformed(part, "must be a list of texts")
    return value


def _check_parties(value: Any, part: str) -> None:
    for uri in _texts(value, part):
        try:
            parse_party_uri(uri)
        except Malformed:
            raise Malformed(part, f"{uri} names no party; write zkshare://<role>/<name>") from None


def _limits(values: dict[str, Any]) -> Limits:
    table = values.get("limits", {})
    for key in table:
        if key not in LIMITS:
            raise Malformed(f"limits.{key}", f"there is no such key; there are {', '.join(LIMITS)}")
    told = {key: _count(value, f"limits.{key}", *LIMITS[key]) for key, value in table.items()}
    if "calls_a_second" in told and "burst" not in told:
        told["burst"] = 2 * told["calls_a_second"]
    return Limits(**told)


def _audit(role: str, values: dict[str, Any], database: str, folder: Path) -> Path:
    """The audit log's file: as told, else beside the database's file or the folder of the ciphertexts."""
    if "audit" in values:
        return folder / _text(values, "audit", "audit")
    if not is_url(database):
        return (folder / database).with_suffix(".audit")
    return (
        (folder / _text(values, "segments", "segments")).with_suffix(".audit")
        if "segments" in values
        else (folder / f"{role}.audit")
    )


def _chain(ledger: dict[str, Any]) -> dict[str, int]:
    for key in CHAIN:
        if key in ledger and "file" in ledger:
            raise Malformed(f"ledger.{key}", "belongs to a chain by ledger.url; the embedded ledger has none")
    return {key: _count(ledger[key], f"ledger.{key}", *bounds) for key, bounds in CHAIN.items() if key in ledger}


def _count(value: Any, part: str, least: int = 1, most: int = 1024) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Malformed(part, f"must be a whole number from {least} to {most}")
    return value


def _address(text: str, part: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise Malformed(part, 'must be "host:port", the port below 65536')
    return Address(host, int(port))
