"""Checks of a dashboard: its settings, variables, layout, annotations, links and panels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tools.checks.absence import fillers, no_data_is_not_good, shares_of_nothing
from tools.checks.fields import placeholders
from tools.checks.grafana import Dashboard, Panel
from tools.checks.label_inference import vector_labels
from tools.checks.panels import PANEL_CHECKS, SOURCE, DashboardContext, PanelCheck, missing_panel
from tools.checks.promql import PromqlError, parse
from tools.checks.queries import Finding, check_query
from tools.checks.rendering import RENDERING_CHECKS, loads_from_internet
from tools.checks.rules import Rule
from tools.checks.targets import QUERY_CHECKS_OF_PANELS, PanelQueryCheck, without_service_filter
from tools.checks.variables import BUILT_IN, filled, variables_in
from tools.checks.vocabulary import UnknownSeriesError

DashboardCheck = Callable[[Dashboard, DashboardContext], Iterator[str]]

SCHEMA_VERSION = 41
"""The schema version of Grafana 11.6."""
REQUIRED_PANELS: Mapping[str, int] = {
    "trust-service-operational": 9,
    "trust-service-security": 10,
    "trust-service-business": 10,
    "trust-service-pki": 22,
    "trust-service-monitoring": 7,
}
"""Number of panels that the requirements give to each dashboard, numbered from 1."""
TAG = "trust-otel"
_COLUMNS = 24
_FIRST_FREE, _FIRST_ROW = 20, 100
_VARIABLES = ("datasource", "environment", "service", "instance", "interval", "runbooks")
_LABEL_VARIABLES = ("environment", "service", "instance")
_HIDDEN = 2
_ON_TIME_RANGE_CHANGED = 2
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+),\s*(?P<label>\w+)\)")
_QUERY_RESULT = re.compile(r"query_result\((?P<query>.+)\)", re.DOTALL)
_LABEL_IN_RESULT = re.compile(r'(\w+)="')
_ANNOTATIONS = ("Deployments", "Firing alerts")
_REFRESH = ("15s", "30s", "1m", "5m")


def check_dashboard(dashboard: Dashboard, context: DashboardContext) -> list[Finding]:
    """All findings in a dashboard."""
    found = [Finding(name, each) for name, check in DASHBOARD_CHECKS.items() for each in check(dashboard, context)]
    for panel in dashboard.panels:
        for name, of_panel in _PANEL_CHECKS.items():
            found += [Finding(name, f"{panel}: {each}") for each in of_panel(panel, dashboard, context)]
        for name, of_queries in _QUERY_CHECKS.items():
            found += [Finding(name, f"{panel}: {each}") for each in of_queries(panel, context.vocabulary)]
    return found


def check_alert_links(alerts: Iterable[Rule], panels: Mapping[str, frozenset[int]]) -> list[Finding]:
    """The alerts whose `dashboard_url` does not link to a panel."""
    urls = [(rule.name, rule.annotations.get("dashboard_url", "")) for rule in alerts]
    return [Finding("alert-link", f"{name}: {each}") for name, url in urls for each in missing_panel(url, panels)]


def panel_numbers(dashboards: Iterable[Dashboard]) -> dict[str, frozenset[int]]:
    """The numbers of the panels that a URL can link to (not rows), by dashboard uid."""
    return {each.uid: frozenset(panel.number for panel in each.panels if panel.kind != "row") for each in dashboards}


def frame(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Common settings of all dashboards: uid, schema, tag, time zone, refresh, and no ids of one Grafana instance."""
    whole = dashboard.json
    if dashboard.file != f"{dashboard.uid}.json" or dashboard.uid not in REQUIRED_PANELS:
        yield f"the file {dashboard.file} has the uid {dashboard.uid}"
    if whole.get("schemaVersion") != SCHEMA_VERSION:
        yield f"schemaVersion is {whole.get('schemaVersion')}, not {SCHEMA_VERSION}"
    if TAG not in whole.get("tags", []):
        yield f"the tag {TAG} is missing"
    if whole.get("timezone") not in ("browser", "utc"):
        yield f"timezone is {whole.get('timezone')!r}, not browser or utc"
    if whole.get("refresh") not in _REFRESH:
        yield f"refresh is {whole.get('refresh')!r}, not one of {', '.join(_REFRESH)}"
    if not whole.get("title") or not whole.get("description"):
        yield "title or description is missing"
    if whole.get("id") is not None or whole.get("__inputs"):
        yield "the file has the id or inputs of a Grafana export"


