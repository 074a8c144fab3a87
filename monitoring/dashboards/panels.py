"""Builders of the panel types, with the options that all panels share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    geomap,
    piechart,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import piechart as piechart_models
from grafana_foundation_sdk.models.common import (
    AxisPlacement,
    BarGaugeDisplayMode,
    BarGaugeNamePlacement,
    BarGaugeSizing,
    BigValueColorMode,
    BigValueGraphMode,
    FrameGeometrySourceMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TableCellHeight,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLink,
    DashboardLinkType,
    DashboardSpecialValueMapOptions,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    SpecialValueMap,
    SpecialValueMatch,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.geomap import MapCenterID
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.dashboards.template import DATA_SOURCE, runbook_url
from monitoring.dashboards.thresholds import FINE, PLAIN, UNMEASURED, Levels

ValueTexts = Mapping[str, tuple[str, str]]
"""Text and colour for each value."""

UP_OR_DOWN: Final[ValueTexts] = {"1": ("up", "green"), "0": ("down", "red")}

_GRAPH_HEIGHT = 8
_MIN_AXIS_SHARE = 0.1
_MIN_COLUMN_WIDTH = 75
"""In pixels. With Grafana's default of 150, half a screen shows only four columns."""
_MIN_COLUMN_WIDTHS: Final = {"reqps": 100}
_MIN_KEY_COLUMN_WIDTH = 130
"""In pixels. On a phone the key columns stay readable, and the values are reached by scrolling."""
_MAX_KEYS_WIDTH = 250
"""In pixels. A phone shows about 360 of a table."""
_MANY_QUERIES = 6
"""With more queries in one panel, Grafana makes their names too small to read."""
_NAME_HEIGHT = 24
"""Height of the name above a bar, in pixels."""
NOT_MEASURED: Final = "Not measured"
"""Shown if there is no value. The panel description gives the reason."""
TEXT_COLOUR: Final = "text"
"""For texts that are neither good nor bad."""

Panel = TypeVar(
    "Panel",
    bargauge.Panel,
    geomap.Panel,
    piechart.Panel,
    stat.Panel,
    statetimeline.Panel,
    table.Panel,
    timeseries.Panel,
)


