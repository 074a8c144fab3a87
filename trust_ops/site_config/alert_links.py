"""Checks that the teams that receive alerts may open the dashboards to which these alerts link."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from trust_ops.site_config.errors import Problem
from trust_ops.site_config.rule_templates import rule_groups
from trust_ops.site_config.site import Site

_DASHBOARD: Final = re.compile(r"/d/trust-service-(\w+)")


def not_opened(site: Site) -> Iterator[Problem]:
    """The dashboards that a team of the site may not open although its alerts link there."""
    for (team, dashboard), alerts in _links().items():
        if team in site.teams and dashboard not in (*site.teams[team].view, *site.teams[team].edit):
            yield Problem(
                f"teams.{team}",
                f"the team may not open the dashboard {dashboard}, to which alerts that it receives link: "
                f"{', '.join(alerts)}; add {dashboard} to view",
            )


def unlisted_teams(site: Site) -> Iterator[Problem]:
    """The teams that receive alerts and are not listed: a site may have other names for them in Grafana."""
    for team, links in groupby(sorted(_links()), key=lambda link: link[0]):
        if team not in site.teams:
            dashboards = ", ".join(dashboard for _, dashboard in links)
            yield Problem(
                "teams",
                f"the team {team} receives alerts and is not listed; make sure that its people may open the dashboards "
                f"to which they link: {dashboards}",
            )


def _links() -> Mapping[tuple[str, str], Sequence[str]]:
    """The names of the alerts by team and dashboard."""
    found: dict[tuple[str, str], list[str]] = {}
    for rule in (rule for group in rule_groups() for rule in group.rules):
        dashboard = _DASHBOARD.search(rule.annotations.get("dashboard_url", ""))
        # An escalation has the team and the link of the escalated alert.
        if dashboard is not None and "team" in rule.labels:
            alerts = found.setdefault((rule.labels["team"], dashboard[1]), [])
            if rule.name not in alerts:
                alerts.append(rule.name)
    return found
