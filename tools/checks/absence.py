"""Checks that missing data is not shown as good: neither as zero nor in a good colour."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tools.checks.fields import expression_of
from tools.checks.grafana import Dashboard, Panel
from tools.checks.panels import DashboardContext
from tools.checks.promql import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Selector,
    constant,
    text,
    walk,
)
from tools.checks.vocabulary import Vocabulary
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

# A metric, and others whose presence shows that it is measured even if it has no series yet.
_PRESENCE_METRICS: Final[Mapping[Metric, tuple[Metric, ...]]] = {
    # The detectors watch requests, logins and second factors.
    metrics.TRUST_SECURITY_INCIDENTS: (
        metrics.HTTP_SERVER_REQUEST_DURATION,
        metrics.TRUST_AUTH_ATTEMPTS,
        metrics.TRUST_AUTH_MFA_CHALLENGES,
    ),
    # Only heavy hitters have a series.
    metrics.TRUST_SECURITY_AUTH_FAILURES: (metrics.TRUST_AUTH_ATTEMPTS,),
    # Every client address is looked up in the feeds that were read.
    metrics.TRUST_SECURITY_THREAT_MATCHES: (metrics.TRUST_OTEL_SOURCE_LAST_READ,),
    # Only revenue is paid back.
    metrics.TRUST_REFUND_AMOUNT: (metrics.TRUST_REVENUE_AMOUNT,),
    # Every operation must write an audit record.
    metrics.TRUST_AUDIT_EVENTS: (metrics.TRUST_AUDIT_OPERATIONS,),
}
_PART = re.compile(r"_(bucket|count|sum)$")
_SINGLE_VALUES = ("stat", "gauge", "bargauge")
_GOOD = re.compile(r"(^|-)green$")
_MISSING = ("null", "null+nan")


def fillers(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A constant after `or` requires that the metric it replaces is measured, not only that a service is up."""
    for target in panel.targets:
        expression = expression_of(target)
        for part in walk(expression) if expression is not None else ():
            if isinstance(part, Binary) and part.operator == "or" and _is_constant(part.right):
                measured = _first(part.left)
                if not _requires_measurement(measured, part.right, vocabulary):
                    yield f"{target.ref}: {text(part.right)} replaces {text(measured)} even if it is not measured"


