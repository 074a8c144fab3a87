"""Checks of the queries of a panel, and of what the panel makes of their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tools.checks.bounds import bounds_of
from tools.checks.fields import (
    Column,
    changed_targets,
    columns,
    expression_of,
    labels_of_target,
    matches_a_field,
    placeholders,
    raw_columns,
)
from tools.checks.grafana import Panel, Target
from tools.checks.label_inference import RATE_FUNCTIONS, identity, kind_of
from tools.checks.promql import Aggregation, Binary, Call, Expression, PromqlError, Range, Selector, text, walk
from tools.checks.queries import check_query
from tools.checks.values import is_ratio, values_of
from tools.checks.variables import RATE_WINDOW, SHOWN, filled, with_filters
from tools.checks.vocabulary import UnknownSeriesError, Vocabulary

PanelQueryCheck = Callable[[Panel, Vocabulary], Iterator[str]]

_LINES = ("timeseries", "state-timeline", "bargauge", "gauge", "piechart")
"""Types that write the name of each series."""
_FILTERS = {"deployment_environment_name": "$environment", "service_name": "$service"}
_LONG_WINDOW = 1800
"""Seconds: two points of a week on a screen of 700 points are less than half of it apart."""
_INSTANCE = {"service_instance_id": "$instance"}
_MATCHERS = ("byName", "byFrameRefID", "byRegexp", "byType")


def promql(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Each query passes the checks of queries (`target-promql`), and has a name of its own in the panel."""
    for target in panel.targets:
        for finding in check_query(filled(target.source), vocabulary):
            yield f"{target.ref}: {finding}"
    refs = [target.ref for target in panel.targets]
    if len(set(refs)) != len(refs):
        yield f"two queries have one refId: {', '.join(refs)}"


def resolution(panel: Panel, _: Vocabulary) -> Iterator[str]:
    """A query is asked over time, with the chosen resolution, or at once; never both."""
    for target in panel.targets:
        if target.instant == target.ranged:
            yield f"{target.ref}: exactly one of instant and range is needed"
        elif target.ranged and target.interval != "$interval":
            yield f"{target.ref}: the interval is {target.interval!r} and must be $interval"
        if panel.kind in ("timeseries", "state-timeline") and not target.ranged:
            yield f"{target.ref}: {panel.kind} shows time, and the query is asked at once"
        if panel.kind == "table" and not target.table:
            yield f"{target.ref}: the format of a table's query is table"


