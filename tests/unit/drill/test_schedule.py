"""The drill's schedule has a trial for every alert."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from testbed.drill.receivers import Receivers
from testbed.drill.schedule import ROUNDS
from testbed.drill.trial import ESCALATION_CHANNELS

_RULES = Path(__file__).parents[3] / "monitoring" / "prometheus" / "trust-service-alerts.yml"
_EXPECTED = [expected for trials in ROUNDS for trial in trials for expected in trial.alerts]


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(_RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_trials_cover_exactly_the_declared_alerts_and_severities() -> None:
    declared = {
        (rule["alert"], rule["labels"]["severity"])
        for rule in _rules()
        if rule["alert"] not in ("TrustWatchdog", "TrustEscalation")
    }
    assert {(expected.alert, expected.severity) for expected in _EXPECTED} == declared


def test_every_escalation_level_has_a_trial() -> None:
    levels = {rule["labels"]["escalation_level"] for rule in _rules() if rule["alert"] == "TrustEscalation"}
    assert {expected.level for expected in _EXPECTED if expected.level} == levels


def test_each_trial_expects_the_team_of_its_alert() -> None:
    teams = {
        (rule["alert"], rule["labels"]["severity"]): rule["labels"]["team"]
        for rule in _rules()
        if "team" in rule["labels"]
    }
    assert all(teams[expected.alert, expected.severity] == expected.team for expected in _EXPECTED)


def test_every_expected_receiver_exists() -> None:
    channels = Receivers().channels
    assert all(expected.channels <= channels for expected in _EXPECTED)
    assert channels >= ESCALATION_CHANNELS


def test_each_fault_is_scheduled_once() -> None:
    faults = Counter(trial.fault for trials in ROUNDS for trial in trials)
    assert [fault for fault, times in faults.items() if times > 1] == []
