"""Checks of a whole dashboard: its frame, its variables, its order, and all of its panels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tools.checks.absence import fillers, nothing_is_good
from tools.checks.fields import placeholders
from tools.checks.grafana import Dashboard, Panel
from tools.checks.label_inference import vector_labels
from tools.checks.panels import PANEL_CHECKS, SOURCE, PanelCheck, Surroundings, missing_panel
from tools.checks.promql import PromqlError, parse
from tools.checks.queries import Finding, check_query
from tools.checks.rendering import RENDERING_CHECKS, loads_from_internet
from tools.checks.rules import Rule
from tools.checks.targets import QUERY_CHECKS_OF_PANELS, PanelQueryCheck
from tools.checks.variables import BUILT_IN, filled, variables_in
from tools.checks.vocabulary import UnknownSeriesError

DashboardCheck = Callable[[Dashboard, Surroundings], Iterator[str]]

SCHEMA_VERSION = 41
"""That of Grafana 11.6."""
REQUIRED_PANELS: Mapping[str, int] = {
    "trust-service-operational": 9,
    "trust-service-security": 10,
    "trust-service-business": 10,
    "trust-service-monitoring": 7,
}
"""How many panels, from 1 on, the requirements number; those of the monitoring are ours."""
TAG = "trust-otel"
_COLUMNS = 24
_FIRST_FREE, _FIRST_ROW = 20, 100
_VARIABLES = ("datasource", "environment", "service", "instance", "interval", "runbooks")
_LABEL_VARIABLES = ("environment", "service", "instance")
_HIDDEN = 2
_ON_TIME_RANGE_CHANGED = 2
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+),\s*(?P<label>\w+)\)")
_ANNOTATIONS = ("Deployments", "Firing alerts")
_REFRESH = ("15s", "30s", "1m", "5m")


def check_dashboard(dashboard: Dashboard, around: Surroundings) -> list[Finding]:
    """Everything that is wrong with a dashboard."""
    found = [Finding(name, each) for name, check in DASHBOARD_CHECKS.items() for each in check(dashboard, around)]
    for panel in dashboard.panels:
        for name, of_panel in _PANEL_CHECKS.items():
            found += [Finding(name, f"{panel}: {each}") for each in of_panel(panel, dashboard, around)]
        for name, of_queries in _QUERY_CHECKS.items():
            found += [Finding(name, f"{panel}: {each}") for each in of_queries(panel, around.vocabulary)]
    return found


def check_alert_links(alerts: Iterable[Rule], panels: Mapping[str, frozenset[int]]) -> list[Finding]:
    """The alerts whose `dashboard_url` leads to no panel."""
    urls = [(rule.name, rule.annotations.get("dashboard_url", "")) for rule in alerts]
    return [Finding("alert-link", f"{name}: {each}") for name, url in urls for each in missing_panel(url, panels)]


def panel_numbers(dashboards: Iterable[Dashboard]) -> dict[str, frozenset[int]]:
    """The numbers of the panels, without rows, that an address can name, by the uid of their dashboard."""
    return {each.uid: frozenset(panel.number for panel in each.panels if panel.kind != "row") for each in dashboards}


def frame(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """The settings that all dashboards share: uid, schema, tag, time zone, refresh, and nothing of one Grafana."""
    whole = dashboard.json
    if dashboard.file != f"{dashboard.uid}.json" or dashboard.uid not in REQUIRED_PANELS:
        yield f"the file {dashboard.file} has the uid {dashboard.uid}"
    if whole.get("schemaVersion") != SCHEMA_VERSION:
        yield f"schemaVersion is {whole.get('schemaVersion')}, not {SCHEMA_VERSION}"
    if TAG not in whole.get("tags", []):
        yield f"the tag {TAG} is missing"
    if whole.get("timezone") not in ("browser", "utc"):
        yield f"timezone is {whole.get('timezone')!r}, neither browser nor utc"
    if whole.get("refresh") not in _REFRESH:
        yield f"refresh is {whole.get('refresh')!r}, none of {', '.join(_REFRESH)}"
    if not whole.get("title") or not whole.get("description"):
        yield "title or description is missing"
    if whole.get("id") is not None or whole.get("__inputs"):
        yield "an exported file has the id or the inputs of one Grafana"


def uneditable(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """Nobody edits in Grafana what the next start would overwrite."""
    if dashboard.json.get("editable") is not False:
        yield "editable is not false"


def numbers(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """Numbers and titles of panels are unique, and each numbered requirement has its panel."""
    panels = [panel for panel in dashboard.panels if panel.kind != "row"]
    rows = [panel for panel in dashboard.panels if panel.kind == "row"]
    yield from (f"several panels have the number {each}" for each in _repeated(p.number for p in dashboard.panels))
    for group in (panels, rows):
        yield from (f"several panels have the title {each}" for each in _repeated(panel.title for panel in group))
    required = range(1, REQUIRED_PANELS.get(dashboard.uid, 0) + 1)
    missing = [str(each) for each in required if each not in {panel.number for panel in panels}]
    if missing:
        yield f"the panels {', '.join(missing)} of the requirements are missing"
    for panel in panels:
        free = dashboard.uid == "trust-service-monitoring" or _FIRST_FREE <= panel.number < _FIRST_ROW
        if panel.number not in required and not free:
            yield f"{panel}: a number from {_FIRST_FREE} to {_FIRST_ROW - 1} is needed"
    yield from (f"{row}: rows have numbers from {_FIRST_ROW} on" for row in rows if row.number < _FIRST_ROW)


def _repeated(values: Iterable[Any]) -> list[Any]:
    every = list(values)
    return sorted({value for value in every if every.count(value) > 1})


def grid(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """Panels lie within the 24 columns, none on another, and all are seen without opening a row."""
    for panel in dashboard.panels:
        x, y, width, height = panel.place
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > _COLUMNS:
            yield f"{panel} lies outside of the {_COLUMNS} columns: x {x}, width {width}"
        if panel.kind == "row" and (panel.json.get("collapsed") or panel.json.get("panels")):
            yield f"{panel} is collapsed"
    for index, panel in enumerate(dashboard.panels):
        yield from (f"{panel} lies on {other}" for other in dashboard.panels[:index] if _overlap(panel, other))


def _overlap(one: Panel, other: Panel) -> bool:
    (x, y, width, height), (other_x, other_y, other_width, other_height) = one.place, other.place
    return x < other_x + other_width and other_x < x + width and y < other_y + other_height and other_y < y + height


def template_datasource(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """The variables are those of all dashboards, in their order; the first is the data source, a Prometheus."""
    names = tuple(variable["name"] for variable in dashboard.variables)
    if names != _VARIABLES:
        yield f"the variables are {', '.join(names)}, not {', '.join(_VARIABLES)}"
    source = _variable(dashboard, "datasource")
    if source and (source.get("type"), source.get("query")) != ("datasource", "prometheus"):
        yield "the variable datasource is none for a data source of the type prometheus"
    interval = _variable(dashboard, "interval")
    if interval and (interval.get("type") != "interval" or not interval.get("options")):
        yield "the variable interval is no interval with options"
    runbooks = _variable(dashboard, "runbooks")
    if runbooks and (runbooks.get("type"), runbooks.get("hide")) != ("constant", _HIDDEN):
        yield "the variable runbooks is no hidden constant"


def template_service(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """Environment and service can be chosen, several and all; `template-job` asks the same of `job`."""
    for name in ("environment", "service"):
        yield from _not_choosable(dashboard, name)


def template_instance(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """Instances can be chosen, several and all."""
    yield from _not_choosable(dashboard, "instance")


def _not_choosable(dashboard: Dashboard, name: str) -> Iterator[str]:
    variable = _variable(dashboard, name)
    # `.*` also finds series without the label; the alternatives of all values do not.
    wanted = {"type": "query", "multi": True, "includeAll": True, "allValue": ".*", "datasource": SOURCE}
    for setting, value in wanted.items():
        if variable.get(setting) != value:
            yield f"the variable {name}: {setting} is {variable.get(setting)!r}, not {value!r}"
    if not variable.get("label"):
        yield f"the variable {name} has no label"


def template_label_promql(dashboard: Dashboard, around: Surroundings) -> Iterator[str]:
    """The queries of variables are label_values() of series and labels that exist."""
    for name in _LABEL_VARIABLES:
        query = _variable(dashboard, name).get("query")
        source = query.get("query", "") if isinstance(query, Mapping) else str(query or "")
        found = _LABEL_VALUES.fullmatch(source)
        if found is None:
            yield f"the variable {name}: {source!r} is no label_values() of a series and a label"
            continue
        yield from (f"the variable {name}: {each}" for each in _unreadable(found["series"], [found["label"]], around))


def template_reload(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """Variables are asked for again when the time changes."""
    for name in _LABEL_VARIABLES:
        if _variable(dashboard, name).get("refresh") != _ON_TIME_RANGE_CHANGED:
            yield f"the variable {name} is not read again when the time range changes"


def _variable(dashboard: Dashboard, name: str) -> Mapping[str, Any]:
    return next((variable for variable in dashboard.variables if variable["name"] == name), {})


def drawn_events(dashboard: Dashboard, around: Surroundings) -> Iterator[str]:
    """Deployments and firing alerts are drawn, by queries that are right and texts that read their labels."""
    names = [str(annotation.get("name")) for annotation in dashboard.annotations if annotation.get("enable")]
    yield from (f"no annotation is called {name}" for name in _ANNOTATIONS if name not in names)
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
        yield from (f"{name}: {each}" for each in _unreadable(expression, [*placeholders(texts), *tags], around))


def _unreadable(source: str, labels: list[str], around: Surroundings) -> Iterator[str]:
    """What is wrong with a query outside of panels, and which labels it does not give."""
    query = filled(source)
    findings = check_query(query, around.vocabulary)
    yield from map(str, findings)
    try:
        known = vector_labels(parse(query), around.vocabulary)
    except (PromqlError, UnknownSeriesError):
        return
    yield from (f"{source} has no label {label}" for label in labels if label not in known)


def dashboard_links(dashboard: Dashboard, _: Surroundings) -> Iterator[str]:
    """All dashboards link to each other, and keep time and variables; each link names only variables that are there."""
    own = {str(variable["name"]) for variable in dashboard.variables}
    for link in dashboard.json.get("links", []):
        unknown = set(variables_in(str(link.get("url") or ""))) - own - BUILT_IN
        yield from (f"the link {link.get('title')} names the variable {name}" for name in sorted(unknown))
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
    "uneditable-dashboard": uneditable,
    "frame": frame,
    "number": numbers,
    "grid": grid,
    "annotation": drawn_events,
    "dashboard-link": dashboard_links,
}
_PANEL_CHECKS: Mapping[str, PanelCheck] = {**PANEL_CHECKS, **RENDERING_CHECKS, "nothing-good": nothing_is_good}
_QUERY_CHECKS: Mapping[str, PanelQueryCheck] = {**QUERY_CHECKS_OF_PANELS, "filler": fillers}
CHECKS = (*DASHBOARD_CHECKS, *_PANEL_CHECKS, *_QUERY_CHECKS)
"""The names of all checks of a dashboard."""
