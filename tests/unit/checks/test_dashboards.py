"""Each check of a dashboard, with a valid dashboard in which one thing is changed."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.checks.dashboard_builders import CONTEXT, FILTERS, KEPT_PARAMETERS, UID, build_dashboard
from tools.checks.alert_panels import ALERT_PANEL_CHECKS
from tools.checks.dashboards import CHECKS, check_alert_links, check_dashboard, panel_numbers
from tools.checks.grafana import DashboardFileError, dashboard_in

_OTHER = {"type": "loki", "uid": "logs"}
_STEPS = "fieldConfig.defaults.thresholds.steps"
_GREEN, _YELLOW, _RED = ({"color": each, "value": None} for each in ("green", "yellow", "red"))


def _at(colour: str, value: float) -> dict[str, Any]:
    return {"color": colour, "value": value}


_EVENTS = f"sum(increase(requests_total{{{FILTERS}}}[5m]))"
_RECORDED = 'service_name=~"$service"'
_NULL = "panels.5.fieldConfig.defaults.mappings.0.options"
_SUM = f"sum(sessions{{{FILTERS}}})"
_RANGE_QUERY = "panels.1.targets.0.expr"
_RATE = f"sum by (method) (rate(requests_total{{{FILTERS}}}[$__rate_interval]))"
_INSTANT_QUERY = "panels.5.targets.0.expr"
_COLUMN = "panels.2.fieldConfig.overrides.0"
_ORGANIZE = "panels.2.transformations.1.options"
_LINK = "panels.1.links.1.url"
_STATES = "panels.4.fieldConfig.defaults"
_ALERTS = "panels.8.options"
_BY_THRESHOLDS: dict[str, Any] = {f"{_STATES}.color": {"mode": "thresholds"}, f"{_STATES}.mappings": []}
_THRESHOLDS_BY_OVERRIDE = {
    "matcher": {"id": "byFrameRefID", "options": "A"},
    "properties": [{"id": "color", "value": {"mode": "thresholds"}}],
}
_COLOURED = {"id": "thresholds", "value": {"mode": "absolute", "steps": [_RED, _at("green", 1)]}}


def _hides(**places: bool) -> dict[str, Any]:
    return {"id": "custom.hideFrom", "value": places}


_HIDDEN = {
    "matcher": {"id": "byFrameRefID", "options": "A"},
    "properties": [_hides(viz=True, legend=True, tooltip=True)],
}

_INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("template-datasource", {"templating.list.0.name": "source"}, "the variables are source"),
    ("template-datasource", {"templating.list.0.query": "loki"}, "type prometheus"),
    ("template-datasource", {"templating.list.4.options": []}, "not an interval variable with options"),
    ("template-datasource", {"templating.list.5.hide": 0}, "not a hidden constant"),
    ("template-service", {"templating.list.2.multi": False}, "multi is False"),
    ("template-service", {"templating.list.1.datasource": _OTHER}, "environment: datasource"),
    ("template-service", {"templating.list.1.multi": True}, "environment: multi is True"),
    ("template-service", {"templating.list.1.includeAll": True}, "environment: includeAll is True"),
    ("template-service", {"templating.list.1.current": None}, "environment has no default"),
    ("template-instance", {"templating.list.3.allValue": None}, "allValue is None"),
    ("template-instance", {"templating.list.3.label": ""}, "no label"),
    ("template-label-promql", {"templating.list.1.query.query": "sessions"}, "neither label_values(series, label) nor"),
    ("template-label-promql", {"templating.list.1.query.query": "query_result(session)"}, "similar: sessions"),
    (
        "template-label-promql",
        {"templating.list.1.query.query": "query_result(sessions)", "templating.list.1.regex": '/a="(.*)"/'},
        "no label a",
    ),
    ("template-label-promql", {"templating.list.1.query.query": "label_values(session, a)"}, "similar: sessions"),
    ("template-label-promql", {"templating.list.1.query.query": "label_values(sessions, a)"}, "no label a"),
    ("template-on-time-change-reload", {"templating.list.3.refresh": 1}, "instance is not refreshed"),
    ("uneditable-dashboard", {"editable": True}, "not false"),
    ("uneditable-dashboard", {"editable": None}, "not false"),
    ("frame", {"uid": "monitoring"}, "has the uid monitoring"),
    ("frame", {"schemaVersion": 36}, "schemaVersion is 36"),
    ("frame", {"tags": []}, "tag trust-otel"),
    ("frame", {"timezone": ""}, "timezone is ''"),
    ("frame", {"refresh": "1s"}, "refresh is '1s'"),
    ("frame", {"title": ""}, "title or description"),
    ("frame", {"id": 7}, "of a Grafana export"),
    ("migration", {"timepicker": {"time_options": ["5m"]}}, "schema 41"),
    ("migration", {"panels.1.transformations": [{"id": "formatTime", "options": {}}]}, "schema 43"),
    ("hidden-line", {"panels.1.fieldConfig.overrides": [_HIDDEN | {"properties": [_hides(viz=True)]}]}, "tooltip"),
    ("hidden-line", {"panels.1.fieldConfig.overrides": [_HIDDEN], "panels.1.targets.0.exemplar": True}, "no labels"),
    ("number", {"panels.2.id": 1}, "several panels have the number 1"),
    ("number", {"panels.2.title": "Panel 1"}, "the title Panel 1"),
    ("number", {"panels.7.id": 20}, "the required panels 7"),
    ("number", {"panels.0.id": 8}, "a row must be 100 or more"),
    ("grid", {"panels.1.gridPos.w": 13}, "outside of the 24 columns"),
    ("grid", {"panels.1.gridPos.y": 2}, "overlaps"),
    ("grid", {"panels.0.collapsed": True}, "is collapsed"),
    ("annotation", {"annotations.list.0.enable": False}, "the annotation Deployments is missing"),
    ("annotation", {"annotations.list.0.datasource": _OTHER}, "not ${datasource}"),
    ("annotation", {"annotations.list.0.titleFormat": "{{release}}"}, "no label release"),
    ("annotation", {"annotations.list.0.tagKeys": "version,release"}, "no label release"),
    ("annotation", {"annotations.list.1.expr": 'ALERTS{alertstate="fires"}'}, "never 'fires'"),
    ("annotation", {"annotations.list.0.textFormat": "<img src=https://example.org/a.png>"}, "loads from the internet"),
    ("dashboard-link", {"links.0.url": "/d/other?var-a=$region"}, "unknown variable region"),
    ("dashboard-link", {"links": []}, "no link to the dashboards"),
    ("dashboard-link", {"links.0.keepTime": False}, "does not keep time"),
    ("panel-datasource", {"panels.1.datasource": _OTHER}, "not ${datasource}"),
    ("panel-datasource", {"panels.1.targets.0.datasource": _OTHER}, "A: the data source"),
    ("panel-title-description", {"panels.0.title": ""}, "title is missing"),
    ("panel-title-description", {"panels.7.description": "It shows all of them."}, "has no **What to do:**"),
    ("panel-title-description", {"panels.1.description": "Sessions. **What to do:** Ask who it was."}, "it means"),
    ("panel-title-description", {"panels.1.description": "How many there are. **What to do:**"}, "what to do"),
    (
        "panel-title-description",
        {"panels.1.description": "How many there are. **What to do:** Ask who opened them"},
        "full stop",
    ),
    ("panel-units", {"panels.3.fieldConfig.defaults.unit": None}, "no unit"),
    ("panel-units", {"panels.4.fieldConfig.defaults.unit": "parsec"}, "no unit 'parsec'"),
    ("panel-units", {"panels.2.fieldConfig.overrides.1.properties.0.value": "percents"}, "no unit 'percents'"),
    ("panel-no-targets", {"panels.3.targets": []}, "no query"),
    ("no-value", {"panels.1.fieldConfig.defaults.noValue": None}, "noValue is ''"),
    ("no-value", {"panels.1.fieldConfig.defaults.noValue": "Sorry, no data."}, "no data"),
    ("no-value", {"panels.1.fieldConfig.defaults.noValue": "N/A"}, "N/A"),
    ("no-value", {"panels.1.fieldConfig.defaults.noValue": "Nobody has a session yet."}, "too recent or too brief"),
    ("no-value", {"panels.4.fieldConfig.defaults.noValue": "Nothing is checked."}, "too recent or too brief"),
    ("no-value", {"panels.5.targets.0.expr": "sum(sum_over_time(sessions[$__range:1m]))"}, "in the last minutes"),
    ("threshold", {f"panels.1.{_STEPS}": [_at("green", 0)]}, "must have no value"),
    ("threshold", {f"panels.1.{_STEPS}": [_GREEN, _at("yellow", 100), _at("red", 100)]}, "do not increase"),
    ("threshold", {f"panels.1.{_STEPS}": [_GREEN, _at("green", 100)]}, "have the same colour"),
    ("threshold", {f"panels.1.{_STEPS}": [_GREEN, _at("red", 50), _at("yellow", 100)]}, "better after"),
    ("threshold-alert", {f"panels.1.{_STEPS}": [_GREEN, _at("red", 101)]}, "no threshold of 101"),
    ("runbook", {"panels.1.links": []}, "TrustSessionsMany links to this panel"),
    ("link", {_LINK: f"/d/{UID}?viewPanel=8&{KEPT_PARAMETERS}"}, "has no panel 8"),
    ("link", {_LINK: f"/d/{UID}?viewPanel=one&{KEPT_PARAMETERS}"}, "is not a panel number"),
    ("link", {_LINK: f"/d/other?viewPanel=1&{KEPT_PARAMETERS}"}, "unknown dashboard other"),
    ("link", {_LINK: f"/d/{UID}?viewPanel=2"}, "does not keep ${__url_time_range}"),
    ("link", {_LINK: f"/d/{UID}?viewPanel=2&{KEPT_PARAMETERS}&var-a=${{region}}"}, "no variable region"),
    ("link", {_LINK: "https://example.org/"}, "neither a panel"),
    ("link", {_LINK: "${runbooks}/TrustSessionsFew"}, "unknown runbook"),
    (
        "link",
        {
            "panels.2.targets.0.expr": f"sum by (service_name, method) (rate(requests_total{{{FILTERS}}}[5m]))",
            f"{_ORGANIZE}.renameByName.service_name": "Service",
        },
        "does not keep var-service=${__data.fields.Service:percentencode}",
    ),
    (
        "link",
        {f"{_COLUMN}.properties.1.value.0.url": f"/d/{UID}?{KEPT_PARAMETERS}&a=${{__data.fields.Verb}}"},
        "unknown column",
    ),
    (
        "link",
        {f"{_COLUMN}.properties.1.value.0.url": f"/d/{UID}?{KEPT_PARAMETERS}&a=${{__field.labels.verb}}"},
        "label verb",
    ),
    ("state-colour", {f"{_STATES}.color": {"mode": "thresholds"}}, "the mappings are ignored"),
    ("state-colour", {f"{_STATES}.color": {"mode": "thresholds"}}, "single threshold"),
    ("state-colour", {f"{_STATES}.mappings.0.options.0": {"text": "down"}}, "the state 0 has no colour"),
    ("state-colour", {f"{_STATES}.mappings.1.options.result.text": "-"}, "null+nan"),
    ("state-colour", {f"{_STATES}.mappings.1.options.match": "empty"}, "null+nan"),
    ("state-colour", {"panels.4.type": "status-history", f"{_STATES}.mappings.1.options.match": "empty"}, "null+nan"),
    ("state-colour", {"panels.4.fieldConfig.overrides": [_THRESHOLDS_BY_OVERRIDE]}, "the mappings are ignored"),
    ("cell-colour", {f"{_COLUMN}.properties.0.value.0.options.GET.color": "red"}, "Method: colours are ignored"),
    ("cell-colour", {f"{_COLUMN}.properties": [_COLOURED]}, "Method: colours are ignored in a cell of type auto"),
    ("alert-list", {f"{_ALERTS}.datasource": "${datasource}"}, "none named ${datasource}"),
    ("alert-list", {f"{_ALERTS}.datasource": "prometheus"}, "the provisioned ones are Prometheus"),
    ("alert-list", {f"{_ALERTS}.stateFilter.firing": False}, "excludes firing alerts"),
    ("alert-list", {f"{_ALERTS}.dashboardAlerts": True}, "belong to no dashboard"),
    ("repeat", {"panels.1.repeatDirection": "h"}, "repeatDirection without repeat"),
    ("repeat", {"panels.0.maxPerRow": 2}, "maxPerRow without repeat"),
    ("repeat", {"panels.0.repeat": "region"}, "unknown variable"),
    ("repeat", {"panels.1.repeat": "interval"}, "a single value"),
    ("plain-option", {"panels.4.options": {"legend": {"title": "$service"}}}, "replaces no variable"),
    ("plain-option", {"panels.1.fieldConfig.defaults.noValue": "Nothing from $service."}, "replaces no variable"),
    ("plain-option", {f"{_COLUMN}.properties.0.value.0.options.GET.text": "${service}"}, "replaces no variable"),
    ("plain-option", {"panels.1.title": "Requests of $region"}, "unknown variable region"),
    ("plain-option", {f"{_ALERTS}.alertInstanceLabelFilter": '{service="$region"}'}, "unknown variable region"),
    ("offline", {"panels.3.options.basemap": None}, "default loads tiles"),
    ("offline", {"panels.3.options.basemap.type": "carto"}, "carto loads tiles"),
    ("offline", {"panels.3.options.basemap.config.src": "https://example.org/a.json"}, "src loads from the internet"),
    ("offline", {"panels.3.options.basemap.config.src": "maps/a.json"}, "no src below public/"),
    ("offline", {"panels.3.options.layers.0.type": "xyz"}, "a layer of type xyz"),
    ("offline", {"panels.7.type": "news"}, "a panel of type news"),
    ("offline", {"panels.7.options": {"content": "<img src='//example.org/a.png'>"}}, "content loads"),
    ("offline", {"panels.1.description": "How many ![there](http://example.org/a.png)"}, "description loads"),
    ("target-promql", {_INSTANT_QUERY: f"sum(session{{{FILTERS}}})"}, "series: unknown metric"),
    ("target-promql", {_INSTANT_QUERY: '{job="a"} |= "error"'}, "syntax: not PromQL"),
    ("target-promql", {_RANGE_QUERY: f"sum(rate(requests_total{{{FILTERS}}}[$__window]))"}, "syntax: not PromQL"),
    ("target-promql", {"panels.2.targets.1.refId": "A"}, "duplicate refId"),
    ("target-resolution", {"panels.1.targets.0.instant": True}, "exactly one"),
    ("target-resolution", {"panels.1.targets.0.interval": "15s"}, "must be $interval"),
    (
        "target-resolution",
        {"panels.4.targets.0.range": False, "panels.4.targets.0.instant": True},
        "not an instant query",
    ),
    ("target-resolution", {"panels.2.targets.0.format": None}, "must be table"),
    ("target-rate-interval", {_RANGE_QUERY: f"sum(rate(requests_total{{{FILTERS}}}[5m]))"}, "$__rate_interval"),
    (
        "target-rate-interval",
        {_RANGE_QUERY: f"sum(increase(requests_total{{{FILTERS}}}[$__range]))"},
        "before the displayed time range",
    ),
    (
        "target-service",
        {_INSTANT_QUERY: 'sum(sessions{service_name=~"$service"})'},
        "lacks deployment_environment_name",
    ),
    (
        "target-service",
        {_INSTANT_QUERY: f"sum(sessions{{{FILTERS.replace('name=', 'name=~', 1)}}})"},
        'lacks deployment_environment_name="$environment"',
    ),
    ("target-service", {_INSTANT_QUERY: "sum(service:requests:rate5m)"}, 'lacks service_name=~"$service"'),
    ("target-service", {_INSTANT_QUERY: 'count(ALERTS{alertstate="firing"})'}, "ALERTS lacks service_name"),
    ("annotation", {"annotations.list.1.expr": "ALERTS"}, "Firing alerts: ALERTS lacks service_name"),
    (
        "target-instance",
        {_INSTANT_QUERY: 'sum(sessions{service_instance_id="$instance"})'},
        "lacks service_instance_id",
    ),
    ("together", {"panels.1.description": "Requests.\n\n**What to do:** Ask."}, "A: the result has no service"),
    (
        "together",
        {_INSTANT_QUERY: f"sum by (service_name) (sessions{{{FILTERS}}})"},
        "each result has its service",
    ),
    ("target-counter-agg", {_INSTANT_QUERY: f"sum(requests_total{{{FILTERS}}})"}, "a counter without"),
    ("target-topk", {_RANGE_QUERY: f"topk(3, sum by (target) (healthy{{{FILTERS}}}))"}, "topk() in a range query"),
    (
        "target-topk",
        {_RANGE_QUERY: f"topk(3, max_over_time(sum by (target) (healthy{{{FILTERS}}})[15m:1m]))"},
        "topk() in a range query",
    ),
    ("legend", {"panels.1.targets.0.legendFormat": "{{method}} {{code}}"}, "uses code"),
    ("legend", {"panels.1.targets.0.legendFormat": "requests"}, "differ in method"),
    ("legend", {"panels.5.targets.0.legendFormat": ""}, "without a legend"),
    (
        "legend",
        {"panels.5.targets": [{"refId": r, "expr": _SUM, "legendFormat": "a"} for r in "AB"]},
        "duplicate legend",
    ),
    ("table", {f"{_ORGANIZE}.renameByName.code": "Code"}, "renameByName: unknown column code"),
    ("table", {f"{_ORGANIZE}.excludeByName": {}}, "the column Time has no heading"),
    ("table", {f"{_ORGANIZE}.renameByName.method": None}, "the column method has no heading"),
    ("table", {"panels.2.targets.0.expr": f"sessions{{{FILTERS}}}"}, "the column __name__ has no heading"),
    ("table", {"panels.2.targets.0.expr": f"sum by (target) (healthy{{{FILTERS}}})"}, "rows cannot be joined"),
    ("table", {"panels.2.options.sortBy.0.displayName": "Value #A"}, "sorted by the unknown column Value #A"),
    ("override", {f"{_COLUMN}.matcher.options": "method"}, "matches no field"),
    (
        "override",
        {"panels.1.fieldConfig.overrides.0.matcher": {"id": "byRegexp", "options": "requests"}},
        "matches no field",
    ),
    ("override", {f"{_COLUMN}.matcher.id": "byValue"}, "do not support the override matcher"),
    ("override", {"panels.1.fieldConfig.overrides.0.matcher.options": "GET"}, "matches no field"),
    ("map", {"panels.3.options.layers": []}, "no layer"),
    ("map", {"panels.3.options.layers.0.location.lookup": "region"}, "unknown field region"),
    ("map", {"panels.3.options.layers.0.config.style.color.field": "Value #A"}, "unknown field Value #A"),
    ("mapping", {"panels.4.fieldConfig.defaults.mappings": []}, "without value mappings"),
    ("mapping", {"panels.4.fieldConfig.defaults.mappings.0.options.2": {"text": "odd"}}, "mapping for 2"),
    ("mapping", {"panels.4.fieldConfig.defaults.mappings.0.options.up": {"text": "odd"}}, "is a number"),
    ("mapping", {f"{_COLUMN}.properties.0.value.0.options.PUT": {"text": "odd"}}, "mapping for 'PUT'"),
    ("nothing-good", {"panels.5.fieldConfig.defaults.mappings": []}, "without data it is green"),
    ("nothing-good", {f"{_NULL}.match": "empty"}, "without data it is green"),
    ("nothing-good", {f"{_NULL}.result.color": "dark-green"}, "without data it is dark-green"),
    ("nothing-good", {"panels.6.fieldConfig.defaults.mappings": [], "panels.6.type": "bargauge"}, "is green"),
    ("share-of-nothing", {_INSTANT_QUERY: f"{_EVENTS} / ({_EVENTS} > 0) or {_EVENTS} * 0"}, "no events"),
    ("filler", {_INSTANT_QUERY: f"{_EVENTS} or vector(0)"}, "vector(0"),
    ("filler", {_INSTANT_QUERY: f"{_EVENTS} or sum(sessions{{{FILTERS}}}) * 0"}, "if it is not measured"),
    ("filler", {_INSTANT_QUERY: f"{_EVENTS} or 0 * sum(sessions{{{FILTERS}}})"}, "if it is not measured"),
    ("filler", {_INSTANT_QUERY: f"{_EVENTS} or group(sessions{{{FILTERS}}})"}, "if it is not measured"),
    ("filler", {_INSTANT_QUERY: f"{_EVENTS} or sum(sessions{{{FILTERS}}}) * 0 + 365"}, "if it is not measured"),
    ("filler", {_INSTANT_QUERY: f"1 - ({_EVENTS} or sum(sessions{{{FILTERS}}}) * 0)"}, "if it is not measured"),
    ("share", {"panels.2.fieldConfig.overrides.1.properties.0.value": "short"}, "not percentunit"),
]

_VALID: list[dict[str, Any]] = [
    {},
    {"timezone": "utc"},
    {"panels.1.fieldConfig.overrides": [_HIDDEN]},
    {"panels.1.targets.0.exemplar": True},
    {"panels.1.fieldConfig.defaults.unit": "suffix: signatures"},
    # Values that are too low or too high are bad.
    {f"panels.1.{_STEPS}": [_RED, _at("yellow", 5), _at("green", 10), _at("red", 100)]},
    {f"panels.1.{_STEPS}": [_RED, _at("dark-green", 100)]},
    # The query compares with the alert's threshold, or divides the value and the threshold by the same number.
    {f"panels.1.{_STEPS}": [_GREEN, _at("red", 1)], _RANGE_QUERY: f"count(sessions{{{FILTERS}}} > 100)"}
    | {"panels.1.fieldConfig.overrides": [], "panels.1.targets.0.legendFormat": "many"},
    {f"panels.1.{_STEPS}": [_GREEN, _at("red", 10)], _RANGE_QUERY: f"sum(sessions{{{FILTERS}}}) / 10"}
    | {"panels.1.fieldConfig.overrides": [], "panels.1.targets.0.legendFormat": "tens"},
    # NaN means no value; an exporter that is up may have counted nothing yet.
    {_INSTANT_QUERY: f"{_EVENTS} or sum(sessions{{{FILTERS}}}) * NaN"},
    {_INSTANT_QUERY: f"{_EVENTS} or sum(healthy{{{FILTERS}}})"},
    {_INSTANT_QUERY: f"sum(service:requests:rate5m{{{_RECORDED}}}) or sum(requests_total{{{FILTERS}}}) * 0"},
    {"panels.5.fieldConfig.defaults.thresholds.steps": [_RED, _at("green", 1)], f"{_NULL}.match": "nan"},
    # A counter times 0 is the value before the first event.
    {_INSTANT_QUERY: f"sum(increase(requests_total{{{FILTERS}}}[5m])) or sum(requests_total{{{FILTERS}}}) * 0"},
    {_INSTANT_QUERY: f"sum(increase(requests_total{{{FILTERS}}}[$__range])) / $__range_s"},
    {_INSTANT_QUERY: f'sum(label_replace(sessions{{{FILTERS}}}, "a", "$1", "service_name", "(.*)"))'},
    {_INSTANT_QUERY: 'count(ALERTS{service_name=~"$service"} or ALERTS{service_name=""})'},
    {
        _INSTANT_QUERY: 'count(ALERTS{alertname="TrustSessionsMany"})',
        "panels.5.description": "How many alerts there are.\n\n**What to do:** Ask who fixes them.",
    },
    # The same series at each point.
    {_RANGE_QUERY: f"{_RATE} and topk(3, max_over_time(({_RATE})[15m:1m] @ end()))"},
    # Rare events need a long window; a ratio of two kinds of events is not a share.
    {_RANGE_QUERY: f"sum by (method) (rate(requests_total{{{FILTERS}}}[30m]))"},
    {_INSTANT_QUERY: f"sum(sessions{{{FILTERS}}}) / (sum(visitors{{{FILTERS}}}) > 0)"},
    {_INSTANT_QUERY: f"max(topk(3, sessions{{{FILTERS}}}))"},
    {f"{_COLUMN}.properties.1.value.0.url": "${runbooks}/${__value.raw}"},
    {"panels.1.fieldConfig.overrides.0.matcher": {"id": "byFrameRefID", "options": "A"}},
    {"panels.1.fieldConfig.overrides.0.matcher": {"id": "byRegexp", "options": "/requests$/"}},
    {"panels.1.fieldConfig.overrides.0.matcher": {"id": "byRegexp", "options": "/REQUESTS/i"}},
    {"panels.1.fieldConfig.overrides.0.matcher": {"id": "byRegexp", "options": ".* requests"}},
    {**_BY_THRESHOLDS, f"{_STATES}.thresholds.steps": [_RED, _at("green", 1)]},
    {f"{_STATES}.color": {"mode": "thresholds"}, "panels.4.options": {"mergeValues": False}},
    {f"{_ALERTS}.datasource": "Prometheus"},
    {f"{_ALERTS}.alertInstanceLabelFilter": '{service=~"$service"}'},
    {"panels.0.repeat": "service"},
    {"panels.1.repeat": "service", "panels.1.repeatDirection": "h", "panels.1.maxPerRow": 2},
    {f"{_COLUMN}.properties": [_COLOURED, {"id": "custom.cellOptions", "value": {"type": "color-text"}}]},
    {"panels.1.fieldConfig.overrides.0.matcher": {"id": "byType", "options": "number"}},
]


@pytest.mark.parametrize(("check", "changes", "message"), _INVALID)
def test_an_invalid_dashboard_is_reported(check: str, changes: dict[str, Any], message: str) -> None:
    assert any(
        message in finding.message
        for finding in check_dashboard(build_dashboard(changes), CONTEXT)
        if finding.check == check
    )


@pytest.mark.parametrize("changes", _VALID)
def test_a_valid_dashboard_passes(changes: dict[str, Any]) -> None:
    assert [str(finding) for finding in check_dashboard(build_dashboard(changes), CONTEXT)] == []


def test_every_check_has_an_example() -> None:
    assert {check for check, _, _ in _INVALID} == set(CHECKS)


def test_panels_inside_rows_are_checked() -> None:
    inner = {"id": 21, "type": "stat", "title": "Hidden", "gridPos": {"x": 0, "y": 9, "w": 4, "h": 4}}
    found = check_dashboard(build_dashboard({"panels.0.panels": [inner]}), CONTEXT)
    assert "panel-no-targets" in {finding.check for finding in found if "panel 21" in finding.message}


def test_an_alert_must_link_to_a_panel_and_not_a_row() -> None:
    numbers = panel_numbers([build_dashboard()])
    assert check_alert_links(CONTEXT.alerts, numbers) == []
    moved = panel_numbers([build_dashboard({"panels.1.type": "row"})])
    assert ["has no panel 1" in finding.message for finding in check_alert_links(CONTEXT.alerts, moved)] == [True]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"uid": "a", "panels": [{"id": 1}]}'])
def test_invalid_dashboard_error_names_the_file(content: str) -> None:
    with pytest.raises(DashboardFileError, match=r"some\.json"):
        dashboard_in(content, "some.json")


def test_every_check_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "dashboard-checks.md").read_text()
    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == [*CHECKS, "alert-link", *ALERT_PANEL_CHECKS]
