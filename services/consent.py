"""Which score requests an enterprise consents to: by rules in a file, or by asking a person at the terminal.

The file, read strictly::

    otherwise = "decline"           # what fits no rule: "decline", or "ask" a person at the terminal

    [[consent]]
    bank = "bank"                   # name in the bank's certificate
    dataset = "credit"
    scorecard = "0x2c8f..."         # the model hash, as it is on the ledger
    score = false                   # whether the bank may see the score itself
    cut_offs = [600, 650]           # cut-offs that it may learn pass or fail of; "any" for all
    daily = 5                       # answers a day (UTC)

A rule names cut-offs and a daily number because a bank that may try any cut-off as often as it likes finds the score by
halving. What was consented to today is kept on disk before an answer is made; the same request asked again, as after a
crash, counts once.
"""

import asyncio
import json
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from circuits.credit_score import Kind
from services.errors import Declined, NobodyAsked, OutsidePolicy, TooManyToday
from services.files import write_atomically
from services.scoring import ScoreRequest
from zkcore.bn254 import R
from zkcore.errors import Malformed

DECLINE, ASK = "decline", "ask"
KEYS = {"bank", "dataset", "scorecard", "score", "cut_offs", "daily"}
MOST_DAILY = 1_000_000
DAY = 86_400
ASK_SECONDS = 300.0

_log = structlog.get_logger("zkshare.consent")


@dataclass(frozen=True)
class Rule:
    """Requests that the enterprise consents to; ``cut_offs`` is None for any."""

    bank: str
    dataset: str
    scorecard: int
    score: bool
    cut_offs: frozenset[int] | None
    daily: int

    @property
    def name(self) -> str:
        """What its answers are counted under."""
        return f"{self.bank} {self.dataset} {self.scorecard:#066x}"

    def is_about(self, request: ScoreRequest) -> bool:
        """Whether the request is by this bank, over this dataset, with this scorecard."""
        return (self.bank, self.dataset, self.scorecard) == (request.bank, request.dataset, request.model_hash)

    def check_kind(self, request: ScoreRequest) -> None:
        """Refuses to show more than the rule allows (OutsidePolicy)."""
        if request.kind is Kind.SCORE:
            if not self.score:
                raise OutsidePolicy("request.kind", "the score itself is not shown")
        elif self.cut_offs is not None and request.cut_off not in self.cut_offs:
            raise OutsidePolicy("request.cut_off", "not one of those that are allowed")


@dataclass(frozen=True)
class Policy:
    """The rules, and what to do with a request that fits none."""

    rules: tuple[Rule, ...]
    otherwise: str = DECLINE

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy; raises Malformed naming file and key, OSError."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Malformed(path.name, f"is not TOML: {error}") from None
        for key in values:
            if key not in ("otherwise", "consent"):
                raise Malformed(f"{path.name}: {key}", "there is no such key; there are otherwise, consent")
        otherwise, tables = values.get("otherwise", DECLINE), values.get("consent", [])
        if otherwise not in (DECLINE, ASK):
            raise Malformed(f"{path.name}: otherwise", f'must be "{DECLINE}" or "{ASK}"')
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise Malformed(f"{path.name}: consent", "must be sections, [[consent]]")
        rules = tuple(_rule(table, f"{path.name}: consent[{index}]") for index, table in enumerate(tables))
        if len({rule.name for rule in rules}) < len(rules):
            raise Malformed(f"{path.name}: consent", "two rules for the same bank, dataset and scorecard")
        return cls(rules, otherwise)


