"""Shortens the intervals of a configuration, for drills."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_DURATIONS = frozenset({"group_wait", "group_interval", "repeat_interval"})
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+)(ms|[smhdw])")


def milliseconds(duration: str) -> int:
    """A duration of Alertmanager, such as `1h55m`, in milliseconds. Raises ValueError."""
    if not re.fullmatch(r"(?:\d+(?:ms|[smhdw]))+", duration):
        raise ValueError(f"{duration!r} is not a duration such as 30s or 1h55m")
    return sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(duration))


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
    whole = milliseconds(duration)
    return f"{max(1, round(whole / factor)) if whole else 0}ms"
