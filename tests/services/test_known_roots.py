"""Roots that are kept: as the ledger has them at each question, also when the chain was rolled back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import Unreachable
from services.identity import Role
from services.known_roots import KnownRoots
from services.ledger import Anchor, EmbeddedProvider, Ledger, LedgerAccount


@dataclass
class Chain:
    """Lists of anchors that grow and are cut, and what was asked about them; its time goes on whatever is cut."""

    anchors: list[Anchor] = field(default_factory=list)
    time: int = 0
    asked: list[int] = field(default_factory=list)
    gone: bool = False

    def roots(self, dataset: str, start: int = 0) -> Sequence[Anchor]:
        if self.gone:
            raise Unreachable("ledger", "no answer")
        self.asked.append(start)
        return self.anchors[start:] if dataset == "filing" else []

    def anchor(self, root: int) -> None:
        self.time += 1
        self.anchors.append(Anchor(len(self.anchors), root, len(self.anchors) + 1, "0x", self.time))


@given(st.lists(st.one_of(st.integers(0, 2**254), st.just("ask"), st.integers(1, 3).map(lambda n: ("cut", n)))))
def test_they_are_what_the_ledger_holds(steps: list) -> None:
    chain = Chain()
    known = KnownRoots(chain)
    for step in [*steps, "ask"]:
        if step == "ask":
            assert known.of("filing") == {anchor.root for anchor in chain.anchors}
            assert known.of("vat") == set()
        elif isinstance(step, tuple):
            del chain.anchors[-step[1] :]
        else:
            chain.anchor(step)


def test_one_short_question_each_time() -> None:
    chain = Chain()
    known = KnownRoots(chain)
    for root in range(5):
        chain.anchor(root)
    known.of("filing")
    chain.anchor(5)
    for _ in range(3):
        assert known.of("filing") == set(range(6))
    assert chain.asked == [0, 4, 5, 5]
    chain.gone = True
    with pytest.raises(Unreachable):
        known.of("filing")
    chain.gone = False
    assert 5 in known.of("filing")


def test_of_a_real_ledger(tmp_path: Path) -> None:
    admin = LedgerAccount.create()
    ledger = Ledger.deploy(EmbeddedProvider(tmp_path / "ledger.db"), admin)
    ledger.grant(admin.address, Role.DEPARTMENT)
    ledger.open_dataset("filing", admin.address, 7)
    known = KnownRoots(ledger)
    assert known.of("filing") == known.of("none") == set()
    for epoch, root in enumerate((31, 32, 33)):
        ledger.anchor("filing", epoch, root, 1)
        assert known.of("filing") == {31, 32, 33}.intersection(range(root + 1))
        assert [anchor.root for anchor in ledger.roots("filing", epoch)] == [root]
    assert all(ledger.is_root("filing", root) for root in known.of("filing"))
