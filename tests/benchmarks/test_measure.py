"""Measuring: nothing wrong keeps a time, contenders take turns, a missing peer is a gap."""

import itertools
import time

import pytest

from benchmarks import measure, peers
from benchmarks.case import Contender, Gap, Options, Trial
from benchmarks.measure import FAILED, GAP, MEASURED, WRONG
from benchmarks.peers.paillier import Ours
from benchmarks.suites import paillier


def busy() -> int:
    return sum(range(2000))


def test_samples_of_both_sides_in_turns() -> None:
    order: list[str] = []

    def side(name: str) -> Contender:
        def work() -> int:
            order.append(name)
            time.sleep(0.003)
            return 7

        return Contender(name, work)

    first, second = measure.measure(Trial([side("a"), side("b")], 7), 0.02)
    assert first.status == second.status == MEASURED
    assert len(first.wall) == len(first.cpu) >= measure.FEWEST
    assert all(sample >= 0.003 for sample in first.wall)
    assert sorted(first.cpu)[len(first.cpu) // 2] < 0.002
    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes >= min(len(first.wall), len(second.wall))


def test_times_are_an_items() -> None:
    [single] = measure.measure(Trial([Contender("a", busy)], busy()), 0.05)
    [many] = measure.measure(
        Trial([Contender("a", lambda: [busy() for _ in range(10)], lambda out: out[0], 10)], busy()), 0.05
    )
    assert 0.3 < sorted(single.cpu)[len(single.cpu) // 2] / sorted(many.cpu)[len(many.cpu) // 2] < 3


def test_what_takes_minutes_is_called_once() -> None:
    calls: list[int] = []

    def long() -> int:
        calls.append(time.sleep(0.01) is None)
        return 7

    timed, read = measure.measure(
        Trial([Contender("timed", long, count=2), Contender("read", long, reading=float)], 7, once=True), 1.0
    )
    assert len(calls) == 2 and timed.status == read.status == MEASURED
    assert len(timed.wall) == len(timed.cpu) == 1 and 0.005 <= timed.wall[0] < 1 and read.reading == [7.0]


def test_a_wrong_result_keeps_no_time() -> None:
    right, wrong = measure.measure(
        Trial([Contender("right", busy), Contender("wrong", lambda: busy() + 1)], busy()), 0.01
    )
    assert right.status == MEASURED and right.wall
    assert wrong.status == WRONG and not wrong.wall and not wrong.cpu and "differs" in wrong.reason


def test_a_result_that_turns_wrong_later_keeps_no_time() -> None:
    calls = [0]

    def tiring() -> int:
        calls[0] += 1
        time.sleep(0.001)
        return 1 if calls[0] < 5 else 2

    [found] = measure.measure(Trial([Contender("tiring", tiring)], 1), 0.05)
    assert found.status == WRONG and not found.wall


def test_a_wrong_paillier_adapter_is_caught() -> None:
    """One that adds where it should multiply, and one whose key decrypts to the neighbour."""

    class Adds(Ours):
        def scale(self, column, factors):  # type: ignore[no-untyped-def]
            return column + factors

    class Neighbour(Ours):
        def encrypt(self, values):  # type: ignore[no-untyped-def]
            return super().encrypt([value + 1 for value in values])

    def status(cipher: Ours, operation: str) -> str:
        side = paillier.contender(cipher, operation, cipher.encrypt, 8)
        [found] = measure.measure(Trial([side], True), 0.01)
        return found.status

    honest = Ours(2048)
    assert [status(honest, operation) for operation in paillier.OPERATIONS] == [MEASURED] * len(paillier.OPERATIONS)
    assert status(Adds(2048), "times 32 bits") == WRONG
    assert status(Neighbour(2048), "encrypt") == status(Neighbour(2048), "decrypt") == WRONG


def test_who_raises_fails_alone() -> None:
    class Panic(BaseException):
        """As Rust's panics arrive."""

    def panics() -> int:
        raise Panic("off the curve")

    failed, fine = measure.measure(Trial([Contender("a", panics), Contender("b", lambda: 1)], 1), 0.01)
    assert failed.status == FAILED and "off the curve" in failed.reason
    assert fine.status == MEASURED


def test_interruption_is_not_swallowed() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure.measure(Trial([Contender("a", interrupted)], 1), 0.01)


def test_gaps_have_reasons() -> None:
    [gap] = measure.measure(Trial([Gap("phe", "not installed")], 1), 0.01)
    assert (gap.status, gap.reason) == (GAP, "not installed")
    assert peers.missing("phe", Options(("paillier",), peers=())) == "left out by request"


def test_a_missing_peer_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    options = Options(("paillier",))
    for name in peers.PEERS:
        found = peers.invite(name, options, lambda: Contender("x", busy))
        assert isinstance(found, Gap) and found.name == name and found.reason
    described = peers.describe(options)
    assert all(item["version"] is None and item["missing"] for item in described.values())


def test_a_peer_that_can_not_get_ready_is_a_gap() -> None:
    def adapter() -> Contender:
        raise OSError("no such library")

    found = peers.invite("gmpy2", Options(("field",)), adapter)
    assert isinstance(found, Gap) and "no such library" in found.reason


def test_readings_are_kept_in_place_of_times() -> None:
    [found] = measure.measure(Trial([Contender("a", lambda: b"abcd", len, 2, lambda data: float(len(data)))], 4), 0.01)
    assert found.reading and set(found.reading) == {2.0} and not found.wall
