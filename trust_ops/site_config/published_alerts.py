"""The alerts of the published rule file, which settings of a site name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import yaml

from trust_ops.stack.files import project_file

ALERT_RULES = "trust-service-alerts.yml"


@dataclass(frozen=True)
class PublishedAlert:
    """An alert by name, with the team that is notified and its severities."""

    team: str
    severities: tuple[str, ...]


@cache
def published_alerts() -> Mapping[str, PublishedAlert]:
    """All alerts by name, without escalations, which have the labels of the escalated alert."""
    text = project_file(f"monitoring/prometheus/{ALERT_RULES}").read_text(encoding="utf-8")
    found: dict[str, PublishedAlert] = {}
    for group in yaml.safe_load(text)["groups"]:
        for rule in group["rules"]:
            labels = rule["labels"]
            if "severity" in labels:
                earlier = found[rule["alert"]].severities if rule["alert"] in found else ()
                severities = tuple(dict.fromkeys((*earlier, labels["severity"])))
                found[rule["alert"]] = PublishedAlert(labels["team"], severities)
    return found
