"""Panels: each function makes one kind of them from signals, with everything that all panels need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    gauge,
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

from monitoring.dashboards.template import SOURCE, runbook_url
from monitoring.dashboards.thresholds import FINE, PLAIN, UNMEASURED, Levels

Words = Mapping[str, tuple[str, str]]
"""What a value means, and its colour."""

UP_OR_DOWN: Final[Words] = {"1": ("up", "green"), "0": ("down", "red")}

_GRAPH_HEIGHT = 8
_SMALL_SHARE = 0.1
_LEAST_WIDTH = 60
"""Of a table's column, in pixels; by default 150, with which half a screen shows four."""
_LEAST_KEY_WIDTH = 130
"""On a phone the numbers are found by scrolling, and what they are of can be read."""
_MANY = 6
"""Signals of one panel, with which their names become too small to read."""
_NAME_HEIGHT = 24
"""Of a bar's name above it, in pixels."""
NOT_MEASURED: Final = "Not measured"
"""In place of a number that is not there; the panel's description says why."""
TEXT_COLOUR: Final = "text"
"""For words that are neither good nor bad."""

Panel = TypeVar(
    "Panel",
    bargauge.Panel,
    gauge.Panel,
    geomap.Panel,
    piechart.Panel,
    stat.Panel,
    statetimeline.Panel,
    table.Panel,
    timeseries.Panel,
)


