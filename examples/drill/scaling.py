"""Prometheus' configuration and rules in a copy in which time runs faster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from trust_otel.render.scaling import milliseconds
from trust_otel.stack.files import prometheus_files

_DURATION = r"(\d+)(ms|[smhdw])"
# Ranges, steps of subqueries, and offsets. Recorded names such as `rate5m` are names, and stay.
_IN_EXPRESSION = re.compile(rf"(\[|(?<=\w):(?=\d+[a-z]+\])|offset\s+){_DURATION}")
_FIELDS = frozenset({"for", "keep_firing_for", "interval", "scrape_interval", "evaluation_interval"})


def write_scaled(folder: Path, factor: float) -> None:
    """Write the configuration and the rules with every duration divided by `factor`.

    How long to wait for an answer stays, and so does how late samples may come: neither is part of an alert.
    """
    folder.mkdir(parents=True)
    for file in prometheus_files():
        tree = _scaled(yaml.safe_load(file.read_text(encoding="utf-8")), factor)
        if "global" in tree:
            tree["global"]["scrape_timeout"] = tree["global"]["scrape_interval"]
        (folder / file.name).write_text(yaml.safe_dump(tree, sort_keys=False, width=200), encoding="utf-8")


def scaled_duration(duration: str, factor: float) -> str:
    """A duration such as `5m`, divided."""
    return f"{scaled_seconds(duration, factor) * 1000:.0f}ms"


def scaled_seconds(duration: str, factor: float) -> float:
    """The same in seconds. Raises ValueError when it is no duration."""
    return max(1, round(milliseconds(duration) / factor)) / 1000


def scaled_expression(expression: str, factor: float) -> str:
    """A query with its ranges and offsets divided."""
    return _IN_EXPRESSION.sub(lambda found: found[1] + scaled_duration(found[2] + found[3], factor), expression)


def _scaled(node: Any, factor: float) -> Any:
    if isinstance(node, list):
        return [_scaled(item, factor) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _scaled_field(key, value, factor) for key, value in node.items()}


def _scaled_field(key: str, value: Any, factor: float) -> Any:
    if key in _FIELDS and isinstance(value, str):
        return scaled_duration(value, factor)
    if key == "expr":
        return scaled_expression(value, factor)
    return _scaled(value, factor)
