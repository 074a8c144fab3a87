"""Checks of a panel's queries, and of how the panel displays their labels."""

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
from tools.checks.promql import (
    Aggregation,
    Binary,
    Call,
    Expression,
    PromqlError,
    Range,
    Selector,
    Subquery,
    parts,
    text,
    walk,
)
from tools.checks.queries import check_query
from tools.checks.values import is_ratio, values_of
from tools.checks.variables import RATE_WINDOW, SHOWN, filled, with_filters
from tools.checks.vocabulary import UnknownSeriesError, Vocabulary

PanelQueryCheck = Callable[[Panel, Vocabulary], Iterator[str]]

_LINES = ("timeseries", "state-timeline", "bargauge", "gauge", "piechart")
"""Panel types that display series names."""
_FILTERS: Mapping[str, tuple[str, str]] = {
    "deployment_environment_name": ("=", "$environment"),
    "service_name": ("=~", "$service"),
}
"""Operator and variable of the matcher of a label. An environment is a single value, which Grafana does not escape."""
TOGETHER = "All selected services together."
_LONG_WINDOW = 1800
"""Seconds: more than twice the step of a week on 700 points."""
_INSTANCE: Mapping[str, tuple[str, str]] = {"service_instance_id": ("=~", "$instance")}
"""Not for alerts: most are about all instances of a service."""
_MATCHERS = ("byName", "byFrameRefID", "byRegexp", "byType")


