"""Prometheus rule files as data: groups, rules, and comments that silence a check for one rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tools.checks.bounds import bounds_of
from tools.checks.label_inference import Labels, either, vector_labels
from tools.checks.promql import Expression, PromqlError, Selector, parse, seconds, walk
from tools.checks.vocabulary import Bounds, Label, Series, UnknownSeriesError, Vocabulary

_SILENCE = re.compile(r"#\s*check:(?P<check>\S+)(?:\s+(?P<reason>.*\S))?\s*$")


class RuleFileError(ValueError):
    """The file is not a rule file; the message gives the location."""


@dataclass(frozen=True)
class Silence:
    """A comment `# check:<name> <reason>` in or above a rule."""

    check: str
    reason: str
    line: int


@dataclass(frozen=True)
class Rule:
    """A recording rule or an alert.

    Attributes:
        name: Name of the recorded series or of the alert.
        source: The expression as written.
        labels: Labels that the rule sets; templates in an alert.
        annotations: Templates; for alerts only.
        wait: Seconds of `for`.
        keep_firing: Seconds of `keep_firing_for`.
        is_alert: Whether it is an alert.
        file: Name of the file.
        line: Line of the rule in the file.
        group: Name of its group.
        interval: Seconds between evaluations; None for the global interval.
        silences: Silencing comments of the rule.
    """

    name: str
    source: str
    labels: Mapping[str, str] = field(hash=False)
    annotations: Mapping[str, str] = field(hash=False)
    wait: float
    keep_firing: float
    is_alert: bool
    file: str
    line: int
    group: str
    interval: float | None = None
    silences: tuple[Silence, ...] = ()

    def __str__(self) -> str:
        severity = f" ({self.labels['severity']})" if "severity" in self.labels else ""
        return f"{self.name}{severity}, {self.file}:{self.line}"

    def expression(self) -> Expression:
        """The parsed expression. Raises PromqlError."""
        return parse(self.source)


def read_rules(files: Iterable[Path]) -> tuple[Rule, ...]:
    """All rules of the files in order. Raises RuleFileError."""
    return tuple(rule for file in files for rule in rules_in(file.read_text(encoding="utf-8"), file.name))


def rules_in(content: str, file: str) -> tuple[Rule, ...]:
    """The rules of one file's content. Raises RuleFileError."""
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
        lines = [
            (group_node.start_mark.line, [rule_node.start_mark.line for rule_node in _child(group_node, "rules").value])
            for group_node in _child(root, "groups").value
        ]
        groups = yaml.safe_load(content)["groups"]
        found = [
            _rule(rule, group, file, line + 1)
            for group, (_, rule_lines) in zip(groups, lines, strict=True)
            for rule, line in zip(group["rules"], rule_lines, strict=True)
        ]
    except (KeyError, TypeError, PromqlError, yaml.YAMLError) as error:
        raise RuleFileError(f"{file}: {error!r}") from error
    return tuple(_with_silences(found, [start for start, _ in lines], content.splitlines()))


def _child(node: Any, key: str) -> Any:
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if name.value == key and isinstance(value, yaml.SequenceNode):
            return value
    raise KeyError(key)


def _rule(rule: Mapping[str, Any], group: Mapping[str, Any], file: str, line: int) -> Rule:
    is_alert = "alert" in rule
    return Rule(
        name=rule["alert"] if is_alert else rule["record"],
        source=str(rule["expr"]),
        labels=dict(rule.get("labels", {})),
        annotations=dict(rule.get("annotations", {})),
        wait=seconds(str(rule.get("for", "0s"))),
        keep_firing=seconds(str(rule.get("keep_firing_for", "0s"))),
        is_alert=is_alert,
        file=file,
        line=line,
        group=group["name"],
        interval=seconds(str(group["interval"])) if "interval" in group else None,
    )


def _with_silences(rules: list[Rule], group_starts: list[int], lines: list[str]) -> Iterator[Rule]:
    """Comments belong to the rule that contains them or directly follows them."""
    starts = sorted(_above_comments(start, lines) for start in (*group_starts, *(rule.line - 1 for rule in rules)))
    for rule in rules:
        first = _above_comments(rule.line - 1, lines)
        after = next((start for start in starts if start > rule.line - 1), len(lines))
        silences = (_silence(lines[number], number + 1) for number in range(first, after))
        yield replace(rule, silences=tuple(silence for silence in silences if silence is not None))


