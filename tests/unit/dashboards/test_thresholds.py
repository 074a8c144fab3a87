"""Colours of panel thresholds."""

from __future__ import annotations

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="dashboards are made on Python 3.11 and later")

from monitoring.dashboards.thresholds import GREEN, RED, YELLOW, falling, rising


def test_rising_thresholds_are_green_yellow_red() -> None:
    steps = [(step.value, step.color) for step in rising(yellow=1, red=2).thresholds()]
    assert steps == [(None, GREEN), (1, YELLOW), (2, RED)]


def test_falling_thresholds_are_red_yellow_green() -> None:
    steps = [(step.value, step.color) for step in falling(yellow=2, red=1).thresholds()]
    assert steps == [(None, RED), (1, YELLOW), (2, GREEN)]
