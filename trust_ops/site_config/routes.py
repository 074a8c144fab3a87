"""Adapts Alertmanager's routes to the site: what each environment may do, and when business alerts are muted.

The template names these conditions among the matchers of a route:

- `${shown}`, `${notified}`: the alert is of an environment that only shows, or only notifies
- `${muted}`: the alert is muted outside business hours

A route is repeated for each alternative of its condition, and removed if no alert can fulfil it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trust_ops.site_config.rule_templates import alternatives
from trust_ops.site_config.site import BusinessHours, Site, Treatment

ENVIRONMENT: Final = "deployment_environment_name"

Matchers = list[str]


def for_site(template: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """The parsed template with its conditions and time intervals replaced."""
    hours = site.business_hours
    conditions = {
        "${shown}": _of_environments(site, "show"),
        "${notified}": _of_environments(site, "notify"),
        "${muted}": [[matcher("alertname", "=~", hours.muted_outside)]] if hours.muted_outside else [],
    }
    configuration = {**template, "route": _with_routes(template["route"], conditions)}
    if not hours.muted_outside:
        del configuration["time_intervals"]
        return configuration
    (named,) = template["time_intervals"]
    return {**configuration, "time_intervals": [{**named, "time_intervals": _outside(hours)}]}


def matcher(label: str, operator: str, values: Iterable[str]) -> str:
    """A matcher of Alertmanager with a regular expression for exactly these values."""
    return f'{label} {operator} "{alternatives(values)}"'


def _of_environments(site: Site, treatment: Treatment) -> list[Matchers]:
    """Alternatives of matchers for alerts of environments with this treatment.

    Alerts with neither environment nor service are about the infrastructure: they belong to no environment.
    """
    listed = [name for name, each in site.environments.items() if each == treatment]
    found = [[matcher(ENVIRONMENT, "=~", listed)]] if listed else []
    if site.other_environments == treatment:
        found.append([f'{ENVIRONMENT} != ""', matcher(ENVIRONMENT, "!~", site.environments)])
        found.append([f'{ENVIRONMENT} = ""', 'service_name != ""'])
    return found


def _with_routes(route: Mapping[str, Any], conditions: Mapping[str, list[Matchers]]) -> dict[str, Any]:
    if "routes" not in route:
        return dict(route)
    inner = [alternative for one in route["routes"] for alternative in _alternatives(one, conditions)]
    return {**route, "routes": [_with_routes(one, conditions) for one in inner]}


def _alternatives(route: Mapping[str, Any], conditions: Mapping[str, list[Matchers]]) -> list[Mapping[str, Any]]:
    matchers: Matchers = route.get("matchers", [])
    for condition, choices in conditions.items():
        if condition in matchers:
            rest = [each for each in matchers if each != condition]
            return [{**route, "matchers": [*rest, *alternative]} for alternative in choices]
    return [route]


def _outside(hours: BusinessHours) -> list[dict[str, Any]]:
    """Alertmanager's time intervals for all times outside the hours."""
    times = [("00:00", hours.begin), (hours.end, "24:00")]
    closed = [{"start_time": begin, "end_time": end} for begin, end in times if begin != end]
    intervals: list[dict[str, Any]] = []
    if hours.closed_days:
        intervals.append({"weekdays": list(hours.closed_days), "location": hours.timezone})
    if closed:
        intervals.append({"weekdays": list(hours.days), "times": closed, "location": hours.timezone})
    return intervals
