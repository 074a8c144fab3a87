"""A Prometheus with an hour of fixed data, and a dashboard with every panel type."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Any

import yaml

from tests.support.alerting import Process
from trust_ops.stack.binaries import find
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries

UID = "every-type"
FAULTY = "faulty"
CHOICES = "choices"
STEP = 15
SERVICES = ("pki", "portal")
NOTHING = "Nothing has happened."

# Numbers of the panels.
GRAPH, STACKED, STAT, GAUGE, BARS, TABLE, PIE, STATES, MAP, TEXT, ALERTS = range(1, 12)
EMPTY_GRAPH, EMPTY_STAT, EMPTY_TABLE, BROKEN, ODD = range(20, 25)
# Panels of the faulty dashboard.
MERGED_STATES, ALERTS_OF_A_VARIABLE, TILES, GREEN_NOTHING = range(30, 34)

Json = dict[str, Any]


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """URL of a Prometheus with data of `SERVICES` in the last hour."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(yaml.safe_dump(_RULES))
    with prometheus_with(folder, _history(), [folder / "rules.yml"]) as url:
        yield url


@contextmanager
def prometheus_with(folder: Path, history: str, rule_files: Sequence[Path] = ()) -> Iterator[str]:
    """URL of a Prometheus with this data (OpenMetrics) and these rules."""
    folder.mkdir(parents=True, exist_ok=True)
    if history:
        (folder / "history.txt").write_text(history)
        promtool = find(binaries()["promtool"], environ, print)
        create: list[str | Path] = [
            promtool,
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            folder / "history.txt",
            folder / "data",
        ]
        subprocess.run(create, check=True, capture_output=True, timeout=60)
    configuration = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(each) for each in rule_files]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    (port,) = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    flags = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    ]
    process = Process("prometheus", flags, url, folder)
    try:
        process.start()
        yield url
    finally:
        process.stop()


