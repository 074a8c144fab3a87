"""Shortens the intervals of a configuration, for drills."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from trust_ops.durations import parse_duration

_DURATIONS = frozenset({"group_wait", "group_interval", "repeat_interval"})
_MILLISECOND = timedelta(milliseconds=1)


def scaled(configuration: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """A copy of Alertmanager's configuration with every wait and interval of its routes divided by `factor`.

    Timeouts of channels and times of day are not changed.
    """
    return {**configuration, "route": _scaled(configuration["route"], factor)}


def _scaled(node: Any, factor: float) -> Any:
    if isinstance(node, dict):
        return {
            key: _divided(value, factor) if key in _DURATIONS else _scaled(value, factor) for key, value in node.items()
        }
    if isinstance(node, list):
        return [_scaled(item, factor) for item in node]
    return node


def _divided(duration: str, factor: float) -> str:
    # Alertmanager rejects an interval of 0.
    whole = parse_duration(duration)
    return f"{max(1, round(whole / _MILLISECOND / factor)) if whole else 0}ms"