@dataclass(frozen=True)
class PanelText:
    """Title, description and links of a panel.

    Attributes:
        panel_id: Id that alerts link to: the number of the requirement, or 20 and more.
        title: Title.
        description: What the panel shows.
        action: What to do about bad values.
        no_data: Text shown without data: what it means, and how to get data.
        alerts: Related alerts. The panel links to their runbooks.
        links: Further links, URL by text; see `template.panel_url`.
    """

    panel_id: int
    title: str
    description: str
    action: str
    no_data: str
    alerts: tuple[str, ...] = ()
    links: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
        legend: Legend format; `{{label}}` is replaced by the label's value.
        promql: PromQL expression.
        unit: Grafana unit id, if it differs from the panel's. Lines then use the right axis.
        dashed: Whether to draw a dashed line, for thresholds and comparisons.
        exemplars: Whether to show exemplars, for histograms.
        colour: Fixed colour of the line; shades of it if the legend has labels.
        levels: Thresholds of a single value, if they differ from the panel's.
        hidden: Whether to draw no line. Grafana then shows the exemplars of the query, because the other lines have no
            labels.
    """

    legend: str
    promql: str
    unit: str | None = None
    dashed: bool = False
    exemplars: bool = False
    colour: str | None = None
    levels: Levels | None = None
    hidden: bool = False


@dataclass(frozen=True)
class Column:
    """A value column of a table.

    Attributes:
        name: Heading.
        promql: PromQL expression; its labels are the key columns of the table.
        unit: Grafana unit id.
        levels: Thresholds that colour the cell.
        texts: Texts shown instead of values.
        link: URL that the cell links to.
        width: In pixels, for values that are wider than the heading.
        decimals: Number of decimals; by default as many as Grafana finds useful.
        missing: Text and colour instead of a dash for NaN, and for rows without a value.
    """

    name: str
    promql: str
    unit: str = "short"
    levels: Levels | None = None
    texts: ValueTexts | None = None
    link: str | None = None
    width: int = 0
    decimals: int | None = None
    missing: tuple[str, str] | None = None


def time_series_panel(
    text: PanelText,
    unit: str,
    queries: Sequence[Query],
    *,
    levels: Levels | None = None,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    highest_first: bool = False,
    min_value: float | None = 0,
    max_value: float | None = None,
    width: int = 12,
    height: int = _GRAPH_HEIGHT,
) -> timeseries.Panel:
    """Lines over time. The steps of `levels` are drawn as dashed threshold lines.

    Args:
        colours: By name of a line.
        highest_first: Whether the legend begins with the line that is highest now; a legend shows only a few lines.
    """
    panel = _with_common_options(timeseries.Panel(), _of_graph(text), unit, width, height)
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull"])
    )
    if highest_first:
        legend = legend.sort_by("Last *").sort_desc(True)
    panel = (
        panel.line_width(2)
        .fill_opacity(40 if stacked else 8)
        .show_points(VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(legend)
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if min_value is not None:
        panel = panel.min(min_value)
    if max_value is not None:
        panel = panel.max(max_value)
    elif unit == "percentunit":
        # Otherwise the axis of a ratio that is always 0 goes up to 10,000 %.
        panel = panel.axis_soft_max(_MIN_AXIS_SHARE if levels is None else levels.steps[-1][0] * 1.2)
    if levels is not None:
        panel = panel.thresholds(levels.config()).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    for ref, query in _with_ref_ids(queries):
        panel = panel.with_target(_range_query(ref, query))
        properties = _line_overrides(query)
        if properties:
            panel = panel.override_by_query(ref, properties)
    for name, colour in (colours or {}).items():
        fixed = DynamicConfigValue("color", {"mode": FieldColorModeId.FIXED, "fixedColor": colour})
        panel = panel.override_by_name(name, [fixed])
    return panel


def _line_overrides(query: Query) -> list[DynamicConfigValue]:
    properties = []
    if query.unit is not None:
        properties += [
            DynamicConfigValue("unit", query.unit),
            DynamicConfigValue("custom.axisPlacement", AxisPlacement.RIGHT),
            # The threshold belongs to the left axis.
            DynamicConfigValue("custom.thresholdsStyle", {"mode": GraphThresholdsStyleMode.OFF}),
        ]
    if query.unit == "percentunit":
        properties.append(DynamicConfigValue("max", 1))
    if query.colour is not None:
        mode = FieldColorModeId.SHADES if "{{" in query.legend else FieldColorModeId.FIXED
        properties.append(DynamicConfigValue("color", {"mode": mode, "fixedColor": query.colour}))
    if query.hidden:
        properties.append(DynamicConfigValue("custom.hideFrom", {"legend": True, "tooltip": True, "viz": True}))
    if query.dashed:
        properties += [
            DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
            DynamicConfigValue("custom.fillOpacity", 0),
        ]
    return properties


def stat_panel(
    text: PanelText,
    unit: str,
    queries: Sequence[Query],
    *,
    levels: Levels = PLAIN,
    texts: ValueTexts | None = None,
    missing: tuple[str, str] = (NOT_MEASURED, UNMEASURED),
    sparkline: bool = True,
    link: str | None = None,
    width: int = 4,
    height: int = 4,
) -> stat.Panel:
    """Single values.

    Args:
        missing: Text and colour if there is no value. Without it, Grafana uses the colour of the first threshold.
        sparkline: Whether to show a graph behind each value.
        link: URL that the values link to.
    """
    shown = _of_graph(text) if sparkline else text
    panel = _with_common_options(stat.Panel(), _with_no_data_text(shown), unit, width, height)
    if link is not None:
        panel = panel.data_links([builders.DashboardLink("Open").type(DashboardLinkType.LINK).url(link)])
    panel = (
        panel.thresholds(levels.config())
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(BigValueColorMode.BACKGROUND if levels not in (PLAIN, FINE) else BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA if sparkline else BigValueGraphMode.NONE)
        .reduce_options(_last_value())
        .mappings([*_value_mappings(texts), _no_value_mapping(*missing)])
    )
    if len(queries) > _MANY_QUERIES:
        # By default Grafana makes all names as small as the longest one needs.
        panel = panel.text(common.VizTextDisplayOptions().title_size(13))
    for ref, query in _with_ref_ids(queries):
        panel = panel.with_target(_range_query(ref, query) if sparkline else _instant_query(ref, query))
        properties = [] if query.unit is None else [DynamicConfigValue("unit", query.unit)]
        if query.levels is not None:
            properties.append(_thresholds(query.levels))
        if properties:
            panel = panel.override_by_query(ref, properties)
    return panel


def bar_gauge_panel(
    text: PanelText,
    unit: str,
    queries: Sequence[Query],
    *,
    levels: Levels = PLAIN,
    names_above: bool = False,
    width: int = 6,
    height: int = _GRAPH_HEIGHT,
) -> bargauge.Panel:
    """One bar per series, at the end of the selected time range. Grafana truncates long names beside a bar."""
    panel = _with_common_options(bargauge.Panel(), _with_no_data_text(text), unit, width, height)
    panel = (
        panel.thresholds(levels.config())
        .mappings([_no_value_mapping(NOT_MEASURED, UNMEASURED)])
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .min(0)
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .name_placement(BarGaugeNamePlacement.TOP if names_above else BarGaugeNamePlacement.LEFT)
        .sizing(BarGaugeSizing.MANUAL)
        .min_viz_height(_NAME_HEIGHT + 16 if names_above else 16)
        .max_viz_height(_NAME_HEIGHT + 28 if names_above else 28)
        .text(common.VizTextDisplayOptions().title_size(14).value_size(14))
        .reduce_options(_last_value())
    )
    if levels.steps:
        # Otherwise the largest value fills the bar, however small it is.
        panel = panel.max(1 if unit == "percentunit" else levels.steps[-1][0])
    for ref, query in _with_ref_ids(queries):
        panel = panel.with_target(_instant_query(ref, query))
    return panel


def pie_chart_panel(
    text: PanelText, unit: str, queries: Sequence[Query], *, width: int = 6, height: int = _GRAPH_HEIGHT
) -> piechart.Panel:
    """Shares of a total."""
    panel = _with_common_options(piechart.Panel(), text, unit, width, height)
    panel = (
        panel.pie_type(piechart_models.PieChartType.DONUT)
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .reduce_options(_last_value())
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE).sort(SortOrder.NONE))
        .legend(
            piechart.PieChartLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.RIGHT)
            .show_legend(True)
            .values([piechart_models.PieChartLegendValues.VALUE, piechart_models.PieChartLegendValues.PERCENT])
        )
    )
    for ref, query in _with_ref_ids(queries):
        panel = panel.with_target(_instant_query(ref, query))
    return panel


def state_timeline_panel(
    text: PanelText,
    queries: Sequence[Query],
    *,
    texts: ValueTexts = UP_OR_DOWN,
    width: int = 12,
    height: int = _GRAPH_HEIGHT,
) -> statetimeline.Panel:
    """States over time; the values of the series are the keys of `texts`."""
    panel = _with_common_options(statetimeline.Panel(), _of_graph(text), "none", width, height)
    panel = (
        # A gap has an empty text. Otherwise the legend lists the no-data text of the panel as a state.
        panel.mappings([*_value_mappings(texts), _no_value_mapping("", "transparent")])
        # With threshold colours, Grafana merges values by threshold and ignores the value mappings.
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .show_value(VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    for ref, query in _with_ref_ids(queries):
        panel = panel.with_target(_range_query(ref, query))
    return panel


def table_panel(
    text: PanelText,
    keys: Mapping[str, str],
    columns: Sequence[Column],
    *,
    sort: str | Sequence[str] = (),
    key_links: Mapping[str, str] | None = None,
    key_texts: Mapping[str, ValueTexts] | None = None,
    key_widths: Mapping[str, int] | None = None,
    width: int = 24,
    height: int = _GRAPH_HEIGHT,
) -> table.Panel:
    """A table with one row per combination of the key labels.

    If the keys fill the screen of a phone, the column to sort by precedes them: only the first columns are in view.

    Args:
        keys: Labels that the queries of all columns have, and their headings.
        sort: Headings of the columns to sort by, largest values first.
        key_links: URLs by heading of a key column.
        key_texts: Texts and colours by heading of a key column.
        key_widths: Widths in pixels by heading of a key column; by default an equal share of what the values leave.
    """
    columns = [replace(column, link=column.link and _of_row(column.link, keys)) for column in columns]
    key_links = {heading: _of_row(url, keys) for heading, url in (key_links or {}).items()}
    panel = _with_common_options(table.Panel(), text, "short", width, height)
    panel = (
        panel.show_header(True).cell_height(TableCellHeight.SM).min_width(_MIN_COLUMN_WIDTH).thresholds(FINE.config())
    )
    headings = [sort] if isinstance(sort, str) else sort
    if headings:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(each).desc(True) for each in headings])
    referenced = list(zip(_REF_IDS, columns, strict=False))
    names = {f"Value #{ref}": column.name for ref, column in referenced}
    if len(columns) == 1:
        names = {"Value": columns[0].name}
    key_widths = key_widths or {}
    # Values share the remaining width only if no key column does.
    width_of_values = "custom.minWidth" if key_widths.keys() == set(keys.values()) else "custom.width"
    for ref, column in referenced:
        needed = DynamicConfigValue(width_of_values, _needed_width(column, column.name in headings))
        panel = panel.with_target(_instant_query(ref, Query("", column.promql)).format(PromQueryFormat.TABLE))
        panel = panel.override_by_name(column.name, [*_column_overrides(column), needed])
    for heading in keys.values():
        panel = panel.override_by_name(
            heading,
            _key_column_overrides(key_links.get(heading), (key_texts or {}).get(heading), key_widths.get(heading)),
        )
    width_of_keys = sum(key_widths.get(heading, _MIN_KEY_COLUMN_WIDTH) for heading in keys.values())
    leading = headings[:1] if width_of_keys > _MAX_KEYS_WIDTH else []
    first = [value for value, heading in names.items() if heading in leading]
    order = {name: index for index, name in enumerate(dict.fromkeys((*first, *keys, *names)))}
    return panel.transformations(
        [
            DataTransformerConfig("merge", options={}),
            DataTransformerConfig(
                "organize",
                options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": {**keys, **names}},
            ),
        ]
    )


def _of_row(url: str, keys: Mapping[str, str]) -> str:
    """The URL with the service of the row, instead of all selected services."""
    if "service_name" not in keys:
        return url
    return url.replace("${service:queryparam}", f"var-service=${{__data.fields.{keys['service_name']}:percentencode}}")


def _column_overrides(column: Column) -> list[DynamicConfigValue]:
    properties = [
        DynamicConfigValue("unit", column.unit),
        DynamicConfigValue("mappings", [*_mappings_json(column.texts), _missing_in(column)]),
        DynamicConfigValue("custom.align", "right"),
    ]
    if column.levels is not None:
        properties += [_thresholds(column.levels), DynamicConfigValue("color", {"mode": "thresholds"})]
    if column.levels is not None or column.texts is not None:
        properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    if column.link is not None:
        properties.append(_cell_link(column.link))
    if column.decimals is not None:
        properties.append(DynamicConfigValue("decimals", column.decimals))
    return properties


def _needed_width(column: Column, sorted_by: bool) -> int:
    """Width in pixels in which neither the heading nor a text is cut off."""
    heading = _text_width(column.name) + (_SORT_ARROW_WIDTH if sorted_by else 0)
    texts = [_text_width(text) for text, _ in (column.texts or {}).values()]
    return max(_MIN_COLUMN_WIDTHS.get(column.unit, _MIN_COLUMN_WIDTH), column.width, heading, *texts)


# Measured in Chromium, of Grafana's font Inter at 14 pixels and weight 500.
_CELL_PADDING, _SORT_ARROW_WIDTH = 14, 20
_CHARACTER_WIDTHS: Final = {**dict.fromkeys(" fijlrtI().,:/", 5.0), **dict.fromkeys("mwMW%", 12.5)}
_CHARACTER_WIDTH: Final = 8.6


def _text_width(text: str) -> int:
    return round(_CELL_PADDING + sum(_CHARACTER_WIDTHS.get(each, _CHARACTER_WIDTH) for each in text))


def _thresholds(levels: Levels) -> DynamicConfigValue:
    return DynamicConfigValue(
        "thresholds", {"mode": "absolute", "steps": [step.to_json() for step in levels.thresholds()]}
    )


def _missing_in(column: Column) -> dict[str, object]:
    # A quantile without events is NaN, and a row may have no value in a column.
    return _no_value_mapping(*(column.missing or ("-", "transparent"))).to_json()


def _mappings_json(texts: ValueTexts | None) -> list[dict[str, object]]:
    return [mapping.to_json() for mapping in _value_mappings(texts)]


def _key_column_overrides(link: str | None, texts: ValueTexts | None, width: int | None) -> list[DynamicConfigValue]:
    properties = []
    if link is not None:
        properties.append(_cell_link(link))
    if texts is not None:
        properties.append(DynamicConfigValue("mappings", _mappings_json(texts)))
        if any(colour != TEXT_COLOUR for _, colour in texts.values()):
            properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    properties.append(
        DynamicConfigValue("custom.minWidth", _MIN_KEY_COLUMN_WIDTH)
        if width is None
        else DynamicConfigValue("custom.width", width)
    )
    return properties


def _cell_link(url: str) -> DynamicConfigValue:
    return DynamicConfigValue("links", [{"title": "Open", "url": url, "targetBlank": False}])


def country_map_panel(
    text: PanelText,
    unit: str,
    query: Query,
    country: str,
    *,
    levels: Levels = PLAIN,
    width: int = 12,
    height: int = 10,
) -> geomap.Panel:
    """A map with one marker per country; `country` is the label with the ISO 3166-1 alpha-2 code."""
    panel = _with_common_options(geomap.Panel(), text, unit, width, height)
    marker = {
        "showLegend": True,
        "style": {
            "color": {"field": "Value"},
            "opacity": 0.6,
            "size": {"field": "Value", "fixed": 6, "min": 4, "max": 24},
            "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
        },
    }
    return (
        panel.thresholds(levels.config())
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .view(_world_view())
        .basemap(common.MapLayerOptions().type("geojson").name("Countries").config(_COUNTRY_OUTLINES))
        .layers(
            [
                common.MapLayerOptions()
                .type("markers")
                .name(text.title)
                .config(marker)
                .tooltip(True)
                .location(
                    common.FrameGeometrySource()
                    .mode(FrameGeometrySourceMode.LOOKUP)
                    .lookup(country)
                    .gazetteer("public/gazetteer/countries.json")
                )
            ]
        )
        .with_target(_instant_query("A", query).format(PromQueryFormat.TABLE))
    )


# Served by Grafana itself. The default base map loads tiles from the internet in each viewer's browser.
_COUNTRY_OUTLINES: Final = {
    "src": "public/maps/countries.geojson",
    "rules": [],
    "style": {"color": {"fixed": "text"}, "opacity": 0.2},
}


def _world_view() -> geomap.MapViewConfig:
    return geomap.MapViewConfig().id(MapCenterID.ZERO).lat(20).lon(0).zoom(1).all_layers(True)


def _with_common_options(panel: Panel, text: PanelText, unit: str, width: int, height: int) -> Panel:
    return (
        panel.id(text.panel_id)
        .title(text.title)
        .description(_panel_description(text))
        .datasource(DATA_SOURCE)
        .unit(unit)
        .no_value(text.no_data)
        .links(_panel_links(text))
        .span(width)
        .height(height)
    )


def _of_graph(text: PanelText) -> PanelText:
    """Adds that there may be data between the points of a graph, or since the last one.

    In a time range of a day, points are minutes apart, and tables already have data that is not in the graph.
    """
    cause, _, remedy = text.no_data.removesuffix(".").partition(". ")
    no_data = f"{cause}, or the data is too recent or too brief for the graph."
    return replace(text, no_data=f"{no_data} {remedy}." if remedy else no_data)


def _with_no_data_text(text: PanelText) -> PanelText:
    """Adds the no-data text to the description, because these panels show only a short text without a value."""
    return replace(text, description=f"{text.description}\n\n**If there is no value:** {text.no_data}")


def _panel_description(text: PanelText) -> str:
    return f"{text.description}\n\n**What to do:** {text.action}"


def _panel_links(text: PanelText) -> list[Builder[DashboardLink]]:
    runbooks = {f"Runbook: {alert}": runbook_url(alert) for alert in text.alerts}
    urls = {**runbooks, **(text.links or {})}
    return [builders.DashboardLink(title).type(DashboardLinkType.LINK).url(url) for title, url in urls.items()]


def _range_query(ref: str, query: Query) -> prometheus.Dataquery:
    target = _base_query(ref, query).range().interval("$interval")
    return target.exemplar(True) if query.exemplars else target


def _instant_query(ref: str, query: Query) -> prometheus.Dataquery:
    return _base_query(ref, query).instant()


def _base_query(ref: str, query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).datasource(DATA_SOURCE).expr(query.promql).legend_format(query.legend)


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _value_mappings(texts: ValueTexts | None) -> list[ValueMapping]:
    if texts is None:
        return []
    results = {
        value: ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(texts.items())
    }
    return [ValueMap(results)]


def _no_value_mapping(text: str, colour: str) -> SpecialValueMap:
    """Text and colour for null and NaN."""
    result = ValueMappingResult(text=text, color=colour, index=99)
    return SpecialValueMap(DashboardSpecialValueMapOptions(match=SpecialValueMatch.NULL_AND_NAN, result=result))


_REF_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _with_ref_ids(queries: Iterable[Query]) -> Iterable[tuple[str, Query]]:
    return zip(_REF_IDS, queries, strict=False)
