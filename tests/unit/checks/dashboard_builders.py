"""A small dashboard that passes every check, and the alerts, panels and series that it refers to."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.grafana import Dashboard, dashboard_in
from tools.checks.label_inference import Labels
from tools.checks.panels import DashboardContext
from tools.checks.rules import rules_in
from tools.checks.vocabulary import Bounds, Label, Series

UID = "trust-service-monitoring"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SERVICE = 'deployment_environment_name="$environment", service_name=~"$service"'
FILTERS = f'{_SERVICE}, service_instance_id=~"$instance"'
_VARIABLE_PARAMETERS = "&".join(
    f"${{{name}:queryparam}}" for name in ("datasource", "environment", "service", "instance")
)
KEPT_PARAMETERS = f"${{__url_time_range}}&{_VARIABLE_PARAMETERS}"
_GREEN = {"color": "green", "value": None}

_ALERT = """
groups:
  - name: sessions
    rules:
      - alert: TrustSessionsMany
        expr: sum by (service_name) (sessions) > 100
        annotations:
          dashboard_url: https://grafana.marty.com/d/trust-service-monitoring?viewPanel=1
"""
_ALERT_LABELS: Labels = {
    "alertname": Label(values=frozenset({"TrustSessionsMany"})),
    "alertstate": Label(values=frozenset({"firing", "pending"})),
    "service_name": Label(always=False),
}

CONTEXT = DashboardContext(
    vocabulary=VOCABULARY.with_series(
        [
            Series("ALERTS", "gauge", _ALERT_LABELS, 10, Bounds(1, 1, zero=False)),
            Series("visitors", "gauge", {**VOCABULARY["sessions"].labels, "country": Label()}, 15, Bounds(low=0)),
        ]
    ),
    alerts=rules_in(_ALERT, "alerts.yml"),
    panels={UID: frozenset(range(1, 8))},
    runbooks=frozenset({"TrustSessionsMany"}),
    units=frozenset({"short", "percentunit", "reqps"}),
    sources=frozenset({"Prometheus"}),
)


def _panel(number: int, kind: str, *targets: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    thresholds = {"mode": "absolute", "steps": [_GREEN]}
    shared = " All selected services together." if any("$service" in each["expr"] for each in targets) else ""
    no_value = "Nobody has a session, or the data is too recent or too brief for the graph."
    return {
        "id": number,
        "type": kind,
        "title": f"Panel {number}",
        "description": f"How many sessions there are.{shared}\n\n**What to do:** Ask who opened them all.",
        "datasource": _SOURCE,
        "gridPos": {"x": 12 * (number % 2), "y": 1 + number // 2, "w": 12, "h": 1},
        "targets": list(targets),
        "links": [],
        "fieldConfig": {
            "defaults": {"unit": "short", "noValue": no_value, "thresholds": thresholds},
            "overrides": [],
        },
        **more,
    }


def _target(ref: str, source: str, legend: str = "", *, table: bool = False, ranged: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"refId": ref, "expr": source, "datasource": _SOURCE, "legendFormat": legend}
    found |= {"instant": not ranged, "range": ranged}
    return {**found, **({"format": "table"} if table else {}), **({"interval": "$interval"} if ranged else {})}


def _override(name: str, **properties: Any) -> dict[str, Any]:
    values = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": values}


def _time_series_panel() -> dict[str, Any]:
    rate = f"sum by (method) (rate(requests_total{{{FILTERS}}}[$__rate_interval]))"
    panel = _panel(1, "timeseries", _target("A", rate, "{{method}} requests", ranged=True))
    panel["fieldConfig"]["defaults"]["thresholds"]["steps"].append({"color": "red", "value": 100})
    panel["fieldConfig"]["overrides"] = [_override("GET requests", unit="reqps")]
    panel["links"] = [{"url": "${runbooks}/TrustSessionsMany"}, {"url": f"/d/{UID}?viewPanel=2&{KEPT_PARAMETERS}"}]
    return panel


def _table_panel() -> dict[str, Any]:
    requests = f"sum by (method) (increase(requests_total{{{FILTERS}}}[$__range]))"
    share = f'sum by (method) (rate(requests_total{{{FILTERS}, code=~"5.."}}[5m])) / ({requests} > 0)'
    panel = _panel(2, "table", _target("A", requests, table=True), _target("B", share, table=True))
    names = {"method": "Method", "Value #A": "Requests", "Value #B": "Failed"}
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names}},
    ]
    panel["options"] = {"sortBy": [{"displayName": "Requests", "desc": True}]}
    words = [{"type": "value", "options": {"GET": {"text": "read"}, "POST": {"text": "written"}}}]
    link = [{"url": f"/d/{UID}?viewPanel=3&{KEPT_PARAMETERS}&method=${{__data.fields.Method}}"}]
    panel["fieldConfig"]["overrides"] = [
        _override("Method", mappings=words, links=link),
        _override("Failed", unit="percentunit"),
    ]
    return panel


def _geomap_panel() -> dict[str, Any]:
    panel = _panel(3, "geomap", _target("A", f"sum by (country) (visitors{{{FILTERS}}})", table=True))
    style = {"color": {"field": "Value"}, "opacity": 0.5}
    countries = {"type": "geojson", "config": {"src": "public/maps/countries.geojson"}}
    markers = {"type": "markers", "config": {"style": style}, "location": {"lookup": "country"}}
    panel["options"] = {"basemap": countries, "layers": [markers]}
    return panel


def _state_timeline_panel() -> dict[str, Any]:
    query = f"min by (target) (healthy{{{FILTERS}}})"
    panel = _panel(4, "state-timeline", _target("A", query, "{{target}}", ranged=True))
    words = {"1": {"text": "up", "color": "green"}, "0": {"text": "down", "color": "red"}}
    missing = {"match": "null+nan", "result": {"text": ""}}
    panel["fieldConfig"]["defaults"]["color"] = {"mode": "palette-classic"}
    panel["fieldConfig"]["defaults"]["mappings"] = [
        {"type": "value", "options": words},
        {"type": "special", "options": missing},
    ]
    return panel


def _stat_panel(number: int) -> dict[str, Any]:
    panel = _panel(number, "stat", _target("A", f"sum(sessions{{{FILTERS}}})", "sessions"))
    missing = {"match": "null+nan", "result": {"text": "Not measured", "color": "#808080"}}
    panel["fieldConfig"]["defaults"]["mappings"] = [{"type": "special", "options": missing}]
    return panel


def _alert_list_panel() -> dict[str, Any]:
    return _panel(20, "alertlist", options={"alertName": "Trust", "stateFilter": {"firing": True}})


def _variables() -> list[dict[str, Any]]:
    choice = {"type": "query", "datasource": _SOURCE, "refresh": 2}
    many = {"multi": True, "includeAll": True, "allValue": ".*"}
    one = {"current": {"value": "production"}}
    labels = {
        "environment": "deployment_environment_name",
        "service": "service_name",
        "instance": "service_instance_id",
    }
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        *(
            {
                **choice,
                **(one if name == "environment" else many),
                "name": name,
                "label": name,
                "query": {"query": f"label_values(sessions, {label})"},
            }
            for name, label in labels.items()
        ),
        {"name": "interval", "type": "interval", "options": [{"value": "15s"}]},
        {"name": "runbooks", "type": "constant", "hide": 2},
    ]


def _annotation(name: str, source: str, title: str) -> dict[str, Any]:
    return {"name": name, "enable": True, "datasource": _SOURCE, "expr": source, "titleFormat": title}


_DASHBOARD: Mapping[str, Any] = {
    "uid": UID,
    "title": "Monitoring",
    "description": "Of the tests.",
    "schemaVersion": 41,
    "tags": ["trust-otel"],
    "timezone": "browser",
    "refresh": "30s",
    "editable": False,
    "links": [{"type": "dashboards", "tags": ["trust-otel"], "includeVars": True, "keepTime": True}],
    "templating": {"list": _variables()},
    "annotations": {
        "list": [
            _annotation("Deployments", "count by (version) (info)", "{{version}}"),
            _annotation("Firing alerts", 'ALERTS{alertstate="firing", service_name=~"$service"}', "{{alertname}}"),
        ]
    },
    "panels": [
        {"id": 100, "type": "row", "title": "All", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}, "panels": []},
        _time_series_panel(),
        _table_panel(),
        _geomap_panel(),
        _state_timeline_panel(),
        *(_stat_panel(n) for n in (5, 6)),
        _panel(7, "text"),
        {**_alert_list_panel(), "gridPos": {"x": 0, "y": 5, "w": 12, "h": 1}},
    ],
}


def build_dashboard(changes: Mapping[str, Any] | None = None) -> Dashboard:
    """The dashboard with the values at these paths, such as `panels.1.title`, replaced; None removes a key."""
    found = copy.deepcopy(dict(_DASHBOARD))
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        place: Any = found
        for step in parents:
            place = place[int(step) if isinstance(place, list) else step]
        if isinstance(place, list):
            place[int(last)] = value
        elif value is None:
            del place[last]
        else:
            place[last] = value
    return dashboard_in(json.dumps(found), f"{UID}.json")
