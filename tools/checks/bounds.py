"""Infers the range of values of an expression from the bounds of its metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tools.checks.promql import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Range,
    Selector,
    Subquery,
    constant,
    walk,
)
from tools.checks.vocabulary import Bounds, Vocabulary

_ANY = Bounds()
_SAME = frozenset({"label_join", "label_replace", "sort", "sort_by_label", "sort_by_label_desc", "sort_desc"}) | {
    *("avg_over_time", "last_over_time", "max_over_time", "min_over_time", "quantile_over_time"),
    *("avg", "bottomk", "limit_ratio", "limitk", "max", "min", "quantile", "topk"),
}
_GROWTH = frozenset({"changes", "increase", "irate", "rate", "resets", "time", "timestamp"})
_COUNTS = frozenset({"count", "count_over_time"})
_ONE = Bounds(1, 1, zero=False)


def bounds_of(expression: Expression, vocabulary: Vocabulary) -> Bounds:
    """The bounds of the result's values; infinite if unknown. Raises UnknownSeriesError."""
    value = constant(expression)
    if value is not None:
        return Bounds(value, value, zero=value == 0)
    match expression:
        case Selector():
            return _of_series(expression, vocabulary)
        case Range():
            return bounds_of(expression.selector, vocabulary)
        case Subquery():
            return bounds_of(expression.argument, vocabulary)
        case Aggregation():
            return _of_function(expression.operation, (expression.argument,), vocabulary)
        case Call():
            return _of_function(expression.function, expression.arguments, vocabulary)
        case Binary():
            return _of_binary(expression, vocabulary)
        case _:
            return _ANY


def holds(operator: str, left: Bounds, right: Bounds) -> bool | None:
    """Whether a comparison holds for all values (True), for none (False), or for some (None)."""
    if operator in ("<", "<="):
        operator, left, right = {"<": ">", "<=": ">="}[operator], right, left
    if operator == ">":
        positive = left.low >= 0 and not left.zero and right.high <= 0
        return _decided(left.low > right.high or positive, left.high <= right.low)
    if operator == ">=":
        return _decided(left.low >= right.high, left.high < right.low)
    apart = left.high < right.low or right.high < left.low or _is_zero_apart(left, right)
    same = left.low == left.high == right.low == right.high
    return _decided(same, apart) if operator == "==" else _decided(apart, same)


def _is_zero_apart(left: Bounds, right: Bounds) -> bool:
    return any(not one.zero and other.low == other.high == 0 for one, other in ((left, right), (right, left)))


def _decided(always: bool, never: bool) -> bool | None:
    return True if always else (False if never else None)


def is_share(part: Expression, whole: Expression, vocabulary: Vocabulary) -> bool:
    """Whether `part` counts a subset of the events of `whole`, so that their ratio is between 0 and 1."""
    return all(
        any(labels == other and _is_part(one, candidate) for other, candidate in _expanded(whole, vocabulary))
        for labels, one in _expanded(part, vocabulary)
    )


def _expanded(expression: Expression, vocabulary: Vocabulary) -> list[tuple[Mapping[str, str], Expression]]:
    """The expression with recorded series replaced by the rules' expressions, once per combination of rule labels."""
    for selector in (part for part in walk(expression) if isinstance(part, Selector)):
        recordings = vocabulary[selector.name].recordings
        if recordings and not selector.matchers and not selector.offset and selector.at is None:
            return [
                ({**inner, **labels}, expanded)
                for labels, recorded in recordings
                for inner, expanded in _expanded(_replaced(expression, selector, recorded), vocabulary)
            ]
    return [({}, expression)]


def _replaced(expression: Expression, selector: Selector, recorded: Expression) -> Expression:
    if expression == selector:
        return recorded
    match expression:
        case Range() if expression.selector == selector:
            return Subquery(recorded, expression.seconds)
        case Aggregation() | Subquery():
            return replace(expression, argument=_replaced(expression.argument, selector, recorded))
        case Call():
            arguments = tuple(_replaced(argument, selector, recorded) for argument in expression.arguments)
            return replace(expression, arguments=arguments)
        case Binary():
            return replace(
                expression,
                left=_replaced(expression.left, selector, recorded),
                right=_replaced(expression.right, selector, recorded),
            )
        case _:
            return expression


def _is_part(part: Expression, whole: Expression) -> bool:
    if isinstance(whole, Binary) and whole.operator in COMPARISONS and not whole.returns_bool:
        return _is_part(part, whole.left)
    match part:
        case Binary():
            return _result_is_part(part, whole)
        case Aggregation(operation="sum" | "count") if isinstance(whole, Aggregation):
            same = replace(part, argument=whole.argument) == whole
            return same and _is_part(part.argument, whole.argument)
        case Call() if isinstance(whole, Call):
            return part.function == whole.function in _ADDITIVE and _is_part(part.arguments[0], whole.arguments[0])
        case Range() if isinstance(whole, Range):
            return part.seconds == whole.seconds and _is_part(part.selector, whole.selector)
        case Subquery() if isinstance(whole, Subquery):
            return replace(part, argument=whole.argument) == whole and _is_part(part.argument, whole.argument)
        case Selector() if isinstance(whole, Selector):
            return _selects_part(part, whole)
        case _:
            return part == whole


