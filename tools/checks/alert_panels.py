"""Checks that the panel an alert links to shows what the alert is about, to people who may open it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tools.checks.fields import labels_of_target, placeholders
from tools.checks.grafana import Dashboard, Panel, Target
from tools.checks.label_inference import accepts, identity, vector_labels
from tools.checks.promql import (
    COMPARISONS,
    Binary,
    Call,
    Expression,
    Matcher,
    PromqlError,
    Range,
    Selector,
    constant,
    parts,
)
from tools.checks.queries import Finding
from tools.checks.regex import alternatives
from tools.checks.rules import Rule
from tools.checks.values import values_of
from tools.checks.variables import with_filters
from tools.checks.vocabulary import UnknownSeriesError, Vocabulary

_PANEL_URL = re.compile(r"[^?]*/d/(?P<uid>[\w-]+)\?viewPanel=(?P<number>\d+)")
_ALERTS = "ALERTS"
_FILTERED = frozenset(
    {"deployment_environment_name", "service_namespace", "service_name", "service_instance_id"}
    # A job is a kind of target, which the panel is about.
    | {"job"}
)
"""Labels that a panel need not show: the variables of the dashboard select them, or all series have the same."""
_OTHER_VALUE = "other"


ALERT_PANEL_CHECKS = ("alert-panel", "alert-access")
"""Names of the checks."""


def check_alert_panels(
    alerts: Sequence[Rule],
    dashboards: Mapping[str, Dashboard],
    vocabulary: Vocabulary,
    teams: Mapping[str, frozenset[str]],
) -> list[Finding]:
    """The alerts whose panel does not show them, and those whose team may not open it.

    Args:
        alerts: The alerts; links to missing panels are findings of another check.
        dashboards: By uid.
        vocabulary: Known series, including recorded ones and ALERTS.
        teams: The teams that may open a dashboard, by its uid.
    """
    return [finding for rule in alerts for finding in _of_alert(rule, dashboards, vocabulary, teams)]


def _of_alert(
    rule: Rule, dashboards: Mapping[str, Dashboard], vocabulary: Vocabulary, teams: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    url = _PANEL_URL.fullmatch(rule.annotations.get("dashboard_url", ""))
    if url is None or url["uid"] not in dashboards:
        return
    uid, team = url["uid"], rule.labels.get("team")
    for panel in dashboards[uid].panels:
        if panel.number == int(url["number"]):
            where = f"{rule.name}: {uid}, {panel}"
            yield from (Finding("alert-panel", f"{where}: {each}") for each in _not_shown(rule, panel, vocabulary))
            if team is not None and team not in teams[uid]:
                yield Finding("alert-access", f"{where}: the team {team} may not open it")


def _not_shown(rule: Rule, panel: Panel, vocabulary: Vocabulary) -> list[str]:
    try:
        return list(not_shown(rule, panel, vocabulary))
    except (PromqlError, UnknownSeriesError):
        # Invalid expressions and unknown series have their own findings.
        return []


def not_shown(rule: Rule, panel: Panel, vocabulary: Vocabulary) -> Iterator[str]:
    """What the panel lacks of an alert.

    For each alternative of the expression (the sides of `or`), the panel must query the metrics that the value is made
    of, with matchers that exclude no series which can fire the alert, and these queries must show the labels that
    distinguish the alerts of one service.

    Raises:
        UnknownSeriesError: The alert or the panel reads an unknown series.
        PromqlError: One of their expressions is invalid.
    """
    queried = [
        (target, selector)
        for target in panel.targets
        for selector in _measured(with_filters(target.source), vocabulary)
    ]
    for value in _alternatives(rule):
        for wanted in dict.fromkeys(_measured(value, vocabulary)):
            found = [(target, selector) for target, selector in queried if selector.name == wanted.name]
            if not found:
                yield f"it does not query {wanted.name}"
                continue
            yield from _excluded(wanted, [selector for _, selector in found], vocabulary)
            labels = _distinguishing(value, wanted, vocabulary)
            hidden = min((labels - _shown(target, panel, vocabulary) for target, _ in found), key=len)
            if hidden:
                yield f"its queries of {wanted.name} do not show {', '.join(sorted(hidden))}"


def readers(rule: Rule, panel: Panel, vocabulary: Vocabulary) -> list[Target]:
    """The queries of the panel that read a metric of the alert's value."""
    wanted = {each.name for value in _alternatives(rule) for each in _measured(value, vocabulary)}
    return [
        target
        for target in panel.targets
        if any(each.name in wanted for each in _measured(with_filters(target.source), vocabulary))
    ]


