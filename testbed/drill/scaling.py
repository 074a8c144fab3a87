"""Prometheus' configuration and rules in a copy in which time runs faster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trust_ops.alertmanager_config.scaling import milliseconds
from trust_ops.stack.files import prometheus_files

_DURATION = r"(\d+)(ms|[smhdw])"
# Ranges, steps of subqueries, and offsets. Recorded names such as `rate5m` are names, and stay.
_IN_EXPRESSION = re.compile(rf"(\[|(?<=\w):(?=\d+[a-z]+\])|offset\s+){_DURATION}")
_METRIC_NAME = re.compile(r"[a-zA-Z_][\w:]*")
# Percent by which the heap grows between two garbage collections. A heap that is small beside the pace of the rules
# is collected all the time otherwise.
_GOGC = 400
_FIELDS = frozenset({"for", "keep_firing_for", "interval", "scrape_interval", "evaluation_interval"})


def write_scaled(folder: Path, factor: float) -> None:
    """Write the configuration and the rules with every duration divided by `factor`.

    How long to wait for an answer stays, and so does how late samples may come: neither is part of an alert. Groups of
    rules that only dashboards read are left out: evaluated at this pace, they would keep a processor busy for nothing.
    """
    folder.mkdir(parents=True)
    trees = {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in prometheus_files()}
    names = names_read_by_alerts([rule for tree in trees.values() for rule in _rules(tree)])
    for name, whole in trees.items():
        tree = _scaled(whole, factor)
        if "global" in tree:
            tree["global"]["scrape_timeout"] = tree["global"]["scrape_interval"]
            tree["runtime"] = {"gogc": _GOGC}
        if "groups" in tree:
            tree["groups"] = [group for group in tree["groups"] if not names.isdisjoint(map(_name, group["rules"]))]
        (folder / name).write_text(yaml.safe_dump(tree, sort_keys=False, width=200), encoding="utf-8")


def names_read_by_alerts(rules: Sequence[Mapping[str, Any]]) -> set[str]:
    """The alerts, and the recorded series that they are evaluated from, directly or through other recorded series."""
    expressions: dict[str, list[str]] = {}
    for rule in rules:
        expressions.setdefault(_name(rule), []).append(rule["expr"])
    names = {rule["alert"] for rule in rules if "alert" in rule}
    new = names
    while new:
        read = {word for name in new for text in expressions[name] for word in _METRIC_NAME.findall(text)}
        new = (read & expressions.keys()) - names
        names = names | new
    return names


def _rules(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in tree.get("groups", ()) for rule in group["rules"]]


def _name(rule: Mapping[str, Any]) -> str:
    name: str = rule.get("alert") or rule["record"]
    return name


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
