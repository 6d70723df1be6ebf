"""SIGKILL at random points to node and trustees under load: nothing acknowledged is lost, nothing is counted twice."""

from pathlib import Path

import pytest

from tests.services.killing import storm

KILLS = 200


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_many_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    made = await storm(tmp_path, KILLS, seed=6)
    assert made.killed >= KILLS and made.starting and made.repeated
    assert len(made.filed) >= 20 and len(made.asked) >= 5
