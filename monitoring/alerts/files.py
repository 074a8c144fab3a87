"""What is made of the declarations: the templates of the rules, the runbooks' list of alerts, the list of thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from monitoring.alerts import ALERTS, GROUPS
from trust_ops.site_config.pages import with_table
from trust_ops.site_config.rule_templates import RuleGroup
from trust_ops.site_config.thresholds import Threshold, plain

_MONITORING: Final = Path(__file__).parents[1]
RULES: Final = _MONITORING / "prometheus" / "trust-service-alerts.yml"
INDEX: Final = _MONITORING / "runbooks" / "README.md"

THRESHOLDS: Final = _MONITORING.parent / "docs" / "alerting.md"

_UNITS: Final = {
    "number": "number",
    "count": "events, whole number: the alert fires above it",
    "ratio": "share: 0.05 is 5 %",
    "seconds": "seconds",
    "days": "days",
}


def templates() -> tuple[RuleGroup, ...]:
    """What `trust-otel render` makes the rule file of."""
    return tuple(RuleGroup(group.name, tuple(alert.template for alert in group.alerts)) for group in GROUPS)


def with_index(page: str) -> str:
    """The page with its table of alerts made anew. Raises ValueError as `with_table` does."""
    return with_table(page, "alerts", _index())


def with_thresholds(page: str) -> str:
    """The page with its table of thresholds made anew. Raises ValueError as `with_table` does."""
    return with_table(page, "thresholds", _thresholds())


def _thresholds() -> str:
    rows = (
        f"| `{alert.name}` | {alert.severity} | {plain(number.given)} | {_unit(number)} |\n"
        for alert in sorted(ALERTS, key=lambda alert: alert.name)
        if (number := alert.threshold) is not None
    )
    return "".join(["| alert | severity | default | unit |\n", "|---|---|---|---|\n", *rows])


def _unit(number: Threshold) -> str:
    below = number.below
    return _UNITS[number.unit] + (f", below {plain(below)}" if below is not None and number.unit != "ratio" else "")


def _index() -> str:
    rows = (_row(name) for name in sorted({alert.name for alert in ALERTS if alert.escalation_level is None}))
    return "".join(["| alert | severity | team | meaning |\n", "|---|---|---|---|\n", *rows])


def _row(name: str) -> str:
    rules = [alert for alert in ALERTS if alert.name == name]
    severities = ", ".join(str(alert.severity) for alert in rules)
    (team,) = {alert.team for alert in rules}
    # The first paragraph of its page.
    says = (INDEX.parent / f"{name}.md").read_text(encoding="utf-8").split("\n\n")[1].strip()
    return f"| [{name}]({name}.md) | {severities} | {team} | {says} |\n"
