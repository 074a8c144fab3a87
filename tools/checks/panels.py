"""Checks of one panel: texts, units, thresholds and links."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.checks.fields import columns, labels_of_target
from tools.checks.grafana import Dashboard, Panel
from tools.checks.promql import COMPARISONS, Binary, Expression, PromqlError, constant, parse, parts
from tools.checks.rules import Rule
from tools.checks.variables import BUILT_IN, filled, variables_in
from tools.checks.vocabulary import Vocabulary


@dataclass(frozen=True)
class DashboardContext:
    """What dashboards may refer to.

    Attributes:
        vocabulary: Known series, including recorded ones and ALERTS.
        alerts: All alerts.
        panels: Panel numbers of every dashboard, by uid.
        runbooks: The alerts with a runbook page.
        units: Ids of Grafana's units; empty if unknown.
        sources: Names of the provisioned data sources; empty if unknown.
    """

    vocabulary: Vocabulary
    alerts: tuple[Rule, ...]
    panels: Mapping[str, frozenset[int]]
    runbooks: frozenset[str]
    units: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()


PanelCheck = Callable[[Panel, Dashboard, DashboardContext], Iterator[str]]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WHAT_TO_DO = "**What to do:**"
_FEWEST_WORDS = 4
_DASHBOARD_URL = re.compile(r"(?:https://grafana\.marty\.com)?/d/(?P<uid>[\w-]+)(?:\?(?P<query>.*))?")
_RUNBOOK = "${runbooks}/"
_KEPT = {
    "time": "${__url_time_range}",
    **{name: f"${{{name}:queryparam}}" for name in ("datasource", "environment", "service", "instance")},
}
_FIELD = re.compile(r"\$\{__data\.fields(?:\.(?P<dotted>\w+)|\[\"?(?P<quoted>[^\"\]]+)\"?\])(?::percentencode)?\}")
_LABEL = re.compile(r"\$\{__field\.labels\.(?P<label>\w+)\}")
_OF_VALUE = "__value"
_OWN_UNITS = ("currency:", "suffix:", "prefix:", "time:", "si:", "count:", "bool:")
_MEANINGLESS = re.compile(r"(n/?a|none|-?)\.?|.*\bno data\b.*", re.IGNORECASE)
_SUM_OF_RECORDED = re.compile(r"\bsum_over_time\(.+:\w+\]\)")
_COLOUR_SEVERITY = {"green": 0, "yellow": 1, "orange": 2, "red": 3}
_WITHOUT_PAGE = frozenset({"TrustEscalation"})
"""An escalation links to the runbook of the escalated alert."""


def datasource(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """The panel and its queries use the data source variable (dashboard-linter's `panel-datasource`)."""
    if panel.kind not in ("row", "text") and panel.datasource != SOURCE:
        yield f"the data source is {dict(panel.datasource)}, not ${{datasource}}"
    for target in panel.targets:
        if target.datasource != SOURCE:
            yield f"{target.ref}: the data source is {dict(target.datasource)}, not ${{datasource}}"


def words(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """A title, and a description with two parts: what the panel means, and what to do."""
    if not panel.title.strip():
        yield "the title is missing"
    if panel.kind == "row":
        return
    meaning, phrase, action = panel.description.partition(WHAT_TO_DO)
    if not phrase:
        yield f"the description has no {WHAT_TO_DO}"
    for name, part in (("what it means", meaning), ("what to do", action)):
        if len(part.split()) < _FEWEST_WORDS:
            yield f"the description does not say {name}"
        elif not part.strip().endswith((".", "!", "?", "`")):
            yield f"the description has no full stop at its end: {part.strip()[-30:]!r}"


def units(panel: Panel, _: Dashboard, context: DashboardContext) -> Iterator[str]:
    """All fields of a panel have a unit that Grafana knows."""
    if panel.has_data and not panel.defaults.get("unit"):
        yield "no unit"
    for _override, unit in panel.properties("unit"):
        own = str(unit).startswith(_OWN_UNITS)
        if context.units and unit not in context.units and not own:
            yield f"Grafana has no unit {unit!r}"


def targets(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """A panel with data has a query."""
    if panel.has_data and not panel.targets:
        yield "no query"


def no_value(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """`noValue` explains what missing data means, instead of `No data`.

    Where a panel shows points over time, there may be data between them, or since the last one. Sums over recorded
    series lack the last minutes.
    """
    if not panel.has_data:
        return
    said = str(panel.defaults.get("noValue", "")).strip()
    if _MEANINGLESS.fullmatch(said):
        yield f"noValue is {said!r} and does not explain what missing data means"
    elif (data := _not_shown(panel)) and data not in said:
        yield f"noValue is {said!r}, although there may be data that is {data}"


def _not_shown(panel: Panel) -> str:
    """Words for data that a panel may lack; empty if it shows all."""
    if any(target.ranged for target in panel.targets):
        return "too recent or too brief for the graph"
    if panel.targets and all(_SUM_OF_RECORDED.search(target.source) for target in panel.targets):
        return "only in the last minutes"
    return ""


def thresholds(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """Thresholds increase, and colours get worse in one direction, or in both from a good middle."""
    for _override, setting in panel.properties("thresholds"):
        steps: list[Mapping[str, Any]] = setting["steps"]
        values = [step.get("value") for step in steps]
        if not steps or values[0] is not None or None in values[1:]:
            yield f"the first threshold, and only the first, must have no value: {values}"
            continue
        rising = [float(step["value"]) for step in steps[1:]]
        if any(low >= high for low, high in itertools.pairwise(rising)):
            yield f"thresholds do not increase: {rising}"
        colours = [str(step["color"]) for step in steps]
        if any(one == other for one, other in itertools.pairwise(colours)):
            yield f"adjacent thresholds have the same colour: {', '.join(colours)}"
        if not _has_one_minimum([_severity_of_colour(colour) for colour in colours]):
            yield f"colours get better after getting worse: {', '.join(colours)}"


def _severity_of_colour(colour: str) -> int:
    return _COLOUR_SEVERITY.get(colour.rpartition("-")[2], 0)


def _has_one_minimum(levels: list[int]) -> bool:
    best = levels.index(min(levels))
    return levels[: best + 1] == sorted(levels[: best + 1], reverse=True) and levels[best:] == sorted(levels[best:])


def alert_limits(panel: Panel, _: Dashboard, context: DashboardContext) -> Iterator[str]:
    """A panel of alerts whose colour changes at a number uses a threshold of these alerts, there or in its queries."""
    rules = [rule for rule in context.alerts if rule.name in claimed(panel)]
    if any(_compares_series(rule) for rule in rules):
        # Its threshold is a series.
        return
    limits = {limit for rule in rules for limit in compared(rule.source)}
    steps = {
        float(step["value"])
        for _override, setting in panel.properties("thresholds")
        for step in setting["steps"]
        if step.get("value") is not None
    }
    queries = [filled(target.source) for target in panel.targets]
    if limits and steps and not any(_is_limit(number, limits, queries) for number in steps):
        yield f"no threshold of {_numbers(steps)} is a threshold of its alerts: {_numbers(limits)}"


def _is_limit(step: float, limits: set[float], queries: list[str]) -> bool:
    # A count of series over the threshold has the threshold in its query. A burn rate is divided by the target, and so
    # is its threshold.
    if any(limit in limits for query in queries for limit in compared(query)):
        return True
    return any(math.isclose(step * divisor, limit) for divisor in (1, *_divisors(queries)) for limit in limits)


def _compares_series(rule: Rule) -> bool:
    comparisons = [part for part in _parts([rule.source]) if isinstance(part, Binary) and part.operator in COMPARISONS]
    return any(constant(each.left) is None and constant(each.right) is None for each in comparisons)


def _divisors(queries: list[str]) -> Iterator[float]:
    for part in _parts(queries):
        if isinstance(part, Binary) and part.operator == "/" and (value := constant(part.right)) is not None:
            yield value


def compared(query: str) -> Iterator[float]:
    """The numbers in a query's comparisons; for `> 0` and `== 0` also 1, the next whole number."""
    for part in _parts([query]):
        if isinstance(part, Binary) and part.operator in COMPARISONS:
            yield from (value for side in (part.left, part.right) if (value := constant(side)) is not None)
            if part.operator in (">", "==") and constant(part.right) == 0:
                yield 1


def _parts(queries: list[str]) -> Iterator[Expression]:
    for query in queries:
        try:
            yield from _without_divisors(parse(query))
        except PromqlError:
            # Invalid queries have their own finding.
            continue


def _without_divisors(expression: Expression) -> Iterator[Expression]:
    """The expression and its parts, without divisors, whose comparisons only exclude 0."""
    yield expression
    for part in parts(expression):
        if not (isinstance(expression, Binary) and expression.operator == "/" and part is expression.right):
            yield from _without_divisors(part)


def claimed(panel: Panel) -> frozenset[str]:
    """The alerts whose runbooks the panel links to."""
    return frozenset(url.removeprefix(_RUNBOOK) for url in panel.links if url.startswith(_RUNBOOK))


def _numbers(values: set[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values))


def runbooks(panel: Panel, dashboard: Dashboard, context: DashboardContext) -> Iterator[str]:
    """A panel that an alert links to has a link to the alert's runbook."""
    for rule in context.alerts:
        found = _DASHBOARD_URL.fullmatch(rule.annotations.get("dashboard_url", ""))
        leads_here = found is not None and (found["uid"], found["query"]) == (
            dashboard.uid,
            f"viewPanel={panel.number}",
        )
        if leads_here and rule.name not in _WITHOUT_PAGE and rule.name not in claimed(panel):
            yield f"{rule.name} links to this panel, but the panel has no link to its runbook"


def links(panel: Panel, dashboard: Dashboard, context: DashboardContext) -> Iterator[str]:
    """Links lead to existing panels and pages, keep time range and variables, and use existing variables and fields.

    A link in a row of a table passes the service of the row.
    """
    own = {str(variable["name"]) for variable in dashboard.variables}
    of_data = [url for _override, url in panel.data_links()]
    for url in (*panel.links, *of_data):
        yield from broken(url, context, _service_of_row(panel, context.vocabulary) if url in of_data else None)
        for name in variables_in(url):
            if name not in own | BUILT_IN and not name.startswith(("__data", "__field", _OF_VALUE)):
                yield f"{url}: there is no variable {name}"
    for url in of_data:
        yield from _unreadable(panel, url, context.vocabulary)


def _service_of_row(panel: Panel, vocabulary: Vocabulary) -> str | None:
    """The parameter with the service of a row; None if the rows have none."""
    shown = columns(panel, vocabulary).items() if panel.kind == "table" else ()
    heading = next((name for name, column in shown if column.name == "service_name"), None)
    return None if heading is None else f"var-service=${{__data.fields.{heading}:percentencode}}"


def broken(url: str, context: DashboardContext, service: str | None = None) -> Iterator[str]:
    """Findings in the target of a URL; `service` is the parameter that replaces the selected services."""
    if url.startswith(_RUNBOOK):
        alert = url.removeprefix(_RUNBOOK)
        if "${" not in alert and alert not in context.runbooks:
            yield f"{url}: unknown runbook"
        return
    found = _DASHBOARD_URL.fullmatch(url)
    if found is None:
        yield f"{url} is neither a panel of a dashboard nor a runbook"
        return
    yield from missing_panel(url, context.panels)
    kept = {**_KEPT, "service": service} if service is not None else _KEPT
    lost = [parameter for parameter in kept.values() if parameter not in url]
    if lost:
        yield f"{url} does not keep {', '.join(lost)}"


def missing_panel(url: str, panels: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """A URL `/d/<uid>?viewPanel=<number>` must lead to an existing panel; the number may be a variable."""
    found = _DASHBOARD_URL.fullmatch(url)
    if found is None:
        yield f"{url} is not a URL of a panel"
        return
    viewed = re.search(r"(?:^|&)viewPanel=([^&]*)", found["query"] or "")
    if found["uid"] not in panels:
        yield f"{url}: unknown dashboard {found['uid']}"
    elif viewed is not None and viewed[1].isdigit() and int(viewed[1]) not in panels[found["uid"]]:
        yield f"{url}: {found['uid']} has no panel {viewed[1]}"
    elif viewed is not None and not viewed[1].isdigit() and not viewed[1].startswith("${"):
        yield f"{url}: {viewed[1]!r} is not a panel number"


def _unreadable(panel: Panel, url: str, vocabulary: Vocabulary) -> Iterator[str]:
    for found in _FIELD.finditer(url):
        name = found["dotted"] or found["quoted"]
        if name not in columns(panel, vocabulary):
            yield f"{url}: unknown column {name}"
    for found in _LABEL.finditer(url):
        if not any(found["label"] in (labels_of_target(each, vocabulary) or {}) for each in panel.targets):
            yield f"{url}: no query has the label {found['label']}"


PANEL_CHECKS: Mapping[str, PanelCheck] = {
    "panel-datasource": datasource,
    "panel-title-description": words,
    "panel-units": units,
    "panel-no-targets": targets,
    "no-value": no_value,
    "threshold": thresholds,
    "threshold-alert": alert_limits,
    "runbook": runbooks,
    "link": links,
}
"""By the name of the check. The first four are those of dashboard-linter, for all panel types."""