def write_dashboard(folder: Path) -> Path:
    """Write the dashboard, and another that it links to; returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for uid, title, panels in ((UID, "Every type of panel", _panels()), ("other", "Another dashboard", [_text(1)])):
        (folder / f"{uid}.json").write_text(json.dumps(_dashboard(uid, title, panels)))
    choices = {**_dashboard(CHOICES, "One environment", [_chosen(1)]), "tags": []}
    choices["templating"]["list"][1:3] = _choices()
    (folder / f"{CHOICES}.json").write_text(json.dumps(choices))
    faulty = {**_dashboard(FAULTY, "FaultMetrics that Grafana shows and does not report", _faulty()), "tags": []}
    (folder / f"{FAULTY}.json").write_text(json.dumps(faulty))
    return folder


_RULES: Json = {
    "groups": [
        {
            "name": "test",
            "rules": [{"alert": "TrustTestFires", "expr": "vector(1)", "labels": {"severity": "warning"}}],
        }
    ]
}


def _history() -> str:
    now = int(time.time()) // STEP * STEP
    times = range(now - 3600, now + STEP, STEP)
    families: dict[str, list[str]] = {
        "heartbeat": [],
        "uptime": [],
        "requests": [],
        "latency_seconds": [],
        "healthy": [],
    }
    for each in times:
        families["uptime"].append(f'uptime{{service_name="cron",service_instance_id="cron-0"}} 1 {each}')
        for number, service in enumerate(SERVICES, start=1):
            labels = f'deployment_environment_name="test",service_name="{service}",service_instance_id="{service}-0"'
            families["heartbeat"].append(f'heartbeat{{{labels},version="{2 if each > now - 900 else 1}"}} 1 {each}')
            families["uptime"].append(f"uptime{{{labels}}} 1 {each}")
            wave = 1 + 0.5 * math.sin(each / 600 + number)
            families["latency_seconds"].append(f"latency_seconds{{{labels}}} {0.2 * number * wave:.4f} {each}")
            families["healthy"].append(f"healthy{{{labels}}} {int(each % 1800 > 300 * number)} {each}")
            for weight, country in ((1, "DE"), (2, "US"), (4, "SG"), (3, "FR")):
                count = (each - times[0]) * number * weight
                families["requests"].append(f'requests_total{{{labels},country="{country}"}} {count} {each}')
    lines = []
    for name, samples in families.items():
        lines += [f"# TYPE {name} {'counter' if name == 'requests' else 'gauge'}", *sorted(samples, key=_series)]
    return "\n".join([*lines, "# EOF", ""])


# In OpenMetrics, the samples of a series must be consecutive.
def _series(sample: str) -> str:
    return sample.split("}")[0]


def _dashboard(uid: str, title: str, panels: list[Json]) -> Json:
    labels = (
        ("environment", "label_values(heartbeat, deployment_environment_name)"),
        ("service", 'label_values(heartbeat{deployment_environment_name=~"$environment"}, service_name)'),
    )
    return {
        "uid": uid,
        "title": title,
        "tags": ["test"],
        "timezone": "utc",
        "schemaVersion": 41,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "title": "Others",
                "type": "dashboards",
                "tags": ["test"],
                "keepTime": True,
                "includeVars": True,
                "asDropdown": False,
                "icon": "",
                "targetBlank": False,
                "tooltip": "",
                "url": None,
            }
        ],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                *(
                    {
                        "name": name,
                        "type": "query",
                        "label": name.title(),
                        "datasource": _SOURCE,
                        "query": {"query": query, "refId": name},
                        "multi": True,
                        "includeAll": True,
                        "allValue": ".*",
                        "sort": 1,
                        "refresh": 2,
                        "current": {"text": "All", "value": "$__all"},
                    }
                    for name, query in labels
                ),
                {"name": "interval", "type": "interval", "query": "15s,1m,5m", "current": {"value": "15s"}},
                {"name": "runbooks", "type": "constant", "hide": 2, "query": "https://runbooks.example.com"},
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Deployments",
                    "datasource": _SOURCE,
                    "enable": True,
                    "expr": 'heartbeat{service_name=~"$service"} unless heartbeat offset 1m',
                    "iconColor": "blue",
                    "titleFormat": "Deployment of {{service_name}}",
                    "step": "15s",
                }
            ]
        },
        "panels": panels,
    }


_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_CHOSEN = 'service_name=~"$service"'
_REQUESTS = f"sum by (service_name) (rate(requests_total{{{_CHOSEN}}}[$__rate_interval]))"
_LAST: Json = {"calcs": ["lastNotNull"], "values": False, "fields": ""}
_LEVELS: Json = {
    "mode": "absolute",
    "steps": [
        {"color": "green", "value": None},
        {"color": "yellow", "value": 0.3},
        {"color": "red", "value": 0.5},
    ],
}


def _target(expression: str, ref: str = "A", **more: Any) -> Json:
    return {"refId": ref, "datasource": _SOURCE, "expr": expression, "range": True, "instant": False, **more}


def _over_time(expression: str, ref: str = "A", name: str = "{{service_name}}") -> Json:
    return _target(expression, ref, interval="$interval", legendFormat=name)


def _at_once(expression: str, ref: str = "A", **more: Any) -> Json:
    return _target(expression, ref, range=False, instant=True, **more)


def _panel(
    number: int,
    kind: str,
    title: str,
    targets: list[Json],
    *,
    at: tuple[int, int, int, int],
    options: Json | None = None,
    defaults: Json | None = None,
    **more: Any,
) -> Json:
    x, y, width, height = at
    return {
        "id": number,
        "type": kind,
        "title": title,
        "description": f"A panel of type **{kind}**.",
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "targets": targets,
        "options": options or {},
        "fieldConfig": {"defaults": {"noValue": NOTHING, **(defaults or {})}, "overrides": []},
        **more,
    }


def _text(number: int) -> Json:
    content = "# Words\n\nShown for **$service**."
    options = {"mode": "markdown", "content": content}
    return _panel(number, "text", "Words", [], at=(16, 32, 8, 8), options=options)


def _chosen(number: int) -> Json:
    content = "Of [$environment]: [${instance:text}] with the id [${instance:raw}]."
    options = {"mode": "markdown", "content": content}
    return _panel(number, "text", "Chosen", [], at=(0, 0, 24, 8), options=options)


def _choices() -> list[Json]:
    """A single environment, and instances with other texts than values."""
    common = {"type": "query", "datasource": _SOURCE, "refresh": 2}
    environments = "sort_desc(count by (deployment_environment_name) (uptime))"
    named = (
        'label_replace(uptime{deployment_environment_name="$environment"}, "name", "the $1", "service_name", "(.*)")'
    )
    return [
        {
            **common,
            "name": "environment",
            "label": "Environment",
            "query": {"query": f"query_result({environments})", "refId": "environment"},
            "regex": '/^{(?:deployment_environment_name=")?(.*?)"?} /',
            "sort": 0,
            "current": {"text": "production", "value": "production"},
        },
        {
            **common,
            "name": "instance",
            "label": "Instance",
            "query": {"query": f"query_result(count by (name, service_instance_id) ({named}))", "refId": "instance"},
            "regex": '/name="(?<text>[^"]*)".*service_instance_id="(?<value>[^"]*)"/',
            "sort": 1,
        },
    ]


def _panels() -> list[Json]:
    return [*_graphs(), *_numbers(), *_tables(), *_others(), *_without_data()]


def _graphs() -> list[Json]:
    legend = {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    limits = {"color": {"mode": "palette-classic"}, "thresholds": _LEVELS}
    lines = {"lineWidth": 2, "fillOpacity": 8, "showPoints": "never", "thresholdsStyle": {"mode": "dashed"}}
    stacked = {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    runbook = {"title": "Runbook", "type": "link", "url": "${runbooks}/TrustTestFires", "targetBlank": False}
    return [
        _panel(
            GRAPH,
            "timeseries",
            "Latency of $service",
            [_over_time(f"latency_seconds{{{_CHOSEN}}}")],
            at=(0, 0, 12, 8),
            options=options,
            defaults={"unit": "s", "min": 0, "custom": lines, **limits},
            links=[runbook],
        ),
        _panel(
            STACKED,
            "timeseries",
            "Requests",
            [_over_time(_REQUESTS)],
            at=(12, 0, 12, 8),
            options=options,
            defaults={"unit": "reqps", "custom": stacked, "color": {"mode": "palette-classic"}},
        ),
    ]


def _numbers() -> list[Json]:
    latency = f"max by (service_name) (latency_seconds{{{_CHOSEN}}})"
    look = {"unit": "s", "thresholds": _LEVELS, "color": {"mode": "thresholds"}, "min": 0}
    bounded = {**look, "max": 1}
    stat = {"colorMode": "background", "graphMode": "area", "textMode": "auto", "reduceOptions": _LAST}
    bars = {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": _LAST, "valueMode": "color"}
    gauge = {"showThresholdMarkers": True, "reduceOptions": _LAST}
    at_once = [_at_once(latency, legendFormat="{{service_name}}")]
    return [
        _panel(STAT, "stat", "Now", [_over_time(latency)], at=(0, 8, 8, 6), options=stat, defaults=look),
        _panel(GAUGE, "gauge", "Dials", at_once, at=(8, 8, 8, 6), options=gauge, defaults=bounded),
        _panel(BARS, "bargauge", "Bars", at_once, at=(16, 8, 8, 6), options=bars, defaults=bounded),
    ]


def _tables() -> list[Json]:
    columns = {"Value #A": "Latency", "Value #B": "Requests", "service_name": "Service"}
    organize = {"excludeByName": {"Time": True}, "indexByName": {"service_name": 0}, "renameByName": columns}
    link = '/d/other?${__url_time_range}&${environment:queryparam}&var-service=${__data.fields["Service"]}'
    overrides = [
        {
            "matcher": {"id": "byName", "options": "Latency"},
            "properties": [
                {"id": "unit", "value": "s"},
                {"id": "thresholds", "value": _LEVELS},
                {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}},
            ],
        },
        {
            "matcher": {"id": "byName", "options": "Requests"},
            "properties": [
                {"id": "unit", "value": "reqps"},
                {"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "gradient"}},
            ],
        },
        {
            "matcher": {"id": "byName", "options": "Service"},
            "properties": [{"id": "links", "value": [{"title": "Open", "url": link, "targetBlank": False}]}],
        },
    ]
    targets = [
        _at_once(f"max by (service_name) (latency_seconds{{{_CHOSEN}}})", format="table"),
        _at_once(_REQUESTS, "B", format="table"),
    ]
    table = _panel(
        TABLE,
        "table",
        "Services",
        targets,
        at=(0, 14, 12, 8),
        options={"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": "Latency", "desc": True}]},
        transformations=[{"id": "merge", "options": {}}, {"id": "organize", "options": organize}],
    )
    table["fieldConfig"]["overrides"] = overrides
    return [table]


def _others() -> list[Json]:
    by_country = "sum by (country) (increase(requests_total[$__range]))"
    pie = {
        "pieType": "donut",
        "reduceOptions": _LAST,
        "legend": {"showLegend": True, "displayMode": "table", "placement": "right", "values": ["value", "percent"]},
    }
    marker = {
        "type": "markers",
        "name": "Requests",
        "location": {"mode": "lookup", "lookup": "country", "gazetteer": "public/gazetteer/countries.json"},
        "config": {
            "style": {
                "size": {"field": "Value", "fixed": 6, "min": 4, "max": 24},
                "color": {"field": "Value", "fixed": "dark-green"},
                "opacity": 0.6,
            }
        },
    }
    countries = {"type": "geojson", "config": {"src": "public/maps/countries.geojson", "style": {"opacity": 0.2}}}
    world = {"view": {"id": "zero", "lat": 20, "lon": 0, "zoom": 1}, "layers": [marker], "basemap": countries}
    alerts = {"alertName": "Trust", "stateFilter": {"firing": True, "pending": True}, "maxItems": 20}
    return [
        _panel(
            PIE,
            "piechart",
            "Where from",
            [_at_once(by_country, legendFormat="{{country}}")],
            at=(12, 14, 12, 8),
            options=pie,
            defaults={"unit": "short", "color": {"mode": "palette-classic"}},
        ),
        _panel(
            STATES,
            "state-timeline",
            "Health",
            [_over_time(f"healthy{{{_CHOSEN}}}")],
            at=(0, 22, 12, 8),
            options={"showValue": "auto", "rowHeight": 0.8, "legend": {"showLegend": True, "placement": "bottom"}},
            defaults={"mappings": [*_WORDS, _NO_TEXT], "color": {"mode": "palette-classic"}},
        ),
        _panel(
            MAP,
            "geomap",
            "World",
            [_at_once(by_country, format="table")],
            at=(12, 22, 12, 10),
            options=world,
            defaults={"thresholds": _LEVELS, "color": {"mode": "thresholds"}},
        ),
        _text(TEXT),
        _panel(ALERTS, "alertlist", "Alerts", [], at=(0, 32, 8, 8), options=alerts),
    ]


_WORDS: list[Json] = [
    {
        "type": "value",
        "options": {
            "1": {"text": "up", "color": "green", "index": 0},
            "0": {"text": "down", "color": "red", "index": 1},
        },
    }
]
_NO_TEXT: Json = {"type": "special", "options": {"match": "null+nan", "result": {"text": "", "index": 99}}}


def _faulty() -> list[Json]:
    green = {"mode": "absolute", "steps": [{"color": "green", "value": None}]}
    states = {"mergeValues": True, "showValue": "never", "legend": {"showLegend": True, "placement": "bottom"}}
    alerts = {"alertName": "Trust", "datasource": "${datasource}", "stateFilter": {"firing": True}}
    return [
        _panel(
            MERGED_STATES,
            "state-timeline",
            "Health",
            [_over_time(f"healthy{{{_CHOSEN}}}")],
            at=(0, 0, 12, 8),
            options=states,
            defaults={"mappings": _WORDS, "color": {"mode": "thresholds"}, "thresholds": green},
        ),
        _panel(ALERTS_OF_A_VARIABLE, "alertlist", "Alerts", [], at=(12, 0, 12, 8), options=alerts),
        _panel(
            TILES,
            "geomap",
            "World",
            [_at_once("sum by (country) (requests_total)", format="table")],
            at=(0, 8, 12, 8),
            options={"basemap": {"type": "default"}, "layers": []},
        ),
        _panel(
            GREEN_NOTHING,
            "stat",
            "Nothing, in green",
            [_over_time("there_is_no_such_metric")],
            at=(12, 8, 12, 8),
            options={"colorMode": "background", "graphMode": "none", "reduceOptions": _LAST},
            defaults={"thresholds": green, "color": {"mode": "thresholds"}},
        ),
    ]


def _without_data() -> list[Json]:
    missing = "there_is_no_such_metric"
    return [
        {
            "id": 100,
            "type": "row",
            "title": "Without data",
            "gridPos": {"x": 0, "y": 40, "w": 24, "h": 1},
            "panels": [],
        },
        _panel(EMPTY_GRAPH, "timeseries", "Empty graph", [_over_time(missing)], at=(0, 41, 6, 5)),
        _panel(EMPTY_STAT, "stat", "Empty number", [_over_time(missing)], at=(6, 41, 6, 5)),
        _panel(EMPTY_TABLE, "table", "Empty table", [_at_once(missing, format="table")], at=(12, 41, 6, 5)),
        _panel(BROKEN, "timeseries", "Broken query", [_over_time("sum(rate(")], at=(18, 41, 6, 5)),
        _panel(ODD, "candlestick", "Not drawn here", [_over_time("heartbeat")], at=(8, 32, 8, 8)),
    ]
