"""How much memory there is, by what Linux says of the system and of control groups."""

from pathlib import Path

import pytest

from services import memory


def test_of_this_machine() -> None:
    found = memory.available()
    assert found is None or 1 << 20 < found < 1 << 50


def test_the_tightest_limit_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = tmp_path / "groups"
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_OWN_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", groups)
    assert memory.available() is None
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  4000 kB\nSwapFree:  1000 kB\nHugePages: 0\n")
    assert memory.available() == 5000 * 1024
    (groups / "outer/inner").mkdir(parents=True)
    (tmp_path / "memory.max").write_text("1\n")  # outside the groups: says nothing
    (tmp_path / "cgroup").write_text("1:cpu:/elsewhere\n0::/outer/inner\n")
    (groups / "outer/inner/memory.max").write_text("max\n")
    assert memory.available() == 5000 * 1024
    (groups / "outer/memory.max").write_text("3000000\n")
    assert memory.available() == 3_000_000
    (groups / "outer/inner/memory.max").write_text("2000000\n")
    assert memory.available() == 2_000_000
    (tmp_path / "meminfo").unlink()
    assert memory.available() == 2_000_000
