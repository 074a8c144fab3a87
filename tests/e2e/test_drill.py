"""The fire drill: every alert fires on its fault in the running stack, notifies its receivers, and resolves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testbed.drill.schedule import ROUNDS
from tests.support.postgresql import needs_postgresql
from tests.support.running import processes_of

_ROOT = Path(__file__).parents[2]
_MOST_SECONDS = 1800
_EXPECTED = [str(expected) for trials in ROUNDS for trial in trials for expected in trial.alerts]

pytestmark = [pytest.mark.timeout(_MOST_SECONDS + 60), needs_postgresql]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drill")


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """Runs the whole drill once; a failed test shows its output."""
    file = folder / "report.json"
    ended = subprocess.run(
        [sys.executable, "-m", "testbed.drill", "--report", str(file)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_MOST_SECONDS,
    )
    print(ended.stdout)
    assert file.exists(), ended.stdout
    seen: dict[str, Any] = json.loads(file.read_text())
    return seen


@pytest.mark.parametrize("number", range(len(_EXPECTED)), ids=_EXPECTED)
def test_the_alert_fires_notifies_exactly_its_receivers_and_resolves(report: dict[str, Any], number: int) -> None:
    result = report["results"][number]
    assert [result[flaw] for flaw in ("missing", "wrong", "unresolved", "error")] == [[], [], [], ""], result


def test_no_alert_fires_without_faults(report: dict[str, Any]) -> None:
    assert report["noise"] == []


def test_every_notification_was_well_formed(report: dict[str, Any]) -> None:
    assert report["problems"] == []


def test_the_dead_mans_switch_received_heartbeats(report: dict[str, Any]) -> None:
    assert report["heartbeats"] > 20


def test_no_process_is_left(report: dict[str, Any], folder: Path) -> None:
    assert processes_of(folder) == []