def rate_interval(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Rates over time have the window `$__rate_interval`, or a long one where events are rare (`target-rate-interval`).

    With a short fixed window, what happens between two points of a long time is not seen. At once, any may be right.
    """
    for target, expression in _understood(panel, vocabulary):
        if not target.ranged:
            continue
        for part in walk(expression):
            for window in part.arguments if isinstance(part, Call) else ():
                if isinstance(part, Call) and isinstance(window, Range):
                    yield from (f"{target.ref}: {each}" for each in _window(part, window))


def _window(call: Call, window: Range) -> Iterator[str]:
    if call.function in ("rate", "irate") and window.seconds != RATE_WINDOW and window.seconds < _LONG_WINDOW:
        yield f"{call.function}() over time has the window $__rate_interval: {text(call)}"
    elif window.seconds == SHOWN:
        yield f"$__range at each point looks back before the time shown: {text(call)}"


def service_filter(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """What has a service is that of the chosen services and environments (`target-job` asks for `job`)."""
    yield from _unfiltered(panel, vocabulary, _FILTERS)


def instance_filter(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """What has an instance is that of the chosen ones (`target-instance`); recorded series often have none."""
    yield from _unfiltered(panel, vocabulary, _INSTANCE)


def _unfiltered(panel: Panel, vocabulary: Vocabulary, filters: Mapping[str, str]) -> Iterator[str]:
    for target, _ in _understood(panel, vocabulary):
        for part in walk(with_filters(target.source)):
            # Alerts of hosts and databases have no service, and belong to every choice.
            if not isinstance(part, Selector) or part.name.startswith("ALERTS"):
                continue
            has = {(matcher.name, matcher.operator, matcher.value) for matcher in part.matchers}
            for label, variable in filters.items():
                if label in vocabulary[part.name].labels and (label, "=~", variable) not in has:
                    yield f'{target.ref}: {part.name} lacks {label}=~"{variable}"'


def counter_aggregation(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """No counter is shown as it is (`target-counter-agg`): its number begins again when the process does."""
    for target, expression in _understood(panel, vocabulary):
        if kind_of(expression, vocabulary) == "counter":
            yield f"{target.ref}: a counter without {', '.join(sorted(RATE_FUNCTIONS))}: {text(expression)}"


def steady(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """No topk over time: it chooses other series at each point, and shows more of them than it says."""
    for target, expression in _understood(panel, vocabulary):
        for part in walk(expression):
            if target.ranged and isinstance(part, Aggregation) and part.operation in ("topk", "bottomk", "limitk"):
                yield f"{target.ref}: {part.operation}() in a query over time; ask at once, or bound the labels"


def legend(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A legend reads labels that the result has, and enough of them to tell its series apart."""
    for target in panel.targets:
        labels = labels_of_target(target, vocabulary)
        if labels is None or target.table:
            continue
        if not target.legend:
            yield f"{target.ref}: without a legend the series is called by its query"
        read = placeholders(target.legend)
        yield from (f"{target.ref}: the legend reads {name}; the result has no such label" for name in read
                    if name not in labels)  # fmt: skip
        settled = {other for name in read for other in vocabulary.determined.get(name, ())}
        missing = sorted(identity(labels, vocabulary) - set(read) - settled)
        if panel.kind in _LINES and missing:
            yield f"{target.ref}: series that differ in {', '.join(missing)} have the same legend {target.legend!r}"
    # With a label in them, legends of two queries differ as the labels do.
    names = [target.legend for target in panel.targets if not target.table and not placeholders(target.legend)]
    yield from (f"two queries have the legend {name!r}" for name in sorted({n for n in names if names.count(n) > 1}))


def table_columns(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A table's transformations name columns that are there, its rows have the same keys, and no heading is a label."""
    if not panel.is_table:
        return
    yield from _unknown_columns(panel, vocabulary)
    keys = [identity(labels_of_target(target, vocabulary) or {}, vocabulary) for target in panel.targets]
    if panel.transformations("merge") and len(set(keys)) > 1:
        differing = sorted(frozenset.union(*keys) - frozenset.intersection(*keys))
        yield f"not all queries have the labels {', '.join(differing)}, so that their rows fall apart"
    if panel.kind == "table":
        yield from _unheaded_columns(panel, vocabulary)


def _unknown_columns(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    raw = raw_columns(panel, vocabulary)
    for options in panel.transformations("organize"):
        for what in ("excludeByName", "indexByName", "renameByName"):
            unknown = [name for name in options.get(what, {}) if name not in raw]
            yield from (f"organize, {what}: no column is called {name}" for name in unknown)
    for sort in panel.json.get("options", {}).get("sortBy", []):
        if sort["displayName"] not in columns(panel, vocabulary):
            yield f"sorted by {sort['displayName']}, and no column is called so"


def _unheaded_columns(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    raw = raw_columns(panel, vocabulary)
    for name in columns(panel, vocabulary):
        if name in raw:
            yield f"the column {name} has no heading of its own; rename it, or leave it out"


def override_matchers(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """An override changes a field that is there."""
    for override in panel.overrides:
        if override.matcher not in _MATCHERS:
            yield f"the checks do not know the matcher {override.matcher} of an override"
        elif override.matcher != "byType" and not matches_a_field(panel, override, vocabulary):
            yield f"the override {override.matcher} {override.options!r} matches no field"


def map_fields(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """The layers of a map read fields that are there."""
    if panel.kind != "geomap":
        return
    raw = columns(panel, vocabulary)
    layers = panel.json.get("options", {}).get("layers", [])
    if not layers:
        yield "the map has no layer"
    for layer in layers:
        style = layer.get("config", {}).get("style", {}).values()
        read = [each.get("field") for each in style if isinstance(each, Mapping)]
        read.append(layer.get("location", {}).get("lookup"))
        yield from (f"the layer reads the field {name}, and there is none" for name in read if name and name not in raw)


def value_mappings(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A mapping is for values that the field can have; a timeline of states says what its values mean."""
    by_threshold = panel.defaults.get("color", {}).get("mode") == "thresholds"
    if panel.kind == "state-timeline" and not panel.defaults.get("mappings") and not by_threshold:
        yield "a timeline of states without words for its values"
    for override, mappings in panel.properties("mappings"):
        targets = panel.targets if override is None else changed_targets(panel, override, vocabulary)
        column = None
        if override is not None and override.matcher == "byName" and panel.is_table:
            column = columns(panel, vocabulary).get(str(override.options))
        for mapping in mappings:
            if mapping["type"] == "value":
                for value in mapping["options"]:
                    yield from _unknown_value(value, column, targets, vocabulary)


def _unknown_value(
    value: str, column: Column | None, targets: tuple[Target, ...] | list[Target], vocabulary: Vocabulary
) -> Iterator[str]:
    if column is not None and column.label is not None:
        known = column.label.values
        if known is not None and value and value not in known:
            yield f"the column {column.name} is never {value!r}, which a mapping has words for"
        return
    try:
        number = float(value)
    except ValueError:
        yield f"a mapping has words for {value!r}, and the field is a number"
        return
    expressions = [expression for each in targets if (expression := expression_of(each)) is not None]
    try:
        bounds = [bounds_of(expression, vocabulary) for expression in expressions]
    except (PromqlError, UnknownSeriesError):
        return
    if bounds and not any(each.low <= number <= each.high for each in bounds):
        yield f"a mapping has words for {value}, which the query never results in"


def share_units(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A share from 0 to 1 is written as a percentage."""
    for target, expression in _understood(panel, vocabulary):
        unit = unit_of(panel, target, vocabulary)
        shares = [_is_share(value, vocabulary) for value in values_of(expression)]
        if all(shares) and unit != "percentunit" and not _has_words(panel, target, vocabulary):
            yield f"{target.ref}: a share from 0 to 1 has the unit {unit!r}, and not percentunit"


def _is_share(expression: Expression, vocabulary: Vocabulary) -> bool:
    """Whether it is a part of the same events as the whole, which `is_ratio` takes for granted in alerts."""
    quotients = [part for part in walk(expression) if isinstance(part, Binary) and part.operator == "/"]
    same = all(_read(quotient.left) & _read(quotient.right) for quotient in quotients)
    return is_ratio(expression, vocabulary) and same


def _read(expression: Expression) -> set[str]:
    return {part.name for part in walk(expression) if isinstance(part, Selector)}


def unit_of(panel: Panel, target: Target, vocabulary: Vocabulary) -> str | None:
    """The unit of a query's numbers: of its override, or the panel's."""
    unit = panel.defaults.get("unit")
    for override, value in panel.properties("unit"):
        if override is not None and target in changed_targets(panel, override, vocabulary):
            unit = value
    return None if unit is None else str(unit)


def _has_words(panel: Panel, target: Target, vocabulary: Vocabulary) -> bool:
    return any(
        any(mapping["type"] == "value" for mapping in mappings)
        for override, mappings in panel.properties("mappings")
        if override is None or target in changed_targets(panel, override, vocabulary)
    )


def _understood(panel: Panel, vocabulary: Vocabulary) -> Iterator[tuple[Target, Expression]]:
    """The queries that only name what is there; the check of queries speaks of the others."""
    for target in panel.targets:
        expression = expression_of(target)
        if expression is not None and labels_of_target(target, vocabulary) is not None:
            yield target, expression


QUERY_CHECKS_OF_PANELS: Mapping[str, PanelQueryCheck] = {
    "target-promql": promql,
    "target-resolution": resolution,
    "target-rate-interval": rate_interval,
    "target-service": service_filter,
    "target-instance": instance_filter,
    "target-counter-agg": counter_aggregation,
    "target-topk": steady,
    "legend": legend,
    "table": table_columns,
    "override": override_matchers,
    "map": map_fields,
    "mapping": value_mappings,
    "share": share_units,
}
"""By the name of a finding; the names that dashboard-linter has too begin with `target-`."""
