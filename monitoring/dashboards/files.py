"""Renders the dashboards, and the page about them, as text."""

from __future__ import annotations

import json
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from monitoring.dashboards import business, catalogue, meta_monitoring, operational, security

_MODULES: Final = (operational, security, business, meta_monitoring)


def render() -> dict[str, str]:
    """The JSON of each dashboard by file name."""
    return {f"{each.uid}.json": _as_json(each) for each in _built()}


def render_catalogue() -> str:
    """The text of docs/dashboards.md."""
    return catalogue.page(_built())


def _built() -> list[Dashboard]:
    dashboards = [module.dashboard().build() for module in _MODULES]
    for panel in (panel for dashboard in dashboards for panel in dashboard.panels or []):
        # The SDK sets a repeat direction even for panels that are not repeated.
        if isinstance(panel, Panel) and panel.repeat is None:
            panel.repeat_direction = None
    return dashboards


def _as_json(dashboard: Dashboard) -> str:
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
