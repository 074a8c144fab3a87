"""Renders the dashboards, and the page about them, as text."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from monitoring.alerts.files import templates
from monitoring.dashboards import business, catalogue, meta_monitoring, operational, pki, security, security_events
from monitoring.dashboards.places import places_in, plain, with_values
from trust_ops.site_config.dashboards import DashboardValues, Places, as_json, filled
from trust_ops.site_config.rule_templates import threshold_values
from trust_ops.site_config.site import DEFAULTS

_MODULES: Final = (operational, security, business, pki, meta_monitoring)
_OPTIONAL: Final = (security_events,)

PUBLISHED: Final = dataclasses.replace(DashboardValues.of(DEFAULTS), thresholds=threshold_values(templates()))
"""The values in the published dashboards."""


def render(values: DashboardValues = PUBLISHED) -> dict[str, str]:
    """The JSON of each dashboard by file name."""
    return {f"{each.uid}.json": as_json(with_values(plain(each), values)) for each in _built(*_MODULES)}


def render_optional(values: DashboardValues = PUBLISHED) -> dict[str, str]:
    """The same for the dashboards that need an optional data source."""
    return {f"{each.uid}.json": as_json(with_values(plain(each), values)) for each in _built(*_OPTIONAL)}


def render_catalogue() -> str:
    """The text of docs/dashboards.md."""
    return str(filled(catalogue.page(_built(*_MODULES, *_OPTIONAL)), PUBLISHED))


def places() -> Places:
    """The texts and numbers that depend on a site, by uid of the dashboard."""
    return {str(each.uid): tuple(places_in(plain(each))) for each in _built(*_MODULES, *_OPTIONAL)}


def _built(*modules: ModuleType) -> list[Dashboard]:
    dashboards = [module.dashboard().build() for module in modules]
    for panel in (panel for dashboard in dashboards for panel in dashboard.panels or []):
        # The SDK sets a repeat direction even for panels that are not repeated.
        if isinstance(panel, Panel) and panel.repeat is None:
            panel.repeat_direction = None
        if isinstance(panel, Panel) and panel.type_val != "logs" and _adds_services(panel):
            shown, gap, rest = (panel.description or "").partition("\n\n")
            panel.description = f"{shown} {_TOGETHER}{gap}{rest}"
    return dashboards


_TOGETHER: Final = "All selected services together."


def _adds_services(panel: Panel) -> bool:
    """Whether a query of services has a result without a service or instance."""
    keys = {
        label
        for transformation in panel.transformations or []
        if isinstance(transformation.options, dict)
        for label in transformation.options.get("renameByName", {})
    }
    results = (
        (target.expr, keys or target.legend_format or "")  # type: ignore[attr-defined]
        for target in panel.targets or []
    )
    return any("$service" in query and not any(name in names for name in _NAMES) for query, names in results)


_NAMES: Final = ("service_name", "instance_name")
