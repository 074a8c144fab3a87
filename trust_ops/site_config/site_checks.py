"""Checks of the settings against the alerts that exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trust_ops.durations import parse_duration
from trust_ops.site_config import dashboards, objectives, required_controls, rules
from trust_ops.site_config.errors import suggestion
from trust_ops.site_config.published_alerts import PublishedAlert
from trust_ops.site_config.site import Site
from trust_ops.site_config.yaml_document import Path

Alerts = Mapping[str, PublishedAlert]

_BUSINESS = "business"


def check(site: Site, alerts: Alerts) -> Iterator[tuple[Path, str]]:
    """The path of each setting that is wrong, and the remedy."""
    yield from _muted(site, alerts)
    yield from rules.problems(site)
    yield from dashboards.problems(site)
    # A shorter retention has its own problem.
    retention = max(parse_duration(site.retention), dashboards.LEAST_RETENTION)
    for position, name, remedy in objectives.problems(site.objectives, retention):
        yield ("objectives", position, name), remedy
    for position, remedy in required_controls.problems(site.compliance.required_controls):
        yield ("compliance", "required_controls", position, "control"), remedy


def _muted(site: Site, alerts: Alerts) -> Iterator[tuple[Path, str]]:
    business = [name for name, alert in alerts.items() if alert.team == _BUSINESS]
    for number, name in enumerate(site.business_hours.muted_outside):
        path = ("business_hours", "muted_outside", number)
        if name not in alerts:
            yield path, f"there is no such alert; {suggestion(name, business)}"
        elif name not in business:
            yield path, f"it is an alert of team {alerts[name].team}; only business alerts wait: {', '.join(business)}"