def shares_of_nothing(panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """A share of no events is not shown as 0: `a / (b > 0) or b * 0` is good or bad without a single event."""
    for target in panel.targets:
        expression = expression_of(target)
        for part in walk(expression) if expression is not None else ():
            if isinstance(part, Binary) and part.operator == "or":
                wholes = [_names(whole) for whole in _divisors(part.left, vocabulary)]
                if (zeroed := _zeroed(part.right)) is not None and _names(zeroed) in wholes:
                    yield f"{target.ref}: {text(part.right)} shows 0 where there were no events"


def _divisors(expression: Expression, vocabulary: Vocabulary) -> Iterator[Expression]:
    """`b` of each `a / (b > 0)`, also in recording rules."""
    for part in walk(expression):
        match part:
            case Binary(operator="/", right=Binary(operator=">") as whole):
                yield whole.left
            case Selector() if part.name in vocabulary.series:
                for _, recorded in vocabulary[part.name].recordings:
                    yield from _divisors(recorded, vocabulary)
            case _:
                pass


def _zeroed(filler: Expression) -> Expression | None:
    """`b` of `b * 0`; none if only its values above 0 are used."""
    if not (isinstance(filler, Binary) and filler.operator == "*" and constant(filler.right) == 0):
        return None
    return None if isinstance(filler.left, Binary) and filler.left.operator in COMPARISONS else filler.left


def _names(expression: Expression) -> frozenset[str]:
    return frozenset(part.name for part in walk(expression) if isinstance(part, Selector))


def _first(expression: Expression) -> Expression:
    """The first operand of a chain of `or`, which the constants replace."""
    while isinstance(expression, Binary) and expression.operator == "or":
        expression = expression.left
    return expression


def _is_constant(expression: Expression) -> bool:
    """Whether its values do not depend on data; NaN does not count as a value."""
    value = constant(expression)
    if value is not None:
        return not math.isnan(value)
    match expression:
        case Call(function="vector"):
            return True
        case Call(function="histogram_quantile", arguments=(_, buckets)):
            return _is_constant(buckets)
        case Call(arguments=(first, *_)):
            return _is_constant(first)
        case Aggregation(operation="group"):
            return True
        case Aggregation():
            return _is_constant(expression.argument)
        case Binary():
            return _is_constant_binary(expression)
        case _:
            return False


def _is_constant_binary(expression: Binary) -> bool:
    left, right = expression.left, expression.right
    if expression.operator in ("and", "unless", *COMPARISONS):
        return _is_constant(left)
    if expression.operator == "*" and 0 in (constant(left), constant(right)):
        return True
    return _is_constant(left) and _is_constant(right)


def _requires_measurement(measured: Expression, filler: Expression, vocabulary: Vocabulary) -> bool:
    signals, read = _metrics_of(measured, vocabulary), _metrics_of(filler, vocabulary)
    witnesses = {
        other.prometheus_name
        for metric, others in _PRESENCE_METRICS.items()
        if metric.prometheus_name in signals
        for other in others
    }
    return bool(read & (signals | witnesses)) or _is_scraped(measured, filler, vocabulary)


def _metrics_of(expression: Expression, vocabulary: Vocabulary) -> set[str]:
    """The metrics that an expression reads, also through recording rules, without histogram suffixes."""
    found: set[str] = set()
    for part in walk(expression):
        if isinstance(part, Selector):
            series = vocabulary.series.get(part.name)
            recordings = series.recordings if series is not None else ()
            found |= {name for _, each in recordings for name in _metrics_of(each, vocabulary)} or {
                _PART.sub("", part.name)
            }
    return found


def _is_scraped(measured: Expression, filler: Expression, vocabulary: Vocabulary) -> bool:
    """Whether the constant requires that the exporter of these series was scraped: `up{job="..."} == 1`."""
    read = [vocabulary.series.get(part.name) for part in walk(measured) if isinstance(part, Selector)]
    labels = [each.labels.get("job") for each in read if each is not None]
    jobs = {job for label in labels if label is not None for job in label.values or ()}
    scraped = (part for part in walk(filler) if isinstance(part, Binary) and part.operator == "==")
    return any(
        bool(jobs)
        and isinstance(each.left, Selector)
        and each.left.name == "up"
        and constant(each.right) == 1
        and {Matcher("job", "=", job) for job in jobs} == set(each.left.matchers)
        for each in scraped
    )


def no_data_is_not_good(panel: Panel, _: Dashboard, __: DashboardContext) -> Iterator[str]:
    """A missing value does not have a good colour. By default it has that of the first threshold."""
    if panel.kind not in _SINGLE_VALUES:
        return
    for properties in (panel.defaults, *({**panel.defaults, **each.properties} for each in panel.overrides)):
        colour = colour_without_data(properties)
        if _GOOD.search(colour):
            yield f"without data it is {colour}; map null+nan to a text and a colour that is neither good nor bad"
            return


def colour_without_data(properties: Mapping[str, Any]) -> str:
    """The colour of a field without a value: of a mapping of null, or of the first threshold."""
    for mapping in properties.get("mappings", ()):
        if mapping["type"] == "special" and mapping["options"]["match"] in _MISSING:
            colour = mapping["options"]["result"].get("color")
            if colour:
                return str(colour)
    steps = properties.get("thresholds", {}).get("steps") or [{"color": "green"}]
    mode = properties.get("color", {}).get("mode", "thresholds")
    return str(steps[0]["color"]) if mode == "thresholds" else ""