def migration(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """No later schema changes anything: what newer versions of Grafana migrate is not used."""
    if "time_options" in dashboard.json.get("timepicker", {}):
        yield "timepicker.time_options is removed by schema 41"
    for panel in dashboard.panels:
        # Schema 42 hides from tooltips what is hidden from graphs: see `hidden-line`.
        if any(each["id"] == "formatTime" for each in panel.json.get("transformations", [])):
            yield f"{panel}: formatTime is replaced by convertFieldType in schema 43"


def read_only(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """The dashboard is read-only in Grafana, because the next start would overwrite changes."""
    if dashboard.json.get("editable") is not False:
        yield "editable is not false"


def numbers(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Panel numbers and titles are unique, and each numbered requirement has its panel."""
    panels = [panel for panel in dashboard.panels if panel.kind != "row"]
    rows = [panel for panel in dashboard.panels if panel.kind == "row"]
    yield from (f"several panels have the number {each}" for each in _repeated(p.number for p in dashboard.panels))
    for group in (panels, rows):
        yield from (f"several panels have the title {each}" for each in _repeated(panel.title for panel in group))
    required = range(1, REQUIRED_PANELS.get(dashboard.uid, 0) + 1)
    missing = [str(each) for each in required if each not in {panel.number for panel in panels}]
    if missing:
        yield f"the required panels {', '.join(missing)} are missing"
    for panel in panels:
        free = dashboard.uid == "trust-service-monitoring" or _FIRST_FREE <= panel.number < _FIRST_ROW
        if panel.number not in required and not free:
            yield f"{panel}: the number must be from {_FIRST_FREE} to {_FIRST_ROW - 1}"
    yield from (f"{row}: the number of a row must be {_FIRST_ROW} or more" for row in rows if row.number < _FIRST_ROW)


def _repeated(values: Iterable[Any]) -> list[Any]:
    every = list(values)
    return sorted({value for value in every if every.count(value) > 1})


def grid(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Panels are within the 24 columns, do not overlap, and no row is collapsed."""
    for panel in dashboard.panels:
        x, y, width, height = panel.place
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > _COLUMNS:
            yield f"{panel} is outside of the {_COLUMNS} columns: x {x}, width {width}"
        if panel.kind == "row" and (panel.json.get("collapsed") or panel.json.get("panels")):
            yield f"{panel} is collapsed"
    for index, panel in enumerate(dashboard.panels):
        yield from (f"{panel} overlaps {other}" for other in dashboard.panels[:index] if _overlap(panel, other))


def _overlap(one: Panel, other: Panel) -> bool:
    (x, y, width, height), (other_x, other_y, other_width, other_height) = one.place, other.place
    return x < other_x + other_width and other_x < x + width and y < other_y + other_height and other_y < y + height


def template_datasource(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """All dashboards have the same variables in the same order; the first is the Prometheus data source."""
    names = tuple(variable["name"] for variable in dashboard.variables)
    if names != _VARIABLES:
        yield f"the variables are {', '.join(names)}, not {', '.join(_VARIABLES)}"
    source = _variable(dashboard, "datasource")
    if source and (source.get("type"), source.get("query")) != ("datasource", "prometheus"):
        yield "the variable datasource is not a data source variable of type prometheus"
    interval = _variable(dashboard, "interval")
    if interval and (interval.get("type") != "interval" or not interval.get("options")):
        yield "the variable interval is not an interval variable with options"
    runbooks = _variable(dashboard, "runbooks")
    if runbooks and (runbooks.get("type"), runbooks.get("hide")) != ("constant", _HIDDEN):
        yield "the variable runbooks is not a hidden constant"


def template_service(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Environment has a single value, service many values and All. Corresponds to dashboard-linter's `template-job`."""
    # Several environments in one panel would be added up.
    yield from _not_choosable(dashboard, "environment", {"multi": False, "includeAll": False, "allValue": None})
    if not _variable(dashboard, "environment").get("current", {}).get("value"):
        yield "the variable environment has no default"
    yield from _not_choosable(dashboard, "service", _MANY)


def template_instance(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Instance is a multi-value variable with All."""
    yield from _not_choosable(dashboard, "instance", _MANY)


# `.*` also matches series without the label; the list of all values does not.
_MANY: Mapping[str, Any] = {"multi": True, "includeAll": True, "allValue": ".*"}


def _not_choosable(dashboard: Dashboard, name: str, choice: Mapping[str, Any]) -> Iterator[str]:
    variable = _variable(dashboard, name)
    wanted = {"type": "query", **choice, "datasource": SOURCE}
    for setting, value in wanted.items():
        if (variable.get(setting) or None) != (value or None):
            yield f"the variable {name}: {setting} is {variable.get(setting)!r}, not {value!r}"
    if not variable.get("label"):
        yield f"the variable {name} has no label"


def template_label_promql(dashboard: Dashboard, context: DashboardContext) -> Iterator[str]:
    """Variable queries are label_values() or query_result() of existing series and labels."""
    for name in _LABEL_VARIABLES:
        query = _variable(dashboard, name).get("query")
        source = query.get("query", "") if isinstance(query, Mapping) else str(query or "")
        if found := _LABEL_VALUES.fullmatch(source):
            unreadable = _unreadable(found["series"], [found["label"]], context)
        elif found := _QUERY_RESULT.fullmatch(source):
            read = _LABEL_IN_RESULT.findall(str(_variable(dashboard, name).get("regex") or ""))
            unreadable = _unreadable(found["query"], read, context)
        else:
            yield f"the variable {name}: {source!r} is neither label_values(series, label) nor query_result(query)"
            continue
        yield from (f"the variable {name}: {each}" for each in unreadable)


def template_reload(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Variables are refreshed when the time range changes."""
    for name in _LABEL_VARIABLES:
        if _variable(dashboard, name).get("refresh") != _ON_TIME_RANGE_CHANGED:
            yield f"the variable {name} is not refreshed when the time range changes"


def _variable(dashboard: Dashboard, name: str) -> Mapping[str, Any]:
    return next((variable for variable in dashboard.variables if variable["name"] == name), {})


def annotation_queries(dashboard: Dashboard, context: DashboardContext) -> Iterator[str]:
    """There are annotations for deployments and firing alerts, with valid and filtered queries, and labels."""
    names = [str(annotation.get("name")) for annotation in dashboard.annotations if annotation.get("enable")]
    yield from (f"the annotation {name} is missing" for name in _ANNOTATIONS if name not in names)
    for annotation in dashboard.annotations:
        if annotation.get("builtIn"):
            continue
        name = annotation.get("name")
        if annotation.get("datasource") != SOURCE:
            yield f"{name}: the data source is not ${{datasource}}"
        texts = f"{annotation.get('titleFormat', '')} {annotation.get('textFormat', '')}"
        if loads_from_internet(texts):
            yield f"{name}: its text loads from the internet: {texts}"
        tags = [tag for tag in str(annotation.get("tagKeys", "")).split(",") if tag]
        expression = str(annotation.get("expr", ""))
        found = list(_unreadable(expression, [*placeholders(texts), *tags], context))
        yield from (f"{name}: {each}" for each in found or without_service_filter(expression, context.vocabulary))


def _unreadable(source: str, labels: list[str], context: DashboardContext) -> Iterator[str]:
    """Findings in a query outside of panels, and labels that its result lacks."""
    query = filled(source)
    findings = check_query(query, context.vocabulary)
    yield from map(str, findings)
    try:
        known = vector_labels(parse(query), context.vocabulary)
    except (PromqlError, UnknownSeriesError):
        return
    yield from (f"{source} has no label {label}" for label in labels if label not in known)


def dashboard_links(dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Dashboards link to each other with time range and variables; links use only existing variables."""
    own = {str(variable["name"]) for variable in dashboard.variables}
    for link in dashboard.json.get("links", []):
        unknown = set(variables_in(str(link.get("url") or ""))) - own - BUILT_IN
        yield from (f"the link {link.get('title')}: unknown variable {name}" for name in sorted(unknown))
    for link in dashboard.json.get("links", []):
        if link.get("type") == "dashboards" and TAG in link.get("tags", []):
            if not (link.get("includeVars") and link.get("keepTime")):
                yield "the link to the other dashboards does not keep time and variables"
            return
    yield f"no link to the dashboards of the tag {TAG}"


DASHBOARD_CHECKS: Mapping[str, DashboardCheck] = {
    "template-datasource": template_datasource,
    "template-service": template_service,
    "template-instance": template_instance,
    "template-label-promql": template_label_promql,
    "template-on-time-change-reload": template_reload,
    "uneditable-dashboard": read_only,
    "frame": frame,
    "migration": migration,
    "number": numbers,
    "grid": grid,
    "annotation": annotation_queries,
    "dashboard-link": dashboard_links,
}
_PANEL_CHECKS: Mapping[str, PanelCheck] = {
    **PANEL_CHECKS,
    **RENDERING_CHECKS,
    "nothing-good": no_data_is_not_good,
}
_QUERY_CHECKS: Mapping[str, PanelQueryCheck] = {
    **QUERY_CHECKS_OF_PANELS,
    "filler": fillers,
    "share-of-nothing": shares_of_nothing,
}
CHECKS = (*DASHBOARD_CHECKS, *_PANEL_CHECKS, *_QUERY_CHECKS)
"""Names of all dashboard checks."""