def _result_is_part(part: Binary, whole: Expression) -> bool:
    operator, left, right = part.operator, part.left, part.right
    if operator == "or":
        return _is_part(left, whole) and _is_part(right, whole)
    if operator == "*":
        factor = constant(right)
        return factor is not None and 0 <= factor <= 1 and _is_part(left, whole)
    if operator == "-":
        return _is_part(left, whole) and _is_part(right, left)
    if operator in ("and", "unless") or (operator in COMPARISONS and not part.returns_bool):
        return _is_part(left, whole)
    return part == whole


_ADDITIVE = frozenset({"increase", "rate", "sum_over_time"})


def _selects_part(part: Selector, whole: Selector) -> bool:
    # A single bucket of a histogram counts a subset of its _count.
    one_bucket = any(matcher.name == "le" and matcher.operator in ("=", "=~") for matcher in part.matchers)
    if one_bucket and part.name.removesuffix("_bucket") + "_count" == whole.name:
        return set(whole.matchers) <= set(part.matchers)
    same = replace(part, matchers=whole.matchers) == whole
    return same and set(whole.matchers) <= set(part.matchers)


def _of_series(selector: Selector, vocabulary: Vocabulary) -> Bounds:
    series = vocabulary[selector.name]
    recorded = [recording for labels, recording in series.recordings if _matches(selector.matchers, labels)]
    return _union([bounds_of(recording, vocabulary) for recording in recorded]) if recorded else series.bounds


def _matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(labels.get(m.name, m.value) == m.value for m in matchers if m.operator == "=")


def _union(bounds: list[Bounds]) -> Bounds:
    return Bounds(min(b.low for b in bounds), max(b.high for b in bounds), any(b.zero for b in bounds))


def _of_function(name: str, arguments: tuple[Expression, ...], vocabulary: Vocabulary) -> Bounds:
    if name in ("absent", "absent_over_time", "group", "present_over_time"):
        return _ONE
    if name in _COUNTS:
        return Bounds(1, math.inf, zero=False)
    if name in _GROWTH:
        return Bounds(low=0)
    if name == "histogram_quantile":
        return _of_quantile(arguments[1], vocabulary)
    if name == "vector":
        return bounds_of(arguments[0], vocabulary)
    inner = next((bounds_of(a, vocabulary) for a in arguments if constant(a) is None), _ANY)
    if name in _SAME:
        return inner
    if name in ("sum", "sum_over_time") and inner.low >= 0:
        return Bounds(inner.low, math.inf, inner.zero)
    if name in ("abs", "stddev", "stddev_over_time", "stdvar", "stdvar_over_time"):
        return Bounds(low=0)
    if name in ("clamp_min", "clamp_max"):
        return _clamped(name, inner, constant(arguments[1]))
    return _ANY


def _clamped(name: str, inner: Bounds, limit: float | None) -> Bounds:
    if limit is None:
        return _ANY
    if name == "clamp_min":
        return Bounds(max(inner.low, limit), max(inner.high, limit), limit <= 0)
    return Bounds(min(inner.low, limit), min(inner.high, limit))


def _of_quantile(argument: Expression, vocabulary: Vocabulary) -> Bounds:
    """histogram_quantile returns at most the last finite bucket's bound."""
    selectors = [
        part for _, each in _expanded(argument, vocabulary) for part in walk(each) if isinstance(part, Selector)
    ]
    buckets = [bound for selector in selectors for bound in vocabulary[selector.name].buckets]
    return Bounds(0, max(buckets)) if buckets else _ANY


def _of_binary(expression: Binary, vocabulary: Vocabulary) -> Bounds:
    left, right = bounds_of(expression.left, vocabulary), bounds_of(expression.right, vocabulary)
    operator = expression.operator
    if operator == "or":
        return _union([left, right])
    if operator in SET_OPERATORS:
        return left
    if operator in COMPARISONS:
        return Bounds(0, 1) if expression.returns_bool else _filtered(expression, left, right)
    if operator == "/":
        return _quotient(expression, left, right, vocabulary)
    if operator == "-" and left.low >= 0 and is_share(expression.right, expression.left, vocabulary):
        return Bounds(low=0, high=left.high)
    combine = _COMBINE.get(operator)
    return _ANY if combine is None else _combined(combine, left, right)


def _filtered(expression: Binary, left: Bounds, right: Bounds) -> Bounds:
    """The values that pass a comparison: those of the vector, which is the left side unless that is a number."""
    operator = expression.operator
    if constant(expression.left) is not None:
        left, right = right, left
        operator = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
    low, high = left.low, left.high
    if operator in (">", ">=", "=="):
        low = max(low, right.low)
    if operator in ("<", "<=", "=="):
        high = min(high, right.high)
    excluded = (operator in (">", "!=") and right.low == 0) or (operator in ("<", "!=") and right.high == 0)
    return Bounds(low, high, left.zero and not excluded and low <= 0 <= high)


def _quotient(expression: Binary, left: Bounds, right: Bounds, vocabulary: Vocabulary) -> Bounds:
    if is_share(expression.left, expression.right, vocabulary):
        return Bounds(0, 1)
    if right.low == right.high and right.low > 0:
        return Bounds(left.low / right.low, left.high / right.low, left.zero)
    return Bounds(low=0) if left.low >= 0 and right.low >= 0 else _ANY


_COMBINE: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    # 0 times infinity is 0 here.
    "*": lambda left, right: left * right if left and right else 0,
}


def _combined(combine: Callable[[float, float], float], left: Bounds, right: Bounds) -> Bounds:
    corners = [combine(x, y) for x in (left.low, left.high) for y in (right.low, right.high)]
    if any(math.isnan(corner) for corner in corners):
        return _ANY
    return Bounds(min(corners), max(corners))
