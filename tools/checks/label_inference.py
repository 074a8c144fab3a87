"""Infers the labels of an expression's result from the labels of its metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tools.checks.promql import (
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Matching,
    Negative,
    Number,
    PromqlError,
    Range,
    Selector,
    Subquery,
    Text,
    constant,
)
from tools.checks.regex import matches
from tools.checks.vocabulary import Kind, Label, Vocabulary

Labels = Mapping[str, Label]
"""All labels that series of the result can have."""

_SCALAR_FUNCTIONS = frozenset({"pi", "scalar", "time"})
RATE_FUNCTIONS = frozenset({"increase", "irate", "rate", "resets"})
TREND_FUNCTIONS = frozenset({"delta", "deriv", "double_exponential_smoothing", "idelta", "predict_linear"})
PRESENCE_FUNCTIONS = frozenset(
    {"absent_over_time", "count_over_time", "last_over_time", "max_over_time", "min_over_time", "present_over_time"}
)
_WINDOW_FUNCTIONS = frozenset(
    {"avg_over_time", "changes", "mad_over_time", "quantile_over_time"}
    | {"stddev_over_time", "stdvar_over_time", "sum_over_time"}
)
_RANGE_FUNCTIONS = RATE_FUNCTIONS | TREND_FUNCTIONS | PRESENCE_FUNCTIONS | _WINDOW_FUNCTIONS
_SAMPLE_FUNCTIONS = frozenset(
    {"abs", "ceil", "clamp", "clamp_max", "clamp_min", "exp", "floor", "ln", "log10", "log2", "round", "sgn", "sqrt"}
    | {"day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"}
    | {"sort", "sort_by_label", "sort_by_label_desc", "sort_desc", "timestamp"}
)
_FEWER_SERIES = frozenset({"bottomk", "limit_ratio", "limitk", "topk"})
_AGGREGATIONS = frozenset(
    {"avg", "count", "group", "max", "min", "quantile", "stddev", "stdvar", "sum"} | {"count_values"} | _FEWER_SERIES
)
_KEEP_COUNTERS = _FEWER_SERIES | {
    *("avg", "max", "min", "quantile", "sum"),
    *("avg_over_time", "last_over_time", "max_over_time", "min_over_time"),
    *("label_join", "label_replace", "sort", "sort_desc"),
}


def labels_of(expression: Expression, vocabulary: Vocabulary) -> Labels | None:
    """The labels of the result; None for a scalar or string.

    Raises:
        UnknownSeriesError: It reads an unknown series.
        PromqlError: It uses PromQL that the checks do not support.
    """
    match expression:
        case Number() | Text():
            return None
        case Selector():
            return narrowed(vocabulary[expression.name].labels, expression.matchers)
        case Range():
            return labels_of(expression.selector, vocabulary)
        case Subquery() | Negative():
            return labels_of(expression.argument, vocabulary)
        case Aggregation():
            return _labels_of_aggregation(expression, vocabulary)
        case Binary():
            return _labels_of_binary(expression, vocabulary)
        case Call():
            return _labels_of_call(expression, vocabulary)


def vector_labels(expression: Expression, vocabulary: Vocabulary) -> Labels:
    """As `labels_of`, but without labels for a scalar."""
    return labels_of(expression, vocabulary) or {}


def kind_of(expression: Expression, vocabulary: Vocabulary) -> Kind:
    """Whether the values are those of a counter. Raises as `labels_of`."""
    kinds = {kind_of(part, vocabulary) for part in _passed_on(expression)}
    if isinstance(expression, Selector):
        kinds.add(vocabulary[expression.name].kind)
    return "counter" if "counter" in kinds else "gauge"


def _passed_on(expression: Expression) -> tuple[Expression, ...]:
    """The parts whose values are returned unchanged or summed."""
    match expression:
        case Range():
            return (expression.selector,)
        case Aggregation(operation=operation) if operation in _KEEP_COUNTERS:
            return (expression.argument,)
        case Call(function=function) if function in _KEEP_COUNTERS:
            return (expression.arguments[0],)
        case Binary(operator="or"):
            return (expression.left, expression.right)
        case Binary(operator=operator) if operator in SET_OPERATORS:
            return () if _is_birth(expression) else (expression.left,)
        case Binary(operator="*") if 0 in (constant(expression.left), constant(expression.right)):
            return ()
        case Binary() if constant(expression.right) is not None:
            return (expression.left,)
        case Binary() if constant(expression.left) is not None:
            return (expression.right,)
        case _:
            return ()


def _is_birth(expression: Binary) -> bool:
    """`x unless x offset 5m`: new counters, whose value is their increase."""
    left, right = expression.left, expression.right
    if expression.operator != "unless" or not isinstance(left, Selector) or not isinstance(right, Selector):
        return False
    return left.name == right.name and right.offset > left.offset


def identity(labels: Labels, vocabulary: Vocabulary) -> frozenset[str]:
    """The labels that distinguish series: without those with one value, and those determined by another label."""
    varying = {name for name, label in labels.items() if not _constant(label)}
    settled = {other for name in varying for other in vocabulary.determined.get(name, ()) if other != name}
    # Of two labels that determine each other, one stays.
    keys = sorted(varying & vocabulary.determined.keys())
    return frozenset(varying - settled | set(keys[:1]))


def joined_on(matching: Matching | None, left: Labels, right: Labels) -> frozenset[str]:
    """The labels that must be equal on both sides of a vector operation."""
    if matching is not None and matching.on:
        return frozenset(matching.labels)
    ignored = () if matching is None else matching.labels
    return (frozenset(left) | frozenset(right)) - set(ignored)


def narrowed(labels: Labels, matchers: Iterable[Matcher]) -> Labels:
    """The labels of the series that match."""
    found = dict(labels)
    for matcher in matchers:
        label = found.get(matcher.name, Label(always=False))
        values = label.values
        if matcher.operator == "=":
            values = frozenset({matcher.value})
        elif values is not None:
            values = frozenset(value for value in values if accepts(matcher, value))
        if matcher.operator == "=" and not matcher.value:
            found.pop(matcher.name, None)
        elif matcher.name in labels or not accepts(matcher, ""):
            found[matcher.name] = Label(label.always or not accepts(matcher, ""), values)
    return found


def accepts(matcher: Matcher, value: str) -> bool:
    """Whether a label with this value matches; the empty value is that of a missing label."""
    if matcher.operator in ("=", "!="):
        return (matcher.value == value) == (matcher.operator == "=")
    return matches(matcher.value, value) == (matcher.operator == "=~")


def either(labels: Iterable[Labels]) -> Labels:
    """The labels of series from any of several expressions."""
    every = list(labels)
    names = {name for each in every for name in each}
    return {name: _either([each.get(name) for each in every]) for name in sorted(names)}


def _either(candidates: list[Label | None]) -> Label:
    present = [label for label in candidates if label is not None]
    always = len(present) == len(candidates) and all(label.always for label in present)
    values: frozenset[str] | None = frozenset()
    for label in present:
        values = None if values is None or label.values is None else values | label.values
    return Label(always, values)


def _constant(label: Label) -> bool:
    return label.always and label.values is not None and len(label.values) == 1


def _labels_of_aggregation(expression: Aggregation, vocabulary: Vocabulary) -> Labels:
    if expression.operation not in _AGGREGATIONS:
        raise PromqlError(f"the checks do not support the aggregation {expression.operation}")
    labels = vector_labels(expression.argument, vocabulary)
    if expression.operation in _FEWER_SERIES:
        return labels
    grouping = expression.grouping
    if grouping is None:
        kept: dict[str, Label] = {}
    else:
        kept = {name: label for name, label in labels.items() if (name in grouping.labels) == grouping.by}
    if expression.operation == "count_values" and isinstance(expression.parameter, Text):
        kept[expression.parameter.value] = Label()
    return kept


def _labels_of_binary(expression: Binary, vocabulary: Vocabulary) -> Labels | None:
    left, right = labels_of(expression.left, vocabulary), labels_of(expression.right, vocabulary)
    if left is None or right is None:
        return right if left is None else left
    if expression.operator == "or":
        return either((left, right))
    if expression.operator in SET_OPERATORS:
        return left
    return _joined(expression.matching, left, right)


def _joined(matching: Matching | None, left: Labels, right: Labels) -> Labels:
    if matching is not None and matching.many == "right":
        left, right = right, left
    on = joined_on(matching, left, right)
    found = {name: _meet(label, right.get(name)) if name in on else label for name, label in left.items()}
    if matching is None or matching.many is None:
        return {name: label for name, label in found.items() if name in on}
    for name in matching.include:
        found.pop(name, None)
        if name in right:
            found[name] = right[name]
    return found


def _meet(left: Label, right: Label | None) -> Label:
    """A label that must be equal on both sides."""
    if right is None:
        return left
    if left.values is None or right.values is None:
        values = left.values if right.values is None else right.values
    else:
        values = left.values & right.values
    return Label(left.always or right.always, values)


def _labels_of_call(expression: Call, vocabulary: Vocabulary) -> Labels | None:
    function, arguments = expression.function, expression.arguments
    if function in _SCALAR_FUNCTIONS:
        return None
    if function == "vector" or (not arguments and function in _SAMPLE_FUNCTIONS):
        return {}
    if function in ("absent", "absent_over_time"):
        return _labels_of_absence(arguments[0])
    if function in ("label_replace", "label_join"):
        return _relabelled(expression, vector_labels(arguments[0], vocabulary))
    if function == "histogram_quantile":
        return {name: label for name, label in vector_labels(arguments[1], vocabulary).items() if name != "le"}
    if function in _SAMPLE_FUNCTIONS | _RANGE_FUNCTIONS:
        vectors = [labels_of(argument, vocabulary) for argument in arguments]
        return next((labels for labels in vectors if labels is not None), {})
    raise PromqlError(f"the checks do not support the function {function}")


def _labels_of_absence(argument: Expression) -> Labels:
    """The labels of absent(): those that the selector matches once, with =."""
    selector = argument.selector if isinstance(argument, Range) else argument
    if not isinstance(selector, Selector):
        return {}
    names = [matcher.name for matcher in selector.matchers]
    return {
        matcher.name: Label(values=frozenset({matcher.value}))
        for matcher in selector.matchers
        if matcher.operator == "=" and matcher.value and names.count(matcher.name) == 1
    }


def _relabelled(expression: Call, labels: Labels) -> Labels:
    texts = [argument.value for argument in expression.arguments[1:] if isinstance(argument, Text)]
    if expression.function == "label_join":
        return {**labels, texts[0]: Label()}
    target, replacement, source, pattern = texts
    if "$" not in replacement:
        new = Label(values=frozenset({replacement}))
    else:
        new = Label(always=source in labels and labels[source].always and pattern in ("(.*)", "(.+)"))
    # A missing label is empty: "" matches only series without the source label.
    matches_always = pattern in (".*", "(.*)") or (not pattern and source not in labels)
    before = labels.get(target)
    if matches_always or (new.always and "$" in replacement):
        return {**labels, target: new}
    # If the pattern does not match, the label is unchanged.
    return {**labels, target: _either([before, new])}