@dataclass(frozen=True)
class About:
    """What a panel tells its reader.

    Attributes:
        number: Its id, which alerts link to: the number of the requirement, or from 20 on.
        title: Heading.
        meaning: What it shows.
        action: What to do when it is not as it should be.
        nothing: What it means that there is no data.
        alerts: The alerts that watch the same, whose runbooks it links to.
        links: Further addresses by their text, as `frame.panel_url` gives them.
    """

    number: int
    title: str
    meaning: str
    action: str
    nothing: str
    alerts: tuple[str, ...] = ()
    links: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Signal:
    """One query of a panel.

    Attributes:
        name: Of the line, bar or column; `{{label}}` stands for a label's value.
        query: PromQL.
        unit: Grafana's id of a unit, where it is not the panel's; a line has its axis on the right then.
        dashed: Whether the line is only to be compared with.
        exemplars: Whether to show traces; for histograms.
        colour: Of its lines, where they have a meaning; in shades of it if it names several.
    """

    name: str
    query: str
    unit: str | None = None
    dashed: bool = False
    exemplars: bool = False
    colour: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of numbers in a table.

    Attributes:
        name: Heading.
        query: PromQL; its labels are the keys of the table.
        unit: Grafana's id of a unit.
        levels: Colours of the cell; none without.
        words: Texts instead of numbers.
        link: Address that a cell leads to.
        width: In pixels; by default what is left.
    """

    name: str
    query: str
    unit: str = "short"
    levels: Levels | None = None
    words: Words | None = None
    link: str | None = None
    width: int | None = None


def trend(
    about: About,
    unit: str,
    signals: Sequence[Signal],
    *,
    levels: Levels | None = None,
    stacked: bool = False,
    least: float | None = 0,
    most: float | None = None,
    width: int = 12,
    height: int = _GRAPH_HEIGHT,
) -> timeseries.Panel:
    """Lines over time; `levels` are drawn as lines at which it becomes bad."""
    panel = _described(timeseries.Panel(), about, unit, width, height)
    panel = (
        panel.line_width(2)
        .fill_opacity(40 if stacked else 8)
        .show_points(VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if least is not None:
        panel = panel.min(least)
    if most is not None:
        panel = panel.max(most)
    elif unit == "percentunit":
        # Otherwise the axis of a share that is 0 all the time goes to 10,000 %.
        panel = panel.axis_soft_max(_SMALL_SHARE if levels is None else levels.steps[-1][0] * 1.2)
    if levels is not None:
        panel = panel.thresholds(levels.config()).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    for ref, signal in _referenced(signals):
        panel = panel.with_target(_over_time(ref, signal))
        properties = _line(signal)
        if properties:
            panel = panel.override_by_query(ref, properties)
    return panel


def _line(signal: Signal) -> list[DynamicConfigValue]:
    properties = []
    if signal.unit is not None:
        properties += [
            DynamicConfigValue("unit", signal.unit),
            DynamicConfigValue("custom.axisPlacement", AxisPlacement.RIGHT),
            # The limit is one of the left axis.
            DynamicConfigValue("custom.thresholdsStyle", {"mode": GraphThresholdsStyleMode.OFF}),
        ]
    if signal.unit == "percentunit":
        properties.append(DynamicConfigValue("max", 1))
    if signal.colour is not None:
        mode = FieldColorModeId.SHADES if "{{" in signal.name else FieldColorModeId.FIXED
        properties.append(DynamicConfigValue("color", {"mode": mode, "fixedColor": signal.colour}))
    if signal.dashed:
        properties += [
            DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
            DynamicConfigValue("custom.fillOpacity", 0),
        ]
    return properties


def number(
    about: About,
    unit: str,
    signals: Sequence[Signal],
    *,
    levels: Levels = PLAIN,
    words: Words | None = None,
    missing: tuple[str, str] = (NOT_MEASURED, UNMEASURED),
    sparkline: bool = True,
    link: str | None = None,
    width: int = 4,
    height: int = 4,
) -> stat.Panel:
    """Big numbers.

    Args:
        missing: Text and colour where there is no number; by default Grafana takes the colour of the first threshold.
        sparkline: Whether to show the course behind each number.
        link: Address that the numbers lead to.
    """
    panel = _described(stat.Panel(), _explained(about), unit, width, height)
    if link is not None:
        panel = panel.data_links([builders.DashboardLink("Open").type(DashboardLinkType.LINK).url(link)])
    panel = (
        panel.thresholds(levels.config())
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(BigValueColorMode.BACKGROUND if levels not in (PLAIN, FINE) else BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA if sparkline else BigValueGraphMode.NONE)
        .reduce_options(_last())
        .mappings([*_mappings(words), _absent(*missing)])
    )
    if len(signals) > _MANY:
        # By itself Grafana makes all names as small as the longest needs.
        panel = panel.text(common.VizTextDisplayOptions().title_size(13))
    for ref, signal in _referenced(signals):
        panel = panel.with_target(_over_time(ref, signal) if sparkline else _at_once(ref, signal))
        if signal.unit is not None:
            panel = panel.override_by_query(ref, [DynamicConfigValue("unit", signal.unit)])
    return panel


def dial(
    about: About,
    unit: str,
    signals: Sequence[Signal],
    *,
    levels: Levels,
    least: float = 0,
    most: float = 1,
    width: int = 6,
    height: int = _GRAPH_HEIGHT,
) -> gauge.Panel:
    """Numbers with a least and a most, each as a dial."""
    panel = _described(gauge.Panel(), _explained(about), unit, width, height)
    panel = (
        panel.thresholds(levels.config())
        .mappings([_absent(NOT_MEASURED, UNMEASURED)])
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .min(least)
        .max(most)
        .show_threshold_markers(True)
        .reduce_options(_last())
    )
    for ref, signal in _referenced(signals):
        panel = panel.with_target(_at_once(ref, signal))
    return panel


def bars(
    about: About,
    unit: str,
    signals: Sequence[Signal],
    *,
    levels: Levels = PLAIN,
    names_above: bool = False,
    width: int = 6,
    height: int = _GRAPH_HEIGHT,
) -> bargauge.Panel:
    """A bar for each series, as it is at the end of the time shown. Grafana cuts long names beside a bar."""
    panel = _described(bargauge.Panel(), _explained(about), unit, width, height)
    panel = (
        panel.thresholds(levels.config())
        .mappings([_absent(NOT_MEASURED, UNMEASURED)])
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .min(0)
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .name_placement(BarGaugeNamePlacement.TOP if names_above else BarGaugeNamePlacement.LEFT)
        .sizing(BarGaugeSizing.MANUAL)
        .min_viz_height(_NAME_HEIGHT + 16 if names_above else 16)
        .max_viz_height(_NAME_HEIGHT + 28 if names_above else 28)
        .text(common.VizTextDisplayOptions().title_size(14).value_size(14))
        .reduce_options(_last())
    )
    for ref, signal in _referenced(signals):
        panel = panel.with_target(_at_once(ref, signal))
    return panel


def pie(
    about: About, unit: str, signals: Sequence[Signal], *, width: int = 6, height: int = _GRAPH_HEIGHT
) -> piechart.Panel:
    """Parts of a whole."""
    panel = _described(piechart.Panel(), about, unit, width, height)
    panel = (
        panel.pie_type(piechart_models.PieChartType.DONUT)
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .reduce_options(_last())
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE).sort(SortOrder.NONE))
        .legend(
            piechart.PieChartLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.RIGHT)
            .show_legend(True)
            .values([piechart_models.PieChartLegendValues.VALUE, piechart_models.PieChartLegendValues.PERCENT])
        )
    )
    for ref, signal in _referenced(signals):
        panel = panel.with_target(_at_once(ref, signal))
    return panel


def states(
    about: About,
    signals: Sequence[Signal],
    *,
    words: Words = UP_OR_DOWN,
    width: int = 12,
    height: int = _GRAPH_HEIGHT,
) -> statetimeline.Panel:
    """How long each state lasted; the values of the series are the keys of `words`."""
    panel = _described(statetimeline.Panel(), about, "none", width, height)
    panel = (
        # A gap has no text, or the legend would list the panel's text for no data as one more state.
        panel.mappings([*_mappings(words), _absent("", "transparent")])
        # With colours by thresholds, Grafana merges values by threshold and ignores the mappings.
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
    for ref, signal in _referenced(signals):
        panel = panel.with_target(_over_time(ref, signal))
    return panel


def rows(
    about: About,
    keys: Mapping[str, str],
    columns: Sequence[Column],
    *,
    sort: str | None = None,
    key_links: Mapping[str, str] | None = None,
    key_words: Mapping[str, Words] | None = None,
    key_widths: Mapping[str, int] | None = None,
    width: int = 24,
    height: int = _GRAPH_HEIGHT,
) -> table.Panel:
    """A table with a row for each set of the key labels.

    Args:
        keys: Labels that every query of the columns has, and their headings.
        sort: Heading of the column whose greatest values come first.
        key_links: Addresses by the heading of a key.
        key_words: Texts and colours by the heading of a key.
        key_widths: Pixels by the heading of a key; by default what is left.
    """
    panel = _described(table.Panel(), about, "short", width, height)
    panel = panel.show_header(True).cell_height(TableCellHeight.SM).min_width(_LEAST_WIDTH).thresholds(FINE.config())
    if sort is not None:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
    referenced = list(zip(_LETTERS, columns, strict=False))
    names = {f"Value #{ref}": column.name for ref, column in referenced}
    if len(columns) == 1:
        names = {"Value": columns[0].name}
    for ref, column in referenced:
        panel = panel.with_target(_at_once(ref, Signal("", column.query)).format(PromQueryFormat.TABLE))
        panel = panel.override_by_name(column.name, _cell(column))
    for heading in keys.values():
        panel = panel.override_by_name(
            heading,
            _key_cell((key_links or {}).get(heading), (key_words or {}).get(heading), (key_widths or {}).get(heading)),
        )
    order = {name: index for index, name in enumerate((*keys, *names))}
    return panel.transformations(
        [
            DataTransformerConfig("merge", options={}),
            DataTransformerConfig(
                "organize",
                options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": {**keys, **names}},
            ),
        ]
    )


def _cell(column: Column) -> list[DynamicConfigValue]:
    properties = [
        DynamicConfigValue("unit", column.unit),
        DynamicConfigValue("mappings", [*_as_json(column.words), _NOTHING_TO_SAY]),
        DynamicConfigValue("custom.align", "right"),
    ]
    if column.levels is not None:
        properties += [
            DynamicConfigValue(
                "thresholds",
                {"mode": "absolute", "steps": [step.to_json() for step in column.levels.thresholds()]},
            ),
            DynamicConfigValue("color", {"mode": "thresholds"}),
        ]
    if column.levels is not None or column.words is not None:
        properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    if column.link is not None:
        properties.append(_link(column.link))
    if column.width is not None:
        properties.append(DynamicConfigValue("custom.width", column.width))
    return properties


# A quantile of nothing is NaN, and a row may lack a column.
_NOTHING_TO_SAY: Final = {
    "type": "special",
    "options": {"match": "null+nan", "result": {"text": "-", "color": "transparent", "index": 99}},
}


def _as_json(words: Words | None) -> list[dict[str, object]]:
    return [mapping.to_json() for mapping in _mappings(words)]


def _key_cell(link: str | None, words: Words | None, width: int | None) -> list[DynamicConfigValue]:
    properties = []
    if link is not None:
        properties.append(_link(link))
    if words is not None:
        properties.append(DynamicConfigValue("mappings", _as_json(words)))
        if any(colour != TEXT_COLOUR for _, colour in words.values()):
            properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    properties.append(
        DynamicConfigValue("custom.minWidth", _LEAST_KEY_WIDTH)
        if width is None
        else DynamicConfigValue("custom.width", width)
    )
    return properties


def _link(url: str) -> DynamicConfigValue:
    return DynamicConfigValue("links", [{"title": "Open", "url": url, "targetBlank": False}])


def world(
    about: About, unit: str, signal: Signal, country: str, *, levels: Levels = PLAIN, width: int = 12, height: int = 10
) -> geomap.Panel:
    """A marker for each country; `country` is the label with its ISO 3166-1 alpha-2 code."""
    panel = _described(geomap.Panel(), about, unit, width, height)
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
        .view(_whole_world())
        .basemap(common.MapLayerOptions().type("geojson").name("Countries").config(_COUNTRIES))
        .layers(
            [
                common.MapLayerOptions()
                .type("markers")
                .name(about.title)
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
        .with_target(_at_once("A", signal).format(PromQueryFormat.TABLE))
    )


# Outlines that Grafana serves itself. Its default base map loads tiles from the internet in each viewer's browser.
_COUNTRIES: Final = {
    "src": "public/maps/countries.geojson",
    "rules": [],
    "style": {"color": {"fixed": "text"}, "opacity": 0.2},
}


def _whole_world() -> geomap.MapViewConfig:
    return geomap.MapViewConfig().id(MapCenterID.ZERO).lat(20).lon(0).zoom(1).all_layers(True)


def firing_alerts(about: About, *, width: int = 12, height: int = _GRAPH_HEIGHT) -> builders.Panel:
    """Grafana's own list of firing alerts, of all its data sources.

    It has no `datasource`: Grafana compares that option with the names of data sources and replaces no variable in it.
    """
    return (
        builders.Panel()
        .type("alertlist")
        .id(about.number)
        .title(about.title)
        .description(_description(about))
        .datasource(SOURCE)
        .links(_links(about))
        .options(
            {
                "alertName": "Trust",
                "dashboardAlerts": False,
                "groupMode": "default",
                "maxItems": 20,
                "sortOrder": 3,
                "stateFilter": {"error": True, "firing": True, "noData": False, "normal": False, "pending": False},
                "viewMode": "list",
            }
        )
        .span(width)
        .height(height)
    )


def _described(panel: Panel, about: About, unit: str, width: int, height: int) -> Panel:
    return (
        panel.id(about.number)
        .title(about.title)
        .description(_description(about))
        .datasource(SOURCE)
        .unit(unit)
        .no_value(about.nothing)
        .links(_links(about))
        .span(width)
        .height(height)
    )


def _explained(about: About) -> About:
    """With the reason for missing data in the description: these panels show a short text in place of a number."""
    return replace(about, meaning=f"{about.meaning}\n\n**Without a number:** {about.nothing}")


def _description(about: About) -> str:
    return f"{about.meaning}\n\n**What to do:** {about.action}"


def _links(about: About) -> list[Builder[DashboardLink]]:
    runbooks = {f"Runbook: {alert}": runbook_url(alert) for alert in about.alerts}
    urls = {**runbooks, **(about.links or {})}
    return [builders.DashboardLink(text).type(DashboardLinkType.LINK).url(url) for text, url in urls.items()]


def _over_time(ref: str, signal: Signal) -> prometheus.Dataquery:
    query = _query(ref, signal).range().interval("$interval")
    return query.exemplar(True) if signal.exemplars else query


def _at_once(ref: str, signal: Signal) -> prometheus.Dataquery:
    return _query(ref, signal).instant()


def _query(ref: str, signal: Signal) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).datasource(SOURCE).expr(signal.query).legend_format(signal.name)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _mappings(words: Words | None) -> list[ValueMapping]:
    if words is None:
        return []
    results = {
        value: ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(words.items())
    }
    return [ValueMap(results)]


def _absent(text: str, colour: str) -> SpecialValueMap:
    """What to show where there is no value."""
    result = ValueMappingResult(text=text, color=colour, index=99)
    return SpecialValueMap(DashboardSpecialValueMapOptions(match=SpecialValueMatch.NULL_AND_NAN, result=result))


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _referenced(signals: Iterable[Signal]) -> Iterable[tuple[str, Signal]]:
    return zip(_LETTERS, signals, strict=False)