def promql(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Each query passes the query checks (`target-promql`) and has a unique refId."""
    for target in panel.targets:
        for finding in check_query(filled(target.source), vocabulary):
            yield f"{target.ref}: {finding}"
    refs = [target.ref for target in panel.targets]
    if len(set(refs)) != len(refs):
        yield f"duplicate refId: {', '.join(refs)}"


def resolution(panel: Panel, _: Vocabulary) -> Iterator[str]:
    """A query is either a range query with `$interval`, or an instant query."""
    for target in panel.targets:
        if target.instant == target.ranged:
            yield f"{target.ref}: must be exactly one of instant and range"
        elif target.ranged and target.interval != "$interval":
            yield f"{target.ref}: the interval is {target.interval!r} and must be $interval"
        if panel.kind in ("timeseries", "state-timeline") and not target.ranged:
            yield f"{target.ref}: {panel.kind} needs a range query, not an instant query"
        if panel.kind == "table" and not target.table:
            yield f"{target.ref}: the format of a table's query must be table"


def rate_interval(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Rates in range queries use `$__rate_interval`, or a long range for rare events (`target-rate-interval`).

    With a short fixed range, events between two points of a long time range are lost. Instant queries are not limited.
    """
    for target, expression in _valid(panel, vocabulary):
        if not target.ranged:
            continue
        for part in walk(expression):
            for window in part.arguments if isinstance(part, Call) else ():
                if isinstance(part, Call) and isinstance(window, Range):
                    yield from (f"{target.ref}: {each}" for each in _window(part, window))


def _window(call: Call, window: Range) -> Iterator[str]:
    if call.function in ("rate", "irate") and window.seconds != RATE_WINDOW and window.seconds < _LONG_WINDOW:
        yield f"{call.function}() in a range query needs the range $__rate_interval: {text(call)}"
    elif window.seconds == SHOWN:
        yield f"$__range in a range query reads data before the displayed time range: {text(call)}"


def service_filter(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Series with a service are filtered by the selected services and environment (compare `target-job`)."""
    for target, _ in _valid(panel, vocabulary):
        yield from (f"{target.ref}: {each}" for each in without_service_filter(target.source, vocabulary))


def without_service_filter(source: str, vocabulary: Vocabulary) -> Iterator[str]:
    """The series of a valid query that are not filtered by the selected services and environment."""
    yield from _unfiltered(source, vocabulary, _FILTERS)


def instance_filter(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Series with an instance are filtered by the selected instances (`target-instance`)."""
    for target, _ in _valid(panel, vocabulary):
        yield from (f"{target.ref}: {each}" for each in _unfiltered(target.source, vocabulary, _INSTANCE))


def _unfiltered(source: str, vocabulary: Vocabulary, filters: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    for part in walk(with_filters(source)):
        if not isinstance(part, Selector) or (part.name == "ALERTS" and (filters is _INSTANCE or _is_of_none(part))):
            continue
        has = {(matcher.name, matcher.operator, matcher.value) for matcher in part.matchers}
        labels = vocabulary[part.name].labels
        if part.name != "ALERTS" and "service_name" not in labels:
            continue
        for label, (operator, variable) in filters.items():
            if label in labels and (label, operator, variable) not in has:
                yield f'{part.name} lacks {label}{operator}"{variable}"'


def _is_of_none(alerts: Selector) -> bool:
    """Whether it selects one alert by its name, or only the alerts of hosts, databases and the monitoring."""
    return any(
        matcher.operator == "="
        and (matcher.name == "alertname" or (matcher.name, matcher.value) == ("service_name", ""))
        for matcher in alerts.matchers
    )


def together(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """The description says whether the values of several services are one value."""
    added = [
        target.ref
        for target, _ in _valid(panel, vocabulary)
        if "$service" in target.source
        and not {"service_name", "instance_name"} & (labels_of_target(target, vocabulary) or {}).keys()
    ]
    says = TOGETHER in str(panel.json.get("description"))
    if added and not says:
        yield f"{', '.join(added)}: the result has no service, so the description must say {TOGETHER!r}"
    elif says and not added:
        yield f"the description says {TOGETHER!r}, but each result has its service"


def counter_aggregation(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Counters are not displayed without rate() or similar (`target-counter-agg`), because they reset on restart."""
    for target, expression in _valid(panel, vocabulary):
        if kind_of(expression, vocabulary) == "counter":
            yield f"{target.ref}: a counter without {', '.join(sorted(RATE_FUNCTIONS))}: {text(expression)}"


def steady(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """No topk in range queries: it selects different series at each point, and displays more than k.

    With `@ end()`, it selects the same series at each point.
    """
    for target, expression in _valid(panel, vocabulary):
        for part in walk(expression):
            if not target.ranged or not isinstance(part, Aggregation):
                continue
            if part.operation in ("topk", "bottomk", "limitk") and not _is_constant(part):
                yield f"{target.ref}: {part.operation}() in a range query; use an instant query, or limit the labels"


def _is_constant(expression: Expression) -> bool:
    """Whether the expression has the same value at each point."""
    if isinstance(expression, (Selector, Subquery)) and expression.at is not None:
        return True
    return not isinstance(expression, Selector) and all(_is_constant(each) for each in parts(expression))


def legend(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A legend uses labels of the result, and enough of them to distinguish its series."""
    for target in panel.targets:
        labels = labels_of_target(target, vocabulary)
        if labels is None or target.table:
            continue
        if not target.legend:
            yield f"{target.ref}: without a legend, the query is displayed"
        read = placeholders(target.legend)
        yield from (f"{target.ref}: the legend uses {name}, but the result has no such label" for name in read
                    if name not in labels)  # fmt: skip
        settled = {other for name in read for other in vocabulary.determined.get(name, ())}
        missing = sorted(identity(labels, vocabulary) - set(read) - settled)
        if panel.kind in _LINES and missing:
            yield f"{target.ref}: series that differ in {', '.join(missing)} have the same legend {target.legend!r}"
    # Legends with labels differ by their values.
    names = [target.legend for target in panel.targets if not target.table and not placeholders(target.legend)]
    yield from (f"duplicate legend {name!r}" for name in sorted({n for n in names if names.count(n) > 1}))


def table_columns(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A table's transformations use existing columns, its queries have the same labels, and headings are not labels."""
    if not panel.is_table:
        return
    yield from _unknown_columns(panel, vocabulary)
    labels = [labels_of_target(target, vocabulary) or {} for target in panel.targets]
    keys = {name for each in labels for name in identity(each, vocabulary)}
    # A label that a query sets to a constant is a key of its rows too.
    differing = sorted(name for name in keys if any(name not in each for each in labels))
    if panel.transformations("merge") and differing:
        yield f"not all queries have the labels {', '.join(differing)}, so their rows cannot be joined"
    if panel.kind == "table":
        yield from _unheaded_columns(panel, vocabulary)


def _unknown_columns(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    raw = raw_columns(panel, vocabulary)
    for options in panel.transformations("organize"):
        for what in ("excludeByName", "indexByName", "renameByName"):
            unknown = [name for name in options.get(what, {}) if name not in raw]
            yield from (f"organize, {what}: unknown column {name}" for name in unknown)
    for sort in panel.json.get("options", {}).get("sortBy", []):
        if sort["displayName"] not in columns(panel, vocabulary):
            yield f"sorted by the unknown column {sort['displayName']}"


def _unheaded_columns(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    raw = raw_columns(panel, vocabulary)
    for name in columns(panel, vocabulary):
        if name in raw:
            yield f"the column {name} has no heading; rename or exclude it"


def override_matchers(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Overrides match existing fields."""
    for override in panel.overrides:
        if override.matcher not in _MATCHERS:
            yield f"the checks do not support the override matcher {override.matcher}"
        elif override.matcher != "byType" and not matches_a_field(panel, override, vocabulary):
            yield f"the override {override.matcher} {override.options!r} matches no field"


def map_fields(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Map layers use existing fields."""
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
        yield from (f"a layer uses the unknown field {name}" for name in read if name and name not in raw)


def value_mappings(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """Value mappings are for values that the field can have; a state timeline has mappings."""
    by_threshold = panel.defaults.get("color", {}).get("mode") == "thresholds"
    if panel.kind == "state-timeline" and not panel.defaults.get("mappings") and not by_threshold:
        yield "a state timeline without value mappings"
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
            yield f"a mapping for {value!r}, but the column {column.name} never has this value"
        return
    try:
        number = float(value)
    except ValueError:
        yield f"a mapping for the text {value!r}, but the field is a number"
        return
    expressions = [expression for each in targets if (expression := expression_of(each)) is not None]
    try:
        bounds = [bounds_of(expression, vocabulary) for expression in expressions]
    except (PromqlError, UnknownSeriesError):
        return
    if bounds and not any(each.low <= number <= each.high for each in bounds):
        yield f"a mapping for {value}, but the query never has this value"


def share_units(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A ratio from 0 to 1 is displayed as a percentage."""
    for target, expression in _valid(panel, vocabulary):
        unit = unit_of(panel, target, vocabulary)
        shares = [_is_share(value, vocabulary) for value in values_of(expression)]
        if all(shares) and unit != "percentunit" and not _has_words(panel, target, vocabulary):
            yield f"{target.ref}: a ratio from 0 to 1 has the unit {unit!r}, not percentunit"


def _is_share(expression: Expression, vocabulary: Vocabulary) -> bool:
    """Whether it is a ratio of a part to its whole. `is_ratio` assumes this in alerts."""
    quotients = [part for part in walk(expression) if isinstance(part, Binary) and part.operator == "/"]
    same = all(_read(quotient.left) & _read(quotient.right) for quotient in quotients)
    return is_ratio(expression, vocabulary) and same


def _read(expression: Expression) -> set[str]:
    return {part.name for part in walk(expression) if isinstance(part, Selector)}


def unit_of(panel: Panel, target: Target, vocabulary: Vocabulary) -> str | None:
    """The unit of a query's values: of its override, or the panel's default."""
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


def _valid(panel: Panel, vocabulary: Vocabulary) -> Iterator[tuple[Target, Expression]]:
    """The queries with known series; the others have their own findings."""
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
    "together": together,
    "target-counter-agg": counter_aggregation,
    "target-topk": steady,
    "legend": legend,
    "table": table_columns,
    "override": override_matchers,
    "map": map_fields,
    "mapping": value_mappings,
    "share": share_units,
}
"""By the name of the check; names that dashboard-linter also has begin with `target-`."""