def _above_comments(line: int, lines: list[str]) -> int:
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def _silence(line: str, number: int) -> Silence | None:
    match = _SILENCE.search(line)
    return None if match is None else Silence(match["check"], match["reason"] or "", number)


def with_rules(vocabulary: Vocabulary, rules: Iterable[Rule]) -> Vocabulary:
    """The vocabulary with the recorded series of the rules, and ALERTS.

    Invalid rules are ignored; they have their own findings.
    """
    waiting = [rule for rule in rules if not rule.is_alert]
    known = vocabulary
    while waiting:
        ready = [rule for rule in waiting if not _reads_one_of(rule, waiting)]
        if not ready:
            # A cycle: each rule would read its own previous value.
            break
        names = dict.fromkeys(rule.name for rule in ready if all(r in ready for r in waiting if r.name == rule.name))
        recorded = [_recorded([rule for rule in ready if rule.name == name], known) for name in names]
        known = known.with_series(series for series in recorded if series is not None)
        waiting = [rule for rule in waiting if rule.name not in names]
    return known.with_series(_alerts_series([rule for rule in rules if rule.is_alert], known))


def _reads_one_of(rule: Rule, others: Iterable[Rule]) -> bool:
    names = {other.name for other in others}
    try:
        return any(isinstance(part, Selector) and part.name in names for part in walk(rule.expression()))
    except PromqlError:
        return False


def _recorded(rules: list[Rule], vocabulary: Vocabulary) -> Series | None:
    """The series recorded by the rules of one name."""
    try:
        expressions = [rule.expression() for rule in rules]
        labels = either(
            result_labels(rule, vector_labels(expression, vocabulary))
            for rule, expression in zip(rules, expressions, strict=True)
        )
        bounds = [bounds_of(expression, vocabulary) for expression in expressions]
    except (PromqlError, UnknownSeriesError):
        return None
    interval = max(rule.interval or vocabulary.evaluation_interval for rule in rules)
    return Series(
        name=rules[0].name,
        kind="gauge",
        labels=labels,
        interval=interval,
        bounds=Bounds(min(b.low for b in bounds), max(b.high for b in bounds), any(b.zero for b in bounds)),
        recordings=tuple((rule.labels, expression) for rule, expression in zip(rules, expressions, strict=True)),
    )


def result_labels(rule: Rule, labels: Labels) -> Labels:
    """The labels of a rule's series or alerts: those of the expression, overridden by those of the rule."""
    own = {name: Label(values=None if "{{" in value else frozenset({value})) for name, value in rule.labels.items()}
    return {**{name: label for name, label in labels.items() if name != "__name__"}, **own}


def _alerts_series(alerts: list[Rule], vocabulary: Vocabulary) -> list[Series]:
    """ALERTS and ALERTS_FOR_STATE, with all labels that alerts can have."""
    direct = [rule for rule in alerts if not _reads_alerts(rule)]
    if not direct:
        return []
    interval = max(rule.interval or vocabulary.evaluation_interval for rule in alerts)
    labels = either(_alert_labels(rule, vocabulary) for rule in direct)
    first = vocabulary.with_series(_alert_series_of(labels, interval))
    # Alerts about alerts have their labels, and additional ones.
    derived = either(_alert_labels(rule, first) for rule in alerts if rule not in direct)
    added = {name: replace(label, always=False) for name, label in derived.items() if name not in labels}
    names = Label(values=frozenset(rule.name for rule in alerts))
    return _alert_series_of({**labels, **added, "alertname": names}, interval)


def _alert_series_of(labels: Labels, interval: float) -> list[Series]:
    state = Label(values=frozenset({"pending", "firing"}))
    return [
        Series("ALERTS", "gauge", {**labels, "alertstate": state}, interval, Bounds(1, 1, zero=False)),
        Series("ALERTS_FOR_STATE", "gauge", labels, interval, Bounds(low=0)),
    ]


def _reads_alerts(rule: Rule) -> bool:
    try:
        parts = list(walk(rule.expression()))
    except PromqlError:
        return False
    return any(isinstance(part, Selector) and part.name in ("ALERTS", "ALERTS_FOR_STATE") for part in parts)


def _alert_labels(rule: Rule, vocabulary: Vocabulary) -> Labels:
    try:
        labels = vector_labels(rule.expression(), vocabulary)
    except (PromqlError, UnknownSeriesError):
        labels = {}
    return {**result_labels(rule, labels), "alertname": Label(values=frozenset({rule.name}))}
