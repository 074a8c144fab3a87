"""Some hours of a fleet's history: the incident in them raises its alerts, and nothing else raises one."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.fleet.replay import DAY, Scale, firings, missing, replay, unknown, week
from testbed.fleet.replay.timeline import HOUR, MONDAY

pytestmark = pytest.mark.timeout(600)

# Thursday until 5 o'clock: a sealed Vault, and a batch, a backup, tests and pauses that must raise nothing.
_BEGIN = MONDAY + 3 * DAY
_END = _BEGIN + 5 * HOUR


def test_an_incident_raises_its_alerts_and_nothing_else_does(tmp_path: Path) -> None:
    events = week()
    found = firings(replay(tmp_path / "replay", _BEGIN, _END, Scale(1, 0, 1), events), events)
    assert missing(found, events, _BEGIN, _END) == []
    assert unknown(found) == []
    assert "TrustVaultUnavailable" in {each.alert for each in found if each.pages}
