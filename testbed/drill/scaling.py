"""A copy of Prometheus' configuration and rules with shortened durations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.checks.rule_dependencies import readers
from tools.checks.rules import Rule, rules_in
from trust_ops.durations import parse_duration
from trust_ops.site_config import read_site, slo_rules
from trust_ops.stack.files import prometheus_files

SITE = Path(__file__).with_name("site.yml")

_DURATION = r"(\d+)(ms|[smhdw])"
# Ranges, subquery steps and offsets, but not recorded names such as `rate5m`.
_IN_EXPRESSION = re.compile(rf"(\[|(?<=\w):(?=\d+[a-z]+\])|offset\s+){_DURATION}")
# Percent of heap growth between two garbage collections. With the default, the fast rule evaluation would cause
# constant garbage collection of the small heap.
_GOGC = 400
_FIELDS = frozenset({"for", "keep_firing_for", "interval", "scrape_interval", "evaluation_interval"})


def write_scaled(folder: Path, factor: float) -> None:
    """Write the configuration and the rules with every duration divided by `factor`.

    The objectives are those of the drill, which page.

    Timeouts and the out-of-order window stay, because they are not part of an alert. Rule groups that only dashboards
    read are left out, because their evaluation at this rate would use a whole CPU.
    """
    folder.mkdir(parents=True)
    texts = {file.name: file.read_text(encoding="utf-8") for file in prometheus_files()}
    texts[slo_rules.FILE] = slo_rules.rule_file(read_site(SITE.read_text(encoding="utf-8"), str(SITE)).objectives)
    rules = [rule for name, text in texts.items() if "groups" in yaml.safe_load(text) for rule in rules_in(text, name)]
    for name, text in texts.items():
        tree = _scaled(yaml.safe_load(text), factor)
        if "global" in tree:
            tree["global"]["scrape_timeout"] = tree["global"]["scrape_interval"]
            tree["runtime"] = {"gogc": _GOGC}
        if "groups" in tree:
            tree["groups"] = [group for group in tree["groups"] if _alerts_read(group["name"], rules)]
        (folder / name).write_text(yaml.safe_dump(tree, sort_keys=False, width=200), encoding="utf-8")


def _alerts_read(group: str, rules: Sequence[Rule]) -> bool:
    """Whether the group has alerts, or recording rules that alerts read."""
    return any(rule.is_alert or readers(rule, rules) for rule in rules if rule.group == group)


def scaled_duration(duration: str, factor: float) -> str:
    """A duration such as `5m`, divided by `factor`."""
    return f"{scaled_seconds(duration, factor) * 1000:.0f}ms"


def scaled_seconds(duration: str, factor: float) -> float:
    """The same in seconds. Raises ValueError if it is not a duration."""
    return max(1, round(parse_duration(duration).total_seconds() * 1000 / factor)) / 1000


def scaled_expression(expression: str, factor: float) -> str:
    """An expression with its ranges, steps and offsets divided by `factor`."""
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