class Granted:
    """Answers consented to today, on disk: for each rule the requests (bank and nonce) that were granted."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def grant(self, rule: Rule, request: ScoreRequest) -> None:
        """Count a request under a rule, once; raises TooManyToday. It is on disk when this returns."""
        today, granted = self._read()
        mine = granted.setdefault(rule.name, [])
        if request.nonce.hex() in mine:
            return
        if len(mine) >= rule.daily:
            raise TooManyToday("request", f"{rule.daily} a day are allowed")
        mine.append(request.nonce.hex())
        write_atomically(self._path, json.dumps({"day": today, "granted": granted}).encode(), 0o600)

    def _read(self) -> tuple[int, dict[str, list[str]]]:
        today = int(self._clock()) // DAY
        try:
            kept = json.loads(self._path.read_text())
        except FileNotFoundError:
            return today, {}
        # A clock that was set back does not give the day's number anew.
        return (today, {}) if kept["day"] < today else (kept["day"], kept["granted"])


class Consent:
    """Decides on requests by a policy; to be given to :class:`services.enterprise.Enterprise`.

    Parameters
    ----------
    state
        File that keeps what was consented to today.
    ask
        Asks a person; told the lines that describe the request.
    """

    def __init__(
        self,
        policy: Policy,
        state: Path,
        ask: "Callable[[Sequence[str]], Any] | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._granted = Granted(state, clock)
        self._ask = ask or ask_at_terminal
        self._decided: dict[bytes, bool] = {}

    async def __call__(self, request: ScoreRequest) -> bool:
        """Whether to answer; raises a kind of Declined that says why not."""
        rule = next((rule for rule in self._policy.rules if rule.is_about(request)), None)
        if rule is not None:
            rule.check_kind(request)
            await asyncio.to_thread(self._granted.grant, rule, request)
            _log.info("consented", by="policy", bank=request.bank, dataset=request.dataset)
            return True
        if self._policy.otherwise == DECLINE:
            raise OutsidePolicy("request", "no rule for this bank, dataset and scorecard")
        if request.nonce not in self._decided:  # asked once, even if the answer has to be sent again
            self._decided[request.nonce] = bool(await self._ask(describe(request)))
            _log.info("decided", by="person", bank=request.bank, consent=self._decided[request.nonce])
        if not self._decided[request.nonce]:
            raise Declined("request", "the enterprise does not consent")
        return True


def describe(request: ScoreRequest) -> list[str]:
    """A request in words for the person who decides."""
    expires = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(request.expires_at))
    wanted = "your score" if request.kind is Kind.SCORE else f"only whether your score reaches {request.cut_off}"
    used = ", ".join(each.field for each in request.scorecard.characteristics)
    return [
        f"{request.bank} asks to see {wanted}",
        f"scorecard {request.scorecard.name!r} over your {request.dataset} record of {request.period}, from: {used}",
        f"model {request.model_hash:#066x}; open until {expires}",
    ]


async def ask_at_terminal(lines: Sequence[str]) -> bool:
    """Ask whoever sits at the terminal; raises NobodyAsked if nobody does, or does not answer in time."""
    if not sys.stdin.isatty():
        raise NobodyAsked("request", "a person should be asked, and there is no terminal")
    print("\n".join(lines), "Answer it? [y/N] ", sep="\n", end="", flush=True)
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        if not typed.done():
            typed.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin, read)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            line = await typed
    except TimeoutError:
        print("(no answer in time)", flush=True)
        raise NobodyAsked("request", "nobody answered in time") from None
    finally:
        loop.remove_reader(sys.stdin)
    if not line:
        raise NobodyAsked("request", "the terminal was closed")
    return line.strip().lower() in ("y", "yes")


def _rule(table: dict[str, Any], part: str) -> Rule:
    if set(table) != KEYS:
        wrong = sorted(set(table) ^ KEYS)
        raise Malformed(f"{part}.{wrong[0]}", f"a rule has exactly {', '.join(sorted(KEYS))}")
    for key in ("bank", "dataset", "scorecard"):
        if not isinstance(table[key], str) or not table[key]:
            raise Malformed(f"{part}.{key}", "must be a text that is not empty")
    try:
        scorecard = int(table["scorecard"], 16)
    except ValueError:
        raise Malformed(f"{part}.scorecard", "must be a model hash in hexadecimal, 0x...") from None
    if not 0 < scorecard < R:
        raise Malformed(f"{part}.scorecard", "is no model hash")
    if not isinstance(table["score"], bool):
        raise Malformed(f"{part}.score", "must be true or false")
    daily, cut_offs = table["daily"], table["cut_offs"]
    if type(daily) is not int or not 0 <= daily <= MOST_DAILY:
        raise Malformed(f"{part}.daily", f"must be a whole number up to {MOST_DAILY}")
    if cut_offs != "any" and not (isinstance(cut_offs, list) and all(type(each) is int for each in cut_offs)):
        raise Malformed(f"{part}.cut_offs", 'must be a list of whole numbers, or "any"')
    allowed = None if cut_offs == "any" else frozenset(cut_offs)
    return Rule(table["bank"], table["dataset"], scorecard, table["score"], allowed, daily)
