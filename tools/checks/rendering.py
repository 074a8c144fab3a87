"""Checks of options that Grafana ignores or interprets in unexpected ways.

Observed in Grafana 9.4 and 11.1: the file is valid, nothing is logged, but the panel is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.checks.fields import labels_of_target
from tools.checks.grafana import Dashboard, Panel
from tools.checks.panels import DashboardContext, PanelCheck
from tools.checks.variables import BUILT_IN, variables_in

_TIMELINES = ("state-timeline", "status-history")
_THRESHOLDS = "thresholds"
_DEFAULT_COLOUR = {"state-timeline": "continuous-GrYlRd", "status-history": _THRESHOLDS}
_MISSING = ("null+nan", "null")
_COLOURED_CELLS = ("color-text", "color-background", "color-background-solid", "gauge")
_WITHOUT_COLOUR = ("text", "transparent")
_INTERPOLATED_OPTIONS = ("content", "alertName", "alertInstanceLabelFilter")
_INTERPOLATED_FIELDS = ("displayName", "links")
_INTERNET = re.compile(r"https?://|(?:src|href)=[\"']?//|^//", re.IGNORECASE)
_LOCAL_BASE_MAP = "geojson"
_LOCAL_LAYERS = frozenset({"markers", "heatmap", "geojson", "geojson-value-mapper", "night", "route", "network"})
_ONLINE_PANELS = ("news", "gettingstarted", "welcome")


def state_colours(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """Each state has a text and a colour, and missing data is not a state.

    A state timeline with colours from thresholds merges values by threshold and ignores the mappings.
    """
    if panel.kind not in _TIMELINES:
        return
    modes = [colour.get("mode") for _, colour in panel.properties("color")] or [_DEFAULT_COLOUR[panel.kind]]
    mappings = [mapping for _, group in panel.properties("mappings") for mapping in group]
    if _THRESHOLDS in modes and panel.kind == "state-timeline" and _options(panel).get("mergeValues", True):
        yield from _states_by_threshold(panel, mappings)
    elif mappings:
        yield from _states_by_mapping(mappings)


def _states_by_threshold(panel: Panel, mappings: list[Mapping[str, Any]]) -> Iterator[str]:
    if mappings:
        yield "color.mode thresholds with mergeValues: the mappings are ignored; use palette-classic"
    if not any(len(setting["steps"]) > 1 for _, setting in panel.properties("thresholds")):
        yield "color.mode thresholds with a single threshold: every state has the same colour"


def _states_by_mapping(mappings: list[Mapping[str, Any]]) -> Iterator[str]:
    for mapping in mappings:
        if mapping["type"] == "value":
            plain = sorted(value for value, result in mapping["options"].items() if not result.get("color"))
            yield from (f"the state {value} has no colour and gets one from the palette" for value in plain)
    if not any(_maps_missing(mapping, "") for mapping in mappings):
        yield "no mapping of null+nan to an empty text: the legend lists noValue as a state"


def _maps_missing(mapping: Mapping[str, Any], text: str) -> bool:
    options = mapping["options"]
    return mapping["type"] == "special" and options["match"] in _MISSING and options["result"].get("text") == text


def cell_colours(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """Thresholds and mappings colour table cells only for cell types with a colour."""
    if panel.kind != "table":
        return
    default = _cell_type(panel.defaults.get("custom", {}).get("cellOptions"))
    for override in panel.overrides:
        cell = _cell_type(override.properties.get("custom.cellOptions"), default)
        if cell not in _COLOURED_CELLS and _has_colours(override.properties):
            yield f"{override.options}: colours are ignored in a cell of type {cell}"


def _cell_type(options: Any, default: str = "auto") -> str:
    return str(options.get("type", default)) if isinstance(options, Mapping) else default


def _has_colours(properties: Mapping[str, Any]) -> bool:
    results = [result for mapping in properties.get("mappings", ()) for result in _results(mapping)]
    coloured = any(result.get("color") not in (None, *_WITHOUT_COLOUR) for result in results)
    return coloured or len(properties.get("thresholds", {}).get("steps", ())) > 1


def _results(mapping: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    options = mapping["options"]
    return list(options.values()) if mapping["type"] == "value" else [options["result"]]


def alert_list(panel: Panel, _: Dashboard, context: DashboardContext) -> Iterator[str]:
    """An alert list has no data source, or its name: variables and uids do not work there."""
    if panel.kind != "alertlist":
        return
    options = _options(panel)
    source = options.get("datasource")
    if source and ("$" in source or (context.sources and source not in context.sources)):
        known = f"; the provisioned ones are {', '.join(sorted(context.sources))}" if context.sources else ""
        yield f"options.datasource must be the name of a data source; there is none named {source}{known}"
    if options.get("stateFilter", {}).get("firing") is False:
        yield "options.stateFilter excludes firing alerts"
    if options.get("dashboardAlerts"):
        yield "options.dashboardAlerts excludes all Prometheus rules, which belong to no dashboard"


def hidden_lines(panel: Panel, _: Dashboard, context: DashboardContext) -> Iterator[str]:
    """A hidden line is hidden everywhere, and exemplars are drawn although their query is hidden.

    Grafana draws all exemplars if every line is visible, or if a visible line has no labels. It places them on the
    scale of the first query.
    """
    hidden = [override for override in panel.overrides if override.properties.get("custom.hideFrom", {}).get("viz")]
    for override in hidden:
        places = override.properties["custom.hideFrom"]
        if not (places.get("legend") and places.get("tooltip")):
            yield f"{override.options}: hidden from the graph, but not from legend and tooltip"
    if panel.kind != "timeseries":
        return
    refs = {override.options for override in hidden if override.matcher == "byFrameRefID"}
    plain = [
        each for each in panel.targets if each.ref not in refs and labels_of_target(each, context.vocabulary) == {}
    ]
    for index, target in enumerate(panel.json.get("targets", [])):
        if target.get("exemplar") and index > 0:
            yield f"{target['refId']}: exemplars are placed on the scale of the first query; put theirs first"
        if target.get("exemplar") and target["refId"] in refs and not plain:
            yield f"{target['refId']}: the exemplars of a hidden query are hidden, unless another line has no labels"


def repeats(panel: Panel, dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """`repeat` names a multi-value variable; without it, the other repeat options have no effect."""
    repeated = panel.json.get("repeat")
    if not repeated:
        unused = [name for name in ("repeatDirection", "maxPerRow") if panel.json.get(name) is not None]
        yield from (f"{name} without repeat" for name in unused)
        return
    variable = next((each for each in dashboard.variables if each["name"] == repeated), None)
    if variable is None:
        yield f"repeat: unknown variable {repeated}"
    elif not (variable.get("multi") or variable.get("includeAll")):
        yield f"repeat: the variable {repeated} has a single value"


def plain_options(panel: Panel, dashboard: Dashboard, _: DashboardContext) -> Iterator[str]:
    """Variables are used only where Grafana replaces them, and exist in the dashboard."""
    own = {str(variable["name"]) for variable in dashboard.variables}
    fields = [panel.defaults, *(override.properties for override in panel.overrides)]
    for name, value in _strings(_options(panel)):
        if name not in _INTERPOLATED_OPTIONS and own & set(variables_in(value)):
            yield f"options: {name} is {value!r}, but Grafana replaces no variables there"
    for properties in fields:
        fixed = {name: value for name, value in properties.items() if name not in _INTERPOLATED_FIELDS}
        yield from (
            f"{name} is {value!r}, but Grafana replaces no variables there"
            for name, value in _strings(fixed)
            if own & set(variables_in(value))
        )
    texts = [panel.title, panel.description, *(str(_options(panel).get(name, "")) for name in _INTERPOLATED_OPTIONS)]
    unknown = {name for text in texts for name in variables_in(text)} - own - BUILT_IN
    yield from (f"unknown variable {name} in a text" for name in sorted(unknown))


def offline(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """Panels load nothing from the internet; links may lead there."""
    if panel.kind in _ONLINE_PANELS:
        yield f"a panel of type {panel.kind} loads from the internet"
    for name, value in _strings({name: value for name, value in panel.json.items() if name != "links"}):
        if loads_from_internet(value):
            yield f"{name} loads from the internet: {value[:80]}"
    if panel.kind == "geomap":
        yield from _map_layers(_options(panel))


def loads_from_internet(text: str) -> bool:
    """Whether a browser that displays the text, or loads it as a URL, loads from another host."""
    return _INTERNET.search(text) is not None


def _map_layers(options: Mapping[str, Any]) -> Iterator[str]:
    base = options.get("basemap") or {}
    if base.get("type") != _LOCAL_BASE_MAP:
        yield f"the base map {base.get('type', 'default')} loads tiles from the internet; use {_LOCAL_BASE_MAP}"
    elif not str((base.get("config") or {}).get("src", "")).startswith("public/"):
        yield "the base map has no src below public/, which Grafana serves"
    for layer in options.get("layers", []):
        if layer.get("type", "markers") not in _LOCAL_LAYERS:
            yield f"a layer of type {layer['type']} loads from the internet"


def _options(panel: Panel) -> Mapping[str, Any]:
    return panel.json.get("options") or {}


def _strings(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """All texts with their names, except links, which are not loaded."""
    if isinstance(content, str):
        yield name, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if key != "links" and not (content.get("id") == "links" and key == "value"):
                yield from _strings(value, str(key))
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _strings(value, name)


RENDERING_CHECKS: Mapping[str, PanelCheck] = {
    "state-colour": state_colours,
    "cell-colour": cell_colours,
    "alert-list": alert_list,
    "hidden-line": hidden_lines,
    "repeat": repeats,
    "plain-option": plain_options,
    "offline": offline,
}
"""By the name of the check."""