def _alternatives(rule: Rule) -> Iterator[Expression]:
    found = list(values_of(rule.expression()))
    if all(isinstance(value, Call) and value.function == "vector" for value in found):
        # An alert without a metric is shown as an alert.
        yield Selector(_ALERTS, (Matcher("alertname", "=", rule.name), Matcher("alertstate", "=", "firing")))
        return
    yield from found


def _measured(
    expression: Expression, vocabulary: Vocabulary, inherited: tuple[Matcher, ...] = ()
) -> Iterator[Selector]:
    """The selectors of metrics that give the value, with recording rules replaced by what they record."""
    for selector in _of_value(expression):
        series = vocabulary[selector.name]
        matchers = (*selector.matchers, *(each for each in inherited if each.name in series.labels))
        if not series.recordings:
            yield replace(selector, matchers=matchers)
        for labels, recording in series.recordings:
            if all(accepts(each, labels[each.name]) for each in matchers if each.name in labels):
                yield from _measured(recording, vocabulary, tuple(each for each in matchers if each.name not in labels))


def _of_value(expression: Expression) -> Iterator[Selector]:
    """The selectors whose values become the value of the expression: no conditions, fillers and joined labels."""
    match expression:
        case Selector():
            yield expression
        case Range():
            yield expression.selector
        case Binary():
            for operand in _operands_of_value(expression):
                yield from _of_value(operand)
        case _:
            for part in parts(expression):
                yield from _of_value(part)


def _operands_of_value(expression: Binary) -> tuple[Expression, ...]:
    left, right = expression.left, expression.right
    conditions = ("and", "unless", *(() if constant(left) is not None else COMPARISONS))
    many = None if expression.matching is None else expression.matching.many
    if expression.operator == "*" and 0 in (constant(left), constant(right)):
        return ()
    if expression.operator in conditions or many == "left":
        return (left,)
    return (right,) if many == "right" else (left, right)


def _excluded(wanted: Selector, selectors: list[Selector], vocabulary: Vocabulary) -> Iterator[str]:
    """A set of label values that the alert selects, and no selector of the panel."""
    every = [wanted, *selectors]
    names = sorted({matcher.name for selector in every for matcher in _fixed(selector)})
    samples = [_samples(name, every, vocabulary[wanted.name].labels[name].values) for name in names]
    for values in itertools.product(*samples):
        labels = dict(zip(names, values, strict=True))
        if _selects(wanted, labels) and not any(_selects(each, labels) for each in selectors):
            shown = ", ".join(f'{name}="{value}"' for name, value in labels.items())
            yield f"its queries of {wanted.name} exclude {shown}"
            return


def _fixed(selector: Selector) -> Iterator[Matcher]:
    return (matcher for matcher in selector.matchers if not matcher.value.startswith("$"))


def _selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    return all(accepts(matcher, labels[matcher.name]) for matcher in _fixed(selector))


def _samples(name: str, selectors: list[Selector], known: frozenset[str] | None) -> list[str]:
    """Values of a label that matchers can tell apart."""
    if known is not None:
        return sorted(known)
    patterns = [matcher.value for each in selectors for matcher in _fixed(each) if matcher.name == name]
    return sorted({_OTHER_VALUE, *(re.sub(r"\.[*+]", "", value) for each in patterns for value in alternatives(each))})


def _distinguishing(value: Expression, wanted: Selector, vocabulary: Vocabulary) -> frozenset[str]:
    """The labels of the metric that distinguish the alerts of one service."""
    if wanted.name == _ALERTS:
        # The name of an alert and its service say which one it is; its own panel has the rest.
        one = any(matcher.name == "alertname" and matcher.operator == "=" for matcher in wanted.matchers)
        return frozenset() if one else frozenset({"alertname", "service"})
    labels = identity(vector_labels(value, vocabulary), vocabulary) - _FILTERED
    return labels & vocabulary[wanted.name].labels.keys()


def _shown(target: Target, panel: Panel, vocabulary: Vocabulary) -> set[str]:
    if not target.table:
        return set(placeholders(target.legend))
    excluded = {
        name for each in panel.transformations("organize") for name, out in each.get("excludeByName", {}).items() if out
    }
    return set(labels_of_target(target, vocabulary) or {}) - excluded
