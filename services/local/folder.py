"""The folder of a local network: where each party's files are, and what the network's commands need to know.

local.toml             what was set up: dataset, query, scored enterprise; written last
network/               the public parameters            authority/    the certificate authority
ledger.sqlite          the ledger                        circuits/     the circuits' keys
node/  trustee-N/  <department>/  bank/  tax-agency/     each party's configuration and files
enterprises/<name>/    an enterprise's
logs/  run/            what the processes log, and their numbers
"""

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from services.errors import NotFound
from services.files import write_atomically
from services.keys import home
from zkcore.errors import Malformed


def default_folder() -> Path:
    """Where a local network is if nobody says."""
    return home() / "network"


@dataclass(frozen=True)
class Facts:
    """What was set up.

    Attributes
    ----------
    dataset
        Name of the dataset that is filed and queried.
    department
        The department that answers for it.
    query
        A query that fits it.
    scored
        The enterprise whose agent runs.
    score_dataset, score_period
        What a score is asked over.
    registry
        Address of the registry on the ledger.
    page
        Where the node's page is.
    """

    dataset: str
    department: str
    query: str
    scored: str
    score_dataset: str
    score_period: str
    registry: str
    page: str


class Folder:
    """Paths in the folder of a local network."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.network = self.path / "network"
        self.authority = self.path / "authority"
        self.ledger = self.path / "ledger.sqlite"
        self.circuits = self.path / "circuits"
        self.node = self.path / "node" / "node.toml"
        self.bank = self.path / "bank" / "bank.toml"
        self.tax_agency = self.path / "tax-agency" / "tax_agency.toml"
        self.scorecard = self.path / "bank" / "scorecard.json"
        self.records = self.path / "records.csv"
        self._facts = self.path / "local.toml"

    def party(self, name: str, role: str) -> Path:
        """Configuration of a trustee or department."""
        return self.path / name / f"{role}.toml"

    def enterprise(self, name: str) -> Path:
        """Configuration of an enterprise."""
        return self.path / "enterprises" / name / "enterprise.toml"

    def enterprises(self) -> list[str]:
        """Names of the enterprises."""
        return sorted(path.parent.name for path in self.path.glob("enterprises/*/enterprise.toml"))

    def log(self, name: str) -> Path:
        """What a process logs."""
        return self.path / "logs" / f"{name}.log"

    @property
    def is_set_up(self) -> bool:
        """Whether a network was set up here to the end."""
        return self._facts.exists()

    def write_facts(self, facts: Facts) -> None:
        """Note what was set up."""
        lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in asdict(facts).items())
        write_atomically(self._facts, "".join(lines).encode())

    def facts(self) -> Facts:
        """What was set up; raises NotFound if nothing was, Malformed."""
        try:
            values = tomllib.loads(self._facts.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(str(self.path), "there is no local network; start one with: zkshare up") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            raise Malformed(str(self._facts), "is not what zkshare up wrote") from None
        if set(values) != set(Facts.__dataclass_fields__):
            raise Malformed(str(self._facts), "is not what this version's zkshare up writes")
        return Facts(**values)
