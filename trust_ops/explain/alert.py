"""Finds an alert in the history: its labels, when it was pending and firing, and which metrics its rule reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trust_ops.explain.history import ExplainError, History, LoadedRule

_STEP_SECONDS: Final = 30.0
_NOT_EXPLAINED: Final = frozenset({"TrustWatchdog", "TrustEscalation"})
_STRINGS: Final = re.compile(r'"(?:\\.|[^"\\])*"' + r"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*")
_NAMES: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_MATCHER: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(=~|!~|!=|=)"?((?:\\.|[^"\\])*?)"?')


@dataclass(frozen=True)
class Alert:
    """One firing of an alert.

    Attributes:
        name: Name of the rule.
        labels: Labels of the alert, without those that Prometheus adds to ALERTS.
        active: Unix time since which the expression had a result.
        begin: Unix time at which it began to fire.
        end: Unix time of the last sample that fires.
        others: How many more alerts of this name fired at the same time.
    """

    name: str
    labels: Mapping[str, str]
    active: float
    begin: float
    end: float
    others: int = 0

    @property
    def service(self) -> str:
        """The service; empty for an alert of the infrastructure."""
        return self.labels.get("service_name", "")

    @property
    def environment(self) -> str:
        """The environment; empty if there is none."""
        return self.labels.get("deployment_environment_name", "")


def matchers(texts: Iterable[str]) -> list[str]:
    """Label matchers as PromQL, from texts such as `service_name=api`. Raises ExplainError."""
    found = []
    for text in texts:
        match = _MATCHER.fullmatch(text)
        if match is None:
            raise ExplainError(f"{text[:80]!r} is not a label matcher; use one such as service_name=api")
        found.append(f'{match[1]}{match[2]}"{match[3]}"')
    return found


def find(history: History, name: str | None, conditions: Sequence[str], at: float, within: float) -> Alert:
    """The newest firing until `at`. Raises ExplainError.

    Args:
        history: Prometheus.
        name: Name of the alert; None for any.
        conditions: Label matchers as PromQL.
        at: Unix time.
        within: Seconds before `at` in which to look.
    """
    only = [f"alertname={quoted(name)}"] if name else [f'alertname!~"{"|".join(sorted(_NOT_EXPLAINED))}"']
    selector = ",".join([*only, 'alertstate="firing"', *conditions])
    # The samples are as far apart as the evaluations of the rule; a longer gap is the end of the alert.
    step = max(_STEP_SECONDS, within / 2880)
    courses = history.matrix(f"ALERTS{{{selector}}}", at - within, at, step)
    runs = [
        (begin, end, course.labels) for course in courses for begin, end in _runs([t for t, _ in course.points], step)
    ]
    if not runs:
        what = f"alert {name}" if name else "alert"
        raise ExplainError(
            f"no {what} with these labels fired in the {within / 3600:g} h before; set --at to when it fired, or raise "
            "--within"
        )
    # The last to begin of those that still fire; otherwise the last to end.
    newest = max(end for _, end, _ in runs)
    begin, end, labels = max((run for run in runs if run[1] >= newest - step), key=lambda run: run[0])
    own = {key: value for key, value in labels.items() if key not in ("__name__", "alertstate", "alertname")}
    others = sum(other[0] <= end and other[1] >= begin and other[2] is not labels for other in runs)
    return Alert(labels["alertname"], own, _active(history, labels, begin), begin, end, others)


def _runs(times: Sequence[float], step: float) -> list[tuple[float, float]]:
    """First and last time of each run of samples without a gap."""
    runs: list[tuple[float, float]] = []
    for at in times:
        if runs and at - runs[-1][1] <= 1.5 * step:
            runs[-1] = (runs[-1][0], at)
        else:
            runs.append((at, at))
    return runs


def _active(history: History, labels: Mapping[str, str], begin: float) -> float:
    """Since when it was pending: the value of ALERTS_FOR_STATE. Without it, when it began to fire."""
    own = ",".join(f"{key}={quoted(value)}" for key, value in labels.items() if key not in ("__name__", "alertstate"))
    found = history.vector(f"ALERTS_FOR_STATE{{{own}}}", begin)
    return min((each.value for each in found if 0 < each.value <= begin), default=begin)


def quoted(value: str) -> str:
    """A string of PromQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def names_read(rules: Sequence[LoadedRule], alert: Alert) -> frozenset[str]:
    """The names that the alert's rule reads, through recording rules; with names of labels and functions.

    Without the rule, the set is empty.
    """
    recorded: dict[str, set[str]] = {}
    for rule in rules:
        if not rule.is_alert:
            recorded.setdefault(rule.name, set()).update(_identifiers(rule.expression))
    severity = alert.labels.get("severity")
    own = [rule for rule in rules if rule.is_alert and rule.name == alert.name]
    same = [rule for rule in own if rule.labels.get("severity") in (severity, None)] or own
    found: set[str] = set()
    waiting = {name for rule in same for name in _identifiers(rule.expression)}
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting |= recorded.get(name, set())
    return frozenset(found)


def _identifiers(expression: str) -> set[str]:
    return set(_NAMES.findall(_STRINGS.sub('""', expression)))
